"""Training an inverting network E through a frozen generator: G(E(x)) ≈ x.

On real photos it learns to reconstruct; on the generator's own samples it also learns the code.

Sources: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016,
eq. 3; Richardson et al., "Encoding in Style" (pSp), CVPR 2021, section 3.2.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from course_lib.encoders import Encoder, EncoderConfig
from course_lib.generators import load_generator
from course_lib.generators.base import Generator
from course_lib.losses import lite0_loss, pixel_loss
from course_lib.training.base import Losses
from course_lib.training.data import Dataset, read_pictures
from course_lib.training.descent import DescentRecipe, DescentTraining
from course_lib.training.measuring import Report
from course_lib.training.objective import frozen_precision


@dataclass(frozen=True, kw_only=True)
class EncoderRecipe(DescentRecipe):
    """As for every descent: real photos are counted, as many samples are shown beside them.

    The resolution is the generator's.

    Attributes:
        widths: channels of the network, as in `EncoderConfig`.
        pixels, code: weights of squared pixel error and of the samples' code error; the photos'
            perceptual loss has weight 1. With 20, `pixels` left colours off: the features that
            the perceptual loss compares hardly tell them.
    """

    thousands: float = 30
    held_out: int = 200
    ema_thousands: float = 5
    widths: tuple[int, ...] = (24, 48, 96, 128, 192)
    pixels: float = 60
    code: float = 0.5


RECIPES = {
    "cats": EncoderRecipe(flip=True),
    "cats-128": EncoderRecipe(flip=True, batch=32, widths=(16, 32, 64, 96, 128, 128)),
    "clothes": EncoderRecipe(flip=True, batch=32, widths=(24, 48, 96, 128, 160)),
    "cats-dcgan": EncoderRecipe(flip=True),
    "clothes-dcgan": EncoderRecipe(flip=True),
}


class EncoderTraining(DescentTraining):
    """The inverting network of a generator, which stays as it is."""

    family, suffix, grid = "encoder", "-encoder", 8
    recipes = RECIPES
    learner = "encoder"
    parts = ("encoder", "average", "optimizer")
    ships: ClassVar = {"average": ""}

    def __init__(self, recipe: EncoderRecipe, generator: Generator, data: Dataset, *,
                 rank: int = 0, processes: int = 1):
        self.generator, self.perceptual = generator, lite0_loss()
        self.space = "w_plus" if "w_plus" in generator.spaces else "z"
        self.std = generator.latent_std(self.space)
        super().__init__(recipe, data, device=generator.device, rank=rank, processes=processes)

    @classmethod
    def build(
        cls, recipe: EncoderRecipe, options: argparse.Namespace, *, device: torch.device, **place
    ) -> "EncoderTraining":
        """For the generator of the recipe's name."""
        generator = load_generator(options.recipe, device=device)
        return cls(recipe, generator, read_pictures(options.data, generator.resolution), **place)

    def network(self) -> nn.Module:
        """It begins with the mean code."""
        generator, shape = self.generator, self.generator.latent_shape(self.space)
        rows = shape[0] if len(shape) == 2 else 1
        encoder = Encoder(EncoderConfig(
            generator.resolution, self.space, rows, shape[-1], self.recipe.widths))
        if self.space == "w_plus":
            encoder.mean.copy_(generator.latent_mean("w"))
        return encoder

    def loss(self, batch: Tensor) -> tuple[Tensor, Losses]:
        """Of a batch of photos, and of as many samples."""
        recipe, real = self.recipe, (batch + 1) / 2
        with torch.no_grad():
            code = self.generator.sample_latent(recipe.batch, space=self.space, rng=self.rng)
            sampled = self.generator.decode(code, space=self.space).clamp(0, 1)
        images = torch.cat([real, sampled]).contiguous(memory_format=torch.channels_last)
        with frozen_precision(self.device):
            found = self.encoder(images)
            rebuilt = self.generator.decode(found, space=self.space).float()
            terms = {
                "perceptual": self.perceptual(rebuilt[: recipe.batch], real).mean(),
                "pixels": pixel_loss(rebuilt, images).mean(),
                "code": ((found[recipe.batch :] - code) / self.std).square().mean(),
            }
        weights = {"perceptual": 1, "pixels": recipe.pixels, "code": recipe.code}
        return sum(weights[name] * value for name, value in terms.items()), terms

    def rate(self, full: float, progress: float) -> float:
        """Down to a tenth over the second half."""
        return full * (1.0 if progress < 0.5 else 0.1 ** min(1.0, 2 * progress - 1))

    @torch.no_grad()
    def samples(self, n: int) -> Tensor:
        """Photos that training never saw, each beside what the generator makes of its code."""
        photos = (self.held[: n // 2].float() / 255).to(self.device)
        return torch.stack([photos, self._rebuilt(photos).clamp(0, 1)], dim=1).flatten(0, 1)

    @torch.no_grad()
    def held_out_loss(self) -> dict[str, float]:
        """Mean reconstruction losses of the photos that training never saw."""
        found = {"perceptual": [], "pixels": []}
        for some in self.held.split(50):
            photos = (some.float() / 255).to(self.device)
            rebuilt = self._rebuilt(photos)
            found["perceptual"].append(self.perceptual(rebuilt, photos))
            found["pixels"].append(pixel_loss(rebuilt, photos))
        return {name: float(torch.cat(values).mean()) for name, values in found.items()}

    def facts(self) -> dict:
        """The network's shape, and how well it inverts."""
        return {"config": asdict(self.encoder.config), "held out": self.held_out_loss()}

    @classmethod
    def settings(cls, state: dict) -> dict[str, object]:
        """The network's shape alone."""
        return {"config": state["config"]}

    @classmethod
    def report(cls, path: Path, state: dict, pictures: Callable[[int], Dataset], run: Path,
               recognized: int | None) -> Report:
        """The losses of photos that training never saw."""
        losses = {key: round(value, 4) for key, value in state["held out"].items()}
        quality = f"held-out pixels {losses['pixels']}, perceptual {losses['perceptual']}"
        return Report("encoder", state["config"]["resolution"], quality,
                      {"held-out losses": losses})

    def _rebuilt(self, photos: Tensor) -> Tensor:
        return self.generator.decode(self.average(photos), space=self.space)
