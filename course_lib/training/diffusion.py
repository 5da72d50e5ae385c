"""Training a diffusion model: guess the clean picture of a noisy one, at any time.

    python -m course_lib.training diffusion clothes --data clothes.zip --out runs/clothes-diffusion

Sources: Ho et al., "Denoising Diffusion Probabilistic Models", NeurIPS 2020, algorithm 1; Ho and
Salimans, "Classifier-Free Diffusion Guidance", 2022, algorithm 1 (labels that are left out).
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from course_lib.denoising import LATEST, add_noise, alpha, sigma
from course_lib.generators import load_generator
from course_lib.generators.base import select_prefix
from course_lib.generators.diffusion import Diffusion
from course_lib.generators.diffusion_networks import DiffusionConfig
from course_lib.losses import lite0_loss
from course_lib.metrics import frechet_distance, psnr
from course_lib.training.base import Losses
from course_lib.training.data import Dataset, hold_out, read_pictures, take_batch
from course_lib.training.descent import DescentRecipe, DescentTraining
from course_lib.training.measuring import Draw, Report, report_generator
from course_lib.training.objective import frozen_precision
from course_lib.training.projected_gan import GARMENTS
from course_lib.training.questions import (
    CAT_COATS,
    CAT_PATTERNS,
    Record,
    cat_words,
    read_classes,
    read_labels,
)
from course_lib.weights import StoredWeights

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
        words: reads the labels, numbers from 1 on, from records and pictures; the records' own
            type and colour if None.
        fine: channels of the network's blocks at the picture's own size, as in `DiffusionConfig`.
        seeing: weight of the distance in the features of EfficientNet-Lite0 between guess and
            picture, for the less noisy half: squares alone leave cloth rough.
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
    words: Callable[[Sequence[Record], Dataset], Tensor] | None = None
    unsaid: float = 0.1
    fine: int = 0
    seeing: float = 0


RECIPES = {
    "clothes": DiffusionRecipe(flip=True, fine=32, seeing=0.5, kinds=GARMENTS, colors=COLORS),
    "cats": DiffusionRecipe(
        flip=True, kinds=tuple((name,) for name in CAT_PATTERNS),
        colors=tuple((name,) for name in CAT_COATS), words=cat_words),
}


class DiffusionTraining(DescentTraining):
    """A diffusion model.

    Source of the features' share of the loss: Lin and Yang, "Diffusion Model with Perceptual Loss",
    2024; there the network's own features, here those of a network that has seen the world.

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
        self.all_labels = labels
        self.labels, _ = hold_out(labels, recipe.held_out)

    @classmethod
    def build(cls, recipe: DiffusionRecipe, options: argparse.Namespace,
              **place) -> "DiffusionTraining":
        """With the labels, where the recipe asks for them."""
        pictures = read_pictures(options.data, recipe.resolution)
        if recipe.words is not None:
            return cls(recipe, pictures, recipe.words(read_labels(options.data), pictures), **place)
        columns = [read_classes(options.data, words, field=field) + 1
                   for field, words in (("type", recipe.kinds), ("color", recipe.colors)) if words]
        labels = torch.stack(columns, dim=1) if columns else None
        return cls(recipe, pictures, labels, **place)

    def network(self) -> nn.Module:
        """Of the recipe's size, on the axes of the set's patches."""
        recipe = self.recipe
        kinds, colors = ([names[0] for names in words] for words in (recipe.kinds, recipe.colors))
        model = Diffusion(DiffusionConfig(
            recipe.resolution, channels=recipe.channels, blocks=recipe.blocks, told=recipe.told,
            kinds=kinds, colors=colors, fine=recipe.fine))
        some = torch.randperm(len(self.data), generator=torch.Generator().manual_seed(0))[:1000]
        model.patches.fit(self.data[some.to(self.data.device)].cpu().float() / 127.5 - 1)
        return model

    def start_from(self, weights: StoredWeights) -> None:
        """Go on from shipped weights; what they have not, the fine blocks, begins at nought."""
        own, new = select_prefix(weights.tensors, "G_ema."), self.model.state_dict()
        grown = {key: own.get(key, value) for key, value in new.items()}
        super().start_from(replace(weights, tensors={f"G_ema.{k}": v for k, v in grown.items()}))

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
        with frozen_precision(self.device):
            x_t = add_noise(batch, noise, t[:, None, None, None])
            found = self.model.estimate(x_t, t, self.said)
        error = (found - batch).square().flatten(1).sum(dim=1) / self.linear_error(t)
        loss = error.mean()
        terms = {"error": error.mean(), "error, early": error[: len(t) // 3].mean(),
                 "error, late": error[-len(t) // 3 :].mean()}
        if self.recipe.seeing:
            guess, picture = ((one[: len(t) // 2] + 1) / 2 for one in (found, batch))
            apart = lite0_loss(seen_at=max(32, self.recipe.resolution))
            terms["seen"] = apart(guess, picture).mean()
            loss = loss + self.recipe.seeing * terms["seen"]
        return loss, terms

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
        return draw_said(self.kept, self.labels[chosen], rng=rng)

    @torch.no_grad()
    def held_out_psnr(self, count: int = 20) -> float:
        """How near photos that training never saw are to what their inverses give back, in dB."""
        photos = self.held[:count].to(self.device).float() / 255
        again = self.kept.decode(self.kept.invert(photos))
        return round(float(psnr(again, photos).mean()), 1)

    def facts(self) -> dict:
        """The network's shape, what is said of each picture, and how exact its inverse is."""
        return {"config": asdict(self.model.config), "labels": self.all_labels,
                "held out": self.held_out_psnr()}

    @classmethod
    def report(cls, path: Path, state: dict, pictures: Callable[[int], Dataset], run: Path,
               recognized: int | None) -> Report:
        """As of every generator, told what the real pictures show; at other steps besides."""
        labels = state["labels"]

        def draw(generator: Diffusion, chosen: Tensor, rng: torch.Generator) -> Tensor:
            return draw_said(generator, labels[chosen], rng=rng)

        report = report_generator(path, cls.settings(state), pictures, run, recognized, draw=draw)
        generator = load_generator(path, device="cpu")
        data = pictures(generator.resolution)
        report.measured["held-out PSNR of the inverse"] = state["held out"]
        report.measured["frechet by steps"] = {20: report.measured["frechet"]} | {
            steps: frechet_by_steps(generator, steps, data, draw)
            for steps in (10, 50)}
        return report


@torch.no_grad()
def draw_said(generator: Diffusion, labels: Tensor, *, rng: torch.Generator) -> Tensor:
    """A sample for each row of labels, (n, 3, r, r) in [0, 1]."""
    z = generator.sample_latent(len(labels), rng=rng)
    return torch.cat([
        generator.decode_said(some, said.to(generator.device))
        for some, said in zip(z.split(25), labels.split(25), strict=True)]).clamp(0, 1)


def frechet_by_steps(
    generator: Diffusion, steps: int, data: Dataset, draw: Draw, *, count: int = 1000
) -> float:
    """The Fréchet distance of `count` samples from real pictures, in so many steps each."""
    rng = torch.Generator().manual_seed(0)
    chosen = torch.randperm(len(data), generator=rng)[: min(count, len(data) // 2)]
    fake = draw(generator.with_steps(steps), chosen, rng)
    return round(frechet_distance(data[chosen].float() / 255, fake), 1)
