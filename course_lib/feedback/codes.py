"""Checks of codes (a3): styles mixed, a way between two, and a mix of one's own."""


import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.feedback.diagnosis import Check, Demand, Mistake
from course_lib.feedback.recipes import find_fault_in_mix


def mix_checks(rng: torch.Generator) -> list[Check]:
    """Part 3: rows of w_plus from two codes."""
    first, second = torch.randn(2, 2, 7, 5, generator=rng)
    mistakes = [
        Mistake("First and second are exchanged: the second one gives the rows in layers.",
                lambda a, b, rows: _mixed(b, a, rows)),
        Mistake("The layers are counted from 1: row 0 is the first.",
                lambda a, b, rows: _mixed(a, b, [row - 1 for row in rows])),
        Mistake("All rows come from the second code: only those in layers should.",
                lambda a, b, rows: b),
        Mistake("The rows of both are averaged; replace them.",
                lambda a, b, rows: _mixed(a, (a + b) / 2, rows)),
        Mistake("The rows of the second are added; replace them.",
                lambda a, b, rows: _mixed(a, a + b, rows)),
        Mistake("All rows from the first one in layers on are replaced; layers names each.",
                lambda a, b, rows: _mixed(a, b, list(range(min(rows), 7)))),
        Mistake("Features are replaced instead of rows: w_plus is (batch, rows, dim).",
                lambda a, b, rows: _mixed(a.mT, b.mT, rows).mT),
    ]
    return [Check("the rows in layers come from the second code, the others from the first",
                  (first, second, [1, 2, 4]), _mixed(first, second, [1, 2, 4]), mistakes,
                  kind="curve")]


def _mixed(first: Tensor, second: Tensor, rows: list[int]) -> Tensor:
    mixed = first.clone()
    mixed[:, rows] = second[:, rows]
    return mixed


def slerp_checks(rng: torch.Generator) -> list[Check]:
    """Part 4: along the sphere from one code to another."""
    a, b = 0.3 * torch.randn(2, 3, 8, generator=rng)
    mistakes = [
        Mistake("That is the straight line, which leaves the sphere where codes live.",
                lambda a, b, t: (1 - t) * a + t * b),
        Mistake("a and b are exchanged: t = 0 gives a.", lambda a, b, t: _slerp(b, a, t)),
        Mistake("Your answer is scaled to length 1: the codes keep their lengths.",
                lambda a, b, t: F.normalize(_slerp(a, b, t), dim=1)),
        Mistake("Nothing divides by sin θ.", lambda a, b, t: _slerp(a, b, t, divide=False)),
        Mistake("θ is not the angle between the codes: divide their product by both lengths "
                "before arccos.", lambda a, b, t: _slerp(a, b, t, angle="raw")),
        Mistake("One angle is used for all pairs: compute it along the last axis, keepdim=True.",
                lambda a, b, t: _slerp(a, b, t, angle="one")),
        Mistake("The angle is in degrees; sin wants radians.",
                lambda a, b, t: _slerp(a, b, t, angle="degrees")),
    ]
    return [Check(law, (a, b, t), _slerp(a, b, t), mistakes, kind="curve")
            for law, t in (("a third of the way is a third of the angle", 1 / 3),
                           ("t = 1 ends at b", 1.0))]


def _slerp(a: Tensor, b: Tensor, t: float, *, divide: bool = True, angle: str = "") -> Tensor:
    a, b = a.double(), b.double()
    product = (a * b).sum(1, keepdim=True)
    if angle != "raw":
        product = product / (a.norm(dim=1, keepdim=True) * b.norm(dim=1, keepdim=True))
    if angle == "one":
        product = (a * b).sum() / (a.norm() * b.norm())
    theta = torch.arccos(product)
    theta = theta.rad2deg() if angle == "degrees" else theta
    way = ((1 - t) * theta).sin() * a + (t * theta).sin() * b
    return way / theta.sin() if divide else way


def own_checks(rng: torch.Generator) -> list[Demand]:
    """Part 6: a mix of styles of one's own."""
    return [Demand("your cat has something of both codes, and is not the tool's first",
                   find_fault_in_mix)]
