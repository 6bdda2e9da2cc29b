"""The zoom video against an infinitely detailed picture whose every frame is known: exactness, jitter, jumps, speed.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.zoom_render [--size 512] [--seconds 3] [--quality-only]

`endless.py` gives the levels of a stack and the truth of every frame. Each frame is compared with its truth as it was
rendered and as it stands in the file; beside it stands the plain way, the level last entered enlarged by linear interpolation
and switched where the next one fills the frame. Speed is taken at 1024x1024 in processor time, for other work may share the
machine. Writes docs/results/zoom_render.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import genkey_core
from benchmarks import metrics
from benchmarks.endless import Endless
from genkey_core import runtime
from genkey_core.media import VideoWriter, read_frames
from genkey_core.zoom import camera, render

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "zoom_render.md"
FACTORS, LEVELS = (2, 4), 4
BAR_FPS, CORES, SPEED_SIZE = 60.0, 2, 1024
FRAMES_PER_OCTAVE = 16  # in the comparison with the truth


@dataclass(frozen=True)
class Seen:
    """One frame beside its truth."""

    psnr_db: float  # of the whole frame
    middle_db: float  # where the level on show holds all that the frame can show
    reachable_db: float  # against the truth less what no level of the stack holds
    shift_px: float  # by which it lies beside its truth
    stretch_px: float  # by which its border lies beside, through a wrong scale
    change: float  # grey levels (RMS) by which its change from the frame before is not that of the reachable truth


def endless_stack(p: int, size: int, *, levels: int = LEVELS, seed: int = 0) -> tuple[Endless, camera.Stack]:
    """The scene and its levels [size size 3], exact to the grey level."""
    scene = Endless.make(1 / size / p ** (levels - 1), rng=runtime.numpy_generator(seed))
    empty = camera.concentric([np.zeros((size, size, 3), np.uint8)] * levels, p)
    views = [empty.full_view(k, (size, size)) for k in range(levels)]
    return scene, camera.concentric([scene.seen(view, (size, size)) for view in views], p)


def reachable(scene: Endless, stack: camera.Stack, view: camera.View, size: tuple[int, int]) -> np.ndarray:
    """The truth with the detail that the levels have where they lie: uint8 [H W 3]."""
    picture = scene.seen(view, size, pitch=stack.placements[0].pixel)
    for level, place in zip(stack.levels[1:], stack.placements[1:], strict=True):
        inside = _inside(level, place, view, size)
        if inside is None:
            break
        rows, columns = inside
        picture[rows, columns] = scene.seen(view, size, pitch=place.pixel)[rows, columns]
    return picture


def _inside(level, place, view: camera.View, size: tuple[int, int]) -> tuple[slice, slice] | None:
    """The pixels of a frame about the same middle that a level covers whole."""
    halves = [n * place.pixel / view.pixel / 2 for n in level.shape[:2]]
    low = [max(0, int(np.ceil(side / 2 - half))) for side, half in zip(size[::-1], halves, strict=True)]
    if any(2 * first >= side for first, side in zip(low, size[::-1], strict=True)):
        return None
    return tuple(slice(first, side - first) for first, side in zip(low, size[::-1], strict=True))


def plain(stack: camera.Stack, view: camera.View, size: tuple[int, int]) -> np.ndarray:
    """The usual way: the middle of the closest level that fills the frame, enlarged by linear interpolation."""
    k = max(k for k in range(len(stack.levels)) if stack.full_view(k, size).pixel >= view.pixel * (1 - 1e-9))
    scale = view.pixel / stack.placements[k].pixel
    height, width = stack.levels[k].shape[:2]
    shift = [n / 2 - 0.5 - scale * (side / 2 - 0.5) for n, side in zip((width, height), size, strict=True)]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(stack.levels[k], matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def misplacement(image: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """(shift, stretch at the border) in pixels that explain most of a frame's error, to first order (least squares)."""
    gy, gx = np.gradient(truth)
    ys, xs = (np.linspace(-1, 1, n, dtype=np.float32) for n in truth.shape)
    columns = np.stack([gx, gy, gx * xs[None] + gy * ys[:, None]], -1).reshape(-1, 3)
    dx, dy, stretch = np.linalg.solve(columns.T @ columns, columns.T @ (truth - image).reshape(-1))
    return float(np.hypot(dx, dy)), float(abs(stretch))


