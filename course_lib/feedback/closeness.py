"""Checks of a6, what is the student's own: a measure that chooses how much noise, and a photograph.

Both have many right answers, so what is checked is what every right one has in common.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial

import torch
import torch.nn.functional as F
from skimage.draw import polygon2mask
from torch import Tensor

from course_lib.feedback.answers import as_tensor, ask, plain
from course_lib.feedback.core import NotThereYet
from course_lib.feedback.diagnosis import Demand
from course_lib.generators import load_generator
from course_lib.generators.base import Generator
from course_lib.metrics import psnr
from course_lib.sdedit import reword, sdedit

KINDS = ("dress", "t-shirt", "trousers")
SHAPES = {  # corners (x, y) of flat garments of 64²
    "dress": [[(24, 4), (40, 4), (42, 28), (54, 60), (10, 60), (22, 28)]],
    "t-shirt": [[(18, 10), (46, 10), (46, 56), (18, 56)], [(5, 24), (18, 10), (18, 28), (10, 30)],
                [(46, 10), (59, 24), (54, 30), (46, 28)]],
    "trousers": [[(20, 4), (44, 4), (46, 18), (18, 18)], [(18, 18), (31, 18), (27, 60), (14, 60)],
                 [(33, 18), (46, 18), (50, 60), (37, 60)]],
}


@cache
def _model(name: str) -> Generator:
    return load_generator(name, device="cpu")


def paint(kind: str, color: Tensor) -> Tensor:
    """A garment of one flat colour, (3,), on white: (3, 64, 64) in [0, 1]."""
    inside = torch.zeros(64, 64, dtype=torch.bool)
    for corners in SHAPES[kind]:
        inside |= torch.from_numpy(polygon2mask((64, 64), [(y, x) for x, y in corners]))
    return torch.where(inside, color[:, None, None], torch.ones(3, 64, 64))


@cache
def trials(kind: str, seed: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """A painting, one in another colour, and answers to the first, each (1, 3, 64, 64), by name.

    Of three garments led back from the painting the nearest is the good one: a draw may stray.
    """
    rng = torch.Generator().manual_seed(seed)
    middle = 0.15 + 0.65 * torch.rand(1, generator=rng).item()
    color = torch.tensor([0.15, middle, 0.8])[torch.randperm(3, generator=rng)]  # few are so vivid
    painting, other = paint(kind, color), paint(kind, 0.95 - color)
    said = _model("clothes-diffusion").with_label(kind).with_guidance(2).with_steps(10)

    def cleared(starts: Tensor, noise: float) -> Tensor:
        return sdedit(said, starts, noise=noise, rng=rng).image.clamp(0, 1)

    def off(answers: Tensor) -> Tensor:
        return F.avg_pool2d(answers - painting, 16).square().mean(dim=(1, 2, 3))

    *cloth, recolored = cleared(torch.stack([painting, painting, painting, other]), 0.75)
    cloth, strangers = torch.stack(cloth), cleared(painting.expand(3, -1, -1, -1), 0.995)
    grain = 0.2 * torch.randn(1, 3, 64, 64, generator=rng)
    return painting, other, {
        "good": cloth[off(cloth).argmin()][None], "itself": painting[None],
        "grain": (painting[None] + grain).clamp(0, 1), "other": recolored[None],
        "free": strangers[off(strangers).argmax()][None],
    }


def measure_checks(rng: torch.Generator) -> list[Demand]:
    """Part 4: a measure of the student's own, by which the amount of noise is chosen."""
    seeds = torch.randint(10_000, (len(KINDS),), generator=rng).tolist()
    return [Demand(f"your measure prefers a {kind} of cloth to the flat painting, to grain, to "
                   f"another colour and to a stranger", partial(find_fault_in_measure, kind=kind,
                                                                seed=seed))
            for kind, seed in zip(KINDS, seeds, strict=True)]


WORSE = {
    "itself": "Your measure is lowest for the flat painting itself, so it would choose no noise at "
              "all: closeness is only half of it, so let the answer pay for not being cloth.",
    "grain": "Your measure takes the painting under coloured grain for better than cloth: ask for "
             "as much fine detail as cloth has, and no more.",
    "other": "Your measure prefers a garment of another colour to one of the painting's: let it "
             "pay for what is unlike the painting.",
    "free": "Your measure prefers what the model draws freely, at nearly all noise, so it would "
            "always choose most: let the answer pay more for what is unlike the painting.",
}


