"""L0 smoothing: remove weak detail, keep and sharpen the main edges.

The picture S minimises Σ (S - I)² + λ C(S), where C counts the pixels whose gradient
is not zero. Half-quadratic splitting gives the gradient a free copy (h, v), pulled
towards ∇S by a weight β that grows: min Σ (S - I)² + λ C(h, v) + β ‖∇S - (h, v)‖².
For fixed S the best (h, v) is a threshold, for fixed (h, v) the best S is a linear
solve that the Fourier transform makes diagonal.

Source: Xu, Lu, Xu, Jia, "Image Smoothing via L0 Gradient Minimization",
SIGGRAPH Asia 2011, algorithm 1.
"""

import warnings
from dataclasses import replace
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import mse_loss

from course_lib.checks import require_callback, require_image, require_number
from course_lib.gradients import gradient
from course_lib.results import CLOSE_TO_INPUT, GRADIENTS, Callback, Solution, should_stop
from course_lib.shapes import Image

AGREEMENT = 1e-2  # ∇S and (h, v) differ by at most 1% of the input's gradient: none to see
FAR = 10  # from [0, 1], where λ and β are at home
TILE_BYTES = 1 << 22  # on a CPU, tiles that stay in its cache make the loop twice as fast


@torch.no_grad()
def smooth_l0(
    image: Image,
    *,
    smoothness: float = 0.02,
    beta_growth: float = 2.0,
    beta_max: float = 1e5,
    callback: Callback | None = None,
) -> Solution:
    """Flatten weak detail and keep the strongest edges, judged jointly over the channels.

    Source: Xu et al., 2011, algorithm 1, with β from 2λ in factors of κ. The border is
    periodic: the last column's right neighbour is the first column.

    Args:
        image: intensities in [0, 1] (of others it warns); the pictures of a batch are smoothed
            one by one.
        smoothness: λ, the price of one pixel with a gradient; larger leaves fewer edges,
            useful from 0.001 to 0.1. 0 returns the image.
        beta_growth: κ, the factor from one β to the next. 2 is the paper's (22 steps at
            λ = 0.02); 8 takes 8 steps, a preview for moving sliders; 1.05 is the most careful.
        beta_max: the last β stays below it.
        callback: called as callback(step, picture) after each step; it may raise `StopIteration`
            to end with what was found until then.
    Returns:
        `value` is S. `energies` has, after each step and summed over a batch, "close to the
        input", Σ (S - I)², and "gradients", λ C(h, v): (h, v) has exact zeros, S itself only
        nearly. `residuals` are ‖∇S - (h, v)‖ / ‖∇I‖, for the S and the (h, v) that each
        step's linear solve starts from; `converged` says that the last one is at most 0.01.
    Raises:
        ValueError: the image is no picture of float32 or float64, or an option is out of range.
    """
    _check(image, smoothness, beta_growth, beta_max, callback)
    if smoothness == 0:
        return Solution(image.clone(), image.new_zeros(0), True, _terms(image, []))
    splitting, smoothness = _Splitting(image), float(smoothness)
    steps, residuals, beta = [], [], 2 * smoothness
    while beta < beta_max:
        kept, residual = splitting.shrink_gradients(smoothness, beta)
        closeness = splitting.fit_picture(beta)
        steps.append((closeness, smoothness * kept))
        residuals.append(residual)
        now = splitting.picture.reshape(image.shape)
        if should_stop(callback, len(steps) - 1, now.clone() if callback else now):
            break
        beta *= beta_growth
    value = splitting.picture.reshape(image.shape)
    converged = residuals[-1] <= AGREEMENT
    return Solution(value, image.new_tensor(residuals), converged, _terms(image, steps))


def extract_edges(
    image: Image, *, smoothness: float = 0.02, beta_growth: float = 2.0
) -> Float[Tensor, "*batch 1 height width"]:
    """Find the main edges: the gradient's magnitude after texture and noise are smoothed away.

    Source: Xu et al., 2011, section "Edge Enhancement and Extraction".

    Args:
        image: intensities in [0, 1].
        smoothness: λ of `smooth_l0`; larger keeps fewer edges.
        beta_growth: κ of `smooth_l0`.
    Returns:
        ‖∇S‖ over x, y and the channels, in intensity per pixel: at most √2 for a grey picture
        in [0, 1], √6 for RGB. Unlike in `smooth_l0`, nothing crosses the border.
    """
    smooth = smooth_l0(image, smoothness=smoothness, beta_growth=beta_growth).value
    return gradient(smooth).square().sum((-4, -3)).sqrt().unsqueeze(-3)


