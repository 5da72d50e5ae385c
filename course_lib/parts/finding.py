"""Which parts a generator draws, and which channels draw them.

The channels of one layer, read at each place as a vector, fall into clusters that are parts: an
ear's vectors point one way in every picture. M then says how much of each channel's activity
lies in each part.

Source: Collins et al., "Editing in Style: Uncovering the Local Semantics of GANs", CVPR 2020,
sections 3.1 and 3.2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_option, require_rng
from course_lib.generators.base import Generator
from course_lib.parts.clusters import nearest, spherical_kmeans
from course_lib.shapes import Latent

BATCH = 20  # pictures at once
TYPICAL = 0.8  # ψ of the samples


@dataclass(frozen=True)
class Part:
    """A part of what a generator draws.

    Attributes:
        name: "ears", or the cluster's number.
        contributions: M of each number of a code in "s": the share of what that channel does
            that lies in this part, in [0, 1].
    """

    name: str
    contributions: Float[Tensor, " styles"]


@dataclass(frozen=True)
class Parts:
    """The parts of what a generator draws.

    Attributes:
        layer: whose features are told apart.
        centers: unit vectors, one a cluster, of features divided by `scale`.
        scale: each channel's deviation.
        contributions: M, one row a cluster; columns sum to 1.
        clusters: by a part's name, the numbers of the clusters that make it up.
    """

    layer: str
    centers: Float[Tensor, "k channels"]
    scale: Float[Tensor, " channels"]
    contributions: Float[Tensor, "k styles"]
    clusters: Mapping[str, tuple[int, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parts, in order."""
        return tuple(self.clusters)

    def __getitem__(self, name: str) -> Part:
        """A part by its name; M of several clusters is their sum."""
        require_option(name, self.names, "part")
        return Part(name, self.contributions[list(self.clusters[name])].sum(dim=0))

    def named(self, clusters: Mapping[str, Sequence[int]]) -> "Parts":
        """The same clusters, those that belong together under one name."""
        for numbers in clusters.values():
            for number in numbers:
                require_count(number, "number of a cluster", least=0, most=len(self.centers) - 1)
        return replace(self, clusters={name: tuple(ones) for name, ones in clusters.items()})

    @torch.no_grad()
    def masks(
        self, generator: Generator, latent: Latent, *, space: str
    ) -> Float[Tensor, "batch parts height width"]:
        """1 where each part lies in the pictures of codes, 0 elsewhere, at the layer's size."""
        features = generator.features(latent, self.layer, space=space)
        found = memberships(features / self.scale[:, None, None], self.centers)
        return torch.stack([found[:, list(ones)].sum(dim=1) for ones in self.clusters.values()], 1)


@torch.no_grad()
def find_parts(
    generator: Generator, *, layer: str, n_parts: int, rng: torch.Generator,
    n_samples: int = 300, codes: Latent | None = None,
) -> Parts:
    """Tell the parts of a layer's features apart, and measure what each channel gives to each.

    M_kc is the share of channel c's activity that lies in cluster k: Σ U_k A_c² / Σ A_c², over
    pictures and places. A_c is what the style of c scales, and U_k is 1 in cluster k, averaged or
    repeated to the size of A; so Σ_k M_kc = 1, or 0 if
    the channel is never active.

    Deviations: the paper's A are a layer's standardised output, which in StyleGAN is what a style
    scales. StyleGAN2's styles scale what comes *into* a layer, and as it is: so A is that.
    Features are divided by their deviations before they are clustered, so that no channel speaks
    for all others.

    Args:
        layer: one of `generator.layers`, whose features are clustered.
        n_parts: K, at least 2.
        n_samples: pictures to learn from, at truncation ψ = 0.8.
        codes: in w, to learn from instead: samples of one kind of thing, where the generator
            draws several (a sleeve and a trouser leg lie at the same place).
    Raises:
        ValueError: the generator has no styles, there is no such layer, n_parts is below 2, or
            the codes are none.
    """
    generator.require_capability("style_slices")
    require_option(layer, generator.layers, "layer")
    require_count(n_parts, "n_parts", least=2)
    require_count(n_samples, "n_samples", least=2)
    require_rng(rng)
    if codes is None:
        codes = generator.sample_latent(n_samples, space="w", rng=rng, truncation_psi=TYPICAL)
    generator.require_latent(codes, "w")
    scale, centers, found = cluster_features(generator, codes, layer, n_parts, rng)
    total = 0
    for part, here in zip(codes.split(BATCH), found.split(BATCH), strict=True):
        inputs = generator.style_inputs(part, space="w").values()
        total = total + torch.cat([_activity(values, here) for values in inputs], dim=1)
    contributions = total / total.sum(dim=0).clamp(min=1e-30)
    names = {str(number): (number,) for number in range(n_parts)}
    return Parts(layer, centers, scale, contributions, names)


def cluster_features(
    generator: Generator, codes: Latent, layer: str, k: int, rng: torch.Generator
) -> tuple[Float[Tensor, " channels"], Float[Tensor, "k channels"],
           Float[Tensor, "batch k height width"]]:
    """The deviations of a layer's channels, k directions of its vectors, and U of these codes."""
    features = torch.cat([generator.features(part, layer, space="w")
                          for part in codes.split(BATCH)])
    scale = features.std(dim=(0, 2, 3)).clamp(min=1e-8)
    features = features / scale[:, None, None]
    vectors = features.permute(0, 2, 3, 1).flatten(0, 2)
    centers = spherical_kmeans(vectors, k, rng=rng)
    return scale, centers, memberships(features, centers)


def memberships(
    features: Float[Tensor, "batch channels height width"], centers: Float[Tensor, "k channels"]
) -> Float[Tensor, "batch k height width"]:
    """U: 1 for the centre that is nearest to the features at a place, 0 for the others."""
    batch, _, height, width = features.shape
    labels = nearest(features.permute(0, 2, 3, 1).flatten(0, 2), centers)
    found = F.one_hot(labels, len(centers)).to(features)
    return found.reshape(batch, height, width, -1).permute(0, 3, 1, 2)


def resized(found: Tensor, size: Sequence[int]) -> Tensor:
    """Memberships at another size: averaged down, repeated up; they still sum to 1."""
    smaller = size[0] < found.shape[-1]
    return F.interpolate(found, tuple(size), mode="area" if smaller else "nearest")


def _activity(values: Tensor, found: Tensor) -> Float[Tensor, "k channels"]:
    """Σ U_k A_c² over pictures and places."""
    u = resized(found, values.shape[-2:]).flatten(2)
    squares = values.square().expand(len(found), -1, -1, -1).flatten(2)
    return (u @ squares.transpose(1, 2)).sum(dim=0)
