"""Friendly errors: each says what is wrong, why it matters and what to do.

Every public method calls these first, so that nothing half-done is left behind.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral, Real

import torch
from torch import Tensor


@contextmanager
def optional_packages(what: str, *packages: str, instead: str = "") -> Iterator[None]:
    """Around the imports of packages that only `what` needs.

    Args:
        instead: what does without them.
    Raises:
        ModuleNotFoundError: one of them is not installed; it says how to install them all.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{what} needs {' and '.join(packages)}, which the lessons do without, so the course "
            f"does not install that: pip install {' '.join(packages)}"
            f"{', or ' + instead if instead else ''}."
        ) from error


def require_floats(tensor: object, name: str, *, axes: int = 0) -> None:
    """Raise a `ValueError` unless `tensor` holds floats along at least so many `axes`.

    It reads no value, so that it costs nothing inside a solver's loop.
    """
    if isinstance(getattr(tensor, "value", None), Tensor):
        raise ValueError(
            f"{name} is a {type(tensor).__name__}, which holds its tensor and how that was found, "
            f"but only the tensor is needed: pass its .value."
        )
    if not isinstance(tensor, Tensor):
        raise ValueError(
            f"{name} is a {type(tensor).__name__}, but the course computes on torch tensors: "
            f"convert it with torch.as_tensor, or load pictures with images.load_image."
        )
    if not tensor.is_floating_point():
        raise ValueError(
            f"{name} holds {str(tensor.dtype).removeprefix('torch.')} values, whose arithmetic "
            f"would round or overflow: convert it to floats (pictures to [0, 1]) first."
        )
    if tensor.ndim < axes:
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}, but {axes} axes are needed, the last being "
            f"(channels, height, width): add the missing ones, for instance with {name}[None]."
        )


def require_finite(tensor: object, name: str) -> None:
    """Raise a `ValueError` unless `tensor` holds floats without NaN or infinity."""
    require_floats(tensor, name)
    # A sum is the cheapest test that sees every NaN and infinity.
    if not torch.isfinite(tensor.sum()) and not torch.isfinite(tensor).all():
        broken = int((~torch.isfinite(tensor)).sum())
        raise ValueError(
            f"{name} has NaN or infinity in {broken} places, which would spread over the whole "
            f"result: replace them, for instance with torch.nan_to_num."
        )


def require_image(image: object, name: str = "image", *, solvable: bool = False) -> None:
    """Raise a `ValueError` unless `image` is finite floats, (..., channels, height, width).

    `solvable` refuses half precision, too, in which no linear system can be solved.
    """
    if solvable and isinstance(image, Tensor) and image.is_floating_point() and image.itemsize < 4:
        raise ValueError(
            f"{name} holds {str(image.dtype).removeprefix('torch.')} values, too coarse to solve "
            f"for a picture: convert it with {name}.float()."
        )
    require_finite(image, name)
    if image.ndim < 3:
        raise ValueError(
            f"{name} has shape {tuple(image.shape)}, but a picture has three axes "
            f"(channels, height, width): add the channel axis with {name}[None]."
        )
    if image.numel() == 0:
        raise ValueError(
            f"{name} has shape {tuple(image.shape)}, so there is no pixel to work on: "
            f"pass a picture with at least one pixel and one channel."
        )
    if image.shape[-1] in (3, 4) and image.shape[-3] > 4 and image.shape[-2] > 4:
        raise ValueError(
            f"{name} has shape {tuple(image.shape)}, which looks like (height, width, channels), "
            f"but the channels come first here: use {name}.movedim(-1, -3)."
        )


def require_photo(photo: object) -> None:
    """Raise a `ValueError` unless `photo` is one picture of red, green and blue, (3, H, W), in
    [0, 1].
    """
    require_image(photo, "photo")
    if photo.ndim != 3 or photo.shape[0] != 3:
        raise ValueError(
            f"photo has shape {tuple(photo.shape)}, but one picture of red, green and blue is "
            f"edited at a time, (3, height, width): pass photo[0] of a batch, photo[:3] where "
            f"there is a fourth channel, photo.expand(3, -1, -1) of a grey one."
        )
    require_unit_range(photo, "photo")


def require_unit_range(image: Tensor, name: str) -> None:
    """Raise a `ValueError` if `image` is in [0, 255] or [-1, 1] rather than in about [0, 1].

    What a generator draws may overshoot; of the shipped ones in 3 % of the values below -0.1.
    """
    low, high = float(image.min()), float(image.max())
    if high > 2 or low < -1:
        raise ValueError(
            f"{name} reaches from {low:.3g} to {high:.3g}, but pictures are in [0, 1] here: "
            f"divide by 255 first."
        )
    if high <= 1 and (image < -0.1).float().mean() > 0.04:
        raise ValueError(
            f"{name} reaches from {low:.3g} to {high:.3g}, as pictures in [-1, 1] do, but they "
            f"are in [0, 1] here, so it would be taken for a darker one: pass ({name} + 1) / 2."
        )


