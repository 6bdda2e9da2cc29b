"""The presenter's body as triangle meshes at rest, with DensePose's part numbers and UV on every vertex.

The head is one star-shaped surface over longitude (0 at the nose, positive to the picture's right) and latitude (0 at
the crown, pi under the chin); hair that grows on it is a displacement of that surface. UV follows DensePose's scheme
of charts (Gueler et al. 2018), not its exact charts: the two half heads, front and back of the torso, inner and outer
halves of upper and lower arms, and the hands, fourteen parts in all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from genkey_core.mini.presenter_identity import Identity

TORSO_BACK, TORSO_FRONT, HEAD_RIGHT, HEAD_LEFT = 1, 2, 23, 24
HAND = {-1: 3, 1: 4}  # the person's right hand is on the picture's left
UPPER_ARM = {-1: (16, 18), 1: (15, 17)}  # inner, outer
LOWER_ARM = {-1: (20, 22), 1: (19, 21)}
JAW_TOP, JAW_FULL = 0.40, 0.56  # y between which the head's surface stretches when the jaw opens
NECK_PIVOT = np.array([0.0, 0.72, -0.22])
# Where each texture lies in the atlas: left, top, right, bottom as shares of its side.
ATLAS = {
    "head": (0.0, 0.0, 0.75, 0.5), "torso": (0.0, 0.5, 0.5, 1.0), "arm": (0.5, 0.5, 0.75, 0.75), "hand": (0.75, 0.5, 1.0, 0.75),
    "hair": (0.5, 0.75, 0.75, 1.0), "ear": (0.75, 0.0, 1.0, 0.125), "glasses": (0.75, 0.125, 1.0, 0.25),
    "earring": (0.75, 0.25, 1.0, 0.375),
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One mesh at rest. A vertex moves with two bones, `weight` telling how much with the first."""

    name: str
    vertices: np.ndarray  # float [V 3]
    normals: np.ndarray  # float [V 3], unit
    triangles: np.ndarray  # int [F 3], counter-clockwise seen from outside
    atlas: np.ndarray  # float [V 2], place in the texture atlas, shares of its side
    uv: np.ndarray  # float [V 2] in [0, 1]
    index: np.ndarray  # int [F], DensePose part 1..24; 0: not the body
    bones: tuple[str, str]
    weight: np.ndarray  # float [V]
    double_sided: bool = False
    worn: bool = False  # lies over the body without hiding its IUV (glasses)


def smooth(edge0: float, edge1: float, x: np.ndarray) -> np.ndarray:
    """0 below `edge0`, 1 above `edge1`, a cubic between."""
    t = np.clip((x - edge0) / (edge1 - edge0), 0, 1)
    return t * t * (3 - 2 * t)


def bump(x: np.ndarray, centre: float, width: float) -> np.ndarray:
    return np.exp(-(((x - centre) / width) ** 2))


def head_surface(who: Identity, lon: np.ndarray, lat: np.ndarray, *, hair: bool = True) -> np.ndarray:
    """Points of the head [... 3] at longitude and latitude, radians, mouth closed."""
    x, y, z = np.sin(lat) * np.sin(lon), -np.cos(lat), np.sin(lat) * np.cos(lon)
    low, front = smooth(0.05, 1.0, y), smooth(-0.1, 0.5, z)
    width = who.face_width * (1 - who.jaw * low) * (1 + 0.03 * bump(y, 0.12, 0.25) * front)
    depth = np.where(z > 0, who.face_depth * (1 - 0.10 * low), 0.95 - 0.42 * smooth(0.15, 0.95, y))
    point = np.stack([x * width, y * (1.0 + 0.05 * low), z * depth], -1)
    px = point[..., 0]
    forward = who.chin * bump(y, 0.92, 0.22) * bump(px, 0, 0.3)
    forward -= 0.075 * (bump(px, who.eye_spacing, 0.17) + bump(px, -who.eye_spacing, 0.17)) * bump(y, -0.06, 0.13)
    forward += 0.035 * bump(y, -0.24, 0.09) * bump(px, 0, 0.5)
    forward += 0.05 * bump(y, 0.53, 0.12) * bump(px, 0, 0.24)  # lips and teeth behind them
    ridge = smooth(-0.20, 0.24, y) * (1 - smooth(0.26, 0.36, y))
    forward += who.nose_length * ridge * bump(px, 0, 0.055 + who.nose_width * 0.75 * smooth(-0.05, 0.25, y))
    point[..., 2] += forward * front
    if hair:
        thick = hair_thickness(who, lon, lat)
        outward = point / np.linalg.norm(point, axis=-1, keepdims=True)
        point = point + thick[..., None] * (outward + np.array([0, -0.15, 0]))
    return point


