"""What the classical methods pay, term by term: how close to the input, and what the user asked."""

import torch

from course_lib.blending import Canvas, combine_gradients, guidance_energy
from course_lib.gradients import gradient
from course_lib.results import CLOSE_TO_INPUT, FOLDED, HANDLES, SOURCE_GRADIENTS
from course_lib.shapes import Image, Mask, Points
from course_lib.warping import deform_points

WISHES = {"source": SOURCE_GRADIENTS, "mixed": "the larger gradients",
          "average": "the average gradients"}


def clone_energies(
    image: Canvas, source: Image, target: Canvas, mask: Mask, *, offset: tuple[int, int] = (0, 0),
    gradients: str = "source",
) -> dict[str, float]:
    """What a picture made by `blending.seamless_clone` pays.

    Args:
        image: the result, or the crude `paste`, of the target's size.
        source, target, mask, offset, gradients: as given to `seamless_clone`.
    Returns:
        "close to the input", Σ (u - f)² outside Ω, which is 0 for a blended picture; and "the
        source's gradients" ("the larger gradients", "the average gradients"), Σ |∇u - v|² over
        the pairs of neighbours that touch Ω and lie in both pictures.
    """
    here, there = _overlap(source.shape[-2:], target.shape[-2:], offset)
    inside = torch.zeros(target.shape[-2:], dtype=torch.bool, device=mask.device)
    inside[there] = mask[here]
    field = combine_gradients(
        gradient(source[..., *here]), gradient(target[..., *there]), gradients)
    misfit = guidance_energy(image[..., *there], field, mask[here]) if inside.any() else 0.0
    outside = float(((image - target) * ~inside).square().sum())
    return {CLOSE_TO_INPUT: outside, WISHES[gradients]: misfit}


def paste(
    source: Image, target: Canvas, mask: Mask, *, offset: tuple[int, int] = (0, 0)
) -> Canvas:
    """Copy what `mask` selects, seam and all; the arguments are `blending.seamless_clone`'s."""
    here, there = _overlap(source.shape[-2:], target.shape[-2:], offset)
    pasted = target.clone()
    pasted[..., *there] = torch.where(mask[here], source[..., *here], target[..., *there])
    return pasted


def warp_energies(
    handles: Points, moved_handles: Points, size: tuple[int, int], *, kind: str = "rigid",
    falloff: float = 1.0, step: int = 8,
) -> dict[str, float]:
    """What a warp pays, in pixels, and how much of the plane it folds.

    Args:
        handles, moved_handles, kind, falloff: as given to `warping.deform_points`.
        size: (height, width) of the picture.
        step: pixels between the places where the map is looked at.
    Returns:
        "close to the input", how far a place travels on average; "the handles", by how much
        the farthest misses its target; "folded", the part of the picture, in %.
    """
    y, x = (torch.arange(0, length, step).to(handles) for length in size)
    places = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    options = {"kind": kind, "falloff": falloff}
    moved = deform_points(places.reshape(-1, 2), handles, moved_handles, **options)
    moved = moved.reshape(places.shape)
    right, down = moved[:-1, 1:] - moved[:-1, :-1], moved[1:, :-1] - moved[:-1, :-1]
    area = right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]
    missed = deform_points(handles, handles, moved_handles, **options) - moved_handles
    return {
        CLOSE_TO_INPUT: float((moved - places).norm(dim=-1).mean()),
        HANDLES: float(missed.norm(dim=-1).max()) if len(missed) else 0.0,
        FOLDED: 100 * float((area < 0).float().mean()) if area.numel() else 0.0,
    }


def _overlap(
    source: tuple[int, int], target: tuple[int, int], offset: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part that a source, moved by `offset` (x, y), shares with the target, in both frames."""
    here, there = [], []
    for length, room, shift in zip(source, target, offset[::-1], strict=True):
        start, stop = max(0, -shift), max(0, min(length, room - shift))
        here.append(slice(start, max(start, stop)))
        there.append(slice(start + shift, max(start, stop) + shift))
    return tuple(here), tuple(there)
