"""What a classifier is asked, and how a set's labels, or its pictures, answer.

Where labels are missing they come from the picture: a cat's coat from the colour of its head.
What lies between yes and no stays unlabelled (NaN), and neither teaches nor tests.
"""

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from course_lib.training.data import Dataset

Record = dict[str, object]
Answers = Float[Tensor, " pictures"]
"""1 for yes, 0 for no, NaN for unknown."""
Question = Callable[[Sequence[Record], Dataset], Answers]


def one_of(field: str, *values: object, unsure: Sequence[object] = ()) -> Question:
    """Whether a record's field has one of these values; unknown, if it has an `unsure` one."""

    def answers(records: Sequence[Record], _: Dataset) -> Answers:
        found = [record[field] for record in records]
        return torch.tensor([torch.nan if value in unsure else float(value in values)
                             for value in found])

    return answers


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


CAT_PATTERNS = ("plain", "tabby", "white muzzle", "Siamese")
CAT_COATS = ("black", "grey", "white", "ginger", "brown", "cream")


def cat_words(records: Sequence[Record], pictures: Dataset) -> Int64[Tensor, "pictures 2"]:
    """A cat's pattern and coat, numbers from 1 on, in the order above; 0 for none.

    The coat is named after the median colour of the forehead; the pattern after the muzzle, where
    it is much lighter, else after the breed that was guessed. Both are rough.
    """
    contrasts, foreheads = [], []
    for part in pictures.split(512):
        images = part.float() / 255
        contrasts += muzzle_contrast(images).tolist()
        foreheads += region(images, 0.28, 0.45, 0.33, 0.67).flatten(2).median(dim=2).values.tolist()
    words = [
        (CAT_PATTERNS.index(_pattern(record, contrast, stripes)),
         -1 if record["grey"] else CAT_COATS.index(_coat(*forehead)))
        for record, contrast, stripes, forehead in zip(
            records, contrasts, striped(records, pictures).tolist(), foreheads, strict=True)
    ]
    return torch.tensor(words) + 1


def _pattern(record: Record, contrast: float, stripes: float) -> str:
    if record["breed_guesses"][0][0] == "Siamese_cat":
        return "Siamese"
    if contrast > 0.2:
        return "white muzzle"
    return "tabby" if stripes == 1 else "plain"


def _coat(red: float, green: float, blue: float) -> str:
    light, warm = 0.299 * red + 0.587 * green + 0.114 * blue, red - blue
    if light < 0.24:
        return "black"
    if warm > 0.22:
        return "ginger"
    if warm > 0.11:
        return "brown" if light < 0.53 else "cream"
    return "white" if light > 0.67 else "grey"


def background_lightness(images: Tensor) -> Tensor:
    """Of the strip along the top."""
    return lightness(region(images, 0, 0.12, 0, 1)).mean(dim=(1, 2))


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


def read_classes(
    source: str | Path, classes: Sequence[Sequence[str]], *, field: str = "type"
) -> Tensor | None:
    """The class of each picture, (pictures,), by this field of its label; None without classes.

    Raises:
        ValueError: a picture's type is in none of them.
    """
    if not classes:
        return None
    index = {name: label for label, names in enumerate(classes) for name in names}
    kinds = [record.get(field) for record in read_labels(source)]
    unknown = sorted({str(kind) for kind in kinds if kind not in index})
    if unknown:
        raise ValueError(
            f"{source} has pictures of the {field} {unknown[0]}, which the recipe does not know: "
            f"it tells {', '.join(index)} apart."
        )
    return torch.tensor([index[kind] for kind in kinds])


def answer(
    questions: Mapping[str, Question], records: Sequence[Record], pictures: Dataset
) -> Tensor:
    """The labels, (pictures, attributes): 1, 0 or NaN.

    Raises:
        ValueError: there are more or fewer records than pictures.
    """
    if len(records) != len(pictures):
        raise ValueError(
            f"there are {len(records)} records for {len(pictures)} pictures, so they would be "
            f"mixed up: labels.json needs one for each."
        )
    return torch.stack([ask(records, pictures) for ask in questions.values()], dim=1)