def remove_clip_art_artifacts(
    image: Image, *, smoothness: float = 0.01, beta_growth: float = 2.0
) -> Solution:
    """Restore clip art from a JPEG: the ringing beside the edges goes, flat areas are flat again.

    Source: Xu et al., 2011, section "Clip-Art Compression Artifact Removal". Drawings are
    piecewise constant, which is what the L0 term asks for; photographs lose texture.

    Args:
        image: the decompressed drawing, intensities in [0, 1].
        smoothness: λ of `smooth_l0`; raise it if ringing stays, lower it if thin lines go.
            0.01 came closest to the original on a drawing saved at qualities 10 to 35.
        beta_growth: κ of `smooth_l0`.
    Returns:
        as `smooth_l0`.
    """
    return smooth_l0(image, smoothness=smoothness, beta_growth=beta_growth)


def enhance_detail(
    image: Image, *, boost: float = 2.0, smoothness: float = 0.02, beta_growth: float = 2.0
) -> Solution:
    """Amplify what smoothing removes, S + boost · (I - S): texture grows, edges get no halo.

    Source: Xu et al., 2011, section "Layer-Based Contrast Manipulation".

    Args:
        image: I, intensities in [0, 1].
        boost: factor of the detail layer I - S; 0 smooths, 1 returns the image, 2 doubles.
        smoothness: λ of `smooth_l0`; larger counts more as detail.
        beta_growth: κ of `smooth_l0`.
    Returns:
        `value` is the enhanced picture, which may leave [0, 1]; the rest is `smooth_l0`'s.
    """
    require_number(boost, "boost", least=0, most=1e3)
    solution = smooth_l0(image, smoothness=smoothness, beta_growth=beta_growth)
    return replace(solution, value=torch.lerp(solution.value, image.detach(), float(boost)))


class _Splitting:
    """The two half-steps of algorithm 1, on buffers that are made once.

    With z = ∇S - (h, v), the small gradients of the current picture, and ∇ᵀ the adjoint
    of ∇, the next picture is S + d, where (1 + β ∇ᵀ∇) d = I - S - β ∇ᵀ z. That is the paper's
    equation 8 less what S already satisfies: its terms stay small, so float32 is enough.
    The Fourier transform is separable: the rows' transforms are taken while the rows are in
    cache, where the right-hand side is made and where the picture changes. Lesson 02 does the same
    in ten lines, in "Part 2: the whole picture".
    """

    def __init__(self, image: Image) -> None:
        self.image = image.reshape(-1, *image.shape[-3:]).contiguous()
        self.picture = self.image.clone()
        self.scale: float | None = None  # ‖∇I‖², seen in the first step, which has S = I
        pictures, channels, height, width = self.image.shape
        frequencies = width // 2 + 1  # the others are conjugates of these
        dtype = torch.complex64 if image.dtype == torch.float32 else torch.complex128
        self.spectrum = self.image.new_empty(
            (pictures, channels, height, frequencies), dtype=dtype
        )
        self.eigenvalues_x = _eigenvalues(width, image)[:frequencies]
        self.eigenvalues_y = _eigenvalues(height, image)[:, None]
        cell = channels * image.element_size()
        self.rows = _tiles((pictures, height), width * cell, image.device)
        self.columns = _tiles((pictures, frequencies), 2 * height * cell, image.device)

    def shrink_gradients(self, smoothness: float, beta: float) -> tuple[int, float]:
        """Zero the gradients below √(λ/β), and transform the rows of I - S - β ∇ᵀ z.

        Returns:
            how many pixels keep their gradient, and ‖z‖ / ‖∇I‖.
        """
        kept, zeroed, total = 0, 0.0, 0.0
        for which, rows in self.rows:
            dx, dy = self._gradients(which, rows)
            energy = (dx * dx).addcmul_(dy, dy).sum(-3, keepdim=True)
            small = energy < smoothness / beta
            b = self.image[which, :, rows] - self.picture[which, :, rows]
            _subtract_adjoint(b, dx, dy, small.to(dx.dtype), beta)
            self.spectrum[which, :, rows] = torch.fft.rfft(b)
            energy, small = energy[..., 1:, :], small[..., 1:, :]  # the row above: another tile's
            kept += small.numel() - int(small.sum())
            total += float(energy.sum())
            zeroed += float(energy.mul_(small).sum())
        self.scale = total if self.scale is None else self.scale
        return kept, (zeroed / self.scale) ** 0.5 if self.scale > 0 else 0.0

    def fit_picture(self, beta: float) -> float:
        """Divide by 1 + β (|F∂x|² + |F∂y|²), add to S, and return Σ (S - I)²."""
        for which, columns in self.columns:
            part = torch.fft.fft(self.spectrum[which, :, :, columns], dim=-2)
            operator = 1 + beta * (self.eigenvalues_y + self.eigenvalues_x[columns])
            part *= operator.reciprocal_()
            self.spectrum[which, :, :, columns] = torch.fft.ifft(part, dim=-2)
        closeness, width = 0.0, self.image.shape[-1]
        for which, rows in self.rows:
            part = self.picture[which, :, rows]
            part += torch.fft.irfft(self.spectrum[which, :, rows], n=width)
            closeness += float(mse_loss(part, self.image[which, :, rows], reduction="sum"))
        return closeness

    def _gradients(self, which: slice, rows: slice) -> tuple[Tensor, Tensor]:
        """Periodic forward differences in `rows` and in the row above them."""
        first, last, height = rows.start - 1, rows.stop + 1, self.picture.shape[-2]
        if first >= 0 and last <= height:
            part = self.picture[which, :, first:last]
        else:
            around = torch.arange(first, last, device=self.picture.device) % height
            part = self.picture[which][:, :, around]
        here, below = part[..., :-1, :], part[..., 1:, :]
        dx = torch.empty_like(here)
        torch.sub(here[..., 1:], here[..., :-1], out=dx[..., :-1])
        torch.sub(here[..., :1], here[..., -1:], out=dx[..., -1:])
        return dx, below - here


