"""The sizes of StyleGAN2's networks, and the layers of which they are made.

Source: as in `stylegan2_networks`, which puts them together.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class StyleGAN2Config:
    """The shape of a StyleGAN2.

    Attributes:
        channels: of the blocks at 4², 8², ... up to the output's resolution.
        z_dim, w_dim: lengths of the two codes; c_dim: number of classes, 0 if unconditional.
        mapping_layers: depth of the mapping network.
        conv_clamp: largest magnitude behind a convolution, as checkpoints trained in half
            precision expect; None for no limit.
        lr_multiplier: by which the mapping network learnt more slowly than the rest.
        class_means: whether truncation pulls each class towards a mean of its own, instead of
            all of them towards one.
    """

    channels: tuple[int, ...]
    z_dim: int = 512
    w_dim: int = 512
    c_dim: int = 0
    mapping_layers: int = 8
    conv_clamp: float | None = None
    lr_multiplier: float = 0.01
    class_means: bool = False

    @property
    def resolutions(self) -> list[int]:
        """4, 8, ... up to the output's."""
        return [4 << level for level in range(len(self.channels))]

    @property
    def resolution(self) -> int:
        """Height and width of the picture."""
        return self.resolutions[-1]

    @property
    def num_ws(self) -> int:
        """Rows of w_plus: 2 log2(resolution) - 2."""
        return 2 * len(self.channels)


def official_channels(resolution: int, base: int = 32768, maximum: int = 512) -> tuple[int, ...]:
    """The official rule: min(base / r, maximum) channels at each resolution r."""
    levels = int(math.log2(resolution)) - 1
    return tuple(min(base // (4 << level), maximum) for level in range(levels))


def fir_filter() -> Tensor:
    """The smoothing filter of all resampling: outer product of [1, 3, 3, 1], sum 1."""
    row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return torch.outer(row, row)


def lay_out(x: Tensor) -> Tensor:
    """The same features in the order in which this device's convolutions are fastest."""
    return x.contiguous(memory_format=torch.channels_last) if x.device.type == "cpu" else x


def smooth(
    x: Tensor, fir: Tensor, *, padding: int, stride: int = 1, gain: float = 1
) -> Tensor:
    """Filter each channel with `fir`, zeros around."""
    channels = x.shape[1]
    kernel = (fir * gain).to(x.dtype).expand(channels, 1, 4, 4)
    return F.conv2d(x, kernel, stride=stride, padding=padding, groups=channels)


def upsample(image: Tensor) -> Tensor:
    """Twice the size: zeros inserted, then the FIR filter times 4.

    Which is bilinear interpolation in a frame of zeros.
    """
    framed = F.pad(image, (1, 1, 1, 1))
    return F.interpolate(framed, scale_factor=2, mode="bilinear")[..., 2:-2, 2:-2]


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU (slope 0.2) times √2, which keeps the variance."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def normalize(x: Tensor) -> Tensor:
    """Vectors whose root mean square is 1."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class Linear(nn.Module):
    """y = W x / √inputs + b, with weights of variance 1: an equalised learning rate."""

    def __init__(
        self, inputs: int, outputs: int, *, bias: float = 0, lr_multiplier: float = 1,
        activated: bool = False,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), float(bias)))
        self.weight_gain, self.bias_gain = lr_multiplier / math.sqrt(inputs), lr_multiplier
        self.activated = activated

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs) -> (batch, outputs)."""
        x = F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)
        return activate(x) if self.activated else x


class Conv(nn.Module):
    """A convolution of the discriminator, with an equalised learning rate."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, bias: bool = True,
                 down: bool = False, activated: bool = True, clamp: float | None = None):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.weight_gain = 1 / math.sqrt(inputs * kernel**2)
        self.kernel, self.down, self.activated, self.clamp = kernel, down, activated, clamp
        self.register_buffer("resample_filter", fir_filter())

    def forward(self, x: Tensor, *, gain: float = 1) -> Tensor:
        """(batch, inputs, r, r) -> (batch, outputs, r, r), or half the size where `down`."""
        # Leaky ReLU's √2 and the gain come before it, where they cost no pass over the picture.
        scale = math.sqrt(2) * gain if self.activated else gain
        weight = (self.weight * (self.weight_gain * scale)).to(x.dtype)
        bias = None if self.bias is None else (self.bias * scale).to(x.dtype)
        if self.down and self.kernel == 1:
            x = F.conv2d(smooth(x, self.resample_filter, padding=1, stride=2), weight, bias)
        elif self.down:
            x = F.conv2d(smooth(x, self.resample_filter, padding=2), weight, bias, stride=2)
        else:
            x = F.conv2d(x, weight, bias, padding=self.kernel // 2)
        if not self.activated:
            return x
        x, most = F.leaky_relu_(x, 0.2), self.clamp
        return x if most is None else x.clamp(-most * gain, most * gain)


class SynthesisLayer(nn.Module):
    """A 3x3 convolution that a style modulates, then noise, bias and activation."""

    def __init__(self, inputs: int, outputs: int, resolution: int, config: StyleGAN2Config,
                 *, up: bool = False):
        super().__init__()
        self.up, self.clamp = up, config.conv_clamp
        self.affine = Linear(config.w_dim, inputs, bias=1)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", fir_filter())

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None = None) -> Tensor:
        """(batch, inputs, r, r) -> (batch, outputs, r, r), or twice the size where `up`.

        `style`, (batch, inputs), scales each channel that comes in; `affine` makes it from w.

        Scaling input and output is the same as a weight W·s / ‖W·s‖ per sample, and cheaper.
        """
        x = x * style[:, :, None, None].to(x.dtype)
        if self.up:
            x = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
            x = smooth(x, self.resample_filter, padding=1, gain=4)
        else:
            x = F.conv2d(x, self.weight, padding=1)
        norm = style.square() @ self.weight.square().sum(dim=(2, 3)).T
        # Leaky ReLU's √2 comes before it, where it costs no pass over the picture of its own.
        scale = math.sqrt(2) * (norm + 1e-8).rsqrt()[:, :, None, None].to(x.dtype)
        x = torch.addcmul(math.sqrt(2) * self.bias[:, None, None].to(x.dtype), x, scale)
        if noise is not None:
            x = x.add_((math.sqrt(2) * noise * self.noise_strength).unsqueeze(1).to(x.dtype))
        x = F.leaky_relu_(x, 0.2)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)

    def noise_map(self, noise: str, x: Tensor) -> Tensor | None:
        """The map to add for a batch like `x`: (batch or 1, r, r), or None."""
        if noise == "random":
            return torch.randn(len(x), *self.noise_const.shape, device=x.device)
        return self.noise_const[None] if noise == "const" else None


class ToRGB(nn.Module):
    """A 1x1 convolution to colours, modulated but not normalised."""

    def __init__(self, inputs: int, config: StyleGAN2Config):
        super().__init__()
        self.gain, self.clamp = 1 / math.sqrt(inputs), config.conv_clamp
        self.affine = Linear(config.w_dim, inputs, bias=1)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(batch, inputs, r, r) -> (batch, 3, r, r), each channel scaled by its style."""
        weight = self.weight.flatten(1) * (style * self.gain)[:, None]  # (batch, 3, inputs)
        x = (weight.to(x.dtype) @ x.flatten(2)).unflatten(2, x.shape[2:])
        x = x + self.bias[:, None, None].to(x.dtype)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)
