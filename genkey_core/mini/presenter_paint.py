"""The presenter's textures: skin, hair, clothes painted once, eyes and mouth painted for every frame."""

from __future__ import annotations

import cv2
import numpy as np

from genkey_core.mini.presenter_identity import Colour, Identity
from genkey_core.mini.presenter_mesh import ATLAS, bump, hair_cover, smooth

EYE_Y, MOUTH_Y = -0.045, 0.47
_SHIFT = 5
_PATCH = (-0.72, 0.72, -0.50, 0.80)  # what is painted anew for every frame: x and y range on the face
_WHITE = np.array([0.95, 0.94, 0.92])


def surface_angles(who: Identity, x, y) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of the point of the face that lies at (x, y) seen from the front, mouth closed."""
    y = np.asarray(y, np.float64)
    low = smooth(0.05, 1.0, y)
    lat = np.arccos(np.clip(-y / (1.0 + 0.05 * low), -1, 1))
    width = who.face_width * (1 - who.jaw * low) * np.sin(lat)
    return np.arcsin(np.clip(x / np.maximum(width, 1e-3), -1, 1)), lat


def eye_outline(who: Identity, side: int, blink: float) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower lid [15 2] in face coordinates, from the picture's left to its right."""
    t, width = np.linspace(-1, 1, 15), who.eye_size
    arch = (1 - np.abs(t) ** 2.2) * (0.062 + 0.12 * (width - 0.125))
    x, slant = side * who.eye_spacing + t * width, EYE_Y + 0.012 * side * t
    return np.stack([x, slant - arch * (1 - 2 * blink) * 1.15], 1), np.stack([x, slant + arch * 0.85], 1)


def brow_line(who: Identity, side: int, raised: float) -> np.ndarray:
    """The brow's middle line [12 2] in face coordinates, from the nose outwards."""
    t = np.linspace(0, 1, 12)
    x = side * (who.eye_spacing - 0.19 + 0.40 * t)
    return np.stack([x, who.brow_height - 0.05 * raised - 0.055 * np.sin(np.pi * (0.15 + 0.75 * t)) + 0.03], 1)


def mouth_lines(who: Identity, mouth: float, smile: float) -> tuple[np.ndarray, ...]:
    """x and the heights of the upper lip's two edges and the lower lip's two edges, [21] each, left to right."""
    t = np.linspace(-1, 1, 21)
    corner, shape = MOUTH_Y + 0.012 - 0.03 * smile * t**2, np.sqrt(np.clip(1 - np.abs(t) ** 2.6, 0, 1))
    upper = corner - 0.008 * bump(t, 0, 0.2) - 0.024 * mouth * shape
    lower = corner + 0.088 * mouth * shape + 0.002
    bow = upper - who.lip_weight * shape**0.7 * (1 - 0.22 * bump(t, 0, 0.14))
    return (
        t * who.mouth_width * (1 + 0.10 * smile - 0.16 * mouth),
        bow,
        upper,
        lower,
        lower + who.lip_weight * 1.25 * shape**0.7,
    )


