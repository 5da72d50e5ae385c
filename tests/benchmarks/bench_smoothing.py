"""L0 smoothing beside OpenCV's, on the same pictures with the same λ and κ.

OpenCV smooths floats in place, so each run gets a fresh copy of the picture. Its answer
differs from the paper's (it overshoots at edges); this compares time alone.
"""

from collections.abc import Iterator

import cv2
import torch

from course_lib.images import load_image
from course_lib.shapes import Image
from course_lib.smoothing import smooth_l0
from tests.benchmarks.timing import median_seconds, peak_megabytes


def rows(device: torch.device | str) -> Iterator[tuple[str, str, float, str, float, float | None]]:
    """One row a size: method, size, our seconds, peer, its seconds, our peak memory in MB."""
    for side in (1024, 2048):
        image = photographs(side, device)
        pixels = image.movedim(0, -1).cpu().contiguous().numpy()
        ours, theirs = median_seconds(
            lambda image=image: smooth_l0(image),
            lambda pixels=pixels: cv2.ximgproc.l0Smooth(pixels.copy(), None, 0.02, 2.0),
            rounds=3,
        )
        memory = peak_megabytes(lambda image=image: smooth_l0(image), device)
        yield "L0 smoothing", f"{side}²", ours, "cv2.ximgproc.l0Smooth", theirs, memory


def photographs(side: int, device: torch.device | str) -> Image:
    """Four photographs on a square, each enlarged or reduced to a quarter of it."""
    half = side // 2
    names = ("astronaut", "coffee", "chelsea", "rocket")
    quarters = [
        torch.nn.functional.interpolate(
            load_image(name, device=device)[None], size=(half, half), mode="bilinear",
            antialias=True,
        )[0]
        for name in names
    ]
    top, bottom = torch.cat(quarters[:2], dim=-1), torch.cat(quarters[2:], dim=-1)
    return torch.cat([top, bottom], dim=-2)
