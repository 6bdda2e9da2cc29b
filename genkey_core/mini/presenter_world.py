"""A talking head of our own making: who, how they move, and the exact body map and landmarks of every frame.

    clip = presenter_world.clip(seed=0, n_frames=50, size=128)
    clip.frames, clip.iuv, clip.landmarks, clip.yaw_deg

A seed names an identity and a motion; `identity_seed` and `motion_seed` take them apart. Everything is drawn by NumPy and
OpenCV; the same seeds give the same clip. What stands in for DensePose (Gueler et al. 2018) and for a face-landmark
network is computed from the very meshes that are drawn (thesis section 4.3.1 uses both on real footage).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np

from genkey_core.checks import InputError, integer, number
from genkey_core.mini import presenter_mesh
from genkey_core.mini.presenter_backdrop import backdrop
from genkey_core.mini.presenter_identity import TRAIN_SEEDS, VALIDATION_SEEDS, Identity, identity
from genkey_core.mini.presenter_mesh import NECK_PIVOT, head_grid, jaw_drop
from genkey_core.mini.presenter_paint import Textures, brow_line, eye_outline, mouth_lines, surface_angles
from genkey_core.mini.presenter_raster import Posed, render

__all__ = ["LANDMARKS", "TRAIN_SEEDS", "VALIDATION_SEEDS", "Clip", "Motion", "Presenter", "clip", "identity", "motion"]

# Order of the landmarks; "left" and "right" are the picture's, seen from the front.
LANDMARKS = (
    *(f"jaw-{k}" for k in range(9)),  # left ear to chin to right ear
    *(f"{side}-brow-{place}" for side in ("left", "right") for place in ("inner", "middle", "outer")),
    "nose-bridge", "nose-ridge", "nose-tip", "left-nostril", "right-nostril",
    *(f"{side}-eye-{place}" for side in ("left", "right") for place in ("left", "upper", "right", "lower")),
    "mouth-left", "mouth-right", "upper-lip-top", "upper-lip-edge", "lower-lip-edge", "lower-lip-bottom", "lip-left", "lip-right",
)  # fmt: skip
MOST_YAW_DEG = 75.0
_BEHIND = 0.14  # head units by which a landmark may lie behind the drawn surface and still count as seen


@dataclass(frozen=True)
class Motion:
    """What the presenter does, one value per frame, float [T]."""

    yaw_deg: np.ndarray  # of the head, positive towards the picture's right
    pitch_deg: np.ndarray  # positive: nods down
    roll_deg: np.ndarray
    shift_x: np.ndarray  # head units
    shift_y: np.ndarray
    nearness: np.ndarray  # scale; about 0.85 to 1.25
    mouth: np.ndarray  # 0 closed, 1 wide open
    smile: np.ndarray  # -1 to 1
    blink: np.ndarray  # 0 open, 1 shut
    gaze_x: np.ndarray
    gaze_y: np.ndarray
    brow: np.ndarray
    left_hand: np.ndarray  # 0 hanging, 1 raised before the chest
    right_hand: np.ndarray
    wave: np.ndarray  # where raised hands are, -1 to 1

    def __len__(self) -> int:
        return len(self.yaw_deg)

    def at(self, frame: int) -> dict[str, float]:
        return {field.name: float(getattr(self, field.name)[frame]) for field in fields(self)}


@dataclass(frozen=True)
class Clip:
    """A rendered clip and what is known of it."""

    frames: np.ndarray  # uint8 [T H W 3]
    iuv: np.ndarray  # float32 [T H W 3]: DensePose part number (0: none), U and V in [0, 1]
    landmarks: np.ndarray  # float32 [T L 3]: x, y in pixels (0, 0 is the middle of the first), 1 where visible
    yaw_deg: np.ndarray  # float32 [T]


def motion(seed: int, n_frames: int, *, fps: float = 25.0, talk: np.ndarray | None = None) -> Motion:
    """How a presenter moves and speaks; `talk` [T] in [0, 1] puts the mouth to a sound track.

    The motion is a function of time: with a lower `fps` the same seed gives the same motion, sampled more thinly.
    """
    integer(n_frames, "n_frames", low=1)
    number(fps, "fps", low=0.01)
    t = np.arange(n_frames) / fps
    streams = iter(np.random.SeedSequence([4, 5, integer(seed, "seed", low=0)]).spawn(16))

    def drift(pause_s: tuple[float, float], draw) -> np.ndarray:
        """Values from `draw`, each reached with an eased move and held a while."""
        # Times and values from streams of their own: a longer clip begins like a shorter one.
        when, what = (np.random.default_rng(stream) for stream in next(streams).spawn(2))
        gaps = when.uniform(*pause_s, int((t[-1] + 2 * pause_s[1]) / pause_s[0]) + 3)
        values = draw(what, len(gaps))
        times = np.cumsum(gaps) - pause_s[1]
        k = np.clip(np.searchsorted(times, t) - 1, 0, len(gaps) - 2)
        share = np.clip((t - times[k]) / np.minimum(gaps[k + 1], 0.9), 0, 1)
        return values[k] + (values[k + 1] - values[k]) * share * share * (3 - 2 * share)

    def between(low: float, high: float, power: float = 1.0):
        def draw(rng: np.random.Generator, n: int) -> np.ndarray:
            u = rng.uniform(-1, 1, n)
            return (low + high) / 2 + (high - low) / 2 * np.sign(u) * np.abs(u) ** power

        return draw

    def seldom(share: float):
        def draw(rng: np.random.Generator, n: int) -> np.ndarray:
            chance, height = rng.random((n, 2)).T
            return (chance < share) * (0.7 + 0.3 * height)

        return draw

    yaw = drift((0.7, 1.8), between(-MOST_YAW_DEG, MOST_YAW_DEG, 1.35))
    phrase = drift((0.5, 1.6), lambda rng, n: (rng.random(n) < 0.75).astype(float))
    mouth = drift((0.09, 0.19), between(0.0, 1.0)) * phrase
    blinks = np.random.default_rng(next(streams))
    shut_s = np.cumsum(blinks.uniform(1.6, 4.5, int(t[-1] / 1.6) + 3)) - 1.5
    blink = np.clip(1.25 - np.abs(t[:, None] - shut_s[None]) / 0.10, 0, 1).max(1)
    if talk is not None:
        if np.shape(talk) != (n_frames,) or not np.isfinite(talk).all():
            raise InputError(f"talk: {n_frames} finite values, one a frame, are needed, got shape {np.shape(talk)}.")
        mouth = np.clip(np.asarray(talk, np.float64), 0, 1)
    return Motion(
        yaw_deg=yaw, pitch_deg=drift((0.4, 1.1), between(-13, 16)), roll_deg=drift((0.6, 1.5), between(-8, 8)),
        shift_x=drift((0.8, 2.0), between(-0.22, 0.22)) + yaw / 75 * 0.12, shift_y=drift((0.8, 2.0), between(-0.1, 0.12)),
        nearness=drift((0.9, 2.4), between(0.86, 1.2)), mouth=mouth, smile=drift((0.5, 1.5), between(-0.6, 1.0)),
        blink=blink, gaze_x=drift((0.3, 1.2), between(-0.8, 0.8, 1.5)), gaze_y=drift((0.3, 1.2), between(-0.6, 0.6, 1.5)),
        brow=drift((0.4, 1.2), between(-0.6, 1.0)), left_hand=drift((0.7, 1.8), seldom(0.3)),
        right_hand=drift((0.7, 1.8), seldom(0.3)), wave=drift((0.3, 0.8), between(-1, 1)),
    )  # fmt: skip


class Presenter:
    """One person at one picture size, ready to be drawn in any pose."""

    def __init__(self, who: Identity, size: int):
        self.who, self.size = who, integer(size, "size", low=16, high=2048)
        self.parts = presenter_mesh.build(who)
        self.textures = Textures(who, min(max(4 * size, 256), 2048))
        self.room = backdrop(who, size)

    def draw(self, pose: dict[str, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A frame uint8 [H W 3], its IUV float32 [H W 3] and its landmarks float32 [L 3]."""
        bones = _bones(self.who, pose)
        posed = [self._posed(part, bones, pose) for part in self.parts]
        gaze = (
            pose["gaze_x"] - pose["yaw_deg"] / 90,
            pose["gaze_y"] - pose["pitch_deg"] / 60,
        )  # eyes stay on the viewer
        gaze = tuple(float(np.clip(g, -1, 1)) for g in gaze)
        face = {name: pose[name] for name in ("mouth", "smile", "blink", "brow")}
        drawn = render(posed, self.textures.face(gaze=gaze, **face), self.who, self.size)
        frame = drawn.colour + self.room * (1 - drawn.cover[..., None])
        frame = (np.clip(frame, 0, 1) * 255 + 0.5).astype(np.uint8)
        return frame, drawn.iuv, self._landmarks(posed[0], drawn.depth, face)

    def _posed(self, part, bones, pose: dict[str, float]) -> Posed:
        points = jaw_drop(part.vertices, pose["mouth"]) if part.name == "head" else part.vertices
        moved, turned = 0.0, 0.0
        for bone, weight in zip(part.bones, (part.weight, 1 - part.weight), strict=True):
            turn, offset = bones[bone]
            moved = moved + weight[:, None] * (points @ turn.T + offset)
            turned = turned + weight[:, None] * (part.normals @ turn.T)
        x, y, unit = self.who.framing
        scale = unit * self.size * pose["nearness"]
        pixels = moved[:, :2] * scale + (x * self.size, y * self.size)
        return Posed(part, pixels, moved[:, 2], turned)

    def _landmarks(self, head: Posed, depth: np.ndarray, face: dict[str, float]) -> np.ndarray:
        lon, lat = _landmark_angles(self.who, face)
        columns, rows = head_grid()
        r = np.clip(lat / np.pi * (len(rows) - 1), 0, len(rows) - 1.001)
        c = np.clip(np.interp(lon, columns, np.arange(len(columns))), 0, len(columns) - 1.001)
        values = np.concatenate([head.pixels, head.depth[:, None], head.normals[:, 2:]], 1).reshape(
            len(rows), len(columns), 4
        )
        r0, c0 = r.astype(int), c.astype(int)
        fr, fc = (r - r0)[:, None], (c - c0)[:, None]
        top = values[r0, c0] * (1 - fc) + values[r0, c0 + 1] * fc
        low = values[r0 + 1, c0] * (1 - fc) + values[r0 + 1, c0 + 1] * fc
        x, y, z, towards = (top * (1 - fr) + low * fr).T
        inside = (x >= 0) & (y >= 0) & (x < self.size) & (y < self.size)
        column, row = (np.clip(v, 0, self.size - 1).astype(int) for v in (x, y))
        seen = inside & (towards > 0) & (z > depth[row, column] - _BEHIND)
        return np.stack([x - 0.5, y - 0.5, seen], 1).astype(np.float32)


