"""How real a picture looks: its distance from the nearest photographs, place by place.

A picture of 128² is seen by EfficientNet-Lite0 as 8x8 places with 112 numbers each; here, averaged,
as 4x4. At each place: how far are the nearest five of some hundred photographs *at that place*?
The mean over the places is the picture's distance. A distance alone says little, so it is compared
with those of photographs that are not among them: "stranger than 80 % of real photographs".

The whole picture's features, averaged over all places as the Fréchet distance does, hardly notice a
patch of wrong fur; these do.

Source: Roth et al., "Towards Total Recall in Industrial Anomaly Detection" (PatchCore), CVPR 2022,
section 3; faces are aligned, so a place is compared with itself.
"""

from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_image, require_option
from course_lib.lite0 import arrange_pictures, load_lite0
from course_lib.shapes import Image
from course_lib.weights import read_weights, save_weights
from course_lib.weights.files import ASSETS

NEIGHBOURS = 5
SEEN_AT = 128  # pixels: the size at which the network is shown every picture
PLACES = 4  # along a side
KINDS = ("cats", "clothes")


@dataclass(frozen=True)
class Realism:
    """How far pictures lie from the nearest photographs.

    Attributes:
        distance: of each picture, in the features' deviations over the photographs.
        stranger: the share of photographs, kept out, that lie nearer: 0.5 is typical of a
            photograph, 1 is stranger than all of them.
        places: the distance at each place, of which `distance` is the mean.
    """

    distance: Float[Tensor, " pictures"]
    stranger: Float[Tensor, " pictures"]
    places: Float[Tensor, "pictures rows columns"]


@dataclass(frozen=True)
class Photographs:
    """What is kept of a kind's photographs: none of them can be seen from it.

    Attributes:
        features: of each, standardised; mean, std: by which.
        kept_out: distances of photographs that are not among them, in order.
    """

    features: Float[Tensor, "photos places features"]
    mean: Float[Tensor, "places features"]
    std: Float[Tensor, "places features"]
    kept_out: Float[Tensor, " others"]

    def judge(self, images: Image) -> Realism:
        """Pictures (pictures, 3, height, width) beside the photographs."""
        seen = (describe(images) - self.mean.to(images)) / self.std.to(images)
        places = nearby(seen, self.features.to(images))
        distance = places.mean(dim=1)
        order = torch.searchsorted(self.kept_out.to(distance), distance)
        return Realism(distance, order / len(self.kept_out),
                       places.unflatten(1, (PLACES, PLACES)))


def judge_realism(images: Image, kind: str = "cats") -> Realism:
    """How real pictures look, beside photographs of a kind.

    Args:
        images: one picture (3, height, width) or several, in [0, 1], framed as the kind's
            photographs are; shown to the network at 128².
        kind: "cats", centred faces, or "clothes", cut out and laid on white.
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
def describe(images: Float[Tensor, "pictures 3 _ _"]) -> Float[Tensor, "pictures places features"]:
    """What the network's last block but one says at each of 16 places, 112 numbers."""
    seen = [load_lite0(some.device)(arrange_pictures(some, SEEN_AT))[-2]
            for some in images.split(50)]
    return F.adaptive_avg_pool2d(torch.cat(seen), PLACES).flatten(2).transpose(1, 2)


def nearby(
    seen: Float[Tensor, "pictures places features"],
    others: Float[Tensor, "photos places features"],
) -> Float[Tensor, "pictures places"]:
    """The mean distance from the nearest five others at each place, a root mean square."""
    apart = torch.cdist(seen.transpose(0, 1), others.transpose(0, 1))
    found = apart.topk(NEIGHBOURS, largest=False).values.mean(dim=2)
    return found.T / seen.shape[2] ** 0.5


def collect(
    photos: Float[Tensor, "photos places features"],
    kept_out: Float[Tensor, "others places features"],
) -> Photographs:
    """Keep the features of photographs, and how far others lie from them."""
    mean, std = photos.mean(dim=0), photos.std(dim=0).clamp(min=1e-3)
    known, others = ((part - mean) / std for part in (photos, kept_out))
    return Photographs(known, mean, std, nearby(others, known).mean(dim=1).sort().values)


def save_photographs(found: Photographs, kind: str) -> None:
    """Write them beside the weights that ship."""
    save_weights(ASSETS / f"{kind}-photographs.safetensors", vars(found), settings={})


@cache
def _photographs(kind: str) -> Photographs:
    stored = read_weights(ASSETS / f"{kind}-photographs.safetensors").tensors
    return Photographs(**{name: value.float() for name, value in stored.items()})
