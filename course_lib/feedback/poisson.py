"""Checks of a1, its first half: rows and panoramas from differences, blending, edges taken out.

Every expected answer is a dense float64 solve on small random pictures.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.feedback.diagnosis import Check, Mistake


def row_checks(rng: torch.Generator) -> list[Check]:
    """Part 1: a row from its differences and both ends, by weighted least squares."""
    row, other = torch.rand(2, 14, generator=rng)
    trust = 0.3 + 3 * torch.rand(13, generator=rng) ** 2
    mistakes = [
        Mistake("All differences give way alike, as if they were trusted alike: trust is not "
                "used.", lambda d, c, left, right: _row(d, 1 + 0 * c, left, right)),
        Mistake("The most trusted differences give way most. It is the other way: what a step "
                "takes of the mismatch goes with 1 / trust.",
                lambda d, c, left, right: _row(d, 1 / c, left, right)),
        Mistake("The trust counts twice: least squares squares its rows, so multiply them with "
                "the root of the trust; or the mismatch goes with 1 / trust, not its square.",
                lambda d, c, left, right: _row(d, c**2, left, right)),
        Mistake("The trust enters by its root: it is c (…)² in the energy.",
                lambda d, c, left, right: _row(d, c**0.5, left, right)),
        Mistake("The right end is not met: the differences are added up from the left, and the "
                "mismatch stays. Spread it over the steps.",
                lambda d, c, left, right: left + _sums(d)),
        Mistake("The left end is not met: the differences are added up from the right alone.",
                lambda d, c, left, right: right - d.sum() + _sums(d)),
        Mistake("The whole mismatch is left to the last step, a jump: spread it over the steps.",
                lambda d, c, left, right: torch.cat([left + _sums(d)[:-1], right[None]])),
        Mistake("The differences are not used: only the ends and the trust are.",
                lambda d, c, left, right: _row(0 * d, c, left, right)),
        Mistake("The differences have the wrong sign: differences[i] is u[i + 1] - u[i].",
                lambda d, c, left, right: _row(-d, c, left, right)),
        Mistake("The differences are multiplied by their trust, which changes what is wished "
                "for: it is how far a wish counts.",
                lambda d, c, left, right: _row(c * d, c, left, right)),
        Mistake("Only the unknown pixels are returned: put the two ends around them.",
                lambda d, c, left, right: _row(d, c, left, right)[1:-1]),
    ]
    return [  # first the question which tells most mistakes apart
        Check(law, (row.diff(), trust, *ends), _row(row.diff(), trust, *ends), mistakes,
              kind="curve")
        for law, ends in (("wrong ends are met, and the least trusted differences give way most",
                           other[[0, -1]]),
                          ("a row comes back from its own differences and ends", row[[0, -1]]))
    ]


def random_picture(rng: torch.Generator, height: int, width: int) -> Tensor:
    """(3, height, width) in [0, 1]: patches of colour, so that one sees something, and grain."""
    patches = F.interpolate(torch.rand(1, 3, 3, 4, generator=rng), (height, width), mode="bilinear")
    return 0.9 * patches[0] + 0.1 * torch.rand(3, height, width, generator=rng)


def _sums(differences: Tensor) -> Tensor:
    return F.pad(differences.cumsum(0), (1, 0))


def _row(d: Tensor, c: Tensor, left: Tensor, right: Tensor) -> Tensor:
    nabla = c.double().sqrt()[:, None] * torch.eye(len(d) + 1).diff(dim=0).double()
    ends = torch.stack([left, right]).double()
    wish = c.double().sqrt() * d.double() - nabla[:, [0, -1]] @ ends
    return torch.cat([ends[:1], torch.linalg.lstsq(nabla[:, 1:-1], wish[:, None]).solution[:, 0],
                      ends[1:]])


def toy_checks(rng: torch.Generator) -> list[Check]:
    """Part 2: a panorama from its differences and one pixel, by least squares."""
    picture = random_picture(rng, 8, 11)[0]
    field = torch.stack([picture.roll(-1, 1) - picture, F.pad(picture.diff(dim=0), (0, 0, 0, 1))])
    noise = 0.2 * torch.randn(2, 8, 11, generator=rng)
    noise[1, -1] = 0
    corner = torch.rand((), generator=rng)
    return [  # first the question which tells most mistakes apart
        Check(law, (v, corner), _toy(v, corner), _toy_mistakes(), kind="image")
        for law, v, corner in (
            ("differences that contradict each other are met by least squares", field + noise,
             corner),
            ("a panorama comes back from its own differences and one pixel", field,
             picture[0, 0]))
    ]


def _toy_mistakes() -> list[Mistake]:
    return [
        Mistake("The picture has a border left and right in yours; it goes all the way round: "
                "the last column of field[0] leads back to column 0.",
                lambda v, corner: _toy(v, corner, round_x=False)),
        Mistake("It also goes round from the last row to the first in yours; only left and right "
                "meet: leave the last row of field[1] out.",
                lambda v, corner: _toy(v, corner, round_y=True)),
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
        Mistake("Below the last row your picture is 0: there is no pixel, so no equation. Leave "
                "the last row of field[1] out.",
                lambda v, corner: _toy(v, corner, zero_below=True)),
        Mistake("Pixels are numbered column by column, but read row by row: pixel (y, x) has "
                "the number y · width + x.",
                lambda v, corner: _toy(v, corner).T.reshape(v.shape[1:])),
        Mistake("Pixels are numbered row by row, but read column by column: the answer is "
                ".reshape(height, width) of the unknowns.",
                lambda v, corner: _toy(v, corner).reshape(v.shape[:0:-1]).T),
    ]


def _toy(v: Tensor, corner: Tensor, *, round_x: bool = True, round_y: bool = False,
         zero_below: bool = False) -> Tensor:
    height, width = v.shape[1:]
    eyes = [torch.eye(height).double(), torch.eye(width).double()]
    next_y = eyes[0].roll(1, 1) if round_y else F.pad(eyes[0][1:], (0, 0, 0, 1))
    along = [torch.kron(eyes[0], eyes[1].roll(1, 1) - eyes[1]),
             torch.kron(next_y - eyes[0], eyes[1])]
    real = torch.ones(2, height, width, dtype=torch.bool)
    real[0, :, -1], real[1, -1] = round_x, round_y or zero_below
    A = torch.cat(along)[real.flatten()]
    first = torch.eye(height * width).double()[:1]
    b = torch.cat([v.double().flatten()[real.flatten()], corner.double()[None]])
    return torch.linalg.lstsq(torch.cat([A, first]), b[:, None]).solution.reshape(height, width)


def blend_checks(rng: torch.Generator) -> list[Check]:
    """Part 3: the discrete Poisson equation, each pair of neighbours with a weight."""
    source, target = random_picture(rng, 9, 12), random_picture(rng, 9, 12)
    mask = torch.rand(9, 12, generator=rng) < 0.6
    mask[3:6, 0] = True  # Ω reaches the picture's border, but never covers the picture
    mask[0, 0], mask[4, 6] = False, False
    trust = 0.2 + 1.5 * torch.rand(9, 12, generator=rng)
    questions = (  # first the question which tells most mistakes apart
        ("who is trusted less has less of a say", 2 * source, target),
        ("a source that fits outside Ω comes back", torch.where(mask, source, target),
         torch.where(mask, source, target) * ~mask),
        ("a brighter source changes nothing", source + 0.4, target),
    )
    return [Check(law, (s, t, mask, trust), _blend(s, t, mask, trust), _blend_mistakes())
            for law, s, t in questions]


def _blend_mistakes() -> list[Mistake]:
    return [
        Mistake("All pairs weigh alike, as in the lesson: trust is not used, or only that of p, "
                "which divides out of its equation. A pair weighs t_p · t_q.",
                lambda s, t, mask, c: _blend(s, t, mask, 1 + 0 * c)),
        Mistake("A pair's weight is the sum or mean of both trusts: it is their product.",
                lambda s, t, mask, c: _blend(s, t, mask, c, pair=torch.add)),
        Mistake("The weights stand squared: derive the energy once more, c (…)² gives 2 c (…).",
                lambda s, t, mask, c: _blend(s, t, mask, c**2)),
        Mistake("The weights are in A, but the source's differences in b lack them.",
                lambda s, t, mask, c: _blend(s, t, mask, c, weigh_wish=False)),
        Mistake("The weights are in A, but the known neighbours' values in b lack them.",
                lambda s, t, mask, c: _blend(s, t, mask, c, weigh_rim=False)),
        Mistake("Outside Ω your picture is not the target: write the answer into a copy of it.",
                lambda s, t, mask, c: _blend(s, t, mask, c) * mask),
        Mistake("Inside Ω lie the source's own colours: nothing is solved, or the boundary "
                "values are the source's. Take y_q from the target.",
                lambda s, t, mask, c: torch.where(mask, s, t)),
        Mistake("The source's differences have the wrong sign, so its detail is a negative: "
                "v_pq is x_p - x_q.", lambda s, t, mask, c: _blend(-s, t, mask, c)),
        Mistake("The known neighbours are missing in b: each neighbour q outside Ω adds c · y_q.",
                lambda s, t, mask, c: _blend(s, t, mask, c, rim=0)),
        Mistake("Pairs of neighbours that leave Ω carry no v_pq in your b. They must: the sum "
                "goes over all neighbours.",
                lambda s, t, mask, c: _blend(s, t, mask, c, leaving=0)),
        Mistake("The fill is smooth but has no detail: the source's differences v_pq are "
                "missing in b.", lambda s, t, mask, c: _blend(0 * s, t, mask, c)),
        Mistake("That is the target as it was: v is made from the target, or the answer is never "
                "written back.", lambda s, t, mask, c: t),
        Mistake("Ω is where mask is True; you solve for the rest.",
                lambda s, t, mask, c: _blend(s, t, ~mask, c)),
        Mistake("All channels got the answer of the first one: solve each with its own b.",
                lambda s, t, mask, c: torch.where(
                    mask, _blend(s, t, mask, c)[:1].expand_as(t), t)),
    ]


def _neighbors(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of the pixels p in Ω and q beside them, one pair an entry."""
    number = torch.arange(mask.numel()).reshape(mask.shape)
    pairs = torch.cat([torch.stack([number[:, 1:], number[:, :-1]]).flatten(1),
                       torch.stack([number[1:], number[:-1]]).flatten(1)], dim=1)
    p, q = torch.cat([pairs, pairs.flip(0)], dim=1)
    inside = mask.flatten()[p]
    return p[inside], q[inside]


