"""Checks of a sketch's energy (a5): histograms of oriented edges, cell by cell."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.feedback.diagnosis import Check, Demand, Mistake, demand_gradient


def histogram_checks(rng: torch.Generator) -> list[Check | Demand]:
    """Part 1: edges of a sketch, counted by orientation."""
    dx, dy = 0.15 * torch.randn(2, 2, 16, 24, generator=rng)  # whose sums a figure can show

    def slip(**options: object) -> Callable:
        return lambda dx, dy, cell, bins: _histograms(dx, dy, cell, bins, **options)

    mistakes = [
        Mistake("dx and dy are exchanged: the angle of (x, y) is atan2(y, x).",
                lambda dx, dy, *rest: _histograms(dy, dx, *rest)),
        Mistake("The angles run over the full circle; the sign of an edge shall not matter, so "
                "take them modulo π.", slip(circle=2)),
        Mistake("Edges of negative angle are lost: atan2 answers from −π to π; take it modulo π.",
                slip(lose=True)),
        Mistake("All of a pixel's strength goes to one direction; share it between the two "
                "nearest, so that the histogram changes smoothly.", slip(share="round")),
        Mistake("All of a pixel's strength goes to the direction below its angle; share it with "
                "the next one.", slip(share="floor")),
        Mistake("The two shares are exchanged: the nearer direction gets more.",
                slip(share="exchanged")),
        Mistake("Beyond the last direction comes the first again: its share is lost. Take the "
                "index modulo bins.", slip(wrap=False)),
        Mistake("Edges are counted, strong or weak: weigh each pixel by its gradient's length.",
                slip(power=0)),
        Mistake("The squared length is summed: weigh by the length.", slip(power=2)),
        Mistake("The cells' means are taken; sum over the cell.",
                lambda dx, dy, cell, bins: _histograms(dx, dy, cell, bins) / cell**2),
        Mistake("The histograms are scaled to length 1; leave them as they are.",
                lambda *question: F.normalize(_histograms(*question), dim=1)),
        Mistake("Those are the directions of the lines; the gradient's are asked for, at right "
                "angles to them.", lambda dx, dy, *rest: _histograms(-dy, dx, *rest)),
        Mistake("The directions are off by half a step: bin k stands for the angle kπ / bins.",
                slip(shift=0.5)),
        Mistake("Rows and columns of the cells have changed places.",
                lambda *question: _histograms(*question).mT),
    ]
    question = (dx, dy, 4, 6)
    return [Check("strength is shared between the two nearest of the directions, cell by cell",
                  question, _histograms(*question), mistakes, kind="image"),
            demand_gradient(question, 0, 1, step=1e-4)]


def _histograms(dx: Tensor, dy: Tensor, cell: int, bins: int, *, circle: int = 1,
                lose: bool = False, share: str = "", wrap: bool = True, power: int = 1,
                shift: float = 0) -> Tensor:
    """How strong edges of each direction are in each cell; the switches are mistakes."""
    dx, dy = dx.double(), dy.double()
    angle = torch.atan2(dy, dx)
    strength = (dx.square() + dy.square()) ** (power / 2)
    if lose:
        strength = strength * (angle >= 0)
    place = (angle / (circle * math.pi) * bins - shift).remainder(bins)
    lower = place.floor()
    upper_share = {"": place - lower, "round": (place - lower).round(), "floor": 0 * place,
                   "exchanged": 1 - place + lower}[share]
    upper = (lower + 1) % bins if wrap else lower + 1
    layers = [((lower == k) * (1 - upper_share) + (upper == k) * upper_share) * strength
              for k in range(bins)]
    return torch.stack([F.avg_pool2d(one, cell) * cell**2 for one in layers], dim=1)
