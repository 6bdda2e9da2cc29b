"""The guard in front of every reader: only regular local files, and no folder name in any sentence."""

import os
import threading

import numpy as np
import pytest
from media_samples import plain, write_video

from genkey_core import InputError
from genkey_core.media import load_image, local_file, probe, read_audio, read_frames, read_metadata, save_image
from genkey_core.media.files import atomic_output

READERS = {
    "local_file": local_file,
    "load_image": load_image,
    "probe": probe,
    "read_frames": lambda path: next(read_frames(path)),
    "read_audio": read_audio,
    "read_metadata": read_metadata,
}
everywhere = pytest.mark.parametrize("read", READERS.values(), ids=READERS)

ADDRESSES = [
    "http://127.0.0.1:9/clip.mp4",
    "https://example.org/a.png",
    "file:/etc/passwd",
    "file:///etc/passwd",
    "concat:a.mp4|b.mp4",
    "pipe:0",
    "subfile,,start,0,end,9,,:/etc/passwd",
    "crypto:/etc/passwd",
    "data:image/png;base64,AAAA",
    "tcp://127.0.0.1:9",
    "lavfi:testsrc",
    "//server/share/a.png",
    "\\\\server\\share\\a.png",
]
NO_FILES = ["-i", "-i /etc/passwd", "%03d.png", "", "   ", "a\0b.png", "x" * 5000, "\udcff.png", "no/such/folder/a.png"]


@everywhere
@pytest.mark.parametrize("path", ADDRESSES + NO_FILES)
def test_addresses_and_options_are_not_files(read, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        read(path)


@everywhere
@pytest.mark.parametrize("path", [None, 3, b"a.png", ["a.png"], np.zeros(3)])
def test_only_paths_are_paths(read, path):
    with pytest.raises(InputError):
        read(path)


@everywhere
def test_what_is_no_regular_file_is_refused_by_its_base_name(read, tmp_path):
    folder = tmp_path / "secret_folder"
    (folder / "inner.png").mkdir(parents=True)
    (folder / "empty.png").touch()
    save_image(folder / "real.png", plain(32, 32))
    (folder / "link.png").symlink_to(folder / "real.png")
    os.mkfifo(folder / "fifo.png")
    wanted = {"inner.png": "folder", "empty.png": "empty", "link.png": "link", "fifo.png": "not a regular file"}
    for name, words in {**wanted, "missing.png": "not found"}.items():
        with pytest.raises(InputError, match=words) as caught:
            read(folder / name)
        assert name in str(caught.value)
        assert "secret_folder" not in str(caught.value)


@everywhere
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/stdin", "/dev/fd/0", "/proc/self/environ", "/proc/version"])
def test_devices_and_kernel_files_are_refused(read, path):
    if not os.path.lexists(path):
        pytest.skip("this system has no such file")
    with pytest.raises(InputError):
        read(path)


def test_kernel_files_are_refused_through_a_linked_folder(tmp_path):
    if not os.path.exists("/proc/version"):
        pytest.skip("this system has no /proc")
    (tmp_path / "folder").symlink_to("/proc")
    with pytest.raises(InputError, match="not a regular file"):
        local_file(tmp_path / "folder" / "version")


def test_a_file_in_a_linked_folder_is_read(tmp_path):
    (tmp_path / "real").mkdir()
    save_image(tmp_path / "real" / "a.png", plain(32, 32))
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    assert load_image(tmp_path / "linked" / "a.png").shape == (32, 32, 3)


@pytest.mark.parametrize("name", ["-i", "concat:a|b.mp4", "http:x.mp4", "%03d.mp4", "a b 'c' \"d\".mp4", "ünï😀.mp4"])
def test_a_real_file_with_an_odd_name_is_read_by_its_absolute_path(name, tmp_path):
    write_video(tmp_path / "plain.mp4", [plain(64, 48)] * 3)
    os.rename(tmp_path / "plain.mp4", tmp_path / name)
    assert probe(tmp_path / name).n_frames == 3
    assert local_file(tmp_path / name) == tmp_path / name


def test_size_limit_is_in_the_sentence(tmp_path):
    (tmp_path / "big.bin").write_bytes(b"x" * 3000)
    assert local_file(tmp_path / "big.bin", max_bytes=3000).name == "big.bin"
    with pytest.raises(InputError, match=r"'big.bin' is too large: at most 2.0 KB, got 2.9 KB"):
        local_file(tmp_path / "big.bin", max_bytes=2048)


def test_atomic_output_appears_whole_or_not_at_all(tmp_path):
    with atomic_output(tmp_path / "a.txt") as part:
        part.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    with pytest.raises(ZeroDivisionError), atomic_output(tmp_path / "a.txt") as part:
        part.write_text(f"half {1 / 0}")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"


def test_output_gets_the_rights_of_a_new_file(tmp_path):
    (tmp_path / "usual").touch()
    save_image(tmp_path / "a.png", plain(32, 32))
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_output_into_a_missing_folder_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"'a.png' cannot be written: its folder does not exist"):
        save_image(tmp_path / "none" / "a.png", plain(32, 32))


def test_two_writers_of_one_name_do_not_disturb_each_other(tmp_path):
    images = [plain(64, 64, (value,) * 3) for value in (10, 200)]
    threads = [threading.Thread(target=save_image, args=(tmp_path / "a.png", image)) for image in images * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any(np.array_equal(load_image(tmp_path / "a.png"), image) for image in images)
    assert len(list(tmp_path.iterdir())) == 1


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
    "hls_file": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{target}\n#EXT-X-ENDLIST\n",
    "hls_http": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{target}'\n",
    "concat_bare": "file '{target}'\n",
    "dash": '<?xml version="1.0"?><MPD><Period><BaseURL>{target}</BaseURL></Period></MPD>',
    "pls": "[playlist]\nFile1={target}\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}"/></svg>',
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("target", ["passwd", "video"])
def test_playlists_named_as_media_open_no_other_file(kind, target, tmp_path):
    video = write_video(tmp_path / "other.mp4", [plain(64, 48)] * 3)
    target = "/etc/passwd" if target == "passwd" else str(video)
    for name in ("innocent.mp4", "innocent.png", "list.m3u8"):
        (tmp_path / name).write_text(PLAYLISTS[kind].format(target=target))
        for read in (probe, read_audio, read_metadata, READERS["read_frames"], load_image):
            with pytest.raises(InputError) as caught:
                read(tmp_path / name)
            assert "root:" not in str(caught.value)
            assert str(tmp_path) not in str(caught.value)


def test_playlists_open_no_other_file_even_where_their_format_were_allowed(tmp_path, monkeypatch):
    """The second line of defence, met where the list of formats lets a playlist through."""
    monkeypatch.setattr("genkey_core.media.container.DEMUXERS", "hls,concat")
    video = write_video(tmp_path / "other.ts", [plain(64, 48)] * 3)
    (tmp_path / "list.mp4").write_text(PLAYLISTS["hls_file"].format(target=video))
    with pytest.raises(InputError):
        probe(tmp_path / "list.mp4")
