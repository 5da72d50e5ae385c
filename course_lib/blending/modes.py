"""Edits within one picture: its own gradients, changed.

Source: Pérez, Gangnet, Blake, "Poisson Image Editing", SIGGRAPH 2003; its equations are
cited as "eq.".
"""

from dataclasses import replace

import torch

from course_lib.blending.poisson import TOL, blend_poisson, require_solvable, seamless_clone
from course_lib.checks import require_image, require_number
from course_lib.gradients import divergence, gradient
from course_lib.results import CLOSE_TO_INPUT, GRADIENTS, Callback, Solution
from course_lib.shapes import Image, Mask
from course_lib.solvers import solve_screened


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
    require_solvable(mask, image, tol, max_steps, callback)
    gray = image.mean(0).detach().cpu().numpy()
    from skimage.feature import canny  # here, as it brings scipy: 17 MB

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
    require_solvable(mask, image, tol, max_steps, callback)
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
        CLOSE_TO_INPUT: closeness * (gray - mean).square().sum()[None],
        GRADIENTS: (gradient(gray) - field).square().sum()[None],
    }
    residual = divergence(gradient(gray) - field) - closeness * (gray - mean)
    return Solution(gray, residual.abs().max()[None], True, terms)
