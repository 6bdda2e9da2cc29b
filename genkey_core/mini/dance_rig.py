"""The drawn marmot of the dance example: its skeleton, the shapes it is built of, and the six poses it strikes.

Axes are the picture's: x to the right, y up, z to the viewer; the ground is y = 0 and the marmot stands about 2 units high.
A pose says where joints are; `shapes` turns it into ellipsoids and tapered rods that `dance_trace` blends into one body.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
Vector = tuple[float, float, float]

BACK: Colour = (116, 80, 50)
FLANK: Colour = (158, 108, 64)
BELLY: Colour = (234, 194, 138)
CROWN: Colour = (98, 68, 46)
CHEEK: Colour = (218, 172, 116)
MUZZLE: Colour = (244, 214, 172)
PAW: Colour = (70, 48, 38)
NOSE: Colour = (46, 32, 32)
EYE: Colour = (22, 16, 18)
INNER_EAR: Colour = (206, 132, 112)
TOOTH: Colour = (255, 251, 238)
MOUTH: Colour = (96, 30, 36)
TONGUE: Colour = (226, 110, 112)
PHONES: Colour = (222, 56, 62)
PADS: Colour = (58, 62, 74)

_UPPER_ARM, _LOWER_ARM = 0.33, 0.31
_THIGH, _SHIN = 0.28, 0.25
_LID = (-0.07, -0.05, -0.025, 0.0, 0.025, 0.05, 0.07)
_HEAD = 1.24  # its size: a head too large for its body is what makes a drawn animal young


@dataclass(frozen=True)
class Shape:
    """An ellipsoid (`radii`) at `a`, or a rod from `a` to `b` with radii `radii[0]` and `radii[1]`.

    `turn` [3 3] holds the local axes as columns. Colour runs from `back` to `front` along the local z axis, mixed about
    `edge`. `blend` is how softly it joins what is there, `fur_px` how long its hair is in final pixels, 0 for smooth. Shapes
    of one `group` blend, so that a forearm may pass before the face and not melt into it.
    """

    a: np.ndarray
    radii: Vector
    turn: np.ndarray
    front: Colour
    back: Colour
    b: np.ndarray | None = None
    blend: float = 0.06
    fur_px: float = 6.0
    edge: float = 0.0
    gloss: float = 0.0
    group: int = 0


@dataclass(frozen=True)
class Pose:
    """Angles in degrees, places in units. Sides are the picture's: `arm_left` is the one seen on the left.

    `root`: x, height of the pelvis and z; `hips`, `chest` and `head`: (pitch forward, yaw to the right, roll clockwise as
    seen); arms: directions of upper and lower arm in the chest's axes; feet: places of the ankles and the yaw of the foot;
    `tail`: angle from straight down, to the right, at its root and what each joint adds.
    """

    root: Vector
    hips: Vector
    chest: Vector
    head: Vector
    arm_left: tuple[Vector, Vector]
    arm_right: tuple[Vector, Vector]
    foot_left: tuple[Vector, float]
    foot_right: tuple[Vector, float]
    tail: tuple[float, float] = (60, 14)
    happy: bool = False  # eyes closed for joy


POSES: dict[str, Pose] = {
    "point": Pose(  # one paw to the sky, the other on the hip
        (0.10, 0.64, 0.0), (0, 10, 10), (0, 14, -12), (-8, -14, -13),
        ((-0.95, -0.35, 0.1), (0.75, -0.5, 0.55)), ((0.62, 0.8, 0.1), (0.55, 0.86, 0.1)),
        ((-0.42, 0.09, 0.02), -28), ((0.34, 0.09, 0.1), 22), (-70, -13),
    ),
    "squat": Pose(  # low and wide, paws out in front
        (-0.05, 0.44, 0.0), (16, -6, 0), (8, -10, 6), (-14, 16, 9),
        ((-0.9, -0.1, 0.55), (-0.3, 0.95, 0.3)), ((0.88, -0.15, 0.5), (0.5, -0.72, 0.5)),
        ((-0.52, 0.09, 0.06), -42), ((0.52, 0.09, 0.06), 42), (75, 8), happy=True,
    ),
    "kick": Pose(  # one leg flung aside, the paws the other way
        (-0.16, 0.66, 0.0), (0, -8, -14), (0, -14, 20), (-4, 10, 12),
        ((-0.92, 0.4, 0.15), (-0.8, 0.62, 0.2)), ((0.3, -0.5, 0.75), (-0.85, 0.1, 0.6)),
        ((-0.2, 0.09, 0.04), -18), ((0.70, 0.46, 0.16), 62), (-78, -12),
    ),
    "leap": Pose(  # in the air, all four away
        (0.02, 0.98, 0.0), (-4, 6, -5), (-4, 6, -5), (-4, 8, 12),
        ((-0.72, 0.72, 0.1), (-0.5, 0.86, 0.2)), ((0.85, 0.5, 0.12), (0.88, 0.4, 0.28)),
        ((-0.46, 0.36, -0.05), -45), ((0.36, 0.62, 0.22), 35), (62, 24), happy=True,
    ),
    "march": Pose(  # from the side, a knee up
        (0.0, 0.66, 0.0), (6, 62, 0), (4, -8, 0), (-8, -18, -6),
        ((-0.35, -0.45, 0.8), (-0.2, 0.55, 0.82)), ((0.42, -0.75, -0.45), (0.3, -0.3, 0.9)),
        ((0.40, 0.50, 0.20), 58), ((-0.12, 0.09, -0.05), 50), (-84, -16),
    ),
    "dab": Pose(  # the face in one elbow, the other arm out
        (0.06, 0.62, 0.0), (4, 6, 8), (8, 10, -14), (16, -26, -26),
        ((-0.80, 0.10, 0.66), (0.86, 0.34, 0.62)), ((0.9, 0.42, -0.05), (0.9, 0.44, 0.1)),
        ((-0.36, 0.09, 0.0), -30), ((0.44, 0.09, 0.08), 30), (-55, -18), happy=True,
    ),
}  # fmt: skip


def turned(pitch: float, yaw: float, roll: float) -> np.ndarray:
    """Rotation [3 3], degrees: pitch tips forward, yaw turns to the picture's right, roll goes clockwise as seen."""
    p, y, r = np.deg2rad([pitch, yaw, -roll])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


