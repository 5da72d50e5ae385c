"""Small things that checks ask questions with: networks and bowls whose best code is known."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_lib.generators.base import Generator
from course_lib.losses import pixel_loss
from course_lib.shapes import Image, Latent


class ToyGenerator(Generator):
    """Pictures 0.5 + Σ z_i B_i of a few random patterns: one code is best, and easily found.

    A code of the space "double" counts twice.
    """

    spaces = ("z", "double")

    def __init__(self, rng: torch.Generator):
        super().__init__()
        self.name, self.resolution, self.z_dim = "toy", 4, 6
        patterns = torch.linalg.qr(torch.randn(48, 6, generator=rng)).Q
        self.patterns = nn.Parameter(0.5 * patterns.T.reshape(6, 3, 4, 4))

    def decode(self, latent: Latent, *, space: str = "z", noise: object = None) -> Image:
        """(batch, 6) -> (batch, 3, 4, 4)."""
        self.require_latent(latent, space)
        times = 2 if space == "double" else 1
        return 0.5 + times * torch.einsum("bz,zchw->bchw", latent, self.patterns)

    def features(self, latent: Latent, layer: str, *, space: str = "z") -> Tensor:
        """The picture itself: there are no layers."""
        return self.decode(latent, space=space)


class ToyEncoder(nn.Module):
    """Photos (batch, 3, 4, 4) in [0, 1] -> three rows of five numbers, linearly."""

    space = "w_plus"

    def __init__(self, rng: torch.Generator):
        super().__init__()
        self.weights = nn.Parameter(torch.randn(48, 15, generator=rng))

    def forward(self, photos: Image) -> Latent:
        """Rows of w_plus."""
        if photos.ndim != 4:
            raise ValueError("one photo is no batch: pass photo[None].")
        return (photos.flatten(1) @ self.weights).unflatten(1, (3, 5))


def negative_loss(image: Image, target: Image) -> Tensor:
    """How far a picture is from the target's negative: (batch,)."""
    return pixel_loss(image, 1 - target)


@dataclass(frozen=True)
class Bowl:
    """An energy whose bottom is known, another one for each code: Σ steep (code − bottom)²."""

    bottom: Tensor
    steep: Tensor

    def __call__(self, codes: Tensor) -> Tensor:
        """(batch, dim) -> (batch,)."""
        return (self.steep * (codes - self.bottom).square()).sum(dim=1)
