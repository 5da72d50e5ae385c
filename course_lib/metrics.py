"""Numbers for how well a generator, a projection or an edit did; of features: `losses`."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_image, require_rng, require_same_shape
from course_lib.generators.base import Generator
from course_lib.gradients import gradient
from course_lib.lite0 import arrange_pictures, load_lite0
from course_lib.losses import pixel_loss
from course_lib.shapes import Image, Latent

PATCH = 7  # pixels, as in the paper


def psnr(image: Image, target: Image) -> Float[Tensor, " batch"]:
    """Peak signal-to-noise ratio in dB, −10 log₁₀ of the mean squared error: more is closer.

    Args:
        image, target: batches (batch, channels, height, width) in [0, 1], the peak being 1.
    """
    return -10 * pixel_loss(image, target).log10()


def ssim(image: Image, target: Image) -> Float[Tensor, " batch"]:
    """Structural similarity, 1 for equal pictures; by scikit-image, with the paper's window.

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural
    Similarity", TIP 2004: Gaussian weights with σ = 1.5 in 11x11 windows.

    Args:
        image, target: batches (batch, channels, height, width) in [0, 1], at least 11² pixels.
    """
    from skimage.metrics import structural_similarity

    require_same_shape(image, target, ("image", "target"))
    pairs = zip(image.detach().cpu().numpy(), target.detach().cpu().numpy(), strict=True)
    found = [
        structural_similarity(a, b, channel_axis=0, data_range=1.0, gaussian_weights=True,
                              sigma=1.5, use_sample_covariance=False)
        for a, b in pairs
    ]
    return torch.tensor(found, dtype=image.dtype, device=image.device)


def nearest_sample(
    generator: Generator, images: Image, samples: Float[Tensor, "n channels height width"]
) -> Float[Tensor, " batch"]:
    """How far each picture is from the nearest of the generator's samples, by its own features.

    Small on the manifold, large off it: compare with what fresh samples score.

    Args:
        images: (batch, 3, r, r) in [0, 1].
        samples: (n, 3, r, r), many random pictures of the generator.
    Returns:
        Mean squared differences of the discriminator's coarsest features, or of pixels where it
        is lost.
    """
    def describe(pictures: Tensor) -> Tensor:
        found = [
            (generator.discriminator_features(part) or [part])[-1].flatten(1)
            for part in pictures.split(100)
        ]
        return torch.cat(found)

    a, b = describe(images), describe(samples)
    return torch.cdist(a, b).square().min(dim=1).values / a.shape[1]


def detail_energy(image: Image) -> Float[Tensor, " *batch"]:
    """Gradient energy of the top octave, Σ ‖∇(u − ū)‖²: ū lacks what half the size can't hold."""
    require_image(image)
    pictures = image.reshape(-1, *image.shape[-3:])
    half = [max(1, side // 2) for side in image.shape[-2:]]
    small = F.interpolate(pictures, half, mode="bilinear", antialias=True)
    fine = pictures - F.interpolate(small, image.shape[-2:], mode="bicubic")
    return gradient(fine).square().flatten(1).sum(dim=1).reshape(image.shape[:-3])


def edit_consistency(
    generator: Generator, invert: Callable[[Image], Latent], images: Image,
    change: Float[Tensor, "..."], *, space: str,
) -> Float[Tensor, " batch"]:
    """Whether an edit survives projection: invert, edit, draw, invert again, undo the edit.

    The root mean square of what the two codes differ by, in deviations of the space; 0 if the
    inversion is the generator's inverse wherever the edit leads. Reconstruction is not editing:
    codes far off the manifold reconstruct well and score badly here.

    Source: Tov et al., "Designing an Encoder for StyleGAN Image Manipulation", SIGGRAPH 2021
    (latent editing consistency).

    Args:
        invert: pictures (batch, 3, r, r) -> codes of `space`.
        change: what the edit adds to a code.
    """
    first = invert(images)
    again = invert(generator.decode(first + change, space=space).clamp(0, 1)) - change
    off = (again - first) / generator.latent_std(space)
    return off.square().flatten(1).mean(dim=1).sqrt()


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
    require_rng(rng)
    distances = []
    for a, b in zip(_laplacian_pyramid(first), _laplacian_pyramid(second), strict=True):
        a, b = (_descriptors(level, patches, rng) for level in (a, b))
        directions = torch.randn(a.shape[1], projections, generator=rng).to(a)
        directions /= directions.norm(dim=0)
        along_a, along_b = ((set_ @ directions).sort(dim=0).values for set_ in (a, b))
        distances.append((along_a - along_b).abs().mean() * 1000)
    return torch.stack(distances)


@torch.no_grad()
def frechet_distance(
    real: Float[Tensor, "pictures 3 _ _"], generated: Float[Tensor, "others 3 _ _"], *,
    seen_at: int = 128,
) -> float:
    """How far two sets of pictures differ in what a network that knows the world sees in them.

    As the Fréchet inception distance, with the 320 numbers of EfficientNet-Lite0's last block,
    averaged over the picture, in place of Inception's 2,048: so its values compare with one
    another, not with those of papers. Small sets lie too far apart (fewer than some 1,000
    pictures each); two halves of the real set give the floor.

    Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", NeurIPS 2017, eq. 6.

    Args:
        real, generated: (pictures, 3, r, r) in [0, 1], at least two each, of any sizes.
        seen_at: the size at which the network is shown the pictures.
    Raises:
        ValueError: a set has fewer than two pictures, or is no batch of colour pictures.
        FileNotFoundError: the network's weights are not installed.
    """
    for name, images in (("real", real), ("generated", generated)):
        require_image(images, name)
        if images.ndim != 4 or images.shape[1] != 3 or len(images) < 2:
            raise ValueError(
                f"{name} has shape {tuple(images.shape)}, but a set of at least two colour "
                f"pictures, (pictures, 3, height, width), has a mean and a covariance."
            )
    described = [
        torch.cat([
            load_lite0(part.device)(arrange_pictures(part, seen_at))[-1].mean(dim=(2, 3)).double()
            for part in images.split(50)
        ])
        for images in (real, generated)
    ]
    return _frechet(*described)


def _frechet(first: Tensor, second: Tensor) -> float:
    """‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½) of two sets of vectors (n, dim).

    The last trace is that of the symmetric (Σ₁^½ Σ₂ Σ₁^½)^½.
    """
    values, vectors = torch.linalg.eigh(torch.cov(first.T))
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ torch.cov(second.T) @ root).clamp(min=0).sqrt().sum()
    spread = first.var(dim=0).sum() + second.var(dim=0).sum()
    return float((first.mean(dim=0) - second.mean(dim=0)).square().sum() + spread - 2 * shared)


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
