"""VQ-VAE-2: pictures as two small maps of words from two learnt vocabularies.

    top 8²: what is there and where     bottom 16²: what the top leaves open, texture above all

An encoder's vector at each place gives way to the nearest of K learnt ones, e_k. Slopes pass this
step as if it were not there ("straight-through").

Sources: van den Oord et al., "Neural Discrete Representation Learning", NeurIPS 2017, eq. 1 to 3
and appendix A.1 (moving averages); Razavi et al., "Generating Diverse High-Fidelity Images with
VQ-VAE-2", NeurIPS 2019, algorithm 1.

Deviations: words that are hardly used begin anew at a vector of the batch (Dhariwal et al.,
"Jukebox", 2020, section 3.1).
"""

from collections.abc import Mapping as Table
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib.checks import require_option
from course_lib.generators.base import Generator, Space
from course_lib.generators.loading import find_prefix, load_configured
from course_lib.generators.vqvae_layers import Codebook, Features, Residual, Words, double, halve
from course_lib.generators.vqvae_prior import Prior, PriorConfig
from course_lib.shapes import Image, Latent
from course_lib.weights import StoredWeights

FIRST = "to_bottom.weight"  # a name that no other family has
LEVELS = ("top", "bottom")


@dataclass(frozen=True)
class VQVAEConfig:
    """Sizes of the networks and vocabularies.

    Attributes:
        resolution: of the pictures, divisible by 8.
        width: channels; inner: those inside a residual block; blocks: of those at each level.
        words: how many each vocabulary has; dim: how many numbers a word is.
        prior_width, prior_depth: of the prior, as in `PriorConfig`.
    """

    resolution: int = 64
    width: int = 64
    inner: int = 32
    blocks: int = 2
    words: int = 128
    dim: int = 32
    prior_width: int = 128
    prior_depth: int = 5

    @property
    def sizes(self) -> dict[str, int]:
        """Height and width of each level's map."""
        return {"top": self.resolution // 8, "bottom": self.resolution // 4}


class VQVAE(Generator):
    """G(codes): the decoder of the two maps; codes are vectors before they give way to words.

    Attributes:
        codebooks: by level.
        prior: of their words (see `vqvae_prior`); None where it is lost, or yet to be learnt.
        code_mean, code_std: of the encoder's vectors, number by number, (codes,).
    """

    spaces = ("z", "codes")
    default_space = "codes"

    def __init__(self, config: VQVAEConfig, name: str = "vqvae", *, with_prior: bool = False):
        super().__init__()
        self.config, self.name, self.resolution = config, name, config.resolution
        width, dim = config.width, config.dim

        def residual() -> Residual:
            return Residual(width, config.inner, config.blocks)

        self.shapes = {level: (dim, size, size) for level, size in config.sizes.items()}
        self.z_dim = sum(size**2 for size in config.sizes.values())
        self.fine = nn.Sequential(halve(3, width // 2), nn.ReLU(), halve(width // 2, width),
                                  nn.ReLU(), nn.Conv2d(width, width, 3, padding=1),
                                  residual())
        self.coarse = nn.Sequential(halve(width, width), nn.ReLU(),
                                    nn.Conv2d(width, width, 3, padding=1), residual())
        self.to_top = nn.Conv2d(width, dim, 1)
        self.from_top = nn.Sequential(nn.Conv2d(dim, width, 3, padding=1), residual(),
                                      double(width, dim))
        self.to_bottom = nn.Conv2d(width + dim, dim, 1)
        self.codebooks = nn.ModuleDict({level: Codebook(config.words, dim) for level in LEVELS})
        self.enlarge = double(dim, dim)
        self.join = nn.Sequential(nn.Conv2d(2 * dim, width, 3, padding=1), residual())
        self.grow = nn.Sequential(double(width, width // 2), nn.ReLU())
        self.rgb = double(width // 2, 3)
        self.layers = (f"b{config.sizes['bottom']}", f"b{2 * config.sizes['bottom']}")
        self.prior = Prior(PriorConfig(
            **config.sizes, words=config.words, width=config.prior_width,
            depth=config.prior_depth)) if with_prior else None
        for statistic, value in (("code_mean", 0.0), ("code_std", 1.0)):
            self.register_buffer(statistic, torch.full(self.latent_shape("codes"), value))

    def forward(self, images: Image) -> tuple[Image, list[tuple[Features, Features]]]:
        """What training needs of pictures in [0, 1]: rebuilt ones, and each level's vectors beside
        their words, top first (algorithm 1).
        """
        fine = self.fine(images * 2 - 1)
        top = self.to_top(self.coarse(fine)).to(images.dtype)
        top_words, _ = self.codebooks["top"](top)
        bottom = self.to_bottom(torch.cat([self.from_top(top_words), fine], dim=1))
        bottom = bottom.to(images.dtype)
        bottom_words, _ = self.codebooks["bottom"](bottom)
        image = self._drawn(top_words, bottom_words)[0]
        return image, [(top, top_words), (bottom, bottom_words)]

    def latent_shape(self, space: str) -> tuple[int, ...]:
        """Both maps' vectors one after the other, or a number for each word."""
        return (self.z_dim * (self.config.dim if space == "codes" else 1),)

    def sample_latent(
        self, n: int, *, space: str = "z", rng: torch.Generator, truncation_psi: float = 1.0
    ) -> Latent:
        """`n` random codes; ψ shortens z, so that words come from the middle of their order."""
        self.require_space(space)
        z = super().sample_latent(n, rng=rng, truncation_psi=truncation_psi)
        return self.convert(z, "z", space)

    def convert(self, latent: Latent, source: str, to: str) -> Latent:
        """From z to the vectors of the words that the prior draws with it.

        Raises:
            ValueError: codes are asked to become z, the prior is lost, or slopes are asked for.
        """
        super().convert(latent, source, to)
        if source == to:
            return latent
        if latent.requires_grad:
            raise ValueError(
                f"{self.name} draws words from z in jumps, so no slope leads back to z: project "
                f'and edit in space="codes".'
            )
        words = self._require_prior().draw(latent, self.order()).split(
            [size**2 for size in self.config.sizes.values()], dim=1)
        vectors = [self.codebooks[level].vectors[one].transpose(1, 2)  # (batch, dim, places)
                   for level, one in zip(LEVELS, words, strict=True)]
        return torch.cat([one.flatten(1) for one in vectors], dim=1)

    def order(self) -> Int[Tensor, "2 words"]:
        """Each level's words along the first principal axis of their vectors, so that a z a
        little larger draws a word that is a little different.
        """
        centred = [self.codebooks[level].vectors - self.codebooks[level].vectors.mean(dim=0)
                   for level in LEVELS]
        axes = [fix_sign(torch.linalg.svd(one, full_matrices=False).Vh[0]) for one in centred]
        return torch.stack(
            [(one @ axis).argsort() for one, axis in zip(centred, axes, strict=True)])

    def space(self, name: str) -> Space:
        """That of codes as training met them."""
        if name == "codes":
            return Space(name, self.code_mean, self.code_std)
        return super().space(name)

    def invert(self, images: Image, *, space: str = "codes") -> Latent:
        """The encoder's vectors of pictures (batch, 3, r, r) in [0, 1], or the z of their words.

        Raises:
            ValueError: the pictures are not in [0, 1], or of another size; z is asked for, and
                the prior is lost.
        """
        self.require_space(space)
        self.require_pictures(images)
        codes = torch.cat([vectors.flatten(1) for vectors, _ in self(images)[1]], dim=1)
        if space == "codes":
            return codes
        return self._require_prior().locate(self.spelled(codes), self.order())

    def decode(self, latent: Latent, *, space: str = "z", noise: object = None) -> Image:
        """The pictures of codes, (batch, 3, resolution, resolution), about [0, 1]."""
        self.refuse_noise(noise)
        return self.decode_with_features(latent, (), space=space)[0]

    def features(self, latent: Latent, layer: str, *, space: str = "z") -> Tensor:
        """What a layer of the decoder holds: (batch, channels, height, width)."""
        return self.decode_with_features(latent, (layer,), space=space)[1][layer]

    def decode_with_features(
        self, latent: Latent, layers: Sequence[str], *, space: str = "z"
    ) -> tuple[Image, dict[str, Tensor]]:
        """The pictures of codes and the layers' features, in one pass."""
        for layer in layers:
            require_option(layer, self.layers, "layer")
        self.require_latent(latent, space)
        maps = self.split(self.convert(latent, space, "codes"))
        drawn, seen = self._drawn(*(self.codebooks[level](maps[level])[0] for level in LEVELS))
        return drawn, {layer: seen[layer] for layer in layers}

    def split(self, codes: Latent) -> dict[str, Features]:
        """Codes as maps of vectors, (batch, dim, height, width) by level."""
        sizes = [self.config.dim * size**2 for size in self.config.sizes.values()]
        return {level: part.unflatten(1, self.shapes[level])
                for level, part in zip(LEVELS, codes.split(sizes, dim=1), strict=True)}

    def words(self, codes: Latent) -> dict[str, Words]:
        """The words that codes give way to, by level."""
        self.require_latent(codes, "codes")
        return {level: self.codebooks[level].nearest(x) for level, x in self.split(codes).items()}

    def spelled(self, codes: Latent) -> Int[Tensor, "batch places"]:
        """The words of codes as the prior reads them: one row after another, the top map first."""
        return torch.cat([words.flatten(1) for words in self.words(codes).values()], dim=1)

    def _require_prior(self) -> Prior:
        if self.prior is None:
            raise ValueError(
                f"{self.name} came without its prior, so that nothing leads from z to words or "
                f'back: take codes of pictures, generator.invert(images, space="codes").'
            )
        return self.prior

    def _drawn(self, top: Features, bottom: Features) -> tuple[Image, dict[str, Features]]:
        """The picture of both maps of words, and what the decoder's layers hold."""
        joined = self.join(torch.cat([self.enlarge(top), bottom], dim=1))
        grown = self.grow(joined)
        image = (self.rgb(grown) + 1) / 2
        return image.to(top.dtype), dict(zip(self.layers, (joined, grown), strict=True))

    @classmethod
    def recognizes(cls, tensors: Table[str, Tensor]) -> bool:
        """Whether these are a VQ-VAE-2's weights."""
        return find_prefix(tensors, FIRST) is not None

    @classmethod
    def from_weights(cls, weights: StoredWeights, name: str) -> "VQVAE":
        """Build it from stored weights, and the config stored with them.

        Raises:
            ValueError: weights or the config are missing, or of the wrong shape.
        """
        spoken = any(".prior." in f".{key}" for key in weights.tensors)
        return load_configured(partial(cls, with_prior=spoken), VQVAEConfig, FIRST, weights, name)


def fix_sign(axis: Float[Tensor, " dim"]) -> Float[Tensor, " dim"]:
    """The axis or its opposite: whichever has its largest entry above zero."""
    return axis * axis[axis.abs().argmax()].sign()
