"""Training a classifier of attributes on labelled photos, roughened so that it reads samples too.

Where labels are missing they come from the picture: a cat's coat from the colour of its head.
What lies between yes and no stays unlabelled (NaN), and neither teaches nor tests.
"""

import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.classifiers import Classifier, ClassifierConfig
from course_lib.training.augment import recolor, translate
from course_lib.training.data import Dataset

Record = dict[str, object]
Answers = Float[Tensor, " pictures"]
"""1 for yes, 0 for no, NaN for unknown."""
Question = Callable[[Sequence[Record], Dataset], Answers]

COLORFUL = (
    "Red", "Blue", "Green", "Pink", "Purple", "Yellow", "Orange", "Maroon", "Turquoise Blue",
    "Teal", "Multi", "Lavender", "Magenta", "Sea Green", "Fluorescent Green", "Lime Green", "Peach",
)


def one_of(field: str, *values: str) -> Question:
    """Whether a record's field has one of these values."""
    return lambda records, _: torch.tensor([float(record[field] in values) for record in records])


def between(
    measure: Callable[[Tensor], Tensor], no: float, yes: float, *, in_color: bool = False
) -> Question:
    """No below one value of what is measured on the pictures, yes above the other.

    A question of colour is not asked of photos without any.
    """

    def answers(records: Sequence[Record], pictures: Dataset) -> Answers:
        found = torch.cat([measure(part.float() / 255) for part in pictures.split(512)])
        answered = torch.where(found > yes, 1.0, torch.where(found < no, 0.0, torch.nan))
        gray = torch.tensor([bool(record.get("grey")) for record in records])
        return answered.where(~gray, torch.nan) if in_color else answered

    return answers


def striped(records: Sequence[Record], _: Dataset) -> Answers:
    """Guessed to be a tabby, or certainly not; the guesses are rough."""
    likely = torch.tensor([
        sum(share for name, share in record["breed_guesses"] if name in ("tabby", "tiger_cat"))
        for record in records
    ])
    return torch.where(likely > 0.6, 1.0, torch.where(likely < 0.05, 0.0, torch.nan))


def lightness(images: Tensor) -> Tensor:
    """Luma (batch, height, width)."""
    return (images * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1)


def region(images: Tensor, top: float, bottom: float, left: float, right: float) -> Tensor:
    """A part of square pictures, its sides as fractions of theirs."""
    size = images.shape[-1]
    return images[..., round(top * size) : round(bottom * size),
                  round(left * size) : round(right * size)]


def coat_lightness(images: Tensor) -> Tensor:
    """Of the middle of the head."""
    return lightness(region(images, 0.3, 0.8, 0.28, 0.72)).mean(dim=(1, 2))


def coat_warmth(images: Tensor) -> Tensor:
    """Red minus blue of the middle of the head."""
    color = region(images, 0.3, 0.8, 0.28, 0.72).mean(dim=(2, 3))
    return color[:, 0] - color[:, 2]


def muzzle_contrast(images: Tensor) -> Tensor:
    """How much lighter the muzzle is than the forehead."""
    muzzle, forehead = (region(images, *part) for part in ((0.68, 0.85, 0.38, 0.62),
                                                           (0.25, 0.42, 0.35, 0.65)))
    return lightness(muzzle).mean(dim=(1, 2)) - lightness(forehead).mean(dim=(1, 2))


def background_lightness(images: Tensor) -> Tensor:
    """Of the strip along the top."""
    return lightness(region(images, 0, 0.12, 0, 1)).mean(dim=(1, 2))


@dataclass(frozen=True)
class ClassifierRecipe:
    """All that a run depends on, besides the data.

    Attributes:
        questions: what is asked, and how the labels answer.
        thousands: of pictures to show, at `resolution`: types and colours need no more.
        held_out: pictures at the end of the (shuffled) set that training never sees.
        faults: of the labels, for the card.
        translation, recoloring: augmentation, as a fraction of the size and of the range.
    """

    questions: dict[str, Question]
    thousands: float | int = 120
    batch: int = 64
    resolution: int = 32
    widths: tuple[int, ...] = (24, 48, 96)
    learning_rate: float | int = 2e-3
    flip: bool = False
    translation: float | int = 1 / 16
    recoloring: float | int = 0.05
    held_out: int = 800
    faults: str = ""
    seed: int = 0


