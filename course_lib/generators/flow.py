"""RealNVP and Glow: a picture and its code are one and the same, turned over step by step.

Every step f has an inverse and a Jacobian whose determinant is read off, so that with z = f(x)

    ln p(x) = ln N(z; 0, I) + ln |det ∂f/∂x|

is known exactly, and is what training raises. Decoding runs the steps backwards.

Sources: Dinh et al., "Density Estimation using Real NVP", ICLR 2017, sections 3.2 to 3.7; Kingma
and Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions", NeurIPS 2018, table 1.

Deviations: ln s of a coupling is 2 tanh(l / 2), and what its net reads last is squashed to a
bounded length: no picture and no code, however unlikely, is carried to infinity. Act-norm stands
where RealNVP has batch norm, so that a picture's code does not depend on its company, and no
logit is taken of the pixels.
"""

import math
from collections.abc import Mapping as Table
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.checks import require_option, require_rng
from course_lib.generators.base import Generator
from course_lib.generators.flow_steps import LIMIT, Features, GlowStep, LogDet, RealNVPStep
from course_lib.generators.loading import find_prefix, load_configured
from course_lib.shapes import Image, Latent
from course_lib.weights import StoredWeights

FIRST = "levels.0.squeezed.0.norm.log_scale"  # a name that no other family has


@dataclass(frozen=True)
class FlowConfig:
    """Its kind and sizes.

    Attributes:
        kind: "glow" | "realnvp".
        resolution: of the pictures; levels: how often it is halved.
        steps: of each level; of RealNVP as many before the halving again.
        width: channels inside the couplings' nets.
        bits: of each value of the pictures that it learnt from.
    """

    kind: str = "glow"
    resolution: int = 32
    levels: int = 3
    steps: int = 10
    width: int = 128
    bits: int = 5


class Level(nn.Module):
    """Steps, the halving of the size, steps; then half of the channels leaves as part of z.

    At the last level all of them leave. Of Glow those that leave become (h − m) / σ, with m and σ
    as a convolution predicts them from those that stay.
    """

    def __init__(self, config: FlowConfig, channels: int, *, last: bool):
        super().__init__()
        inner, width, glow = 4 * channels, config.width, config.kind == "glow"
        self.leaving = inner if last else inner // 2
        odds = [step % 2 == 1 for step in range(config.steps)]
        self.whole = nn.ModuleList(
            () if glow else (RealNVPStep(channels, width, checkered=True, odd=odd) for odd in odds))
        self.squeezed = nn.ModuleList(
            GlowStep(inner, width) if glow else RealNVPStep(inner, width, checkered=False, odd=odd)
            for odd in odds)
        self.prior = None
        if glow and not last:
            self.prior = nn.Conv2d(inner - self.leaving, 2 * self.leaving, 3, padding=1)
            for parameter in self.prior.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Features) -> tuple[Features, Features, LogDet]:
        """What stays, what leaves for z, and ln |det|."""
        x, whole_det = run(self.whole, x)
        x, squeezed_det = run(self.squeezed, F.pixel_unshuffle(x, 2))
        leaving, x = x[:, : self.leaving], x[:, self.leaving :]
        mean, log_deviation = self._predicted(x)
        z = (leaving - mean) * (-log_deviation).exp()
        return x, z, whole_det + squeezed_det - log_deviation.flatten(1).sum(dim=1)

    def inverse(self, x: Features, z: Features) -> Features:
        """What came in, of what stayed and what left."""
        mean, log_deviation = self._predicted(x)
        x = torch.cat([mean + z * log_deviation.exp(), x], dim=1)
        for step in reversed(self.squeezed):
            x = step.inverse(x)
        x = F.pixel_shuffle(x, 2)
        for step in reversed(self.whole):
            x = step.inverse(x)
        return x

    def _predicted(self, x: Features) -> tuple[Features, Features]:
        """m and ln σ of what leaves, the latter between -LIMIT and LIMIT; 0 without a prior."""
        if self.prior is None:
            zero = x.new_zeros(len(x), self.leaving, *x.shape[2:])
            return zero, zero
        mean, log_deviation = self.prior(x).to(x.dtype).chunk(2, dim=1)
        return mean, LIMIT * torch.tanh(log_deviation / LIMIT)


def run(steps: nn.ModuleList, x: Features) -> tuple[Features, LogDet]:
    """One step after another, and the sum of their ln |det|."""
    total = x.new_zeros(len(x))
    for step in steps:
        x, log_det = step(x)
        total = total + log_det
    return x, total


