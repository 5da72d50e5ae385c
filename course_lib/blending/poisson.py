"""The Poisson equation of a blend, and cloning by it.

Source: Pérez, Gangnet, Blake, "Poisson Image Editing", SIGGRAPH 2003; its equations are
cited as "eq.".
"""

from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.blending.placing import (
    Box,
    Canvas,
    bounding_box,
    place_mask,
    place_source,
)
from course_lib.checks import (
    require_callback,
    require_count,
    require_field,
    require_image,
    require_mask,
    require_number,
    require_option,
    require_region,
    require_same_device,
)
from course_lib.gradients import gradient
from course_lib.results import Callback, Solution
from course_lib.shapes import Image, Mask, VectorField
from course_lib.solvers import Multigrid

CanvasField = Float[Tensor, "*batch 2 channels canvas_height canvas_width"]
TOL = 1 / 1536
LONG = 20_000  # length² by width of strips along which float32 adds up to errors that are seen
TIE = 1e-6  # bytes over 255 differ by multiples of 0.004 up to rounding, words by 1.5e-5


@torch.no_grad()
def blend_poisson(
    target: Image,
    guidance_field: VectorField,
    mask: Mask,
    *,
    tol: float = TOL,
    max_steps: int = 200,
    callback: Callback | None = None,
) -> Solution:
    """Fill `mask` so that its gradients follow `guidance_field`.

    Minimises Σ |∇u - v|² over the pairs of neighbours that touch Ω = `mask`, with u = `target`
    outside Ω (Dirichlet boundary; at the picture's border the missing neighbours are dropped).
    The minimum solves Δu = div v on Ω: eq. 2 and 7. Solved for the correction to the target,
    by conjugate gradients with one multigrid cycle as the preconditioner.

    Args:
        target: intensities, usually in [0, 1].
        guidance_field: v, forward differences (x, then y), in intensity per pixel.
        mask: Ω, of any shape; pixels outside it come back bit for bit.
        tol: stop once at most this is missing in any pixel, in intensity, as far as the last
            steps tell. The default leaves every pixel within 1/512 of the exact minimum.
        max_steps: give up after so many steps; 3 to 5 are usual at every size.
        callback: called at each step with its number and the current picture.
    Returns:
        `value` is the picture, unclamped; `residuals` the estimates of what is missing.
    Raises:
        ValueError: Ω is empty or is the whole picture, or the sizes do not match.
    """
    require_image(target, "target", solvable=True)
    require_field(guidance_field, target, ("guidance_field", "target"))
    require_solvable(mask, target, tol, max_steps, callback)
    box = bounding_box(mask)
    field = guidance_field[..., *box]
    return _fill(target, mask, box, tol, max_steps, callback, field=field)


@torch.no_grad()
def seamless_clone(
    source: Image,
    target: Canvas,
    mask: Mask,
    *,
    offset: tuple[int, int] = (0, 0),
    gradients: Literal["source", "mixed", "average"] = "source",
    tol: float = TOL,
    max_steps: int = 200,
    callback: Callback | None = None,
) -> Solution:
    """Copy what `mask` selects in `source` into `target`, without a visible seam.

    Args:
        source: intensities; may be larger or smaller than the target.
        target: intensities, with the source's channels (and batch).
        mask: Ω in the source's frame. What hangs over the target's edge is dropped.
        offset: (x, y), in whole pixels of the target, where the source's top left corner lands.
        gradients: "source" (eq. 10); "mixed", of source and target the larger difference in
            each pair of neighbours and channel (eq. 12; the source's of equal ones), which keeps
            the target's texture where the source is flat; or their "average".
        tol, max_steps, callback: as in `blend_poisson`.
    Returns:
        `value` is the target's size, unclamped.
    Raises:
        ValueError: no pixel of Ω lands in the target, Ω covers it all, or sizes do not match.
    """
    require_image(source, "source", solvable=True)
    require_image(target, "target", solvable=True)
    require_option(gradients, ("source", "mixed", "average"), "gradients")
    require_same_device(source, target, ("source", "target"))
    if source.shape[:-2] != target.shape[:-2]:
        raise ValueError(
            f"source has batch and channels {tuple(source.shape[:-2])} and target "
            f"{tuple(target.shape[:-2])}, so no pixel of one fits the other: make them equal."
        )
    require_mask(mask, source.shape[-2:])
    placed_mask = place_mask(mask, target, offset)
    require_solvable(placed_mask, target, tol, max_steps, callback)
    box = bounding_box(placed_mask)
    source = place_source(source, offset, box)
    if gradients == "source":
        return _fill(target, placed_mask, box, tol, max_steps, callback, source=source)
    field = combine_gradients(gradient(source), gradient(target[..., *box]), gradients)
    return _fill(target, placed_mask, box, tol, max_steps, callback, field=field)


