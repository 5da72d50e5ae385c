"""The networks of StyleGAN2: mapping z -> w, synthesis w_plus -> picture, and the discriminator.

Plain torch, no compiled operator. Names of parameters and numerics are those of the official
PyTorch release (skip generator, residual discriminator), so that its checkpoints load.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020;
the release is the one of Karras et al., "Training GANs with Limited Data", NeurIPS 2020.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from course_lib.generators.stylegan2_layers import (
    Conv,
    Linear,
    StyleGAN2Config,
    SynthesisLayer,
    ToRGB,
    fir_filter,
    lay_out,
    normalize,
    official_channels,
    smooth,
    upsample,
)

__all__ = [
    "Discriminator", "Mapping", "Noise", "StyleGAN2Config", "Synthesis", "fir_filter",
    "official_channels", "smooth", "upsample",
]

Noise = str | Sequence[Tensor]
"""Noise maps: "random", "const" (the stored ones), "none", or one (batch or 1, r, r) a layer."""


class Mapping(nn.Module):
    """f: z -> w, a deep perceptron on the normalised code (and on the class, if any)."""

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, layer_count: int, *,
                 lr_multiplier: float = 0.01, class_means: bool = False):
        super().__init__()
        self.layer_count = layer_count
        if c_dim:
            self.embed = Linear(c_dim, w_dim)
        width = z_dim + (w_dim if c_dim else 0)
        for index in range(layer_count):
            layer = Linear(width, w_dim, lr_multiplier=lr_multiplier, activated=True)
            setattr(self, f"fc{index}", layer)
            width = w_dim
        if z_dim:
            self.register_buffer("w_avg", torch.zeros(w_dim))
        if class_means:
            self.register_buffer("class_means", torch.zeros(c_dim, w_dim))

    def forward(self, z: Tensor | None, c: Tensor | None = None) -> Tensor:
        """z (batch, z_dim), one-hot c (batch, c_dim) -> w (batch, w_dim)."""
        inputs = [] if z is None else [normalize(z)]
        if hasattr(self, "embed"):
            inputs.append(normalize(self.embed(c)))
        x = torch.cat(inputs, dim=1)
        for index in range(self.layer_count):
            x = getattr(self, f"fc{index}")(x)
        return x


class SynthesisBlock(nn.Module):
    """One resolution: the features grow, and add their part to the picture."""

    def __init__(self, inputs: int, outputs: int, resolution: int, config: StyleGAN2Config):
        super().__init__()
        if resolution == 4:
            self.const = nn.Parameter(torch.randn(outputs, 4, 4))
        else:
            self.conv0 = SynthesisLayer(inputs, outputs, resolution, config, up=True)
        self.conv1 = SynthesisLayer(outputs, outputs, resolution, config)
        self.torgb = ToRGB(outputs, config)
        self.register_buffer("resample_filter", fir_filter())

    @property
    def convolutions(self) -> dict[str, SynthesisLayer]:
        """By name, in order."""
        first = {} if hasattr(self, "const") else {"conv0": self.conv0}
        return first | {"conv1": self.conv1}


class Synthesis(nn.Module):
    """g: w_plus -> picture, from a learned constant at 4², doubling the resolution."""

    def __init__(self, config: StyleGAN2Config):
        super().__init__()
        self.resolutions = config.resolutions
        inputs = 0
        for resolution, channels in zip(self.resolutions, config.channels, strict=True):
            setattr(self, f"b{resolution}", SynthesisBlock(inputs, channels, resolution, config))
            inputs = channels

    @property
    def layers(self) -> dict[str, SynthesisLayer]:
        """All convolutions by name ("b8.conv0"), in order."""
        return {
            f"b{resolution}.{name}": layer for resolution in self.resolutions
            for name, layer in getattr(self, f"b{resolution}").convolutions.items()
        }

    @property
    def style_sizes(self) -> dict[str, int]:
        """How many channels each style scales, by its layer ("b8.conv0", "b8.torgb"), in order."""
        return {name: layer.affine.weight.shape[0] for name, layer, _ in self._readers()}

    def styles(self, w_plus: Tensor) -> list[Tensor]:
        """w_plus (batch, num_ws, w_dim) -> the style of each layer, (batch, its inputs)."""
        return [layer.affine(w_plus[:, row]) for _, layer, row in self._readers()]

    def forward(self, w_plus: Tensor, **options: object) -> Tensor:
        """w_plus (batch, num_ws, w_dim) -> pictures, as `draw` does."""
        return self.draw(self.styles(w_plus), **options)

    def draw(
        self, styles: Sequence[Tensor], *, noise: Noise = "random", fade: float = 1,
        until: str | None = None, seen: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """The layers' styles, in order -> pictures, about [-1, 1], (batch, 3, r, r).

        Args:
            noise: "random" | "const" | "none" | one map a layer.
            fade: weight of the last block's colours, below 1 while training fades it in.
            until: stop behind this layer, "b8.conv0" say, and return its features.
            seen: gets the features of every layer that is passed, by its name.
        """
        maps = None if isinstance(noise, str) else iter(noise)
        image, style = None, iter(styles)
        x = self.b4.const.expand(len(styles[0]), -1, -1, -1)
        x = lay_out(x)
        for resolution in self.resolutions:
            block = getattr(self, f"b{resolution}")
            for name, layer in block.convolutions.items():
                added = layer.noise_map(noise, x) if maps is None else next(maps)
                x = layer(x, next(style), added)
                if seen is not None:
                    seen[f"b{resolution}.{name}"] = x
                if until == f"b{resolution}.{name}":
                    return x
            colors = block.torgb(x, next(style)).float()
            if image is None:
                image = colors
            else:
                share = fade if resolution == self.resolutions[-1] else 1
                image = upsample(image) + share * colors
        return image

    def _readers(self) -> Iterator[tuple[str, SynthesisLayer | ToRGB, int]]:
        """Every layer that has a style, by name, and the row of w_plus that it reads.

        A block's colours read the row that the next block begins with.
        """
        row = 0
        for resolution in self.resolutions:
            block = getattr(self, f"b{resolution}")
            for name, layer in block.convolutions.items():
                yield f"b{resolution}.{name}", layer, row
                row += 1
            yield f"b{resolution}.torgb", block.torgb, row


class DiscriminatorBlock(nn.Module):
    """Halves the resolution, with a residual path; the first one reads the picture."""

    def __init__(self, inputs: int, outputs: int, *, first: bool, clamp: float | None):
        super().__init__()
        if first:
            self.fromrgb = Conv(3, inputs, 1, clamp=clamp)
        self.conv0 = Conv(inputs, inputs, 3, clamp=clamp)
        self.conv1 = Conv(inputs, outputs, 3, down=True, clamp=clamp)
        self.skip = Conv(inputs, outputs, 1, bias=False, down=True, activated=False)
        self.register_buffer("resample_filter", fir_filter())

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, r, r) -> (batch, outputs, r / 2, r / 2)."""
        half = math.sqrt(0.5)
        return self.skip(x, gain=half) + self.conv1(self.conv0(x), gain=half)


