"""Identity and realism of made heads in the presenter world: a small face embedding trained on it, and a kernel distance.

The thesis reports ArcFace similarity and FID (Table 4.1). Both networks are published ones that know people; the
presenter is drawn, so its identities get an embedding of their own: a small convolutional network trained with CosFace's
margin loss (Wang et al. 2018) on heads of TRAIN identities, and checked on people it has never seen. Realism is the kernel
inception distance (KID, Binkowski et al. 2018: unbiased, and usable with some hundred pictures, which FID is not) over
the means and spreads of the embedding's early feature maps, which see edges and texture rather than who it is.

Heads are squares of 64 pixels. What lies behind the training heads is swapped at random, so that no room gives anyone away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkey_core import media
from genkey_core.checks import InputError
from genkey_core.jumpcut.layers import GAIN, Conv, Down, Linear, activate, draw_weights
from genkey_core.mini import presenter_world

SIDE = 64  # pixels of a head
_ROOM = 1.25  # side of the square over the head's longer side
_HEAD_PARTS = (23, 24)
STEPS = 1600
_SCALE, _MARGIN = 16.0, 0.2  # of CosFace
_BORDER = 8  # pixels around a training head, for it to be moved about


@dataclass(frozen=True)
class Heads:
    """Training heads with a border: `images` uint8 [N P S S 3], `masks` uint8 [N P S S], one row per identity."""

    images: np.ndarray
    masks: np.ndarray


def head_box(iuv: np.ndarray) -> np.ndarray | None:  # [3]
    """Middle x, y and side in pixels of the square about the head of a body map [H W 3]; None where there is none."""
    rows, columns = np.nonzero(np.isin(iuv[..., 0], _HEAD_PARTS))
    if len(rows) < 16:
        return None
    low, high = np.array([columns.min(), rows.min()]), np.array([columns.max() + 1, rows.max() + 1])
    return np.array([*((low + high) / 2 - 0.5), _ROOM * (high - low).max()])


def head(picture: np.ndarray, box: np.ndarray, *, border: int = 0) -> np.ndarray:
    """The square `box` of a picture [H W ...] at 64 pixels a side, with `border` more on every side."""
    scale, half = SIDE / box[2], (SIDE - 1) / 2 + border
    to = np.array([[scale, 0, half - scale * box[0]], [0, scale, half - scale * box[1]]])
    size = (SIDE + 2 * border,) * 2
    return cv2.warpAffine(picture, to, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)


def draw_heads(seeds: Sequence[int], *, poses: int, size: int = 128) -> Heads:
    """`poses` heads of each identity, a second and more apart in a motion of its own."""
    images, masks = [], []
    for seed in seeds:
        clip = presenter_world.clip(seed, poses, size, fps=0.9)
        boxes = [head_box(iuv) for iuv in clip.iuv]
        if any(box is None for box in boxes):
            raise InputError(f"heads: presenter {seed} shows no head in one of its frames.")
        images.append([head(f, b, border=_BORDER) for f, b in zip(clip.frames, boxes, strict=True)])
        masks.append([head(_mask(iuv), b, border=_BORDER) for iuv, b in zip(clip.iuv, boxes, strict=True)])
    return Heads(np.array(images), np.array(masks))


def inner(heads: np.ndarray) -> np.ndarray:
    """Training heads [... S S 3] without their border."""
    return heads[..., _BORDER:-_BORDER, _BORDER:-_BORDER, :]


def _mask(iuv: np.ndarray) -> np.ndarray:  # uint8 [H W]
    """Where the head is, with what is worn on it and the hair's edge."""
    mask = np.isin(iuv[..., 0], _HEAD_PARTS).astype(np.uint8) * 255
    return cv2.dilate(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)), np.ones((5, 5), np.uint8))


class HeadNet(nn.Module):
    """A head [B 3 64 64] in [-1, 1] -> a unit vector that says whose it is."""

    def __init__(self, d: int = 64):
        super().__init__()
        self.stem = Conv(3, 24, stride=2)
        self.down = nn.ModuleList([Down(24, 40), Down(40, 72), Down(72, 112)])
        self.out = Linear(112 * 16, d, gain=GAIN)
        self.centre = nn.BatchNorm1d(d, affine=False)  # all heads look alike at first: without it nothing is learned

    def maps(self, x: Tensor) -> list[Tensor]:
        """Feature maps at 32, 16, 8 and 4 pixels a side."""
        found = [activate(self.stem(x))]
        for block in self.down:
            found.append(block(found[-1]))
        return found

    def forward(self, x: Tensor) -> Tensor:  # [B d]
        return F.normalize(self.centre(self.out(self.maps(x)[-1].flatten(1))), dim=1)


def train(heads: Heads, *, steps: int = STEPS, batch: int = 48, rate: float = 6e-3, seed: int = 0):  # fmt: skip
    """Trains a HeadNet on `heads`; yields (steps done, loss), and returns the network (the generator's value)."""
    rng, network = np.random.default_rng([4, 31, seed]), HeadNet()
    draw_weights(network, torch.Generator().manual_seed(seed))
    people = nn.Parameter(torch.randn(len(heads.images), 64, generator=torch.Generator().manual_seed(seed + 1)))
    optimizer = torch.optim.Adam([*network.parameters(), people], lr=rate, betas=(0.9, 0.99))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * 0.5 * (1 + np.cos(np.pi * step / steps))
        who = rng.integers(len(heads.images), size=batch)
        near = network(_augmented(heads, who, rng)) @ F.normalize(people, dim=1).T
        own = torch.as_tensor(who)
        margin = _MARGIN * min(1.0, step / (0.3 * steps))  # eased in: at once it keeps the network from starting
        loss = F.cross_entropy(_SCALE * (near - margin * F.one_hot(own, len(people))), own)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield step + 1, loss.item()
    return network.eval().requires_grad_(False)


