"""Whether a generator knows what is in a photo: how far the inverting network's picture stays away.

Every photo has a closest picture on the manifold, a cup of coffee too, as a cat would be drawn
that had to look like one. So the distance that is left is compared with what photos of the
generator's own kind, which the network has not learnt from, leave. Before any descent: this one
would go far out of the manifold to make a cup of a cat.
"""

import json
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.encoders import invert
from course_lib.generators.base import Generator
from course_lib.losses import FeatureLoss, lite0_loss
from course_lib.projection import as_batch
from course_lib.weights.files import ASSETS

CALIBRATED = ASSETS / "familiarity.json"


@dataclass(frozen=True)
class Familiarity:
    """How far the inverting network's picture stays from a photo, beside photos of the kind.

    Attributes:
        distance: in the features of EfficientNet-Lite0.
        typical, limit: the median, and what 95 % of the kind's photos stay below.
    """

    distance: float
    typical: float
    limit: float

    @property
    def is_known(self) -> bool:
        """Whether the photo is as close as those of the kind."""
        return self.distance <= self.limit

    @property
    def ratio(self) -> float:
        """How many times as far it is as is typical of the kind."""
        return self.distance / self.typical


def judge_familiarity(
    generator: Generator, photo: Float[Tensor, "3 r r"]
) -> Familiarity | None:
    """Compare a photo with what its generator can make of it; None where none was calibrated.

    Raises:
        ValueError: the photo is not of the generator's size.
    """
    known = _calibrated().get(generator.name)
    if known is None:
        return None
    distance = float(inverted_distances(generator, photo)[0])
    return Familiarity(distance, known["typical"], known["limit"])


def calibrate_familiarity(
    generator: Generator, photos: Float[Tensor, "photos 3 r r"]
) -> dict[str, float]:
    """What photos of the kind leave as distance, of which the inverting network has learnt none.

    Returns:
        "typical", "limit" and the number of "photos", to be kept in `assets/familiarity.json`
        under the generator's name.
    """
    distances = torch.cat([inverted_distances(generator, part) for part in photos.split(20)])
    typical, limit = distances.quantile(torch.tensor([0.5, 0.95])).tolist()
    return {"typical": round(typical, 3), "limit": round(limit, 3), "photos": len(distances)}


@torch.no_grad()
def inverted_distances(generator: Generator, photos: Tensor) -> Float[Tensor, " photos"]:
    """How far the pictures of these photos' inverted codes are from the photos themselves."""
    photos = as_batch(photos, generator)
    space = generator.spaces[-1]
    pictures = generator.decode(invert(generator, photos, space=space), space=space)
    return _loss()(pictures.clamp(0, 1), photos).cpu()


@cache
def _loss() -> FeatureLoss:
    return lite0_loss()


@cache
def _calibrated() -> dict[str, dict[str, float]]:
    return json.loads(CALIBRATED.read_text(encoding="utf-8"))
