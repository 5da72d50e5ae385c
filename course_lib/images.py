"""Pictures in and out: loading, cropping, saving, and the device to compute on.

A picture is a float tensor (3, height, width) in [0, 1], RGB.
"""

import os
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import skimage
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from course_lib.checks import require_count, require_image
from course_lib.shapes import Image

SAMPLES = {  # photographs inside scikit-image's wheel, so that nothing is downloaded
    "astronaut": "astronaut.png",
    "camera": "camera.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "coins": "coins.png",
    "hubble": "hubble_deep_field.jpg",
    "moon": "moon.png",
    "motorcycle": "motorcycle_left.png",
    "page": "page.png",
    "rocket": "rocket.jpg",
    "text": "text.png",
}


def default_device() -> torch.device:
    """The device to compute on: `COURSE_DEVICE` if it is set, else cuda, mps or cpu.

    Raises:
        ValueError: `COURSE_DEVICE` names no device that torch knows.
    """
    asked = os.environ.get("COURSE_DEVICE")
    if asked:
        try:
            return torch.device(asked)
        except RuntimeError as error:
            raise ValueError(
                f"COURSE_DEVICE is {asked!r}, which torch does not know as a device: "
                f"set it to cpu, cuda or mps, or unset it."
            ) from error
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def sample_names() -> list[str]:
    """The names of the photographs that ship inside installed packages."""
    return sorted(SAMPLES)


def load_image(
    source: str | Path | PIL.Image.Image | np.ndarray,
    *,
    size: int | None = None,
    device: torch.device | str | None = None,
) -> Float[Tensor, "3 height width"]:
    """Read a picture, upright and in RGB.

    Args:
        source: a path, a PIL image, an array (height, width[, 1, 3 or 4]) of uint8 or of
            floats in [0, 1], or the name of a sample (`sample_names()`). A camera's EXIF
            orientation is applied; transparent pixels are laid on white.
        size: the longer side of the result in pixels, the aspect ratio kept. None keeps
            the size.
        device: where the tensor goes; `default_device()` if None.
    Returns:
        intensities in [0, 1].
    Raises:
        FileNotFoundError: no such file and no such sample.
        ValueError: the file is no picture, is broken, or is too large to be safe.
    """
    if size is not None:
        require_count(size, "size")
    picture = _on_white(PIL.ImageOps.exif_transpose(_open(source)))
    pixels = torch.from_numpy(np.array(picture, dtype=np.float32)).movedim(-1, 0) / 255
    if size is not None:
        scale = size / max(pixels.shape[-2:])
        pixels = _resize(pixels, [max(1, round(side * scale)) for side in pixels.shape[-2:]])
    return pixels.contiguous().to(device if device is not None else default_device())


def crop_square(
    image: Image,
    *,
    centre: tuple[float, float] | None = None,
    size: int | None = None,
    resolution: int | None = None,
) -> Image:
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
    x, y = centre if centre is not None else ((width - 1) / 2, (height - 1) / 2)
    size = min(height, width) if size is None else size
    require_count(size, "size")
    if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
        raise ValueError(
            f"centre is ({x}, {y}), outside the picture of {width}x{height} pixels, so the "
            f"square might hold nothing of it: give (x, y) in pixels inside the picture."
        )
    left, top = round(x - (size - 1) / 2), round(y - (size - 1) / 2)
    rows = torch.arange(top, top + size, device=image.device).clamp(0, height - 1)
    columns = torch.arange(left, left + size, device=image.device).clamp(0, width - 1)
    square = image[..., rows, :][..., columns]
    if resolution is None or resolution == size:
        return square
    require_count(resolution, "resolution")
    return _resize(square, [resolution, resolution])


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

    The file appears whole or not at all.

    Raises:
        ValueError: the ending names no picture format, or `image` is not one picture.
    """
    path = Path(path)
    formats = PIL.Image.registered_extensions()
    if path.suffix.lower() not in formats:
        raise ValueError(
            f"{path.name!r} does not end in a picture format that can be written: "
            f"use .png (exact) or .jpg (small)."
        )
    part = path.with_name(path.name + ".part")
    PIL.Image.fromarray(to_uint8(image)).save(part, format=formats[path.suffix.lower()])
    part.replace(path)


def _open(source: str | Path | PIL.Image.Image | np.ndarray) -> PIL.Image.Image:
    if isinstance(source, PIL.Image.Image):
        return source
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if not isinstance(source, str | Path):
        raise ValueError(
            f"source is a {type(source).__name__}, which can't be read as a picture: pass a "
            f"path, a PIL image, an array, or one of {', '.join(sample_names())}."
        )
    path = Path(source)
    if str(source) in SAMPLES:
        path = Path(skimage.__file__).parent / "data" / SAMPLES[str(source)]
    if not path.is_file():
        raise FileNotFoundError(
            f"{source} is neither a file nor a sample, so there is nothing to load: check the "
            f"path, or take one of {', '.join(sample_names())}."
        )
    try:
        picture = PIL.Image.open(path)
        picture.load()
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path.name} can't be read as a picture ({error}): it may be broken, unfinished or "
            f"too large; open it in a picture viewer and save it as PNG or JPEG."
        ) from error
    return picture


def _from_array(array: np.ndarray) -> PIL.Image.Image:
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or array.size == 0 or channels not in (1, 3, 4):
        raise ValueError(
            f"source is an array of shape {array.shape}, which is no picture: pass "
            f"(height, width) or (height, width, 3 or 4)."
        )
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise ValueError(
                "source holds floats outside [0, 1] (or NaN), so its brightness is unclear: "
                "divide by its largest possible value first."
            )
        array = np.round(array * 255).astype(np.uint8)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        raise ValueError(
            f"source holds {array.dtype} values, so its brightness is unclear: convert it to "
            f"uint8, or to floats in [0, 1]."
        )
    return PIL.Image.fromarray(array)


def _on_white(picture: PIL.Image.Image) -> PIL.Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":  # 16 bits a channel, or floats
        values = np.asarray(picture, dtype=np.float64)
        picture = PIL.Image.fromarray((values / max(values.max(), 1) * 255).astype(np.uint8))
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    white = PIL.Image.new("RGBA", picture.size, "white")
    return PIL.Image.alpha_composite(white, picture).convert("RGB")


def _resize(image: Image, size: list[int]) -> Image:
    batch = image.reshape(-1, *image.shape[-3:])
    resized = interpolate(batch, size=size, mode="bilinear", antialias=True, align_corners=False)
    return resized.reshape(*image.shape[:-2], *size)
