"""Training a classifier of attributes on labelled photos.

The photos are roughened, so that it reads samples, too.
"""

import argparse
from collections.abc import Callable
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.classifiers import Classifier, ClassifierConfig
from course_lib.training.augment import recolor, translate
from course_lib.training.base import Losses
from course_lib.training.data import Dataset, flip_randomly, hold_out, read_pictures
from course_lib.training.descent import DescentRecipe, DescentTraining
from course_lib.training.measuring import Report
from course_lib.training.questions import (
    Question,
    answer,
    background_lightness,
    between,
    coat_lightness,
    coat_warmth,
    muzzle_contrast,
    one_of,
    read_labels,
    striped,
)


@dataclass(frozen=True)
class ClassifierRecipe(DescentRecipe):
    """As for every descent, without averaged weights, and besides:

    Attributes:
        questions: what is asked, and how the labels answer; types and colours need no more than
            the 32² of `resolution`.
        faults: of the labels, for the card.
        translation, recoloring: augmentation, as a fraction of the size and of the range.
    """

    questions: dict[str, Question]
    _: KW_ONLY
    thousands: float = 120
    batch: int = 64
    resolution: int = 32
    learning_rate: float = 2e-3
    ema_thousands: float = 0
    held_out: int = 800
    widths: tuple[int, ...] = (24, 48, 96)
    translation: float = 1 / 16
    recoloring: float = 0.05
    faults: str = ""


KINDS_OF_CLOTHES = {
    "t-shirt": one_of("type", "t-shirt", unsure=("top", "body")),
    **{kind: one_of("type", kind) for kind in (
        "longsleeve", "shirt", "jacket", "dress", "skirt", "trousers", "shorts", "shoes", "hat")},
}
COLORS_OF_CLOTHES = {
    "black": one_of("color", "black"),
    "grey": one_of("color", "grey"),
    "white or beige": one_of("color", "white", "beige"),
    "blue": one_of("color", "blue", "turquoise"),
    "red or pink": one_of("color", "red", "pink", "purple"),
    "brown": one_of("color", "brown", "orange"),
    "colourful": one_of("color", "blue", "turquoise", "red", "pink", "purple", "orange", "yellow",
                        "green"),
}

RECIPES = {
    "clothes": ClassifierRecipe(KINDS_OF_CLOTHES | COLORS_OF_CLOTHES | {
        "patterned": one_of("patterned", True),
    }, flip=True, recoloring=0.02,
       faults="Colours are those of the median pixel, so a small print counts for nothing, and "
              "pale garments pass for grey ones; kinds are the contributors' own words; "
              "undershirts and bodies are left out where T-shirts are asked for."),
    "cats": ClassifierRecipe({
        "light coat": between(coat_lightness, 0.34, 0.45),
        "ginger coat": between(coat_warmth, 0.12, 0.2, in_color=True),
        "striped coat": striped,
        "white muzzle": between(muzzle_contrast, 0.1, 0.22),
        "bright background": between(background_lightness, 0.4, 0.6),
    }, flip=True, recoloring=0.02,
       faults="Coats are judged by the colour of the photo, lamplight and all; stripes were "
              "guessed by a network of breeds; middling photos were left out of the test, too."),
}


