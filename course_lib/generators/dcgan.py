"""DCGAN: z -> picture by transposed convolutions, the generator that interactive GANs began with.

Source: Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", ICLR 2016, section 3 (architecture guidelines) and figure 1. Zhu et al.,
"Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016, edit with it, z_dim 100.

Deviations: z is normal, as in all families here, where the paper draws it uniformly from
[-1, 1]. Kernels are 4x4, which a stride of 2 divides (a 5x5 kernel covers some pixels more often
than others, and leaves checkerboards). The discriminator has no batch norm, so that its verdict
and its features of a picture do not depend on the other pictures; training penalises its
gradient instead.
"""

from collections.abc import Mapping as Table
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.checks import require_option
from course_lib.generators.adversarial import AdversarialGenerator
from course_lib.generators.loading import find_prefix, load_frozen, select_prefix
from course_lib.shapes import Image, Latent
from course_lib.thrift import unfilled
from course_lib.weights import StoredWeights

FIRST = "blocks.b4.norm.running_mean"  # a name that no other family has


@dataclass(frozen=True)
class DCGANConfig:
    """Sizes of both networks.

    Attributes:
        resolution: of the pictures, a power of two, at least 8.
        width: channels at half the resolution; they double with each halving, down to 4².
        z_dim: length of a code.
    """

    resolution: int = 64
    width: int = 32
    z_dim: int = 100

    @property
    def channels(self) -> dict[int, int]:
        """Channels by resolution, from 4² to half of the pictures'."""
        halvings = range(self.resolution.bit_length() - 3, 0, -1)
        return {self.resolution >> n: self.width << n - 1 for n in halvings}


class Block(nn.Module):
    """Twice the resolution (from a code: 4²): ReLU(batch norm(transposed convolution(x)))."""

    def __init__(self, inputs: int, outputs: int, stride: int = 2):
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 4, stride, stride // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        nn.init.normal_(self.conv.weight, std=0.02)  # section 4

    def forward(self, x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c2 h2 w2"]:
        """The block's features."""
        return F.relu(self.norm(self.conv(x)))


class DCGAN(AdversarialGenerator):
    """G(z): blocks from 4² to half the resolution, then colours through tanh.

    Calling it gives pictures in [-1, 1], as training needs them; `decode` gives [0, 1].
    """

    def __init__(self, config: DCGANConfig, name: str = "dcgan"):
        super().__init__()
        self.config, self.name = config, name
        self.resolution, self.z_dim = config.resolution, config.z_dim
        self.blocks, inputs = nn.ModuleDict(), config.z_dim
        for resolution, channels in config.channels.items():
            self.blocks[f"b{resolution}"] = Block(inputs, channels, 1 if resolution == 4 else 2)
            inputs = channels
        self.rgb = nn.ConvTranspose2d(inputs, 3, 4, 2, 1)
        nn.init.normal_(self.rgb.weight, std=0.02)
        self.layers = tuple(self.blocks)

    def forward(self, z: Float[Tensor, "batch z_dim"]) -> Float[Tensor, "batch 3 r r"]:
        """Pictures in [-1, 1]."""
        return torch.tanh(self.rgb(self._run(z, self.layers[-1])))

    def decode(self, latent: Latent, *, space: str = "z", noise: object = None) -> Image:
        """The pictures of codes, (batch, 3, resolution, resolution) in [0, 1]."""
        self.refuse_noise(noise)
        self.require_latent(latent, space)
        return (self(latent) + 1) / 2

    def features(self, latent: Latent, layer: str, *, space: str = "z") -> Tensor:
        """What a layer ("b8", say) holds: (batch, channels, height, width)."""
        require_option(layer, self.layers, "layer")
        self.require_latent(latent, space)
        return self._run(latent, layer)

    def decode_with_features(
        self, latent: Latent, layers: Sequence[str], *, space: str = "z"
    ) -> tuple[Image, dict[str, Tensor]]:
        """The pictures of codes and the layers' features, in one pass."""
        for layer in layers:
            require_option(layer, self.layers, "layer")
        self.require_latent(latent, space)
        x, seen = latent[:, :, None, None], {}
        for name, block in self.blocks.items():
            x = seen[name] = block(x)
        return (torch.tanh(self.rgb(x)) + 1) / 2, {layer: seen[layer] for layer in layers}

    def reading_weights(
        self, layers: Sequence[str] | None = None
    ) -> tuple[Float[Tensor, "rows dim"], str]:
        """The weights of the first transposed convolution, the only one that reads z."""
        for layer in layers or self.layers[:1]:
            require_option(layer, self.layers[:1], "layer")
        return self.blocks["b4"].conv.weight.flatten(1).T, "z"

    def _run(self, z: Tensor, until: str) -> Tensor:
        x = z[:, :, None, None]
        for layer in self.layers[: self.layers.index(until) + 1]:
            x = self.blocks[layer](x)
        return x

    @classmethod
    def recognizes(cls, tensors: Table[str, Tensor]) -> bool:
        """Whether these are a DCGAN's weights."""
        return find_prefix(tensors, FIRST) is not None

    @classmethod
    def from_weights(cls, weights: StoredWeights, name: str) -> "DCGAN":
        """Build it from stored weights: its state dict's names, or "G_ema.*" and perhaps "D.*".

        Raises:
            ValueError: weights are missing, too many, or of the wrong shape.
        """
        own = select_prefix(weights.tensors, find_prefix(weights.tensors, FIRST))
        config = _read_config(own, name)
        with unfilled():
            generator, judge = cls(config, name), Discriminator(config)
        load_frozen(generator, own, name)
        if any(key.startswith("D.") for key in weights.tensors):
            load_frozen(judge, select_prefix(weights.tensors, "D."), f"{name}'s discriminator")
            generator.attach_discriminator(judge)
        return generator


class Discriminator(nn.Module):
    """D(x): strided convolutions with leaky ReLU down to 4², then one number."""

    def __init__(self, config: DCGANConfig):
        super().__init__()
        self.convs, inputs = nn.ModuleDict(), 3
        for resolution, channels in reversed(config.channels.items()):
            self.convs[f"b{resolution}"] = nn.Conv2d(inputs, channels, 4, 2, 1)
            inputs = channels
        self.out = nn.Conv2d(inputs, 1, 4)
        for conv in self.convs.values():  # without batch norm 0.02 would be too small: He et al.
            nn.init.kaiming_normal_(conv.weight, a=0.2)
            nn.init.zeros_(conv.bias)

    def features(self, x: Float[Tensor, "batch 3 r r"]) -> list[Tensor]:
        """What each layer makes of pictures in [-1, 1], fine to coarse."""
        found = []
        for conv in self.convs.values():
            x = F.leaky_relu(conv(x), 0.2)
            found.append(x)
        return found

    def forward(self, x: Float[Tensor, "batch 3 r r"]) -> Float[Tensor, "batch 1"]:
        """Logits: above 0 for real."""
        return self.out(self.features(x)[-1]).flatten(1)


def _read_config(tensors: Table[str, Tensor], name: str) -> DCGANConfig:
    """The config that the shapes of the weights tell."""
    try:
        depth = sum(key.endswith("norm.running_mean") for key in tensors)
        channels = len(tensors["blocks.b4.norm.running_mean"])
        z_dim = len(tensors["blocks.b4.conv.weight"])
        return DCGANConfig(4 << depth, max(1, channels >> depth - 1), z_dim)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{name} is no whole DCGAN (it lacks {error}), so it can't be built: check that the "
            f"file is complete and of this family."
        ) from error
