"""The dance jobs over HTTP and as MCP tools: the page's, with named and typed parameters."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from genkey_core.checks import InputError, integer
from genkey_core.dance.beats import Beats, hear_beats
from genkey_core.dance.project import BeatMarks

from . import dance_work as work
from .dance_state import EMPTY
from .jobs import HEAVY, heavy_jobs, says_mistakes
from .mcp_schemas import image_list


@says_mistakes
def dance_beats(
    song: str, halve: bool = False, double: bool = False, offset_s: float = 0.0, first_downbeat: int = 0,
    beats_per_bar: int = 4,
):  # fmt: skip
    """Find the beats of a song.

    Args:
        song: any audio or video file.
        halve: take every second beat.
        double: put a beat between every two.
        offset_s: move all beats later by this many seconds.
        first_downbeat: number of the beat that begins the first bar, from 1; 0 is as it was heard.
        beats_per_bar: 4 or 3.

    Returns:
        beat_times_s, tempo_bpm, first_downbeat (from 1), beats_per_bar, error_ms (median and largest distance between
        beats and their onsets) and notes.
    """
    beats = corrected(_needed(song, "song"), halve, double, offset_s, first_downbeat, beats_per_bar)
    return {
        "beat_times_s": [round(float(t), 4) for t in beats.beat_times_s],
        "tempo_bpm": round(beats.tempo_bpm, 3),
        "first_downbeat": beats.first_downbeat + 1,
        "beats_per_bar": beats.beats_per_bar,
        "error_ms": None if beats.grid_error_ms is None else [round(e, 2) for e in beats.grid_error_ms],
        "notes": list(beats.notes),
    }


def corrected(
    song: str, halve: bool, double: bool, offset_s: float, first_downbeat: int, beats_per_bar: int = 4
) -> Beats:
    """The beats of a song, heard and corrected by hand."""
    beats = hear_beats(song, beats_per_bar=integer(beats_per_bar, "beats per bar", low=2, high=12))
    beats = beats.halved() if halve else beats
    beats = beats.doubled() if double else beats
    beats = beats.shifted(offset_s) if offset_s else beats
    return beats.with_first_downbeat(integer(first_downbeat, "first downbeat", low=1) - 1) if first_downbeat else beats


@says_mistakes
def dance_pattern(song: str, dancer: str, halve: bool = False, double: bool = False, first_downbeat: int = 0):
    """Read the choreography that a dancer dances to a song.

    Args:
        song: any audio or video file; the dancer's clock is its clock.
        dancer: a motion file (.bvh, .npz or .pt), or a video of the dance.
        halve: take every second beat.
        double: put a beat between every two.
        first_downbeat: number of the beat that begins the first bar, from 1; 0 is as it was heard.

    Returns:
        pattern such as A-A'-B-C, segments_s (start and end of each), representatives (label: number of the segment that
        shows it best) and notes.
    """
    from genkey_core.dance.followed import follow

    beats = corrected(_needed(song, "song"), halve, double, 0.0, first_downbeat)
    found = follow(_needed(dancer, "dancer"), beats)
    return {
        "pattern": str(found.choreography.pattern),
        "segments_s": found.choreography.segments_s.round(4).tolist(),
        "representatives": {label: int(i) for label, i in found.choreography.representatives.items()},
        "notes": list(found.notes),
    }


@says_mistakes
def dance(
    keyframes: list[str],
    song: str,
    pattern: str = "A-A'-B-C-D-D",
    dancer: str | None = None,
    start_s: float = 0.0,
    end_s: float = 0.0,
    halve: bool = False,
    double: bool = False,
    offset_s: float = 0.0,
    first_downbeat: int = 0,
    motion_low: float = 12.0,
    motion_high: float = 60.0,
    pins: str = "",
    mirrored_ends: str = "",
    never: str = "",
    solution: int = 1,
    fps: float = 25.0,
    max_side: int = 1024,
    in_betweens: int = 14,
    strength: float = 0.5,
    engine: str = "draft",
    seed: int = 0,
    mirrors: str = "draft",
    masks: str = "plate",
    subject: str = "animal",
    background: str = "a landscape",
    epochs: int = 500,
):
    """Make a subject dance to a song, on its beats, from a few pictures of its poses.

    Args:
        keyframes: 3 to 12 pictures of one subject before one background, or one picture that is a grid of them, or a video.
        song: any audio or video file; up to a minute of it is danced.
        pattern: the choreography, a letter per motion of two beats, a prime for its mirror; it repeats.
        dancer: a motion file (.bvh, .npz, .pt) or a video whose choreography is followed instead.
        start_s: of the song.
        end_s: of the song; 0 is its end, or a minute after the start.
        halve: take every second beat.
        double: put a beat between every two.
        offset_s: move all beats later by this many seconds.
        first_downbeat: number of the beat that begins the first bar, from 1; 0 is as it was heard.
        motion_low: a motion moves the subject by more pixels than this, at 1024x576.
        motion_high: motions and transitions move it by fewer.
        pins: steps that are set, such as "A: 1>4 or 2>5'; B': 3>6"; keyframes from 1, with a prime their mirrors.
        mirrored_ends: labels that end in the mirror of the pose they start in, such as "A, C".
        never: keyframes that are not to be seen, such as "3, 5'".
        solution: which of the best dances is made, from 1.
        fps: frames per second.
        max_side: longest side of the video in pixels.
        in_betweens: pictures between two keyframes.
        strength: accent on the beat, 0 (even motion) to 1.
        engine: draft (this machine, your own pixels), mini, full, wan or ltx.
        seed: the models' random code.
        mirrors: draft (turned pixels), or flux or sdxl, which paint keyframes and mirrors anew on a graphics card.
        masks: plate (what moves before the shared background), or sam2.
        subject: for flux and sdxl, what it is, such as marmot.
        background: for flux and sdxl, what is behind it, such as alpine landscape.
        epochs: for flux and sdxl, rounds over the keyframes that they are fitted in.

    Returns:
        The MP4, the keyframe timeline (PNG) and the project (JSON), and an object: frames, complete, problem, pairs, cost,
        proven, seconds, notes, recipe; while it runs, what is being done.
    """
    from genkey_core.dance.followed import follow
    from genkey_core.dance.planning import part_of, plan
    from genkey_core.dance.settings import Settings

    solution = integer(solution, "solution", low=1, high=100)
    settings = Settings(
        pattern=pattern, start_s=start_s, end_s=end_s or None, motion_low=motion_low, motion_high=motion_high, pins=pins,
        mirrored_ends=mirrored_ends, never=never, n_best=max(3, solution), solution=solution, fps=fps,
        max_side=max_side, in_betweens=in_betweens, strength=strength, engine=engine, seed=seed,
        mirrors=mirrors, masks=masks, subject=subject, background=background, epochs=epochs,
    ).checked()  # fmt: skip
    files, notes = work.keyframe_files(list(keyframes or []), 6)
    beats = corrected(_needed(song, "song"), halve, double, offset_s, first_downbeat)
    if dancer:
        begin_s, until_s, _ = part_of(beats.duration_s, settings)
        found = follow(dancer, beats.clipped(begin_s, until_s))
        settings = Settings.from_dict({**settings.to_dict(), "pattern": str(found.choreography.pattern)})
        notes = (*notes, *found.notes)
    job = plan(files, song, settings, beats=beats)
    marks = BeatMarks.of(beats)
    session = {**EMPTY, "keyframes": files, "song": song, "name": Path(song).name, "marks": vars(marks)}
    for item in work.made(job, session=session):
        if isinstance(item, work.Made):
            yield str(item.result.path), [str(path) for path in item.files], info(item.result, notes)
        else:
            yield None, None, {"frames_done": item.done, "frames_total": item.total, "doing": item.said}


def info(result, notes: tuple[str, ...]) -> dict:
    """What is told about a result."""
    return {
        "frames": result.frames,
        "complete": result.complete,
        "problem": result.problem,
        "pairs": result.recipe["output"]["pairs"],
        "cost_px": round(result.dance.cost, 3),
        "proven": result.dance.proven,
        "seconds": round(result.elapsed_s, 3),
        "notes": [*notes, *result.notes],
        "recipe": result.recipe,
    }


def _needed(path: str | None, name: str) -> str:
    if not path:
        raise InputError(f"{name}: one file is needed, got none.")
    return path


def build_api() -> None:
    """Register the endpoints /dance, /dance_beats and /dance_pattern; their parts are not shown on the page."""
    with gr.Column(visible=False):
        song, dancer = gr.File(type="filepath", label="song"), gr.File(type="filepath", label="dancer")
        halve, double = gr.Checkbox(False, label="halve"), gr.Checkbox(False, label="double")
        offset, first = gr.Number(0.0, label="offset_s"), gr.Number(0, label="first_downbeat", precision=0)
        inputs = [
            image_list("keyframes"),
            song,
            gr.Textbox("A-A'-B-C-D-D", label="pattern"),
            dancer,
            gr.Number(0.0, label="start_s"),
            gr.Number(0.0, label="end_s"),
            halve,
            double,
            offset,
            first,
            gr.Number(12.0, label="motion_low"),
            gr.Number(60.0, label="motion_high"),
            gr.Textbox("", label="pins"),
            gr.Textbox("", label="mirrored_ends"),
            gr.Textbox("", label="never"),
            gr.Number(1, label="solution", precision=0),
            gr.Number(25.0, label="fps"),
            gr.Number(1024, label="max_side", precision=0),
            gr.Number(14, label="in_betweens", precision=0),
            gr.Number(0.5, label="strength"),
            gr.Textbox("draft", label="engine"),
            gr.Number(0, label="seed", precision=0),
            gr.Textbox("draft", label="mirrors"),
            gr.Textbox("plate", label="masks"),
            gr.Textbox("animal", label="subject"),
            gr.Textbox("a landscape", label="background"),
            gr.Number(500, label="epochs", precision=0),
        ]
        outputs = [gr.Video(label="video"), gr.File(file_count="multiple", label="files"), gr.JSON(label="info")]
        meter = gr.Number(4, label="beats_per_bar", precision=0)
        make, hear, read = gr.Button("dance"), gr.Button("dance_beats"), gr.Button("dance_pattern")
        heard, pattern = gr.JSON(label="beats"), gr.JSON(label="pattern")
    heavy = {"concurrency_id": HEAVY, "concurrency_limit": heavy_jobs()}
    make.click(dance, inputs, outputs, api_name="dance", **heavy)
    beat_inputs = [song, halve, double, offset, first, meter]
    hear.click(dance_beats, beat_inputs, heard, api_name="dance_beats", **heavy)
    read.click(dance_pattern, [song, dancer, halve, double, first], pattern, api_name="dance_pattern", **heavy)