def _subtract_adjoint(b: Image, dx: Tensor, dy: Tensor, small: Tensor, beta: float) -> None:
    """b ← b - β ∇ᵀ z for z = small · (dx, dy), which start one row above b."""
    b.addcmul_(dy[..., :-1, :], small[..., :-1, :], value=-beta)
    dx, dy, small = dx[..., 1:, :], dy[..., 1:, :], small[..., 1:, :]
    b.addcmul_(dy, small, value=beta).addcmul_(dx, small, value=beta)
    b[..., 1:].addcmul_(dx[..., :-1], small[..., :-1], value=-beta)
    b[..., :1].addcmul_(dx[..., -1:], small[..., -1:], value=-beta)


def _eigenvalues(length: int, like: Tensor) -> Float[Tensor, " length"]:
    """|F∂|² = 4 sin²(π k / length), what ∂ᵀ∂ multiplies frequency k by."""
    angle = torch.arange(length, device=like.device, dtype=like.dtype) * (torch.pi / length)
    return 4 * angle.sin() ** 2


def _tiles(
    counts: tuple[int, int], bytes_each: int, device: torch.device
) -> list[tuple[slice, slice]]:
    """Cut (pictures, lines) into tiles of about TILE_BYTES; on a GPU, into one."""
    pictures, lines = counts
    fit = TILE_BYTES // bytes_each if device.type == "cpu" else pictures * lines
    return list(product(_slices(pictures, fit // lines), _slices(lines, fit)))


def _slices(count: int, size: int) -> list[slice]:
    size = max(1, size)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _terms(image: Image, steps: list[tuple[float, float]]) -> dict[str, Float[Tensor, " steps"]]:
    closeness, gradients = image.new_tensor(steps).reshape(-1, 2).unbind(dim=1)
    return {CLOSE_TO_INPUT: closeness, GRADIENTS: gradients}


def _check(
    image: Image, smoothness: float, beta_growth: float, beta_max: float, callback: object
) -> None:
    require_image(image, solvable=True)
    require_number(smoothness, "smoothness", least=0, most=1e4)
    require_number(beta_growth, "beta_growth", above=1, most=1e6)
    require_number(beta_max, "beta_max", above=0, most=1e9)
    if 0 < smoothness and beta_max <= 2 * smoothness:
        raise ValueError(
            f"beta_max is {beta_max:g}, but β starts at 2 · smoothness = {2 * smoothness:g}, so "
            f"no step would be taken: raise beta_max (1e5 is usual) or lower smoothness."
        )
    require_callback(callback)
    if image.amax() > FAR or image.amin() < -FAR:
        warnings.warn(
            f"image reaches from {float(image.amin()):.3g} to {float(image.amax()):.3g}, but "
            f"smoothness is meant for [0, 1], so nothing may be smoothed: divide the picture by "
            f"its largest possible value.",
            stacklevel=3,
        )
