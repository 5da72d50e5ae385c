"""Where a source and its mask lie in a target that may be of another size."""

from numbers import Integral

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from course_lib.shapes import Image, Mask

Box = tuple[slice, slice]
Canvas = Float[Tensor, "*batch channels canvas_height canvas_width"]
CanvasMask = Bool[Tensor, "canvas_height canvas_width"]


def bounding_box(mask: Mask) -> Box:
    """Ω's bounding box with one pixel around it, as far as the picture goes."""
    spans = []
    bits = mask.byte()  # whose maximum is found a hundred times faster than any() of a mask
    for line, length in zip((bits.amax(1), bits.amax(0)), mask.shape, strict=True):
        where = line.nonzero()
        spans.append(slice(max(int(where[0]) - 1, 0), min(int(where[-1]) + 2, length)))
    return tuple(spans)


def place_mask(mask: Mask, target: Canvas, offset: tuple[int, int]) -> CanvasMask:
    """Ω as it lies in the target: what hangs over the target's edge is dropped.

    Raises:
        ValueError: the offset is no pair of whole numbers, or nothing of Ω lands in the target.
    """
    steps = offset if isinstance(offset, tuple | list) else ()
    if len(steps) != 2 or any(isinstance(s, bool) or not isinstance(s, Integral) for s in steps):
        raise ValueError(
            f"offset is {offset!r}, but the source lands on whole pixels: pass two integers (x, y)."
        )
    placed = torch.zeros(target.shape[-2:], dtype=torch.bool, device=mask.device)
    here, there = [], []  # what of the source's frame lands in the target, and where
    for shift, length, room in zip(offset[::-1], mask.shape, placed.shape, strict=True):
        start, stop = max(0, -shift), max(0, min(length, room - shift))
        here.append(slice(start, max(start, stop)))
        there.append(slice(start + shift, max(start, stop) + shift))
    placed[*there] = mask[*here]
    if not placed.count_nonzero():
        raise ValueError(
            f"offset {tuple(offset)} puts the whole mask outside the target, so nothing would "
            f"change: move it back, x and y in pixels of the target."
        )
    return placed


def place_source(source: Image, offset: tuple[int, int], box: Box) -> Canvas:
    """The source as it lies in the target's box, its border pixels repeated beyond it."""
    for axis, span, shift in zip((-2, -1), box, offset[::-1], strict=True):
        length = source.shape[axis]
        start, stop = span.start - shift, span.stop - shift
        if 0 <= start and stop <= length:
            source = source.narrow(axis, start, stop - start)
        else:
            index = torch.arange(start, stop, device=source.device).clamp(0, length - 1)
            source = source.index_select(axis, index)
    return source
