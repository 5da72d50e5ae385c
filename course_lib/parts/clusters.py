"""Spherical k-means: which of k directions does each vector point along?

Source: Buchta et al., "Spherical k-Means Clustering", Journal of Statistical Software 2012,
eq. 1; seeds are spread as in Arthur and Vassilvitskii, "k-means++", SODA 2007.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from course_lib.checks import require_count, require_finite, require_rng

MOST = 60_000  # vectors from which centres are learnt


def spherical_kmeans(
    vectors: Float[Tensor, "n dim"], k: int, *, rng: torch.Generator, starts: int = 3,
    rounds: int = 30,
) -> Float[Tensor, "k dim"]:
    """k unit vectors that maximise Σ cos(vector, its nearest centre), the largest cluster first.

    In turns, each vector goes to the centre that it has the largest cosine with, and each centre
    becomes its members' mean, on the sphere. A centre that is left alone stays where it was.

    Args:
        vectors: of any length; of more than 60,000 a random part.
        starts: how often to begin anew; the best end is kept.
    Raises:
        ValueError: k is below 2 or above the number of vectors, or the vectors are not finite.
    """
    require_finite(vectors, "vectors")
    require_rng(rng)
    require_count(k, "k", least=2, most=len(vectors))
    chosen = torch.randperm(len(vectors), generator=rng)[:MOST]
    x = F.normalize(vectors[chosen.to(vectors.device)], dim=1)
    ends = [_descend(x, _spread(x, k, rng), rounds) for _ in range(starts)]
    centers = max(ends, key=lambda ones: float((x @ ones.T).amax(dim=1).sum()))
    members = torch.bincount(nearest(x, centers), minlength=k)
    return centers[members.argsort(descending=True, stable=True)]


def nearest(
    vectors: Float[Tensor, "n dim"], centers: Float[Tensor, "k dim"]
) -> Int[Tensor, " n"]:
    """The number of the centre that each vector has the largest cosine with."""
    return (vectors @ centers.T).argmax(dim=1)


def _spread(x: Tensor, k: int, rng: torch.Generator) -> Tensor:
    """k of the vectors, each drawn the likelier the farther it is from those before."""
    centers = x[torch.randint(len(x), (1,), generator=rng).to(x.device)]
    while len(centers) < k:
        away = (1 - (x @ centers.T).amax(dim=1)).clamp(min=1e-9)
        drawn = torch.multinomial(away.cpu(), 1, generator=rng).to(x.device)
        centers = torch.cat([centers, x[drawn]])
    return centers


def _descend(x: Tensor, centers: Tensor, rounds: int) -> Tensor:
    labels = None
    for _ in range(rounds):
        before, labels = labels, nearest(x, centers)
        if before is not None and torch.equal(before, labels):
            break
        sums = torch.zeros_like(centers).index_add_(0, labels, x)
        alone = torch.bincount(labels, minlength=len(centers)) == 0
        centers = torch.where(alone[:, None], centers, F.normalize(sums, dim=1))
    return centers
