"""Attributes of pictures in one pass: is this coat light, is this cat ginger?

They label samples for annotated directions, and measure what an edit changed besides what was
meant.
"""

import itertools
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.checks import require_image, require_option
from course_lib.generators.base import Generator
from course_lib.shapes import Image
from course_lib.weights import read_weights
from course_lib.weights.files import ASSETS


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