def compared(frames, scene: Endless, stack: camera.Stack, views, size: tuple[int, int]) -> list[Seen]:
    """Every frame beside its truth, in brightness: the file halves colour, whoever renders."""
    seen, before = [], None
    for frame, view in zip(frames, views, strict=True):
        image, truth = metrics.luma(frame), metrics.luma(scene.seen(view, size))
        shown = [k for k, place in enumerate(stack.placements) if place.pixel <= view.pixel * (1 + 1e-9)]
        finest = shown[0] if shown else len(stack.levels) - 1
        part = _inside(stack.levels[finest], stack.placements[finest], view, size)
        inner = tuple(_shrunk(s) for s in part)
        held = metrics.luma(reachable(scene, stack, view, size))
        error = image - held
        change = 0.0 if before is None else float(np.sqrt(np.mean((error - before) ** 2)))
        before = error
        seen.append(
            Seen(
                metrics.psnr(image, truth),
                metrics.psnr(image[inner], truth[inner]),
                metrics.psnr(image, held),
                *misplacement(image, truth),
                change,
            )
        )
    return seen


def _shrunk(part: slice) -> slice:
    """Without the border in which a level gives way to what lies around it."""
    margin = int(np.ceil(camera.feather(part.stop - part.start, part.stop - part.start) * (part.stop - part.start))) + 2
    return slice(part.start + margin, part.stop - margin)


def quality(p: int, size: int, folder: Path) -> dict[str, list[Seen]]:
    """The frames of a zoom in through all levels: rendered, in the file, and made plainly."""
    scene, stack = endless_stack(p, size)
    octaves = np.log2(p) * (LEVELS - 1)
    journey = camera.Journey(size=(size, size), fps=30, level_s=FRAMES_PER_OCTAVE * octaves / (LEVELS - 1) / 30)
    views = camera.way(stack, journey).views
    path = folder / f"endless-{p}.mp4"
    for _ in render.write_video(path, stack, journey):
        pass
    ways = {
        "rendered": render.frames(stack, journey),
        "in the file": (frame.image for frame in read_frames(path)),
        "plainly": (plain(stack, view, (size, size)) for view in views),
    }
    return {name: compared(frames, scene, stack, views, (size, size)) for name, frames in ways.items()}


def takeovers(p: int) -> list[int]:
    """The frames at which a level fills the frame for the first time, between the first and the last."""
    return [round(k * FRAMES_PER_OCTAVE * np.log2(p)) for k in range(1, LEVELS - 1)]


def jump(seen: list[Seen], p: int) -> float:
    """Largest false change where a level takes over, over the median false change of all frames."""
    changes = np.array([frame.change for frame in seen])
    near = [changes[max(1, k - 1) : k + 3].max() for k in takeovers(p)]
    return float(max(near) / np.median(changes[1:]))


@dataclass(frozen=True)
class Speed:
    """Milliseconds a frame, and what memory the longer video took beyond the shorter one."""

    video_cpu_ms: float
    video_wall_ms: float
    render_cpu_ms: float
    encode_cpu_ms: float
    growth_mb: float
    frames: tuple[int, int]
    kb_per_frame: float
    load: float  # average number of programs that wanted a core while it was measured


def _timed(work) -> tuple[float, float, int]:
    cpu, wall, n = time.process_time(), time.perf_counter(), 0
    for _ in work:
        n += 1
    return (time.process_time() - cpu) * 1e3 / n, (time.perf_counter() - wall) * 1e3 / n, n


