"""The network of a diffusion model: what the clean picture was, of a noisy one.

It looks at patches, turned to the principal axes of the set's patches, and learns what is left
over beside the best linear guess on each axis: where an axis hardly varies, that guess is all
there is to know, and no noise of it is left in the picture. A second look, at the picture's own
size, goes over the seams between patches.

Sources: Ho et al., "Denoising Diffusion Probabilistic Models", NeurIPS 2020, appendix B (U-Net);
Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis", NeurIPS 2021, section 3
(conditions scale and shift the norms); Karras et al., "Elucidating the Design Space of
Diffusion-Based Generative Models", NeurIPS 2022, section 5 (what a network should see and say; here
on every axis for itself).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

Features = Float[Tensor, "batch _ _ _"]  # (batch, channels, height, width)
Times = Float[Tensor, " batch"]
Labels = Int64[Tensor, "batch conditions"]
"""Of each condition the number of its word, from 1 on; 0 where nothing is said."""


@dataclass(frozen=True)
class DiffusionConfig:
    """The shape of a diffusion model.

    Attributes:
        resolution: of the pictures; patch: side of the squares that the network reads as one.
        channels: of the U-Net's levels, each half the size of the one before.
        blocks: of each level; told: length of what the blocks are told of time and labels.
        kinds, colors: the words of the two conditions; empty for a model without.
        fine: channels of the blocks that look again at the picture's own size; 0 for none.
    """

    resolution: int = 64
    patch: int = 4
    channels: Sequence[int] = (96, 128)
    blocks: int = 1
    told: int = 128
    kinds: Sequence[str] = ()
    colors: Sequence[str] = ()
    fine: int = 0

    def __post_init__(self):
        for name in ("channels", "kinds", "colors"):  # a file has lists
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def axes(self) -> int:
        """Numbers of a patch."""
        return 3 * self.patch**2

    def require_said(self, labels: Labels | None, batch: int, name: str) -> None:
        """Raise a `ValueError` unless there is a word, or 0, for each condition of each code."""
        known = [words for words in (self.kinds, self.colors) if words]
        if labels is None:
            return
        if tuple(labels.shape) != (batch, len(known)):
            raise ValueError(
                f"labels have shape {tuple(labels.shape)}, but {name} is told {len(known)} "
                f"words of each of {batch} codes: pass ({batch}, {len(known)}) numbers."
            )
        for column, words in zip(labels.unbind(1), known, strict=True):
            if not ((column >= 0) & (column <= len(words))).all():
                raise ValueError(
                    f"labels hold {int(column.max())}, but there are {len(words)} words, counted "
                    f"from 1: 0 says nothing."
                )


class PatchAxes(nn.Module):
    """Pictures as patches, on the principal axes of the set's patches, and back.

    The axes are orthonormal: noise stays noise, and lengths stay lengths.
    """

    def __init__(self, patch: int):
        super().__init__()
        self.patch, count = patch, 3 * patch**2
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("axes", torch.eye(count))
        self.register_buffer("variance", torch.ones(count))

    @torch.no_grad()
    def fit(self, images: Float[Tensor, "n 3 r r"]) -> None:
        """Take the axes of these pictures, in [-1, 1]."""
        patches = F.pixel_unshuffle(images, self.patch).permute(0, 2, 3, 1).flatten(0, 2).double()
        variance, axes = torch.linalg.eigh(torch.cov(patches.T))
        self.mean.copy_(patches.mean(dim=0))
        self.variance.copy_(variance.flip(0).clamp(min=1e-6))
        self.axes.copy_(axes.flip(1).T)

    def forward(self, images: Float[Tensor, "batch 3 r r"], scale: Tensor | float = 1) -> Features:
        """(batch, axes, r / patch, r / patch), the mean, times `scale` (batch, 1, 1, 1), apart."""
        x = F.pixel_unshuffle(images, self.patch) - scale * self.mean[:, None, None]
        return torch.einsum("ac,bchw->bahw", self.axes, x)

    def back(
        self, x: Features, scale: Tensor | float = 1
    ) -> Float[Tensor, "batch 3 r r"]:
        """The pictures, with the mean, times `scale`, put back."""
        patches = torch.einsum("ac,bahw->bchw", self.axes, x) + scale * self.mean[:, None, None]
        return F.pixel_shuffle(patches, self.patch)


class Block(nn.Module):
    """Two convolutions beside a path; what is told scales and shifts between them."""

    def __init__(self, inputs: int, outputs: int, told: int):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(8, inputs), nn.GroupNorm(8, outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.told = nn.Linear(told, 2 * outputs)
        self.path = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Features, told: Tensor) -> Features:
        """(batch, inputs, h, w) -> (batch, outputs, h, w)."""
        scale, shift = self.told(told)[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(self.conv1(F.silu(self.norm1(x)))) * (1 + scale) + shift
        return self.path(x) + self.conv2(F.silu(h))


class Attention(nn.Module):
    """Every place looks at all the others."""

    def __init__(self, channels: int, heads: int = 4):
        super().__init__()
        self.norm, self.heads = nn.GroupNorm(8, channels), heads
        self.read = nn.Conv2d(channels, 3 * channels, 1)
        self.write = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.write.weight)

    def forward(self, x: Features) -> Features:
        """Features of x's shape."""
        read = self.read(self.norm(x)).flatten(2).unflatten(1, (3, self.heads, -1)).mT
        query, key, value = (one.contiguous() for one in read.unbind(1))
        taken = F.scaled_dot_product_attention(query, key, value)
        return x + self.write(taken.mT.flatten(1, 2).unflatten(2, x.shape[2:]))