def hair_cover(who: Identity, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """How much of the head's surface is hair, [0, 1]."""
    y, turn = -np.cos(lat), np.abs(lon)
    if who.hair_style == "bald":
        return np.zeros(np.broadcast(lon, lat).shape)
    front = {"fringe": -0.40, "afro": -0.56, "bob": -0.58}.get(who.hair_style, -0.66) + who.hairline
    if who.hair_style in ("parted", "long", "bob"):  # rises at the parting
        front = front - 0.14 * bump(lon, who.hair_side * 0.28, 0.3)
    side = {"bob": 0.35, "long": 0.35, "bun": -0.02}.get(who.hair_style, 0.02)
    line = front + (side - front) * smooth(0.85, 1.25, turn) + (0.52 - side) * smooth(1.6, 2.3, turn)
    return smooth(-0.035, 0.035, line - y)


def hair_thickness(who: Identity, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    height = {"short": 0.07, "parted": 0.13, "afro": 0.42, "bob": 0.13, "long": 0.12, "bun": 0.06, "fringe": 0.12}
    cover, y = hair_cover(who, lon, lat), -np.cos(lat)
    thick = height.get(who.hair_style, 0.0) * cover * (0.55 + 0.45 * smooth(0.5, -0.7, y))
    if who.hair_style == "parted":
        thick *= 1 + 0.5 * np.tanh(-who.hair_side * lon * 2) * smooth(-0.3, -0.8, y)
    return thick


def jaw_drop(vertices: np.ndarray, mouth: float) -> np.ndarray:
    """Head-surface points [V 3] with the mouth open by `mouth` in [0, 1]."""
    weight = smooth(JAW_TOP, JAW_FULL, vertices[:, 1]) * smooth(-0.35, 0.45, vertices[:, 2])
    moved = vertices.copy()
    moved[:, 1] += 0.17 * mouth * weight
    moved[:, 2] -= 0.04 * mouth * weight
    return moved


def _grid(rows: int, columns: int) -> np.ndarray:
    """Triangles [F 3] of a grid of vertices, row by row."""
    a = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)[None]).ravel()
    return np.concatenate([np.stack([a, a + 1, a + columns], 1), np.stack([a + 1, a + columns + 1, a + columns], 1)])


def _part(name, points, s, t, uv, index, bones, *, weight=1.0, centre=None, flat=False, **flags) -> Part:
    """A part over a grid of points [R C 3]; `s`, `t` in [0, 1] are places in its texture, `index` per column cell."""
    rows, columns = points.shape[:2]
    vertices, triangles = points.reshape(-1, 3), _grid(rows, columns)
    corners = vertices[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    axis = np.zeros(3) if centre is None else np.asarray(centre)
    inside = np.stack(
        [np.broadcast_to(axis[0], len(normal)), corners[:, :, 1].mean(1), np.full(len(normal), axis[2])], 1
    )
    if not flat:
        wrong = (normal * (corners.mean(1) - inside)).sum(1) < 0
        triangles[wrong] = triangles[wrong][:, ::-1]
        normal[wrong] *= -1
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], normal)
    seam = normals.reshape(rows, columns, 3)
    if not flat and np.allclose(points[:, 0], points[:, -1]):
        seam[:, 0] = seam[:, -1] = seam[:, 0] + seam[:, -1]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    left, top, right, bottom = ATLAS[name.split("-")[0]]
    s, t = (np.broadcast_to(share, (rows, columns)) for share in (s, t))
    place = np.stack([left + (right - left) * s, top + (bottom - top) * t], -1).reshape(-1, 2)
    cell = np.broadcast_to(index, (rows - 1, columns - 1)).ravel()
    pair = np.stack(np.broadcast_arrays(*uv, points[..., 0])[:2], -1).reshape(-1, 2)
    shares = np.broadcast_to(weight, (rows, columns)).ravel().astype(np.float64)
    return Part(
        name, vertices, normals, triangles, place, np.clip(pair, 0, 1), np.tile(cell, 2), bones, shares, **flags
    )


def head_grid(rows: int = 41, columns: int = 47) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes [C] (denser at the face) and latitudes [R] of the head's mesh."""
    s = np.linspace(-1, 1, columns)
    return np.pi * np.sign(s) * np.abs(s) ** 1.35, np.linspace(0.0, np.pi, rows)


def _head(who: Identity) -> Part:
    lon, lat = head_grid()
    lon, lat = np.meshgrid(lon, lat)
    index = np.where(lon[0, :-1] < 0, HEAD_RIGHT, HEAD_LEFT)
    return _part("head", head_surface(who, lon, lat), (lon / np.pi + 1) / 2, lat / np.pi, (np.abs(lon) / np.pi, lat / np.pi),
                 index, ("head", "torso"))  # fmt: skip


