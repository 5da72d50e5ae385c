"""What "close" means: distances between a picture G(z) and a target x, one number a picture.

Every loss is a function (image, target) -> (batch,), so that any can be handed to `project`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import (
    require_count,
    require_image,
    require_number,
    require_option,
    require_same_shape,
)
from course_lib.generators.base import Generator
from course_lib.lite0 import load_lite0, shown
from course_lib.shapes import Image
from course_lib.weights import import_torchvision

Loss = Callable[[Tensor, Tensor], Tensor]
"""(image, target), each (batch, channels, height, width) in [0, 1] -> (batch,), 0 if equal."""


def pixel_loss(
    image: Image, target: Image, *, norm: str = "l2"
) -> Float[Tensor, " batch"]:
    """Mean squared ("l2") or absolute ("l1") difference of the intensities."""
    require_option(norm, ("l1", "l2"), "norm")
    _require_pair(image, target)
    difference = image - target
    error = difference.square() if norm == "l2" else difference.abs()
    return error.flatten(1).mean(dim=1)


def perceptual_loss(generator: Generator) -> Loss:
    """Distance in the features of the generator's own discriminator; no download needed.

    At every place of every block, feature vectors are scaled to unit length and compared, as
    LPIPS does; the discriminator has learnt which features matter to pictures of this kind.

    Sources: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual
    Metric", CVPR 2018, eq. 1 (with all channel weights 1); Pan et al., "Exploiting Deep
    Generative Prior", ECCV 2020 (the discriminator's features).

    Raises:
        ValueError: the generator has lost its discriminator.
    """
    if not generator.has_discriminator:
        raise ValueError(
            f"{generator.name} came without its discriminator, whose features would be compared: "
            f"pass loss=pixel_loss, or lpips_loss() where its weights are at hand."
        )

    return _feature_loss(lambda images: generator.discriminator_features(images))


def lite0_loss(*, seen_at: int = 128) -> Loss:
    """Distance in the features of EfficientNet-Lite0, which has seen all sorts of pictures.

    It serves every generator, with or without a discriminator, and pictures of any size.

    Source: as `perceptual_loss`; the network: `course_lib.lite0`.

    Args:
        seen_at: the size at which the network is shown the pictures, at least 32.
    Raises:
        FileNotFoundError: the network's weights are not installed.
    """
    require_count(seen_at, "seen_at", least=32)
    load_lite0()  # or say at once that it is missing
    return _feature_loss(lambda image: load_lite0(image.device)(shown(image, seen_at)))


def _feature_loss(look: Callable[[Tensor], list[Tensor]]) -> Loss:
    """Σ over layers of the mean squared distance of feature vectors of length 1."""
    seen: dict[str, object] = {"target": None}  # a search asks for the same photo at each step

    def loss(image: Image, target: Image) -> Float[Tensor, " batch"]:
        _require_pair(image, target)
        if target.requires_grad or target.is_inference():
            wanted = features(target)
        else:
            if seen["target"] is not target or seen["version"] != target._version:
                with torch.no_grad():
                    seen.update(target=target, version=target._version, features=features(target))
            wanted = seen["features"]
        return sum((a - b).square().sum(dim=1).mean(dim=(1, 2))
                   for a, b in zip(features(image), wanted, strict=True))

    def features(image: Image) -> list[Tensor]:
        return [_unit(one) for one in look(image)]

    return loss


def lpips_loss(net: str = "vgg", *, device: torch.device | str = "cpu") -> Loss:
    """LPIPS of the `lpips` package; pictures in [0, 1] are brought to its [-1, 1].

    Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual
    Metric", CVPR 2018.

    Args:
        net: the backbone, "vgg" | "alex" | "squeeze". Its weights are torchvision's, downloaded
            once into torch's cache.
    Raises:
        ModuleNotFoundError: the packages lpips and torchvision are not installed.
        FileNotFoundError: the weights are not in the cache and can't be downloaded.
    """
    require_option(net, ("vgg", "alex", "squeeze"), "net")
    try:
        import_torchvision()
        import lpips
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "LPIPS needs the packages lpips and torchvision, which the lessons do without, so "
            "they are not installed with the course: pip install lpips torchvision."
        ) from error
    try:
        model = lpips.LPIPS(net=net, verbose=False).to(device).eval().requires_grad_(False)
    except (OSError, RuntimeError) as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise FileNotFoundError(
            f"LPIPS needs the {net} network's weights, which are not in {folder} and could not be "
            f"downloaded ({error}): run once with internet, or use perceptual_loss(generator), "
            f"which ships with the course."
        ) from error

    def loss(image: Image, target: Image) -> Float[Tensor, " batch"]:
        _require_pair(image, target)
        return model(image, target, normalize=True).flatten()

    return loss


def weighted_sum(losses: Mapping[Loss, float]) -> Loss:
    """Σ weight · loss, with one weight a loss."""
    if not losses:
        raise ValueError("losses is empty, so nothing would be compared: name at least one loss.")
    for weight in losses.values():
        require_number(weight, "weight", least=0)

    def loss(image: Image, target: Image) -> Float[Tensor, " batch"]:
        return sum(weight * term(image, target) for term, weight in losses.items())

    return loss


def _unit(features: Tensor) -> Tensor:
    """Feature vectors of length 1, (batch, channels, height, width)."""
    return features * (features.square().sum(dim=1, keepdim=True) + 1e-10).rsqrt()


def _require_pair(image: Tensor, target: Tensor) -> None:
    require_image(image)
    require_same_shape(image, target, ("image", "target"))
    if image.ndim != 4:
        raise ValueError(
            f"image has shape {tuple(image.shape)}, but batches (batch, channels, height, width) "
            f"are compared, one number a picture: add the batch axis with image[None]."
        )
