"""Pictures for training: a zip or a folder of image files, as one tensor in memory."""

import io
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from course_lib.pixels import read_pixels

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")

Dataset = UInt8[Tensor, "pictures 3 _ _"]
"""All pictures of a set, 0 to 255, square."""


def read_pictures(source: str | Path, resolution: int) -> Dataset:
    """Every picture of a zip or folder, in order of name, averaged down to `resolution`².

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it is no zip, there is no picture in it, or one is smaller than `resolution` or
            not square.
    """
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(
            f"{source} does not exist, so there is nothing to learn from: pass a zip or a folder "
            f"of square pictures with --data."
        )
    if source.is_dir():
        paths = sorted(path for path in source.rglob("*") if _is_picture(path.name))
        pictures = [_read(path.read_bytes(), path.name, resolution) for path in paths]
    else:
        try:
            with zipfile.ZipFile(source) as archive:
                names = sorted(filter(_is_picture, archive.namelist()))
                pictures = [_read(archive.read(name), name, resolution) for name in names]
        except zipfile.BadZipFile as error:
            raise ValueError(
                f"{source} is no zip, or a broken one ({error}): pass a zip or a folder of square "
                f"pictures."
            ) from None
    if not pictures:
        raise ValueError(
            f"{source} holds no picture ({', '.join(SUFFIXES)}), so there is nothing to learn "
            f"from: pass a zip or a folder of square pictures."
        )
    return torch.stack(pictures)


def _is_picture(name: str) -> bool:
    """By its ending; beside each file a Mac may write notes, "._a.png", which are no pictures."""
    path = Path(name)
    return (path.suffix.lower() in SUFFIXES and not path.name.startswith("._")
            and "__MACOSX" not in path.parts)


def _read(content: bytes, name: str, resolution: int) -> Tensor:
    try:
        with PIL.Image.open(io.BytesIO(content)) as picture:
            pixels = read_pixels(picture)
    except (OSError, ValueError) as error:
        raise ValueError(f"{name} is no picture, or a broken one: take it out. ({error})") from None
    height, width, _ = pixels.shape
    if width != height or width < resolution:
        raise ValueError(
            f"{name} is {width} x {height}, but {resolution} x {resolution} is "
            f"trained: crop the pictures to squares of at least that size."
        )
    picture = PIL.Image.fromarray((pixels * 255).round().astype(np.uint8))
    picture = picture.resize((resolution, resolution), PIL.Image.Resampling.BOX)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def draw_batch(
    data: Dataset, size: int, *, flip: bool, rng: torch.Generator, device: torch.device
) -> Float[Tensor, "size 3 height width"]:
    """Pictures drawn at random, mirrored half of the time if `flip`, in [-1, 1]."""
    chosen = torch.randint(len(data), (size,), generator=rng)
    return take_batch(data, chosen, flip=flip, rng=rng, device=device)


def take_batch(
    data: Dataset, chosen: Tensor, *, flip: bool, rng: torch.Generator, device: torch.device
) -> Float[Tensor, "size 3 height width"]:
    """The pictures of these indices, mirrored half of the time if `flip`, in [-1, 1]."""
    batch = data[chosen.to(data.device)].to(device).float() / 127.5 - 1
    return flip_randomly(batch, rng) if flip else batch


def flip_randomly(batch: Tensor, rng: torch.Generator) -> Tensor:
    """Each picture (size, 3, height, width), or its mirror image half of the time."""
    chosen = torch.rand(len(batch), 1, 1, 1, generator=rng) < 0.5
    return torch.where(chosen.to(batch.device), batch.flip(-1), batch)


def downsample(data: Dataset, resolution: int) -> Dataset:
    """The set at a lower resolution: each pixel the mean of a square of them."""
    factor = data.shape[-1] // resolution
    if factor == 1:
        return data
    parts = [F.avg_pool2d(part.float(), factor).round().byte() for part in data.split(512)]
    return torch.cat(parts)


def hold_out(data: Tensor, n: int = 200) -> tuple[Tensor, Tensor]:
    """The set without `n` of its pictures (or labels), always the same; and those."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    return data[order[: len(data) - n]], data[order[len(data) - n :]]
