"""Spaces of codes: how long a code is there, and how codes spread."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

import torch
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


class Kept:
    """Values that come from weights: computed once, and anew when the weights have changed."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[list[Tensor], Tensor | tuple[Tensor, ...]]] = {}

    def get(
        self, key: Hashable, weights: Iterable[Tensor],
        compute: Callable[[], Tensor | tuple[Tensor, ...]],
    ) -> Tensor | tuple[Tensor, ...]:
        """The value of `key`, which depends on nothing but `weights`."""
        weights = list(weights)
        if key not in self._known or not _equal(self._known[key][0], weights):
            self._known[key] = [one.detach().clone() for one in weights], compute()
        return self._known[key][1]


def _equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(
        a.device == b.device and torch.equal(a, b) for a, b in zip(first, second, strict=True))
