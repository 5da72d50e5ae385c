"""Checks of a1, its first half: rows and pictures from differences, blending, mixed gradients.

Every expected answer is a dense float64 solve on small random pictures.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.feedback.diagnosis import Check, Mistake
from course_lib.gradients import gradient


def row_checks(rng: torch.Generator) -> list[Check]:
    """Part 1: a row from its differences and both ends, by least squares."""
    row, other = torch.rand(2, 14, generator=rng)
    mistakes = [
        Mistake("The right end is not met: the differences are added up from the left, and the "
                "mismatch stays. Spread it over all steps alike.",
                lambda d, left, right: left + _sums(d)),
        Mistake("The left end is not met: the differences are added up from the right alone.",
                lambda d, left, right: right - d.sum() + _sums(d)),
        Mistake("The whole mismatch is left to the last step, a jump. Least squares spreads it "
                "over all steps alike.",
                lambda d, left, right: torch.cat([left + _sums(d)[:-1], right[None]])),
        Mistake("That is a straight line between the ends: the differences are not used.",
                lambda d, left, right: _row(0 * d, left, right)),
        Mistake("The differences have the wrong sign: differences[i] is u[i + 1] - u[i].",
                lambda d, left, right: _row(-d, left, right)),
        Mistake("The mismatch is divided by the number of pixels; there is one step less.",
                lambda d, left, right: left + _sums(d) + (right - left - d.sum())
                * torch.arange(len(d) + 1) / (len(d) + 1)),
        Mistake("The ends only count as two more equations, so they are missed by a little. "
                "They are known: take them out of the unknowns.", _soft_row),
        Mistake("Only the unknown pixels are returned: put the two ends around them.",
                lambda d, left, right: _row(d, left, right)[1:-1]),
    ]
    return [
        Check(law, (row.diff(), *ends), _row(row.diff(), *ends), mistakes, kind="curve")
        for law, ends in (("a row comes back from its own differences and ends", row[[0, -1]]),
                          ("wrong ends are met, their mismatch spread evenly", other[[0, -1]]))
    ]


def random_picture(rng: torch.Generator, height: int, width: int) -> Tensor:
    """(3, height, width) in [0, 1]: patches of colour, so that one sees something, and grain."""
    patches = F.interpolate(torch.rand(1, 3, 3, 4, generator=rng), (height, width), mode="bilinear")
    return 0.9 * patches[0] + 0.1 * torch.rand(3, height, width, generator=rng)


def _sums(differences: Tensor) -> Tensor:
    return F.pad(differences.cumsum(0), (1, 0))


def _row(d: Tensor, left: Tensor, right: Tensor) -> Tensor:
    nabla = torch.eye(len(d) + 1).diff(dim=0).double()
    ends = torch.stack([left, right]).double()
    wish = d.double() - nabla[:, [0, -1]] @ ends
    return torch.cat([ends[:1], torch.linalg.lstsq(nabla[:, 1:-1], wish[:, None]).solution[:, 0],
                      ends[1:]])


def _soft_row(d: Tensor, left: Tensor, right: Tensor) -> Tensor:
    eye = torch.eye(len(d) + 1)
    A = torch.cat([eye.diff(dim=0), eye[[0, -1]]])
    return torch.linalg.lstsq(A, torch.cat([d, left[None], right[None]])[:, None]).solution[:, 0]


def toy_checks(rng: torch.Generator) -> list[Check]:
    """Part 2: a picture from its differences and one pixel, by least squares."""
    picture = random_picture(rng, 8, 11)[0]
    field = gradient(picture[None])[:, 0]
    noise = 0.2 * torch.randn(2, 8, 11, generator=rng) * (field != 0)
    corner = torch.rand((), generator=rng)
    return [
        Check(law, (v, corner), _toy(v, corner), _toy_mistakes(), kind="image")
        for law, v, corner in (
            ("a picture comes back from its own differences and one pixel", field, picture[0, 0]),
            ("differences that contradict each other are met by least squares", field + noise,
             corner))
    ]


def _toy_mistakes() -> list[Mistake]:
    return [
        Mistake("Differences along x and y are exchanged: field[0] goes from column to column.",
                lambda v, corner: _toy(v.flip(0), corner)),
        Mistake("The differences have the wrong sign: field[0, y, x] is u[y, x + 1] - u[y, x].",
                lambda v, corner: _toy(-v, corner)),
        Mistake("Each difference is used one pixel too far left or up: field[0, y, x] joins x "
                "with x + 1, not with x - 1.",
                lambda v, corner: _toy(torch.stack([v[0].roll(-1, 1), v[1].roll(-1, 0)]), corner)),
        Mistake("The known pixel is the top left one; yours is the bottom right one.",
                lambda v, corner: _toy(v, corner) - _toy(v, corner)[-1, -1] + corner),
        Mistake("The differences fix no overall brightness: the known pixel is missing, or its "
                "equation has the wrong right side.",
                lambda v, corner: _toy(v, corner) - _toy(v, corner).mean()),
        Mistake("The differences are added up along one path, down the first column and then "
                "along the rows. They contradict each other: find the least squares.",
                lambda v, corner: corner + F.pad(v[1, :-1, :1].cumsum(0), (0, 0, 1, 0))
                + F.pad(v[0, :, :-1].cumsum(1), (1, 0))),
        Mistake("Equations join the last column with the first, or the last row: those pixels "
                "are no neighbours, so leave the last column of field[0] and the last row of "
                "field[1] out.", lambda v, corner: _toy(v, corner, wrap=True)),
        Mistake("Beyond the border your picture is 0: there is no pixel, so no equation. Leave "
                "the last column of field[0] and the last row of field[1] out.",
                lambda v, corner: _toy(v, corner, zero_beyond=True)),
        Mistake("Pixels are numbered column by column, but read row by row: pixel (y, x) has "
                "the number y · width + x.",
                lambda v, corner: _toy(v, corner).T.reshape(v.shape[1:])),
        Mistake("Pixels are numbered row by row, but read column by column: the answer is "
                ".reshape(height, width) of the unknowns.",
                lambda v, corner: _toy(v, corner).reshape(v.shape[:0:-1]).T),
    ]


def _toy(v: Tensor, corner: Tensor, *, wrap: bool = False, zero_beyond: bool = False) -> Tensor:
    height, width = v.shape[1:]
    eyes = [torch.eye(height).double(), torch.eye(width).double()]
    next_y, next_x = (eye.roll(1, 1) if wrap else F.pad(eye[1:], (0, 0, 0, 1)) for eye in eyes)
    along = [torch.kron(eyes[0], next_x - eyes[1]), torch.kron(next_y - eyes[0], eyes[1])]
    real = torch.ones(2, height, width, dtype=torch.bool)
    if not (wrap or zero_beyond):
        real[0, :, -1], real[1, -1] = False, False
    A = torch.cat(along)[real.flatten()]
    first = torch.eye(height * width).double()[:1]
    b = torch.cat([v.double().flatten()[real.flatten()], corner.double()[None]])
    return torch.linalg.lstsq(torch.cat([A, first]), b[:, None]).solution.reshape(height, width)


def blend_checks(rng: torch.Generator) -> list[Check]:
    """Part 3: the discrete Poisson equation."""
    source, target = random_picture(rng, 9, 12), random_picture(rng, 9, 12)
    mask = torch.rand(9, 12, generator=rng) < 0.6
    mask[3:6, 0] = True  # Ω reaches the picture's border, but never covers the picture
    mask[0, 0], mask[4, 6] = False, False
    mistakes = [
        Mistake("Outside Ω your picture is not the target: write the answer into a copy of it.",
                lambda s, t, mask: _blend(s, t, mask) * mask),
        Mistake("Inside Ω lie the source's own colours: nothing is solved, or the boundary "
                "values are the source's. Take y_q from the target.",
                lambda s, t, mask: torch.where(mask, s, t)),
        Mistake("The source's differences have the wrong sign, so its detail is a negative: "
                "v_pq is x_p - x_q.", lambda s, t, mask: _blend(-s, t, mask)),
        Mistake("The known neighbours are missing in b: each neighbour q outside Ω adds its "
                "target value y_q.", lambda s, t, mask: _blend(s, t, mask, rim=0)),
        Mistake("A has 4 on its whole diagonal, but at the picture's border a pixel has fewer "
                "neighbours: count only those that exist.",
                lambda s, t, mask: _blend(s, t, mask, always_four=True)),
        Mistake("Pairs of neighbours that leave Ω carry no v_pq in your b. They must: the sum "
                "goes over all neighbours.",
                lambda s, t, mask: _blend(s, t, mask, leaving=0)),
        Mistake("The fill is smooth but has no detail: the source's differences v_pq are "
                "missing in b.", lambda s, t, mask: _blend(0 * s, t, mask)),
        Mistake("That is the target as it was: v is made from the target, or the answer is never "
                "written back.", lambda s, t, mask: t),
        Mistake("Ω is where mask is True; you solve for the rest.",
                lambda s, t, mask: _blend(s, t, ~mask)),
        Mistake("All channels got the answer of the first one: solve each with its own b.",
                lambda s, t, mask: torch.where(mask, _blend(s, t, mask)[:1].expand_as(t), t)),
    ]
    questions = (
        ("a source that fits outside Ω comes back", torch.where(mask, source, target),
         torch.where(mask, source, target) * ~mask),
        ("the source's differences join the target's colours", 2 * source, target),
        ("a brighter source changes nothing", source + 0.4, target),
    )
    return [Check(law, (s, t, mask), _blend(s, t, mask), mistakes) for law, s, t in questions]


def _neighbors(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of the pixels p in Ω and q beside them, one pair an entry."""
    number = torch.arange(mask.numel()).reshape(mask.shape)
    pairs = torch.cat([torch.stack([number[:, 1:], number[:, :-1]]).flatten(1),
                       torch.stack([number[1:], number[:-1]]).flatten(1)], dim=1)
    p, q = torch.cat([pairs, pairs.flip(0)], dim=1)
    inside = mask.flatten()[p]
    return p[inside], q[inside]


