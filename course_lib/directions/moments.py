"""How samples vary, in one pass over them: all of their covariance, or only its leading part.

`Moments` keeps Σ x xᵀ, dim² numbers, and is exact. `LeadingMoments` keeps a few directions, so
that its memory grows with dim alone. Both also follow what is observed beside the samples: the
codes that they were made from.
"""

import torch
from torch import Tensor

from course_lib.checks import require_finite

MOST_DIMENSIONS = 4096  # of which all covariances are kept: 134 MB
CHUNK = 128  # samples that enter the leading part at once
COPIES = 26  # bytes for each number of the leading part and a chunk, working copies included
MOST_BYTES = 8e9


def moments_of(dimensions: int, n: int) -> "Moments | LeadingMoments":
    """What is to follow samples of so many numbers, of which n components are wanted.

    Raises:
        ValueError: it would take more memory than most machines have.
    """
    if dimensions <= MOST_DIMENSIONS:
        return Moments()
    found = LeadingMoments(n)
    needed = COPIES * dimensions * (found.rank + CHUNK)
    if needed > MOST_BYTES:
        raise ValueError(
            f"samples hold {dimensions:,} numbers each, so {n} components of them would take "
            f"{needed / 1e9:.0f} GB of memory: look into a layer nearer to the code, or at smaller "
            f"pictures."
        )
    return found


class Moments:
    """Count, mean and covariance of samples, and of what is observed beside them."""

    def __init__(self) -> None:
        self.count, self.shift, self.total, self.squares = 0, None, 0, 0
        self.beside_total, self.cross = 0, 0

    def add(self, x: Tensor, beside: Tensor | None = None) -> None:
        """Take in samples (n, dim), and codes (n, dim2) that they were made from."""
        if self.shift is None:
            self.shift = x.mean(dim=0)  # near the mean, so that float32 products keep their digits
        x = x - self.shift
        self.count += len(x)
        self.total = self.total + x.sum(dim=0).double()
        self.squares = self.squares + (x.T @ x).double()
        if beside is not None:
            self.beside_total = self.beside_total + beside.sum(dim=0).double()
            self.cross = self.cross + (beside.T @ x).double()

    @property
    def mean(self) -> Tensor:
        """(dim,)"""
        return self.shift + self.total / self.count

    @property
    def beside_mean(self) -> Tensor:
        """(dim2,)"""
        return self.beside_total / self.count

    def principal(self, n: int) -> tuple[Tensor, Tensor]:
        """Unit rows (n, dim) and variances, descending; `variance` is that of all dimensions."""
        require_samples(self.count, 0 if self.shift is None else len(self.shift), n)
        center = self.total / self.count
        covariance = self.squares / self.count - torch.outer(center, center)
        require_finite(covariance, "the samples' covariance")
        self.variance = covariance.trace()
        values, rows = _leading(covariance, n)
        return fix_signs(rows), values.clamp(min=0)

    def along(self, rows: Tensor) -> Tensor:
        """Covariance of the samples' coordinates along unit `rows` with the codes: (k, dim2)."""
        cross = self.cross / self.count - torch.outer(self.beside_mean, self.total / self.count)
        return rows @ cross.T


class LeadingMoments:
    """Count, mean and the leading part of the covariance: about 2 n + 50 directions.

    Seen so far, less their mean, are rows Q diag(s) V: V has unit rows, s² / count are variances.
    A chunk of new samples, less their mean, is put below diag(s) V, with one row more for the
    difference of the means, and the whole is decomposed anew; what falls off the end is lost.

    Source: Ross et al., "Incremental Learning for Robust Visual Tracking", IJCV 2008, section 3.1.
    """

    def __init__(self, n: int) -> None:
        self.rank, self.count, self.mean, self.variance = 2 * n + 50, 0, None, 0.0
        self.scaled, self.beside, self.beside_mean = None, None, None

    def add(self, x: Tensor, beside: Tensor | None = None) -> None:
        """Take in samples (n, dim), and codes (n, dim2) that they were made from."""
        require_finite(x, "samples")
        besides = [None] * len(x) if beside is None else beside.split(CHUNK)
        for chunk, codes in zip(x.split(CHUNK), besides, strict=False):
            self._take_in(chunk.double(), None if codes is None else codes.double())

    def principal(self, n: int) -> tuple[Tensor, Tensor]:
        """Unit rows (n, dim) and variances, descending."""
        require_samples(self.count, 0 if self.mean is None else len(self.mean), n)
        lengths = self.scaled.norm(dim=1)
        rows = self.scaled[:n] / lengths[:n, None].clamp(min=1e-30)
        return fix_signs(rows), lengths[:n].square() / self.count

    def along(self, rows: Tensor) -> Tensor:
        """Covariance of the samples' coordinates along unit `rows` with the codes: (k, dim2)."""
        return rows @ self.scaled.T @ self.beside / self.count

    def _take_in(self, x: Tensor, beside: Tensor | None) -> None:
        count = self.count + len(x)
        rows, self.mean, gained = _below(self.scaled, self.mean, x, self.count)
        self.variance = (self.variance * self.count + gained) / count
        turn = torch.linalg.eigh(rows @ rows.T).eigenvectors.T.flip(0)[: self.rank]
        if beside is not None:
            codes, self.beside_mean, _ = _below(self.beside, self.beside_mean, beside, self.count)
            self.beside = turn @ codes
        self.scaled, self.count = turn @ rows, count


def _below(
    kept: Tensor | None, mean: Tensor | None, x: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows to decompose, the mean of all, and the sum of squares that the new ones add."""
    new = x.mean(dim=0)
    if kept is None:
        return x - new, new, (x - new).square().sum()
    share = len(x) / (count + len(x))
    step = (count * share) ** 0.5 * (new - mean)
    added = torch.cat([x - new, step[None]])
    return torch.cat([kept, added]), mean + share * (new - mean), added.square().sum()


def require_samples(count: int, dimensions: int, n: int) -> None:
    """Raise a `ValueError` unless so many samples of so many numbers have n components."""
    if count == 0:
        raise ValueError("there are no samples, so nothing varies: pass at least one batch.")
    if count <= n or dimensions < n:
        raise ValueError(
            f"{n} components are asked of {count} samples of {dimensions} numbers, "
            f"which can't have so many: ask for fewer, or sample more."
        )


def fix_signs(rows: Tensor) -> Tensor:
    """Rows whose largest entry is positive."""
    largest = rows.gather(1, rows.abs().argmax(dim=1, keepdim=True))
    return rows * largest.sign()


def _leading(covariance: Tensor, n: int, rounds: int = 40) -> tuple[Tensor, Tensor]:
    """The `n` largest eigenvalues, descending, and their eigenvectors as rows.

    Of large matrices by subspace iteration: multiply, make orthonormal, again.
    """
    subspace = None
    if len(covariance) > 1024:
        rng = torch.Generator().manual_seed(0)
        start = torch.randn(len(covariance), 2 * n + 20, generator=rng).to(covariance)
        subspace = torch.linalg.qr(start).Q
        for _ in range(rounds):
            subspace = torch.linalg.qr(covariance @ subspace).Q
        covariance = subspace.T @ covariance @ subspace
    values, vectors = torch.linalg.eigh(covariance)
    vectors = vectors if subspace is None else subspace @ vectors
    return values.flip(0)[:n], vectors.T.flip(0)[:n]
