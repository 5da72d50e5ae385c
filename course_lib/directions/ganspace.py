"""GANSpace: directions that nobody had to label, the principal components of what is drawn."""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_option, require_rng
from course_lib.directions.moments import LeadingMoments, Moments, moments_of
from course_lib.directions.moving import Directions
from course_lib.generators.base import Generator

MOST_NUMBERS = 1 << 25  # of a batch of codes and features: 134 MB


def principal_components(
    batches: Iterable[Float[Tensor, "_ dim"]], n_components: int
) -> tuple[Float[Tensor, " dim"], Float[Tensor, "k dim"], Float[Tensor, " k"]]:
    """Mean, leading principal directions (unit rows) and deviations along them, in one pass.

    Never holds all samples: of up to 4,096 dimensions it keeps the covariance, which is exact; of
    more only its leading part (see `moments`), so that no dim² numbers are needed. Deterministic:
    descending, and the largest entry of each row is positive.

    Raises:
        ValueError: there are fewer samples or dimensions than components, or some are no numbers.
    """
    require_count(n_components, "n_components")
    moments = None
    for batch in map(torch.as_tensor, batches):
        moments = moments or moments_of(batch.shape[1], n_components)
        moments.add(batch)
    components, variances = (moments or Moments()).principal(n_components)
    return moments.mean.float(), components.float(), variances.sqrt().float()


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
        layer: whose features; the generator's first if its default space is z.
        batch: codes at once; fewer where codes or features are long.
    Returns:
        Directions in the default space (w), or in z with `r2`: how much of the codes' variance
        along each direction the coordinates explain.
    Raises:
        ValueError: the generator has only z and no layers, or none of this name.
    """
    for value, name in ((n_samples, "n_samples"), (n_components, "n_components"),
                        (batch, "batch")):
        require_count(value, name)
    require_rng(rng)
    space = generator.default_space if layer is None else "z"
    look = _look_into(generator, layer) if space == "z" else None
    seen = look if look else lambda z: generator.convert(z, "z", space)
    width = seen(generator.latent_mean("z")[None]).shape[1]
    moments = moments_of(width, n_components)
    batch = min(batch, max(1, MOST_NUMBERS // (width + generator.z_dim)))
    sizes = [min(batch, n_samples - begin) for begin in range(0, n_samples, batch)]
    again = torch.Generator(rng.device).set_state(rng.get_state())
    for n in sizes:
        z = generator.sample_latent(n, rng=rng)
        moments.add(seen(z), beside=z if look else None)
    components, variances = moments.principal(n_components)
    ratio = (variances / moments.variance).float()
    if not look:
        return Directions(components.float(), variances.sqrt().float(), moments.mean.float(),
                          space, ratio)
    codes = (generator.sample_latent(n, rng=again) for n in sizes)  # the same, once more
    return _regressed(moments, components, variances, ratio, codes)


def _look_into(generator: Generator, layer: str | None) -> Callable[[Tensor], Tensor]:
    """z -> a layer's features (n, dim); the first layer's if none is named."""
    generator.require_capability("features")
    layer = layer or generator.layers[0]
    require_option(layer, generator.layers, "layer")
    return lambda z: generator.features(z, layer).flatten(1)


def _regressed(
    moments: Moments | LeadingMoments, components: Tensor, variances: Tensor, ratio: Tensor,
    codes: Iterable[Tensor],
) -> Directions:
    """Codes' directions u for features' directions v, in closed form from the moments."""
    along = moments.along(components)  # (k, z_dim): covariance of each coordinate with z
    slopes = along / variances[:, None]
    lengths = slopes.norm(dim=1, keepdim=True)
    directions = slopes / lengths.clamp(min=1e-12)
    mean = moments.beside_mean
    squares = sum(((z - mean) @ directions.T).square().sum(dim=0) for z in codes)
    along_u = squares / moments.count
    r2 = (directions * along).sum(dim=1).square() / (variances * along_u)
    return Directions(directions.float(), along_u.sqrt().float(), mean.float(), "z", ratio,
                      r2.float())
