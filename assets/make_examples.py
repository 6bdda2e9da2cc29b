"""Draws the examples that ship in assets/examples: `python assets/make_examples.py [inbetween] [jumpcut] [dance] [zoom]`.

The keyframes are painted here with NumPy and OpenCV, so the examples are the project's own and can be made again bit for
bit. The talk is drawn by genkey_core.mini and voiced by espeak-ng, which must be installed to make it anew.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from genkey_core.media import Audio, VideoWriter
from genkey_core.mini import dance_marmot, dance_rig, dance_song, dance_steps, presenter_example, scale_example, voice
from genkey_core.mini.motion_world import HELD_OUT_SEEDS, make_clip

WIDTH, HEIGHT, SCALE = 960, 540, 2  # painted at SCALE times the size, then averaged down
FOLDER = Path(__file__).parent / "examples"

Colour = tuple[int, int, int]


def gradient(top: Colour, bottom: Colour) -> np.ndarray:
    """A vertical gradient, float32 [H W 3]."""
    t = np.linspace(0, 1, HEIGHT * SCALE, dtype=np.float32)[:, None, None] ** 0.8
    ends = np.array([top, bottom], np.float32)
    return np.broadcast_to((1 - t) * ends[0] + t * ends[1], (HEIGHT * SCALE, WIDTH * SCALE, 3)).copy()


def texture(seed: int, sigma: tuple[float, float], strength: float) -> np.ndarray:
    """Soft wrap-around noise with standard deviation `strength`, float32 [H W 1]."""
    noise = np.random.default_rng(seed).standard_normal((HEIGHT * SCALE, WIDTH * SCALE)).astype(np.float32)
    noise = cv2.GaussianBlur(np.tile(noise, (1, 3)), (0, 0), sigma[0], sigmaY=sigma[1])[
        :, WIDTH * SCALE : 2 * WIDTH * SCALE
    ]
    return (strength * noise / noise.std())[..., None]


def polygon(
    canvas: np.ndarray, points: list[tuple[float, float]], colour: Colour, shade: np.ndarray | float = 0
) -> None:
    """Fill a polygon given in final pixels, its colour varied by `shade`."""
    mask = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(np.array(points) * SCALE).astype(np.int32)], 255, cv2.LINE_AA)
    blend(canvas, mask, np.array(colour, np.float32) + shade)


def disc(canvas: np.ndarray, centre: tuple[float, float], radius: float, colour: Colour, soft: float = 0) -> None:
    """Fill a disc, its edge blurred by `soft` pixels."""
    mask = np.zeros(canvas.shape[:2], np.uint8)
    cv2.circle(mask, tuple(round(c * SCALE) for c in centre), round(radius * SCALE), 255, -1, cv2.LINE_AA)
    blend(canvas, cv2.GaussianBlur(mask, (0, 0), soft * SCALE) if soft else mask, np.array(colour, np.float32))


def blend(canvas: np.ndarray, mask: np.ndarray, colour: np.ndarray) -> None:
    alpha = mask[..., None].astype(np.float32) / 255
    canvas[:] = (1 - alpha) * canvas + alpha * colour


def ridge(seed: int, base: float, rise: float, shift: float) -> list[tuple[float, float]]:
    """The outline of hills: a few sines, moved sideways by `shift`."""
    rng = np.random.default_rng(seed)
    x = np.linspace(-20, WIDTH + 20, 200)
    waves = [
        a * np.sin((x + shift) / w + p)
        for a, w, p in zip((1, 0.5, 0.25), (170, 71, 33), rng.uniform(0, 6, 3), strict=True)
    ]
    y = base - rise * (1 + np.sum(waves, axis=0)) / 2
    return [(-20, HEIGHT), *zip(x.tolist(), y.tolist(), strict=True), (WIDTH + 20, HEIGHT)]


def moved(picture: np.ndarray, pixels: float) -> np.ndarray:
    return np.roll(picture, round(pixels * SCALE), axis=1)


def harbour(t: float) -> np.ndarray:
    """An evening at sea at time t in [0, 1]: the boat sails right, the sun sinks, the camera pans. uint8 [H W 3]."""
    pan = -60 * t
    warm = np.array([25, -10, -45], np.float32) * t
    canvas = gradient((92, 142, 196), (246, 205, 160)) + warm
    disc(canvas, (690 + 0.3 * pan, 120 + 90 * t), 74, (255, 226, 170), soft=26)
    disc(canvas, (690 + 0.3 * pan, 120 + 90 * t), 30, (255, 244, 214), soft=1)
    for seed, (x, y, size) in enumerate([(150, 90, 1.0), (430, 60, 0.7), (860, 140, 0.8)]):
        for k, (dx, r) in enumerate([(-46, 20), (-18, 30), (16, 26), (44, 17)]):
            disc(
                canvas,
                (x + 40 * t + 0.5 * pan + dx * size, y + 4 * np.sin(seed + k)),
                r * size,
                (255, 240, 226),
                soft=5,
            )
    grain = texture(1, (6, 3), 7)
    polygon(canvas, ridge(3, 312, 95, -0.6 * pan), (112, 128, 150), moved(grain, 0.6 * pan))
    polygon(canvas, ridge(5, 318, 52, -0.9 * pan), (70, 96, 100), moved(grain, 0.9 * pan))
    sea = [(-20, 312), (WIDTH + 20, 312), (WIDTH + 20, HEIGHT), (-20, HEIGHT)]
    depth = np.linspace(0, 1, HEIGHT * SCALE, dtype=np.float32)[:, None, None]
    polygon(canvas, sea, (52, 104, 132), moved(texture(2, (26, 2.2), 15), pan) + warm / 2 - 40 * (depth - 0.6))
    sailboat(canvas, 210 + 330 * t + pan, 392 + 5 * np.sin(6 * t), 1.0, tilt=0.05 + 0.05 * np.sin(5 * t))
    polygon(canvas, ridge(9, 560, 70, -1.6 * pan), (38, 52, 44), moved(grain, 1.6 * pan))
    return finished(canvas)


def sailboat(canvas: np.ndarray, x: float, y: float, size: float, tilt: float) -> None:
    c, s = np.cos(tilt), np.sin(tilt)

    def at(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x + size * (c * a - s * b), y + size * (s * a + c * b)) for a, b in points]

    polygon(canvas, at([(4, -150), (8, -150), (9, 2), (3, 2)]), (74, 52, 38))
    polygon(canvas, at([(10, -142), (86, -22), (10, -18)]), (248, 240, 226))
    polygon(canvas, at([(36, -76), (86, -22), (10, -18), (10, -52)]), (226, 92, 70))
    polygon(canvas, at([(0, -132), (-52, -20), (0, -18)]), (236, 226, 208))
    polygon(canvas, at([(-82, -2), (98, -6), (66, 26), (-58, 26)]), (120, 52, 42))
    polygon(canvas, at([(-82, -2), (98, -6), (94, 2), (-77, 5)]), (232, 214, 186))


def balloon(t: float) -> np.ndarray:
    """A hot-air balloon over hills at height t in [0, 1]. uint8 [H W 3]."""
    canvas = gradient((96, 166, 222), (226, 238, 240))
    for x, y, size in [(180, 120, 0.9), (770, 80, 1.1), (560, 190, 0.6)]:
        for dx, r in [(-46, 20), (-18, 30), (16, 26), (44, 17)]:
            disc(canvas, (x + 30 * t + dx * size, y), r * size, (255, 255, 255), soft=6)
    grain = texture(4, (5, 3), 8)
    polygon(canvas, ridge(11, 440, 120, 0), (128, 158, 138), grain)
    polygon(canvas, ridge(13, 500, 90, 40), (90, 132, 92), moved(grain, 300))
    polygon(canvas, ridge(17, 560, 90, 0), (60, 98, 62), moved(grain, 500))
    x, y, r = 470 + 50 * np.sin(2.2 * t), 372 - 210 * t, 92
    for k, colour in enumerate([(214, 62, 58), (246, 196, 84), (214, 62, 58), (246, 196, 84), (214, 62, 58)]):
        outline = []
        for side in (k / 5, (k + 1) / 5):
            a = np.linspace(-np.pi / 2, 0.62, 40)
            u = np.sin(np.pi * (side - 0.5))
            edge = [(x + r * u * np.cos(v), y + r * 1.12 * np.sin(v)) for v in a]
            outline += edge if not outline else edge[::-1]
        light = 26 - 16 * k
        polygon(canvas, outline, tuple(int(np.clip(c + light, 0, 255)) for c in colour))
    for dx in (-14, 14):
        polygon(
            canvas,
            [(x + 4 * dx, y + 66), (x + 4 * dx + 2, y + 66), (x + dx + 1, y + 124), (x + dx - 1, y + 124)],
            (80, 60, 44),
        )
    polygon(canvas, [(x - 18, y + 122), (x + 18, y + 122), (x + 14, y + 148), (x - 14, y + 148)], (142, 98, 58))
    return finished(canvas)


def finished(canvas: np.ndarray) -> np.ndarray:
    small = cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.clip(np.round(small), 0, 255).astype(np.uint8)


def mini_world(seed: int) -> list[np.ndarray]:
    """First and last picture of a clip of the world that the mini engine knows, one that it was not trained on."""
    images = make_clip(seed, size=256).images
    return [images[0], images[-1]]


EXAMPLES = {
    "mini world": (
        mini_world(HELD_OUT_SEEDS[10]),
        {"engine": "mini", "gaps": [{"duration_s": 1.2, "easing": "linear", "hold_s": 0.3}], "end_hold_s": 0.5},
    ),
    "harbour": (
        [harbour(k / 6) for k in range(7)],
        {
            "gaps": [
                {"duration_s": 0.8, "easing": "ease-in"},
                *[{"duration_s": 0.6, "easing": "linear"}] * 4,
                {"duration_s": 0.9, "easing": "ease-out"},
            ],
            "end_hold_s": 0.5,
        },
    ),
    "balloon": (
        [balloon(k / 5) for k in range(6)],
        {
            "gaps": [
                {"duration_s": 0.7, "easing": "ease-in", "hold_s": 0.3},
                *[{"duration_s": 0.5, "easing": "linear"}] * 3,
                {"duration_s": 0.7, "easing": "ease-out"},
            ],
            "playback": "ping-pong",
        },
    ),
}


def keyframes() -> None:
    """Write the examples of the Inbetween tab: keyframes as PNG and settings as JSON."""
    for name, (images, settings) in EXAMPLES.items():
        folder = FOLDER / "inbetween" / name
        folder.mkdir(parents=True, exist_ok=True)
        for k, image in enumerate(images):
            cv2.imwrite(
                str(folder / f"{name.replace(' ', '-')}-{k + 1}.png"),
                cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
                [cv2.IMWRITE_PNG_COMPRESSION, 9],
            )
        (folder / "settings.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def talk() -> None:
    """Write the example of the Jump cut tab: the talk as MP4, its exact body map, and what is said when."""
    folder = FOLDER / "jumpcut"
    folder.mkdir(parents=True, exist_ok=True)
    heard = presenter_example.talk()
    moves = presenter_example.acted(heard)
    size = presenter_example.SIZE
    maps, landmarks = [], []
    sound = Audio(heard.samples[None], voice.RATE)
    made = VideoWriter(
        folder / "presenter.mp4", fps=presenter_example.FPS, size=(size, size), audio=sound, crf=19, preset="slow"
    )
    with made as writer:
        for frame, iuv, marks in presenter_example.drawn(moves):
            writer.write(frame)
            maps.append(iuv)
            landmarks.append(marks)
    write_body_map(folder / "presenter.npz", np.stack(maps), np.stack(landmarks))
    said = [{"kind": kind, "start": round(a, 3), "end": round(b, 3), "text": text} for kind, a, b, text in heard.marks]
    settings = {"video": "presenter.mp4", "body_map": "presenter.npz", "settings": {"mode": "blended"}, "said": said}
    (folder / "settings.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def write_body_map(path: Path, iuv: np.ndarray, landmarks: np.ndarray) -> None:
    """An .npz as `np.savez` writes it, by LZMA, which packs body maps to half of what deflate does; NumPy reads both."""
    arrays = {"iuv": iuv, "landmarks": landmarks, "fps": np.float64(presenter_example.FPS)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, values in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # its date is fixed, so that equal maps give equal files
            entry.compress_type = zipfile.ZIP_LZMA
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(values), allow_pickle=False)


def dance() -> None:
    """Write the example of the Animal dance tab: six keyframes as PNG, the song as MP3, the dancer as BVH, and the settings."""
    folder = FOLDER / "dance"
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for k, pose in enumerate(dance_rig.POSES):
        names.append(f"marmot-{k + 1}-{pose}.png")
        picture = cv2.cvtColor(dance_marmot.keyframe(pose), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / names[-1]), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    write_mp3(folder / "meadow-loop.mp3", dance_song.song(), dance_song.RATE)
    (folder / "dancer.bvh").write_text(dance_steps.bvh(dance_steps.steps()), encoding="ascii")
    settings = {
        "keyframes": names,
        "song": "meadow-loop.mp3",
        "motion": "dancer.bvh",
        "pattern": dance_steps.PATTERN,
        "bpm": dance_song.BPM,
        "first_downbeat_s": dance_song.FIRST_BEAT_S,
        "beats": len(dance_song.beat_times_s()),
        "beats_per_bar": dance_song.BEATS_PER_BAR,
    }
    (folder / "settings.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def zoom() -> None:
    """Write the example of the Powers of ten tab: photos of one drawn circuit board from ever closer, and its project."""
    folder = FOLDER / "zoom" / "circuit board"
    folder.mkdir(parents=True, exist_ok=True)
    for k, photo in enumerate(scale_example.photos(), 1):
        picture = cv2.cvtColor(photo, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"board-{k}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    project = {
        "format": "genkey-zoom-project",
        "mode": "images",
        "video": {"direction": "in-out", "easing": "ease-in-out"},
    }
    (folder / "project.json").write_text(json.dumps(project, indent=1) + "\n", encoding="utf-8")


def write_mp3(path: Path, samples: np.ndarray, rate: int, bit_rate: int = 128_000) -> None:
    """Sound float32 [2 S] as MP3, which every browser plays."""
    with av.open(str(path), "w", format="mp3", options={"id3v2_version": "3", "write_id3v1": "0"}) as container:
        stream = container.add_stream("libmp3lame", rate=rate, layout="stereo", format="fltp")
        stream.bit_rate = bit_rate
        for start in range(0, samples.shape[1], 1152):
            block = np.ascontiguousarray(samples[:, start : start + 1152])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


MAKERS = {"inbetween": keyframes, "jumpcut": talk, "dance": dance, "zoom": zoom}

if __name__ == "__main__":
    for wanted in sys.argv[1:] or MAKERS:
        MAKERS[wanted]()