def _augmented(heads: Heads, who: np.ndarray, rng: np.random.Generator) -> Tensor:
    """One head of each, before someone else's surroundings, moved, scaled and lit a little differently."""
    made = []
    for i in who:
        n, poses = heads.images.shape[:2]
        pose = rng.integers(poses)
        image, mask, other = (
            heads.images[i, pose],
            heads.masks[i, pose],
            heads.images[rng.integers(n), rng.integers(poses)],
        )
        share = (mask.astype(np.float32) / 255)[..., None]
        # The other picture is turned round, so that no second face stands about the first one.
        image = image * share + np.rot90(other, 2) * (1 - share)
        scale, (dx, dy) = rng.uniform(0.92, 1.09), rng.uniform(-4, 4, 2)
        middle = (image.shape[0] - 1) / 2
        to = np.array(
            [[scale, 0, (SIDE - 1) / 2 + dx - scale * middle], [0, scale, (SIDE - 1) / 2 + dy - scale * middle]]
        )
        image = cv2.warpAffine(image.astype(np.float32), to, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
        made.append(image * rng.uniform(0.85, 1.12, 3))  # lamps differ
    return torch.as_tensor(np.clip(np.array(made), 0, 255), dtype=torch.float32).movedim(-1, 1) / 127.5 - 1


def embeddings(network: HeadNet, heads: np.ndarray) -> np.ndarray:  # [N d]
    """Unit vectors of heads uint8 [N 64 64 3]."""
    with torch.no_grad():
        return np.concatenate([network(media.to_float(part)).numpy() for part in _parts(heads)])


def texture(network: HeadNet, heads: np.ndarray) -> np.ndarray:  # [N D]
    """What KID compares: per channel the mean and the spread of the maps at 32, 16 and 8 pixels a side."""
    found = []
    with torch.no_grad():
        for part in _parts(heads):
            maps = network.maps(media.to_float(part))[:3]
            found.append(torch.cat([f(m) for m in maps for f in (_mean, _spread)], 1).numpy())
    return np.concatenate(found)


def _mean(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def _spread(x: Tensor) -> Tensor:
    return x.std((2, 3))


def _parts(heads: np.ndarray) -> Iterator[np.ndarray]:
    for k in range(0, len(heads), 64):
        yield heads[k : k + 64]


def kid(made: np.ndarray, real: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x . y / D + 1)^3, times 1000; rows [N D] are pictures.

    Row i of both may show the same thing: no row is compared with its own number (Gretton et al. 2012, Lemma 6), which
    would call a few pictures alike for being of one person. Features must be scaled alike. 0 for two samples of one
    distribution, up to chance, which may go below it.
    """
    if len(made) < 2 or made.shape != real.shape:
        raise InputError(
            f"KID: at least 2 pictures, as many on each side, are needed, got {len(made)} and {len(real)}."
        )

    def across(a: np.ndarray, b: np.ndarray) -> float:
        matrix = (a @ b.T / a.shape[1] + 1.0) ** 3
        return (matrix.sum() - np.trace(matrix)) / (len(a) * (len(a) - 1))

    return 1000.0 * float(across(made, made) + across(real, real) - 2.0 * across(made, real))


def kid_error(made: np.ndarray, real: np.ndarray, *, rng: np.random.Generator, n_halves: int = 60) -> float:
    """Standard error of `kid` for paired rows, from random halves (the delete-half jackknife).

    A bootstrap would draw pictures twice, and a picture is too much like itself.
    """
    whole, half = kid(made, real), len(made) // 2
    picks = [rng.permutation(len(made))[:half] for _ in range(n_halves)]
    return float(np.sqrt(np.mean([np.square(kid(made[p], real[p]) - whole) for p in picks])))


def verification(network: HeadNet, heads: np.ndarray) -> dict[str, float]:
    """How well cosine similarity tells people apart that were not trained on; `heads` uint8 [N P 64 64 3].

    `accuracy` of same-or-not on as many pairs of one person as of two, at the best threshold of the other half of the
    people; `auc` is the chance that a pair of one person is more alike than a pair of two.
    """
    n, poses = heads.shape[:2]
    found = embeddings(network, heads.reshape(-1, *heads.shape[2:])).reshape(n, poses, -1)
    first, second = np.triu_indices(poses, 1)
    same = (found[:, first] * found[:, second]).sum(-1)  # [N pairs]
    other = (found[:, first] * np.roll(found, 1, axis=0)[:, second]).sum(-1)
    halves = (np.arange(n) % 2 == 0, np.arange(n) % 2 == 1)
    right = []
    for tuned, tested in (halves, halves[::-1]):
        levels = np.linspace(-1, 1, 401)
        fits = [(same[tuned] > level).mean() + (other[tuned] <= level).mean() for level in levels]
        best = levels[int(np.argmax(fits))]
        right += [(same[tested] > best).mean(), (other[tested] <= best).mean()]
    auc = (same.reshape(-1, 1) > other.reshape(1, -1)).mean()
    return {
        "accuracy": float(np.mean(right)),
        "auc": float(auc),
        "same": float(same.mean()),
        "other": float(other.mean()),
    }


def save(network: HeadNet, file: Path) -> None:
    media.save_tensors(network.state_dict(), file)


def load(file: Path) -> HeadNet:
    """The network in `file`, strictly."""
    from safetensors.torch import load_file

    network = HeadNet()
    network.load_state_dict(load_file(file))
    return network.eval().requires_grad_(False)
