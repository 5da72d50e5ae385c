"""Poisson image editing: change a picture's gradients inside a region, keep what is outside.

Source: Pérez, Gangnet, Blake, "Poisson Image Editing", SIGGRAPH 2003; its equations are
cited as "eq.". None of these functions is differentiable by autograd.
"""

from dataclasses import replace
from numbers import Integral
from typing import Literal

import torch
from jaxtyping import Bool, Float
from skimage.feature import canny
from torch import Tensor

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
from course_lib.gradients import divergence, gradient
from course_lib.results import Callback, Solution
from course_lib.shapes import Image, Mask, VectorField
from course_lib.solvers import Multigrid, conjugate_gradient, solve_screened

Box = tuple[slice, slice]
Canvas = Float[Tensor, "*batch channels canvas_height canvas_width"]
CanvasMask = Bool[Tensor, "canvas_height canvas_width"]
CanvasField = Float[Tensor, "*batch 2 channels canvas_height canvas_width"]
TOL = 1 / 1536


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
        max_steps: give up after so many steps; 5 to 7 are usual at every size.
        callback: called at each step with its number and the current picture.
    Returns:
        `value` is the picture, unclamped; `residuals` the estimates of what is missing.
    Raises:
        ValueError: Ω is empty or is the whole picture, or the sizes do not match.
    """
    require_image(target, "target", solvable=True)
    require_field(guidance_field, target, ("guidance_field", "target"))
    _require_solvable(mask, target, tol, max_steps, callback)
    box = _bounding_box(mask)
    return _fill(target, guidance_field[..., *box], mask, box, tol, max_steps, callback)


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
            each pair of neighbours and channel (eq. 12), which keeps the target's texture where
            the source is flat; or their "average".
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
    placed_mask = _place_mask(mask, target, offset)
    _require_solvable(placed_mask, target, tol, max_steps, callback)
    box = _bounding_box(placed_mask)
    field = gradient(_place_source(source, offset, box))
    if gradients != "source":
        other = gradient(target[..., *box])
        if gradients == "mixed":
            field = torch.where(field.abs() > other.abs(), field, other)
        else:
            field = (field + other) / 2
    return _fill(target, field, placed_mask, box, tol, max_steps, callback)


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


@torch.no_grad()
def flatten_texture(
    image: Image,
    mask: Mask,
    *,
    low: float = 0.1,
    high: float = 0.2,
    tol: float = TOL,
    max_steps: int = 200,
    callback: Callback | None = None,
) -> Solution:
    """Wash out texture in Ω and keep its edges: v = ∇f on edge pixels, 0 elsewhere (eq. 14).

    Args:
        image: f, one picture.
        mask: Ω.
        low, high: Canny's thresholds on the gradient of the grey picture, in intensity a pixel;
            higher ones keep fewer edges.
        tol, max_steps, callback: as in `blend_poisson`.
    """
    require_image(image, solvable=True)
    require_number(low, "low", least=0)
    require_number(high, "high", least=low)
    if image.ndim != 3:
        raise ValueError(
            f"image has shape {tuple(image.shape)}, but edges are found in one picture at a time: "
            f"pass (channels, height, width)."
        )
    _require_solvable(mask, image, tol, max_steps, callback)
    gray = image.mean(0).detach().cpu().numpy()
    edges = torch.from_numpy(canny(gray, 1.0, low, high)).to(image.device)
    field = gradient(image)
    field[0, ..., :-1] *= edges[:, :-1] | edges[:, 1:]
    field[1, ..., :-1, :] *= edges[:-1, :] | edges[1:, :]
    return blend_poisson(image, field, mask, tol=tol, max_steps=max_steps, callback=callback)


@torch.no_grad()
def change_illumination(
    image: Image,
    mask: Mask,
    *,
    alpha: float = 0.2,
    beta: float = 0.2,
    tol: float = TOL,
    max_steps: int = 200,
    callback: Callback | None = None,
) -> Solution:
    """Even out the light in Ω: shadows open, highlights calm down (eq. 16).

    In the logarithm f of the picture, v = a^β |∇f|^-β ∇f with a = α · mean |∇f| over Ω:
    gradients above a shrink, those below grow.

    Args:
        image: intensities in [0, 1]; black is lifted to 1/255 for the logarithm.
        mask: Ω.
        alpha: α, which gradients stay as they are, as a part of the mean.
        beta: β, how strongly the others are compressed: 0 is the identity.
        tol, max_steps, callback: as in `blend_poisson`; the callback sees the logarithm.
    """
    require_image(image, solvable=True)
    require_number(alpha, "alpha", above=0)
    require_number(beta, "beta", least=0, most=1)
    _require_solvable(mask, image, tol, max_steps, callback)
    log = image.clamp_min(1 / 255).log()
    field = gradient(log)
    size = field.square().sum(-4, keepdim=True).sqrt()
    scale = alpha * size[..., mask].mean(-1)[..., None, None]
    field = field * (scale / size.clamp_min(1e-6)) ** beta
    solution = blend_poisson(log, field, mask, tol=tol, max_steps=max_steps, callback=callback)
    return replace(solution, value=torch.where(mask, solution.value.exp(), image))


@torch.no_grad()
def recolor(
    image: Image,
    mask: Mask,
    *,
    gains: tuple[float, ...] = (1.5, 0.5, 0.5),
    tol: float = TOL,
    max_steps: int = 200,
    callback: Callback | None = None,
) -> Solution:
    """Change colours in Ω by a factor a channel, seamlessly (section 4, local colour changes).

    Args:
        image: intensities in [0, 1].
        mask: Ω, roughly around the object; it need not follow its outline.
        gains: what each channel's gradients are multiplied with, one number a channel.
        tol, max_steps, callback: as in `blend_poisson`.
    """
    require_image(image, solvable=True)
    if not isinstance(gains, tuple | list) or len(gains) != image.shape[-3]:
        raise ValueError(
            f"gains is {gains!r}, but the picture has {image.shape[-3]} channels, each with a "
            f"factor of its own: pass a tuple of {image.shape[-3]} numbers."
        )
    for gain in gains:
        require_number(gain, "a gain", least=0)
    factors = image.new_tensor(gains)[:, None, None]
    return seamless_clone(
        image * factors, image, mask, tol=tol, max_steps=max_steps, callback=callback
    )


@torch.no_grad()
def tile_seamlessly(
    image: Image, *, tol: float = TOL, max_steps: int = 200, callback: Callback | None = None
) -> Solution:
    """Make a picture whose copies tile the plane without seams (section 4, seamless tiling).

    Opposite borders both become their mean, the gradients inside stay the picture's.

    Args:
        image: at least 3x3 pixels.
        tol, max_steps, callback: as in `blend_poisson`.
    """
    require_image(image, solvable=True)
    if min(image.shape[-2:]) < 3:
        raise ValueError(
            f"image is {image.shape[-1]}x{image.shape[-2]} pixels, so nothing lies between its "
            f"borders: pass a picture of at least 3x3."
        )
    target = image.detach().clone()
    target[..., :, [0, -1]] = (image[..., :, :1] + image[..., :, -1:]) / 2
    target[..., [0, -1], :] = (target[..., :1, :] + target[..., -1:, :]) / 2
    inside = torch.zeros(image.shape[-2:], dtype=torch.bool, device=image.device)
    inside[1:-1, 1:-1] = True
    return blend_poisson(
        target, gradient(image), inside, tol=tol, max_steps=max_steps, callback=callback
    )


@torch.no_grad()
def color_to_gray(image: Image, *, closeness: float = 0.01) -> Solution:
    """Turn colour into grey, keeping contrasts that the mean of the channels would lose.

    Minimises Σ |∇g - v|² + λ Σ (g - m)², with m the mean of the channels and v the difference of
    largest size among them for each pair of neighbours: close to the input, satisfy the
    constraint. Solved directly, by FFT.

    Args:
        image: intensities, two channels or more.
        closeness: λ, from 1e-6 to 1e6: larger stays closer to the mean of the channels.
    Returns:
        `value` has one channel, unclamped; `energies` both terms.
    """
    require_image(image, solvable=True)
    require_number(closeness, "closeness", least=1e-6, most=1e6)
    if image.shape[-3] < 2:
        raise ValueError(
            "image has one channel, so it is grey already: pass a colour picture."
        )
    mean = image.mean(-3, keepdim=True)
    field = gradient(image)
    largest = field.abs().argmax(-3, keepdim=True)
    field = field.gather(-3, largest)
    change = solve_screened(divergence(gradient(mean) - field), closeness)
    # Its mean is 0, as no gradient asks for any other; a small λ would blow rounding up to one.
    gray = mean + change - change.mean((-2, -1), keepdim=True)
    terms = {
        "close to the input": closeness * (gray - mean).square().sum()[None],
        "gradients": (gradient(gray) - field).square().sum()[None],
    }
    residual = divergence(gradient(gray) - field) - closeness * (gray - mean)
    return Solution(gray, residual.abs().max()[None], True, terms)


def _fill(
    target: Image, field: CanvasField, mask: Mask, box: Box, tol: float, max_steps: int,
    callback: Callback | None,
) -> Solution:
    """Solve inside `box`, which is where `field` lies; no pixel of Ω is at its rim, but at
    the picture's border, so that the box's missing neighbours are the picture's."""
    part, inside = target[..., *box], mask[box]
    shape = part.shape
    b = _excess_divergence(part, field).mul_(inside).reshape(-1, *shape[-2:])
    multigrid = Multigrid(inside, pictures=b.shape[0], dtype=b.dtype)

    def compose(correction: Tensor) -> Image:
        value = target.clone()
        value[..., *box] = torch.where(inside, part + correction.reshape(shape), part)
        return value

    solution = conjugate_gradient(
        multigrid.operator,
        b,
        precondition=multigrid.precondition,
        tol=tol,
        max_steps=max_steps,
        callback=callback and (lambda step, correction: callback(step, compose(correction))),
    )
    return replace(solution, value=compose(solution.value))


