"""From marks on a canvas to constraints on a picture."""

from collections.abc import Sequence
from dataclasses import replace

import PIL.ImageColor
import torch
from torch import Tensor

from course_lib.guidance import (
    ColorStroke,
    Constraint,
    Drag,
    Editing,
    SketchStroke,
    WarpStroke,
)
from course_lib.shapes import Image, Points
from course_lib.widgets.canvas import Pair, Place, Stroke, paint

DOUBT = 3.0  # pixels that tracker and search, which counts whole ones, may differ by


def wishes(
    strokes: Sequence[Stroke], pairs: Sequence[Pair], resolution: int, *,
    painted_at: int | None = None,
) -> list[Constraint]:
    """What was painted, as constraints on pictures (3, resolution, resolution).

    One a colour, one for all sketched lines, one for all warps, one for all drags.

    Args:
        painted_at: pixels along a side of the picture that was painted on, if not `resolution`.
    """
    if painted_at is not None:
        share = resolution / painted_at
        strokes, pairs = ([_resized(mark, share) for mark in marks] for marks in (strokes, pairs))

    def inked(kind: str) -> tuple[Image, Tensor]:
        return paint([s for s in strokes if s.erases or s.kind == kind], (resolution, resolution))

    found: list[Constraint] = []
    shades, ink = inked("color")
    for name in dict.fromkeys(s.color for s in strokes if s.kind == "color" and not s.erases):
        color = tuple(value / 255 for value in PIL.ImageColor.getrgb(name)[:3])
        mask = ink & (shades == torch.tensor(color)[:, None, None]).all(dim=0)
        if mask.any():
            found.append(ColorStroke(mask, color))
    lines, held = inked("sketch")[1], inked("hold")[1]
    if lines.any():
        found.append(SketchStroke(lines, weight=0.2))
    warps, drags = ([p for p in pairs if p.kind == kind and p.start != p.end]
                    for kind in ("warp", "drag"))
    if warps:
        found.append(WarpStroke(*_ends(warps), radius=max(pair.width for pair in warps)))
    if drags:
        found.append(Drag(*_ends(drags), fixed=held if held.any() else None))
    return found


def told_drags(editing: Editing, start: int = 0) -> str:
    """How far a start's drags got, in pixels of G's picture, by the tracker, and by the search
    where it says otherwise; nothing where nothing is dragged.
    """
    missed = editing.drags_missed(start)
    if missed is None:
        return ""
    tracked, searched, whole = (f"{missed[name]:.1f}" for name in ("tracked", "searched", "whole"))
    if abs(missed["tracked"] - missed["searched"]) < DOUBT:
        return f"dragged: {tracked} of {whole} pixels are missing"
    return (f"dragged: {tracked} of {whole} pixels are missing, says the tracker; but what looks "
            f"most like it nearby lies {searched} pixels from the target: look for yourself")


def _resized(mark: Stroke | Pair, share: float) -> Stroke | Pair:
    """The mark on a picture of another size."""
    def place(old: Place) -> Place:
        return tuple((value + 0.5) * share - 0.5 for value in old)

    if isinstance(mark, Stroke):
        return replace(mark, points=tuple(map(place, mark.points)), width=mark.width * share)
    return replace(mark, start=place(mark.start), end=place(mark.end), width=mark.width * share)


def _ends(pairs: Sequence[Pair]) -> tuple[Points, Points]:
    """Where handles were set and where they are to go, (count, 2) each."""
    return tuple(torch.tensor([getattr(pair, end) for pair in pairs], dtype=torch.float32)
                 for end in ("start", "end"))