def roughen(images: Tensor, rng: torch.Generator) -> Tensor:
    """Blur or sharpen each picture, as much as generated ones are softer or harder than photos."""
    size = images.shape[-1]
    smaller = int(torch.randint(size // 4, size, (1,), generator=rng))
    soft = F.interpolate(F.interpolate(images, (smaller, smaller), mode="area"), (size, size),
                         mode="bilinear")
    share = torch.rand(len(images), 1, 1, 1, generator=rng).to(images) * 1.8 - 0.2
    return soft.lerp(images, share)


class ClassifierTraining(DescentTraining):
    """A classifier of attributes; its labels are drawn with the pictures.

    Attributes:
        labels, held_labels: of what it learns from, and of what it never sees.
    """

    family, suffix, grid = "classifier", "-classifier", None
    recipes = RECIPES
    learner = "classifier"
    parts = ("classifier", "optimizer")
    ships: ClassVar = {"classifier": ""}

    def __init__(self, recipe: ClassifierRecipe, data: Dataset, labels: Tensor, *,
                 device: torch.device, rank: int = 0, processes: int = 1):
        super().__init__(recipe, data, device=device, rank=rank, processes=processes)
        self.labels, self.held_labels = hold_out(labels, recipe.held_out)

    @classmethod
    def build(
        cls, recipe: ClassifierRecipe, options: argparse.Namespace, **place
    ) -> "ClassifierTraining":
        """With the labels beside the pictures."""
        data = read_pictures(options.data, recipe.resolution)
        labels = answer(recipe.questions, read_labels(options.data), data)
        return cls(recipe, data, labels, **place)

    def network(self) -> nn.Module:
        """One output a question."""
        return Classifier(ClassifierConfig(
            self.data.shape[-1], tuple(self.recipe.questions), self.recipe.widths))

    def new_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Adam with weight decay: there are few pictures."""
        return torch.optim.AdamW(network.parameters(), lr=self.recipe.learning_rate,
                                 weight_decay=0.02)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Augmented pictures (n, 3, r, r), about [0, 1], and their labels (n, questions)."""
        recipe = self.recipe
        chosen = torch.randint(len(self.data), (recipe.batch,), generator=self.rng)
        images = self.data[chosen.to(self.device)].float() / 255
        images = flip_randomly(images, self.rng) if recipe.flip else images
        images = roughen(translate(images, recipe.translation, self.rng), self.rng)
        images = recolor(images, recipe.recoloring, self.rng)
        return images, self.labels[chosen].to(self.device)

    def loss(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Losses]:
        """The mean cross-entropy of what is known."""
        images, labels = batch
        known, logits = ~labels.isnan(), self.classifier.train()(images)
        loss = F.binary_cross_entropy_with_logits(logits[known], labels[known])
        return loss, {"cross-entropy": loss}

    def rate(self, full: float, progress: float) -> float:
        """Down to almost nothing, linearly."""
        return full * (1 - min(1.0, progress)) + 1e-5

    @torch.no_grad()
    def held_out_logits(self) -> Tensor:
        """Of the pictures that training never saw, (pictures, attributes)."""
        judge = self.classifier.eval()
        parts = [judge((part.float() / 255).to(self.device)) for part in self.held.split(200)]
        return torch.cat(parts).cpu()

    def held_out_accuracy(self) -> dict[str, dict[str, float]]:
        """For each attribute: accuracy, that of the commoner answer, and both answers' mean."""
        found, logits = {}, self.held_out_logits()
        for index, name in enumerate(self.recipe.questions):
            known = ~self.held_labels[:, index].isnan()
            truth = self.held_labels[known, index] > 0.5
            right = (logits[known, index] > 0) == truth
            share = float(truth.float().mean())
            found[name] = {
                "accuracy": round(float(right.float().mean()), 3),
                "commoner answer": round(max(share, 1 - share), 3),
                "balanced": round(float(right[truth].float().mean() / 2
                                        + right[~truth].float().mean() / 2), 3),
            }
        return found

    def samples(self, n: int) -> Tensor:
        """Photos that training never saw: for each attribute the ten surest of yes, then of no."""
        order = self.held_out_logits().argsort(dim=0, descending=True)
        ends = torch.cat([order[:10], order[-10:]]).T.reshape(-1)
        return self.held[ends[:n]].float() / 255

    def facts(self) -> dict:
        """The network's shape, its accuracy, and what is wrong with the labels."""
        return {"config": asdict(self.classifier.config), "held out": self.held_out_accuracy(),
                "faults": self.recipe.faults}

    @classmethod
    def settings(cls, state: dict) -> dict[str, object]:
        """The network's shape alone."""
        return {"config": state["config"]}

    @classmethod
    def report(cls, path: Path, state: dict, pictures: Callable[[int], Dataset], run: Path,
               recognized: int | None) -> Report:
        """Its accuracy on pictures that training never saw."""
        quality = "held-out accuracy (commoner answer): " + ", ".join(
            f"{attribute} {100 * rates['accuracy']:.0f} ({100 * rates['commoner answer']:.0f}) %"
            for attribute, rates in state["held out"].items()
        )
        return Report("classifier", state["config"]["resolution"], quality,
                      {"held-out": state["held out"]}, state["faults"])
