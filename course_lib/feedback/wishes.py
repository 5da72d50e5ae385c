"""Checks of a5, what is the student's own: a wish in torch, and a painted edit.

Both have many right answers, so what is checked is what every right one has in common.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.feedback.answers import Refused, as_tensor, ask, lost_gradient, plain
from course_lib.feedback.diagnosis import Demand
from course_lib.generators import load_generator
from course_lib.generators.base import Generator
from course_lib.guidance import ColorStroke, SketchStroke, edit
from course_lib.guidance.strokes import along_ways

FIRST_STROKE = ["color", "#D98032"]  # kind and colour of what the tool in the notebook opens with


@cache
def _cats() -> Generator:
    return load_generator("cats", device="cpu")


def wish_checks(rng: torch.Generator) -> list[Demand]:
    """Part 2: a constraint of the student's own, as any function of the picture."""
    seed = int(torch.randint(10_000, (1,), generator=rng))
    return [Demand("your wish is one number a picture, falls when the wish is met, and can be "
                   "followed downhill", partial(find_fault_in_wish, seed=seed))]


def find_fault_in_wish(my_wish: Callable, *, seed: int = 0) -> str | None:
    """What keeps a student's own constraint from being one, if anything does."""
    answer = ask(my_wish)
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        return "Return three things: the wish's name, cost and met."
    name, cost, met = answer
    if not isinstance(name, str) or len(name.strip()) < 3 or name == "a wish":
        return "Give the wish a name that says how the picture shall be."
    if not callable(cost) or not callable(met):
        return "cost and met are functions of the pictures: return them, do not call them."
    pictures = _cats_and_patches(seed)
    value = _answer("cost", cost, pictures)
    if tuple(value.shape) != (len(pictures),):
        return (f"cost gave shape {tuple(value.shape)} for {len(pictures)} pictures, but one "
                f"number a picture is wanted: average over the rest, by .mean(dim=(1, 2, 3)).")
    if not value.isfinite().all():
        return "cost is not a number for some picture: look for a division by 0, or a root of 0."
    if (value < 0).any():
        return "cost is negative for some picture: let 0 mean that the wish is met, and square."
    alone = as_tensor(ask(cost, pictures[1:2]), shape=(1,)).detach()
    if alone.shape != (1,) or (alone - value[1]).abs().max() > 1e-3 * value[1].abs() + 1e-6:
        return ("cost of a picture depends on the others in its batch: average over channels and "
                "pixels only, dims 1 to 3.")
    if (value > 1e-7).sum() < 4:
        return "Your wish is met by nearly all pictures already: wish for something that changes."
    return _unmet(cost, met, pictures, value) or _unfollowed(cost, pictures, value)


def _answer(name: str, function: Callable, pictures: Tensor) -> Tensor:
    try:
        return as_tensor(ask(function, pictures)).detach()
    except Refused as refused:
        raise Refused(str(refused).replace("Your function", name, 1)) from None


def _unmet(cost: Callable, met: Callable, pictures: Tensor, value: Tensor) -> str | None:
    done = _answer("met", met, pictures).float()
    if done.shape != pictures.shape:
        return "met returns the pictures again, changed so that the wish is met, in their shape."
    if (done - pictures).abs().max() < 1e-4:
        return "met leaves the pictures as they are: change their pixels until the wish is met."
    if (done.amax(dim=(2, 3)) - done.amin(dim=(2, 3))).max() < 0.01:
        return ("met paints each picture over with one colour, and strokes of colour you have had "
                "already: wish for something else.")
    if (done.amax(dim=1) - done.amin(dim=1)).max() < 0.01:
        return "met makes the pictures grey, which you have had already: wish for something else."
    if not done.isfinite().all():
        return "met gives pixels that are no numbers: look for a division by 0."
    after, wished = as_tensor(ask(cost, done)).detach(), value > 1e-7
    if (after > value)[wished].sum() > wished.sum() / 2:
        return ("cost is higher where the wish is met than where it is not: turn its sign round, "
                "or look which of the two is meant.")
    if (after[wished] > 0.2 * value[wished]).any():
        worst = float((after[wished] / value[wished]).max())
        return (f"Where met has done its work, cost should be near 0, but it still is up to "
                f"{worst:.0%} of what it was: the two speak of different wishes.")
    return None


def _unfollowed(cost: Callable, pictures: Tensor, value: Tensor) -> str | None:
    if said := lost_gradient(cost, (pictures,)):
        return said.replace("your answer", "cost")
    grain = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))
    nearby = as_tensor(ask(cost, pictures + 0.01 * grain)).detach()
    if ((nearby - value).abs() < 1e-7).sum() > len(value) / 2:
        return ("A small change of the picture does not change cost, so no gradient leads "
                "downhill: do without rounding, counting, and comparing by < or >.")
    return None


