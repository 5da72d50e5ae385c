"""Training a diffusion model: guess the clean picture of a noisy one, at any time.

    python -m course_lib.training diffusion clothes --data clothes.zip --out runs/clothes-diffusion

Sources: Ho et al., "Denoising Diffusion Probabilistic Models", NeurIPS 2020, algorithm 1; Ho and
Salimans, "Classifier-Free Diffusion Guidance", 2022, algorithm 1 (labels that are left out).
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from course_lib.denoising import LATEST, alpha, sigma
from course_lib.generators.diffusion import Diffusion
from course_lib.generators.diffusion_networks import DiffusionConfig
from course_lib.training.base import Losses
from course_lib.training.data import Dataset, hold_out, read_pictures, take_batch
from course_lib.training.descent import DescentRecipe, DescentTraining
from course_lib.training.measuring import Report, report_generator
from course_lib.training.objective import frozen_precision
from course_lib.training.projected import GARMENTS
from course_lib.training.questions import read_classes

EARLIEST = 0.002
COLORS = tuple((name,) for name in (
    "black", "white", "grey", "blue", "turquoise", "green", "yellow", "orange", "red", "pink",
    "purple", "brown", "beige"))


@dataclass(frozen=True, kw_only=True)
class DiffusionRecipe(DescentRecipe):
    """As for every descent, and besides:

    Attributes:
        channels, blocks, told: of the network, as in `DiffusionConfig`.
        kinds, colors: values of the labels' "type" and "color" that are told apart, several to a
            word where they are given as one.
        unsaid: share of the pictures of which nothing is said; and of those of which one of the
            two is left out.
    """

    thousands: float = 400
    batch: int = 64
    steady: float = 0.6
    ema_thousands: float = 20
    held_out: int = 200
    clip: float | None = 1
    channels: tuple[int, ...] = (96, 128)
    blocks: int = 1
    told: int = 128
    kinds: tuple[tuple[str, ...], ...] = ()
    colors: tuple[tuple[str, ...], ...] = ()
    unsaid: float = 0.1


RECIPES = {
    "clothes": DiffusionRecipe(flip=True, kinds=GARMENTS, colors=COLORS),
    "cats": DiffusionRecipe(flip=True),
}


class DiffusionTraining(DescentTraining):
    """A diffusion model.

    Args:
        labels: (pictures, conditions), numbers of words from 1 on.
    """

    family = architecture = "diffusion"
    suffix = "-diffusion"
    recipes: ClassVar = RECIPES
    grid = None

    def __init__(self, recipe: DiffusionRecipe, data: Dataset, labels: Tensor | None = None,
                 **place):
        super().__init__(recipe, data, **place)
        if labels is None:
            labels = torch.zeros(len(data), 0, dtype=torch.long)
        self.labels, self.held_labels = hold_out(labels, recipe.held_out)

    @classmethod
    def build(cls, recipe: DiffusionRecipe, options: argparse.Namespace,
              **place) -> "DiffusionTraining":
        """With the labels, where the recipe asks for them."""
        columns = [read_classes(options.data, words, field=field) + 1
                   for field, words in (("type", recipe.kinds), ("color", recipe.colors)) if words]
        labels = torch.stack(columns, dim=1) if columns else None
        return cls(recipe, read_pictures(options.data, recipe.resolution), labels, **place)

    def network(self) -> nn.Module:
        """Of the recipe's size, on the axes of the set's patches."""
        recipe = self.recipe
        kinds, colors = ([names[0] for names in words] for words in (recipe.kinds, recipe.colors))
        model = Diffusion(DiffusionConfig(
            recipe.resolution, channels=recipe.channels, blocks=recipe.blocks, told=recipe.told,
            kinds=kinds, colors=colors))
        some = torch.randperm(len(self.data), generator=torch.Generator().manual_seed(0))[:1000]
        model.patches.fit(self.data[some.to(self.data.device)].cpu().float() / 127.5 - 1)
        return model

    def draw(self) -> Tensor:
        """A batch in [-1, 1], and what is said of it."""
        chosen = torch.randint(len(self.data), (self.batch,), generator=self.rng)
        self.said = self.left_out(self.labels[chosen]).to(self.device)
        return take_batch(self.data, chosen, flip=self.recipe.flip, rng=self.rng,
                          device=self.device)

    def left_out(self, labels: Tensor) -> Tensor:
        """Labels with 0 where nothing is said: of some pictures in all columns, of some in one."""
        draw = torch.rand(len(labels), 1, generator=self.rng)
        spared = self.recipe.unsaid * torch.arange(1, labels.shape[1] + 1)
        alone = (draw >= spared) & (draw < spared + self.recipe.unsaid)
        return labels.masked_fill((draw < self.recipe.unsaid) | alone, 0)

    def loss(self, batch: Tensor) -> tuple[Tensor, Losses]:
        """The guess's squared error, over that of the best linear guess at the same time."""
        share = (torch.arange(len(batch)) + torch.rand(len(batch), generator=self.rng)) / len(batch)
        t = (EARLIEST + (LATEST - EARLIEST) * share).to(batch)
        noise = torch.randn(batch.shape, generator=self.rng).to(batch)
        a, b = (one[:, None, None, None] for one in (alpha(t), sigma(t)))
        with frozen_precision(self.device):
            found = self.model.estimate(a * batch + b * noise, t, self.said)
        error = (found - batch).square().flatten(1).sum(dim=1) / self.linear_error(t)
        return error.mean(), {"error": error.mean(), "error, early": error[: len(t) // 3].mean(),
                              "error, late": error[-len(t) // 3 :].mean()}

    def linear_error(self, t: Tensor) -> Tensor:
        """What the linear guess misses of a whole picture, (batch,): λσ² / (α²λ + σ²) an axis."""
        variance, (a, b) = self.model.patches.variance, (one(t)[:, None] for one in (alpha, sigma))
        axes = variance * b.square() / (a.square() * variance + b.square())
        places = (self.recipe.resolution // self.model.config.patch) ** 2
        return places * axes.sum(dim=1)

    @torch.no_grad()
    def samples(self, n: int, *, seed: int = 0) -> Tensor:
        """Pictures (n, 3, r, r) in [0, 1], of the set's labels."""
        rng = torch.Generator().manual_seed(seed)
        chosen = torch.randint(len(self.labels), (n,), generator=rng)
        labels = self.labels[chosen]
        found = []
        for some, said in zip(self.kept.sample_latent(n, rng=rng).split(25), labels.split(25),
                              strict=True):
            found.append(self.kept.decode_said(some, said.to(self.device)))
        return torch.cat(found).clamp(0, 1)

    def facts(self) -> dict:
        """The network's shape."""
        return {"config": asdict(self.model.config)}

    @classmethod
    def report(cls, path: Path, state: dict, pictures: Callable[[int], Dataset], run: Path,
               recognized: int | None) -> Report:
        """As of every generator."""
        return report_generator(path, cls.settings(state), pictures, run, recognized)