def require_mask(mask: object, size: Sequence[int], name: str = "mask") -> None:
    """Raise a `ValueError` unless `mask` is boolean, has this `size` and a True pixel."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        kind = str(mask.dtype) if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(
            f"{name} holds {kind} values, so it is unclear which pixels are meant: "
            f"pass a boolean tensor, for instance {name} > 0.5."
        )
    if tuple(mask.shape) != tuple(size):
        raise ValueError(
            f"{name} has shape {tuple(mask.shape)}, but its picture is {tuple(size)} "
            f"(height, width), so they do not lie on each other: resize or crop one of them."
        )
    if not mask.count_nonzero():
        raise ValueError(
            f"{name} is empty, so there is nothing to solve for: set at least one pixel to True."
        )


def require_region(mask: object, size: Sequence[int], name: str = "mask") -> None:
    """Raise a `ValueError` unless `mask` is one (see `require_mask`) with a False pixel, too."""
    require_mask(mask, size, name)
    if mask.count_nonzero() == mask.numel():
        raise ValueError(
            f"{name} covers all {mask.numel()} pixels, so no Dirichlet boundary is left to fix "
            f"the colour: set at least one pixel to False."
        )


def require_callback(callback: object) -> None:
    """Raise a `ValueError` unless `callback` can be called, or is None."""
    if callback is not None and not callable(callback):
        raise ValueError(
            f"callback is a {type(callback).__name__}, which can't be called after each step: "
            f"pass a function of (step, picture), or None."
        )


def require_field(field: object, image: Tensor, names: tuple[str, str]) -> None:
    """Raise a `ValueError` unless `field` is finite, of the shape and on the device of ∇`image`."""
    require_finite(field, names[0])
    expected = (*image.shape[:-3], 2, *image.shape[-3:])
    if field.shape != expected:
        raise ValueError(
            f"{names[0]} has shape {tuple(field.shape)}, but {names[1]}'s gradient has {expected}, "
            f"so they can't be compared: make it with gradients.gradient."
        )
    require_same_device(field, image, names)


def require_same_shape(a: Tensor, b: Tensor, names: tuple[str, str]) -> None:
    """Raise a `ValueError` unless `a` and `b` have the same shape and live on one device."""
    if a.shape != b.shape:
        raise ValueError(
            f"{names[0]} has shape {tuple(a.shape)} and {names[1]} has {tuple(b.shape)}, "
            f"but they are combined element by element: bring them to one shape."
        )
    require_same_device(a, b, names)


def require_same_device(a: Tensor, b: Tensor, names: tuple[str, str]) -> None:
    """Raise a `ValueError` unless `a` and `b` live on one device."""
    if a.device != b.device:
        raise ValueError(
            f"{names[0]} is on {a.device} and {names[1]} on {b.device}, so no device can "
            f"compute with both: move one with .to(device)."
        )


def require_option(value: object, options: Sequence[str | None], name: str) -> None:
    """Raise a `ValueError` unless `value` is one of `options`."""
    if not isinstance(value, str | None) or value not in options:
        raise ValueError(
            f"{name} is {value!r}, which is no choice here: "
            f"take one of {', '.join(map(repr, options))}."
        )


def require_number(
    value: object, name: str, *, least: float = -math.inf, most: float = math.inf,
    above: float = -math.inf,
) -> None:
    """Raise a `ValueError` unless `value` is finite, in [`least`, `most`] and > `above`."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(
            f"{name} is a {type(value).__name__}, but it scales the method: pass a plain number."
        )
    try:
        finite = math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        finite = False
    if not (finite and least <= value <= most and value > above):
        bounds = [
            f"above {above:g}" if above > -math.inf else "",
            f"at least {least:g}" if least > -math.inf else "",
            f"at most {most:g}" if most < math.inf else "",
        ]
        wanted = " and ".join(filter(None, bounds)) or "finite"
        raise ValueError(
            f"{name} is {str(value)[:40]}, outside the range where the method is defined: "
            f"choose a number that is {wanted}."
        )


def require_rng(rng: object) -> None:
    """Raise a `ValueError` unless `rng` is torch's source of random numbers."""
    if not isinstance(rng, torch.Generator):
        raise ValueError(
            f"rng is {rng!r:.40}, but random numbers come from a torch.Generator, which remembers "
            f"where it is: pass torch.Generator().manual_seed(0), say."
        )


def require_slopes() -> None:
    """Raise a `ValueError` inside `torch.inference_mode`, where nothing can be minimised."""
    if torch.is_inference_mode_enabled():
        raise ValueError(
            "this is called inside torch.inference_mode, which keeps no slopes to descend along: "
            "call it outside."
        )


def require_count(value: object, name: str, *, least: int = 1, most: int | None = None) -> None:
    """Raise a `ValueError` unless `value` is a whole number in [`least`, `most`]."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        upper = "" if most is None else f" and at most {most}"
        raise ValueError(
            f"{name} is {value!r}, but it counts something: choose a whole number "
            f"of at least {least}{upper}."
        )
