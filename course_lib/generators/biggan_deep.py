"""BigGAN-deep: narrow blocks, two for each resolution, all of which read the whole of z.

Names of parameters are those of pytorch-pretrained-BigGAN, whose spectral norms are folded into
the weights.

Source: Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", ICLR
2019, appendix B (figure 16); its published weights carry batch norm's statistics for 51
truncations.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.generators.biggan_networks import Attention, Condition, Features, enlarge

NARROWER = 4  # by how much, inside a block


@dataclass(frozen=True)
class BigGANDeepConfig:
    """The shape of a BigGAN-deep.

    Attributes:
        classes: their names, in the order of their numbers.
        channels: of the first features, at 4², and behind each block; every second block doubles
            the resolution.
        z_dim: of z, and of the vector that stands for a class.
        attention: the number of blocks before self-attention, 0 without.
        statistics: for how many truncations, evenly from 0 to 1.
    """

    classes: Sequence[str]
    channels: Sequence[int]
    z_dim: int = 128
    attention: int = 0
    statistics: int = 51

    def __post_init__(self):
        for name in ("classes", "channels"):  # a file has lists
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def class_dim(self) -> int:
        """Of the vector that stands for a class."""
        return self.z_dim

    @property
    def resolution(self) -> int:
        """Height and width of the picture."""
        return 4 << (len(self.channels) - 1) // 2


@dataclass(frozen=True)
class Told:
    """What a block is told besides its input.

    Attributes:
        code: z and the class's vector, (batch, 2 z_dim).
        truncation: by which batch norm's statistics are chosen, above 0 up to 1.
        as_published: whether they are mixed as pytorch-pretrained-BigGAN does, which swaps the
            weights of the two neighbours.
    """

    code: Condition
    truncation: float
    as_published: bool


class TruncationNorm(nn.Module):
    """Batch norm by statistics that depend on the truncation; gain and bias as told, or fixed."""

    def __init__(self, channels: int, told: int, statistics: int):
        super().__init__()
        self.register_buffer("running_means", torch.zeros(statistics, channels))
        self.register_buffer("running_vars", torch.ones(statistics, channels))
        if told:
            self.scale = nn.Linear(told, channels, bias=False)
            self.offset = nn.Linear(told, channels, bias=False)
        else:
            self.weight = nn.Parameter(torch.ones(channels))
            self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Features, told: Told) -> Features:
        """Features of x's shape."""
        mean, variance = (mix_statistics(table, told.truncation, as_published=told.as_published)
                          for table in (self.running_means, self.running_vars))
        x = F.batch_norm(x, mean, variance, eps=1e-4)
        if hasattr(self, "weight"):
            return x * self.weight[:, None, None] + self.bias[:, None, None]
        gain, bias = 1 + self.scale(told.code), self.offset(told.code)
        return x * gain[:, :, None, None] + bias[:, :, None, None]


def mix_statistics(
    table: Float[Tensor, "statistics channels"], truncation: float, *, as_published: bool
) -> Float[Tensor, " channels"]:
    """The row for a truncation, between the two nearest ones.

    As published, the nearer row counts less, and what rounding leaves of a truncation that has a
    row of its own (0.14, say) takes the next row: pictures of the peer are drawn so.
    """
    place = truncation / (1 / (len(table) - 1))
    share, first = math.modf(place if as_published else round(place, 6))
    if share == 0:
        return table[int(first)]
    first, second = table[int(first)], table[int(first) + 1]
    return torch.lerp(second, first, share) if as_published else torch.lerp(first, second, share)


class DeepBlock(nn.Module):
    """Four convolutions, narrow inside, beside a path that drops channels and grows."""

    def __init__(self, inputs: int, outputs: int, told: int, statistics: int, *, grows: bool):
        super().__init__()
        self.outputs, self.grows = outputs, grows
        middle = inputs // NARROWER
        widths, kernels = (inputs, middle, middle, middle, outputs), (1, 3, 3, 1)
        for number, kernel in enumerate(kernels):
            a, b = widths[number : number + 2]
            setattr(self, f"bn_{number}", TruncationNorm(a, told, statistics))
            setattr(self, f"conv_{number}", nn.Conv2d(a, b, kernel, padding=kernel // 2))

    def forward(self, x: Features, told: Told) -> Features:
        """(batch, inputs, r, r) -> (batch, outputs, r, r), or twice the size where it grows."""
        kept = x[:, : self.outputs]
        for number in range(4):
            x = F.relu(getattr(self, f"bn_{number}")(x, told))
            if number == 1 and self.grows:
                x, kept = enlarge(x), enlarge(kept)
            x = getattr(self, f"conv_{number}")(x)
        return x + kept


class DeepSynthesis(nn.Module):
    """z and a class's vector -> picture."""

    def __init__(self, config: BigGANDeepConfig):
        super().__init__()
        self.config = config
        told = config.z_dim + config.class_dim
        self.gen_z = nn.Linear(told, 16 * config.channels[0])
        self.layers = nn.ModuleList()
        for number, (a, b) in enumerate(zip(config.channels, config.channels[1:], strict=False)):
            if config.attention and number == config.attention:
                self.layers.append(Attention(a))
            self.layers.append(DeepBlock(a, b, told, config.statistics, grows=number % 2 == 1))
        self.bn = TruncationNorm(config.channels[-1], 0, config.statistics)
        self.conv_to_rgb = nn.Conv2d(config.channels[-1], 3, 3, padding=1)

    def forward(
        self, z: Float[Tensor, "batch z_dim"], y: Float[Tensor, "batch class_dim"],
        seen: dict[str, Tensor] | None = None, *, truncation: float = 1.0,
        as_published: bool = False, until: str | None = None,
    ) -> Float[Tensor, "batch _ _ _"]:
        """Pictures in [-1, 1], 3 channels; what the last block of a size gives goes into `seen`.

        Args:
            until: stop behind this size, "b8" say, and return its features.
        """
        told = Told(torch.cat([z, y], dim=1), truncation, as_published)
        x = self.gen_z(told.code).unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2).contiguous()
        found = {}
        for layer in self.layers:
            x = layer(x) if isinstance(layer, Attention) else layer(x, told)
            if until in found and f"b{x.shape[-1]}" != until:
                return found[until]
            found[f"b{x.shape[-1]}"] = x
        if until is not None:
            return found[until]
        if seen is not None:
            seen.update(found)
        return torch.tanh(self.conv_to_rgb(F.relu(self.bn(x, told))))
