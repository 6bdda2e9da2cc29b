"""A drawn creature in six poses over a drawn landscape, with true masks, shadows and background: planted truth."""

from __future__ import annotations

import cv2
import numpy as np

POSES = (  # lean, left arm, right arm (degrees from hanging), left foot, right foot lifted, place as a share of the width
    (0, 20, 20, 0.0, 0.0, 0.50),
    (8, 150, 30, 0.0, 0.5, 0.47),
    (-8, 30, 150, 0.5, 0.0, 0.53),
    (0, 150, 150, 0.0, 0.0, 0.50),
    (14, 90, 90, 0.3, 0.0, 0.44),
    (-14, 60, 120, 0.0, 0.3, 0.56),
)


def landscape(size: tuple[int, int] = (384, 216)) -> np.ndarray:  # [H W 3] uint8
    """Sky, hills, a meadow with grain: `size` (W, H)."""
    w, h = size
    rng = np.random.default_rng(4)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    picture = np.dstack([120 + 60 * y / h, 170 + 40 * y / h, np.full_like(y, 225)])
    for level, colour in ((0.45, (120, 140, 165)), (0.58, (95, 135, 95)), (0.72, (110, 165, 80))):
        edge = h * (level + 0.05 * np.sin(x / w * 9 + 20 * level))
        picture[y > edge] = colour
    grain = cv2.GaussianBlur(rng.normal(size=(h, w)).astype(np.float32), (0, 0), 1.0) * 9
    return np.clip(picture + grain[..., None], 0, 255).astype(np.uint8)


def creature(pose: int, size: tuple[int, int] = (384, 216), spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Colours uint8 [H W 3] and mask float32 [H W] of pose number `pose`, drawn at four times the size."""
    lean, left, right, lift_left, lift_right, place = POSES[pose]
    w, h = size
    place = 0.5 + spread * (place - 0.5)
    s = 4 * h / 216
    colours = np.zeros((4 * h, 4 * w, 3), np.uint8)
    colours[:] = (150, 92, 48)
    mask = np.zeros((4 * h, 4 * w), np.uint8)
    foot = np.array([place * 4 * w, 190 * s])
    turn = np.deg2rad(lean)
    up, side = np.array([np.sin(turn), -np.cos(turn)]), np.array([np.cos(turn), np.sin(turn)])

    def disc(centre: np.ndarray, radii: tuple[float, float], colour: tuple[int, int, int], angle: float = lean) -> None:
        where = tuple(int(c) for c in centre)
        axes = tuple(int(r * s) for r in radii)
        cv2.ellipse(colours, where, axes, angle, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(mask, where, axes, angle, 0, 360, 255, -1, cv2.LINE_AA)

    for sign, lift in ((-1, lift_left), (1, lift_right)):
        disc(foot + side * sign * 16 * s - np.array([0, lift * 18 * s]), (13, 7), (90, 55, 30), 0)
    for sign, angle in ((-1, left), (1, right)):
        shoulder = foot + up * 78 * s + side * sign * 20 * s
        a = np.deg2rad(angle)
        hand = shoulder + side * sign * np.sin(a) * 44 * s - up * np.cos(a) * 44 * s
        for picture, colour in ((colours, (130, 78, 40)), (mask, 255)):
            cv2.line(picture, tuple(shoulder.astype(int)), tuple(hand.astype(int)), colour, int(13 * s), cv2.LINE_AA)
    disc(foot + up * 52 * s, (30, 50), (150, 92, 48))
    disc(foot + up * 46 * s, (19, 32), (215, 180, 130))
    disc(foot + up * 112 * s, (24, 22), (160, 100, 55))
    for sign in (-1, 1):
        disc(foot + up * 116 * s + side * sign * 9 * s, (4, 4), (25, 20, 20))
    disc(foot + up * 106 * s, (5, 4), (40, 25, 25))
    small = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (colours, mask)]
    return small[0], small[1].astype(np.float32) / 255.0


def shadow(
    pose: int, size: tuple[int, int] = (384, 216), spread: float = 1.0
) -> np.ndarray:  # [H W] float32, light that is left
    """A soft contact shadow under the feet."""
    w, h = size
    dark = np.zeros((h, w), np.float32)
    cv2.ellipse(
        dark,
        (int((0.5 + spread * (POSES[pose][5] - 0.5)) * w), int(h * 0.885)),
        (int(h * 0.2), int(h * 0.03)),
        0,
        0,
        360,
        0.35,
        -1,
    )
    return 1.0 - cv2.GaussianBlur(dark, (0, 0), h / 72)


def keyframes(
    size: tuple[int, int] = (384, 216), *, noise: float = 1.5, shaded: bool = True, spread: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Six keyframes uint8 [6 H W 3] with grain, their true masks float32 [6 H W] and the true background uint8 [H W 3].

    `spread` 1 dances on the spot, 4 all over the meadow.
    """
    rng = np.random.default_rng(7)
    background = landscape(size)
    images, masks = [], []
    for pose in range(len(POSES)):
        colours, mask = creature(pose, size, spread)
        light = shadow(pose, size, spread) if shaded else np.ones_like(mask)
        picture = mask[..., None] * colours + ((1 - mask) * light)[..., None] * background
        picture += rng.normal(size=picture.shape) * noise
        images.append(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
        masks.append(mask)
    return np.stack(images), np.stack(masks), background


def drawn_grid(size=(240, 136), gutter=6) -> np.ndarray:
    """Six poses, two rows of three, with white lines between them."""
    w, h = size
    image = np.full((2 * h + gutter, 3 * w + 2 * gutter, 3), 255, np.uint8)
    for k, pose in enumerate(keyframes(size, spread=3)[0]):
        y, x = k // 3 * (h + gutter), k % 3 * (w + gutter)
        image[y : y + h, x : x + w] = pose
    return image