def speed(seconds: float, folder: Path, *, size: int = SPEED_SIZE, rounds: int = 3) -> Speed:
    """Medians over `rounds` videos of `seconds` a level, and the growth of memory through one three times as long."""
    _, stack = endless_stack(2, size)
    journey = camera.Journey(size=(size, size), fps=60, level_s=seconds / (LEVELS - 1))
    path = folder / "speed.mp4"
    videos = [_timed(render.write_video(path, stack, journey)) for _ in range(rounds)]
    kb = path.stat().st_size / videos[0][2] / 1e3
    before = _peak_mb()
    longer = camera.Journey(size=journey.size, fps=60, level_s=3 * journey.level_s)
    *_, count = _timed(render.write_video(path, stack, longer))
    growth = _peak_mb() - before
    renderer, views = render.Renderer(stack, journey.size), camera.way(stack, journey).views
    some = views[:: max(1, len(views) // 40)]
    frames = [renderer.frame_420(view) for view in some]
    rendering = min(_timed(map(renderer.frame_420, some))[0] for _ in range(rounds))
    run = [renderer.frame_420(view) for view in views[len(views) // 2 :][: len(frames)]]
    encoding = min(_timed(_encoded(folder / "encoded.mp4", run, journey))[0] for _ in range(rounds))
    return Speed(
        float(np.median([cpu for cpu, _, _ in videos])),
        float(min(wall for _, wall, _ in videos)),
        rendering,
        encoding,
        growth,
        (videos[0][2], count),
        kb,
        os.getloadavg()[0],
    )


def _encoded(path: Path, frames, journey: camera.Journey):
    with VideoWriter(path, fps=journey.fps, size=journey.size, crf=render.CRF, preset=render.PRESET) as writer:
        for frame in frames:
            writer.write_420(frame)
            yield


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def page(results: dict[int, dict[str, list[Seen]]], size: int, measured: Speed | None) -> str:
    """The results as Markdown."""
    lines = [
        "# The zoom video against an infinitely detailed picture",
        "",
        f"`python -m benchmarks.zoom_render`; {LEVELS} levels of {size}x{size}, {FRAMES_PER_OCTAVE} frames an octave, frames of "
        f"{size}x{size}; genkey_core {genkey_core.__version__}. The picture is a sum of waves with the same strength in every "
        "octave, so levels and truth are exact at any scale. *Plainly* is the closest level that fills the frame, enlarged "
        "linearly.",
        "",
        "- **PSNR**: of the brightness of whole frames against their truth, mean and least. Around the level on show a wider "
        "one is enlarged; what that never held is missing in any renderer's frame and counted here.",
        "- **reachable**: against the truth without what no level holds at that place. **middle**: where the level on show "
        "holds all that a frame can show; what is left is that the renderer's filter keeps more of the finest waves than the "
        "truth's camera does.",
        "- **shift, stretch**: the largest displacement of a frame beside its truth, and of its border by a wrong scale, "
        "pixels. **false change**: mean RMS by which the change from frame to frame is not that of the reachable truth, grey "
        "levels.",
        "- **jump**: the largest false change where a level takes over, as a multiple of the median.",
        "",
        "| p | frames | PSNR, dB | least | reachable, dB | middle, dB | shift, px | stretch, px | false change | jump |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for p, ways in results.items():
        for name, seen in ways.items():
            of = {key: np.array([getattr(frame, key) for frame in seen]) for key in Seen.__dataclass_fields__}
            finite = {key: values[np.isfinite(values)] for key, values in of.items()}
            lines.append(
                f"| {p} | {name} | {finite['psnr_db'].mean():.1f} | {finite['psnr_db'].min():.1f} | "
                f"{finite['reachable_db'].mean():.1f} | {finite['middle_db'].mean():.1f} | {of['shift_px'].max():.3f} | "
                f"{of['stretch_px'].max():.3f} | {of['change'][1:].mean():.2f} | {jump(seen, p):.2f} |"
            )
    if measured is not None:
        lines += ["", "## Speed", "", *_speed_lines(measured)]
    return "\n".join(lines) + "\n"


def _speed_lines(measured: Speed) -> list[str]:
    could = CORES * 1e3 / measured.video_cpu_ms
    verdict = "reached" if could >= BAR_FPS else "missed"
    wall = 1e3 / measured.video_wall_ms
    first, longer = measured.frames
    return [
        f"Frames of {SPEED_SIZE}x{SPEED_SIZE}, p = 2, written as H.264 ({render.PRESET}, crf {render.CRF}, "
        f"{measured.kb_per_frame:.0f} kB a frame) on {runtime.cpu_count()} cores of "
        f"{platform.processor() or platform.machine()}.",
        "",
        f"- A frame takes {measured.video_cpu_ms:.1f} ms of processor time in all (rendering {measured.render_cpu_ms:.1f}, "
        f"encoding {measured.encode_cpu_ms:.1f}, each by itself). {CORES} cores that do nothing else make "
        f"{could:.0f} frames/s of it, where rendering and encoding run side by side; the bar is {BAR_FPS:.0f}: {verdict}.",
        f"- By the clock it was {wall:.0f} frames/s, on a shared machine: {measured.load:.1f} programs wanted its "
        f"{runtime.cpu_count()} cores at the time, and processor time too is longer where caches are shared.",
        f"- {longer} frames took {measured.growth_mb:.0f} MB more at their peak than {first} frames: memory does not depend on "
        "the length."
        if measured.growth_mb < 30
        else f"- {longer} frames took {measured.growth_mb:.0f} MB more at their peak than {first} frames.",
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="side of levels and frames in the comparison (512)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of the videos that are timed (3)")
    parser.add_argument("--quality-only", action="store_true", help="leave the speed out")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        measured = None if options.quality_only else speed(options.seconds, Path(folder))
        results = {p: quality(p, options.size, Path(folder)) for p in FACTORS}
    text = page(results, options.size, measured)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
