"""Checks of a4, what a step does and how far it may go: some layers and not others, natural codes.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.feedback.diagnosis import Check, Mistake

EPSILON = 0.1  # in Part 3: of ‖d‖², beside what the other layers read


def layer_checks(rng: torch.Generator) -> list[Check]:
    """Part 3: directions that some layers read most, for what others read."""
    sizes = torch.tensor([2.5, 1.6, 1.3, 1.0, 0.5])
    turns = [torch.linalg.qr(torch.randn(5, 5, generator=rng)).Q for _ in range(2)]
    one, two = ([torch.randn(n, 5, generator=rng) * sizes @ turn * size
                 for n, size in ((14, 1.0), (9, 4.0))] for turn in turns)
    question = one, two, EPSILON, 2
    return [Check("no unit vector changes these layers more for what it changes in those",
                  question, _layered(*question), _layer_mistakes(), 5e-3, "curve", True)]


def _layer_mistakes() -> list[Mistake]:
    def slip(**options: object) -> Callable:
        return lambda *question: _layered(*question, **options)

    return [
        Mistake("The other layers are not asked: that is SeFa, of these layers alone.",
                slip(kind="alone")),
        Mistake("The two lists are exchanged: you return what changes the *others*.",
                slip(kind="exchanged")),
        Mistake("The effects are subtracted, not divided, so a large effect may have a large side "
                "effect.", slip(kind="difference")),
        Mistake("ε is missing: where the others read nothing, the ratio would be without bound.",
                slip(kind="no epsilon")),
        Mistake("The eigenvectors are not carried back: after d = M u, return M u, not u.",
                slip(kind="not back")),
        Mistake("Your matrix is not symmetric: eigh reads half of it. Put the root of the "
                "denominator on both sides, or take eig.", slip(kind="one-sided")),
        Mistake("The directions are not of length 1 any more, once carried back.",
                slip(unit=False)),
        Mistake("The order is ascending: you return what changes these layers least.",
                slip(order="ascending")),
        Mistake("The rows are not scaled to length 1, so layers with large weights decide alone.",
                slip(scaled=None)),
        Mistake("The columns are scaled to length 1; scale the rows, one for each channel.",
                slip(scaled=0)),
        Mistake("Only the first matrix of each list is used: stack the rows of all.",
                lambda one, two, e, n: _layered(one[:1], two[:1], e, n)),
        Mistake("You return columns of the matrix of eigenvectors as rows, or the other way.",
                slip(order="columns")),
    ]


def _layered(these: list[Tensor], those: list[Tensor], epsilon: float, n: int, *, kind: str = "",
             scaled: int | None = 1, unit: bool = True, order: str = "") -> Tensor:
    """(n, dim) rows of the largest ratio; the switches are mistakes."""
    if kind == "exchanged":
        these, those = those, these
    A, B = (torch.cat(each).double() for each in (these, those))
    if scaled is not None:
        A, B = (F.normalize(each, dim=scaled) for each in (A, B))
    above, below = A.T @ A, B.T @ B
    if kind != "no epsilon":
        below = below + epsilon * torch.eye(len(below)).double()
    if kind == "alone":
        below = torch.eye(len(below)).double()
    if kind == "difference":
        rows = torch.linalg.eigh(above - below).eigenvectors.T
    elif kind == "one-sided":
        rows = torch.linalg.eigh(torch.linalg.solve(below, above)).eigenvectors.T
    else:
        root = torch.linalg.inv(torch.linalg.cholesky(below))
        rows = torch.linalg.eigh(root @ above @ root.T).eigenvectors.T
        rows = rows if kind == "not back" else rows @ root
    rows = F.normalize(rows, dim=1) if unit else rows
    if order == "columns":
        return rows.flip(0).T[:n]
    return rows[:n] if order == "ascending" else rows.flip(0)[:n]


def move_checks(rng: torch.Generator) -> list[Check]:
    """Part 4: as far as codes stay natural."""
    mean, std = torch.randn(6, 5, generator=rng), 0.5 + torch.rand(6, 5, generator=rng)
    away = torch.randn(3, 6, 5, generator=rng)
    length = torch.tensor([0.5, 0.8, 1.6])[:, None, None]
    away = length * away / away.square().mean((1, 2), keepdim=True).sqrt()
    codes, v = mean + std * away, torch.randn(5, generator=rng)
    rows = [1, 3, 4]
    laws = [("each code goes until its strangeness is the limit", codes[:2], 1.2),
            ("who is stranger already stays", codes, 1.1)]
    return [Check(law, (x, mean, std, v, rows, limit), _moved(x, mean, std, v, rows, limit),
                  _move_mistakes(), 2e-3, "curve") for law, x, limit in laws]


def _move_mistakes() -> list[Mistake]:
    def slip(**options: object) -> Callable:
        return lambda *question: _moved(*question, **options)

    return [
        Mistake("All rows move; only those in rows should.", slip(take="all")),
        Mistake("The other rows move: those in rows should.", slip(take="others")),
        Mistake("The rows are counted from 1: row 0 is the first.", slip(take="from 1")),
        Mistake("The smaller root is taken, which goes against the direction.", slip(root=-1)),
        Mistake("Strangeness is not measured in deviations: divide by std.",
                slip(measure="plain")),
        Mistake("Strangeness is measured from 0; measure it from the mean.",
                slip(measure="from 0")),
        Mistake("The squares are summed; strangeness takes the root of their mean, over all "
                "numbers of a code.", slip(measure="sum")),
        Mistake("Only the rows that move are measured: strangeness is that of the whole code.",
                slip(measure="moved rows")),
        Mistake("All codes take one step length: each has its own.", slip(common=True)),
        Mistake("Who is stranger than the limit is moved back, or nowhere: such codes stay.",
                slip(beyond=True)),
        Mistake("The step is the whole limit, wherever the code was: it has gone part of the way "
                "already.", slip(whole=True)),
        Mistake("That is how far to go, not the codes that have gone there.",
                slip(answer="lengths")),
    ]


def _moved(
    codes: Tensor, mean: Tensor, std: Tensor, direction: Tensor, rows: list[int], limit: float, *,
    take: str = "", root: int = 1, measure: str = "", common: bool = False, beyond: bool = False,
    whole: bool = False, answer: str = "",
) -> Tensor:
    """The codes that have gone as far as they may; the switches are mistakes."""
    codes, mean, std = codes.double(), mean.double(), std.double()
    rows = {"all": list(range(codes.shape[1])), "from 1": [row - 1 for row in rows],
            "others": [row for row in range(codes.shape[1]) if row not in rows]}.get(take, rows)
    way = torch.zeros_like(mean)
    way[rows] = direction.double()
    units = 1 if measure == "plain" else std
    now, step = (codes - (0 if measure == "from 0" else mean)) / units, way / units
    if measure == "moved rows":
        now, step = now[:, rows], step[rows]
    count = 1 if measure == "sum" else step.numel()
    a, b = step.square().sum(), (now * step).sum((1, 2))
    c = now.square().sum((1, 2)) - count * limit**2
    if whole:
        b, c = 0 * b, 0 * c - count * limit**2
    s = (-b + root * (b * b - a * c).clamp(min=0).sqrt()) / a
    s = s if beyond else torch.where(c < 0, s, 0)
    s = s.amin().expand(len(s)) if common else s
    return s if answer == "lengths" else codes + s[:, None, None] * way


def natural_checks(rng: torch.Generator) -> list[Check]:
    """Part 5: the least strange step that changes one score and leaves others."""
    turn = torch.linalg.qr(torch.randn(6, 6, generator=rng)).Q
    codes = torch.randn(600, 6, generator=rng) * torch.tensor([3, 2, 1.5, 1, 0.7, 0.4]) @ turn + 2
    slopes = F.normalize(torch.randn(3, 6, generator=rng), dim=1) * torch.tensor([[2], [1], [0.5]])
    laws = [("with nothing to keep, the first score grows by 1 at the least strangeness",
             slopes[:1]),
            ("the first score grows by 1, the others stay, and no such step is less strange",
             slopes)]
    return [Check(law, (codes, few), _natural(codes, few), _natural_mistakes(), 2e-3, "curve")
            for law, few in laws]


def _natural_mistakes() -> list[Mistake]:
    def slip(**options: object) -> Callable:
        return lambda *question: _natural(*question, **options)

    return [
        Mistake("That is the shortest step, not the least strange one: where codes vary much a "
                "step costs little, so measure by their covariance.", slip(kind="shortest")),
        Mistake("C stands where its inverse should, or the other way: such a step seeks where "
                "codes never are.", slip(kind="inverse")),
        Mistake("The deviations of single numbers are used; numbers of a code go together, so "
                "take the whole covariance.", slip(kind="diagonal")),
        Mistake("The codes are not centred before their covariance is taken.",
                slip(kind="uncentred")),
        Mistake("The roots of the covariance's variances weigh; it weighs itself.",
                slip(kind="root")),
        Mistake("The other scores are not held: ask that their slopes times the step be 0.",
                slip(kind="free")),
        Mistake("Each of the others is taken out by itself, after the other: solve for all at "
                "once, since they lean on each other.", slip(kind="one by one")),
        Mistake("The step is of length 1; it should change the first score by 1.",
                slip(size="unit")),
        Mistake("The size is not right: scale the step so that the first score grows by 1.",
                slip(size="unsolved")),
        Mistake("All scores grow by 1; only the first should.", slip(kind="all")),
        Mistake("The last score grows, and not the first.", slip(kind="last")),
        Mistake("The step points the other way.", lambda *question: -_natural(*question)),
    ]


def _natural(codes: Tensor, slopes: Tensor, *, kind: str = "", size: str = "") -> Tensor:
    """The step, (dim,); the switches are mistakes."""
    x, B = codes.double(), slopes.double()
    x = x if kind == "uncentred" else x - x.mean(0)
    C = x.T @ x / (len(x) - 1)
    if kind == "root":
        values, vectors = torch.linalg.eigh(C)
        C = vectors * values.sqrt() @ vectors.T
    C = {"shortest": torch.eye(len(C)).double(), "inverse": torch.linalg.inv(C),
         "diagonal": C.diagonal().diag()}.get(kind, C)
    if kind == "free":
        B = B[:1]
    wish = torch.ones(len(B)).double() if kind == "all" else torch.eye(len(B)).double()[
        -1 if kind == "last" else 0]
    inner = B @ C @ B.T
    step = C @ B.T @ (wish if size == "unsolved" else torch.linalg.solve(inner, wish))
    if kind == "one by one":
        step = C @ B[0]
        for other in B[1:]:
            step = step - (other @ step) / (other @ C @ other) * (C @ other)
        step = step / (B[0] @ step)
    return F.normalize(step, dim=0) if size == "unit" else step