RECIPES = {
    "shoes": ClassifierRecipe({
        "open": one_of("type", "Flip Flops", "Sandals", "Sports Sandals"),
        "heel": one_of("type", "Heels"),
        "sports": one_of("type", "Sports Shoes"),
        "formal": one_of("type", "Formal Shoes"),
        "black": one_of("colour", "Black", "Charcoal"),
        "white": one_of("colour", "White", "Off White", "Cream"),
        "brown": one_of("colour", "Brown", "Tan", "Coffee Brown", "Mushroom Brown", "Rust"),
        "colourful": one_of("colour", *COLORFUL),
    }, faults="Labels are a shop's, and some are wrong: many a heel is flat, brown may be called "
              "black."),
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


def shortened(recipe: ClassifierRecipe, share: float | int) -> ClassifierRecipe:
    """The same recipe with fewer pictures, for a trial."""
    return replace(recipe, thousands=recipe.thousands * share)


def read_labels(source: str | Path) -> list[Record]:
    """The records of labels.json in a zip or folder, in the order of `data.read_pictures`.

    Raises:
        ValueError: there is no labels.json.
    """
    source, name = Path(source), "labels.json"
    try:
        if source.is_dir():
            text = (source / name).read_text(encoding="utf-8")
        else:
            with zipfile.ZipFile(source) as archive:
                text = archive.read(name).decode("utf-8")
    except (KeyError, FileNotFoundError) as error:
        raise ValueError(
            f"{source} holds no {name}, so there is nothing to learn: add one record a picture, "
            f"each with its \"file\" and what the recipe's questions ask for."
        ) from error
    return sorted(json.loads(text), key=lambda record: record["file"])


def answer(recipe: ClassifierRecipe, records: Sequence[Record], pictures: Dataset) -> Tensor:
    """The labels, (pictures, attributes): 1, 0 or NaN."""
    if len(records) != len(pictures):
        raise ValueError(
            f"there are {len(records)} records for {len(pictures)} pictures, so they would be "
            f"mixed up: labels.json needs one for each."
        )
    return torch.stack([ask(records, pictures) for ask in recipe.questions.values()], dim=1)


def roughen(images: Tensor, rng: torch.Generator) -> Tensor:
    """Blur or sharpen each picture, as much as generated ones are softer or harder than photos."""
    size = images.shape[-1]
    smaller = int(torch.randint(size // 4, size, (1,), generator=rng))
    soft = F.interpolate(F.interpolate(images, (smaller, smaller), mode="area"), (size, size),
                         mode="bilinear")
    share = torch.rand(len(images), 1, 1, 1, generator=rng).to(images) * 1.8 - 0.2
    return soft.lerp(images, share)


class ClassifierTraining:
    """The classifier, its optimiser, and how far it is.

    Attributes:
        seen: pictures shown so far.
    """

    def __init__(self, recipe: ClassifierRecipe, data: Dataset, labels: Tensor,
                 *, device: torch.device):
        self.recipe, self.device = recipe, device
        torch.manual_seed(recipe.seed)
        self.rng = torch.Generator().manual_seed(recipe.seed)
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
        learnt, kept = order[: -recipe.held_out], order[-recipe.held_out :]
        self.data, self.held = data[learnt], data[kept]
        self.labels, self.held_labels = labels[learnt], labels[kept]
        config = ClassifierConfig(data.shape[-1], tuple(recipe.questions), recipe.widths)
        self.classifier = Classifier(config).to(device)
        self.optimizer = torch.optim.AdamW(self.classifier.parameters(), lr=recipe.learning_rate,
                                           weight_decay=0.02)
        self.seen = 0

    @property
    def done(self) -> bool:
        """Whether the recipe's pictures have been shown."""
        return self.seen >= 1000 * self.recipe.thousands

    def step(self) -> dict[str, Tensor]:
        """Learn from a batch; its loss, the mean cross-entropy of what is known."""
        recipe = self.recipe
        chosen = torch.randint(len(self.data), (recipe.batch,), generator=self.rng)
        images = (self.data[chosen].float() / 255).to(self.device)
        if recipe.flip:
            mirrored = torch.rand(recipe.batch, 1, 1, 1, generator=self.rng) < 0.5
            images = torch.where(mirrored.to(self.device), images.flip(-1), images)
        images = roughen(translate(images, recipe.translation, self.rng), self.rng)
        images = recolor(images, recipe.recoloring, self.rng)
        labels = self.labels[chosen].to(self.device)
        known = ~labels.isnan()
        logits = self.classifier.train()(images)
        loss = F.binary_cross_entropy_with_logits(logits[known], labels[known])
        progress = min(1.0, self.seen / (1000 * recipe.thousands))
        self.optimizer.param_groups[0]["lr"] = recipe.learning_rate * (1 - progress) + 1e-5
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.seen += recipe.batch
        return {"cross-entropy": loss.detach()}

    @torch.no_grad()
    def held_out_logits(self) -> Tensor:
        """Of the pictures that training never saw, (pictures, attributes)."""
        judge = self.classifier.eval()
        parts = [judge((part.float() / 255).to(self.device)) for part in self.held.split(200)]
        return torch.cat(parts).cpu()

    def held_out_accuracy(self) -> dict[str, dict[str, float]]:
        """For each attribute: accuracy, that of the commoner answer, and both answers' mean."""
        found = {}
        for index, name in enumerate(self.recipe.questions):
            known = ~self.held_labels[:, index].isnan()
            truth = self.held_labels[known, index] > 0.5
            right = (self.held_out_logits()[known, index] > 0) == truth
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

    def state(self) -> dict:
        """All that training goes on from."""
        return {
            "classifier": self.classifier.state_dict(), "optimizer": self.optimizer.state_dict(),
            "seen": self.seen, "rng": self.rng.get_state(), "torch_rng": torch.get_rng_state(),
            "config": asdict(self.classifier.config), "held out": self.held_out_accuracy(),
            "faults": self.recipe.faults,
        }

    def load(self, state: dict) -> None:
        """Go on from a stored `state`."""
        self.classifier.load_state_dict(state["classifier"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.seen = state["seen"]
        self.rng.set_state(state["rng"].cpu())
        torch.set_rng_state(state["torch_rng"].cpu())