class DiscriminatorEnd(nn.Module):
    """From 4² to one number, seeing also how much the pictures of a group differ."""

    def __init__(self, channels: int, config: StyleGAN2Config, group_size: int | None):
        super().__init__()
        self.group_size = group_size
        self.conv = Conv(channels + 1, channels, 3, clamp=config.conv_clamp)
        self.fc = Linear(channels * 16, channels, activated=True)
        self.out = Linear(channels, channels if config.c_dim else 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, 4, 4) -> (batch, 1), or (batch, channels) for the class to weigh."""
        x = torch.cat([x, _group_deviation(x, self.group_size or len(x))], dim=1)
        return self.out(self.fc(self.conv(x).flatten(1)))


class Discriminator(nn.Module):
    """D: picture -> how real it looks, a number without unit (its sigmoid is a probability).

    Args:
        config: of the generator it judges.
        group_size: of how many pictures the differences are seen at once; the batch if None.
    """

    def __init__(self, config: StyleGAN2Config, *, group_size: int | None = 4):
        super().__init__()
        self.config = config
        for resolution in config.resolutions[:0:-1]:
            level = config.resolutions.index(resolution)
            inputs, outputs = config.channels[level], config.channels[level - 1]
            block = DiscriminatorBlock(
                inputs, outputs, first=resolution == config.resolution, clamp=config.conv_clamp
            )
            setattr(self, f"b{resolution}", block)
        self.b4 = DiscriminatorEnd(config.channels[0], config, group_size)
        if config.c_dim:
            self.mapping = Mapping(0, config.c_dim, config.channels[0], 8)

    @property
    def blocks(self) -> list[DiscriminatorBlock]:
        """From the picture's resolution down to 8²."""
        return [getattr(self, f"b{r}") for r in self.config.resolutions[:0:-1]]

    def features(self, images: Tensor) -> list[Tensor]:
        """What each block sees: images (batch, 3, r, r) in [-1, 1] -> features at r/2 ... 4²."""
        x, found = self.blocks[0].fromrgb(lay_out(images)), []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found

    def forward(self, images: Tensor, c: Tensor | None = None) -> Tensor:
        """Images (batch, 3, r, r) in [-1, 1], one-hot c (batch, c_dim) -> (batch, 1)."""
        x = self.b4(self.features(images)[-1].float())
        if not self.config.c_dim:
            return x
        weights = self.mapping(None, c)
        return (x * weights).sum(dim=1, keepdim=True) / math.sqrt(weights.shape[1])


def _group_deviation(x: Tensor, size: int) -> Tensor:
    """The mean standard deviation within groups of pictures, as one more channel.

    Source: Karras et al., "Progressive Growing of GANs", ICLR 2018, section 3.
    """
    batch, channels, height, width = x.shape
    size = next(n for n in range(min(size, batch), 0, -1) if batch % n == 0)
    groups = x.reshape(size, -1, channels, height, width)
    deviation = (groups.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return deviation.repeat(size)[:, None, None, None].expand(-1, 1, height, width)