class UNet(nn.Module):
    """Down the levels and up again, each level's features handed across."""

    def __init__(self, config: DiffusionConfig):
        super().__init__()
        told, widths = config.told, config.channels
        self.time = nn.Sequential(nn.Linear(told, told), nn.SiLU(), nn.Linear(told, told))
        self.words = nn.ModuleList(nn.Embedding(1 + len(words), told)
                                   for words in (config.kinds, config.colors) if words)
        self.first = nn.Conv2d(config.axes, widths[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        before = widths[0]
        for width in widths:
            self.down.append(nn.ModuleList(
                Block(before if number == 0 else width, width, told)
                for number in range(config.blocks)))
            before = width
        self.attention = Attention(before)
        self.middle = Block(before, before, told)
        for width in reversed(widths):
            self.up.append(nn.ModuleList(
                Block((before if number == 0 else width) + width, width, told)
                for number in range(config.blocks)))
            before = width
        self.norm, self.last = nn.GroupNorm(8, before), nn.Conv2d(before, config.axes, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        hints = config.fine // 2 * config.patch**2
        self.hints = nn.Conv2d(before, hints, 1) if hints else None

    def tell(self, t: Times, labels: Labels | None = None) -> Float[Tensor, "batch told"]:
        """What the blocks are told of time and labels."""
        told = self.time(waves(t, self.time[0].in_features))
        for column, words in enumerate(self.words):
            chosen = torch.zeros_like(t, dtype=torch.long) if labels is None else labels[:, column]
            told = told + words(chosen)
        return F.silu(told)

    def forward(self, x: Features, told: Tensor, seen: list[Tensor] | None = None) -> Features:
        """Features of x's shape, and hints for the fine blocks below them, where there are any.

        What the middle makes goes into `seen`.
        """
        x, kept = self.first(x), []
        for level, blocks in enumerate(self.down):
            x = F.avg_pool2d(x, 2) if level else x
            for block in blocks:
                x = block(x, told)
                kept.append(x)
        x = self.middle(self.attention(x), told)
        if seen is not None:
            seen.append(x)
        for level, blocks in enumerate(self.up):
            x = F.interpolate(x, scale_factor=2, mode="nearest") if level else x
            for block in blocks:
                x = block(torch.cat([x, kept.pop()], dim=1), told)
        x = F.silu(self.norm(x))
        if self.hints is None:
            return self.last(x)
        return torch.cat([self.last(x), self.hints(x)], dim=1)


class FineBlocks(nn.Module):
    """A second look, at the picture's own size, at what the U-Net added."""

    def __init__(self, config: DiffusionConfig):
        super().__init__()
        width, self.patch = config.fine, config.patch
        self.first = nn.Conv2d(6 + width // 2, width, 3, padding=1)
        self.blocks = nn.ModuleList(Block(width, width, config.told) for _ in range(2))
        self.norm, self.last = nn.GroupNorm(8, width), nn.Conv2d(width, 3, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(
        self, shown: Features, added: Features, hints: Features, told: Tensor
    ) -> Float[Tensor, "batch 3 r r"]:
        """What is to be added besides.

        Args:
            shown, added: what the U-Net saw and what it added, as pictures (batch, 3, r, r).
            hints: its last channels, (batch, fine / 2 * patch², r / patch, r / patch).
        """
        x = self.first(torch.cat([shown, added, F.pixel_shuffle(hints, self.patch)], dim=1))
        for block in self.blocks:
            x = block(x, told)
        return self.last(F.silu(self.norm(x)))


def waves(t: Times, count: int) -> Float[Tensor, "batch count"]:
    """Sines and cosines of t in [0, 1], from slow to fast."""
    speeds = 1000 ** (torch.arange(count // 2, device=t.device) / (count // 2 - 1))
    angles = t[:, None] * speeds * math.pi / 2
    return torch.cat([angles.sin(), angles.cos()], dim=1)
