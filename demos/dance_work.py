"""The dance jobs of the page and of the API: solutions to choose from, a finished dance with its files, and their limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from genkey_core import media
from genkey_core.checks import InputError, integer
from genkey_core.cost import Cost, duration_text, size_text
from genkey_core.dance.planning import Plan
from genkey_core.dance.render import swept

from .dance_engines import interpolate_of, with_engine, with_models
from .dance_state import MAX_CUT_VIDEO_S, PICTURES, VIDEOS, project_of
from .dance_view import file_stem
from .inbetween_view import waiting_line
from .jobs import SessionJobs, job_folder, limits, sweep

SESSIONS = SessionJobs()  # the job of each visitor of the tab
DROPPED = "Cancelled before it began; nothing was made."
FAILED = "Nothing was made; the message says why."
MOST_CLIP_BYTES = 2_000_000_000  # of rendered pairs that are kept for a visitor
PREVIEW_EVERY_S = 0.6


@dataclass(frozen=True)
class Made:
    """A finished job and its files."""

    result: object
    files: list[Path]  # the timeline picture and the project


def cost_of(job: Plan) -> Cost:
    """What a dance costs here with its engine; raises InputError where that cannot run, or a limit is passed."""
    from genkey_core.dance.estimate import cost_of as draft_cost
    from genkey_core.dance.estimate import most_pairs

    cost = with_models(job, with_engine(job, draft_cost(job), most_pairs(job)))
    here = limits()
    if cost.frames > here.max_frames or cost.seconds > here.max_seconds:
        raise InputError(
            f"time: this dance would take about {duration_text(cost.seconds)} for {cost.frames:,} frames, the limits here are "
            f"{duration_text(here.max_seconds)} and {here.max_frames:,}; take less of the song, or a smaller size."
        )
    for name, needed, most in (
        ("memory", cost.memory_bytes, here.max_memory_bytes),
        ("disk", cost.disk_bytes, here.max_disk_bytes),
    ):
        if most is not None and needed > most:
            raise InputError(
                f"{name}: this needs about {size_text(needed)}, {size_text(most)} may be used here now; take a smaller size."
            )
    return cost


def queued(request: gr.Request):
    """A job of this visitor begins to wait: outputs for [status, Find, Run, Cancel]."""
    if SESSIONS.busy(request.session_hash):
        raise InputError("A job of yours is already at work; wait for it, or cancel it.")
    SESSIONS.begin(request.session_hash)
    off = gr.Button(interactive=False)
    return waiting_line("Waiting for its turn…"), off, off, gr.Button(interactive=True)


def keyframe_files(paths: list[str], n_poses: object) -> tuple[list[str], tuple[str, ...]]:
    """What was dropped as keyframes -> (picture files, notes): pictures as they are, one picture cut as a grid, a video's
    most distinct poses. Raises InputError that names what cannot be used."""
    from genkey_core.dance.keyframes import LEAST, MOST, gathered

    names = [Path(path).name for path in paths]
    if len(paths) == 1 and names[0].lower().endswith(VIDEOS):
        return _stored(poses_of(paths[0], integer(n_poses, "poses", low=3, high=12))), ()
    if any(name.lower().endswith(VIDEOS) for name in names):
        raise InputError("keyframes: one video alone, or pictures, are needed, got both or several videos.")
    if len(paths) != 1 and not LEAST <= len(paths) <= MOST:
        raise InputError(f"keyframes: {LEAST} to {MOST} pictures are needed, got {len(paths)}.")
    images = [media.load_image(path) for path in paths]
    if len(paths) == 1:
        return _stored(_cut(images[0], names[0])), ()
    return list(paths), gathered(images).notes


def _cut(image, name: str) -> list:
    from genkey_core.dance.keyframes import LEAST, MOST, cut_grid

    try:
        return cut_grid(image)
    except InputError as error:
        raise InputError(
            f"{name}: one picture alone is taken for a grid of poses, and no borders between poses were found in it; "
            f"drop {LEAST} to {MOST} pictures."
        ) from error


def poses_of(path: str, count: int) -> list:
    """The most distinct poses of a video, uint8 [H W 3] each."""
    from genkey_core.dance.keyframes import distinct_poses

    info = media.probe(path)
    if info.duration_s > MAX_CUT_VIDEO_S:
        raise InputError(f"{Path(path).name}: at most {MAX_CUT_VIDEO_S / 60:g} minutes are searched for poses.")
    with closing(media.read_frames(path, fps=5)) as frames:
        return [frame.image for frame in distinct_poses(frames, count)]


def _stored(images: list) -> list[str]:
    """Pictures as files of this visitor."""
    with job_folder() as folder:
        for k, image in enumerate(images, 1):
            media.save_image(folder / f"pose-{k:02d}.png", image)
    return [str(folder / f"pose-{k:02d}.png") for k in range(1, len(images) + 1)]


def stored_keyframes(images: list) -> tuple[list[str], tuple[str, ...]]:
    """Pictures as keyframe files of this visitor, with sentences on them; raises InputError where they cannot be danced."""
    from genkey_core.dance.keyframes import gathered

    return _stored(images), gathered(images).notes


def is_picture(path: str) -> bool:
    """Whether a dropped file is named as a picture."""
    return path.lower().endswith(PICTURES)


def clips_folder(session: dict) -> str:
    """The folder in which this visitor's rendered pairs are kept, made anew where it has aged away."""
    if session["folder"] and Path(session["folder"]).is_dir():
        return session["folder"]
    with job_folder() as folder:
        return str(folder)


