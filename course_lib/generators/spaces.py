"""Spaces of codes: how long a code is there, and how codes spread."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from course_lib.shapes import Latent


@dataclass(frozen=True)
class Space:
    """A space of codes, with the mean and the deviation of each of its numbers.

    Attributes:
        name: "z", "w", …
        mean, std: of the codes, shaped as one code is: (dim,), or (num_ws, dim) in w_plus.
    """

    name: str
    mean: Float[Tensor, "..."]
    std: Float[Tensor, "..."]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one code."""
        return tuple(self.mean.shape)

    def to_deviations(self, latent: Latent) -> Latent:
        """(code − mean) / σ: 0 for the mean code, about 1 in size for a typical one."""
        return (latent - self.mean) / self.std

    def from_deviations(self, deviations: Latent) -> Latent:
        """mean + σ · deviations."""
        return self.mean + self.std * deviations

    def repeated(self, name: str, rows: int) -> "Space":
        """The space of codes whose `rows` rows are each a code of this one."""
        return Space(name, *(one.expand(rows, *one.shape) for one in (self.mean, self.std)))
