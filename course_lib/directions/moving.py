"""What a direction is, and moving a code along it: z1 = z0 + strength · direction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count
from course_lib.generators.base import chosen_rows
from course_lib.shapes import Latent

Direction = Float[Tensor, " dim"]
"""A unit vector in a space of codes."""
Numbers = Tensor | np.ndarray | Sequence[bool | int | float]


@dataclass(frozen=True)
class Directions:
    """Ways to move a code, the most important one first.

    Attributes:
        components: unit rows, (k, dim), in `space`.
        stdev: how far codes spread along each; None where only the direction is known.
        mean: of the codes, (dim,), where coordinates begin.
        explained_variance_ratio: of each principal component, if they are any.
        r2: of the regression from feature space to the codes, if there was one.
        accuracy: of the classifier on codes that it was not trained on, if there was one.
    """

    components: Float[Tensor, "k dim"]
    stdev: Float[Tensor, " k"] | None
    mean: Float[Tensor, " dim"]
    space: str
    explained_variance_ratio: Float[Tensor, " k"] | None = None
    r2: Float[Tensor, " k"] | None = None
    accuracy: float | None = None

    def require_spread(self) -> Float[Tensor, " k"]:
        """`stdev`; a `ValueError` where it is not known."""
        if self.stdev is None:
            raise ValueError(
                "how far codes spread along these directions is not known, so a step can't be "
                "measured in deviations: take it from codes, with_spread(directions, codes)."
            )
        return self.stdev


def with_spread(directions: Directions, latents: Float[Tensor, "codes dim"]) -> Directions:
    """The same directions, with the mean of these codes and their deviations along each.

    SeFa, which sees weights alone, knows neither.
    """
    latents = torch.as_tensor(latents).to(directions.components)
    mean = latents.mean(dim=0)
    return replace(directions, mean=mean,
                   stdev=((latents - mean) @ directions.components.T).std(dim=0))


def move(
    latent: Latent, direction: Direction | Numbers, strength: float | Float[Tensor, " batch"],
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
    step = step.reshape(-1, *[1] * (latent.ndim - 1)) * torch.as_tensor(direction).to(latent)
    return latent + step * chosen_rows(latent, layers)


def set_coordinate(
    latent: Latent, directions: Directions, index: int, value: float,
    *, layers: Sequence[int] | None = None,
) -> Latent:
    """Set a principal coordinate to `value` deviations, wherever the code was before.

    code + (value − (code − mean)·v / σ) σ v, which is what GANSpace's own sliders do.

    Raises:
        ValueError: there is no such direction, or the codes' deviation along it is not known.
    """
    require_count(index, "index", least=0, most=len(directions.components) - 1)
    v, sigma = directions.components[index], directions.require_spread()[index]
    now = ((latent - directions.mean) @ v) / sigma
    step = ((value - now) * sigma)[..., None] * v
    return latent + step * chosen_rows(latent, layers)
