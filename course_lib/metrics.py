"""Numbers for how well a generator or a projection did."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_image
from course_lib.shapes import Image

PATCH = 7  # pixels, as in the paper


def sliced_wasserstein(
    first: Image, second: Image, *, rng: torch.Generator,
    patches: int = 64, projections: int = 128,
) -> Float[Tensor, " levels"]:
    """How far two sets of pictures differ in their patches, at every scale; times 1000.

    Patches of 7x7 pixels from each level of a Laplacian pyramid are projected onto random
    directions; along each, the two sets' sorted values are compared (the Wasserstein distance in
    one dimension). It needs no pretrained network. Two halves of one set give the floor.

    Source: Karras et al., "Progressive Growing of GANs", ICLR 2018, section 5.

    Args:
        first, second: equally many pictures (pictures, channels, r, r) in [0, 1].
        patches: drawn from each picture and level.
        projections: number of random directions.
    Returns:
        One distance a level, from the full resolution down to 16².
    Raises:
        ValueError: the sets differ in shape, or are smaller than 16².
    """
    for name, images in (("first", first), ("second", second)):
        require_image(images, name)
    if first.shape != second.shape or first.ndim != 4 or first.shape[-1] < 16:
        raise ValueError(
            f"first has shape {tuple(first.shape)} and second {tuple(second.shape)}, but sets of "
            f"equally many pictures of one size, at least 16², are compared: cut them to that."
        )
    require_count(patches, "patches")
    require_count(projections, "projections")
    distances = []
    for a, b in zip(_laplacian_pyramid(first), _laplacian_pyramid(second), strict=True):
        a, b = (_descriptors(level, patches, rng) for level in (a, b))
        directions = torch.randn(a.shape[1], projections, generator=rng).to(a)
        directions /= directions.norm(dim=0)
        along_a, along_b = ((set_ @ directions).sort(dim=0).values for set_ in (a, b))
        distances.append((along_a - along_b).abs().mean() * 1000)
    return torch.stack(distances)


def _laplacian_pyramid(images: Tensor) -> list[Tensor]:
    """Detail at each resolution down to 32², then the rest at 16²."""
    levels = []
    while images.shape[-1] > 16:
        smaller = F.avg_pool2d(_blur(images), 2)
        larger = F.interpolate(smaller, scale_factor=2, mode="bilinear")
        levels.append(images - larger)
        images = smaller
    return [*levels, images]


def _blur(images: Tensor) -> Tensor:
    row = torch.tensor([1.0, 4, 6, 4, 1], device=images.device, dtype=images.dtype) / 16
    kernel = torch.outer(row, row).expand(images.shape[1], 1, 5, 5)
    framed = F.pad(images, (2, 2, 2, 2), mode="reflect")
    return F.conv2d(framed, kernel, groups=images.shape[1])


def _descriptors(level: Tensor, patches: int, rng: torch.Generator) -> Tensor:
    """Patches (pictures * patches, channels * 49), each channel normalised over the set."""
    pictures, _, height, width = level.shape
    count = pictures * patches
    rows = torch.randint(height - PATCH + 1, (count, 1, 1), generator=rng)
    columns = torch.randint(width - PATCH + 1, (count, 1, 1), generator=rng)
    steps = torch.arange(PATCH)
    index = torch.arange(pictures).repeat_interleave(patches)[:, None, None]
    place = [axis.to(level.device) for axis in (index, rows + steps[:, None], columns + steps)]
    found = level.permute(0, 2, 3, 1)[place[0], place[1], place[2]]
    mean, std = found.mean(dim=(0, 1, 2)), found.std(dim=(0, 1, 2))
    return ((found - mean) / std.clamp(min=1e-8)).flatten(1)