def _landmark_angles(who: Identity, face: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude [L] of every landmark with this expression."""
    points = []
    for side in (-1, 1):
        points.append(brow_line(who, side, face["brow"])[[0, 6, 11]])
    points.append([(0, -0.06), (0, 0.08), (0, 0.25), (-who.nose_width * 0.75, 0.29), (who.nose_width * 0.75, 0.29)])
    for side in (-1, 1):
        upper, lower = eye_outline(who, side, face["blink"])
        points.append([upper[0], upper[7], upper[-1], lower[7]])
    x, bow, upper, lower, under = mouth_lines(who, face["mouth"], face["smile"])
    points.append([(x[0], upper[0]), (x[-1], upper[-1]), *((x[10], line[10]) for line in (bow, upper, lower, under)),
                   (x[5], bow[5]), (x[15], bow[15])])  # fmt: skip
    points = np.concatenate([np.asarray(p, np.float64) for p in points])
    lon, lat = surface_angles(who, points[:, 0], points[:, 1])
    t = np.linspace(-1, 1, 9)
    jaw_lat = np.arccos(-np.clip(0.95 - 0.85 * t**2, -1, 1))
    return np.concatenate([t * np.radians(82), lon]), np.concatenate([jaw_lat, lat])


def _turn(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rotation [3 3] from angles in degrees."""
    (cy, cp, cr), (sy, sp, sr) = (f(np.radians([yaw, pitch, roll])) for f in (np.cos, np.sin))
    return (
        np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        @ np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    )


def _bones(who: Identity, pose: dict[str, float]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Matrix and offset of every bone: rest coordinates to head units before the camera."""
    shift = np.array([pose["shift_x"], pose["shift_y"], 0.0])
    body_yaw = 0.28 * pose["yaw_deg"]
    torso, centre = _turn(body_yaw, 0, pose["roll_deg"] * 0.2), np.array([0, 1.9, -0.2])
    # The trunk leans: it follows the head's shift less the further down.
    offset = centre - torso @ centre + shift * 0.8
    head = _turn(pose["yaw_deg"], pose["pitch_deg"], pose["roll_deg"])
    neck = torso @ NECK_PIVOT + offset + shift * 0.2
    bones = {"torso": (torso, offset), "head": (head, neck - head @ NECK_PIVOT)}
    for side, name in ((-1, "right"), (1, "left")):
        raised = pose[f"{name}_hand"]
        shoulder = np.array([side * (who.shoulders - 0.22), 1.92, -0.12])
        hanging = (
            np.array([side * (who.shoulders + 0.08), 3.45, -0.05]),
            np.array([side * (who.shoulders - 0.15), 4.7, 0.35]),
        )
        lifted = (
            np.array([side * (who.shoulders + 0.2), 3.2, 0.35]),
            np.array([side * (0.95 + 0.25 * pose["wave"]), 2.55 + 0.2 * pose["wave"], 0.95]),
        )
        elbow, wrist = (a + (b - a) * raised for a, b in zip(hanging, lifted, strict=True))
        shoulder, elbow, wrist = (torso @ p + offset for p in (shoulder, elbow, wrist))
        along = (wrist - elbow) / np.linalg.norm(wrist - elbow)
        fingers = along + raised * np.array([-0.25 * side, -0.7, 0.1])
        bones[f"upper-{name}"] = _limb(shoulder, elbow)
        bones[f"lower-{name}"] = _limb(elbow, wrist)
        bones[f"hand-{name}"] = _limb(wrist, wrist + fingers / np.linalg.norm(fingers))
    return bones


def _limb(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A bone whose y axis runs from `start` to `end`, x to the side."""
    along = end - start
    x = np.cross(along, (0.0, 0.0, 1.0))
    x /= np.linalg.norm(x) + 1e-9
    z = np.cross(x, along)
    z /= np.linalg.norm(z) + 1e-9
    if x[0] < 0:
        x = -x
    if z[2] < 0:
        z = -z
    return np.stack([x, along, z], 1), start


@lru_cache(maxsize=4)
def presenter(identity_seed: int, size: int) -> Presenter:
    return Presenter(identity(identity_seed), size)


def clip(
    seed: int,
    n_frames: int,
    size: int = 128,
    *,
    fps: float = 25.0,
    identity_seed: int | None = None,
    motion_seed: int | None = None,
    talk: np.ndarray | None = None,
    **fixed: float,
) -> Clip:
    """A clip of one presenter, `size` pixels square.

    `talk` [T] in [0, 1] opens the mouth to a sound track; `fixed` holds fields of `Motion` at one value
    (`yaw_deg=30.0`). Seeds in VALIDATION_SEEDS give people no training has seen. Raises InputError for numbers outside
    their range.
    """
    who = integer(seed if identity_seed is None else identity_seed, "identity_seed", low=0)
    moves = motion(seed if motion_seed is None else motion_seed, n_frames, fps=fps, talk=talk)
    unknown = set(fixed) - {field.name for field in fields(Motion)}
    if unknown:
        raise InputError(f"clip: {', '.join(sorted(unknown))} is nothing a presenter does.")
    moves = replace(moves, **{name: np.full(n_frames, float(value)) for name, value in fixed.items()})
    person = presenter(who, size)
    drawn = [person.draw(moves.at(frame)) for frame in range(n_frames)]
    frames, iuv, landmarks = (np.stack(column) for column in zip(*drawn, strict=True))
    return Clip(frames, iuv, landmarks, moves.yaw_deg.astype(np.float32))