def _blend(s: Tensor, t: Tensor, mask: Tensor, *, rim: int = 1, leaving: int = 1,
           always_four: bool = False) -> Tensor:
    """Equation 7 of the paper, dense; the switches leave out what is often forgotten."""
    s, value = s.double().flatten(1), t.double().flatten(1).clone()
    p, q = _neighbors(mask)
    A = torch.eye(mask.numel()).double() * (4 if always_four else 0)
    b, both = torch.zeros_like(value), mask.flatten()[q]
    if not always_four:
        A[p, p] += torch.bincount(p, minlength=mask.numel())[p].double()
    A[p[both], q[both]] = -1
    b.index_add_(1, p, (s[:, p] - s[:, q]) * torch.where(both, 1, leaving))
    b.index_add_(1, p[~both], rim * value[:, q[~both]])
    inside = mask.flatten()
    value[:, inside] = torch.linalg.solve(A[inside][:, inside], b[:, inside].T).T
    return value.reshape(t.shape)


def mixed_checks(rng: torch.Generator) -> list[Check]:
    """Part 4: the larger of two differences."""
    s, t = torch.randn(2, 2, 3, 9, 12, generator=rng)
    mistakes = [
        Mistake("The smaller difference is taken: it is the larger one that should win.",
                lambda s, t: torch.where(s.abs() > t.abs(), t, s)),
        Mistake("The sizes are compared with their signs, so falling edges always lose: compare "
                "absolute values.", torch.maximum),
        Mistake("The winners have lost their signs: compare absolute values, but take the "
                "difference itself.", lambda s, t: torch.maximum(s.abs(), t.abs())),
        Mistake("That is the average: it halves the detail of both.", lambda s, t: (s + t) / 2),
        Mistake("That is the sum of both fields.", lambda s, t: s + t),
        Mistake("x and y decide together, by the length of the arrow. Each pair of neighbours "
                "decides for itself here.",
                lambda s, t: torch.where(s.norm(dim=0) > t.norm(dim=0), s, t)),
        Mistake("The channels decide together. Each decides for itself here.",
                lambda s, t: torch.where(s.norm(dim=1, keepdim=True) > t.norm(dim=1, keepdim=True),
                                         s, t)),
    ]
    mixed = torch.where(s.abs() > t.abs(), s, t)
    return [Check("each pair of neighbours takes the larger of two differences", (s, t), mixed,
                  mistakes, kind="maps")]
