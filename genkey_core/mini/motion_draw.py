"""Drawing for the motion world: backdrops and movers, painted four times too large and averaged down.

Everything is placed on a square picture of 64 x 64 *units*, whatever its size in pixels; a `Painter` maps units to
pixels. A mover's own coordinates run forward (u) and down (v) from its anchor, so facing left is a mirror image.
"""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

UNITS = 64.0
OVERSAMPLE = 4
LENS_BLUR = 0.7  # units: softens edges to what a latent of an eighth of the size can hold
_SHIFT = 4  # OpenCV's fixed-point bits: coordinates to a sixteenth of an oversampled pixel

Colour = tuple[float, float, float]
INK: Colour = (42, 44, 52)
GLASS: Colour = (196, 224, 238)


class Painter:
    """A canvas of `size` pixels, drawn OVERSAMPLE times larger; `mask` keeps the silhouette of what is drawn on it."""

    def __init__(self, size: int, canvas: np.ndarray | None = None):
        side = size * OVERSAMPLE
        self.size = size
        self.scale = side / UNITS
        self.canvas = np.zeros((side, side, 3), np.uint8) if canvas is None else canvas.copy()
        self.mask = np.zeros((side, side), np.uint8)
        self._anchor = (0.0, 0.0, 1.0, 1.0)

    def place(self, x: float, y: float, facing: float = 1.0, scale: float = 1.0) -> None:
        """Puts the origin of all further drawing at (x, y) units, `facing` +1 right or -1 left, `scale` times as big."""
        self._anchor = (x, y, facing, scale)

    def _fixed(self, points) -> np.ndarray:  # units [N 2] -> OpenCV fixed point
        x, y, facing, scale = self._anchor
        points = np.asarray(points, np.float64) * (facing * scale, scale) + (x, y)
        # A point at a pixel's corner in drawing terms is half a pixel off OpenCV's pixel centres.
        return np.round((points * self.scale - 0.5) * (1 << _SHIFT)).astype(np.int32)

    def _length(self, units: float) -> float:
        return units * self.scale * self._anchor[3]

    def polygon(self, points, colour: Colour, *, solid: bool = True) -> None:
        """A filled polygon; `solid` False leaves it out of the silhouette (shadows, reflections)."""
        fixed = self._fixed(points)
        cv2.fillPoly(self.canvas, [fixed], colour, cv2.LINE_AA, _SHIFT)
        if solid:
            cv2.fillPoly(self.mask, [fixed], 255, cv2.LINE_AA, _SHIFT)

    def ellipse(self, centre, radii, colour: Colour, *, tilt: float = 0.0) -> None:
        """A filled ellipse, `tilt` in radians."""
        angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        ring = np.stack([np.cos(angle) * radii[0], np.sin(angle) * radii[1]], 1)
        turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
        self.polygon(ring @ turn + np.asarray(centre), colour)

    def limb(self, joints, width: float, colour: Colour) -> None:
        """A rounded stroke through `joints`."""
        fixed = self._fixed(joints)
        thickness = max(1, round(self._length(width)))
        cv2.polylines(self.canvas, [fixed], False, colour, thickness, cv2.LINE_AA, _SHIFT)
        cv2.polylines(self.mask, [fixed], False, 255, thickness, cv2.LINE_AA, _SHIFT)

    def shadow(self, centre, radii, strength: float = 0.3) -> None:
        """Darkens a soft ellipse on the ground."""
        (cx, cy), (rx, ry) = self._fixed([centre])[0] / (1 << _SHIFT), (self._length(radii[0]), self._length(radii[1]))
        side = self.canvas.shape[0]
        x0, x1 = int(max(0, cx - rx)), int(min(side, cx + rx + 1))
        y0, y1 = int(max(0, cy - ry)), int(min(side, cy + ry + 1))
        if x0 >= x1 or y0 >= y1:
            return
        ys, xs = np.mgrid[y0:y1, x0:x1]
        depth = np.clip(1 - ((xs - cx) / rx) ** 2 - ((ys - cy) / ry) ** 2, 0, 1) * strength
        self.canvas[y0:y1, x0:x1] = (self.canvas[y0:y1, x0:x1] * (1 - depth[..., None])).astype(np.uint8)

    def gradient(self, top: float, bottom: float, upper: Colour, lower: Colour) -> None:
        """Fills the rows from `top` to `bottom` units with a vertical blend."""
        a, b = round(top * self.scale), round(bottom * self.scale)
        blend = np.linspace(0, 1, max(b - a, 1))[:, None, None]
        self.canvas[a:b] = (np.asarray(upper) * (1 - blend) + np.asarray(lower) * blend).astype(np.uint8)

    def image(self) -> np.ndarray:
        """The picture at its own size, uint8 [H W 3]."""
        sharp = cv2.resize(self.canvas, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return cv2.GaussianBlur(sharp, (0, 0), LENS_BLUR * self.size / UNITS)

    def silhouette(self) -> np.ndarray:
        """How much of each pixel is covered, float32 [H W] in [0, 1]."""
        return cv2.resize(self.mask, (self.size, self.size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour of 0 to 255 from hue, saturation and value in 0 to 1."""
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return (255 * r, 255 * g, 255 * b)


def shade(colour: Colour, amount: float) -> Colour:
    """`colour` lightened (amount above 0, towards white) or darkened (below 0, towards black)."""
    target = 255.0 if amount > 0 else 0.0
    return tuple(c + (target - c) * abs(amount) for c in colour)


# --- movers: (painter, colour, phase) at the painter's anchor -------------------------------------------------------


def draw_car(p: Painter, colour: Colour, phase: float) -> None:
    """A hatchback 21 units long, cabin behind, long bonnet and headlight ahead; anchored on the ground."""
    p.shadow((0, 0.1), (12, 1.8), 0.45)
    p.polygon([(-10, -1.6), (-10.4, -5.6), (-9.2, -6.6), (-7, -10.4), (0.4, -10.4), (4, -6.6), (9.4, -5.4),
               (10.6, -3.8), (10.4, -1.6)], colour)  # fmt: skip
    p.polygon([(-9.2, -6.6), (-7, -10.4), (0.4, -10.4), (1.2, -9.6), (-6.6, -9.6), (-8.4, -6.6)], shade(colour, 0.35))
    p.polygon([(-10, -1.6), (-10.2, -3.4), (10.5, -3.2), (10.4, -1.6)], shade(colour, -0.35))
    p.polygon([(-7.8, -6.5), (-6.2, -9.4), (-3.2, -9.4), (-3.2, -6.5)], shade(GLASS, -0.3))
    p.polygon([(-2.4, -6.5), (-2.4, -9.4), (0, -9.4), (2.9, -6.5)], GLASS)
    p.polygon([(8.2, -5.4), (9.6, -5.2), (10.5, -4.0), (8.6, -3.9)], (255, 246, 170))
    p.polygon([(-10.4, -5.6), (-9.2, -5.6), (-9.3, -4.0), (-10.3, -4.0)], (214, 36, 40))
    for u in (-6.0, 6.2):
        p.ellipse((u, -2.0), (2.5, 2.5), INK)
        p.ellipse((u, -2.0), (1.2, 1.2), (188, 190, 196))
        spoke = np.array([np.cos(phase), np.sin(phase)]) * 1.6
        p.limb([(u - spoke[0], -2.0 - spoke[1]), (u + spoke[0], -2.0 + spoke[1])], 0.7, INK)


def draw_walker(p: Painter, colour: Colour, phase: float) -> None:
    """A person 21 units tall with a peaked cap, legs and arms swinging; anchored on the ground."""
    p.shadow((0, 0.1), (6, 1.3), 0.4)
    skin, trousers = (238, 190, 150), (238, 238, 250)

    def leg(swing: float, tone: Colour) -> None:
        knee = (4.6 * np.sin(swing), -9.4 + 4.6 * np.cos(swing))
        shin = swing - 0.55 * max(0.0, np.cos(phase if tone is trousers else phase + np.pi)) - 0.08
        foot = (knee[0] + 4.5 * np.sin(shin), knee[1] + 4.5 * np.cos(shin))
        p.limb([(0, -9.4), knee, foot], 2.3, tone)
        p.limb([foot, (foot[0] + 1.7, foot[1] + 0.1)], 1.7, INK)

    def arm(swing: float, tone: Colour) -> None:
        elbow = (0.3 + 3.2 * np.sin(swing), -14.6 + 3.2 * np.cos(swing))
        p.limb([(0.3, -14.6), elbow], 1.9, tone)
        p.limb([elbow, (elbow[0] + 2.6 * np.sin(swing + 0.5), elbow[1] + 2.6 * np.cos(swing + 0.5))], 1.6, skin)

    swing = 0.68 * np.sin(phase)
    arm(swing, shade(colour, -0.35))
    leg(-swing, shade(trousers, -0.18))
    leg(swing, trousers)
    p.limb([(0, -10.2), (0.4, -14.6)], 4.9, colour)
    p.limb([(-1.0, -11), (-0.8, -14.8)], 1.5, shade(colour, 0.3))
    arm(-swing, shade(colour, -0.12))
    p.ellipse((0.8, -18.4), (2.5, 2.7), skin)
    p.polygon([(-1.8, -18.8), (-1.5, -20.8), (0.6, -21.9), (2.8, -20.9), (3.2, -19.6), (6.0, -19.1), (5.8, -18.5)],
              shade(colour, -0.2))  # fmt: skip


def draw_bird(p: Painter, colour: Colour, phase: float) -> None:
    """A bird 17 units long with beak ahead, tail behind and flapping wings; anchored at its body."""
    lift = np.sin(phase)
    p.polygon([(0.5, -0.6), (-1.5, -2.5 - 6.0 * lift), (-5.2, -2.0 - 7.4 * lift), (-4.2, -0.2)], shade(colour, -0.45))
    p.polygon([(-4, -0.9), (-9.4, -2.3), (-8.4, -0.2), (-9.2, 1.3), (-4, 1.2)], shade(colour, -0.3))
    p.ellipse((0, 0), (5.6, 2.8), colour, tilt=-0.1)
    p.ellipse((0.6, 1.1), (4.2, 1.5), shade(colour, 0.55), tilt=-0.1)
    p.ellipse((5.2, -1.5), (2.3, 2.2), colour)
    p.polygon([(7.0, -2.3), (10.2, -1.0), (6.9, -0.5)], (250, 160, 40))
    p.ellipse((5.9, -2.0), (0.6, 0.6), INK)
    p.polygon([(2.2, -0.8), (0.4, -2.5 - 6.6 * lift), (-4.4, -2.0 - 8.2 * lift), (-2.8, 0.2)], shade(colour, 0.2))


def draw_balloon(p: Painter, colour: Colour, phase: float) -> None:
    """A striped hot-air balloon 21 units tall; anchored at the middle of its envelope."""
    sway = 0.5 * np.sin(phase)
    for u in (-2.6, 2.6):
        p.limb([(u, 5.6), (0.55 * u + sway, 10.4)], 0.5, INK)
    p.polygon([(-2.1 + sway, 10), (2.1 + sway, 10), (1.7 + sway, 13.2), (-1.7 + sway, 13.2)], (132, 88, 48))
    p.polygon([(-6.6, 1.8), (6.6, 1.8), (2.8, 7.4), (-2.8, 7.4)], shade(colour, -0.15))
    p.ellipse((0, 0), (7.4, 7.4), colour)
    p.polygon([(-4.4, 5.8), (4.4, 5.8), (2.8, 7.4), (-2.8, 7.4)], shade(colour, -0.35))
    p.ellipse((0, 0), (4.6, 7.3), shade(colour, 0.62))
    p.ellipse((0, 0), (1.9, 7.3), colour)
    p.ellipse((-3.6, -3.4), (1.5, 2.0), shade(colour, 0.75), tilt=0.6)


def draw_ball(p: Painter, colour: Colour, phase: float) -> None:
    """A beach ball of radius 5 that turns as it flies; anchored at its middle."""
    p.ellipse((0, 0), (5, 5), colour)
    angle = np.linspace(0, np.pi / 3, 6)
    for k in range(3):
        turn = phase + 2 * np.pi * k / 3
        arc = np.stack([np.cos(angle + turn), np.sin(angle + turn)], 1) * 5
        p.polygon(np.vstack([[(0, 0)], arc]), (250, 248, 240))
    p.ellipse((-1.7, -2.0), (1.3, 1.0), shade(colour, 0.8), tilt=0.6)


DRAW = {"car": draw_car, "walker": draw_walker, "bird": draw_bird, "balloon": draw_balloon, "ball": draw_ball}
