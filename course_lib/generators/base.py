"""What every generator offers, so that no method need know which family it holds.

G: z -> picture is the learnt image manifold: decode any likely code, and a natural picture comes
out. Some families have further spaces of codes (w, w_plus) before the picture. What only some
can do stands beside this core, in `capabilities`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.caching import Cache
from course_lib.checks import (
    require_count,
    require_floats,
    require_image,
    require_number,
    require_option,
    require_rng,
    require_unit_range,
)
from course_lib.generators.capabilities import Capabilities
from course_lib.generators.cards import Card, Cards
from course_lib.generators.interpolation import interpolate
from course_lib.generators.loading import find_prefix, load_frozen, select_prefix
from course_lib.generators.spaces import Space, chosen_rows
from course_lib.shapes import Image, Latent

__all__ = [
    "Card", "Cards", "Generator", "Space", "chosen_rows", "find_prefix", "interpolate",
    "load_frozen", "select_prefix",
]

DRAWN = 10_000  # codes by which a space is measured
MOST_NUMBERS = 1 << 25  # of them all together: 134 MB


class Generator(nn.Module, Capabilities, ABC):
    """A learnt map from codes to pictures.

    A family writes `decode`; `convert` and `latent_shape` if it has spaces beside z; and those
    `capabilities` that it has.

    Attributes:
        name: as in `load_generator`.
        resolution: height and width of its pictures.
        spaces: of codes, from the prior's "z" towards the picture.
        inner_spaces: further ones behind the last of `spaces`, which a method names on purpose.
        default_space: in which photos are projected and edited unless another is asked for.
        z_dim: length of a z, which is flat however large.
        label: the class that is drawn, of families that have any (see `with_label`).
        kind: what its pictures show ("cats"), by its card; "" if nobody said.
    """

    name: str
    kind: str = ""
    resolution: int
    spaces: tuple[str, ...] = ("z",)
    inner_spaces: tuple[str, ...] = ()
    default_space: str = "z"
    z_dim: int
    label: int | None = None

    def __init__(self):
        super().__init__()
        self._measured = Cache()

    @property
    def noise_shapes(self) -> tuple[tuple[int, int], ...]:
        """Sizes of the noise maps that `decode` takes and that change the picture; none here."""
        return ()

    @abstractmethod
    def decode(self, latent: Latent, *, space: str = "z", noise: object = None) -> Image:
        """The pictures of codes, (batch, 3, resolution, resolution), about [0, 1], unclamped.

        Deterministic: noise maps, where a family has them, are the constant ones unless given.
        """

    def sample_latent(
        self, n: int, *, space: str = "z", rng: torch.Generator, truncation_psi: float = 1.0
    ) -> Latent:
        """`n` random codes: z from the standard normal prior, carried on to `space`.

        Args:
            truncation_psi: ψ pulls codes towards the mean, mean + ψ (code - mean): below 1
                pictures are more typical and less diverse.
        Raises:
            ValueError: n is no count, the space is none of `spaces`, ψ is out of range, or rng is
                no torch.Generator.
        """
        require_count(n, "n")
        self.require_space(space)
        require_number(truncation_psi, "truncation_psi")
        require_rng(rng)
        z = torch.randn(n, self.z_dim, generator=rng, device=rng.device).to(self.device)
        latent = self.convert(z, "z", space)
        if truncation_psi == 1:
            return latent
        mean = self.latent_mean(space)
        return mean + truncation_psi * (latent - mean)

    def convert(self, latent: Latent, source: str, to: str) -> Latent:
        """Carry codes from one of `spaces` (or `inner_spaces`) to a later one.

        Raises:
            ValueError: `to` lies before `source`, where no map leads.
        """
        self.require_space(source, to)
        known = self.spaces + self.inner_spaces
        if known.index(to) < known.index(source):
            raise ValueError(
                f"{source} is asked to become {to}, but codes only go {' -> '.join(known)}: "
                f"project the picture into {to} instead."
            )
        return latent

    def space(self, name: str) -> Space:
        """A space's mean and deviation: of the prior as it is known, of others from random codes.

        These are drawn once (10,000, or fewer where they are long), and again when `code_weights`
        have changed.
        """
        self.require_space(name)
        if name == "z":
            zero = torch.zeros(self.z_dim, device=self.device)
            return Space(name, zero, torch.ones_like(zero))
        key = name, self.label
        return Space(name, *self._measured.get(key, self.code_weights(), lambda: self._draw(name)))

    def latent_shape(self, space: str) -> tuple[int, ...]:
        """The shape of one code of a space."""
        return (self.z_dim,)

    def latent_mean(self, space: str) -> Float[Tensor, "..."]:
        """The mean code of a space: (dim,), or (num_ws, dim) for w_plus."""
        return self.space(space).mean

    def latent_std(self, space: str) -> Float[Tensor, "..."]:
        """The standard deviation of each coordinate of a space."""
        return self.space(space).std

    def code_weights(self) -> Iterable[Tensor]:
        """The weights that lead from z to the other spaces; all of them unless a family says."""
        return self.parameters()

    def with_label(self, label: int) -> "Generator":
        """The same generator for one class; only conditional families have classes."""
        raise ValueError(
            f"{self.name} was trained without classes, so it has no label {label}: "
            f"leave with_label out."
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def require_space(self, *spaces: str) -> None:
        """Raise a `ValueError` unless each is one of this generator's spaces, inner ones included.
        """
        for space in spaces:
            require_option(space, self.spaces + self.inner_spaces, "space")

    def refuse_noise(self, noise: object) -> None:
        """Raise a `ValueError` if noise maps are given: for families that have none."""
        if noise is not None:
            raise ValueError(
                f"noise is given, but {self.name} has no noise maps, the code alone decides the "
                f"picture: leave noise out."
            )

    def require_pictures(self, images: Tensor) -> None:
        """Raise a `ValueError` unless `images` is a batch in [0, 1], as large as G's pictures."""
        require_image(images, "images")
        size = (3, self.resolution, self.resolution)
        if images.ndim != 4 or tuple(images.shape[1:]) != size:
            raise ValueError(
                f"images have shape {tuple(images.shape)}, but {self.name} reads (batch, "
                f"{', '.join(map(str, size))}): crop them with images.crop_square(..., "
                f"resolution={self.resolution}), and add the batch with [None]."
            )
        require_unit_range(images, "images")
        self._require_computable(images, "images")

    def require_latent(self, latent: Tensor, space: str) -> None:
        """Raise a `ValueError` unless `latent` is a batch of codes of `space`, as G computes."""
        self.require_space(space)
        require_floats(latent, "latent")
        shape = tuple(self.latent_shape(space))
        if tuple(latent.shape[1:]) != shape or latent.ndim != len(shape) + 1:
            raise ValueError(
                f"latent has shape {tuple(latent.shape)}, but codes of {self.name} in {space} are "
                f"(batch, {', '.join(map(str, shape))}): convert or reshape them, or name the "
                f"space they are from."
            )
        self._require_computable(latent, "latent")

    def _require_computable(self, given: Tensor, name: str) -> None:
        """Raise a `ValueError` unless a tensor lies where the weights do, and in their precision.
        """
        weights = next(self.parameters(), None)
        if weights is None:
            return
        if given.device != weights.device:
            raise ValueError(
                f"{name} is on {given.device} and {self.name} on {weights.device}, so no device "
                f"can compute with both: move one with .to(device)."
            )
        if given.dtype != weights.dtype:
            kinds = [str(one).removeprefix("torch.") for one in (given.dtype, weights.dtype)]
            raise ValueError(
                f"{name} holds {kinds[0]} values, as numpy's are, but {self.name} computes in "
                f"{kinds[1]}: convert with .to(torch.{kinds[1]})."
            )

    @torch.no_grad()
    def _draw(self, space: str) -> tuple[Tensor, Tensor]:
        """Mean and deviation of random codes."""
        count = min(DRAWN, max(2, MOST_NUMBERS // math.prod(self.latent_shape(space))))
        rng = torch.Generator().manual_seed(123)
        codes = self.sample_latent(count, space=space, rng=rng)
        return codes.mean(dim=0), codes.std(dim=0)
