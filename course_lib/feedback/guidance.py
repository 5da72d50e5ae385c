"""Checks of a5, guided editing: where a dragged handle has gone.

Of sketches: `histograms`; of motion and colour: `transfer`; of what is the student's own: `wishes`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.feedback.core import Feedback, Part
from course_lib.feedback.diagnosis import Check, Mistake
from course_lib.feedback.histograms import histogram_checks
from course_lib.feedback.transfer import carry_checks, chain_checks, step_checks
from course_lib.feedback.wishes import picture_checks, wish_checks


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
    1: Part("a sketch in histograms", 25, histogram_checks),
    2: Part("a wish of your own", 20, wish_checks),
    3: Part("one step of the colour-flow solve", 25, step_checks),
    4: Part("the change, carried to the photo", 10, carry_checks, by_hand=("apply_change",)),
    5: Part("a picture of your own", 5, picture_checks),
    6: Part("where it fails", 15),
    "E1": Part("a chain of flows", 5, chain_checks, extra=True),
    "E2": Part("where has the handle gone?", 5, _track_checks, extra=True),
})
