"""Written videos and zips of frames appear whole under their name, or not at all."""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from media_samples import counted, number_of, tone

from genkey_core import InputError
from genkey_core.media import (
    Audio,
    FrameZip,
    VideoWriter,
    encode_png,
    load_image,
    probe,
    read_frames,
)

SIZE = (64, 48)
COLOURS = [(r, g, b) for r in (0, 90, 255) for g in (0, 140, 255) for b in (0, 200, 255)]
CLI = pytest.mark.skipif(not shutil.which("ffprobe"), reason="ffprobe is not installed")


def write(path, n_frames=10, **options):
    with VideoWriter(path, **{"fps": 25, "size": SIZE, **options}) as writer:
        for i in range(n_frames):
            writer.write(counted(i))
    return path


def files(folder):
    return sorted(p.name for p in folder.iterdir())


def test_nothing_has_the_name_until_the_end(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", fps=25, size=SIZE) as writer:
        for i in range(5):
            writer.write(counted(i))
            assert not (tmp_path / "a.mp4").exists()
    assert files(tmp_path) == ["a.mp4"]
    assert writer.n_frames == 5
    assert writer.duration_s == 0.2


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, MemoryError])
def test_an_exception_leaves_nothing_and_the_old_file_as_it_was(error, tmp_path):
    write(tmp_path / "a.mp4", n_frames=3)
    before = (tmp_path / "a.mp4").read_bytes()

    def fail():
        with VideoWriter(tmp_path / "a.mp4", fps=25, size=SIZE, audio=Audio(tone(1, 8000), 8000)) as writer:
            writer.write(counted(1))
            raise error

    with pytest.raises(error):
        fail()
    assert files(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == before


def frames_written_to(path, *, keep):
    with VideoWriter(path, fps=25, size=SIZE, audio=Audio(tone(9, 8000), 8000)) as writer:
        if keep:
            writer.keep_partial()
        for i in range(50):
            writer.write(counted(i))
            yield i


@pytest.mark.parametrize("keep", [False, True])
def test_a_closed_generator_keeps_what_is_done_or_nothing(keep, tmp_path):
    job = frames_written_to(tmp_path / "a.mp4", keep=keep)
    for _ in range(7):
        next(job)
    job.close()
    assert files(tmp_path) == (["a.mp4"] if keep else [])
    if keep:
        assert [number_of(f.image) for f in read_frames(tmp_path / "a.mp4")] == list(range(7))
        assert probe(tmp_path / "a.mp4").audio_duration_s == pytest.approx(7 / 25, abs=1e-3)


def test_finish_completes_the_file_early(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", fps=25, size=SIZE) as writer:
        writer.write(counted(3))
        writer.finish()
        assert probe(tmp_path / "a.mp4").n_frames == 1
        with pytest.raises(RuntimeError, match="not open"):
            writer.write(counted(4))
    assert files(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize("keep", [False, True])
def test_no_frames_are_a_sentence_and_no_file(keep, tmp_path):
    with pytest.raises(InputError, match="at least one frame"), VideoWriter(tmp_path / "a.mp4", fps=25, size=SIZE) as w:
        w.keep_partial() if keep else None
    assert files(tmp_path) == []


def test_one_frame_is_a_video(tmp_path):
    path = write(tmp_path / "a.mp4", n_frames=1)
    assert probe(path).n_frames == 1
    assert probe(path).duration_s == pytest.approx(0.04)


def test_a_missing_folder_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"'a\.mp4' cannot be written: its folder does not exist"):
        write(tmp_path / "none" / "a.mp4")


KILLED = """
import sys, time
import numpy as np
sys.path.insert(0, sys.argv[2])
from genkey_core.media import VideoWriter
with VideoWriter(sys.argv[1], fps=25, size=(64, 48)) as writer:
    while True:
        writer.write(np.zeros((48, 64, 3), np.uint8))
        if writer.n_frames == 100:
            print("going", flush=True)
"""


def test_a_killed_process_leaves_no_file_of_that_name(tmp_path):
    root = str(Path(__file__).resolve().parents[1])
    command = [sys.executable, "-c", KILLED, str(tmp_path / "a.mp4"), root]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"going\n"
        time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "a.mp4").exists()
    assert all(name.startswith(".") and name.endswith(".part") for name in files(tmp_path))


RESIDENT = """
import os, sys
import numpy as np
from genkey_core.media import VideoWriter
with VideoWriter(sys.argv[1], fps=25, size=(320, 180), preset="ultrafast") as writer:
    for i in range(1200):
        writer.write(np.full((180, 320, 3), i % 256, np.uint8))
        if i in (199, 1199):
            with open("/proc/self/statm") as pages:
                print(int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
"""


def test_memory_stays_flat(tmp_path):
    """What PyAV holds does not show in Python's own count, so a process that does nothing else is asked."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell a process's memory this way")
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", RESIDENT, str(tmp_path / "a.mp4")]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    early, late = map(int, said.split())
    assert late - early < 40e6  # the 1,000 frames between are 173 MB


# --- frames as a zip ---------------------------------------------------------------------------------------------


def test_zip_holds_every_frame_bit_equal(tmp_path, rng):
    images = [rng.integers(0, 256, (33, 47, 3), dtype=np.uint8) for _ in range(5)]
    with FrameZip(tmp_path / "a.zip") as frames:
        for image in images:
            frames.write(image)
        assert not (tmp_path / "a.zip").exists()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"frame_{i:05d}.png" for i in range(5)]
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_STORED}
        for name, image in zip(archive.namelist(), images, strict=True):
            (tmp_path / name).write_bytes(archive.read(name))
            assert np.array_equal(load_image(tmp_path / name), image)


def test_zip_takes_frames_from_threads(tmp_path):
    images = [counted(i) for i in range(40)]
    with FrameZip(tmp_path / "a.zip") as frames, ThreadPoolExecutor(4) as pool:
        list(pool.map(frames.write, images, range(40)))
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == {f"frame_{i:05d}.png": encode_png(image) for i, image in enumerate(images)}


def test_equal_frames_make_equal_zips(tmp_path):
    for name in ("a.zip", "b.zip"):
        with FrameZip(tmp_path / name) as frames:
            frames.write(counted(3))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("keep", [False, True])
def test_an_interrupted_zip_is_kept_valid_or_not_at_all(keep, tmp_path):
    def job():
        with FrameZip(tmp_path / "a.zip") as frames:
            if keep:
                frames.keep_partial()
            while True:
                frames.write(counted(1))
                yield

    running = job()
    next(running), next(running)
    running.close()
    assert files(tmp_path) == (["a.zip"] if keep else [])
    if keep:
        with zipfile.ZipFile(tmp_path / "a.zip") as archive:
            assert archive.testzip() is None
            assert len(archive.namelist()) == 2


def test_an_empty_zip_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match="at least one frame"), FrameZip(tmp_path / "a.zip"):
        pass
    assert files(tmp_path) == []
