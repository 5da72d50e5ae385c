"""Seamless cloning beside OpenCV's: an elliptical mask over half the picture, three channels."""

from collections.abc import Iterator

import torch
from torch.nn.functional import interpolate

from course_lib.blending import seamless_clone
from course_lib.images import load_image, to_uint8
from tests.benchmarks.timing import median_seconds, peak_megabytes

Row = tuple[str, str, float, str | None, float | None, float | None]


def rows(device: torch.device | str) -> Iterator[Row]:
    """Method, size, our seconds, peer, its seconds, our peak memory in MB."""
    import cv2

    flags = {"source": cv2.NORMAL_CLONE, "mixed": cv2.MIXED_CLONE}
    for size in (1024, 2048):
        source, target, mask = problem(size, device)
        bytes_of = [to_uint8(picture) for picture in (source, target)]
        mask_bytes = mask.cpu().numpy().astype("uint8") * 255
        for gradients, flag in flags.items():

            def ours(source=source, target=target, mask=mask, gradients=gradients):
                return seamless_clone(source, target, mask, gradients=gradients)

            def theirs(bytes_of=bytes_of, mask_bytes=mask_bytes, size=size, flag=flag):
                return cv2.seamlessClone(*bytes_of, mask_bytes, (size // 2, size // 2), flag)

            seconds, peer_seconds = median_seconds(ours, theirs, rounds=9)
            steps = len(ours().residuals)
            name = f"Poisson, {gradients} gradients, {steps} steps"
            memory = peak_megabytes(ours, device)
            yield name, f"{size}²", seconds, "OpenCV seamlessClone", peer_seconds, memory


def problem(size: int, device: torch.device | str) -> tuple[torch.Tensor, ...]:
    """Source, target and mask, (size, size)."""
    source, target = (
        interpolate(load_image(name, device=device)[None], size=(size, size), mode="bilinear")[0]
        for name in ("coffee", "astronaut")
    )
    axis = (torch.arange(size, device=device) - size / 2) / size
    return source, target, axis[:, None] ** 2 + axis**2 < 0.5 / torch.pi
