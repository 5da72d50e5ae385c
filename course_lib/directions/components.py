"""Directions that nobody had to label: principal components (GANSpace), the weights' own (SeFa)."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_finite, require_option
from course_lib.directions.moving import Directions
from course_lib.generators.base import Generator

MOST_FEATURES = 10_000  # of a layer: their covariances take about 4 GB


def principal_components(
    batches: Iterable[Float[Tensor, "_ dim"]], n_components: int
) -> tuple[Float[Tensor, " dim"], Float[Tensor, "k dim"], Float[Tensor, " k"]]:
    """Mean, leading principal directions (unit rows) and deviations along them, in one pass.

    Keeps only Σ x xᵀ, on the device of the samples: never all of them at once. Deterministic:
    descending, and the largest entry of each row is positive.

    Raises:
        ValueError: there are fewer samples or dimensions than components, or some are no numbers.
    """
    require_count(n_components, "n_components")
    moments = _Moments()
    for batch in batches:
        moments.add(batch)
    components, variances = moments.principal(n_components)
    return moments.mean().float(), components.float(), variances.sqrt().float()


class _Moments:
    """Count, mean and covariance of samples, and of what is observed beside them, in one pass."""

    def __init__(self):
        self.count, self.shift, self.total, self.squares = 0, None, 0, 0
        self.beside_total, self.cross, self.beside_squares = 0, 0, 0

    def add(self, x: Tensor, beside: Tensor | None = None) -> None:
        """Take in samples (n, dim), and codes (n, dim2) that they were made from."""
        x = torch.as_tensor(x)
        if self.shift is None:
            self.shift = x.mean(dim=0)  # near the mean, so that float32 products keep their digits
        x = x - self.shift
        self.count += len(x)
        self.total = self.total + x.sum(dim=0).double()
        self.squares = self.squares + (x.T @ x).double()
        if beside is not None:
            self.beside_total = self.beside_total + beside.sum(dim=0).double()
            self.beside_squares = self.beside_squares + (beside.T @ beside).double()
            self.cross = self.cross + (beside.T @ x).double()

    def mean(self) -> Tensor:
        return self.shift + self.total / self.count

    def principal(self, n: int) -> tuple[Tensor, Tensor]:
        """Unit rows (n, dim) and variances, descending."""
        if self.shift is None:
            raise ValueError("there are no samples, so nothing varies: pass at least one batch.")
        if self.count <= n or len(self.shift) < n:
            raise ValueError(
                f"{n} components are asked of {self.count} samples of {len(self.shift)} numbers, "
                f"which can't have so many: ask for fewer, or sample more."
            )
        center = self.total / self.count
        covariance = self.squares / self.count - torch.outer(center, center)
        require_finite(covariance, "the samples' covariance")
        self.variance = covariance.trace()
        values, rows = _leading(covariance, n)
        return _signed(rows), values.clamp(min=0)


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


def _signed(rows: Tensor) -> Tensor:
    """Rows whose largest entry is positive."""
    largest = rows.gather(1, rows.abs().argmax(dim=1, keepdim=True))
    return rows * largest.sign()


@torch.no_grad()
def ganspace(
    generator: Generator,
    *,
    n_samples: int = 100_000,
    n_components: int = 20,
    layer: str | None = None,
    rng: torch.Generator,
    batch: int = 5_000,
) -> Directions:
    """Principal directions of what the generator varies.

    With a mapping network (and no `layer`): of w. Else of an early layer's features y, from
    which a regression carries each principal direction v to codes: U = argmin Σ ‖z − U x‖²,
    x the coordinates of y.

    Source: Härkönen et al., "GANSpace: Discovering Interpretable GAN Controls", NeurIPS 2020,
    sections 2.2 (w) and 2.3 (features, eq. 3).

    Args:
        layer: whose features; the generator's first if it has no w.
        batch: codes at once.
    Returns:
        Directions in w, or in z with `r2`: how much of the codes' variance along each direction
        the coordinates explain.
    Raises:
        ValueError: the layer has too many features for the memory of a laptop.
    """
    for value, name in ((n_samples, "n_samples"), (n_components, "n_components"),
                        (batch, "batch")):
        require_count(value, name)
    in_w = "w" in generator.spaces and layer is None
    if not in_w:
        layer = layer or generator.layers[0]
        require_option(layer, generator.layers, "layer")
        _require_few_features(generator, layer)
    moments = _Moments()
    for begin in range(0, n_samples, batch):
        z = generator.sample_latent(min(batch, n_samples - begin), rng=rng)
        if in_w:
            moments.add(generator.convert(z, "z", "w"))
        else:
            moments.add(generator.features(z, layer).flatten(1), beside=z)
    components, variances = moments.principal(n_components)
    ratio = (variances / moments.variance).float()
    if in_w:
        return Directions(components.float(), variances.sqrt().float(), moments.mean().float(),
                          "w", ratio)
    return _regressed(moments, components, variances, ratio)


def _require_few_features(generator: Generator, layer: str) -> None:
    count = generator.features(generator.latent_mean("z")[None], layer).numel()
    if count > MOST_FEATURES:
        raise ValueError(
            f"layer {layer} of {generator.name} has {count:,} features, whose covariances would "
            f"take {5 * 8 * count**2 / 1e9:.0f} GB of memory: take an earlier layer, one of at "
            f"most {MOST_FEATURES:,}."
        )


def _regressed(
    moments: _Moments, components: Tensor, variances: Tensor, ratio: Tensor
) -> Directions:
    """Codes' directions u for features' directions v, in closed form from the moments."""
    mean = moments.beside_total / moments.count
    covariance = moments.cross / moments.count - torch.outer(mean, moments.total / moments.count)
    along = components @ covariance.T  # (k, z_dim): covariance of each coordinate with z
    slopes = along / variances[:, None]
    lengths = slopes.norm(dim=1, keepdim=True)
    directions = slopes / lengths.clamp(min=1e-12)
    spread = moments.beside_squares / moments.count - torch.outer(mean, mean)
    along_u = ((directions @ spread) * directions).sum(dim=1)
    r2 = (directions * along).sum(dim=1).square() / (variances * along_u)
    return Directions(directions.float(), along_u.sqrt().float(), mean.float(), "z", ratio,
                      r2.float())


def sefa(
    generator: Generator, *, layers: Sequence[str] | None = None, n_components: int = 10
) -> Directions:
    """Directions that change the chosen layers' first step most, from the weights alone.

    argmax ‖A d‖² over unit d, A the rows by which those layers read the code, each of unit
    length: the leading eigenvectors of AᵀA.

    Source: Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs", CVPR 2021,
    eq. 4 to 6; unit rows as in the authors' experiments.

    Args:
        layers: of the generator; all its convolutions if None. (The authors' "all" is StyleGAN2's
            convolutions and the last toRGB, which decides colours only.)
    Returns:
        Directions in w (in z for families without w), descending; `explained_variance_ratio` is
        each eigenvalue's share.
    """
    rows, space = generator.reading_weights(layers)
    require_count(n_components, "n_components", most=rows.shape[1])
    rows = F.normalize(rows.detach().double(), dim=1)
    values, vectors = torch.linalg.eigh(rows.T @ rows)
    components = _signed(vectors.T.flip(0)[:n_components]).float()
    share = (values.flip(0)[:n_components] / values.sum()).float()
    mean = generator.latent_mean(space).detach()
    return Directions(components, torch.ones_like(share), mean, space, share)