@dataclass(frozen=True)
class Frame:
    """A place with axes; calling it takes local coordinates to the world's."""

    at: np.ndarray
    turn: np.ndarray
    size: float = 1.0

    def __call__(self, x: float, y: float, z: float) -> np.ndarray:
        return self.at + self.turn @ (self.size * np.array([x, y, z]))

    def shape(self, place: Vector, radii: Vector, front: Colour, back: Colour, **more) -> Shape:
        return Shape(self(*place), tuple(self.size * r for r in radii), self.turn, front, back, **more)


def frames(pose: Pose) -> tuple[Frame, Frame, Frame]:
    """Pelvis, chest and head."""
    pelvis = Frame(np.array(pose.root, float), turned(*pose.hips))
    chest = Frame(pelvis(0, 0.40, 0), pelvis.turn @ turned(*pose.chest))
    head = Frame(chest(0, 0.36, 0.03), chest.turn @ turned(*pose.head), _HEAD)
    return pelvis, chest, head


def shapes(pose: Pose) -> list[Shape]:
    """Everything the marmot is made of, the trunk first."""
    pelvis, chest, head = frames(pose)
    made = [
        pelvis.shape((0, 0.04, 0.03), (0.43, 0.45, 0.40), BELLY, FLANK, blend=0.12, fur_px=8, edge=0.24),
        pelvis.shape((0, -0.12, -0.05), (0.42, 0.30, 0.37), BELLY, BACK, blend=0.12, fur_px=8, edge=0.24),
        chest.shape((0, 0.04, 0.0), (0.33, 0.40, 0.31), BELLY, FLANK, blend=0.14, fur_px=8, edge=0.15),
    ]
    for side, arm in ((-1, pose.arm_left), (1, pose.arm_right)):
        made += _arm(chest, side, arm)
    for side, (ankle, yaw) in ((-1, pose.foot_left), (1, pose.foot_right)):
        made += _leg(pelvis, side, np.array(ankle) + np.array([pose.root[0], 0, 0]), yaw)
    made += _tail(pelvis, *pose.tail)
    return made + _head(head, pose) + _phones(head)


