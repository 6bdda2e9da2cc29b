"""StyleGAN2's building blocks (Karras et al. 2020): equalised layers, residual down blocks, modulated convolutions.

What differs from the paper, and why: resampling is a 2 x 2 mean down and bilinear up (the paper's four-tap filter up,
its two-tap cousin down), which processors do fast; there is no per-pixel noise, which would flicker from frame to frame.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GAIN = 2**0.5  # leaky ReLU loses half the variance; applied to the weights before it, where it costs nothing


def activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def halve(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2)


def double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Linear(nn.Module):
    """A fully connected layer with equalised learning rate: weights N(0, 1), scaled when used."""

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, gain: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.initial_bias, self.gain = bias, gain

    def forward(self, x: Tensor) -> Tensor:  # [B I] -> [B O]
        return F.linear(x, self.weight * (self.gain * self.weight.shape[1] ** -0.5), self.bias * self.gain)


class Conv(nn.Module):
    """A convolution with equalised learning rate, same size; `stride` 2 halves it (kernel 4)."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, bias: bool = True,
                 gain: float = GAIN):  # fmt: skip
        super().__init__()
        kernel = 4 if stride == 2 else kernel
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.stride, self.padding, self.gain = stride, (kernel - 1) // 2, gain

    def forward(self, x: Tensor) -> Tensor:
        scale = self.gain * self.weight[0].numel() ** -0.5
        bias = None if self.bias is None else self.bias * self.gain
        return F.conv2d(x, self.weight * scale, bias, self.stride, self.padding)


class Down(nn.Module):
    """StyleGAN2's residual discriminator block: two convolutions and a mean over 2 x 2, beside a 1 x 1 shortcut."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.first, self.second = Conv(inputs, inputs), Conv(inputs, outputs, gain=1.0)  # GAIN over the sum's sqrt(2)
        self.shortcut = Conv(inputs, outputs, 1, bias=False, gain=0.5**0.5)

    def forward(self, x: Tensor) -> Tensor:  # [B I H W] -> [B O H/2 W/2]
        # The mean comes before the second convolution: a quarter of the work, and as wide a view.
        return activate(self.second(halve(activate(self.first(x))))) + self.shortcut(halve(x))


class ModulatedConv(nn.Module):
    """A convolution whose input channels a style scales and whose output is brought back to unit variance.

    Scaling the input and the output gives what scaling the weights of every sample would, in one plain convolution.
    """

    def __init__(self, inputs: int, outputs: int, style: int, kernel: int = 3, *, demodulate: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.affine = Linear(style, inputs, bias=1.0)
        self.demodulate = demodulate

    def forward(self, x: Tensor, style: Tensor) -> Tensor:  # [B I H W], [B S] -> [B O H W]
        weight = self.weight * self.weight[0].numel() ** -0.5
        scale = self.affine(style)
        x = F.conv2d(x * scale[..., None, None].to(x.dtype), weight, None, 1, weight.shape[-1] // 2)
        bias = self.bias[:, None, None].to(x.dtype)
        if not self.demodulate:
            return x + bias
        power = F.linear(scale.float().square(), weight.float().square().sum((2, 3)))
        return torch.addcmul(bias * GAIN, x, (GAIN * torch.rsqrt(power + 1e-8))[..., None, None].to(x.dtype))


class Up(nn.Module):
    """One resolution of the generator: twice the size, two modulated convolutions, and a picture added to the last."""

    def __init__(self, inputs: int, outputs: int, style: int):
        super().__init__()
        self.first = ModulatedConv(inputs, outputs, style)
        self.second = ModulatedConv(outputs, outputs, style)
        self.picture = ModulatedConv(outputs, 3, style, 1, demodulate=False)

    def forward(self, x: Tensor, picture: Tensor | None, style: Tensor, skip: Tensor | None) -> tuple[Tensor, Tensor]:
        x = activate(self.first(double(x), style))
        if skip is not None:
            x = x + skip
        x = activate(self.second(x, style))
        drawn = self.picture(x, style)
        return x, drawn if picture is None else drawn + double(picture)


def draw_weights(module: nn.Module, generator: torch.Generator) -> None:
    """All weights anew: N(0, 1), biases at their start (torch's own draw would take its global generator)."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, Linear | Conv | ModulatedConv):
                part.weight.normal_(generator=generator)
                if part.bias is not None:
                    part.bias.fill_(getattr(part, "initial_bias", 0.0))
