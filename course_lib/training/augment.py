"""What both real and generated pictures go through before the discriminator sees them.

It must not learn the few pictures of a small set by heart. Every step is differentiable, so that
the generator still learns through it.

Source: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Batch = Float[Tensor, "batch 3 height width"]


def augment(
    images: Batch, translation: float, recoloring: float, rng: torch.Generator,
    cutout: float = 0,
) -> Batch:
    """All of the below, laid out as convolutions like it best."""
    images = recolor(translate(images, translation, rng), recoloring, rng)
    images = cut_out(images, cutout, rng)
    return images.contiguous(memory_format=torch.channels_last)


def translate(images: Batch, fraction: float, rng: torch.Generator) -> Batch:
    """Shift each picture by up to `fraction` of its size along both axes; the edge repeats."""
    size = images.shape[-1]
    reach = round(fraction * size)
    if reach == 0:
        return images
    framed = F.pad(images, (reach, reach, reach, reach), mode="replicate")
    left, top = torch.randint(2 * reach + 1, (2, len(images), 1), generator=rng)
    steps = torch.arange(size)
    rows, columns = (top + steps).to(images.device), (left + steps).to(images.device)
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    shifted = framed.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]]
    return shifted.permute(0, 3, 1, 2)


def recolor(images: Batch, strength: float, rng: torch.Generator) -> Batch:
    """Change brightness, saturation and contrast of each picture by up to `strength`."""
    if strength == 0:
        return images
    shape = (3, len(images), 1, 1, 1)
    amounts = (torch.rand(shape, generator=rng) * 2 - 1) * strength
    brightness, saturation, contrast = amounts.to(images.device)
    images = images + brightness
    gray = images.mean(dim=1, keepdim=True)
    images = gray + (images - gray) * (1 + saturation)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (1 + contrast)


def cut_out(images: Batch, fraction: float, rng: torch.Generator) -> Batch:
    """Grey out a square of `fraction` of each picture's size, anywhere, the edges included."""
    size = images.shape[-1]
    if fraction == 0:
        return images
    centers = torch.rand(2, len(images), 1, generator=rng) * size
    steps = torch.arange(size) + 0.5
    rows, columns = ((steps - center).abs() < fraction * size / 2 for center in centers)
    hole = (rows[:, :, None] & columns[:, None, :]).to(images.device)
    return images.masked_fill(hole[:, None], 0)