def _arm(chest: Frame, side: int, directions: tuple[Vector, Vector]) -> list[Shape]:
    upper, lower = (chest.turn @ (np.array(d) / np.linalg.norm(d)) for d in directions)
    shoulder = chest(side * 0.27, 0.20, 0.05)
    elbow = shoulder + _UPPER_ARM * upper
    wrist = elbow + _LOWER_ARM * lower
    across = np.cross(lower, chest.turn[:, 2])
    across /= max(np.linalg.norm(across), 1e-6)
    made = [
        Shape(shoulder, (0.15, 0.115, 0), chest.turn, FLANK, BACK, elbow, blend=0.10, fur_px=6, edge=-0.03),
        Shape(elbow, (0.115, 0.088, 0), chest.turn, FLANK, BACK, wrist, 0.06, 6, edge=-0.03, group=side),
        Shape(wrist + 0.05 * lower, (0.098, 0.098, 0.098), chest.turn, PAW, PAW, blend=0.05, fur_px=3, group=side),
    ]
    for spread in (-0.06, 0.0, 0.06):
        base, tip = wrist + 0.07 * lower + spread * across, wrist + 0.16 * lower + spread * 1.25 * across
        made.append(Shape(base, (0.040, 0.034, 0), chest.turn, PAW, PAW, tip, 0.02, 0.0, group=side))
    return made


def _leg(pelvis: Frame, side: int, ankle: np.ndarray, yaw: float) -> list[Shape]:
    hip = pelvis(side * 0.24, -0.14, 0.05)
    knee = _bent(hip, ankle, pelvis.turn @ np.array([side * 0.7, 0.1, 1.0]))
    turn = turned(0, yaw, 0)
    toe = ankle + turn @ np.array([0, -0.02, 0.26])
    across = turn[:, 0]
    made = [
        Shape(hip, (0.23, 0.16, 0), pelvis.turn, FLANK, BACK, knee, blend=0.10, fur_px=7, edge=-0.02),
        Shape(knee, (0.15, 0.10, 0), pelvis.turn, FLANK, BACK, ankle, blend=0.08, fur_px=6, edge=-0.02),
        Shape(ankle, (0.095, 0.085, 0), turn, PAW, PAW, toe, blend=0.05, fur_px=3),
    ]
    for spread in (-0.065, 0.0, 0.065):
        base = toe + spread * across
        made.append(Shape(base, (0.052, 0.042, 0), turn, PAW, PAW, base + turn @ np.array([0, -0.015, 0.07]), 0.02, 0))
    return made


