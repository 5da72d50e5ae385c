"""Small things that checks ask questions with: networks and blobs whose answer is known."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
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
class Blob:
    """A denoiser that is right: pictures are μ + spread · normal noise, and σ is added to them.

    (batch, 3, h, w), σ -> E[x | x + σ ε] = (spread² x + σ² μ) / (spread² + σ²).
    """

    mean: Tensor
    spread: Tensor

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The clean pictures as they are guessed."""
        variance = self.spread.square()
        return (variance * x + sigma**2 * self.mean) / (variance + sigma**2)


@dataclass(frozen=True)
class Swirl:
    """Some noise for any picture and time: tanh((1 + t) W x), which no step can guess."""

    weights: Tensor

    def __call__(self, x: Tensor, t: float) -> Tensor:
        """(batch, 3, h, w) -> the same shape."""
        mixed = torch.einsum("cd,bdhw->bchw", self.weights.to(x), x)
        return torch.tanh((1 + t) * mixed)


@dataclass(frozen=True)
class Glance:
    """Pictures (batch, 3, any, any) -> unit vectors (batch, d), as a CLIP has them."""

    weights: Tensor

    def __call__(self, pictures: Image) -> Tensor:
        """What is seen in each quarter, mixed."""
        quarters = F.adaptive_avg_pool2d(pictures, 2).flatten(1)
        return F.normalize(quarters @ self.weights.to(quarters), dim=1)