def clicks_file(song: str, beats, start_s: float, end_s: float) -> str:
    """The danced part of a song with clicks on its beats, as a WAV file that a browser plays."""
    import wave
    from dataclasses import replace

    import numpy as np

    from genkey_core.dance.beats_clicks import clicks

    sound = media.read_audio(song, sample_rate=22_050, mono=True, start_s=start_s, end_s=end_s)
    part = beats.clipped(start_s, end_s)
    mixed = clicks(replace(part, beat_times_s=part.beat_times_s - start_s), sound)
    with job_folder() as folder, wave.open(str(folder / "clicks.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(mixed.sample_rate)
        file.writeframes((np.clip(mixed.samples[0], -1, 1) * 32767).astype("<i2").tobytes())
    return str(folder / "clicks.wav")


def address_of(path: str) -> str:
    """Where the page finds a file of this visitor."""
    return f"/gradio_api/file={path}" if Path(path).is_relative_to(get_upload_folder()) else ""


def made(job: Plan, *, session: dict, cancelled: Callable[[], bool] = lambda: False) -> Iterator:
    """Make a planned dance into a new result folder; yields some Steps, and last Made."""
    from genkey_core.dance.estimate import learn
    from genkey_core.dance.job import Result
    from genkey_core.dance.job import made as dance_made

    cost, shown, said = cost_of(job), 0.0, ""
    sweep()
    with job_folder() as folder:
        stem = file_stem(Path(session["name"] or job.song.name).stem)
        work = dance_made(
            job,
            folder / f"{stem}-dance.mp4",
            interpolate=interpolate_of(job),
            clips=session["folder"],
            cancelled=cancelled,
        )
        with closing(work):
            for item in work:
                if isinstance(item, Result):
                    result = item
                elif item.said.split(",")[0] != said or time.perf_counter() - shown > PREVIEW_EVERY_S:
                    shown, said = time.perf_counter(), item.said.split(",")[0]
                    yield item
        plan = folder / f"{stem}-dance.json"
        plan.write_text(project_of(session, job.settings).to_json(), encoding="utf-8")
    if session["folder"]:
        swept(Path(session["folder"]), MOST_CLIP_BYTES)
    if result.complete and job.settings.engine == job.settings.mirrors == "draft" and result.made_pairs:
        learn(cost.seconds, result.elapsed_s)
    yield Made(result, [result.timeline, plan])