def find_fault_in_measure(my_measure: Callable, *, kind: str, seed: int) -> str | None:
    """What keeps a student's own measure from choosing, if anything does."""
    painting, other, answers = trials(kind, seed)
    series = torch.cat(list(answers.values()))
    value = as_tensor(ask(my_measure, painting, series)).detach()
    if tuple(value.shape) != (len(series),):
        return (f"Your measure gives shape {tuple(value.shape)} for {len(series)} answers, but one "
                f"number an answer is wanted: average over the rest, by .mean(dim=(1, 2, 3)).")
    if not value.isfinite().all():
        return "Your measure is not a number for some answer: look for a division by 0."
    alone = as_tensor(ask(my_measure, painting, series[:1]), shape=(1,)).detach()
    if alone.shape != (1,) or not (alone - value[0]).abs().max() <= 1e-3 * value.abs().max():
        return ("Your measure of an answer depends on the others in its batch, so it could not be "
                "compared with tomorrow's: use nothing but the painting and that answer.")
    if value.max() - value.min() < 1e-6:
        return "Your measure is the same for all answers, so nothing can be chosen by it."
    elsewhere = as_tensor(ask(my_measure, other, series)).detach()
    if (elsewhere - value).abs().max() <= 1e-6 * value.abs().max():
        return ("Your measure does not look at the painting: of another one it says the same. "
                "Compare each answer with it.")
    good, *worse = value.tolist()
    if all(one < good for one in worse):
        return "Your measure is highest for the best answer: turn its sign round, low is good."
    wrong = [name for name, one in zip(list(answers)[1:], worse, strict=True) if one <= good]
    if elsewhere[0] <= elsewhere[list(answers).index("other")]:  # that was painted there
        wrong.append("other")
    return WORSE[wrong[0]] if wrong else None


def photo_checks(rng: torch.Generator) -> list[Demand]:
    """Part 7: a photograph of the student's own, told a word."""
    return [Demand("your photograph is given back by the model, and the word changes it without "
                   "making another picture of it", find_fault_in_photo)]


@torch.no_grad()
def find_fault_in_photo(my_photo: Callable) -> str | None:
    """What keeps the recipe of a student's own photograph, told a word, from being one."""
    recipe = ask(my_photo)
    if said := _misread(recipe):
        return said
    _, photo, pattern, coat, guidance = _read(recipe)
    cats = _model("cats-diffusion").with_steps(12)
    code = cats.invert(photo[None])
    again, after = (one[None] for one in reword(cats, code, label=pattern, color=coat,
                                                guidance=guidance))
    if psnr(again, photo[None]) < 15:
        return ("The model does not give your photograph back, so it can't be edited: take one "
                "that is less dark, bright or coloured at its limits.")
    change = float((after - photo).abs().mean())
    if change < 0.015:
        return "One hardly sees the word: raise the guidance, or say what the cat is not yet."
    if change > 0.3:
        return "The word leaves little of the photograph: lower the guidance, or say another."
    return None


def taken_photo(my_photo: Callable) -> list:
    """Title, photograph, pattern, coat and guidance, for cells that go on from them.

    Raises:
        NotThereYet: they are no such recipe; in a notebook, in one line.
    """
    recipe = my_photo()
    if said := _misread(recipe):
        raise NotThereYet("Part 7", said)
    return _read(recipe)


def _read(recipe: Sequence) -> list:
    title, *words = plain([recipe[0], *recipe[2:]])
    return [title, as_tensor(recipe[1]).float(), *words]


def _misread(recipe: object) -> str | None:
    if not isinstance(recipe, tuple | list) or len(recipe) != 5:
        return "Return five things: a title, the photograph, pattern, coat and guidance."
    title, photo, pattern, coat, guidance = _read(recipe)
    if not isinstance(title, str) or len(title.strip()) < 3 or title == "a title":
        return "Give your picture a title that says what the word did."
    if said := _no_photograph(photo):
        return said
    cats = _model("cats-diffusion")
    for word, known, name in ((pattern, cats.config.kinds, "pattern"),
                              (coat, cats.config.colors, "coat")):
        if word is not None and word not in known:
            return f"{name} is {word!r}: take one of {', '.join(map(repr, known))}, or None."
    if pattern is None and coat is None:
        return "Nothing is said: name a pattern, a coat, or both."
    if isinstance(guidance, bool) or not isinstance(guidance, int | float) or (
            not 1 <= guidance <= 8):
        return f"guidance is {guidance!r}: a number from 1 to 8 is wanted."
    return None


def _no_photograph(photo: Tensor) -> str | None:
    if tuple(photo.shape) != (3, 64, 64):
        return (f'The photograph has shape {tuple(photo.shape)}: load_image("photo.jpg", size=64) '
                f"reads (3, 64, 64) from a square one, crop_square any.")
    if not photo.isfinite().all() or photo.min() < -0.01 or photo.max() > 1.01:
        return "The photograph leaves [0, 1]: load_image gives it as it should be."
    if photo.std() < 0.05 or len(photo.flatten(1).T.unique(dim=0)) < 500:
        return "That is no photograph, but a few flat colours: take one of your own."
    return None
