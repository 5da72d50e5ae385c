"""Linear systems on the pixel grid: conjugate gradients, multigrid, and a direct solve by FFT.

And for what is not linear: L-BFGS.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from course_lib.results import Callback, Solution

Grids = Float[Tensor, "pictures height width"]
Band = Float[Tensor, "pictures rows width"]
Rows = Float[Tensor, "batch n"]
CoarseGrids = Float[Tensor, "pictures coarse_height coarse_width"]


def conjugate_gradient(
    operator: Callable[[Grids], Grids],
    b: Grids,
    *,
    precondition: Callable[[Grids], Grids] = lambda residual: residual,
    tol: float,
    max_steps: int,
    callback: Callback | None = None,
) -> Solution:
    """Solve A u = b for several pictures at once, A symmetric and positive definite.

    The flexible variant: `precondition` need not be symmetric, nor the same at each step.

    Source: Hestenes and Stiefel, 1952; Notay, "Flexible Conjugate Gradients", 2000.

    Args:
        operator: u ↦ A u, applied to each picture.
        b: the right-hand sides.
        precondition: r ↦ z ≈ A⁻¹ r.
        tol: stop once at most this is missing from any number of u, in its unit: the sum of the
            steps to come, if they go on shrinking as the last one did.
        max_steps: give up after so many steps.
        callback: called with the step's number and the current u.
    Returns:
        `residuals` holds what is missing after each step, by that estimate.
    """
    u, r, missing, last = torch.zeros_like(b), b.clone(), [], 0.0
    p = a_p = p_a_p = None
    for step in range(max_steps):
        z = precondition(r)
        if p is None:
            p = z.clone()
        else:  # make the new direction A-orthogonal to the last one
            p.mul_(-_ratio(_dot(z, a_p), p_a_p)).add_(z)
        a_p = operator(p)
        p_a_p = _dot(p, a_p)
        length = _ratio(_dot(p, r), p_a_p)
        u.addcmul_(length, p)
        r.addcmul_(length, a_p, value=-1)
        change = float((length.flatten() * _largest(p)).abs().max())
        shrink = min(max(change / last, 1 / 8), 0.9) if last else 0.5
        missing.append(change * shrink / (1 - shrink))
        last = change
        if callback is not None:
            callback(step, u)
        if missing[-1] <= tol:
            break
    return Solution(u, torch.tensor(missing), missing[-1] <= tol)


BAND = 400_000  # numbers in a band
COARSEST = 8  # pixels along a side, from where on a dense inverse is the fastest
DAMPING = 0.8  # ω, the best for the Laplacian's upper half of the spectrum
# By how many of a coarse pixel's four fine ones are in Ω. A straight boundary along the grid gives
# 1/4 for all four and -1/4 for two; these fit boundaries of any shape best (discs, blobs, noise).
SERIES = (0.0, 0.03, -0.12, 0.02, 0.1)


class Multigrid:
    """The negative Laplacian on a region Ω, and an F-cycle that nearly inverts it.

    (A u)_p = Σ_q (u_p - u_q) over the neighbours q of p inside the picture, for p in Ω; u = 0
    outside Ω (Dirichlet). Neighbours beyond the picture's border are dropped (Neumann).

    Each level halves the resolution. A coarse pixel is in Ω if any of its four fine pixels is.
    What ties a pixel to the zeros outside Ω is kept as one conductance a pixel. A coarse pixel
    has the sum of its fine pixels' ties, weaker by what lies in series between their centres and
    its own (for a full pixel), or stronger (for one that the boundary halves). Without that, the
    number of steps would grow with the picture.

    Args:
        inside: Ω, (height, width).
        pictures: how many pictures are solved at once.
        dtype: of the pictures.
    """

    def __init__(
        self, inside: Bool[Tensor, "height width"], *, pictures: int, dtype: torch.dtype
    ) -> None:
        omega = inside.to(dtype)
        tie = omega * (_neighbor_sum(torch.ones_like(omega)) - _neighbor_sum(omega))
        self.levels = [Level(omega, tie, pictures)]
        while max(omega.shape) > COARSEST:
            tie, fill = _coarsen(tie, omega.shape), _coarsen(omega, omega.shape)
            tie = tie / (1 + omega.new_tensor(SERIES)[fill.long()] * tie).clamp_min(0.3)
            omega = (fill > 0).to(dtype)
            self.levels.append(Level(omega, tie, pictures))
        self._inverse = _dense_inverse(omega, tie)
        self._product = torch.empty_like(self.levels[0].correction)

    def operator(self, u: Grids) -> Grids:
        """A u, in a buffer that the next call overwrites."""
        finest = self.levels[0]
        for rows in finest.bands:
            torch.mul(finest.apply(u, rows), finest.omega[rows], out=self._product[:, rows])
        return self._product

    def precondition(self, r: Grids) -> Grids:
        """About A⁻¹ r, by one F-cycle, in a buffer that the next call overwrites."""
        return self._cycle(0, r, full=True)

    def _cycle(self, index: int, r: Grids, *, full: bool) -> Grids:
        """A V-cycle from this level down; if `full`, each level below has one more after it."""
        level = self.levels[index]
        if index == len(self.levels) - 1:
            return (r.flatten(1) @ self._inverse).view_as(r)
        e = torch.mul(level.inverse, r, out=level.correction)  # a sweep that starts from zero
        self._correct(index, e, r, full=full)
        if full and index > 0:
            level.smooth(e, r)
            self._correct(index, e, r, full=False)
        return e

    def _correct(self, index: int, e: Grids, r: Grids, *, full: bool) -> None:
        level = self.levels[index]
        level.add_coarse(e, self._cycle(index + 1, level.coarse_residual(e, r), full=full))
        level.smooth(e, r)


class Level:
    """One resolution of `Multigrid`.

    Rows are treated in bands that fit a processor's cache, with buffers that are allocated
    once: both halve the time of a large picture.
    """

    def __init__(self, omega: Float[Tensor, "height width"], tie: Tensor, pictures: int) -> None:
        height, width = omega.shape
        self.omega = omega
        self.degree = omega * _neighbor_sum(omega) + tie
        self.inverse = torch.where(self.degree > 0, DAMPING / self.degree, 0)
        self.correction = omega.new_empty(pictures, height, width)
        step = max(2, BAND // (pictures * width) // 2 * 2) if omega.device.type == "cpu" else height
        self.bands = [slice(top, min(top + step, height)) for top in range(0, height, step)]
        self._work = omega.new_empty(pictures, min(step, height), width)

    def apply(self, u: Grids, rows: slice) -> Band:
        """A u in `rows`; wrong outside Ω, where whoever uses it multiplies by zero."""
        top, bottom = rows.start, rows.stop
        band, out = u[:, rows], self._work[:, : bottom - top]
        torch.mul(self.degree[rows], band, out=out)
        out[:, :, 1:].sub_(band[:, :, :-1])
        out[:, :, :-1].sub_(band[:, :, 1:])
        first, last = max(top, 1), min(bottom, u.shape[1] - 1)
        out[:, first - top :].sub_(u[:, first - 1 : bottom - 1])
        out[:, : last - top].sub_(u[:, top + 1 : last + 1])
        return out

    def residual(self, e: Grids, r: Grids, rows: slice) -> Band:
        """r - A e in `rows`, wrong outside Ω as well."""
        out = self.apply(e, rows)
        return torch.sub(r[:, rows], out, out=out)

    def smooth(self, e: Grids, r: Grids) -> None:
        """Damped Jacobi in each band, e ← e + ω D⁻¹ (r - A e), from the top band to the last."""
        for rows in self.bands:
            e[:, rows].addcmul_(self.inverse[rows], self.residual(e, r, rows))

    def coarse_residual(self, e: Grids, r: Grids) -> CoarseGrids:
        """r - A e on Ω, summed over 2x2 pixels."""
        bands = [
            _coarsen(self.residual(e, r, rows).mul_(self.omega[rows]), self.omega.shape)
            for rows in self.bands
        ]
        return torch.cat(bands, dim=1)

    def add_coarse(self, e: Grids, coarse: CoarseGrids) -> None:
        """Add a correction of half the resolution to e, interpolated bilinearly."""
        wide = _double_width(coarse)[:, :, : e.shape[2]]
        wide = torch.cat([wide[:, :1], wide, wide[:, -1:]], dim=1)
        for rows in self.bands:
            first, last = rows.start // 2, (rows.stop + 1) // 2
            near = wide[:, first + 1 : last + 1] * 0.75
            for odd in (0, 1):  # even rows lie nearer to the coarse row above, odd ones below
                here = slice(rows.start + odd, rows.stop, 2)
                omega = self.omega[here]
                fine = near.add(wide[:, first + 2 * odd : last + 2 * odd], alpha=0.25)
                e[:, here].addcmul_(omega, fine[:, : len(omega)])


def solve_screened(b: Float[Tensor, "*shape"], closeness: float) -> Float[Tensor, "*shape"]:
    """Solve (λ - Δ) u = b directly on the whole picture, missing neighbours dropped (Neumann).

    The mirrored picture is periodic, and the FFT turns the Laplacian of a periodic picture
    into a product: Frankot and Chellappa, 1988.

    Args:
        b: the right-hand side, (..., height, width).
        closeness: λ, above 0.
    """
    height, width = b.shape[-2:]
    mirrored = torch.cat([b, b.flip(-1)], -1)
    mirrored = torch.cat([mirrored, mirrored.flip(-2)], -2)
    like = {"dtype": b.dtype, "device": b.device}
    waves_y = 2 - 2 * torch.cos(2 * torch.pi * torch.fft.fftfreq(2 * height, **like))
    waves_x = 2 - 2 * torch.cos(2 * torch.pi * torch.fft.rfftfreq(2 * width, **like))
    spectrum = torch.fft.rfft2(mirrored) / (closeness + waves_y[:, None] + waves_x)
    return torch.fft.irfft2(spectrum, s=mirrored.shape[-2:])[..., :height, :width]


class LBFGS:
    """Many separate minimisations in step: one value and gradient of each trial at a time.

    A trial that is low enough (Armijo) is accepted, and the next one is a step of length 1 along
    the quasi-Newton direction; otherwise the step is shortened to the parabola's minimum.

    Source: Nocedal and Wright, "Numerical Optimization", 2nd ed., algorithms 3.1 and 7.4.

    Attributes:
        point: the best so far, (batch, n).
        trial: where to evaluate next, (batch, n).
    """

    def __init__(self, start: Rows, memory: int = 50):
        self.point, self.trial, self.memory = start, start, memory
        self.value = start.new_full((len(start),), math.inf)
        self.slope, self.direction = torch.zeros_like(start), torch.zeros_like(start)
        self.length = start.new_ones(len(start))
        self.pairs: list[tuple[Tensor, Tensor, Tensor]] = []  # s, y, 1 / s·y (0: no pair)
        self.scale: Tensor | None = None

    def answer(self, value: Float[Tensor, " batch"], slope: Rows) -> Bool[Tensor, " batch"]:
        """Take in the trials' values and gradients; which of them were accepted."""
        promised = _rows_dot(self.slope, self.direction) * self.length  # by the slope, negative
        better = value <= self.value + 1e-4 * promised
        accept = better[:, None]
        if self.scale is None:
            self.scale = 1 / slope.norm(dim=1).clamp(min=1e-12)  # the first step has length 1
        else:
            self._remember(torch.where(accept, self.trial - self.point, 0),
                           torch.where(accept, slope - self.slope, 0))
        lowest = -promised / (2 * (value - self.value - promised))  # of the parabola
        self.length = torch.where(better, 1, self.length * lowest.clamp(0.1, 0.5).nan_to_num(0.5))
        self.point = torch.where(accept, self.trial, self.point)
        self.value = torch.where(better, value, self.value)
        self.slope = torch.where(accept, slope, self.slope)
        self.direction = torch.where(accept, -self._inverse_hessian_times(self.slope),
                                     self.direction)
        self.trial = self.point + self.length[:, None] * self.direction
        return better

    def _remember(self, s: Tensor, y: Tensor) -> None:
        product = _rows_dot(s, y)
        useful = product > 1e-10
        self.pairs = [*self.pairs, (s, y, torch.where(useful, 1 / product, 0))][-self.memory :]
        self.scale = torch.where(useful, product / _rows_dot(y, y), self.scale)

    def _inverse_hessian_times(self, vector: Tensor) -> Tensor:
        """The two loops over the remembered pairs."""
        shares = []
        for s, y, rho in reversed(self.pairs):
            shares.append(rho * _rows_dot(s, vector))
            vector = vector - shares[-1][:, None] * y
        vector = self.scale[:, None] * vector
        for s, y, rho in self.pairs:
            vector = vector + (shares.pop() - rho * _rows_dot(y, vector))[:, None] * s
        return vector