class Flow(Generator):
    """G(z) = f⁻¹(z), with f as levels; z holds what left the levels, the coarsest first."""

    def __init__(self, config: FlowConfig, name: str = "flow"):
        super().__init__()
        self.config, self.name, self.resolution = config, name, config.resolution
        self.z_dim = 3 * config.resolution**2
        self.levels, self.shapes, channels = nn.ModuleList(), [], 3
        for number in range(1, config.levels + 1):
            level = Level(config, channels, last=number == config.levels)
            self.levels.append(level)
            self.shapes.insert(0, (level.leaving, *[config.resolution >> number] * 2))
            channels = 4 * channels - level.leaving
        self.layers = tuple(f"b{height}" for _, height, _ in self.shapes[1:])

    def forward(self, images: Image) -> tuple[Latent, LogDet]:
        """z and ln |det ∂z/∂x| of pictures in [0, 1]."""
        x, parts, total = images - 0.5, [], images.new_zeros(len(images))
        for level in self.levels:
            x, leaving, log_det = level(x)
            parts.insert(0, leaving.flatten(1))
            total = total + log_det
        return torch.cat(parts, dim=1), total

    def invert(self, images: Image, *, space: str = "z") -> Latent:
        """The code of each picture (batch, 3, r, r) in [0, 1], exactly, whatever it shows.

        Raises:
            ValueError: the pictures are not in [0, 1], or of another size.
        """
        self.require_space(space)
        self.require_pictures(images)
        return self(images)[0]

    def log_likelihood(self, images: Image) -> Float[Tensor, " batch"]:
        """ln p(x) of pictures in [0, 1], in nats, as a density of those values."""
        self.require_pictures(images)
        return self.log_density(images)

    def log_density(self, images: Image) -> Float[Tensor, " batch"]:
        """The same without a look at the pictures, for training."""
        z, log_det = self(images)
        return log_det - (z.square() + math.log(2 * math.pi)).sum(dim=1) / 2

    def bits_per_dimension(
        self, images: Image, *, rng: torch.Generator
    ) -> Float[Tensor, " batch"]:
        """What a value of each picture costs, if it is stored in `config.bits` bits: fewer are
        likelier, and a code that expects nothing needs all of them.

        The picture is dequantised: rounded to so many bits, with uniform noise of one step.
        """
        self.require_pictures(images)
        require_rng(rng)
        noisy = dequantize(images, self.config.bits, rng=rng)
        return self.config.bits - self.log_density(noisy) / (self.z_dim * math.log(2))

    def decode(self, latent: Latent, *, space: str = "z", noise: object = None) -> Image:
        """The pictures of codes, (batch, 3, resolution, resolution), about [0, 1]."""
        self.refuse_noise(noise)
        return self.decode_with_features(latent, (), space=space)[0]

    def features(self, latent: Latent, layer: str, *, space: str = "z") -> Tensor:
        """What a level makes on the way to the picture: (batch, channels, height, width)."""
        return self.decode_with_features(latent, (layer,), space=space)[1][layer]

    def decode_with_features(
        self, latent: Latent, layers: Sequence[str], *, space: str = "z"
    ) -> tuple[Image, dict[str, Tensor]]:
        """The pictures of codes and the layers' features, in one pass."""
        for layer in layers:
            require_option(layer, self.layers, "layer")
        self.require_latent(latent, space)
        parts = latent.split([math.prod(shape) for shape in self.shapes], dim=1)
        x, seen = latent.new_zeros(len(latent), 0, *self.shapes[0][1:]), {}
        for level, part, shape in zip(reversed(self.levels), parts, self.shapes, strict=True):
            x = level.inverse(x, part.unflatten(1, shape))
            seen[f"b{x.shape[-1]}"] = x
        return x + 0.5, {layer: seen[layer] for layer in layers}

    @classmethod
    def recognizes(cls, tensors: Table[str, Tensor]) -> bool:
        """Whether these are a flow's weights."""
        return find_prefix(tensors, FIRST) is not None

    @classmethod
    def from_weights(cls, weights: StoredWeights, name: str) -> "Flow":
        """Build it from stored weights, and the config stored with them.

        Raises:
            ValueError: weights or the config are missing, or of the wrong shape.
        """
        return load_configured(cls, FlowConfig, FIRST, weights, name)


def dequantize(
    images: Float[Tensor, "*shape"], bits: int, *, rng: torch.Generator
) -> Float[Tensor, "*shape"]:
    """Pictures in [0, 1] rounded down to so many bits, with uniform noise of one step: in [0, 1).

    Of whole numbers alone a density could be infinite.
    """
    levels = 2**bits
    whole = (images * levels).floor().clamp(0, levels - 1)
    return (whole + torch.rand(images.shape, generator=rng, device=rng.device).to(images)) / levels