def combine_gradients(
    source: VectorField, target: VectorField, gradients: Literal["source", "mixed", "average"]
) -> VectorField:
    """The guidance field that `seamless_clone` makes of the source's and the target's gradients."""
    if gradients == "mixed":
        return torch.where(target.abs() > source.abs() + TIE, target, source)
    return source if gradients == "source" else (source + target) / 2


def guidance_energy(image: Image, guidance_field: VectorField, mask: Mask) -> float:
    """Σ |∇u - v|² over the pairs of neighbours that touch Ω: what `blend_poisson` minimises."""
    require_image(image)
    require_field(guidance_field, image, ("guidance_field", "image"))
    require_mask(mask, image.shape[-2:])
    require_same_device(image, mask, ("image", "mask"))
    near = torch.zeros(2, *mask.shape, dtype=torch.bool, device=mask.device)
    near[0, :, :-1] = mask[:, 1:] | mask[:, :-1]
    near[1, :-1, :] = mask[1:, :] | mask[:-1, :]
    return float((gradient(image) - guidance_field).square().mul(near[:, None]).sum())


def _fill(
    target: Image, mask: Mask, box: Box, tol: float, max_steps: int, callback: Callback | None,
    *, field: CanvasField | None = None, source: Canvas | None = None,
) -> Solution:
    """Solve inside `box`, which is where `field` or `source` lies; no pixel of Ω is at its rim, but
    at the picture's border, so that the box's missing neighbours are the picture's.

    Where the field is a source's gradient, the source is subtracted instead: no field is made.
    """
    part, inside = target[..., *box], mask[box]
    shape, dtype = part.shape, part.dtype
    if max(inside.shape) ** 2 > LONG * min(inside.shape) and part.device.type != "mps":
        dtype = torch.float64
    if field is None:
        b = _excess_divergence(part.to(dtype) - source.to(dtype))
    else:
        b = _excess_divergence(part.to(dtype), field.to(dtype))
    b = b.mul_(inside).reshape(-1, *shape[-2:])
    multigrid = Multigrid(inside, pictures=b.shape[0], dtype=b.dtype)

    def compose(correction: Tensor) -> Image:
        value = target.clone()
        correction = correction.reshape(shape).to(part.dtype)
        value[..., *box] = torch.where(inside, part + correction, part)
        return value

    solution = multigrid.solve(
        b,
        tol=tol,
        max_steps=max_steps,
        callback=callback and (lambda step, correction: callback(step, compose(correction))),
    )
    return replace(solution, value=compose(solution.value))


def _excess_divergence(image: Image, field: VectorField | None = None) -> Image:
    """div (∇f - v), without ever holding the whole of ∇f; v = 0 if None."""
    b = torch.zeros_like(image)
    dx = image[..., :, 1:] - image[..., :, :-1]
    dy = image[..., 1:, :] - image[..., :-1, :]
    if field is not None:
        vx, vy = field.unbind(-4)
        dx -= vx[..., :, :-1]
        dy -= vy[..., :-1, :]
    b[..., :, :-1].add_(dx)
    b[..., :, 1:].sub_(dx)
    b[..., :-1, :].add_(dy)
    b[..., 1:, :].sub_(dy)
    return b


def require_solvable(
    mask: Mask, image: Image, tol: float, max_steps: int, callback: Callback | None
) -> None:
    """Raise a `ValueError` unless Ω and the solver's options make sense for `image`."""
    require_region(mask, image.shape[-2:])
    require_same_device(image, mask, ("the picture", "mask"))
    require_number(tol, "tol", above=0)
    require_count(max_steps, "max_steps")
    require_callback(callback)
