"""What every generator offers, so that no method need know which family it holds.

G: z -> picture is the learnt image manifold: decode any likely code, and a natural picture comes
out. Families with a mapping network have further spaces of codes (w, w_plus) before the picture.
"""

import html
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.checks import (
    require_count,
    require_floats,
    require_image,
    require_number,
    require_option,
    require_rng,
    require_same_shape,
)
from course_lib.shapes import Image, Latent


@dataclass(frozen=True)
class Card:
    """What one should know of a generator before trusting it.

    Attributes:
        bytes: size of the file; license: of the weights.
        quality: in one line, how good its pictures are.
        data, training: what it learnt from, and how.
        measured: numbers by name; faults: what is known to be bad.
    """

    name: str
    family: str
    resolution: int
    bytes: int
    license: str
    quality: str
    data: str = ""
    training: str = ""
    measured: Mapping[str, object] = field(default_factory=dict)
    faults: str = ""

    @classmethod
    def read(cls, path: Path) -> "Card":
        """From a JSON file."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path) -> None:
        """To a JSON file."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


class Cards(list[Card]):
    """Cards that print as a table."""

    def _repr_html_(self) -> str:
        return f"<pre style='white-space: pre; overflow-x: auto'>{html.escape(repr(self))}</pre>"

    def __repr__(self) -> str:
        rows = [("name", "family", "resolution", "size", "licence", "quality")]
        rows += [
            (card.name, card.family, f"{card.resolution}²", f"{card.bytes / 1e6:.1f} MB",
             card.license, card.quality)
            for card in self
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )


