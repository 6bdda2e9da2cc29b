"""The network that hides a cut: cross-attention warping and a Co-Mod generator (thesis section 4.2.2, Eq. 4.1).

Queries are features of the target's keypoints, keys of the sources' keypoints and pictures, values of the sources'
pictures, all at a quarter of the picture's size. Eq. 4.1's softmax over all places of all sources picks what to copy;
the generator (Co-Mod GAN, Zhao et al. 2021) gets it together with both end frames' features and a random code.

Pictures are float [B 3 H W] in [-1, 1]; grids float [B 3 H W] are what `keypoints.splat` gives: part number, U, V.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkey_core import media
from genkey_core.checks import InputError, boolean, integer, shown
from genkey_core.jumpcut import copying
from genkey_core.jumpcut.keypoints import LANDMARK_PART
from genkey_core.jumpcut.layers import GAIN, Conv, Down, Linear, ModulatedConv, Up, activate, draw_weights

_FREQUENCIES = 4  # sines of U and V, at one to eight half waves


@dataclass(frozen=True)
class Config:
    """Sizes of the networks; the defaults are the thesis's picture size with StyleGAN2's widths."""

    size: int = 256  # pictures are size x size
    cells: int = 16  # n: cells a side of each part's UV map
    landmarks: int = 98  # face landmarks appended to the keypoints
    stem: int = 1  # 2: encoders begin at half the size, for processors
    encoder: tuple[int, ...] = (64, 128, 256)  # channels at full, half and quarter size
    d_key: int = 64
    d_value: int = 256
    down: tuple[int, ...] = (256, 512, 512, 512, 512)  # generator's encoder, from a quarter of the size to 4 x 4
    up: tuple[int, ...] = (512, 512, 512, 512, 256, 128, 64)  # generator, from 4 x 4 to full size
    code: int = 512  # global code of the generator's encoder
    latent: int = 512  # random code z, and w
    mapping: int = 4  # layers from z to w
    discriminator: tuple[int, ...] = (64, 128, 256, 512, 512, 512, 512)  # from full size to 4 x 4
    pose_to_generator: bool = False  # also show the generator the query features
    copy_pixels: bool = False  # also copy from the sources at full size (copying.py)

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "tuple[int, ...]":
                object.__setattr__(self, field.name, tuple(integer(v, field.name, low=1) for v in value))
            elif field.type == "bool":
                boolean(value, field.name)
            else:
                integer(value, field.name, low=0 if field.name == "landmarks" else 1)
        levels = math.log2(self.size / 4)
        if self.size < 32 or levels != int(levels):
            raise InputError(f"size: a power of two of at least 32 is needed, got {self.size}.")
        wanted = {"encoder": 3, "down": int(levels) - 1, "up": int(levels) + 1, "discriminator": int(levels) + 1}
        for name, count in wanted.items():
            if len(getattr(self, name)) != count:
                raise InputError(
                    f"{name}: {count} widths are needed for size {self.size}, got {len(getattr(self, name))}."
                )
        if self.stem not in (1, 2):
            raise InputError(f"stem: 1 or 2 is needed, got {self.stem}.")
        if self.d_key > self.d_value:
            raise InputError(f"d_key: at most d_value, {self.d_value}, is needed, got {self.d_key}.")


FULL = Config()
MINI = Config(
    size=128, cells=12, landmarks=36, stem=2, encoder=(32, 48, 64), d_key=32, d_value=64,
    down=(96, 128, 160, 192), up=(192, 160, 128, 96, 64, 32), code=128, latent=64, mapping=2,
    discriminator=(32, 48, 96, 128, 160, 192), pose_to_generator=True, copy_pixels=True,
)  # fmt: skip


def embed(grid: Tensor, images: Tensor | None = None) -> Tensor:
    """A grid [B 3 H W] as what convolutions can tell apart: a plane per part and sines of U and V, and the pictures.

    [B EMBEDDED (+ 3) H W], in the number type that an autocast around it computes in.
    """
    batch, _, height, width = grid.shape
    kind = grid.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else grid.dtype
    made = torch.zeros(batch, height, width, EMBEDDED + (0 if images is None else 3), dtype=dtype, device=grid.device)
    at = torch.nonzero(grid[:, 0] > 0, as_tuple=True)  # keypoints are few: only they are worked out
    part, uv = grid[at[0], 0, at[1], at[2]], grid[at[0], 1:, at[1], at[2]]
    planes = (part[:, None] == torch.arange(1, LANDMARK_PART + 1, device=grid.device)).to(grid.dtype)
    waves = [f(uv * (math.pi * 2**k)) for k in range(_FREQUENCIES) for f in (torch.sin, torch.cos)]
    made[..., :EMBEDDED][at] = torch.cat([planes, *waves], 1).to(dtype)
    if images is not None:
        made[..., EMBEDDED:] = images.permute(0, 2, 3, 1)
    return made.permute(0, 3, 1, 2)


EMBEDDED = LANDMARK_PART + 4 * _FREQUENCIES


class Encoder(nn.Module):
    """StyleGAN2's down blocks from a picture to a quarter of its size, and a projection."""

    def __init__(self, inputs: int, outputs: int, config: Config):
        super().__init__()
        full, half, quarter = config.encoder
        self.stem = Conv(inputs, full if config.stem == 1 else half, stride=config.stem)
        self.finest = Down(full, half) if config.stem == 1 else None
        self.coarser = Down(half, quarter)
        self.refine = Conv(quarter, quarter)
        self.project = Conv(quarter, outputs, 1, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:  # [B I H W] -> [B O H/4 W/4]
        x = activate(self.stem(x))
        x = self.coarser(x if self.finest is None else self.finest(x))
        return self.project(activate(self.refine(x)))


@dataclass(frozen=True)
class Memory:
    """Sources, encoded once for all frames of a transition."""

    keys: Tensor  # [B N d_k h w]
    values: Tensor  # [B N d_v h w]
    pictures: Tensor | None = None  # [B N 3 H W], where pixels are copied, and so are
    grids: Tensor | None = None  # [B N 3 H W]

    @classmethod
    def joined(cls, parts: Sequence[Memory]) -> Memory:
        """One memory of all sources of `parts`."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(None if column[0] is None else torch.cat(column, 1) for column in columns))


def attend(query: Tensor, memory: Memory, *, scale: float | None = None) -> Tensor:
    """Eq. 4.1: for each place of `query` [B d_k h w] the softmax-weighted mean of all sources' values; [B d_v h w].

    `scale` multiplies the products; None is d_k^-1/2.

    One fused call: the n_q x n_k weights are never stored. Fused kernels want queries and values equally wide, so
    the narrower are filled up with zeros, which leaves products as they are, and each place's numbers side by side.
    """
    d_key, d_value = query.shape[1], memory.values.shape[2]
    wide = max(d_key, d_value)

    def places(features: Tensor) -> Tensor:  # [B N d h w] -> [B 1 Nhw d_v]
        rows = features.permute(0, 1, 3, 4, 2).flatten(1, 3)
        return F.pad(rows, (0, wide - rows.shape[-1])).contiguous()[:, None].to(query.dtype)

    tokens = [places(features) for features in (query[:, None], memory.keys, memory.values)]
    warped = F.scaled_dot_product_attention(*tokens, scale=d_key**-0.5 if scale is None else scale)
    return warped[:, 0, :, :d_value].transpose(1, 2).reshape(len(query), d_value, *query.shape[2:])


class Synthesis(nn.Module):
    """Sources and a target's keypoints -> the target's picture."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.query = Encoder(EMBEDDED, config.d_key, config)
        self.key = Encoder(EMBEDDED + 3, config.d_key, config)
        self.value = Encoder(3, config.d_value, config)
        self.generator = Generator(config)
        self.nearness = copying.Nearness() if config.copy_pixels else None

    def remember(self, images: Tensor, grids: Tensor) -> Memory:  # [B N 3 H W] x2
        """Keys and values of N sources, one source at a time where nothing is learned, so that memory stays small."""
        kept = (images, grids) if self.config.copy_pixels else ()
        if torch.is_grad_enabled():
            flat = self._one(images.flatten(0, 1), grids.flatten(0, 1))
            return Memory(*(part.unflatten(0, images.shape[:2]) for part in flat), *kept)
        each = [self._one(images[:, k], grids[:, k]) for k in range(images.shape[1])]
        return Memory(*(torch.stack(parts, 1) for parts in zip(*each, strict=True)), *kept)

    def _one(self, images: Tensor, grids: Tensor) -> tuple[Tensor, Tensor]:
        return self.key(embed(grids, images)), self.value(images)

    def generate(self, memory: Memory, grid: Tensor, z: Tensor) -> Tensor:
        """The frame whose keypoints are `grid` [B 3 H W]; the first two of `memory` are the end frames; z [B latent]."""
        return self.made(memory, grid, z)[0]

    def made(self, memory: Memory, grid: Tensor, z: Tensor) -> tuple[Tensor, copying.Copied | None]:
        """`generate`, and beside it what was copied where pixels are, else None."""
        query, copied = self.query(embed(grid)), None
        if self.config.copy_pixels:
            warped, copied = self._copied(query, grid, memory)
        else:
            warped = attend(query, memory)
        seen = [warped, *memory.values[:, :2].unbind(1)]
        if self.config.pose_to_generator:
            seen.append(query)
        if copied is not None:
            seen.append(F.pixel_unshuffle(copied.picture, copying.PATCH))
        features = torch.cat([part.to(query.dtype) for part in seen], 1)
        real = () if copied is None else (copied.picture, memory.pictures[:, :2])
        return self.generator(features, z, *real), copied

    def _copied(self, query: Tensor, grid: Tensor, memory: Memory) -> tuple[Tensor, copying.Copied]:
        """What attention brings of the sources' features, and the picture it copies; one call for both."""
        batch, n_sources, d_value, height, width = memory.values.shape
        where = copying.places(n_sources, height, width, device=query.device).expand(batch, -1, -1, -1, -1)
        kind = query.device.type
        with torch.autocast(kind, enabled=False):  # places need more than a half number's eight bits
            values = torch.cat([memory.values.float(), where], 2)
            config = self.config
            centres = copying.led(grid, memory.grids, cells=config.cells, landmarks=config.landmarks)
            asked, told = self.nearness(query.float(), memory.keys.float(), centres)
            brought = attend(asked, Memory(told, values), scale=query.shape[1] ** -0.5)
        return brought[:, :d_value], copying.sampled(brought[:, d_value:], memory.pictures)

    def forward(self, images: Tensor, source_grids: Tensor, grid: Tensor, z: Tensor) -> Tensor:
        """images, source_grids: [B N 3 H W], the first two the end frames; grid: [B 3 H W]; -> [B 3 H W]."""
        return self.generate(self.remember(images, source_grids), grid, z)


class Generator(nn.Module):
    """Co-Mod GAN at a quarter of the size: an encoder whose code, with the mapped random one, styles the decoder."""

    def __init__(self, config: Config):
        super().__init__()
        down, up = config.down, config.up
        inputs = 3 * config.d_value + (config.d_key if config.pose_to_generator else 0)
        inputs += 3 * copying.PATCH**2 if config.copy_pixels else 0
        style = config.latent + config.code
        self.enter = Conv(inputs, down[0])
        self.down = nn.ModuleList(Down(a, b) for a, b in pairwise(down))
        self.squeeze = Linear(down[-1] * 16, config.code, gain=GAIN)
        self.mapping = nn.ModuleList(Linear(config.latent, config.latent, gain=GAIN) for _ in range(config.mapping))
        self.begin = ModulatedConv(down[-1], up[0], style)
        self.up = nn.ModuleList(Up(a, b, style) for a, b in pairwise(up))
        # What the encoder saw at each size is added to the decoder there, below the finest two sizes.
        self.skip = nn.ModuleList(Conv(a, b, 1, gain=1.0) for a, b in zip(down[-2::-1], up[1:], strict=False))
        self.mix = copying.Mix(up[-1]) if config.copy_pixels else None

    def forward(self, features: Tensor, z: Tensor, copied: Tensor | None = None, ends: Tensor | None = None) -> Tensor:
        """features [B I H/4 W/4] -> [B 3 H W]; copied [B 3 H W] and ends [B 2 3 H W] are mixed in where pixels are."""
        x = activate(self.enter(features))
        seen = [x]
        for block in self.down:
            x = block(x)
            seen.append(x)
        w = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.mapping:
            w = activate(layer(w))
        style = torch.cat([w.float(), activate(self.squeeze(x.flatten(1))).float()], 1)
        x, picture = activate(self.begin(x, style)), None
        for level, block in enumerate(self.up):
            skip = self.skip[level](seen[-2 - level]) if level < len(self.skip) else None
            x, picture = block(x, picture, style, skip)
        return picture if self.mix is None else self.mix(x, picture, copied, ends)


class Discriminator(nn.Module):
    """StyleGAN2's residual discriminator: one number per picture."""

    def __init__(self, config: Config):
        super().__init__()
        widths = config.discriminator
        first = config.stem - 1
        self.stem = Conv(3, widths[first], 1 if config.stem == 1 else 4, stride=config.stem)
        self.down = nn.ModuleList(Down(a, b) for a, b in pairwise(widths[first:]))
        self.last = Conv(widths[-1] + 1, widths[-1])
        self.dense = Linear(widths[-1] * 16, widths[-1], gain=GAIN)
        self.score = Linear(widths[-1], 1)

    def forward(self, image: Tensor) -> Tensor:  # [B 3 H W] -> [B]
        x = activate(self.stem(image))
        for block in self.down:
            x = block(x)
        # How much the batch varies is one more plane: sameness gives fakes away.
        spread = (x.float().var(0, unbiased=False) + 1e-8).sqrt().mean().to(x.dtype)
        x = activate(self.last(torch.cat([x, spread.expand(len(x), 1, *x.shape[2:])], 1)))
        return self.score(activate(self.dense(x.flatten(1))))[:, 0]


def build(config: Config, *, seed: int = 0) -> Synthesis:
    """Fresh networks; the same seed gives the same weights."""
    network = Synthesis(config)
    draw_weights(network, torch.Generator().manual_seed(seed))
    return network


def save(network: Synthesis, folder: str | Path, *, half: bool = True, notes: dict[str, str] | None = None) -> Path:
    """Writes `config.json` and `model.safetensors` (half precision unless told otherwise) to `folder`."""
    folder = Path(folder)
    weights = {name: value.half() if half else value for name, value in network.state_dict().items()}
    media.save_tensors(weights, folder / "model.safetensors", notes=notes)
    (folder / "config.json").write_text(json.dumps(asdict(network.config), indent=2) + "\n")
    return folder


def load(folder: str | Path, *, device: str = "cpu") -> Synthesis:
    """The network in `folder`, float32, ready to run. Every weight must be there, fit, and be expected.

    Raises InputError where the folder holds no such network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    try:
        settings = json.loads((folder / "config.json").read_text())
        config = Config(**settings)
        weights = load_file(folder / "model.safetensors")
    except (OSError, json.JSONDecodeError, TypeError, SafetensorError) as error:
        raise InputError(
            f"jump-cut model: {shown(folder.name)} needs a config.json and a model.safetensors of it."
        ) from error
    with torch.device("meta"):
        network = Synthesis(config)
    known = {name: value.shape for name, value in network.state_dict().items()}
    if {name: value.shape for name, value in weights.items()} != known:
        odd = sorted(
            {
                name
                for name in known.keys() | weights.keys()
                if known.get(name) != getattr(weights.get(name), "shape", None)
            }
        )
        raise InputError(f"jump-cut model: {shown(folder.name)} does not fit its config.json, first at {odd[0]}.")
    network.load_state_dict({name: value.float() for name, value in weights.items()}, assign=True)
    return network.to(device).eval().requires_grad_(False)
