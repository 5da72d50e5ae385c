"""What "close" means: distances between a picture G(z) and a target x, one number a picture.

Every loss is a function (image, target) -> (batch,), so that any can be handed to `project`. A
search that keeps its target calls `fix_target` once, so that nobody looks at the target again.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.caching import Cache
from course_lib.checks import (
    optional_packages,
    require_count,
    require_image,
    require_number,
    require_option,
    require_same_shape,
)
from course_lib.generators.base import Generator
from course_lib.lite0 import arrange_pictures, load_lite0
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


def perceptual_loss(generator: Generator) -> "FeatureLoss":
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

    return FeatureLoss(lambda images: generator.discriminator_features(images))


def lite0_loss(*, seen_at: int = 128) -> "FeatureLoss":
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
    return FeatureLoss(lambda image: load_lite0(image.device)(arrange_pictures(image, seen_at)))


class FeatureLoss:
    """Σ over layers of the mean squared distance of feature vectors of length 1.

    The last target's features are kept as long as the target holds the same numbers.

    Args:
        look: pictures (batch, channels, height, width) -> features (batch, c, h, w) by layer.
    """

    def __init__(self, look: Callable[[Tensor], list[Tensor]]) -> None:
        self._look, self._kept = look, Cache()

    def __call__(self, image: Image, target: Image) -> Float[Tensor, " batch"]:
        """The distance of each pair."""
        _require_pair(image, target)
        if target.requires_grad or target.is_inference():
            return _distance(self._features(image), self._features(target))
        wanted = self._kept.get("target", [target], lambda: self._wanted(target))
        return _distance(self._features(image), wanted)

    def fixed(self, target: Image) -> Callable[[Image], Float[Tensor, " batch"]]:
        """The distance from this target alone, whose features are looked at now."""
        wanted = self._wanted(target)

        def loss(image: Image) -> Float[Tensor, " batch"]:
            _require_pair(image, target)
            return _distance(self._features(image), wanted)

        return loss

    def _features(self, image: Tensor) -> list[Tensor]:
        return [_unit(one) for one in self._look(image)]

    @torch.no_grad()
    def _wanted(self, target: Tensor) -> list[Tensor]:
        return self._features(target)


def fix_target(loss: Loss, target: Image) -> Callable[[Image], Float[Tensor, " batch"]]:
    """image -> loss(image, target); losses with a method `fixed` look at the target only now."""
    if hasattr(loss, "fixed"):
        return loss.fixed(target)
    return lambda image: loss(image, target)


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
    with optional_packages("LPIPS", "lpips", "torchvision"):
        import_torchvision()
        import lpips
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


def weighted_sum(losses: Mapping[Loss, float]) -> "WeightedSum":
    """Σ weight · loss, with one weight a loss."""
    if not losses:
        raise ValueError("losses is empty, so nothing would be compared: name at least one loss.")
    for weight in losses.values():
        require_number(weight, "weight", least=0)
    return WeightedSum(losses)


class WeightedSum:
    """Σ weight · loss."""

    def __init__(self, losses: Mapping[Loss, float]) -> None:
        self.losses = dict(losses)

    def __call__(self, image: Image, target: Image) -> Float[Tensor, " batch"]:
        """The sum for each pair."""
        return sum(weight * loss(image, target) for loss, weight in self.losses.items())

    def fixed(self, target: Image) -> Callable[[Image], Float[Tensor, " batch"]]:
        """The sum for this target alone, with each of its losses fixed to it."""
        terms = [(fix_target(loss, target), weight) for loss, weight in self.losses.items()]
        return lambda image: sum(weight * term(image) for term, weight in terms)


def _distance(first: list[Tensor], second: list[Tensor]) -> Float[Tensor, " batch"]:
    return sum((a - b).square().sum(dim=1).mean(dim=(1, 2))
               for a, b in zip(first, second, strict=True))


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
