"""Moving the latent code: z1 = z0 + Δz, with Δz computed offline.

GANSpace finds directions by principal components, SeFa from the weights alone, annotated
directions from labels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from course_lib.checks import require_count, require_number, require_option
from course_lib.generators.base import Generator
from course_lib.shapes import Latent

Direction = Float[Tensor, " dim"]
"""A unit vector in a space of codes."""


@dataclass(frozen=True)
class Directions:
    """Ways to move a code, the most important one first.

    Attributes:
        components: unit rows, (k, dim), in `space`.
        stdev: how far codes spread along each; 1 where only the direction is known.
        mean: of the codes, (dim,), where coordinates begin.
        explained_variance_ratio: of each principal component, if they are any.
        r2: of the regression from feature space to the codes, if there was one.
        accuracy: of the classifier on codes that it was not trained on, if there was one.
    """

    components: Float[Tensor, "k dim"]
    stdev: Float[Tensor, " k"]
    mean: Float[Tensor, " dim"]
    space: str
    explained_variance_ratio: Float[Tensor, " k"] | None = None
    r2: Float[Tensor, " k"] | None = None
    accuracy: float | None = None


def principal_components(
    batches: Iterable[Float[Tensor, "_ dim"]], n_components: int
) -> tuple[Float[Tensor, " dim"], Float[Tensor, "k dim"], Float[Tensor, " k"]]:
    """Mean, leading principal directions (unit rows) and deviations along them, in one pass.

    Keeps only Σ x xᵀ, on the device of the samples: never all of them at once. Deterministic:
    descending, and the largest entry of each row is positive.

    Raises:
        ValueError: there are fewer samples or dimensions than components.
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
    """
    for value, name in ((n_samples, "n_samples"), (n_components, "n_components"),
                        (batch, "batch")):
        require_count(value, name)
    in_w = "w" in generator.spaces and layer is None
    if not in_w:
        layer = layer or generator.layers[0]
        require_option(layer, generator.layers, "layer")
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
        layers: of the generator; all if None.
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


def with_spread(directions: Directions, latents: Float[Tensor, "codes dim"]) -> Directions:
    """The same directions, with the mean of these codes and their deviations along each.

    SeFa, which sees weights alone, knows neither.
    """
    mean = latents.mean(dim=0)
    return replace(directions, mean=mean,
                   stdev=((latents - mean) @ directions.components.T).std(dim=0))


def annotated(
    latents: Float[Tensor, "codes dim"],
    labels: Bool[Tensor, " codes"] | Int[Tensor, " codes"],
    *,
    space: str = "w",
    condition_on: Sequence[Direction] = (),
    penalty: float | int = 1e-2,
) -> Directions:
    """The direction across which a label changes: the normal of a linear classifier.

    Logistic regression on standardised codes. Conditional: n − Σ (n·c) c takes out what should
    stay, the directions `condition_on` (made orthogonal first).

    Source: Shen et al., "Interpreting the Latent Space of GANs" (InterFaceGAN), CVPR 2020,
    section 3; their SVM is a logistic regression here.

    Args:
        labels: True (or 1) where the picture of the code has the attribute, False (or 0) else.
        penalty: weight of the squared weights, against overfitting few labels.
    Raises:
        ValueError: labels are no answers of yes and no to these codes, or fewer than two of
            either; nothing is left of the direction once what should stay is taken out.
    """
    labels = _answers(latents, labels)
    require_number(penalty, "penalty", least=0)
    mean, std = latents.mean(dim=0), latents.std(dim=0).clamp(min=1e-8)
    x, y = (latents - mean) / std, labels.to(latents)
    tested = torch.arange(len(x), device=x.device) % 5 == 4
    trained = _logistic(x[~tested], y[~tested], penalty)
    found = (x[tested] @ trained[:-1] + trained[-1] > 0) == labels[tested]
    normal = F.normalize(_logistic(x, y, penalty)[:-1] / std, dim=0)
    if len(condition_on):
        basis = torch.linalg.qr(torch.stack(list(condition_on), dim=1)).Q
        normal = normal - basis @ (basis.T @ normal)
        if normal.norm() < 1e-4:
            raise ValueError(
                "the direction lies among those of condition_on, so nothing is left of it once "
                "they are taken out: leave out the one that means the same."
            )
        normal = F.normalize(normal, dim=0)
    spread = ((latents - mean) @ normal).std()
    return Directions(normal[None], spread[None], mean, space,
                      accuracy=float(found.float().mean()))


def annotated_by_score(
    latents: Float[Tensor, "codes dim"],
    scores: Float[Tensor, " codes"],
    *,
    share: float | int = 0.1,
    space: str = "w",
    condition_on: Sequence[Direction] = (),
    penalty: float | int = 1e-2,
) -> Directions:
    """As `annotated`, from a pretrained classifier's scores: its surest yes and its surest no.

    The codes between, of which it is not sure, teach nothing.

    Source: Shen et al., InterFaceGAN, section 4.1, where the share is 0.02 of 500,000.

    Args:
        scores: of the codes' pictures, the larger the more they have the attribute.
        share: of the codes that become yes, and as many no.
    """
    require_number(share, "share", above=0, most=0.5)
    count = max(2, round(share * len(scores)))
    order = scores.argsort()
    chosen = torch.cat([order[:count], order[-count:]]).sort().values
    labels = scores[chosen] >= scores[order[-count]]
    found = annotated(latents[chosen], labels, space=space, condition_on=condition_on,
                      penalty=penalty)
    return with_spread(found, latents)


def _answers(latents: Tensor, labels: Tensor) -> Tensor:
    """The labels as booleans, one a code."""
    if latents.ndim != 2 or labels.shape != latents.shape[:1]:
        raise ValueError(
            f"latents have shape {tuple(latents.shape)} and labels {tuple(labels.shape)}, but one "
            f"label is needed for each code (codes, dim): sample in z or w, and label each."
        )
    if labels.dtype != torch.bool and not bool(((labels == 0) | (labels == 1)).all()):
        raise ValueError(
            f"labels hold {labels.unique()[:5].tolist()}, but a boundary divides yes from no: "
            f"pass True and False (or 1 and 0), for instance scores > 0."
        )
    labels = labels.bool()
    if min(int(labels.sum()), int((~labels).sum())) < 2:
        raise ValueError(
            f"{int(labels.sum())} of {len(labels)} codes carry the label, so there is no boundary "
            f"to find: label at least two of each kind."
        )
    return labels


def _logistic(x: Tensor, y: Tensor, penalty: float | int) -> Tensor:
    """Weights and, last, the bias of a regularised logistic regression, by L-BFGS."""
    x, y = x.detach().double(), y.double()
    weights = torch.zeros(x.shape[1] + 1, dtype=torch.float64, device=x.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = x @ weights[:-1] + weights[-1]
        loss = F.binary_cross_entropy_with_logits(logits, y)
        loss = loss + penalty * weights[:-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weights.detach().float()


def move(
    latent: Latent, direction: Direction, strength: float | int | Float[Tensor, " batch"],
    *, layers: Sequence[int] | None = None,
) -> Latent:
    """Add an increment: code + strength · direction, on all rows of w_plus or on those `layers`.

    Args:
        strength: in the codes' unit; one number, or one a code.
        layers: rows of w_plus that move; others stay.
    Raises:
        ValueError: layers are named for codes without rows.
    """
    step = torch.as_tensor(strength, dtype=latent.dtype, device=latent.device)
    step = step.reshape(-1, *[1] * (latent.ndim - 1)) * direction
    return latent + _on_rows(step, latent, layers)


def set_coordinate(
    latent: Latent, directions: Directions, index: int, value: float | int,
    *, layers: Sequence[int] | None = None,
) -> Latent:
    """Set a principal coordinate to `value` deviations, wherever the code was before.

    code + (value − (code − mean)·v / σ) σ v, which is what GANSpace's own sliders do.
    """
    require_count(index, "index", least=0, most=len(directions.components) - 1)
    v, sigma = directions.components[index], directions.stdev[index]
    now = ((latent - directions.mean) @ v) / sigma
    step = ((value - now) * sigma)[..., None] * v
    return latent + _on_rows(step, latent, layers)


def _on_rows(step: Tensor, latent: Tensor, layers: Sequence[int] | None) -> Tensor:
    if layers is None:
        return step
    if latent.ndim != 3:
        raise ValueError(
            f"layers are named, but codes of shape {tuple(latent.shape)} have no rows to choose "
            f'from: convert them first, generator.convert(latent, "w", "w_plus").'
        )
    for layer in layers:
        require_count(layer, "layers", least=0, most=latent.shape[1] - 1)
    chosen = torch.zeros(latent.shape[1], 1, dtype=latent.dtype, device=latent.device)
    chosen[list(layers)] = 1
    return step * chosen
