"""A warm start for a GAN of many kinds: first it learns to rebuild pictures from a VAE's codes.

A generator that knows nothing, against frozen features that know much, draws one picture for all
codes and classes, and seldom gets away from it. One that begins as a decoder draws something
blurred of every kind, and the game has only to sharpen it:

    python -m course_lib.training warm clothes-biggan --data clothes.zip --out runs/warm
        --start-from course_lib/assets/clothes-vae.safetensors
    python -m course_lib.training projected clothes-biggan --data clothes.zip --out runs/game
        --start-from runs/warm/checkpoint.pt

Not for a StyleGAN2: its layers move by small shares of their weights, and it has learnt hardly
any colour when the others have learnt stripes. It goes on from another StyleGAN2's weights.

Sources: Larsen et al., "Autoencoding beyond pixels using a learned similarity metric", ICML 2016 (a
decoder that is a GAN's generator); Dosovitskiy and Brox, "Generating Images with Perceptual
Similarity Metrics based on Deep Networks", NeurIPS 2016 (features in the loss).
"""

import argparse
from dataclasses import asdict, dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.generators.base import Generator
from course_lib.generators.vae import VAE
from course_lib.losses import lite0_loss
from course_lib.training.base import Losses, require_file
from course_lib.training.data import Dataset, hold_out, read_pictures
from course_lib.training.dcgan import settle_statistics
from course_lib.training.descent import DescentRecipe, DescentTraining
from course_lib.training.objective import frozen_precision
from course_lib.training.projected_gan import RECIPES, new_generator
from course_lib.training.questions import read_classes
from course_lib.weights import read_weights

FLATTEST = 0.05  # variance of an axis that still counts: what varies less stays below 1


@dataclass(frozen=True, kw_only=True)
class WarmRecipe(DescentRecipe):
    """As for every descent, and besides:

    Attributes:
        generator: the recipe of `projected` that the generator is of.
        perceptual: weight of the distance in features, beside the absolute error's 1.
        noise: added to codes, in deviations, so that those between pictures mean something too.
    """

    thousands: float = 16
    batch: int = 32
    learning_rate: float = 0.002
    ema_thousands: float = 1
    generator: str
    perceptual: float = 0.1
    noise: float = 0.3


class WarmTraining(DescentTraining):
    """The generator of a projected GAN, as a decoder; every picture also learns mirrored.

    Args:
        labels: the class of each picture, or None.
        vae: whose codes are decoded.
    """

    family = architecture = "warm"
    suffix = "-warm"
    recipes: ClassVar = {name: WarmRecipe(generator=name)
                         for name in ("clothes-biggan", "clothes-dcgan")}

    def __init__(self, recipe: WarmRecipe, data: Dataset, labels: Tensor | None, vae: VAE, **place):
        super().__init__(recipe, torch.cat([data, data.flip(-1)]), **place)
        self.labels = None if labels is None else hold_out(labels.repeat(2), 0)[0]
        self.perceptual = lite0_loss(seen_at=max(32, recipe.resolution))
        with torch.no_grad():
            codes = torch.cat([vae.invert(some.float().cpu() / 255)
                               for some in self.data.split(200)])
        self.codes = deal(whiten(codes), self.model)

    @classmethod
    def check_options(cls, options: argparse.Namespace, *, resumes: bool) -> None:
        """It needs the VAE."""
        super().check_options(options, resumes=resumes)
        if options.start_from is None:
            raise ValueError("--start-from is missing, and codes come from a VAE that is trained: "
                             "pass course_lib/assets/clothes-vae.safetensors, say")

    @classmethod
    def build(cls, recipe: WarmRecipe, options: argparse.Namespace, **place) -> "WarmTraining":
        """With the labels that the generator's recipe asks for."""
        require_file(options.start_from, "--start-from", "clothes-vae.safetensors")
        vae = VAE.from_weights(read_weights(options.start_from), options.start_from.stem)
        labels = read_classes(options.data, RECIPES[recipe.generator].classes)
        return cls(recipe, read_pictures(options.data, recipe.resolution), labels, vae, **place)

    def begin(self, options: argparse.Namespace) -> None:
        """From the start: what --start-from names has been taken."""

    def network(self) -> nn.Module:
        """The generator, before it has seen a picture."""
        return new_generator(RECIPES[self.recipe.generator])

    def draw(self) -> Tensor:
        """Which pictures, (n,)."""
        return torch.randint(len(self.data), (self.batch,), generator=self.rng)

    def loss(self, batch: Tensor) -> tuple[Tensor, Losses]:
        """Errors of pixels and features of the pictures with these numbers."""
        images = self.data[batch.to(self.device)].float() / 255
        codes = self.codes[batch]
        z = codes + self.recipe.noise * torch.randn(codes.shape, generator=self.rng)
        labels = None if self.labels is None else self.labels[batch].to(self.device)
        with frozen_precision(self.device):
            drawn = (decode_codes(self.model, z.to(self.device), labels) + 1) / 2
            features = self.perceptual(drawn.float(), images).mean()
        pixels = (drawn.float() - images).abs().mean()
        return pixels + self.recipe.perceptual * features, {"pixels": pixels, "features": features}

    @torch.no_grad()
    def samples(self, n: int, *, seed: int = 0) -> Tensor:
        """Photos, each beside what its code has become."""
        chosen = torch.arange(n // 2)
        photos = self.data[chosen.to(self.device)].float() / 255
        labels = None if self.labels is None else self.labels[chosen].to(self.device)
        settle_statistics(self.kept, torch.Generator().manual_seed(seed),
                          classes=len(RECIPES[self.recipe.generator].classes))
        drawn = (decode_codes(self.kept, self.codes[chosen].to(self.device), labels) + 1) / 2
        return torch.stack([photos, drawn.clamp(0, 1)], dim=1).flatten(0, 1)

    def facts(self) -> dict:
        """The network's shape."""
        return {"config": asdict(self.model.config)}


def decode_codes(
    generator: Generator, z: Float[Tensor, "batch z_dim"], labels: Tensor | None
) -> Float[Tensor, "batch 3 r r"]:
    """Pictures in [-1, 1]."""
    return generator(z, *([] if labels is None else [labels]))


def whiten(codes: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
    """Codes on their principal axes, the widest first, in deviations: nearly as the prior's."""
    variance, axes = torch.linalg.eigh(torch.cov(codes.T))
    turned = (codes - codes.mean(dim=0)) @ axes.flip(1)
    return turned / variance.flip(0).clamp(min=FLATTEST).sqrt()


def deal(codes: Float[Tensor, "n dim"], generator: Generator) -> Float[Tensor, "n z_dim"]:
    """As many numbers as z has, from the widest axis on; a BigGAN's chunks get one in turn."""
    if codes.shape[1] < generator.z_dim:
        raise ValueError(
            f"the VAE's codes have {codes.shape[1]} numbers and {generator.name} reads "
            f"{generator.z_dim}, so some would stay empty: take a VAE of longer codes."
        )
    chosen, chunk = codes[:, : generator.z_dim], getattr(generator.config, "chunk", 0)
    return chosen.unflatten(1, (chunk, -1)).mT.flatten(1) if chunk else chosen
