"""How real a picture looks: its distance from the nearest photographs, in a network's features.

The mean over the five nearest of some thousand photographs, in what the last block of
EfficientNet-Lite0 answers, averaged over the picture (the features of `metrics.frechet_distance`).
A distance alone says little, so it is compared with those of photographs that are not among them:
"farther away than 80 % of real photographs".

Source: after Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative
Models", NeurIPS 2019, section 3: manifolds from nearest neighbours in features.
"""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_image, require_option
from course_lib.lite0 import arrange_pictures, load_lite0
from course_lib.shapes import Image
from course_lib.weights import read_weights, save_weights
from course_lib.weights.files import ASSETS

NEIGHBOURS = 5
SEEN_AT = 128  # pixels: the size at which the network is shown every picture
KINDS = ("cats",)


@dataclass(frozen=True)
class Realism:
    """How far pictures lie from the nearest photographs.

    Attributes:
        distance: of each picture, in the features' deviations over all photographs.
        stranger: the share of photographs, kept out, that lie nearer: 0.5 is typical of a
            photograph, 1 is stranger than all of them.
    """

    distance: Float[Tensor, " pictures"]
    stranger: Float[Tensor, " pictures"]


@dataclass(frozen=True)
class Photographs:
    """What is kept of a kind's photographs: none of them can be seen from it.

    Attributes:
        features: of each, standardised; mean, std: by which.
        kept_out: distances of photographs that are not among them, in order.
    """

    features: Float[Tensor, "photos features"]
    mean: Float[Tensor, " features"]
    std: Float[Tensor, " features"]
    kept_out: Float[Tensor, " others"]

    def judge(self, images: Image) -> Realism:
        """Pictures (pictures, 3, height, width) beside the photographs."""
        distance = nearby(self._standardised(describe(images)), self.features.to(images))
        order = torch.searchsorted(self.kept_out.to(distance), distance)
        return Realism(distance, order / len(self.kept_out))

    def _standardised(self, features: Tensor) -> Tensor:
        return (features - self.mean.to(features)) / self.std.to(features)


def judge_realism(images: Image, kind: str = "cats") -> Realism:
    """How real pictures look, beside photographs of a kind.

    Args:
        images: one picture (3, height, width) or several, in [0, 1], framed as the kind's
            photographs are; shown to the network at 128².
        kind: "cats", centred faces.
    Raises:
        ValueError: there are no photographs of this kind, or these are no colour pictures.
        FileNotFoundError: the network's weights are not installed.
    """
    require_option(kind, KINDS, "kind")
    require_image(images, "images")
    if images.shape[-3] != 3:
        raise ValueError(
            f"images have shape {tuple(images.shape)}, but the network looks at colours: pass "
            f"(3, height, width), or a batch of them."
        )
    return _photographs(kind).judge(images.reshape(-1, *images.shape[-3:]))


@torch.no_grad()
def describe(images: Float[Tensor, "pictures 3 _ _"]) -> Float[Tensor, "pictures features"]:
    """What the network's last block says of each picture, 320 numbers."""
    return torch.cat([
        load_lite0(some.device)(arrange_pictures(some, SEEN_AT))[-1].mean(dim=(2, 3))
        for some in images.split(50)
    ])


def nearby(features: Tensor, others: Tensor) -> Float[Tensor, " pictures"]:
    """The mean distance from the nearest five of the others, as a mean over the features."""
    found = torch.cdist(features, others).topk(NEIGHBOURS, largest=False).values
    return found.mean(dim=1) / features.shape[1] ** 0.5


def collect(
    photos: Float[Tensor, "photos features"], kept_out: Float[Tensor, "others features"]
) -> Photographs:
    """Keep the features of photographs, and how far others lie from them."""
    mean, std = photos.mean(dim=0), photos.std(dim=0).clamp(min=1e-6)
    known, others = ((part - mean) / std for part in (photos, kept_out))
    return Photographs(known, mean, std, nearby(others, known).sort().values)


def save_photographs(found: Photographs, kind: str) -> None:
    """Write them beside the weights that ship."""
    save_weights(ASSETS / f"{kind}-photographs.safetensors", vars(found), settings={})


@cache
def _photographs(kind: str) -> Photographs:
    stored = read_weights(ASSETS / f"{kind}-photographs.safetensors").tensors
    return Photographs(**{name: value.float() for name, value in stored.items()})
