"""Multigrid for the Laplacian on a region: the matrix, and what nearly inverts it."""

from dataclasses import replace
from itertools import product

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from course_lib.results import Callback, Solution
from course_lib.shapes import Grids
from course_lib.solvers.conjugate_gradients import conjugate_gradient

Board = Float[Tensor, "pictures 2 rows squares"]
Band = Float[Tensor, "pictures band squares"]
CoarseGrids = Float[Tensor, "pictures coarse_height coarse_width"]

BAND = 400_000  # numbers in a band
COARSEST = 16  # pixels along a side, from where on a dense inverse is the fastest
RED, BLACK = 0, 1
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
        self.levels: list[Level] = []
        while not self.levels or max(omega.shape) > COARSEST:
            self.levels.append(Level(omega, tie, pictures))
            tie, fill = _coarsen(tie), _coarsen(omega)
            tie = tie / (1 + omega.new_tensor(SERIES)[fill.long()] * tie).clamp_min(WEAKEST)
            omega = (fill > 0).to(dtype)
        self._inverse = _dense_inverse(omega, tie)

    def solve(
        self, b: Grids, *, tol: float, max_steps: int, callback: Callback | None = None
    ) -> Solution:
        """u with A u = b, by conjugate gradients (whose arguments these are) with one cycle a step.

        On boards from beginning to end, and so faster than by `operator` and `precondition`.
        """
        finest = self.levels[0]

        def on_board(function):
            return lambda u: function(u.unflatten(1, (2, -1))).flatten(1, 2)

        def grid(u: Tensor) -> Grids:
            return finest.to_grid(u.unflatten(1, (2, -1)))

        solution = conjugate_gradient(
            on_board(self._apply), finest.to_board(b).flatten(1, 2),
            precondition=on_board(self._cycle), tol=tol, max_steps=max_steps,
            callback=callback and (lambda step, u: callback(step, grid(u))),
        )
        return replace(solution, value=grid(solution.value))

    def operator(self, u: Grids) -> Grids:
        """A u."""
        finest = self.levels[0]
        return finest.to_grid(self._apply(finest.to_board(u)))

    def precondition(self, r: Grids) -> Grids:
        """About A⁻¹ r, by one F-cycle."""
        finest = self.levels[0]
        return finest.to_grid(self._cycle(finest.to_board(r)))

    def _apply(self, u: Board) -> Board:
        """A u, in a buffer that the next call overwrites."""
        return self.levels[0].apply(u)

    def _cycle(self, r: Board, index: int = 0, *, full: bool = True) -> Board:
        """A V-cycle from this level down; if `full`, each level below has one more after it.

        In a buffer that the level's next cycle overwrites.
        """
        level = self.levels[index]
        e = level.begin(r)
        self._correct(index, e, r, full=full)
        if full and index > 0:
            level.smooth(e, r)
            self._correct(index, e, r, full=False)
        return e

    def _correct(self, index: int, e: Board, r: Board, *, full: bool) -> None:
        level = self.levels[index]
        coarse = level.coarse_residual(e, r)
        if level is self.levels[-1]:
            coarse = (coarse.flatten(1) @ self._inverse).view_as(coarse)
        else:
            below = self.levels[index + 1]
            asked = below.to_board(coarse, out=below.buffer)
            coarse = below.to_grid(self._cycle(asked, index + 1, full=full))
        level.add_coarse(e, coarse)
        level.smooth(e, r)


