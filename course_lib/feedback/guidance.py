"""Checks of a5: strokes, the energy of an edit, its descent, edge histograms, a student's wish.

The descent is tried on bowls whose bottom is known; the rest are formulas in float64.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.feedback.core import Feedback, Part
from course_lib.feedback.diagnosis import (
    FOLLOWS,
    Check,
    Demand,
    Mistake,
    demand_gradient,
    find_cut_term,
)
from course_lib.feedback.histograms import histogram_checks
from course_lib.feedback.toys import Bowl
from course_lib.feedback.transfer import carry_checks, chain_checks, step_checks
from course_lib.feedback.wishes import picture_checks, wish_checks


def _stroke_checks(rng: torch.Generator) -> list[Check | Demand]:
    pictures, color = torch.rand(3, 3, 8, 9, generator=rng), torch.rand(3, generator=rng)
    brush = (1.4 * torch.rand(8, 9, generator=rng) - 0.6).clamp(min=0)

    def off(x: Tensor, color: Tensor) -> Tensor:
        return (x.double() - color.double()[:, None, None]).square().mean(1)

    mistakes = [
        Mistake("The mean is taken over the whole picture, so a small stroke hardly counts: divide "
                "by the brush's area, the sum of its values.",
                lambda x, m, c: (off(x, c) * m).mean((1, 2))),
        Mistake("The sum is not divided by the brush's area, so a large stroke shouts down all "
                "others.", lambda x, m, c: (off(x, c) * m).sum((1, 2))),
        Mistake("The squares are summed over the three channels; take their mean.",
                lambda x, m, c: 3 * (off(x, c) * m).sum((1, 2)) / m.sum()),
        Mistake("It is divided by the number of pixels that the brush touches; a soft brush's "
                "area is the sum of its values.",
                lambda x, m, c: (off(x, c) * m).sum((1, 2)) / (m > 0).sum()),
        Mistake("The brush counts as hard, all or nothing: multiply by its values.",
                lambda x, m, c: off(x, c)[:, m > 0].mean(1)),
        Mistake("The brush is squared together with the difference: multiply by it after the "
                "square.", lambda x, m, c: (off(x, c) * m**2).sum((1, 2)) / m.sum()),
        Mistake("The term looks where the brush is *not*.",
                lambda x, m, c: (off(x, c) * (1 - m)).sum((1, 2)) / (1 - m).sum()),
        Mistake("The brush is not used, so the whole picture shall have the colour.",
                lambda x, m, c: off(x, c).mean((1, 2))),
        Mistake("The stroke's mean colour is compared, so stripes would pass for grey; compare "
                "every pixel.", lambda x, m, c: ((x * m).sum((2, 3)) / m.sum() - c)
                .square().mean(1)),
        Mistake("The pictures of the batch are averaged: return one number a picture.",
                lambda x, m, c: ((off(x, c) * m).sum((1, 2)) / m.sum()).mean()),
        Mistake("Sizes are averaged where squares should be.",
                lambda x, m, c: ((x - c[:, None, None]).abs().mean(1) * m).sum((1, 2)) / m.sum()),
    ]
    question = (pictures, brush, color)
    right = (off(pictures, color) * brush).sum((1, 2)) / brush.sum()
    return [Check("a stroke costs the mean squared distance from its colour, weighted by the brush",
                  question, right, mistakes, kind="curve"), demand_gradient(question, 0)]


def _energy_checks(rng: torch.Generator) -> list[Check | Demand]:
    terms, weights = [*torch.rand(3, 4, generator=rng)], [0.5, 2.0, 1.2]
    start, codes = torch.randn(2, 4, 6, generator=rng)
    measure = torch.eye(6) + 0.5 * torch.randn(6, 6, generator=rng)
    question = (terms, weights, codes, start, measure, 0.7)
    return [Check("wishes add up, and λ times the mean squared change is on top", question,
                  _energy()(*question), _energy_mistakes(), 1e-4, "curve"),
            demand_gradient(question, 2),
            Demand(FOLLOWS, partial(find_cut_term, question=question))]



def _energy_mistakes() -> list[Mistake]:
    return [
        Mistake("The smoothness is forgotten: nothing holds the code near z0.",
                _energy(share=lambda s: 0)),
        Mistake("The smoothness is subtracted, which rewards going far.",
                _energy(share=lambda s: -s)),
        Mistake("λ is not used.", _energy(share=lambda s: 1)),
        Mistake("The squared changes are summed over the code's numbers; take their mean, so "
                "that λ means the same for long codes and short ones.",
                _energy(lambda d: d.square().sum(1))),
        Mistake("The distance from 0 is measured; the edit shall stay close to z0.",
                _energy(moved=lambda z, z0, m: _change(z, 0 * z0, m))),
        Mistake("The change is not measured in deviations: multiply it by `measure` first.",
                _energy(moved=lambda z, z0, m: _change(z, z0, torch.eye(len(m))))),
        Mistake("`measure` is used the wrong way round: codes are rows, so it is "
                "(codes − start) @ measure.", _energy(moved=lambda z, z0, m: _change(z, z0, m.T))),
        Mistake("The length of the change is taken; square it.",
                _energy(lambda d: d.square().mean(1).sqrt())),
        Mistake("The changes are averaged before they are squared, so ups and downs cancel.",
                _energy(lambda d: d.mean(1).square())),
        Mistake("The smoothness is averaged over the batch: each code has its own.",
                _energy(lambda d: d.square().mean())),
        Mistake("The weights of the terms are not used.",
                _energy(data=lambda t, w: _total(t, [1] * len(t)))),
        Mistake("The terms are averaged; they add up, so that another wish takes nothing from "
                "the first.", _energy(data=lambda t, w: _total(t, w) / len(t))),
        Mistake("Only the last term counts: add them up.",
                _energy(data=lambda t, w: _total(t[-1:], w[-1:]))),
    ]


def _total(terms: list[Tensor], weights: list) -> Tensor:
    return sum(w * t.double() for w, t in zip(weights, terms, strict=True))


def _change(z: Tensor, z0: Tensor, measure: Tensor) -> Tensor:
    return (z - z0).double() @ measure.double()


def _energy(reduce: Callable = lambda d: d.square().mean(1), *, data: Callable = _total,
         moved: Callable = _change, share: Callable = lambda s: s) -> Callable:
    """The energy; the switches are mistakes."""
    return lambda t, w, z, z0, m, s: data(t, w) + share(s) * reduce(moved(z, z0, m))


def _descent_checks(rng: torch.Generator) -> list[Check]:
    start = torch.randn(3, 5, generator=rng)
    steep = 0.5 + torch.rand(5, generator=rng)
    way = torch.rand(3, 5, generator=rng).sub(0.5).sign() * (0.9 + 0.2 * torch.rand(
        3, 5, generator=rng)) * torch.tensor([[1.0], [1.7], [2.4]])
    bowl = Bowl(start + way, steep)
    mistakes = [
        Mistake("That is the last code, not the best: Adam ran past it. (Or the best is kept "
                "without .clone(), so that the next step changes it.)",
                lambda *question: _descend(*question, keep="last")),
        Mistake("The code is kept one step too late: its energy was computed before "
                "optimizer.step() changed it.", lambda *question: _descend(*question, late=True)),
        Mistake("Every code replaces the one before: keep it only where its energy is lower than "
                "the lowest so far.", lambda *question: _descend(*question, keep="every")),
        Mistake("One step is the best for all: each code of the batch has a best step of its own.",
                lambda *question: _descend(*question, keep="common")),
        Mistake("The code comes back as it started: give the optimizer the code that the energy "
                "gets, a clone with requires_grad_(), let it go *down*, and keep the *lower* "
                "energy.",
                lambda energy, start, *_: start),
        Mistake("Gradients of all steps add up: call optimizer.zero_grad() before backward().",
                lambda *question: _descend(*question, zero=False)),
        Mistake("The descent begins at 0; begin at start, the code of the user's picture.",
                lambda energy, start, *rest: _descend(energy, 0 * start, *rest)),
        Mistake("Only the first code of the batch is followed: sum the energies of all.",
                lambda *question: _descend(*question, followed=1)),
        Mistake("That is plain gradient descent; Adam is asked for, torch.optim.Adam.",
                lambda *question: _descend(*question, optimizer=torch.optim.SGD)),
        Mistake("Only a step or two are taken: loop over all of them.",
                lambda energy, start, steps, rate: _descend(energy, start, 2, rate)),
        Mistake("That is the energy; return the codes.",
                lambda *question: question[0](_descend(*question))),
    ]
    checks = []
    for law, steps, rate, close in (
        ("of all codes on the way the best is kept, for each start its own", 14, 0.4, 0.02),
        ("small steps come to the bottom", 150, 0.05, 0.05),
    ):
        question = (bowl, start, steps, rate)
        checks.append(Check(law, question, _descend(*question), mistakes, close, "curve"))
    return checks


def _descend(
    energy: Callable, start: Tensor, steps: int, rate: float, *, keep: str = "best",
    late: bool = False, zero: bool = True, followed: int | None = None,
    optimizer: type = torch.optim.Adam,
) -> Tensor:
    """The best code of each row on the way; the switches are mistakes."""
    code = start.clone().requires_grad_()
    optimizer, codes, values = optimizer([code], lr=rate), [], []
    for _ in range(steps):
        value = energy(code)
        codes.append(code.detach().clone())
        values.append(value.detach())
        if zero:
            optimizer.zero_grad()
        value[:followed].sum().backward()
        optimizer.step()
    codes, values = torch.stack([*codes, code.detach()]), torch.stack(values)
    if keep == "last":
        return codes[-1]
    best = values.argmin(0)
    if keep == "every":
        return codes[-2]
    if keep == "common":
        best = values.sum(1).argmin().expand(len(start))
    return codes[best + late, torch.arange(len(start))]


def _track_checks(rng: torch.Generator) -> list[Check]:
    features, first = torch.randn(5, 16, 20, generator=rng), torch.randn(5, generator=rng)
    first = 3 * F.normalize(first, dim=0)
    place = torch.tensor([9, 4]) + torch.randint(0, 3, (2,), generator=rng)
    reach, side = 3, 1 - 2 * int(torch.randint(0, 2, (1,), generator=rng))
    x, y = (place + torch.tensor([reach, side])).tolist()  # the last column of the window
    features[:, y, x] = first + torch.tensor([0.4, 0, 0, 0, 0])  # the nearest in the window,
    features[:, place[1] - 1, place[0] + 1] = first + torch.tensor([0, 0.5, 0, 0, 0])  # the next,
    features[:, place[1] + 2, place[0] - 1] = first + 0.12  # the one of the least squares,
    features[:, 13, 17] = first  # a nearer one beyond it,
    features[:, place[1] - 2, place[0] - 2] = 2 * first  # and the largest product
    features[:, place[1], place[0]] = first + 1.2

    mistakes = [
        Mistake("x and y are swapped: a place is (x, y), arrays are [y, x].",
                lambda *question: _tracked(*question).flip(0)),
        Mistake("The whole picture is searched: look no farther than reach, or another ear is "
                "taken for this one.", lambda f, first, place, reach:
                _tracked(f, first, place, 20)),
        Mistake("The least similar place is taken: the smallest difference wins.",
                lambda *question: _tracked(*question, sign=-1)),
        Mistake("The largest product wins; strong features would always do. Take the smallest "
                "difference.", lambda *question: _tracked(*question, product=True)),
        Mistake("Squares of the differences are summed, so one large difference outweighs many "
                "small ones: sum the absolute values.",
                lambda *question: _tracked(*question, power=2)),
        Mistake("The window ends one short: from −reach to +reach, both included.",
                lambda *question: _tracked(*question, short=1)),
        Mistake("That is the place within the window: add the place where it is.",
                lambda f, first, place, reach: _tracked(f, first, place, reach) - place),
        Mistake("That is the place counted from the window's corner: add the corner, "
                "place − reach.",
                lambda f, first, place, reach: _tracked(f, first, place, reach) - place + reach),
        Mistake("The handle stays where it was: compare with its first features, not with those "
                "at its place.", lambda f, first, place, reach: place),
    ]
    question = (features, first, place, reach)
    return [Check("the handle is where, nearby, the features are most like its first ones",
                  question, _tracked(*question), mistakes, kind="points")]


def _tracked(features: Tensor, first: Tensor, place: Tensor, reach: int, *, sign: int = 1,
             product: bool = False, short: int = 0, power: int = 1) -> Tensor:
    """The best (x, y) near place; the switches are mistakes."""
    value = sign * (features - first[:, None, None]).abs().pow(power).sum(0)
    if product:
        value = -(features * first[:, None, None]).sum(0)
    y, x = torch.meshgrid(*map(torch.arange, value.shape), indexing="ij")
    near = (x >= place[0] - reach) & (x <= place[0] + reach - short)
    near = near & (y >= place[1] - reach) & (y <= place[1] + reach - short)
    best = int(value.masked_fill(~near, torch.inf).argmin())
    return torch.tensor([best % value.shape[1], best // value.shape[1]])


check = Feedback("a5_guided_editing", {
    1: Part("a stroke of colour", 10, _stroke_checks),
    2: Part("the energy of an edit", 10, _energy_checks),
    3: Part("the descent that keeps its best", 15, _descent_checks),
    4: Part("a sketch in histograms", 15, histogram_checks),
    5: Part("a wish of your own", 10, wish_checks),
    6: Part("one step of the colour-flow solve", 15, step_checks),
    7: Part("the change, carried to the photo", 10, carry_checks, by_hand=("apply_change",)),
    8: Part("a picture of your own", 5, picture_checks),
    9: Part("where it fails", 10),
    "E1": Part("a chain of flows", 5, chain_checks, extra=True),
    "E2": Part("where has the handle gone?", 5, _track_checks, extra=True),
})
