"""What a picture file, or a picture in memory, says: upright RGB pixels in sRGB.

The one reader of pictures: `images.load_image` and the training data both go through it.
"""

import io
import os
import warnings
from pathlib import Path

import numpy as np
import PIL
import PIL.Image
import PIL.ImageCms
import PIL.ImageOps
from jaxtyping import Float, UInt8

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
CATS = ("bandit", "british", "ginger", "patch", "siamese", "silver", "tabby", "tuxedo")
PHOTOS = Path(__file__).with_name("assets") / "photos"  # of them, with their credit
SAMPLES |= {name: f"{name}.jpg" for name in CATS}
AS_JPEG = "export it as JPEG"
MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # of Pillow, by an ICC profile's colour space
WIDE = {("I", "PNG"), ("I", "PPM")}  # modes and formats
KIND_OF_PAGE, BITS, PHOTOMETRIC, DNG_VERSION = 254, 258, 262, 50706  # tags of TIFF files
WHITE_IS_ZERO = 0
RAW = set(".3fr .arw .cr2 .dcr .dng .erf .kdc .mef .mos .nef .nrw .pef .rwl .sr2 .srf .srw".split())

Pixels = Float[np.ndarray, "height width 3"]
Grey = Float[np.ndarray, "height width"]


def read_pixels(source: str | Path | PIL.Image.Image | np.ndarray) -> Pixels:
    """Read a picture, upright and in RGB, float32 in [0, 1]; transparent pixels lie on white.

    Colours become sRGB: ICC profiles are applied, and the gAMA of PNG files that have none.
    What can't be used is ignored, as picture viewers do: a profile that is broken or of another
    kind of picture, and a PNG's chromaticities.

    Args:
        source: as in `images.load_image`.
    Raises:
        FileNotFoundError: no such file and no such sample.
        ValueError: the file is no picture, or none whose brightness and colours are clear.
    """
    if isinstance(source, np.ndarray):
        return _rgb_on_white(source)
    if not isinstance(source, str | Path | PIL.Image.Image):
        raise ValueError(
            f"source is a {type(source).__name__}, which can't be read as a picture: pass a "
            f"path, a PIL image, an array, or one of {', '.join(sorted(SAMPLES))}."
        )
    path = None if isinstance(source, PIL.Image.Image) else _existing(source)
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels on, which panoramas have, and refuses from 179 on.
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            if path is None:
                array = _decode(source)
            else:
                with PIL.Image.open(path) as picture:
                    array = _decode(picture)
    except Exception as error:  # broken files make decoders trip over anything
        reason, remedy = _diagnose(error, path)
        raise ValueError(
            f"{path.name if path else 'source'} can't be read as a picture ({reason}): {remedy}."
        ) from error
    return _rgb_on_white(array)


class _RawPhoto(Exception):
    """What Pillow would show is a small preview, not the photo."""


def _diagnose(error: Exception, path: Path | None) -> tuple[str, str]:
    """Why a picture can't be read, and what to do about it."""
    if isinstance(error, _RawPhoto):
        return "it is a camera's raw photo, of which only the small preview could be read", AS_JPEG
    if isinstance(error, PIL.Image.DecompressionBombError):
        return "it is too large to be safe", "make it smaller in a picture viewer first"
    if not isinstance(error, PIL.UnidentifiedImageError):
        return " ".join(str(error).split()), (
            "it may be broken or unfinished; open it in a picture viewer and save it as PNG or JPEG"
        )
    head = b""
    if path is not None:
        with path.open("rb") as file:
            head = file.read(16)
    if head[4:8] == b"ftyp" and head[8:11] in (b"hei", b"hev", b"mif", b"msf"):
        return "it is a HEIC file, as many phones write them", AS_JPEG
    if head.startswith((b"IIR", b"IIU\0", b"FUJIFILMCCD-RAW")) or head[4:11] == b"ftypcrx":
        return "it is a camera's raw photo", AS_JPEG
    return "no known picture format", "open it in a picture viewer and save it as PNG or JPEG"


def _existing(source: str | Path) -> Path:
    if str(source) in CATS:
        return PHOTOS / SAMPLES[str(source)]
    if str(source) in SAMPLES:
        import skimage  # here, so that training runs where it is not installed

        return Path(skimage.__file__).parent / "data" / SAMPLES[str(source)]
    path = os.path.expanduser(source)
    if not os.path.isfile(path):  # not Path.is_file, which trips over names that are too long
        what = "a folder" if os.path.isdir(path) else "neither a file nor a sample"
        raise FileNotFoundError(
            f"{str(source)!r} is {what}, so there is no picture to load: check the path, or take "
            f"one of {', '.join(sorted(SAMPLES))}."
        )
    return Path(path)


def _decode(picture: PIL.Image.Image) -> np.ndarray:
    """Its pixels in sRGB: bytes (height, width, 3 or 4), or greys as floats (height, width)."""
    if _is_raw(picture):
        raise _RawPhoto
    upright = PIL.ImageOps.exif_transpose(picture)
    # Of 16 bits a pixel; Pillow opens some as if they had 32.
    if picture.mode.startswith("I;16") or (picture.mode, picture.format) in WIDE:
        return _decode_wide(np.array(upright), picture)
    if picture.mode in ("I", "F"):
        return np.array(upright)
    clear = picture.info.get("transparency")
    if isinstance(clear, tuple) and max(clear) > 255:
        # The transparent colour has 16 bits a channel, the pixels that Pillow opens 8.
        upright.info["transparency"] = tuple(value >> 8 for value in clear)
    colors = _in_srgb(upright)
    if not upright.has_transparency_data:
        return colors
    return np.dstack([colors, np.array(upright.convert("RGBA").getchannel("A"))])


