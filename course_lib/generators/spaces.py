"""Spaces of codes: how long a code is there, and how codes spread."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count
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


def chosen_rows(latent: Latent, layers: Sequence[int] | None) -> Float[Tensor, "..."]:
    """1 for the rows of w_plus that are named, 0 for the others; 1 if none is named.

    Raises:
        ValueError: layers are named for codes without rows, or there is no such row.
    """
    if layers is None:
        return torch.ones((), dtype=latent.dtype, device=latent.device)
    if latent.ndim != 3:
        raise ValueError(
            f"layers are named, but codes of shape {tuple(latent.shape)} have no rows to choose "
            f'from: convert them first, generator.convert(latent, "w", "w_plus").'
        )
    for layer in layers:
        require_count(layer, "layers", least=0, most=latent.shape[1] - 1)
    chosen = torch.zeros(latent.shape[1], 1, dtype=latent.dtype, device=latent.device)
    chosen[list(layers)] = 1
    return chosen