class Level:
    """One resolution of `Multigrid`: on a chessboard, whose squares are pixels.

    All neighbours of a red square are black, so that one sweep solves each red square's equation
    for itself, then each black one's: Gauss–Seidel's method without an order to wait for.

    A board holds the red squares (x + y even), then the black ones, each row of them close-packed,
    between two rows of zeros. A square's neighbours above, below and on one side have its own
    place in the other colour's rows; the one on the other side stands a place before, or behind.

    Rows are treated in bands that fit a processor's cache, with buffers that are allocated
    once: both halve the time of a large picture.
    """

    def __init__(self, omega: Float[Tensor, "height width"], tie: Tensor, pictures: int) -> None:
        self.size = omega.shape
        degree = omega * _neighbor_sum(omega) + tie
        inverse = torch.where(degree > 0, 1 / degree, 0)
        self.omega, self.degree, self.inverse = self.to_board(
            torch.stack([omega, degree, inverse]))
        _, rows, squares = self.omega.shape
        self.correction, self.buffer = omega.new_zeros(2, pictures, 2, rows, squares)
        step = max(2, BAND // (pictures * squares) // 2 * 2)
        step = step if omega.device.type == "cpu" else rows
        self.bands = [slice(top, min(top + step, rows - 1)) for top in range(1, rows - 1, step)]
        self._work = omega.new_empty(pictures, min(step, rows - 2), squares)

    def to_board(self, grids: Grids, out: Board | None = None) -> Board:
        """Pictures as boards, with pixels outside Ω where a side is odd; in `out`, if given."""
        height, width = self.size
        board = out
        if out is None:
            board = grids.new_zeros(len(grids), 2, height + height % 2 + 2, (width + 1) // 2)
        for color, odd in product((RED, BLACK), (0, 1)):
            pixels = grids[:, odd::2, (color + odd) % 2 :: 2]
            board[:, color, 1 + odd : -1 : 2, : pixels.shape[2]][:, : pixels.shape[1]] = pixels
        return board

    def to_grid(self, board: Board) -> Grids:
        """And back."""
        grids = board.new_empty(len(board), *self.size)
        for color, odd in product((RED, BLACK), (0, 1)):
            pixels = grids[:, odd::2, (color + odd) % 2 :: 2]
            pixels.copy_(board[:, color, 1 + odd : -1 : 2, : pixels.shape[2]][:, : pixels.shape[1]])
        return grids

    def around(self, board: Board, color: int, rows: slice) -> Band:
        """The sum of the four neighbours of this colour's squares in `rows`."""
        other, (top, bottom) = board[:, 1 - color], (rows.start, rows.stop)
        out, beside = self._work[:, : bottom - top], other[:, rows]
        torch.add(other[:, top - 1 : bottom - 1], other[:, top + 1 : bottom + 1], out=out)
        out.add_(beside)
        out[:, color::2, 1:].add_(beside[:, color::2, :-1])
        out[:, 1 - color :: 2, :-1].add_(beside[:, 1 - color :: 2, 1:])
        return out

    def apply(self, u: Board) -> Board:
        """A u, in a buffer that the next call overwrites."""
        out = self.buffer
        for color, rows in product((RED, BLACK), self.bands):
            band = torch.mul(self.degree[color, rows], u[:, color, rows], out=out[:, color, rows])
            band.addcmul_(self.omega[color, rows], self.around(u, color, rows), value=-1)
        return out

    def begin(self, r: Board) -> Board:
        """A sweep that starts from zero, in this level's buffer."""
        e = self.correction
        torch.mul(self.inverse[RED], r[:, RED], out=e[:, RED])
        self._solve_each(e, r, BLACK)
        return e

    def smooth(self, e: Board, r: Board) -> None:
        """One more sweep."""
        for color in (RED, BLACK):
            self._solve_each(e, r, color)

    def _solve_each(self, e: Board, r: Board, color: int) -> None:
        for rows in self.bands:
            wanted = self.around(e, color, rows).add_(r[:, color, rows])
            torch.mul(wanted, self.inverse[color, rows], out=e[:, color, rows])

    def coarse_residual(self, e: Board, r: Board) -> CoarseGrids:
        """r - A e, summed over 2x2 pixels; a sweep ends with black ones, so red ones alone count.

        Along a side of one pixel, which can't be halved, twice that.
        """
        coarse = e.new_empty(len(e), e.shape[2] // 2 - 1, e.shape[3])
        for rows in self.bands:
            left = self.around(e, RED, rows).add_(r[:, RED, rows])
            left.addcmul_(self.degree[RED, rows], e[:, RED, rows], value=-1)
            left.mul_(self.omega[RED, rows])
            torch.add(left[:, 0::2], left[:, 1::2],
                      out=coarse[:, rows.start // 2 : rows.stop // 2])
        return coarse * 2 if 1 in self.size else coarse

    def add_coarse(self, e: Board, coarse: CoarseGrids) -> None:
        """Add a correction of half the resolution to e, interpolated bilinearly."""
        count = coarse.shape[1]
        sides = coarse.new_empty(2, len(coarse), count + 2, coarse.shape[2])
        left, right = sides[:, :, 1:-1]  # of a coarse pixel, on which the fine one lies
        torch.lerp(coarse[:, :, 1:], coarse[:, :, :-1], 0.25, out=left[:, :, 1:])
        torch.lerp(coarse[:, :, :-1], coarse[:, :, 1:], 0.25, out=right[:, :, :-1])
        left[:, :, 0], right[:, :, -1] = coarse[:, :, 0], coarse[:, :, -1]
        sides[:, :, 0], sides[:, :, -1] = sides[:, :, 1], sides[:, :, -2]
        for side, odd in product((0, 1), (0, 1)):  # even rows lie nearer to the coarse row above
            wide, here = sides[side], ((odd + side) % 2, slice(1 + odd, -1, 2))
            fine = torch.lerp(wide[:, 1:-1], wide[:, 2 * odd : 2 * odd + count], 0.25)
            e[:, *here].addcmul_(self.omega[here], fine)


def _dense_inverse(omega: Tensor, tie: Tensor) -> Float[Tensor, "pixels pixels"]:
    pixels = omega.numel()
    basis = torch.eye(pixels, dtype=omega.dtype, device=omega.device)
    grids = omega * basis.view(pixels, *omega.shape)
    degree = omega * _neighbor_sum(omega) + tie
    matrix = omega * (degree * grids - _neighbor_sum(grids))
    outside = torch.diag((omega == 0).to(omega.dtype).flatten())
    return torch.linalg.inv(matrix.flatten(1) + outside) * omega.flatten()


def _neighbor_sum(u: Tensor) -> Tensor:
    padded = pad(u, (1, 1, 1, 1))
    return (
        padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
        + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    )


def _coarsen(u: Float[Tensor, "height width"]) -> Float[Tensor, "coarse_height coarse_width"]:
    """Sums of 2x2 pixels; along a side of one pixel, which can't be halved, twice that pixel."""
    u, single = pad(u, (0, u.shape[1] % 2, 0, u.shape[0] % 2)), 1 in u.shape
    rows = u[0::2] + u[1::2]
    sums = rows[:, 0::2] + rows[:, 1::2]
    return sums * 2 if single else sums