class Generator(nn.Module, ABC):
    """A learnt map from codes to pictures.

    Attributes:
        name: as in `load_generator`.
        resolution: height and width of its pictures.
        spaces: of codes, from the prior's "z" towards the picture.
        z_dim: length of a z.
        layers: names for `features`, from coarse to fine.
        label: the class that is drawn, of families that have any (see `with_label`).
    """

    name: str
    resolution: int
    spaces: tuple[str, ...] = ("z",)
    z_dim: int
    layers: tuple[str, ...] = ()
    label: int | None = None

    def __init__(self):
        super().__init__()
        self._known_moments: dict[object, tuple[object, tuple[Tensor, Tensor]]] = {}
        self._judge: list[nn.Module] = []  # the discriminator: in a list, as it is no part of G

    @property
    def noise_shapes(self) -> tuple[tuple[int, int], ...]:
        """Sizes of the noise maps that `decode` takes and that change the picture; none here."""
        return ()

    @abstractmethod
    def decode(self, latent: Latent, *, space: str = "z", noise: object = None) -> Image:
        """The pictures of codes, (batch, 3, resolution, resolution), about [0, 1], unclamped.

        Deterministic: noise maps, where a family has them, are the constant ones unless given.
        """

    @abstractmethod
    def features(self, latent: Latent, layer: str, *, space: str = "z") -> Tensor:
        """What a layer holds on the way to the pictures: (batch, channels, height, width)."""

    def decode_with_features(
        self, latent: Latent, layers: Sequence[str], *, space: str = "z"
    ) -> tuple[Image, dict[str, Tensor]]:
        """What `decode` gives, and by layer what `features` does; where a family can, in one pass.
        """
        features = {layer: self.features(latent, layer, space=space) for layer in layers}
        return self.decode(latent, space=space), features

    @property
    def has_discriminator(self) -> bool:
        """Whether the discriminator came along, whose features losses compare."""
        return bool(self._judge)

    def discriminator_features(self, images: Image) -> list[Tensor] | None:
        """What the discriminator makes of pictures in [0, 1], fine to coarse; None if it is lost.

        Raises:
            ValueError: the pictures are not a batch of this generator's size.
        """
        self._require_pictures(images)
        if not self.has_discriminator:
            return None
        return self._judge[0].to(images.device).features(images * 2 - 1)

    def discriminator_score(self, images: Image) -> Float[Tensor, " batch"] | None:
        """How real the discriminator takes pictures in [0, 1] for, as logits; None if it is lost.

        To be compared with the scores of other pictures. StyleGAN2's discriminator also looks at
        how much a group of four differs, so that a picture's company in the batch counts a little.

        Raises:
            ValueError: the pictures are not a batch of this generator's size, or which class
                they should be of is open.
        """
        self._require_pictures(images)
        if not self.has_discriminator:
            return None
        judge = self._judge[0].to(images.device)
        return judge(images * 2 - 1, *self._condition(len(images)))[:, 0]

    def reading_weights(
        self, layers: Sequence[str] | None = None
    ) -> tuple[Float[Tensor, "rows dim"], str]:
        """The rows by which layers (all if None) read the code linearly, and the code's space.

        Raises:
            ValueError: no layer of this family reads a code linearly.
        """
        raise ValueError(
            f"no layer of {self.name} reads its code linearly, so its weights alone tell no "
            f"direction: use ganspace."
        )

    def sample_latent(
        self, n: int, *, space: str = "z", rng: torch.Generator, truncation_psi: float | int = 1.0
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
        """Carry codes from one of `spaces` to a later one.

        Raises:
            ValueError: `to` lies before `source`, where no map leads.
        """
        self.require_space(source, to)
        if self.spaces.index(to) < self.spaces.index(source):
            raise ValueError(
                f"{source} is asked to become {to}, but codes only go {' -> '.join(self.spaces)}: "
                f"project the picture into {to} instead."
            )
        return latent

    def latent_mean(self, space: str) -> Float[Tensor, "..."]:
        """The mean code of a space: (dim,), or (num_ws, dim) for w_plus."""
        return self._moments(space)[0]

    def latent_std(self, space: str) -> Float[Tensor, "..."]:
        """The standard deviation of each coordinate of a space."""
        return self._moments(space)[1]

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
        """Raise a `ValueError` unless each is one of this generator's spaces."""
        for space in spaces:
            require_option(space, self.spaces, "space")

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
        if latent.device != self.device:
            raise ValueError(
                f"latent is on {latent.device} and {self.name} on {self.device}, so no device can "
                f"compute with both: move one with .to(device)."
            )
        dtype = next(self.parameters()).dtype
        if latent.dtype != dtype:
            kinds = [str(one).removeprefix("torch.") for one in (latent.dtype, dtype)]
            raise ValueError(
                f"latent holds {kinds[0]} values, as numpy's are, but {self.name} computes in "
                f"{kinds[1]}: convert the codes with .to(torch.{kinds[1]})."
            )

    def _require_pictures(self, images: Tensor) -> None:
        require_image(images, "images")
        size = (3, self.resolution, self.resolution)
        if images.ndim != 4 or tuple(images.shape[1:]) != size:
            raise ValueError(
                f"images have shape {tuple(images.shape)}, but the discriminator of {self.name} "
                f"learnt from (batch, {', '.join(map(str, size))}): resize them, for instance "
                f"with images.crop_square."
            )

    def _condition(self, batch: int) -> tuple[Tensor, ...]:
        """What the discriminator reads beside pictures: the class, where there are classes."""
        return ()

    def latent_shape(self, space: str) -> tuple[int, ...]:
        """The shape of one code."""
        return (self.z_dim,)

    def _moments(self, space: str) -> tuple[Tensor, Tensor]:
        """Mean and deviation; of the prior as it is known, of other spaces from 10,000 codes.

        The latter are kept until weights change, which torch counts in `_version`.
        """
        self.require_space(space)
        if space == "z":
            zero = torch.zeros(self.z_dim, device=self.device)
            return zero, torch.ones_like(zero)
        weights = [(p.data_ptr(), 0 if p.is_inference() else p._version)
                   for p in self.parameters()]
        known = self._known_moments.get((space, self.label))
        if known is None or known[0] != weights:
            known = self._known_moments[space, self.label] = weights, self._sample_moments(space)
        return known[1]

    def _sample_moments(self, space: str) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            rng = torch.Generator().manual_seed(123)
            codes = self.sample_latent(10_000, space=space, rng=rng)
        return codes.mean(dim=0), codes.std(dim=0)


def interpolate(
    start: Float[Tensor, "*code"], end: Float[Tensor, "*code"], steps: int,
    *, kind: str = "linear",
) -> Float[Tensor, " steps *code"]:
    """`steps` codes on the way from one code to another, both ends among them.

    With t from 0 to 1, "linear" goes straight, (1 - t) a + t b: the way in w. "spherical" turns
    at an even pace, which is the way in z, whose prior lives near a sphere. With θ the angle
    between the directions â and b̂, it points along
    sin((1 - t)θ) / sin θ â + sin(tθ) / sin θ b̂.

    Source: Shoemake, "Animating Rotation with Quaternion Curves", SIGGRAPH 1985.
    Deviation: codes have no unit length; theirs goes linearly from |a| to |b|.

    Args:
        start, end: a and b: one code, or many of one shape. Angles are those between the last
            axes: in a batch each pair, in w_plus each row turns by its own.
        kind: "linear" | "spherical".
    Returns:
        The codes along a new first axis, ready to decode if `start` is a single one.
    Raises:
        ValueError: the two differ in shape, or there are less than two steps; spherical only: a
            code has no direction, or the two are opposed, so that every way round is shortest.
    """
    require_floats(start, "start", axes=1)
    require_floats(end, "end", axes=1)
    require_same_shape(start, end, ("start", "end"))
    require_count(steps, "steps", least=2)
    require_option(kind, ("linear", "spherical"), "kind")
    t = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)
    t = t.reshape(-1, *[1] * start.ndim)
    if kind == "linear":
        return (1 - t) * start + t * end
    lengths = [code.norm(dim=-1, keepdim=True) for code in (start, end)]
    if any((length == 0).any() for length in lengths):
        raise ValueError(
            "a code is 0 all through, so it has no direction to turn from or to: draw another "
            'one, or take kind="linear".'
        )
    a, b = start / lengths[0], end / lengths[1]
    apart, sum_ = ((a + sign * b).norm(dim=-1, keepdim=True) for sign in (-1, 1))
    if (sum_ < torch.finfo(start.dtype).eps ** 0.5).any():
        raise ValueError(
            "start and end point in opposite directions, so no way round the sphere is the "
            'shortest: go by a third code, or take kind="linear".'
        )
    angle = 2 * torch.atan2(apart, sum_)  # exact for the smallest angles, where arccos is not
    whole = torch.sinc(angle / torch.pi)
    shares = [s * torch.sinc(s * angle / torch.pi) / whole for s in (1 - t, t)]
    return (shares[0] * a + shares[1] * b) * ((1 - t) * lengths[0] + t * lengths[1])


