"""Checks of line segments as handles (a2): how heavily one weighs at a place."""

import torch
from torch import Tensor

from course_lib.feedback.diagnosis import Check, Mistake


def segment_checks(rng: torch.Generator) -> list[Check]:
    """Part E1: the weight of a line segment."""
    segments, places = (10 * torch.rand(*shape, 2, generator=rng) for shape in ((4, 2), (60,)))
    places = places[_distance(places, segments).amin(1) > 0.4][:7]  # on a line it has no limit
    mistakes = [
        Mistake("That is the angle under which the place sees the segment: divide it by the "
                "distance to the segment's line.",
                lambda v, ends: _seen(v, ends) * _distance(v, ends)),
        Mistake("The angle is divided by the squared distance to the line; divide once.",
                lambda v, ends: _seen(v, ends) / _distance(v, ends)),
        Mistake("The angle is divided by the distance to an end or the middle; it is the distance "
                "to the line.", lambda v, ends: _seen(v, ends) * _distance(v, ends)
                / (v[:, None] - ends.mean(1)).norm(dim=-1)),
        Mistake("The segment's length is missing: |p'(t)| is its length.",
                lambda v, ends: _seen(v, ends) / (ends[:, 1] - ends[:, 0]).norm(dim=-1)),
        Mistake("Only the two ends count, as points: integrate between them.",
                lambda v, ends: ((v[:, None, None] - ends).norm(dim=-1) ** -2).sum(-1)),
        Mistake("Only the middle counts, times the length: integrate along the segment.",
                lambda v, ends: (ends[:, 1] - ends[:, 0]).norm(dim=-1)
                / (v[:, None] - ends.mean(1)).norm(dim=-1) ** 2),
        Mistake("Places on one side of a segment get a negative weight: take the distance "
                "without its sign.", lambda v, ends: _seen(v, ends) * _side(v, ends)),
    ]
    return [Check("a segment's weight is the integral over its points", (places, segments),
                  _seen(places, segments), mistakes, kind="curve")]


def _frame(v: Tensor, ends: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Along the line, counted from v's foot: both ends; and v's signed distance to it."""
    start, end = ends.double().unbind(1)
    along = (end - start) / (end - start).norm(dim=-1, keepdim=True)
    to_start, to_end = start - v.double()[:, None], end - v.double()[:, None]
    cross = along[:, 0] * to_start[..., 1] - along[:, 1] * to_start[..., 0]
    return (to_start * along).sum(-1), (to_end * along).sum(-1), cross


def _distance(v: Tensor, ends: Tensor) -> Tensor:
    return _frame(v, ends)[2].abs()


def _side(v: Tensor, ends: Tensor) -> Tensor:
    return _frame(v, ends)[2].sign()


def _seen(v: Tensor, ends: Tensor) -> Tensor:
    first, last, _ = _frame(v, ends)
    distance = _distance(v, ends)
    return (torch.atan2(last, distance) - torch.atan2(first, distance)) / distance