def _blend(
    s: Tensor, t: Tensor, mask: Tensor, trust: Tensor, *, pair: Callable = torch.mul,
    rim: int = 1, leaving: int = 1, weigh_wish: bool = True, weigh_rim: bool = True,
) -> Tensor:
    """The weighted equation, dense; the switches leave out what is often forgotten."""
    s, value = s.double().flatten(1), t.double().flatten(1).clone()
    p, q = _neighbors(mask)
    weights = trust.double().flatten()
    c, both = pair(weights[p], weights[q]), mask.flatten()[q]
    A = torch.zeros(mask.numel(), mask.numel()).double()
    A.index_put_((p, p), c, accumulate=True)
    A[p[both], q[both]] = -c[both]
    wish = (s[:, p] - s[:, q]) * torch.where(both, 1, leaving)
    b = torch.zeros_like(value).index_add_(1, p, wish * (c if weigh_wish else 1))
    known = value[:, q] * (c if weigh_rim else 1)
    b.index_add_(1, p[~both], rim * known[:, ~both])
    inside = mask.flatten()
    value[:, inside] = torch.linalg.solve(A[inside][:, inside], b[:, inside].T).T
    return value.reshape(t.shape)


def suppression_checks(rng: torch.Generator) -> list[Check]:
    """Part 4: a field without what runs along another one."""
    x, y = torch.randn(2, 2, 3, 9, 12, generator=rng)
    y = y * (torch.rand(9, 12, generator=rng) < 0.7)
    mistakes = [
        Mistake("That is what runs along g; it shall go, and the rest stay: subtract it.",
                lambda x, y: x - _across(x, y)),
        Mistake("g is not of length 1, so its product is too large or too small: divide by "
                "g · g.", lambda x, y: x - (x * _joint(y)).sum(0) * _joint(y)),
        Mistake("It is divided by the length of g once; divide by g · g.",
                lambda x, y: x - (x * _joint(y)).sum(0) * _joint(y)
                / _joint(y).norm(dim=0).clamp(min=1e-9)),
        Mistake("Each channel looks at its own gradient of y: g is one arrow, summed over the "
                "channels.", lambda x, y: _across(x, y, joint=lambda y: y)),
        Mistake("What runs along g is turned round, not taken out: subtract it once.",
                lambda x, y: 2 * _across(x, y) - x),
        Mistake("Where g is not 0 everything goes; what runs across g shall stay. Sum the "
                "products over the first axis, x and y, before you multiply by g.",
                lambda x, y: x * (_joint(y).norm(dim=0) == 0)),
        Mistake("The two fields are exchanged: it is x that loses what runs along y's gradient.",
                lambda x, y: _across(y, x)),
        Mistake("The gradient of y is subtracted as it is: that is right only if the writing has "
                "just this strength. Take out what runs along it.", lambda x, y: x - y),
        Mistake("Only the direction across g is kept, in place of what runs along it: you turned "
                "g by a right angle first.", lambda x, y: _across(x, _turned(y))),
    ]
    return [Check("what runs along g goes, what runs across it stays", (x, y), _across(x, y),
                  mistakes, kind="maps")]


def _joint(y: Tensor) -> Tensor:
    return y.double().sum(1, keepdim=True)


def _turned(y: Tensor) -> Tensor:
    return torch.stack([-y[1], y[0]])


def _across(x: Tensor, y: Tensor, joint: Callable = _joint) -> Tensor:
    g = joint(y.double())
    n = F.normalize(g, dim=0, eps=1e-12)
    return x.double() - (x * n).sum(0) * n