def _excess_divergence(image: Image, field: VectorField) -> Image:
    """div (∇f - v), without ever holding the whole of ∇f."""
    b = torch.zeros_like(image)
    vx, vy = field.unbind(-4)
    dx = image[..., :, 1:] - image[..., :, :-1] - vx[..., :, :-1]
    b[..., :, :-1].add_(dx)
    b[..., :, 1:].sub_(dx)
    dy = image[..., 1:, :] - image[..., :-1, :] - vy[..., :-1, :]
    b[..., :-1, :].add_(dy)
    b[..., 1:, :].sub_(dy)
    return b


def _bounding_box(mask: Mask) -> Box:
    """Ω's bounding box with one pixel around it, as far as the picture goes."""
    spans = []
    bits = mask.byte()  # whose maximum is found a hundred times faster than any() of a mask
    for line, length in zip((bits.amax(1), bits.amax(0)), mask.shape, strict=True):
        where = line.nonzero()
        spans.append(slice(max(int(where[0]) - 1, 0), min(int(where[-1]) + 2, length)))
    return tuple(spans)


def _place_mask(mask: Mask, target: Canvas, offset: tuple[int, int]) -> CanvasMask:
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


def _place_source(source: Image, offset: tuple[int, int], box: Box) -> Canvas:
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


def _require_solvable(
    mask: Mask, image: Image, tol: float, max_steps: int, callback: Callback | None
) -> None:
    require_region(mask, image.shape[-2:])
    require_same_device(image, mask, ("the picture", "mask"))
    require_number(tol, "tol", above=0)
    require_count(max_steps, "max_steps")
    require_callback(callback)
