"""Checks of codes (a3): styles mixed, a way between two, and a mix of one's own."""

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.feedback.answers import ask, plain
from course_lib.feedback.diagnosis import Check, Demand, Mistake
from course_lib.generators import load_generator
from course_lib.generators.base import Generator


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


@cache
def _cats() -> Generator:
    return load_generator("cats-128", device="cpu")


def own_checks(rng: torch.Generator) -> list[Demand]:
    """Part 6: a mix of styles of one's own."""
    return [Demand("your cat has something of both codes, and is not the tool's first",
                   find_fault_in_mix)]


@torch.no_grad()
def find_fault_in_mix(my_mix: Callable) -> str | None:
    """What keeps the recipe of a student's own mix of styles from being one, if anything does."""
    recipe = plain(ask(my_mix))
    if not isinstance(recipe, list) or len(recipe) != 4:
        return "Return four numbers: seed, second_seed, truncation_psi and crossover."
    seed, second, psi, crossover = recipe
    if any(isinstance(one, float) for one in (seed, second, crossover)):
        return "Seeds and crossover are whole numbers."
    if (seed, second) == (0, 1):
        return "Those are the seeds that the tool starts with: find two cats that you like."
    if seed == second:
        return "Both seeds are the same, so there is nothing to mix: take two."
    if not 0 < psi <= 1.2:
        return f"truncation_psi is {psi:g}: at 0 all are the mean cat, above 1.2 few are cats."
    generator = _cats()
    if not 0 < crossover < generator.num_ws:
        return (f"crossover is {crossover}: from 1 to {generator.num_ws - 1}, so that both codes "
                f"have a say.")
    codes = torch.cat([generator.sample_latent(1, space="w_plus", truncation_psi=psi,
                                               rng=torch.Generator().manual_seed(one))
                       for one in (seed, second)])
    mixed = torch.cat([codes[0, :crossover], codes[1, crossover:]])[None]
    a, b, c = generator.decode(torch.cat([codes, mixed]), space="w_plus")
    if min((c - a).abs().mean(), (c - b).abs().mean()) < 0.01:
        return ("The mix looks like one of the two: move the crossover towards the middle, or take "
                "cats that differ more.")
    return None
