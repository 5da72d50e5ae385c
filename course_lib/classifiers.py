"""Attributes of pictures in one pass: is this coat light, is this cat ginger?

They label samples for annotated directions, and measure what an edit changed besides what was
meant.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.checks import require_count, require_image, require_option, require_rng
from course_lib.generators.base import Generator
from course_lib.shapes import Image, Latent
from course_lib.weights import read_weights
from course_lib.weights.files import ASSETS

BATCH = 50  # pictures at once


@dataclass(frozen=True)
class ClassifierConfig:
    """The shape of a classifier.

    Attributes:
        resolution: of the pictures it reads.
        attributes: what it is asked of each picture, questions of yes or no.
        widths: channels at resolution / 2, resolution / 4, ... 4².
    """

    resolution: int
    attributes: tuple[str, ...]
    widths: tuple[int, ...]


class Classifier(nn.Module):
    """C(x): strided convolutions down to 4², then one linear question an attribute."""

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.config, self.attributes = config, config.attributes
        steps = list(itertools.pairwise((3, *config.widths)))
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in steps)
        self.norms = nn.ModuleList(nn.GroupNorm(4, b) for _, b in steps)
        size = config.resolution >> len(steps)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(config.widths[-1] * size**2, len(config.attributes))

    def forward(self, images: Image) -> Float[Tensor, "batch attributes"]:
        """Pictures (batch, 3, r, r) in [0, 1], larger ones averaged down -> logits.

        Above 0 for yes; the sigmoid of a logit is how probable.
        """
        require_image(images, "images")
        size = self.config.resolution
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[-2:]) < size:
            raise ValueError(
                f"images have shape {tuple(images.shape)}, but this classifier reads (batch, 3, "
                f"{size}, {size}) or larger: crop them with images.crop_square(..., "
                f"resolution={size})."
            )
        if tuple(images.shape[-2:]) != (size, size):
            images = F.interpolate(images, (size, size), mode="area")
        x = images * 2 - 1
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.2)
        return self.head(self.dropout(x.flatten(1)))

    def number(self, attribute: str) -> int:
        """Which column of the logits answers this attribute."""
        require_option(attribute, self.attributes, "attribute")
        return self.attributes.index(attribute)


def load_classifier(generator: Generator) -> Classifier:
    """The classifier of the things that this generator draws: that of cats, for cats-dcgan too.

    Raises:
        FileNotFoundError: none ships for them.
    """
    path = ASSETS / f"{generator.kind}-classifier.safetensors"
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no classifier of {generator.kind or 'what it draws'}, so samples of "
            f"{generator.name} can't be labelled by one: label some by hand with "
            f"widgets.labels.LabelTool, or train one with python -m course_lib.training classifier."
        )
    weights = read_weights(path)
    settings = dict(weights.settings["config"])
    lists = {name: tuple(settings[name]) for name in ("attributes", "widths")}
    classifier = Classifier(ClassifierConfig(**settings | lists))
    classifier.load_state_dict(weights.tensors)
    return classifier.to(generator.device).eval().requires_grad_(False)


@torch.no_grad()
def sample_showing(
    generator: Generator, n: int, *, any_of: Sequence[str], none_of: Sequence[str] = (),
    rng: torch.Generator, truncation_psi: float = 0.8,
) -> Latent:
    """`n` samples in w of whose pictures the classifier says what is wished: of one kind of thing.

    Args:
        any_of, none_of: attributes of the generator's classifier; of the first at least one holds,
            of the others not one.
    Raises:
        ValueError: there is no such attribute, or hardly a picture shows what is wished.
    """
    require_count(n, "n")
    require_rng(rng)
    classifier = load_classifier(generator)
    wanted, barred = ([classifier.number(name) for name in names] for names in (any_of, none_of))
    found, drawn = [], 0
    while sum(map(len, found)) < n:
        if drawn >= 10 * BATCH + 50 * n:
            raise ValueError(
                f"of {drawn:,} samples of {generator.name} only {sum(map(len, found))} show "
                f"{' or '.join(any_of)}, so {n} are out of reach: ask for fewer, or for less."
            )
        codes = generator.sample_latent(BATCH, space="w", rng=rng, truncation_psi=truncation_psi)
        says = classifier(generator.decode(codes, space="w").clamp(0, 1)) > 0
        found.append(codes[says[:, wanted].any(dim=1) & ~says[:, barred].any(dim=1)])
        drawn += BATCH
    return torch.cat(found)[:n]