def _dense_inverse(omega: Tensor, tie: Tensor) -> Float[Tensor, "pixels pixels"]:
    pixels = omega.numel()
    basis = torch.eye(pixels, dtype=omega.dtype, device=omega.device)
    grids = omega * basis.view(pixels, *omega.shape)
    level = Level(omega, tie, pictures=pixels)
    matrix = torch.cat([level.apply(grids, rows).clone() for rows in level.bands], 1) * omega
    outside = torch.diag((omega == 0).to(omega.dtype).flatten())
    return torch.linalg.inv(matrix.flatten(1) + outside) * omega.flatten()


def _neighbor_sum(u: Tensor) -> Tensor:
    padded = pad(u, (1, 1, 1, 1))
    return (
        padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
        + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    )


def _coarsen(u: Tensor, size: torch.Size) -> Tensor:
    """Sums of 2x2 pixels; along a side of one pixel, which can't be halved, twice that pixel."""
    sums = _add_pairs(_add_pairs(u, -2), -1)
    return sums * 2 if 1 in size else sums


def _add_pairs(u: Tensor, axis: int) -> Tensor:
    """Sums of two neighbours along an axis; the last of an odd number stays alone."""
    length = u.shape[axis]
    pairs = u.narrow(axis, 0, length // 2 * 2).unflatten(axis, (-1, 2))
    first, second = pairs.unbind(axis if axis > 0 else pairs.ndim + axis)
    sums = first + second
    return torch.cat([sums, u.narrow(axis, length - 1, 1)], axis) if length % 2 else sums


def _double_width(u: CoarseGrids) -> Float[Tensor, "pictures coarse_height double_width"]:
    """Twice as many columns: 3/4 of the nearest old one and 1/4 of the next, the rim repeated."""
    near, wide = u * 0.75, u.new_empty(*u.shape[:2], u.shape[2], 2)
    torch.add(near[:, :, 1:], u[:, :, :-1], alpha=0.25, out=wide[:, :, 1:, 0])
    torch.add(near[:, :, :-1], u[:, :, 1:], alpha=0.25, out=wide[:, :, :-1, 1])
    wide[:, :, 0, 0], wide[:, :, -1, 1] = u[:, :, 0], u[:, :, -1]
    return wide.flatten(2)


def _dot(a: Grids, b: Grids) -> Float[Tensor, "pictures 1 1"]:
    # Per picture, which is three times as fast as a product and a sum, or as a batched product.
    pairs = zip(a.flatten(1), b.flatten(1), strict=True)
    return torch.stack([x.dot(y) for x, y in pairs])[:, None, None]


def _rows_dot(a: Rows, b: Rows) -> Float[Tensor, " batch"]:
    return (a * b).sum(dim=1)


def _largest(p: Grids) -> Float[Tensor, " pictures"]:
    bounds = [torch.stack(torch.aminmax(picture)) for picture in p]  # three times faster than abs
    return torch.stack(bounds).abs().amax(1)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    return a / b.masked_fill(b == 0, 1)
