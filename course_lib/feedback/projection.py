"""Checks of a3: what is close, the projection loop, extras; of codes themselves: `codes`.

The loop is tried on a toy generator whose best code is known; the rest are formulas in float64.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from course_lib.feedback.answers import lost_gradient
from course_lib.feedback.codes import mix_checks, own_checks, slerp_checks, start_checks
from course_lib.feedback.core import Feedback, Part
from course_lib.feedback.diagnosis import Check, Demand, Mistake
from course_lib.feedback.toys import ToyEncoder, ToyGenerator, negative_loss  # noqa: F401
from course_lib.generators.base import Generator
from course_lib.losses import pixel_loss


def _distance_checks(rng: torch.Generator) -> list[Check]:
    sizes = ((2, 8, 6, 6), (2, 12, 3, 3))
    a, b, c, d = (torch.randn(*size, generator=rng) + 0.4 for size in (*sizes, *sizes))
    mask = torch.rand(12, 12, generator=rng) ** 2 * (torch.rand(12, 12, generator=rng) < 0.7)

    questions = (("unlike features are apart, where the mask is", [a, b], [c, d]),
                 ("features differ by their directions only, not their lengths",
                  [a, b], [3 * a, 0.5 * d]))
    return [Check(law, (x, y, mask), _distance(x, y, mask), _distance_mistakes(), kind="curve")
            for law, x, y in questions]


def _distance_mistakes() -> list[Mistake]:
    def slip(**options: object) -> Callable:
        return lambda x, y, mask: _distance(x, y, mask, **options)

    return [
        Mistake("The mask is not used: every place counts alike.",
                lambda x, y, mask: _distance(x, y, 1 + 0 * mask)),
        Mistake("It is divided by the number of places, so a small face hardly counts: divide by "
                "the sum of the mask.", slip(divide="places")),
        Mistake("It is not divided by the sum of the mask.", slip(divide="none")),
        Mistake("The mask is all or nothing in yours: multiply by its values.",
                lambda x, y, mask: _distance(x, y, (mask > 0).double())),
        Mistake("The mask is looked up at one pixel of each square: take the mean over the "
                "square.", slip(shrink="nearest")),
        Mistake("The largest value of the mask in each square is taken: take the mean.",
                slip(shrink="max")),
        Mistake("The feature vectors are compared as they are: scale each to length 1 first, over "
                "its channels.", slip(unit=None)),
        Mistake("The vectors are scaled over places, not channels: dim=1 holds the channels.",
                slip(unit=(2, 3))),
        Mistake("Each whole map is scaled to length 1; scale the vector at each place by itself.",
                slip(unit=(1, 2, 3))),
        Mistake("The squares are averaged over the channels; sum them.",
                slip(channels=torch.mean)),
        Mistake("Sizes are added where squares should be.", slip(power=1)),
        Mistake("Only the last layer counts: add up all layers.",
                lambda x, y, mask: _distance(x[-1:], y[-1:], mask)),
        Mistake("Only the first layer counts: add up all layers.",
                lambda x, y, mask: _distance(x[:1], y[:1], mask)),
        Mistake("The layers are averaged; add them up.",
                lambda x, y, mask: _distance(x, y, mask) / len(x)),
        Mistake("The pictures of the batch are averaged: return one number a picture.",
                lambda x, y, mask: _distance(x, y, mask).mean()),
    ]


def _distance(
    x: list[Tensor], y: list[Tensor], mask: Tensor, *, unit: object = 1, power: int = 2,
    channels: Callable = torch.sum, divide: str = "mask", shrink: str = "mean",
) -> Tensor:
    total = 0
    for a, b in zip(x, y, strict=True):
        a, b = a.double(), b.double()
        if unit is not None:
            a, b = (one / one.square().sum(unit, keepdim=True).sqrt() for one in (a, b))
        step = len(mask) // a.shape[2]
        squares = mask.double().unfold(0, step, step).unfold(1, step, step).flatten(2)
        m = {"mean": squares.mean(2), "max": squares.amax(2), "nearest": squares[..., 0]}[shrink]
        off = (channels((a - b).abs() ** power, 1) * m).sum((1, 2))
        total = total + off / {"mask": m.sum(), "places": m.numel(), "none": 1}[divide]
    return total


def _loop_checks(rng: torch.Generator) -> list[Check]:
    generator = ToyGenerator(rng)
    best = 0.8 * torch.randn(4, 6, generator=rng)
    starts = best + 0.7 * torch.randn(3, 4, 6, generator=rng).sign()  # far off,
    near = 0.28 * torch.randn(4, 6, generator=rng).sign()
    starts[[1, 2, 0, 1], range(4)] = best + near  # the best after the steps,
    starts[[2, 1, 1, 0], range(4)] = best + 0.6 * torch.eye(6)[:4]  # and the nearest before them
    target, mean = generator.decode(best).detach(), torch.zeros(2, 4, 6)

    few, mistakes = (generator, target, starts, "z", pixel_loss, 3, 0.1), _loop_mistakes()
    questions = [
        ("from the mean the loop finds the code behind the picture", mean, "z", pixel_loss, best),
        ("the code found is one of the space asked for", starts, "double", pixel_loss, best / 2),
        ("what is close is decided by the loss that was passed", mean, "z", negative_loss, -best),
    ]
    checks = [Check(law, (generator, target, z, space, loss, 120, 0.1), answer, mistakes, 0.05,
                    "curve", detached=True) for law, z, space, loss, answer in questions]
    checks.insert(1, Check("each photo keeps the best of its starts, after steps of Adam's at the "
                           "rate that was passed", few, chosen(*few), mistakes, 0.02, "curve",
                           detached=True))
    return checks


def _loop_mistakes() -> list[Mistake]:
    def slip(space: str | None = None, loss: Callable | None = None, steps: int | None = None,
             rate: float | None = None, **switches: object) -> Callable:
        return lambda G, x, z, s, f, n, r: chosen(
            G, x, z, space or s, loss or f, steps or n, rate or r, **switches)

    return [
        Mistake("The first start's code is returned, whether or not another one is better.",
                slip(pick="first")),
        Mistake("The last start's code is returned, whether or not another one is better.",
                slip(pick="last")),
        Mistake("One start is chosen for all photos: each photo keeps its own best.",
                slip(pick="common")),
        Mistake("The worst is kept: the lowest loss wins.", slip(pick="worst")),
        Mistake("The codes of all starts are averaged, which is in no valley: choose one.",
                slip(pick="mean")),
        Mistake("Starts are chosen by their loss before the descent: choose after it.",
                slip(pick="before")),
        Mistake("The code comes back as it started: give the optimizer the code that you decode, "
                "a clone with requires_grad_(), not the generator's weights or another copy.",
                slip(rate=1e-9)),
        Mistake("The space is not used: decode(code, space=space), or w is taken for a z.",
                slip(space="z")),
        Mistake("The loss that was passed is not used: compare by loss(pictures, target), which "
                "may be another than the mean square.", slip(loss=pixel_loss)),
        Mistake("Gradients of all steps add up: call optimizer.zero_grad() before backward().",
                slip(zero=False)),
        Mistake("The loss is raised, not lowered: check a sign.", slip(sign=-1)),
        Mistake("That is plain gradient descent; Adam is asked for, torch.optim.Adam.",
                slip(optimizer=torch.optim.SGD)),
        Mistake("Only one step is taken: loop over all of them.", slip(steps=1)),
        Mistake("That is the picture; return the code.",
                lambda *question: question[0].decode(chosen(*question))),
        Mistake("That is the loss; return the code.",
                lambda *question: question[4](question[0].decode(chosen(*question)),
                                              question[1])),
        *(Mistake("The learning rate is a number of your own: give the optimizer learning_rate.",
                  slip(rate=rate)) for rate in (0.3, 0.01)),
    ]


def chosen(
    generator: Generator, target: Tensor, starts: Tensor, space: str, loss: Callable, steps: int,
    rate: float, *, pick: str = "best", **switches: object,
) -> Tensor:
    """For each photo the best of the codes where Adam comes from its starts; `pick`: mistakes."""
    k, n = starts.shape[:2]
    wanted, codes = target.repeat(k, 1, 1, 1), starts.flatten(0, 1)
    ends = descend(generator, wanted, codes, space, loss, steps, rate, **switches)
    with torch.no_grad():
        judged = codes if pick == "before" else ends
        losses = loss(generator.decode(judged, space=space), wanted).reshape(k, n)
    ends = ends.unflatten(0, (k, n))
    if pick == "mean":
        return ends.mean(0)
    which = {"first": torch.zeros(n).long(), "last": torch.full((n,), k - 1),
             "common": losses.sum(1).argmin().expand(n), "worst": losses.argmax(0)}
    return ends[which.get(pick, losses.argmin(0)), torch.arange(n)]


def descend(
    generator: Generator, target: Tensor, start: Tensor, space: str, loss: Callable, steps: int,
    rate: float, *, zero: bool = True, sign: int = 1, optimizer: type = torch.optim.Adam,
) -> Tensor:
    """Where Adam comes from `start`, in so many steps; the switches are mistakes."""
    code = start.clone().requires_grad_()
    optimizer = optimizer([code], lr=rate)
    for _ in range(steps):
        if zero:
            optimizer.zero_grad()
        (sign * loss(generator.decode(code, space=space), target).sum()).backward()
        optimizer.step()
    generator.zero_grad()
    return code.detach()


def _stroke_checks(rng: torch.Generator) -> list[Check | Demand]:
    image, mask = torch.rand(2, 3, 6, 7, generator=rng), torch.zeros(42, dtype=torch.bool)
    mask[torch.randperm(42, generator=rng)[:10]] = True
    mask = mask.reshape(6, 7)
    color = torch.rand(3, generator=rng)

    def off(image: Tensor, color: Tensor) -> Tensor:
        return (image.double() - color.double()[:, None, None]).square().sum(1)

    mistakes = [
        Mistake("The mean is taken over all pixels, so a small stroke hardly counts: divide by "
                "the number of pixels in the mask.",
                lambda x, m, c: (off(x, c) * m).mean((1, 2))),
        Mistake("The sum is not divided by the number of pixels in the mask.",
                lambda x, m, c: (off(x, c) * m).sum((1, 2))),
        Mistake("The squares are averaged over the channels; sum them.",
                lambda x, m, c: off(x, c)[:, m].mean(1) / 3),
        Mistake("The loss looks outside the mask.", lambda x, m, c: off(x, c)[:, ~m].mean(1)),
        Mistake("The pictures of the batch are averaged: return one number a picture.",
                lambda x, m, c: off(x, c)[:, m].mean()),
        Mistake("The stroke's mean colour is compared; compare every pixel.",
                lambda x, m, c: (x[:, :, m].mean(2) - c).square().sum(1)),
    ]
    question = (image, mask, color)
    return [Check("a stroke costs the mean squared distance from its colour, over its pixels",
                  question, off(image, color)[:, mask].mean(1), mistakes, kind="curve"),
            Demand("the loss can be followed downhill", partial(lost_gradient, question=question))]


def _change_checks(rng: torch.Generator) -> list[Check]:
    old = [torch.randn(*size, generator=rng) for size in ((4, 3), (7,), (2, 2, 3))]
    new = [one + 0.3 * torch.randn(one.shape, generator=rng) for one in old]

    def square(weights: list[Tensor]) -> Tensor:
        return sum(one.double().square().sum() for one in weights)

    def change(old: list[Tensor], new: list[Tensor]) -> list[Tensor]:
        return [b - a for a, b in zip(old, new, strict=True)]

    mistakes = [
        Mistake("It is not divided by ‖θ0‖², so λ would mean something else for each network.",
                lambda old, new: square(change(old, new))),
        Mistake("It is divided by the size of the *new* weights; the old ones are the measure.",
                lambda old, new: square(change(old, new)) / square(new)),
        Mistake("The root is taken: the norm is squared here.",
                lambda old, new: (square(change(old, new)) / square(old)).sqrt()),
        Mistake("Each tensor has its own ratio: sum all squares first, then divide once.",
                lambda old, new: sum(square([b - a]) / square([a])
                                     for a, b in zip(old, new, strict=True))),
        Mistake("Only the last tensor counts: add up all of them.",
                lambda old, new: square(change(old, new)[-1:]) / square(old)),
        Mistake("The change of the norm is measured, not the norm of the change.",
                lambda old, new: (square(new) - square(old)) / square(old)),
    ]
    return [Check("the change is ‖θ - θ0‖² / ‖θ0‖²", (old, new),
                  square(change(old, new)) / square(old), mistakes, 1e-4, "none")]


check = Feedback("a3_projection", {
    1: Part("what is close, and where", 15, _distance_checks),
    2: Part("projection from many starts", 30, _loop_checks, by_hand=("project",)),
    3: Part("shares of rows", 5, mix_checks),
    4: Part("a way between codes of unlike lengths", 15, slerp_checks),
    5: Part("a guess on a leash", 20, start_checks),
    6: Part("a cat of your own", 5, own_checks),
    7: Part("which space is best?", 10),
    "E1": Part("a stroke of colour", 5, _stroke_checks, extra=True),
    "E2": Part("tuning, held back", 5, _change_checks, extra=True),
})