def _ball(name: str, centre, radii, bones, *, index=0, uv=None, rows: int = 9, columns: int = 13, **flags) -> Part:
    lon, lat = np.meshgrid(np.linspace(-np.pi, np.pi, columns), np.linspace(0, np.pi, rows))
    unit = np.stack([np.sin(lat) * np.sin(lon), -np.cos(lat), np.sin(lat) * np.cos(lon)], -1)
    points = np.asarray(centre) + unit * np.asarray(radii)
    pair = uv(points) if uv else ((lon / np.pi + 1) / 2, lat / np.pi)
    return _part(name, points, (lon / np.pi + 1) / 2, lat / np.pi, pair, index, bones, centre=centre, **flags)


def _sphere_uv(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The head's UV straight below points that stand out from it."""
    lon = np.arctan2(points[..., 0], points[..., 2])
    return np.abs(lon) / np.pi, np.arctan2(np.hypot(points[..., 0], points[..., 2]), -points[..., 1]) / np.pi


def _torso(who: Identity) -> Part:
    y = np.concatenate([np.linspace(0.25, 1.3, 6), np.linspace(1.4, 2.0, 8), np.linspace(2.3, 5.0, 6)])
    slope = smooth(1.15, 1.42, y) * 0.45 + smooth(1.3, 1.85, y) * 0.55
    width = who.neck + (who.shoulders - who.neck) * slope - 0.22 * smooth(1.9, 3.2, y)
    depth = who.neck * 0.95 + (0.72 - who.neck * 0.95) * smooth(1.2, 2.1, y)
    lon = np.linspace(-np.pi, np.pi, 33)
    x, z = np.sin(lon), np.cos(lon)
    round_ = (np.abs(x) ** 2.6 + np.abs(z) ** 2.6) ** (-1 / 2.6)
    points = np.stack(
        [width[:, None] * x * round_, np.broadcast_to(y[:, None], (len(y), len(lon))),
         depth[:, None] * z * round_ - 0.10 - 0.14 * smooth(0.3, 1.2, y)[:, None] + 0.1 * smooth(1.4, 2.4, y)[:, None]], -1,
    )  # fmt: skip
    front = np.abs(lon[:-1] + np.pi / 32) < np.pi / 2
    u = np.where(np.abs(lon) <= np.pi / 2, (lon + np.pi / 2) / np.pi, (np.pi - np.abs(lon)) / np.pi)
    u = np.where((np.abs(lon) > np.pi / 2) & (lon > 0), 1 - u, u)
    v = (y - y[0]) / (y[-1] - y[0])
    return _part("torso", points, (lon / np.pi + 1)[None] / 2, v[:, None], (u[None], v[:, None]),
                 np.where(front, TORSO_FRONT, TORSO_BACK)[None], ("head", "torso"),
                 weight=(0.9 * (1 - smooth(0.5, 1.35, y)))[:, None], centre=(0, 0, -0.2))  # fmt: skip


def _limb(name: str, bone: str, radii: tuple[float, float], parts: tuple[int, int], side: int) -> Part:
    """A tube one unit long down the y axis of its bone, closed by round ends; the pose stretches it to length."""
    t = np.array([-0.16, -0.13, -0.07, 0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0, 1.06, 1.1])
    radius = radii[0] + (radii[1] - radii[0]) * np.clip(t, 0, 1)
    radius = radius * np.sqrt(np.clip(1 - (np.maximum(-t, 0) / 0.16) ** 2 - (np.maximum(t - 1, 0) / 0.1) ** 2, 0, 1))
    lon = np.linspace(-np.pi, np.pi, 13)
    points = np.stack(np.broadcast_arrays(radius[:, None] * np.sin(lon), t[:, None], radius[:, None] * np.cos(lon)), -1)
    inner = (np.sin(lon[:-1] + np.pi / 12) * side < 0).astype(int)
    u = (1 - np.cos(lon)) / 2
    v = (t - t[0]) / (t[-1] - t[0])
    index = np.where(inner == 1, parts[0], parts[1])
    return _part(name, points, (lon / np.pi + 1)[None] / 2, v[:, None] if "upper" in name else 0.5 + v[:, None] / 2,
                 (u[None], v[:, None]), index[None], (bone, bone))  # fmt: skip


def _hand(bone: str, side: int) -> Part:
    """Palm, four fingers and thumb, the palm towards the viewer where the hand is raised."""

    def uv(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return points[..., 0] / 0.7 + 0.5, points[..., 1] / 0.95 + 0.1

    fingers = [(0.115 * k, 0.60 - 0.03 * abs(k + 0.5 * side), 0.26, 0.058) for k in (-1.5, -0.5, 0.5, 1.5)]
    where = {"bones": (bone, bone), "index": HAND[side], "uv": uv}
    made = [_ball("hand", (0, 0.24, 0), (0.22, 0.30, 0.10), **where)]
    for x, y, length, radius in [*fingers, (-0.25 * side, 0.30, 0.19, 0.065)]:
        made.append(_ball("hand", (x, y, 0.03), (radius, length, radius), rows=7, columns=9, **where))
    return _merged(made)


def _merged(parts: list[Part]) -> Part:
    """One part of several that hang on the same bones."""
    first = np.cumsum([0, *(len(part.vertices) for part in parts)])
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("vertices", "normals", "atlas", "uv", "index", "weight")
    }
    triangles = np.concatenate([part.triangles + start for part, start in zip(parts, first[:-1], strict=True)])
    return replace(parts[0], triangles=triangles, **joined)


def _hair_sheet(who: Identity) -> Part:
    length = 2.3 if who.hair_style == "long" else 1.2
    t, lon = np.meshgrid(np.linspace(0, 1, 13), np.linspace(np.radians(76), np.radians(284), 31), indexing="ij")
    flare = 0.74 + 0.22 * smooth(0, 0.3, t) + 0.06 * np.sin(np.pi * t) - (0.14 * t if who.hair_style == "bob" else 0)
    wave = 1 + 0.025 * np.sin(9 * lon + 3 * t)
    points = np.stack([flare * wave * np.sin(lon), -0.45 + length * t + 0.05 * np.cos(7 * lon) * t,
                       flare * wave * np.cos(lon) - 0.06 - 0.12 * t], -1)  # fmt: skip
    weight = 1 - 0.75 * smooth(0.5, 1.6, points[..., 1])
    return _part("hair", points, (lon - lon.min()) / np.ptp(lon), t, (np.zeros_like(t), t), 0, ("head", "torso"),
                 weight=weight, double_sided=True)  # fmt: skip


def _glasses(who: Identity) -> Part:
    power = 2.0 if who.glasses == "round" else 4.5
    turn = np.linspace(0, 2 * np.pi, 25)
    ring = (np.abs(np.cos(turn)) ** power + np.abs(np.sin(turn)) ** power) ** (-1 / power)
    z = head_surface(who, np.array(0.42), np.array(1.5), hair=False)[2] + 0.16
    parts = []
    for side in (-1, 1):
        rows = []
        for radius in (0.205, 0.245):
            x = side * (who.eye_spacing + 0.02) + radius * 1.08 * ring * np.cos(turn)
            y = -0.04 + radius * 0.9 * ring * np.sin(turn)
            rows.append(np.stack([x, y, z - 0.22 * (np.abs(x) - 0.3).clip(0) ** 1.5], -1))
        parts.append(np.stack(rows))
        outer = who.eye_spacing + 0.27
        arm_x = np.array([outer, who.face_width + 0.02, who.face_width + 0.04]) * side
        arm = [np.stack([arm_x, np.full(3, y), np.array([z - 0.05, 0.45, -0.1])], -1) for y in (-0.1, -0.055)]
        parts.append(np.stack(arm))
    x = np.linspace(-(who.eye_spacing - 0.2), who.eye_spacing - 0.2, 5)
    parts.append(np.stack([np.stack([x, y - 0.06 * np.cos(x * 6), np.full(5, z + 0.03)], -1) for y in (-0.06, -0.02)]))
    kind = {"flat": True, "double_sided": True, "worn": True}
    return _merged([_part("glasses", points, 0.5, 0.5, (0.0, 0.0), 0, ("head", "torso"), **kind) for points in parts])


def build(who: Identity) -> list[Part]:
    """Every mesh of a person; the first is the head."""
    parts = [_head(who), _torso(who)]
    for side in (-1, 1):
        at = (side * (who.face_width + 0.015), 0.08, -0.1)
        if who.hair_style not in ("bob", "long", "afro"):
            index = HEAD_RIGHT if side < 0 else HEAD_LEFT
            parts.append(_ball("ear", at, (0.065, 0.19, 0.12), ("head", "torso"), index=index, uv=_sphere_uv))
        if who.earrings:
            drop = (at[0] * 1.05, 0.33, -0.06)
            parts.append(_ball("earring", drop, (0.045, 0.055, 0.045), ("head", "torso"), worn=True, rows=6, columns=9))
        name = "right" if side < 0 else "left"
        parts.append(_limb("arm-upper", f"upper-{name}", (0.36, 0.29), UPPER_ARM[side], side))
        parts.append(_limb("arm-lower", f"lower-{name}", (0.28, 0.19), LOWER_ARM[side], side))
        parts.append(_hand(f"hand-{name}", side))
    if who.hair_style in ("long", "bob"):
        parts.append(_hair_sheet(who))
    if who.hair_style == "bun":
        parts.append(_ball("hair", (0, -0.74, -0.72), (0.33, 0.30, 0.32), ("head", "torso")))
    if who.glasses != "none":
        parts.append(_glasses(who))
    return parts
