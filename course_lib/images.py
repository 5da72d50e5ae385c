"""Pictures in and out: loading, cropping, saving, and the device to compute on.

A picture is a float tensor (3, height, width) in [0, 1], RGB.
"""

import math
import os
from pathlib import Path

import numpy as np
import PIL
import PIL.Image
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from course_lib.checks import require_count, require_image
from course_lib.pixels import SAMPLES, read_pixels
from course_lib.shapes import Image
from course_lib.thrift import spare_compiler
from course_lib.writing import whole_file

ICONS = ("ICO", "ICNS")  # formats that change a picture's size
MAX_SIDE = 16384  # of a resized or cropped picture, in pixels: beyond, memory runs out first

spare_compiler()  # here, as no lesson does without this module


def default_device() -> torch.device:
    """The device to compute on: `COURSE_DEVICE` if it is set, else cuda, mps or cpu.

    Raises:
        ValueError: `COURSE_DEVICE` names no device that torch can compute on here.
    """
    asked = os.environ.get("COURSE_DEVICE", "").strip()
    if asked:
        return usable_device(asked, "COURSE_DEVICE")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def sample_names() -> list[str]:
    """The names of the photographs that ship with the course, or inside installed packages."""
    return sorted(SAMPLES)


def load_image(
    source: str | Path | PIL.Image.Image | np.ndarray,
    *,
    size: int | None = None,
    device: torch.device | str | None = None,
) -> Float[Tensor, "3 height width"]:
    """Read a picture, upright and in RGB.

    Args:
        source: a path, a PIL image, an array (height, width[, 1, 3 or 4]) of bool, uint8,
            uint16 or of floats in [0, 1], or the name of a sample (`sample_names()`). A
            camera's EXIF orientation and a file's colour profile are applied, so that colours
            are sRGB's; transparent pixels are laid on white.
        size: the longer side of the result in pixels, the aspect ratio kept. None keeps
            the size.
        device: where the tensor goes; `default_device()` if None.
    Returns:
        intensities in [0, 1].
    Raises:
        FileNotFoundError: no such file and no such sample.
        ValueError: the file is no picture, is broken, or is too large to be safe; or
            torch can't compute on `device` here.
    """
    if size is not None:
        require_count(size, "size", most=MAX_SIDE)
    device = default_device() if device is None else usable_device(device, "device")
    pixels = torch.from_numpy(read_pixels(source)).movedim(-1, 0)
    if size is not None:
        scale = size / max(pixels.shape[-2:])
        pixels = _resize(pixels, [max(1, round(side * scale)) for side in pixels.shape[-2:]])
    return pixels.contiguous().to(device)


def crop_square(
    image: Image,
    *,
    centre: tuple[float, float] | None = None,
    size: int | None = None,
    resolution: int | None = None,
) -> Float[Tensor, "*batch channels side side"]:
    """Cut a square out of a picture, for photos whose subject is not centred.

    Args:
        image: the picture.
        centre: (x, y) of the square's centre in pixels; the picture's own if None.
        size: side of the square in pixels; the picture's shorter side if None. Where the
            square hangs over the picture, the border pixels are repeated.
        resolution: side of the result in pixels, resized with anti-aliasing; `size` if None.
    Raises:
        ValueError: a size is not a positive number, or the centre is outside the picture.
    """
    require_image(image)
    height, width = image.shape[-2:]
    x, y = _inside(centre, width, height)
    size = min(height, width) if size is None else size
    resolution = size if resolution is None else resolution
    require_count(size, "size", most=max(MAX_SIDE, height, width))
    require_count(resolution, "resolution", most=max(MAX_SIDE, size))
    # Not round(): it goes to the even neighbour, so that the square would move in jumps of two.
    left, top = (math.floor(c - (size - 1) / 2 + 0.5) for c in (x, y))
    rows = torch.arange(top, top + size, device=image.device).clamp(0, height - 1)
    columns = torch.arange(left, left + size, device=image.device).clamp(0, width - 1)
    square = image[..., rows, :][..., columns]
    return square if resolution == size else _resize(square, [resolution, resolution])


def to_uint8(image: Image) -> UInt8[np.ndarray, "height width 3"]:
    """One picture, clamped to [0, 1], as an array of bytes; grey becomes RGB.

    Raises:
        ValueError: `image` is a batch, or has neither 1 nor 3 channels.
    """
    require_image(image)
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(
            f"image has shape {tuple(image.shape)}, but one grey or RGB picture is shown or "
            f"saved at a time: pass (1 or 3, height, width), for instance image[0] of a batch."
        )
    pixels = (image.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    return pixels.expand(3, -1, -1).movedim(0, -1).cpu().numpy()


def save_image(image: Image, path: str | Path) -> None:
    """Write one picture, clamped to [0, 1]; the file's ending chooses the format.

    The file appears whole or not at all, and keeps the permissions of one that was there.

    Raises:
        ValueError: the ending names no picture format, `image` is not one picture, or it
            can't be written.
        FileNotFoundError: the folder does not exist.
    """
    if not isinstance(path, str | Path):
        raise ValueError(
            f"path is a {type(path).__name__}, which names no file: pass a string or a Path."
        )
    path = Path(os.path.expanduser(path))
    kind = PIL.Image.registered_extensions().get(path.suffix.lower())
    if kind not in PIL.Image.SAVE or kind in ICONS:
        raise ValueError(
            f"{path.name!r} does not end in a picture format that can be written: "
            f"use .png (exact) or .jpg (small)."
        )
    if not os.path.isdir(path.parent):
        raise FileNotFoundError(
            f"{str(path.parent)!r} is no folder, so the picture can't be written into it: "
            f"create it first, or choose another."
        )
    picture = PIL.Image.fromarray(to_uint8(image))
    try:
        with whole_file(path) as part:
            picture.save(part, format=kind, quality=95)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path.name!r} can't be written ({error}), so nothing was saved: check the folder's "
            f"permissions and free space, or choose .png."
        ) from error


def usable_device(device: torch.device | str, name: str) -> torch.device:
    """The device, after a trial; a `ValueError` that calls it `name` if it can't compute here."""
    try:
        torch.zeros(1, device=device).item()
        return torch.device(device)
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name} is {str(device)!r}, on which torch can't compute here: use cpu, "
            f"cuda (with an NVIDIA card) or mps (on a Mac)."
        ) from error


def _inside(
    centre: tuple[float, float] | None, width: int, height: int
) -> tuple[float, float]:
    if centre is None:
        return (width - 1) / 2, (height - 1) / 2
    try:
        x, y = (float(value) for value in centre)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"centre is a {type(centre).__name__} that names no place in the picture, so there "
            f"is nothing to cut out around it: give two numbers, (x, y) in pixels."
        ) from error
    if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
        raise ValueError(
            f"centre is ({x:g}, {y:g}), outside the picture of {width}x{height} pixels, so the "
            f"square might hold nothing of it: give (x, y) in pixels inside the picture."
        )
    return x, y


def _resize(image: Image, size: list[int]) -> Float[Tensor, "*batch channels rows columns"]:
    batch = image.reshape(-1, *image.shape[-3:])
    # Half precision has no anti-aliased resizing on the CPU.
    batch = batch if image.dtype == torch.float64 else batch.float()
    resized = interpolate(batch, size=size, mode="bilinear", antialias=True, align_corners=False)
    return resized.reshape(*image.shape[:-2], *size).to(image.dtype)
