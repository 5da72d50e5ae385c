"""The networks of BigGAN: class-conditional batch norm, and blocks that double the resolution.

Names of parameters are those of BigGAN-PyTorch, the authors' release, whose spectral norms are
folded into the weights.

Source: Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", ICLR
2019, section 3.1 and appendix B (figure 15).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

MOMENTUM = 0.1  # of the running statistics

Features = Float[Tensor, "batch _ _ _"]  # (batch, channels, height, width)
Condition = Float[Tensor, "batch _"]
"""What a block is told: its chunk of z, and the class as a vector."""


@dataclass(frozen=True)
class BigGANConfig:
    """The shape of a BigGAN.

    Attributes:
        classes: their names, in the order of their numbers.
        channels: of the first features, at 4², and behind each block; one block doubles the
            resolution.
        chunk: numbers of z for the first features, and for each block.
        class_dim: length of the vector that stands for a class.
        attention: the resolution at which self-attention stands, 0 without.
    """

    classes: Sequence[str]
    channels: Sequence[int] = (224, 192, 128, 64, 32)
    chunk: int = 20
    class_dim: int = 32
    attention: int = 0

    def __post_init__(self):
        for name in ("classes", "channels"):  # a file has lists
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def resolution(self) -> int:
        """Height and width of the picture."""
        return 4 << len(self.channels) - 1

    @property
    def z_dim(self) -> int:
        """Of all chunks together."""
        return self.chunk * len(self.channels)


class StoredNorm(nn.Module):
    """Batch norm, by the batch in training and else by statistics that are stored."""

    def __init__(self, channels: int):
        super().__init__()
        self.momentum = MOMENTUM
        self.register_buffer("stored_mean", torch.zeros(channels))
        self.register_buffer("stored_var", torch.ones(channels))

    def normalized(self, x: Features) -> Features:
        """Mean 0 and variance 1 by channel."""
        return F.batch_norm(x, self.stored_mean, self.stored_var, training=self.training,
                            momentum=self.momentum, eps=1e-5)


class ConditionalNorm(StoredNorm):
    """(1 + gain(c)) · normalised x + bias(c): each block is told anew what it draws."""

    def __init__(self, channels: int, told: int):
        super().__init__(channels)
        self.gain = nn.Linear(told, channels, bias=False)
        self.bias = nn.Linear(told, channels, bias=False)

    def forward(self, x: Features, c: Condition) -> Features:
        """Features of x's shape."""
        gain, bias = 1 + self.gain(c), self.bias(c)
        return self.normalized(x) * gain[:, :, None, None] + bias[:, :, None, None]


class PlainNorm(StoredNorm):
    """gain · normalised x + bias."""

    def __init__(self, channels: int):
        super().__init__(channels)
        self.gain, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(
            torch.zeros(channels))

    def forward(self, x: Features) -> Features:
        """Features of x's shape."""
        return self.normalized(x) * self.gain[:, None, None] + self.bias[:, None, None]


class Block(nn.Module):
    """Twice the resolution: two convolutions, beside a path that only grows (figure 15b)."""

    def __init__(self, inputs: int, outputs: int, told: int):
        super().__init__()
        self.bn1, self.bn2 = ConditionalNorm(inputs, told), ConditionalNorm(outputs, told)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_sc = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Features, c: Condition) -> Features:
        """(batch, inputs, r, r) -> (batch, outputs, 2r, 2r)."""
        h = self.conv1(enlarge(F.relu(self.bn1(x, c))))
        h = self.conv2(F.relu(self.bn2(h, c)))
        return h + enlarge(self.conv_sc(x))  # a 1x1 convolution, for which the order is all one


class Attention(nn.Module):
    """x + γ · what each place takes from all others (Zhang et al., "SAGAN", ICML 2019)."""

    def __init__(self, channels: int):
        super().__init__()
        self.theta, self.phi = (nn.Conv2d(channels, channels // 8, 1, bias=False) for _ in "qk")
        self.g = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.o = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Features) -> Features:
        """Features of x's shape; keys and values are max-pooled to half of it."""
        queries = self.theta(x).flatten(2)
        keys, values = (F.max_pool2d(conv(x), 2).flatten(2) for conv in (self.phi, self.g))
        weights = (queries.mT @ keys).softmax(dim=-1)
        taken = (values @ weights.mT).unflatten(2, x.shape[2:])
        return x + self.gamma * self.o(taken)


class Synthesis(nn.Module):
    """z and a class's vector -> picture."""

    def __init__(self, config: BigGANConfig):
        super().__init__()
        self.config = config
        told = config.chunk + config.class_dim
        self.linear = nn.Linear(config.chunk, config.channels[0] * 16)
        self.blocks = nn.ModuleList()
        for number, (inputs, outputs) in enumerate(
                zip(config.channels, config.channels[1:], strict=False)):
            parts: list[nn.Module] = [Block(inputs, outputs, told)]
            if config.attention == 8 << number:
                parts.append(Attention(outputs))
            self.blocks.append(nn.ModuleList(parts))
        self.output_layer = nn.ModuleList([PlainNorm(config.channels[-1]), nn.ReLU(),
                                           nn.Conv2d(config.channels[-1], 3, 3, padding=1)])

    def forward(
        self, z: Float[Tensor, "batch z_dim"], y: Float[Tensor, "batch class_dim"],
        seen: dict[str, Tensor] | None = None, *, until: str | None = None,
    ) -> Float[Tensor, "batch _ _ _"]:
        """Pictures in [-1, 1], 3 channels; features go into `seen`, by layer.

        Args:
            until: stop behind this layer, "b8" say, and return its features.
        """
        first, *chunks = z.split(self.config.chunk, dim=1)
        x = self.linear(first).unflatten(1, (-1, 4, 4))
        x = x.contiguous(memory_format=torch.channels_last)
        found = {"b4": x}
        for parts, chunk in zip(self.blocks, chunks, strict=True):
            if until in found:
                return found[until]
            x = parts[0](x, torch.cat([y, chunk], dim=1))
            for attention in parts[1:]:
                x = attention(x)
            found[f"b{x.shape[-1]}"] = x
        if until is not None:
            return found[until]
        if seen is not None:
            seen.update(found)
        norm, relu, conv = self.output_layer
        return torch.tanh(conv(relu(norm(x))))


def enlarge(x: Features) -> Features:
    """Twice the size: each number four times."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def initialize(network: nn.Module) -> None:
    """Orthogonal weights, as the paper starts from."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.orthogonal_(module.weight)