def _is_raw(picture: PIL.Image.Image) -> bool:
    """Whether it is a TIFF file that begins with a preview, as cameras write their raw photos."""
    tags = getattr(picture, "tag_v2", {})
    named = Path(getattr(picture, "filename", "")).suffix.lower() in RAW
    return DNG_VERSION in tags or bool(tags.get(KIND_OF_PAGE, 0) & 1) or (
        named and picture.format == "TIFF")


def _decode_wide(values: np.ndarray, picture: PIL.Image.Image) -> Grey:
    """Greys of 16 bits (some TIFF files have 12), in sRGB, with the transparent one white."""
    tags, clear = getattr(picture, "tag_v2", {}), picture.info.get("transparency")
    grey = values.astype(np.float64) / (2 ** tags.get(BITS, (16,))[0] - 1)
    grey = 1 - grey if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else grey
    gamma = _gamma(picture.info)
    if gamma is not None:
        grey = _encoded(grey ** (1 / gamma))
    elif "icc_profile" in picture.info:
        ramp = PIL.Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        ramp.info = picture.info
        grey = np.interp(grey, np.linspace(0, 1, 256), _in_srgb(ramp)[0].mean(axis=1) / 255)
    return np.where(values == clear, 1, grey) if isinstance(clear, int) else grey


def _in_srgb(picture: PIL.Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    """Its colours by its ICC profile, or by its gamma."""
    found, gamma = _conversion(picture), _gamma(picture.info)
    if found is not None:
        to_srgb, mode = found
        return np.array(PIL.ImageCms.applyTransform(picture.convert(mode), to_srgb))
    colors = np.array(picture.convert("RGB"))
    if gamma is None:
        return colors
    light = np.linspace(0, 1, 256) ** (1 / gamma)
    return (255 * _encoded(light)).round().astype(np.uint8)[colors]


def _conversion(picture: PIL.Image.Image) -> tuple[PIL.ImageCms.ImageCmsTransform, str] | None:
    """From its ICC profile to sRGB, and the mode to convert from; None if nothing would change."""
    try:
        profile = PIL.ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        mode = MODES.get(profile.profile.xcolor_space)
        fits = {"RGB": picture.mode != "CMYK", "L": picture.mode in ("1", "L", "LA"),
                "CMYK": picture.mode == "CMYK"}
        if not fits.get(mode):
            return None
        to_srgb = PIL.ImageCms.buildTransform(
            profile, PIL.ImageCms.createProfile("sRGB"), mode, "RGB")
        known = _probe(mode)
        seen = PIL.ImageCms.applyTransform(known, to_srgb)
    except (KeyError, TypeError, OSError, PIL.ImageCms.PyCMSError):
        return None
    # Most profiles are sRGB's own, by which rounding would change pictures for nothing.
    return (to_srgb, mode) if _distance(seen, known.convert("RGB")) > 1 else None


def _probe(mode: str) -> PIL.Image.Image:
    """A picture of colours from all over a mode's range."""
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    return PIL.Image.fromarray(cube).convert(mode)


def _distance(a: PIL.Image.Image, b: PIL.Image.Image) -> int:
    return int(np.abs(np.array(a).astype(int) - np.array(b)).max())


def _gamma(info: dict) -> float | None:
    """A PNG's gamma, where nothing better is known and it is not about sRGB's, 1 / 2.2."""
    gamma = info.get("gamma")
    if not gamma or "srgb" in info or "icc_profile" in info or abs(2.2 * gamma - 1) < 0.05:
        return None
    return gamma


def _encoded(light: np.ndarray) -> np.ndarray:
    """Linear light in [0, 1] as sRGB stores it (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _rgb_on_white(array: np.ndarray) -> Pixels:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or array.size == 0 or channels not in (1, 3, 4):
        raise ValueError(
            f"source is an array of shape {array.shape}, which is no picture: pass "
            f"(height, width) or (height, width, 3 or 4)."
        )
    pixels = _in_unit_range(array).reshape(*array.shape[:2], channels)
    if channels == 4:
        pixels, alpha = pixels[..., :3], pixels[..., 3:]
        return pixels * alpha + (1 - alpha)
    return np.broadcast_to(pixels, (*array.shape[:2], 3)).copy()


def _in_unit_range(array: np.ndarray) -> Float[np.ndarray, "..."]:
    if array.dtype == bool:
        return array.astype(np.float32)
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        return array.astype(np.float32) / np.iinfo(array.dtype).max
    if array.dtype.kind != "f":
        raise ValueError(
            f"source holds {array.dtype} values, so its brightness is unclear: convert it to "
            f"uint8, or to floats in [0, 1]."
        )
    if not np.isfinite(array).all():
        raise ValueError(
            "source holds NaN or infinity, which are no brightness: replace them, for instance "
            "with np.nan_to_num."
        )
    slack = 1e-6  # what resizing in floats may leave
    if array.min() < -slack or array.max() > 1 + slack:
        raise ValueError(
            "source holds floats outside [0, 1], so its brightness is unclear: "
            "divide by its largest possible value first."
        )
    return array.clip(0, 1).astype(np.float32)
