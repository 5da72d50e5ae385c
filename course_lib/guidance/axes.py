"""Measuring a change of code: along the principal axes of a space's codes, in their deviations.

‖z − z0‖² so measured is the Mahalanobis distance. In z, whose prior is N(0, 1), codes measure
themselves; in w it keeps a change as likely as w's own, where single coordinates would not.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.generators.base import Generator

MOST_DIMENSIONS = 4096  # of a code whose axes are looked for: their matrix takes 67 MB


@dataclass(frozen=True)
class Axes:
    """Carries changes of codes (..., dim) to changes in deviations along the axes, and back.

    Attributes:
        rows: the axes, each as long as the codes' deviation along it, (dim, dim); or, where the
            axes are those of the coordinates, their deviations alone, (dim,).
        inverse: of `rows`, in the same form.
    """

    rows: Float[Tensor, "dim dim"] | Float[Tensor, " dim"]
    inverse: Float[Tensor, "dim dim"] | Float[Tensor, " dim"]

    def to_code(self, change: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Deviations along the axes -> a change of code."""
        return _times(change, self.rows)

    def to_deviations(self, change: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """A change of code -> deviations along the axes."""
        return _times(change, self.inverse)


def find_axes(generator: Generator, space: str) -> Axes:
    """The axes of a space's codes; the rows of w_plus have those of w.

    In z, and in spaces of more than `MOST_DIMENSIONS` numbers, they are the coordinates' own, so
    that no matrix of dim² numbers is needed.
    """
    generator.require_space(space)
    space = "w" if space == "w_plus" else space
    if space == "z" or math.prod(generator.latent_shape(space)) > MOST_DIMENSIONS:
        deviation = generator.latent_std(space)
        return Axes(deviation, 1 / deviation)
    with torch.no_grad():
        codes = generator.sample_latent(
            10_000, space=space, rng=torch.Generator().manual_seed(123))
    variance, axes = torch.linalg.eigh(torch.cov(codes.T))
    deviation = variance.clamp(min=1e-6 * variance[-1]).sqrt()
    return Axes((axes * deviation).T, axes / deviation)


def principal_axes(
    generator: Generator, space: str
) -> tuple[Float[Tensor, "dim dim"], Float[Tensor, "dim dim"]]:
    """`find_axes` as matrices, to look at or to compute with by hand: the axes, and the inverse.

    Changes in deviations times the first are changes of codes.
    """
    axes = find_axes(generator, space)
    eye = torch.eye(axes.rows.shape[-1], device=axes.rows.device)
    return axes.to_code(eye), axes.to_deviations(eye)


def _times(change: Tensor, rows: Tensor) -> Tensor:
    return change * rows if rows.ndim == 1 else change @ rows
