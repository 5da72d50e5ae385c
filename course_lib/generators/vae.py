"""VAE: an encoder and a decoder that learn together, so that every picture has a code.

    q(z|x) = N(μ(x), σ²(x)),   p(x|z) = N(G(z), s²),   p(z) = N(0, I)
    ln p(x) ≥ E_q ln p(x|z) − KL(q(z|x) ‖ p(z))

Sources: Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014, eq. 3 and appendix B;
Rybkin et al., "Simple and Effective VAE Training with Calibrated Decoders", ICML 2021, section
3.2: s² is the mean squared error itself, so that it need not be chosen beforehand.

The decoder is DCGAN's generator, weight for weight: what differs is only how it was taught.
"""

import math
from collections.abc import Mapping as Table
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.checks import require_rng
from course_lib.generators.base import Generator
from course_lib.generators.dcgan import DCGAN, DCGANConfig
from course_lib.generators.loading import find_prefix, load_configured
from course_lib.shapes import Image, Latent
from course_lib.weights import StoredWeights

FIRST = "encoder.mu.weight"  # a name that no other family has
Codes = Float[Tensor, "batch z_dim"]


@dataclass(frozen=True)
class VAEConfig:
    """Sizes of both networks.

    Attributes:
        resolution: of the pictures, a power of two, at least 8.
        width: channels at half the resolution; they double with each halving, down to 4².
        z_dim: length of a code.
    """

    resolution: int = 64
    width: int = 24
    z_dim: int = 128


class Encoder(nn.Module):
    """x -> μ and ln σ² of q(z|x): the decoder's mirror image, with leaky ReLU."""

    def __init__(self, config: VAEConfig):
        super().__init__()
        channels = DCGANConfig(config.resolution, config.width).channels
        layers, inputs = [], 3
        for outputs in reversed(channels.values()):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs),
                       nn.LeakyReLU(0.2)]
            inputs = outputs
        self.trunk = nn.Sequential(*layers)
        self.mu = nn.Linear(16 * inputs, config.z_dim)
        self.logvar = nn.Linear(16 * inputs, config.z_dim)

    def forward(self, x: Float[Tensor, "batch 3 r r"]) -> tuple[Codes, Codes]:
        """Of pictures in [-1, 1]."""
        features = self.trunk(x).flatten(1)
        return self.mu(features), self.logvar(features)


class VAE(Generator):
    """G(z) with its own inverse, μ(x).

    Attributes:
        encoder, decoder: x -> μ, ln σ² and z -> x, both in [-1, 1].
        variance: s², the mean squared error that training ended with, of pictures in [0, 1].
    """

    def __init__(self, config: VAEConfig, name: str = "vae"):
        super().__init__()
        self.config, self.name = config, name
        self.resolution, self.z_dim = config.resolution, config.z_dim
        self.encoder = Encoder(config)
        self.decoder = DCGAN(DCGANConfig(config.resolution, config.width, config.z_dim), name)
        self.layers = self.decoder.layers
        self.register_buffer("variance", torch.ones(()))

    def forward(
        self, images: Image, *, rng: torch.Generator | None = None
    ) -> tuple[Image, Codes, Codes]:
        """What training needs of pictures in [0, 1]: G(z), μ and ln σ², with z drawn from q.

        z = μ + σε lets the slope pass through the draw (the paper's section 2.4).
        """
        mu, logvar = self.encoder(images * 2 - 1)
        mu, logvar = mu.float(), logvar.float()
        eps = torch.randn(mu.shape, generator=rng, device=rng.device if rng else mu.device)
        z = mu + (logvar / 2).exp() * eps.to(mu)
        return (self.decoder(z).float() + 1) / 2, mu, logvar

    def encode(self, images: Image) -> tuple[Codes, Codes]:
        """μ and ln σ² of q(z|x), of pictures (batch, 3, r, r) in [0, 1]."""
        self.require_pictures(images)
        return self.encoder(images * 2 - 1)

    def invert(self, images: Image, *, space: str = "z") -> Latent:
        """μ(x), the likeliest code of each picture in [0, 1] as the encoder sees it."""
        self.require_space(space)
        return self.encode(images)[0]

    def decode(self, latent: Latent, *, space: str = "z", noise: object = None) -> Image:
        """The pictures of codes, (batch, 3, resolution, resolution) in [0, 1]: their means."""
        return self.decoder.decode(latent, space=space, noise=noise)

    def features(self, latent: Latent, layer: str, *, space: str = "z") -> Tensor:
        """What a layer of the decoder ("b8", say) holds: (batch, channels, height, width)."""
        return self.decoder.features(latent, layer, space=space)

    def decode_with_features(
        self, latent: Latent, layers: Sequence[str], *, space: str = "z"
    ) -> tuple[Image, dict[str, Tensor]]:
        """The pictures of codes and the layers' features, in one pass."""
        return self.decoder.decode_with_features(latent, layers, space=space)

    def reading_weights(
        self, layers: Sequence[str] | None = None
    ) -> tuple[Float[Tensor, "rows dim"], str]:
        """The weights of the decoder's first layer, the only one that reads z."""
        return self.decoder.reading_weights(layers)

    def lower_bound(self, images: Image, *, rng: torch.Generator) -> Float[Tensor, " batch"]:
        """A bound from below of ln p(x) in nats, with one z drawn from q for each picture.

        Raises:
            ValueError: the pictures are not in [0, 1], or of another size.
        """
        self.require_pictures(images)
        require_rng(rng)
        rebuilt, mu, logvar = self(images, rng=rng)
        fit = log_normal(images - rebuilt, self.variance)
        return fit - divergence_from_prior(mu, logvar)

    @classmethod
    def recognizes(cls, tensors: Table[str, Tensor]) -> bool:
        """Whether these are a VAE's weights."""
        return find_prefix(tensors, FIRST) is not None

    @classmethod
    def from_weights(cls, weights: StoredWeights, name: str) -> "VAE":
        """Build it from stored weights, and the config stored with them.

        Raises:
            ValueError: weights or the config are missing, or of the wrong shape.
        """
        return load_configured(cls, VAEConfig, FIRST, weights, name)


def divergence_from_prior(mu: Codes, logvar: Codes) -> Float[Tensor, " batch"]:
    """KL(N(μ, σ²) ‖ N(0, I)) = ½ Σ (μ² + σ² − 1 − ln σ²), in nats (appendix B)."""
    return (mu.square() + logvar.exp() - 1 - logvar).sum(dim=1) / 2


def log_normal(
    difference: Float[Tensor, "batch ..."], variance: Float[Tensor, ""]
) -> Float[Tensor, " batch"]:
    """ln N(x; G(z), s²) of x − G(z), all pixels together, in nats."""
    squares = difference.flatten(1).square() / variance
    return -(squares + torch.log(2 * math.pi * variance)).sum(dim=1) / 2