def _bent(hip: np.ndarray, ankle: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """The knee between hip and ankle, bent `towards`; a leg too short for its place is stretched, as in cartoons."""
    way = ankle - hip
    length = np.linalg.norm(way)
    along = way / length
    aside = towards - along * (along @ towards)
    aside /= max(np.linalg.norm(aside), 1e-6)
    share = (length**2 + _THIGH**2 - _SHIN**2) / (2 * length)
    share = float(np.clip(share, 0.3 * length, 0.7 * length))
    return hip + share * along + np.sqrt(max(_THIGH**2 - share**2, 0.0004)) * aside


def _tail(pelvis: Frame, angle: float, bend: float) -> list[Shape]:
    made, at = [], pelvis(0, -0.2, -0.30)
    radii = np.array([0.10, 0.125, 0.14, 0.135, 0.06])
    for k in range(4):
        a = np.deg2rad(angle + bend * k)
        after = at + pelvis.turn @ (0.19 * np.array([np.sin(a), -np.cos(a), -0.25]))
        colour = BACK if k < 2 else CROWN
        made.append(
            Shape(at, (radii[k], radii[k + 1], 0), pelvis.turn, FLANK if k < 2 else BACK, colour, after, 0.06, 11)
        )
        at = after
    return made


def _head(head: Frame, pose: Pose) -> list[Shape]:
    made = [
        head.shape((0, 0.26, 0.02), (0.31, 0.29, 0.30), CHEEK, CROWN, blend=0.10, fur_px=4, edge=0.16),
        head.shape((0, 0.40, 0.10), (0.20, 0.14, 0.19), CROWN, CROWN, blend=0.06, fur_px=4),
    ]
    for side in (-1, 1):
        made += [
            head.shape((side * 0.17, 0.15, 0.13), (0.185, 0.165, 0.17), CHEEK, FLANK, blend=0.07, fur_px=6, edge=0.0),
            head.shape((side * 0.225, 0.505, -0.02), (0.098, 0.10, 0.05), FLANK, BACK, blend=0.03, fur_px=3),
            head.shape((side * 0.225, 0.50, 0.02), (0.062, 0.066, 0.032), INNER_EAR, INNER_EAR, blend=0.01, fur_px=0),
        ]
    made += [
        head.shape((0, 0.145, 0.27), (0.15, 0.115, 0.15), MUZZLE, MUZZLE, blend=0.07, fur_px=2.5),
        head.shape((0, 0.045, 0.26), (0.105, 0.085, 0.115), MUZZLE, MUZZLE, blend=0.05, fur_px=2.5),
        head.shape((0, 0.040, 0.335), (0.088, 0.062, 0.062), MOUTH, MOUTH, blend=0.0, fur_px=0),
        head.shape((0, 0.008, 0.372), (0.056, 0.030, 0.028), TONGUE, TONGUE, blend=0.0, fur_px=0),
        head.shape((-0.019, 0.070, 0.402), (0.0185, 0.032, 0.012), TOOTH, TOOTH, blend=0.0, fur_px=0, gloss=0.3),
        head.shape((0.019, 0.070, 0.402), (0.0185, 0.032, 0.012), TOOTH, TOOTH, blend=0.0, fur_px=0, gloss=0.3),
        head.shape((0, 0.215, 0.40), (0.06, 0.043, 0.045), NOSE, NOSE, blend=0.012, fur_px=0, gloss=0.7),
    ]
    for side in (-1, 1):
        made.append(
            head.shape((side * 0.062, 0.118, 0.365), (0.078, 0.062, 0.068), MUZZLE, MUZZLE, blend=0.02, fur_px=2.5)
        )
        if pose.happy:
            arc = [_on_face(head, side * 0.145 + u, 0.255 + 0.055 * (1 - (u / 0.075) ** 2)) for u in _LID]
            made += [
                Shape(a, (0.015, 0.015, 0), head.turn, EYE, EYE, b, blend=0, fur_px=0)
                for a, b in itertools.pairwise(arc)
            ]
        else:
            made.append(
                head.shape((side * 0.145, 0.272, 0.250), (0.072, 0.086, 0.062), EYE, EYE, blend=0, fur_px=0, gloss=1.0)
            )
    return made


def _on_face(head: Frame, x: float, y: float) -> np.ndarray:
    """The point of the skull, or of what covers it, in front of (x, y)."""
    return head(x, y, 0.038 + 0.30 * np.sqrt(max(1 - (x / 0.31) ** 2 - ((y - 0.26) / 0.29) ** 2, 0.0)))


def _phones(head: Frame) -> list[Shape]:
    """Headphones: an arc over the crown in short rods, and a pad on either side."""
    angles = np.deg2rad(np.linspace(-78, 78, 13))
    arc = [head(0.365 * np.sin(a), 0.24 + 0.365 * np.cos(a), -0.04) for a in angles]
    made = [
        Shape(a, (0.034, 0.034, 0), head.turn, PHONES, PHONES, b, blend=0, fur_px=0, gloss=0.5)
        for a, b in itertools.pairwise(arc)
    ]
    for side in (-1, 1):
        made += [
            head.shape((side * 0.335, 0.25, -0.02), (0.060, 0.135, 0.135), PADS, PADS, blend=0, fur_px=0, gloss=0.1),
            head.shape(
                (side * 0.375, 0.25, -0.02), (0.050, 0.105, 0.105), PHONES, PHONES, blend=0, fur_px=0, gloss=0.5
            ),
        ]
    return made
