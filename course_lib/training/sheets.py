"""Contact sheets: pictures side by side, for a person to look at."""

from pathlib import Path

import PIL.Image
import torch
from torch import Tensor


def save_sheet(images: Tensor, path: Path, *, columns: int = 10, size: int = 64) -> None:
    """Write pictures (n, 3, r, r) in [0, 1] side by side, small ones enlarged to `size`."""
    factor = max(1, size // images.shape[-1])
    images = images.repeat_interleave(factor, -1).repeat_interleave(factor, -2)
    blank = -len(images) % columns
    images = torch.cat([images, torch.ones(blank, *images.shape[1:], device=images.device)])
    rows = images.unflatten(0, (-1, columns)).permute(0, 3, 1, 4, 2)
    array = rows.flatten(0, 1).flatten(1, 2).mul(255).round().byte().cpu().numpy()
    PIL.Image.fromarray(array).save(path, quality=88)
