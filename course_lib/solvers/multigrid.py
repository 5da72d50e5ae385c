"""Multigrid for the Laplacian on a region: the matrix, and what nearly inverts it."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from course_lib.shapes import Grids

Band = Float[Tensor, "pictures rows width"]
CoarseGrids = Float[Tensor, "pictures coarse_height coarse_width"]

BAND = 400_000  # numbers in a band
COARSEST = 8  # pixels along a side, from where on a dense inverse is the fastest
DAMPING = 0.8  # ω, the best for the Laplacian's upper half of the spectrum
# By how many of a coarse pixel's four fine ones are in Ω. A straight boundary along the grid gives
# 1/4 for all four and -1/4 for two; these fit boundaries of any shape best (discs, blobs, noise).
SERIES = (0.0, 0.03, -0.12, 0.02, 0.1)
# A level makes a tie 1 / WEAKEST times as strong at most: that of a rim which is halved level after
# level, as a square's of 32 n pixels is, would grow without bound, and the steps with it.
WEAKEST = 0.7


class Multigrid:
    """The negative Laplacian on a region Ω, and an F-cycle that nearly inverts it.

    (A u)_p = Σ_q (u_p - u_q) over the neighbours q of p inside the picture, for p in Ω; u = 0
    outside Ω (Dirichlet). Neighbours beyond the picture's border are dropped (Neumann).

    What this does fast, lesson 01 writes down plainly in "Part 2: the discrete Poisson equation".

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
            tie = tie / (1 + omega.new_tensor(SERIES)[fill.long()] * tie).clamp_min(WEAKEST)
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