class Textures:
    """The atlas of one person, float32 [side side 3] in [0, 1]; `face` paints an expression into it."""

    def __init__(self, who: Identity, side: int):
        self.who, self.side = who, side
        self.base = _atlas(who, side)
        corners = surface_angles(who, np.array(_PATCH[:2]), np.array([0.1, 0.1]))[0]
        rows = [self._texel(0.0, y)[1] for y in _PATCH[2:]]
        columns = (corners / np.pi + 1) / 2 * 0.75 * side
        self.window = (int(columns[0]), int(rows[0]), int(columns[1]) + 1, int(rows[1]) + 1)
        self.fine = max(2, 512 // side)  # the face is painted this much finer, then averaged down

    def _texel(self, x, y) -> tuple[np.ndarray, np.ndarray]:
        lon, lat = surface_angles(self.who, x, y)
        return (lon / np.pi + 1) / 2 * 0.75 * self.side, lat / np.pi * 0.5 * self.side

    def face(self, *, mouth: float, smile: float, blink: float, gaze: tuple[float, float], brow: float) -> np.ndarray:
        """The atlas with this expression: `mouth` and `blink` in [0, 1], the others about [-1, 1]."""
        left, top, right, bottom = self.window
        skin = self.base[top:bottom, left:right]
        size = ((right - left) * self.fine, (bottom - top) * self.fine)
        canvas = cv2.resize(np.clip(skin * 255, 0, 255).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
        for side in (-1, 1):
            self._eye(canvas, side, blink, gaze)
            self._brow(canvas, side, brow)
        self._mouth(canvas, mouth, smile)
        painted = cv2.resize(canvas, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
        atlas = self.base.copy()
        atlas[top:bottom, left:right] = painted.astype(np.float32) / 255
        return atlas

    def _place(self, points) -> np.ndarray:  # face coordinates [N 2] -> pixels of the patch
        points = np.asarray(points)
        s, t = self._texel(points[:, 0], points[:, 1])
        return np.stack([s - self.window[0], t - self.window[1]], 1) * self.fine - 0.5

    def _around(self, points) -> tuple[slice, slice]:
        """The patch's rows and columns around points, with a margin of an eye's iris."""
        place, margin = self._place(points), 0.06 * self.side * self.fine / 4
        low, high = np.maximum(place.min(0) - margin, 0).astype(int), (place.max(0) + margin).astype(int)
        return slice(low[1], high[1]), slice(low[0], high[0])

    def _fill(self, canvas: np.ndarray, points, colour) -> None:
        fixed = np.round(self._place(points) * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(canvas, [fixed], tuple(float(c) * 255 for c in np.clip(colour, 0, 1)), cv2.LINE_AA, _SHIFT)

    def _eye(self, canvas: np.ndarray, side: int, blink: float, gaze: tuple[float, float]) -> None:
        who, openness = self.who, 1 - blink
        middle, skin = side * who.eye_spacing, np.asarray(who.skin)
        upper, lower = eye_outline(who, side, blink)
        crease = _lower(upper, -0.028)
        self._fill(canvas, np.vstack([_lower(crease, -0.012), crease[::-1]]), skin * 0.74)
        if openness > 0.08:
            almond = np.vstack([upper, lower[::-1]])
            eye = self._around(almond)
            before, mask = canvas[eye].copy(), np.zeros_like(canvas)
            self._fill(canvas, almond, _WHITE * 0.94)
            ring, turn = (
                np.linspace(0, 2 * np.pi, 20),
                np.array([middle + 0.05 * gaze[0], EYE_Y - 0.006 + 0.03 * gaze[1]]),
            )
            circle = np.stack([np.cos(ring), np.sin(ring)], 1)
            for radius, colour in (
                (0.070, np.asarray(who.iris) * 0.45),
                (0.058, who.iris),
                (0.029, (0.03, 0.03, 0.04)),
            ):
                self._fill(canvas, circle * radius + turn, colour)
            self._fill(canvas, circle * 0.017 + turn + (0.022, -0.026), (1, 1, 1))
            self._fill(mask, almond, (1, 1, 1))  # the iris ends at the lids
            share = mask[eye].astype(np.float32) / 255
            canvas[eye] = (canvas[eye] * share + before * (1 - share)).round()
        else:
            self._fill(canvas, np.vstack([_lower(upper, -0.06), upper[::-1]]), skin * 0.93)
        lash = np.vstack([_lower(upper, -0.017), _lower(upper, 0.006)[::-1]])
        self._fill(canvas, lash, np.asarray(who.hair) * 0.2 + skin * 0.12)
        self._fill(canvas, np.vstack([lower, _lower(lower, 0.012)[::-1]]), skin * 0.72)

    def _brow(self, canvas: np.ndarray, side: int, raised: float) -> None:
        who, t = self.who, np.linspace(0, 1, 12)
        x, y = brow_line(who, side, raised).T
        weight = who.brow_weight * (1 - 0.65 * t) * smooth(-0.1, 0.12, t)
        colour = (
            np.asarray(who.hair if who.hair_style != "bald" else (0.2, 0.15, 0.12)) * 0.75 + np.asarray(who.skin) * 0.1
        )
        self._fill(canvas, np.vstack([np.stack([x, y - weight], 1), np.stack([x, y + weight], 1)[::-1]]), colour)

    def _mouth(self, canvas: np.ndarray, mouth: float, smile: float) -> None:
        lips, t = np.asarray(self.who.lips), np.linspace(-1, 1, 21)
        x, bow, upper, lower, under = mouth_lines(self.who, mouth, smile)
        self._fill(canvas, _band(x, bow, upper + 0.004), lips * 0.93)
        self._fill(canvas, _band(x, lower - 0.004, under), lips * 1.02)
        self._fill(
            canvas, _band(x * 0.6, lower + 0.35 * (under - lower), lower + 0.6 * (under - lower)), lips * 1.12 + 0.03
        )
        if mouth < 0.06:
            self._fill(canvas, _band(x, upper - 0.004, upper + 0.010), lips * 0.45)
            return
        self._fill(canvas, _band(x, upper, lower), (0.20, 0.05, 0.06))
        gap = lower - upper
        if mouth > 0.45:
            tongue = lower - np.minimum(0.45 * gap, 0.04) * bump(t, 0, 0.55)
            self._fill(canvas, _band(x, tongue, lower), (0.66, 0.28, 0.30))
        teeth = upper + np.minimum(0.036, 0.62 * gap)
        inner = slice(2, -2)
        self._fill(canvas, _band(x[inner], upper[inner], teeth[inner]), (0.93, 0.91, 0.86))
        for place in np.arange(-3, 4) * 0.052:
            line = np.abs(x - place).argmin()
            if 2 < line < len(x) - 3:
                ends = [(place - 0.004, upper[line]), (place + 0.004, upper[line]), (place, teeth[line])]
                self._fill(canvas, ends, (0.72, 0.68, 0.64))
        self._fill(canvas, _band(x[inner], teeth[inner] - 0.006, teeth[inner] + 0.002), (0.70, 0.62, 0.60))


def _lower(line: np.ndarray, by: float) -> np.ndarray:
    return line + np.array([0.0, by])


def _band(x, upper, lower) -> np.ndarray:
    return np.vstack([np.stack([x, upper], 1), np.stack([x, lower], 1)[::-1]])


def _noise(shape: tuple[int, int], sigma: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Smooth noise, standard deviation 1; sigma (across, down) in texels."""
    drawn = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), sigma[0], sigmaY=sigma[1])
    return drawn / (drawn.std() + 1e-6)


def _atlas(who: Identity, side: int) -> np.ndarray:
    atlas = np.full((side, side, 3), 0.5, np.float32)
    rng = np.random.default_rng([4, 3, who.seed])
    gold = (0.85, 0.68, 0.30)
    painters = {
        "head": _head, "torso": _torso, "arm": _arm, "hand": _hand, "hair": _hair,
        "ear": _ear, "glasses": _flat(who.glasses_colour), "earring": _flat(gold),
    }  # fmt: skip
    for name, paint in painters.items():
        left, top, right, bottom = (round(share * side) for share in ATLAS[name])
        atlas[top:bottom, left:right] = np.clip(paint(who, (bottom - top, right - left), rng), 0, 1)
    return atlas


def _flat(colour: Colour):
    return lambda who, shape, rng: np.broadcast_to(np.asarray(colour, np.float32), (*shape, 3))


def _ear(who: Identity, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    across = np.linspace(-1, 1, shape[1])
    return (
        np.asarray(who.skin)
        * (1, 0.92, 0.90)
        * (1 - 0.28 * bump(across, 0.5, 0.12) - 0.1 * bump(across, -0.5, 0.2))[None, :, None]
    )


def _strands(who: Identity, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    across = 0.7 if who.hair_style != "afro" else 1.2
    down = 14.0 if who.hair_style != "afro" else 1.2
    scale = shape[1] / 256
    streak = _noise(shape, (max(across * scale, 0.4), max(down * scale, 0.4)), rng)
    broad = _noise(shape, (6 * scale + 0.3, 20 * scale + 0.3), rng)
    light = 1 + 0.16 * streak + 0.14 * broad
    return np.asarray(who.hair) * light[..., None] + 0.015 * streak[..., None]


def _hair(who: Identity, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    return _strands(who, shape, rng) * np.linspace(1.05, 0.8, shape[0])[:, None, None]


def _head(who: Identity, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    lon, lat = np.meshgrid(np.linspace(-np.pi, np.pi, shape[1]), np.linspace(0, np.pi, shape[0]))
    y, front = -np.cos(lat), smooth(-0.1, 0.4, np.cos(lon))
    x = np.sin(lat) * np.sin(lon) * who.face_width
    scale = shape[1] / 384
    skin = np.asarray(who.skin) * (1 + 0.018 * _noise(shape, (5 * scale, 5 * scale), rng))[..., None]
    blush = sum(bump(x, side * 0.42, 0.2) * bump(y, 0.2, 0.17) for side in (-1, 1)) * 0.5 + 0.6 * bump(
        x, 0, 0.13
    ) * bump(y, 0.24, 0.1)
    skin = skin * (1 - (blush * front)[..., None] * (0.02, 0.16, 0.15))
    hollow = sum(bump(x, side * who.eye_spacing, 0.16) * bump(y, -0.03, 0.12) for side in (-1, 1))
    shade = (
        0.14 * hollow + 0.13 * bump(x, 0, 0.16) * bump(y, 0.37, 0.045) + 0.10 * bump(x, 0, 0.2) * bump(y, 0.66, 0.05)
    )
    skin = skin * (1 - (shade * front)[..., None])
    nostril = sum(bump(x, side * who.nose_width * 0.52, 0.032) * bump(y, 0.325, 0.022) for side in (-1, 1))
    skin = skin * (1 - 0.62 * (nostril * front).clip(0, 1)[..., None])
    if who.freckles:
        spots = smooth(1.6, 2.1, _noise(shape, (0.9 * scale + 0.2,) * 2, rng)) * bump(y, 0.12, 0.26) * front
        skin = skin * (1 - 0.35 * who.freckles * spots[..., None])
    strands = _strands(who, shape, rng)
    hair = np.asarray(who.hair) * (1 + 0.2 * _noise(shape, (0.7 * scale + 0.2, 1.5 * scale + 0.2), rng))[..., None]
    skin = _blend(skin, hair, _beard(who, lon, x, y) * front)
    if who.hair_style == "bald":
        return skin * (1 - 0.05 * smooth(-0.45, -0.62, y)[..., None])
    cover = hair_cover(who, lon, lat + 0.02 * _noise(shape, (1.2 * scale + 0.2, 3 * scale + 0.2), rng))
    edge = np.clip(hair_cover(who, lon, lat - 0.05) - cover, 0, 1)  # the shadow that hair throws on the forehead
    return _blend(skin * (1 - 0.22 * edge[..., None]), strands, cover)


def _blend(under: np.ndarray, over: np.ndarray, share: np.ndarray) -> np.ndarray:
    return under + (over - under) * share[..., None]


def _beard(who: Identity, lon, x, y) -> np.ndarray:
    if who.beard == "none":
        return np.zeros_like(x)
    moustache = (
        smooth(0.36, 0.40, y)
        * (1 - smooth(0.45, 0.50, y))
        * smooth(who.mouth_width * 1.15, who.mouth_width * 0.95, np.abs(x))
    )
    if who.beard == "moustache":
        return 0.9 * moustache
    cheek = 0.42 - 0.34 * smooth(0.75, 1.35, np.abs(lon)) + 0.12 * bump(lon, 0.55, 0.3) + 0.12 * bump(lon, -0.55, 0.3)
    full = smooth(-0.04, 0.06, y - cheek) * smooth(1.75, 1.5, np.abs(lon)) * smooth(1.02, 0.93, y)
    full = np.maximum(full, moustache)
    return (0.9 if who.beard == "full" else 0.30) * full


def _torso(who: Identity, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    lon, y = np.meshgrid(np.linspace(-np.pi, np.pi, shape[1]), np.linspace(0.25, 5.0, shape[0]))
    scale = shape[1] / 256
    cloth = (
        np.asarray(who.shirt_colour) * (1 + 0.05 * _noise(shape, (2 * scale + 0.2, 9 * scale + 0.2), rng))[..., None]
    )
    second = (
        np.asarray(who.second_colour) * (1 + 0.04 * _noise(shape, (2 * scale + 0.2, 7 * scale + 0.2), rng))[..., None]
    )
    neckline = 1.30 + 0.16 * bump(lon, 0, 0.5)
    if who.shirt == "striped":
        cloth = _blend(cloth, second, smooth(-0.15, 0.15, np.sin(y * 14)))
    if who.shirt == "jacket":
        opening = smooth(-0.02, 0.02, (0.66 - 0.30 * (y - 1.3)) * 0.75 - np.abs(lon))
        lapel = smooth(-0.02, 0.02, (0.98 - 0.34 * (y - 1.3)) * 0.75 - np.abs(lon)) * (1 - opening)
        cloth = _blend(cloth * (1 - 0.16 * lapel[..., None]), second, opening * smooth(3.4, 3.3, y))
        neckline = neckline + 0.34 * bump(lon, 0, 0.28)
    if who.shirt == "buttons":
        cloth = cloth * (1 - 0.14 * bump(lon, 0.09, 0.02)[..., None])
        studs = bump(lon, 0, 0.035) * smooth(0.90, 0.95, np.cos((y - 1.72) * 2 * np.pi / 0.42)) * smooth(1.6, 1.7, y)
        cloth = _blend(cloth, second, studs)
        collar = smooth(0.0, 0.03, y - neckline) * smooth(0.26, 0.23, y - neckline) * smooth(0.05, 0.12, np.abs(lon))
        cloth = cloth * (1 + 0.14 * collar[..., None])
        neckline = neckline + 0.14 * bump(lon, 0, 0.16)
    folds = 0.05 * np.sin(5 * lon + 2.2 * y + rng.uniform(0, 6)) * smooth(1.8, 2.6, y)
    cloth = cloth * (1 + folds - 0.3 * bump(y, neckline, 0.035))[..., None]
    skin = np.asarray(who.skin) * (0.60 + 0.38 * smooth(0.85, 1.4, y))[..., None]
    return _blend(skin, cloth, smooth(-0.012, 0.012, y - neckline))


def _arm(who: Identity, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    v, scale = np.linspace(0, 1, shape[0])[:, None], shape[1] / 128
    cloth = np.asarray(who.shirt_colour) * (1 + 0.05 * _noise(shape, (5 * scale, 14 * scale), rng))[..., None]
    if who.shirt == "striped":
        cloth = _blend(
            cloth,
            np.asarray(who.second_colour) + np.zeros_like(cloth),
            smooth(-0.15, 0.15, np.sin(v * 60)) + np.zeros(shape),
        )
    bare = (v > 0.5) if who.shirt == "plain" else (v > 0.93)
    return np.where(np.broadcast_to(bare[..., None], cloth.shape), np.asarray(who.skin), cloth)


def _hand(who: Identity, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    rim = np.abs(np.linspace(-1, 1, shape[1]))[None] ** 3 + 0.4 * np.abs(np.linspace(-1, 1, shape[0]))[:, None] ** 6
    return np.asarray(who.skin) * (1 - 0.25 * np.clip(rim, 0, 1))[..., None]
