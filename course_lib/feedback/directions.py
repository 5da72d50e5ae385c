"""Checks of a4: principal directions, SeFa, moving codes, boundaries, and a named edit."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.feedback.core import Feedback, Part
from course_lib.feedback.diagnosis import Check, Demand, Mistake
from course_lib.feedback.recipes import find_fault_in_edit


def _principal_checks(rng: torch.Generator) -> list[Check]:
    turn = torch.linalg.qr(torch.randn(6, 6, generator=rng)).Q
    skewed = torch.randn(400, 6, generator=rng).square() / 2**0.5  # mean and median part
    codes = skewed * torch.tensor([3.0, 2.2, 1.5, 1.0, 0.6, 0.3])
    codes = codes @ turn + 4 * torch.randn(6, generator=rng)
    mistakes = [
        Mistake("The mean is not subtracted first, so the first direction points at the mean.",
                lambda x, n: _principal(x, n, centre=None)),
        Mistake("Each code's own mean is subtracted (dim=1); subtract the mean code (dim=0).",
                lambda x, n: _principal(x, n, centre=1)),
        Mistake("The median is subtracted, about which the codes do not vary least: subtract the "
                "mean.", lambda x, n: _principal(x - x.median(0).values, n, centre=None)),
        Mistake("The order is ascending, as eigh gives it: the least important directions come "
                "first. Turn it round.", lambda x, n: _principal(x, 6).flip(0)[:n]),
        Mistake("Your rows are columns of V: svd returns Vh, whose *rows* are the directions, "
                "eigh vectors in columns.", lambda x, n: _vectors(x)[:, :n].T),
        Mistake("The rows have the length of the deviations; directions have length 1.",
                lambda x, n: _principal(x, n) * _deviations(x, n)),
        Mistake("The rows are scaled by the singular values; directions have length 1.",
                lambda x, n: _principal(x, n) * _deviations(x, n) * len(x) ** 0.5),
        Mistake("Each coordinate is divided by its deviation first, which makes all of them count "
                "alike: only subtract the mean.",
                lambda x, n: _principal(x / x.std(0), n)),
    ]
    return [Check("the rows are the directions of largest variance, in order", (codes, 3),
                  _principal(codes, 3), mistakes, 5e-3, "curve", True)]


def _vectors(x: Tensor) -> Tensor:
    x = x.double() - x.double().mean(0)
    return torch.linalg.svd(x, full_matrices=False).Vh


def _principal(x: Tensor, n: int, *, centre: int | None = 0) -> Tensor:
    x = x.double()
    if centre is not None:
        x = x - x.mean(centre, keepdim=True)
    return torch.linalg.svd(x, full_matrices=False).Vh[:n]


def _deviations(x: Tensor, n: int) -> Tensor:
    x = x.double() - x.double().mean(0)
    return (torch.linalg.svdvals(x)[:n] / len(x) ** 0.5)[:, None]


def _coordinate_checks(rng: torch.Generator) -> list[Check]:
    codes, mean = torch.randn(4, 7, generator=rng), torch.randn(7, generator=rng)
    v = F.normalize(torch.randn(7, generator=rng), dim=0)

    def slip(start: float = 1, centre: float = 1,
             scale: float | None = None) -> Callable:
        def answer(x: Tensor, mean: Tensor, v: Tensor, sigma: float, value: float) -> Tensor:
            now = (x - centre * mean) @ v
            goal = value * (sigma if scale is None else scale)
            return x + (goal - start * now)[:, None] * v
        return answer

    mistakes = [
        Mistake("The coordinate is raised by the value; it should become it: subtract what it "
                "is now.", slip(start=0)),
        Mistake("Coordinates are counted from the mean: subtract it before you multiply with v.",
                slip(centre=0)),
        Mistake("The value is in deviations: multiply it with sigma.", slip(scale=1)),
        Mistake("The value is divided by sigma; multiply.", slip(scale=1 / 1.8)),
        Mistake("The present coordinate is added; subtract it.", slip(start=-1)),
        Mistake("All that is not along v is lost: change the code along v, keep the rest.",
                lambda x, mean, v, sigma, value: (mean + value * sigma * v).expand_as(x)),
        Mistake("The present coordinate is in deviations, the new one in the codes' unit: bring "
                "both to one unit.", slip(start=1 / 1.8)),
    ]
    question = (codes, mean, v, 1.8, 2.5)
    return [Check("along v the code is at the value, across v it stays", question,
                  slip()(*question), mistakes, kind="curve")]


def _sefa_checks(rng: torch.Generator) -> list[Check]:
    sizes = torch.tensor([2.5, 2.0, 1.5, 1.0, 0.5])
    turn = torch.linalg.qr(torch.randn(5, 5, generator=rng)).Q
    weights = [torch.randn(n, 5, generator=rng) * sizes @ turn * size
               for n, size in ((14, 1.0), (9, 4.0))]
    mistakes = [
        Mistake("The rows are not scaled to length 1, so layers with large weights decide alone.",
                lambda w, n: _leading(torch.cat(w), n)),
        Mistake("The columns are scaled to length 1; scale the rows, one for each channel.",
                lambda w, n: _leading(F.normalize(torch.cat(w).double(), dim=0), n)),
        Mistake("The order is ascending: you return the directions that change least.",
                lambda w, n: _leading(F.normalize(torch.cat(w).double(), dim=1), 5).flip(0)[:n]),
        Mistake("Only the first layer is used: stack the rows of all.",
                lambda w, n: _leading(F.normalize(w[0].double(), dim=1), n)),
        Mistake("Only the last layer is used: stack the rows of all.",
                lambda w, n: _leading(F.normalize(w[-1].double(), dim=1), n)),
        Mistake("A mean is subtracted: SeFa looks at the weights as they are.",
                lambda w, n: _leading(_centred(F.normalize(torch.cat(w).double(), dim=1)), n)),
        Mistake("You return columns of the matrix of eigenvectors as rows, or the other way.",
                lambda w, n: _leading(F.normalize(torch.cat(w).double(), dim=1), 5).T[:n]),
    ]
    rows = F.normalize(torch.cat(weights).double(), dim=1)
    return [Check("no unit vector changes the styles more", (weights, 2), _leading(rows, 2),
                  mistakes, 5e-3, "curve", True)]


def _centred(rows: Tensor) -> Tensor:
    return rows - rows.mean(0)


def _leading(rows: Tensor, n: int) -> Tensor:
    return torch.linalg.svd(rows.double(), full_matrices=False).Vh[:n]


def _move_checks(rng: torch.Generator) -> list[Check]:
    codes, v = torch.randn(2, 6, 5, generator=rng), torch.randn(5, generator=rng)

    def moved(codes: Tensor, v: Tensor, strength: float, rows: list[int]) -> Tensor:
        answer = codes.clone()
        answer[:, rows] += strength * v
        return answer

    mistakes = [
        Mistake("All rows move; only those in rows should.",
                lambda x, v, s, rows: x + s * v),
        Mistake("The other rows move: those in rows should.",
                lambda x, v, s, rows: moved(x, v, s, [i for i in range(6) if i not in rows])),
        Mistake("The rows are counted from 1: row 0 is the first.",
                lambda x, v, s, rows: moved(x, v, s, [row - 1 for row in rows])),
        Mistake("The direction is subtracted; add it.",
                lambda x, v, s, rows: moved(x, v, -s, rows)),
        Mistake("The strength is not used.", lambda x, v, s, rows: moved(x, v, 1.0, rows)),
        Mistake("The rows are replaced by the direction; add it to them.",
                lambda x, v, s, rows: moved(x - moved(0 * x, torch.ones(5), 1.0, rows) * x, v, s,
                                            rows)),
        Mistake("Only the first code of the batch moves.",
                lambda x, v, s, rows: torch.cat([moved(x[:1], v, s, rows), x[1:]])),
    ]
    question = (codes, v, 1.7, [1, 3, 4])
    return [Check("rows named move by strength · direction, the others stay", question,
                  moved(*question), mistakes, kind="curve")]


def _boundary_checks(rng: torch.Generator) -> list[Check]:
    codes, labels, normal = labelled_codes(rng)
    means = codes[labels].mean(0) - codes[~labels].mean(0)
    mistakes = [
        Mistake("That is the difference of the two classes' means. Where numbers of the code go "
                "together it leans towards them: fit a boundary, and take its normal.",
                lambda x, y: F.normalize(means, dim=0)),
        Mistake("The normal leans towards the difference of the means: your classifier is held "
                "back by a strong pull on its weights, or stopped early. Let it fit.",
                lambda x, y: F.normalize(normal + F.normalize(means, dim=0), dim=0)),
        Mistake("The normal points away from the codes that have the label.",
                lambda x, y: -normal),
        Mistake("The direction of largest variance is no boundary: use the labels.",
                lambda x, y: _principal(x, 1)[0]),
        Mistake("The direction leads to the mean of the labelled codes, from 0; what matters is "
                "where the labels change.", lambda x, y: F.normalize(x[y].mean(0), dim=0)),
        Mistake("The weights belong to standardised codes: divide them by the deviations, then "
                "scale to length 1.", lambda x, y: F.normalize(normal * x.std(0), dim=0)),
    ]
    return [Check("the unit normal of the boundary between the labels is met within 10 degrees, "
                  "whichever classifier finds it", (codes, labels), normal, mistakes, 0.01,
                  "curve", degrees=10)]


def labelled_codes(rng: torch.Generator, count: int = 3000) -> tuple[Tensor, Tensor, Tensor]:
    """Codes (count, 5), labels (count,), and the unit normal of the plane that parts them.

    The numbers of a code go together, so that the difference of the classes' means is 49 degrees
    off, while discriminant analysis, least squares, and logistic regression come within 6.
    """
    fixed = torch.Generator().manual_seed(2)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=fixed)).Q
    sizes, scales = torch.tensor([[1.8, 1.5, 1.2, 1.0, 0.8], [1.6, 1.0, 0.6, 1.3, 0.8]])
    mixing = sizes[:, None] * turn * scales
    normal = F.normalize(turn.sum(0) / scales + 0.3 * torch.randn(5, generator=fixed), dim=0)
    codes = torch.randn(count, 5, generator=rng) @ mixing + 0.5
    order, signs = torch.randperm(5, generator=rng), torch.randn(5, generator=rng).sign()
    codes, normal = (codes * signs)[:, order], (normal * signs)[order]
    along = codes @ normal
    return codes, along > along.mean() + 0.3 * along.std(), normal


def _conditional_checks(rng: torch.Generator) -> list[Check]:
    normal, a, b = F.normalize(torch.randn(3, 6, generator=rng), dim=1)
    b = F.normalize(b + 0.6 * a, dim=0)

    def without(n: Tensor, others: Tensor) -> Tensor:
        basis = torch.linalg.qr(others.double().T).Q
        return n.double() - basis @ (basis.T @ n.double())

    mistakes = [
        Mistake("Your answer is not of length 1.", without),
        Mistake("The others are not at right angles to each other, so taking them out one by one "
                "leaves a rest: make them orthogonal first.",
                lambda n, c: F.normalize(n - c.T @ (c @ n), dim=0)),
        Mistake("You keep what lies along the others; take it away.",
                lambda n, c: F.normalize(n.double() - without(n, c), dim=0)),
        Mistake("Only the first of the others is taken out.",
                lambda n, c: F.normalize(without(n, c[:1]), dim=0)),
        Mistake("Only the last of the others is taken out.",
                lambda n, c: F.normalize(without(n, c[-1:]), dim=0)),
        Mistake("The others are subtracted as they are; subtract only the part along them, "
                "(n · c) c.", lambda n, c: F.normalize(n - c.sum(0), dim=0)),
        Mistake("The others' parts are added; subtract them.",
                lambda n, c: F.normalize(2 * n.double() - without(n, c), dim=0)),
    ]
    others = torch.stack([a, b])
    return [Check("the direction is at right angles to all others", (normal, others),
                  F.normalize(without(normal, others), dim=0), mistakes, kind="curve")]


def _own_checks(rng: torch.Generator) -> list[Demand]:
    return [Demand("your edit has a name, moves some rows, and is seen but not too far",
                   find_fault_in_edit)]


check = Feedback("a4_directions", {
    1: Part("principal directions", 25, _principal_checks, by_hand=("principal_components",)),
    2: Part("a slider that sets", 10, _coordinate_checks, by_hand=("set_coordinate",)),
    3: Part("SeFa", 20, _sefa_checks),
    4: Part("which rows move", 10, _move_checks, by_hand=("move",)),
    5: Part("a boundary and its normal", 15, _boundary_checks, by_hand=("annotated",)),
    6: Part("a named edit on a real photo", 10, _own_checks),
    7: Part("what the name hides", 10),
    "E1": Part("a conditional direction", 10, _conditional_checks, extra=True),
})