def fill(module: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Give a module on the meta device its stored weights, and freeze it.

    Raises:
        ValueError: weights are missing, too many, or of the wrong shape.
    """
    wanted = module.state_dict()
    missing, spare = wanted.keys() - tensors.keys(), tensors.keys() - wanted.keys()
    both = wanted.keys() & tensors.keys()
    wrong = {key for key in both if wanted[key].shape != tensors[key].shape}
    for fault, keys in (("lacks", missing), ("has beyond its layers", spare),
                        ("has in the wrong shape", wrong)):
        if keys:
            raise ValueError(
                f"{name} {fault} {len(keys)} weights ({sorted(keys)[0]} first), so it is another "
                f"architecture than its other weights say: check where the file comes from."
            )
    stored = {key: value.to(wanted[key].dtype).contiguous() for key, value in tensors.items()}
    module.load_state_dict(stored, assign=True)
    module.eval().requires_grad_(False)


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those weights whose names begin with `prefix`, without it."""
    return {key.removeprefix(prefix): value for key, value in tensors.items()
            if key.startswith(prefix)}


def find_prefix(tensors: Mapping[str, Tensor], name: str) -> str | None:
    """What stands before a weight's `name` in a file ("G_ema.", "g_ema.module.", ""), if it is in.

    Of several networks in a file, the averaged one's.
    """
    found = [key.removesuffix(name) for key in tensors if f".{key}".endswith(f".{name}")]
    return min(found, key=lambda prefix: ("ema" not in prefix.lower(), len(prefix)), default=None)
