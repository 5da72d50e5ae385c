"""Inverting: x -> code in one pass, by the family's own inverse or by a network.

The networks are trained through a frozen generator.

Sources: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016,
section 3.1 (x -> z); Richardson et al., "Encoding in Style" (pSp), CVPR 2021 (x -> w_plus: a
pyramid of features predicts each row's offset from the mean w).
"""

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.checks import require_image, require_unit_range
from course_lib.generators.base import Generator
from course_lib.shapes import Image, Latent
from course_lib.weights import read_weights
from course_lib.weights.files import ASSETS


@dataclass(frozen=True)
class EncoderConfig:
    """The shape of an inverting network.

    Attributes:
        resolution: of the pictures it reads.
        space: of its codes, "w_plus" or "z"; rows: how many codes, 1 for z; dim: their length.
        widths: channels at resolution, resolution / 2, ... 4².
        neck: channels of each level of the pyramid, as the rows read it at 4².
    """

    resolution: int
    space: str
    rows: int
    dim: int
    widths: tuple[int, ...]
    neck: int = 32


class Encoder(nn.Module):
    """E(x): strided residual convolutions; coarse rows read the coarse features, fine the fine."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config, self.space = config, config.space
        widths = config.widths
        self.stem = nn.Conv2d(3, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            ResidualBlock(a, b) for a, b in itertools.pairwise(widths)
        )
        last = min(2, len(widths) - 2)
        self.levels = [min(last, row * 3 // config.rows) for row in range(config.rows)]
        self.necks = nn.ModuleList(
            nn.Conv2d(widths[-1 - level], config.neck, 1) for level in sorted(set(self.levels))
        )
        self.heads = nn.ModuleList(nn.Linear(config.neck * 16, config.dim) for _ in self.levels)
        self.register_buffer("mean", torch.zeros(config.dim))

    def forward(self, images: Image) -> Latent:
        """Pictures (batch, 3, r, r) in [0, 1] -> codes (batch, rows, dim); (batch, dim) for z."""
        require_image(images, "images")
        size = self.config.resolution
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size):
            raise ValueError(
                f"images have shape {tuple(images.shape)}, but this inverting network reads "
                f"(batch, 3, {size}, {size}): crop them with images.crop_square(..., "
                f"resolution={size})."
            )
        x = self.stem(images * 2 - 1)
        pyramid = []
        for block in self.blocks:
            x = block(x)
            pyramid.append(x)
        levels = [F.leaky_relu(neck(F.adaptive_avg_pool2d(x, 4)), 0.2).flatten(1)
                  for neck, x in zip(self.necks, reversed(pyramid), strict=False)]
        codes = [head(levels[level])
                 for head, level in zip(self.heads, self.levels, strict=True)]
        offsets = torch.stack(codes, dim=1)
        return self.mean + (offsets if self.space == "w_plus" else offsets[:, 0])


class ResidualBlock(nn.Module):
    """Halves the size: two convolutions beside an averaged shortcut."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.first = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.second = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.norms = nn.ModuleList([nn.GroupNorm(1, inputs), nn.GroupNorm(1, inputs)])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, r, r) -> (batch, outputs, r / 2, r / 2)."""
        y = self.first(F.leaky_relu(self.norms[0](x), 0.2))
        y = self.second(F.leaky_relu(self.norms[1](y), 0.2))
        return y + self.shortcut(F.avg_pool2d(x, 2))


def has_inverse(generator: Generator, space: str | None = None) -> bool:
    """Whether `invert` leads from pictures to codes, in `space` if given."""
    if generator.offers("invert"):
        return True
    # Networks of families with styles answer in w_plus, from where no way leads back to z.
    return has_encoder(generator) and (space != "z" or generator.spaces == ("z",))


def invert(generator: Generator, images: Image, *, space: str) -> Latent:
    """x -> code in one pass: by the generator's own inverse, else by its inverting network.

    In w the network's answer is the mean of its rows.

    Args:
        images: (batch, 3, r, r) in [0, 1].
    Raises:
        ValueError: no way leads to `space`, or the pictures are not in [0, 1].
        FileNotFoundError: the generator has neither.
    """
    generator.require_space(space)
    require_image(images, "images")
    require_unit_range(images, "images")
    with torch.no_grad():
        if generator.offers("invert"):
            return generator.invert(images, space=space)
        encoder = load_encoder(generator)
        if encoder.space == "w_plus" and space == "z":
            raise ValueError(
                f"the inverting network of {generator.name} answers in w_plus, from where no way "
                f'leads back to z: project into w or w_plus, or start with init="mean".'
            )
        code = encoder(images)
        if encoder.space == "w_plus" and space == "w":
            return code.mean(dim=1)
        return generator.convert(code, encoder.space, space)


def has_encoder(generator: Generator) -> bool:
    """Whether an inverting network was trained for this generator."""
    return (ASSETS / f"{generator.name}-encoder.safetensors").is_file()


def load_encoder(generator: Generator) -> Encoder:
    """The inverting network that was trained for this generator.

    Raises:
        FileNotFoundError: none ships for it.
    """
    if not has_encoder(generator):
        raise FileNotFoundError(
            f"there is no inverting network for {generator.name}, so its first guess is missing: "
            f'project with init="mean", or train one with python -m course_lib.training encoder.'
        )
    weights = read_weights(ASSETS / f"{generator.name}-encoder.safetensors")
    settings = dict(weights.settings["config"])
    encoder = Encoder(EncoderConfig(**settings | {"widths": tuple(settings["widths"])}))
    encoder.load_state_dict(weights.tensors)
    return encoder.to(generator.device).eval().requires_grad_(False)