@torch.no_grad()
def _cats_and_patches(seed: int) -> Tensor:
    """Pictures (8, 3, 64, 64) to try a wish on: four cats, and four of coloured patches."""
    rng = torch.Generator().manual_seed(seed)
    cats = _cats().decode(_cats().sample_latent(4, rng=rng)).clamp(0, 1)
    patches = F.interpolate(torch.rand(4, 3, 5, 5, generator=rng), (64, 64), mode="bilinear")
    return torch.cat([cats, patches])


def picture_checks(rng: torch.Generator) -> list[Demand]:
    """Part 5: a painted edit of the student's own."""
    return [Demand("your strokes lie in the picture, differ from the tool's first, and the cat "
                   "follows them", find_fault_in_picture)]


def find_fault_in_picture(my_picture: Callable) -> str | None:
    """What keeps the recipe of a student's own painted edit from being one, if anything does."""
    recipe = plain(ask(my_picture))
    if not isinstance(recipe, list) or len(recipe) != 5:
        return "Return five things: a title, seed, space, smoothness and the list of strokes."
    title, seed, space, smoothness, strokes = recipe
    generator = _cats()
    if not isinstance(title, str) or len(title.strip()) < 3 or title == "a title":
        return "Give your picture a title that says what you wished for."
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        return f"seed is {seed!r}: a whole number, 0 or more, is wanted."
    if space not in generator.spaces:
        return f"space is {space!r}: take one of {', '.join(map(repr, generator.spaces))}."
    if not isinstance(smoothness, int | float) or not 0 <= smoothness <= 10:
        return f"smoothness is {smoothness!r}: a number from 0 to 10 is wanted."
    if not strokes or any(len(stroke) != 4 for stroke in strokes):
        return "Each stroke is (kind, color, width, points), as printed; paint at least one."
    if any(not stroke[3] for stroke in strokes):
        return "A stroke has no point: leave it out, or say where it goes."
    if all(stroke[:2] == FIRST_STROKE for stroke in strokes):
        return ("That is the tool's first stroke, or its ginger: press Clear, and wish for your "
                "own.")
    side = generator.resolution
    for kind, color, _, points in strokes:
        if kind not in ("color", "sketch"):
            return f"A stroke is of kind {kind!r}: paint with colour and sketch here."
        if any(not (0 <= x < side and 0 <= y < side) for x, y in points):
            return f"A stroke leaves the picture, which is {side} wide and high."
        if kind == "color" and not re.fullmatch("#[0-9a-fA-F]{6}", str(color)):
            return f'color is {color!r}: six digits after #, such as "#D55E00", are wanted.'
    return _unheard(generator, seed, space, smoothness, strokes)


def _unheard(generator: Generator, seed: int, space: str, smoothness: float,
             strokes: Sequence) -> str | None:
    """Whether a short descent comes nearer to what was painted."""
    z = generator.sample_latent(1, rng=torch.Generator().manual_seed(seed))
    latent = generator.convert(z, "z", space)
    constraints = [_constraint(*stroke, side=generator.resolution) for stroke in strokes]
    if any(not one.mask.any() for one in constraints):
        return "A stroke covers no pixel: take a wider brush."
    before, after = (edit(generator, latent, constraints, space=space, smoothness=smoothness,
                          steps=steps, frames=2) for steps in (0, 12))
    if max(float(value) for value in before.missed.values()) < 0.08:
        return "The picture has that already: wish for something that it does not have yet."
    if (after.image - before.image).abs().mean() < 0.01:
        return "The picture hardly changes: lower λ, or paint a larger stroke."
    missed = [sum(float(value) for value in one.missed.values()) for one in (before, after)]
    if missed[1] > 0.97 * missed[0]:
        return (f"The cat does not follow: your wishes were missed by {missed[0]:.2f} at first, "
                f"and still are by {missed[1]:.2f}. Lower λ, or wish for what a cat can be.")
    return None


def _constraint(kind: str, color: str, width: float, points: Sequence, *,
                side: int) -> ColorStroke | SketchStroke:
    ways = torch.tensor([*points, points[-1]], dtype=torch.float32)
    mask = along_ways(ways[:-1], ways[1:], width / 2, side)
    if kind == "sketch":
        return SketchStroke(mask, weight=0.2)
    return ColorStroke(mask, tuple(int(color[i:i + 2], 16) / 255 for i in (1, 3, 5)))
