"""BigGAN: z and a class -> picture; each block is told the class, and a part of z of its own.

Source: Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", ICLR
2019. Deviation: the small model of the course was trained without spectral norm in G, against a
projected discriminator (`training.projected_gan`).
"""

import copy
import math
from collections.abc import Mapping as Table
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.checks import (
    require_count,
    require_floats,
    require_number,
    require_option,
    require_rng,
)
from course_lib.generators.base import Generator
from course_lib.generators.biggan_deep import BigGANDeepConfig, DeepSynthesis
from course_lib.generators.biggan_files import read_biggan, recognizes
from course_lib.generators.biggan_networks import BigGANConfig, Synthesis, initialize
from course_lib.generators.loading import load_frozen
from course_lib.shapes import Image, Latent
from course_lib.thrift import unfilled
from course_lib.weights import StoredWeights

LONGEST = 2.0  # of a number of z: those that lie farther out are drawn anew


class BigGAN(Generator):
    """G(z, class).

    Attributes:
        classes: their names; `with_label` takes one, or its number.
        truncation: of a BigGAN-deep, by which batch norm's statistics are chosen.
        mix: shares of the classes that are drawn instead of a single one (see `with_mix`).
    """

    mix: Float[Tensor, "mixes classes"] | None = None

    def __init__(self, config: BigGANConfig | BigGANDeepConfig, name: str = "biggan"):
        super().__init__()
        self.config, self.name, self.classes = config, name, config.classes
        self.resolution, self.z_dim = config.resolution, config.z_dim
        self.layers = tuple(f"b{4 << level}"
                            for level in range(int(math.log2(config.resolution)) - 1))
        self.truncation, self._as_published = 1.0, False
        self.shared = nn.Embedding(len(config.classes), config.class_dim)
        self.deep = isinstance(config, BigGANDeepConfig)
        self.synthesis = (DeepSynthesis if self.deep else Synthesis)(config)

    def forward(
        self, z: Float[Tensor, "batch z_dim"], labels: Tensor
    ) -> Float[Tensor, "batch 3 r r"]:
        """Pictures in [-1, 1] of classes (batch,), for training."""
        return self.synthesis(z, self.shared(labels))

    def sample_latent(
        self, n: int, *, space: str = "z", rng: torch.Generator, truncation_psi: float = 1.0
    ) -> Latent:
        """`n` codes from the normal prior, cut off at 2 deviations, times ψ (section 3.1)."""
        require_count(n, "n")
        self.require_space(space)
        require_number(truncation_psi, "truncation_psi")
        require_rng(rng)
        within = math.erf(LONGEST / math.sqrt(2))
        u = torch.rand(n, self.z_dim, generator=rng, device=rng.device).to(self.device)
        z = math.sqrt(2) * torch.erfinv(within * (2 * u - 1))
        return truncation_psi * z.clamp(-LONGEST, LONGEST)

    def decode(self, latent: Latent, *, space: str = "z", noise: object = None) -> Image:
        """The pictures of codes, (batch, 3, resolution, resolution) in [0, 1]."""
        self.refuse_noise(noise)
        return self.decode_with_features(latent, (), space=space)[0]

    def features(self, latent: Latent, layer: str, *, space: str = "z") -> Tensor:
        """What a layer ("b8", say) holds: (batch, channels, height, width)."""
        require_option(layer, self.layers, "layer")
        return self._synthesize(latent, space, until=layer)

    def decode_with_features(
        self, latent: Latent, layers: Sequence[str], *, space: str = "z"
    ) -> tuple[Image, dict[str, Tensor]]:
        """The pictures of codes and the layers' features, in one pass."""
        for layer in layers:
            require_option(layer, self.layers, "layer")
        seen: dict[str, Tensor] = {}
        image = self._synthesize(latent, space, seen=seen)
        return (image + 1) / 2, {layer: seen[layer] for layer in layers}

    def _synthesize(self, latent: Latent, space: str, **options: object) -> Tensor:
        self.require_latent(latent, space)
        y = self.class_vector()
        if len(y) not in (1, len(latent)):
            raise ValueError(
                f"there are {len(y)} mixtures of classes for {len(latent)} codes, so some would "
                f"have none: pass with_mix one row, or one for each code."
            )
        if self.deep:
            options |= {"truncation": self.truncation, "as_published": self._as_published}
        return self.synthesis(latent, y.expand(len(latent), -1), **options)

    def with_label(self, label: int | str) -> "BigGAN":
        """The same weights, for one class, by its name or number."""
        if isinstance(label, str):
            require_option(label, self.classes, "label")
            label = self.classes.index(label)
        require_count(label, "label", least=0, most=len(self.classes) - 1)
        chosen = copy.copy(self)  # on the same weights
        chosen.label, chosen.mix = label, None
        return chosen

    def with_mix(self, mix: Float[Tensor, "mixes classes"]) -> "BigGAN":
        """The same weights, for a mixture of classes: the same mixture of their vectors.

        Args:
            mix: each class's share; one row for all codes, or one for each code.
        Raises:
            ValueError: there is not one share a class.
        """
        require_floats(mix, "mix")
        if mix.ndim != 2 or mix.shape[1] != len(self.classes):
            raise ValueError(
                f"mix has shape {tuple(mix.shape)}, but {self.name} draws {len(self.classes)} "
                f"classes: pass (1, {len(self.classes)}), or one row for each code."
            )
        chosen = copy.copy(self)
        chosen.label, chosen.mix = None, mix.to(self.shared.weight)
        return chosen

    def with_truncation(self, truncation: float, *, as_published: bool = False) -> "BigGAN":
        """The same weights, with the statistics for codes that were drawn with ψ = `truncation`.

        Args:
            as_published: mix neighbouring statistics as pytorch-pretrained-BigGAN does, which
                swaps their weights: pictures are then the peer's, number by number.
        Raises:
            ValueError: it is not above 0 and at most 1, or the model stores one set of statistics.
        """
        require_number(truncation, "truncation", above=0, most=1)
        if not self.deep:
            raise ValueError(
                f"{self.name} stores one set of statistics for all truncations, so there is "
                f"nothing to choose: draw shorter codes, with truncation_psi={truncation:g}."
            )
        chosen = copy.copy(self)
        chosen.truncation, chosen._as_published = truncation, as_published
        return chosen

    def class_vector(self) -> Float[Tensor, "mixes class_dim"]:
        """What stands for the class, or for each mixture of them."""
        if self.mix is not None:
            return self.mix @ self.shared.weight
        if self.label is None:
            several = ", ".join(self.classes[:12]) + " …" * (len(self.classes) > 12)
            raise ValueError(
                f"{self.name} draws {len(self.classes)} classes, and which one is open: choose one "
                f"with with_label, of {several}."
            )
        return self.shared.weight[self.label][None]

    @classmethod
    def new(cls, config: BigGANConfig) -> "BigGAN":
        """Before it has seen a picture, with orthogonal weights."""
        generator = cls(config)
        initialize(generator)
        return generator

    @classmethod
    def recognizes(cls, tensors: Table[str, Tensor]) -> bool:
        """Whether these are a BigGAN's weights, in one of the layouts that are read."""
        return recognizes(tensors)

    @classmethod
    def from_weights(cls, weights: StoredWeights, name: str) -> "BigGAN":
        """Build it from stored weights, ours or of one of the two published layouts.

        Raises:
            ValueError: weights or the config are missing, or of the wrong shape.
        """
        file = read_biggan(weights, name)
        with unfilled():
            generator = cls(file.config, name)
        load_frozen(generator, file.tensors, name)
        return generator
