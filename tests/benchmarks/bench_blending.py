"""Seamless cloning beside OpenCV's: wall and processor time on three inputs of three channels."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import product

import torch
from torch.nn.functional import interpolate

from course_lib.blending import seamless_clone
from course_lib.images import load_image, to_uint8
from tests.benchmarks.timing import median_seconds, peak_megabytes

Problem = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # source, target, mask
Row = tuple[str, str, float, str | None, float | None, float | None]


def rows(device: torch.device | str) -> Iterator[Row]:
    """Method, size, our seconds, peer, its seconds, our peak memory in MB."""
    import cv2

    flags = {"source": cv2.NORMAL_CLONE, "mixed": cv2.MIXED_CLONE}
    for size, (kind, problem) in product((1024, 2048), PROBLEMS.items()):
        source, target, mask = problem(size, device)
        bytes_of = [to_uint8(picture) for picture in (source, target)]
        mask_bytes = mask.cpu().numpy().astype("uint8") * 255
        for gradients, flag in flags.items():

            def ours(source=source, target=target, mask=mask, gradients=gradients):
                return seamless_clone(source, target, mask, gradients=gradients)

            def theirs(bytes_of=bytes_of, mask_bytes=mask_bytes, flag=flag):
                left, top, width, height = cv2.boundingRect(mask_bytes)
                centre = (left + width // 2, top + height // 2)
                return cv2.seamlessClone(*bytes_of, mask_bytes, centre, flag)

            steps, memory = len(ours().residuals), peak_megabytes(ours, device)
            for name, clock, alone in (
                ("", time.perf_counter, nullcontext()),
                (", processor", time.process_time, one_thread()),
            ):
                with alone:
                    seconds, peer_seconds = median_seconds(ours, theirs, rounds=9, clock=clock)
                yield (f"Poisson, {gradients}, {kind}, {steps} steps{name}", f"{size}²", seconds,
                       "OpenCV seamlessClone", peer_seconds, memory)


@contextmanager
def one_thread() -> Iterator[None]:
    """Both on one thread: others wait for work by spinning, which a processor's clock counts."""
    import cv2

    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def ellipse(size: int, device: torch.device | str) -> Problem:
    """Photographs, and an ellipse over half of the target."""
    axis = _axis(size, device)
    return *_photos(size, device), axis[:, None] ** 2 + axis**2 < 0.5 / torch.pi


def square(size: int, device: torch.device | str) -> Problem:
    """Pictures without detail, and a square over a quarter."""
    tiny = (interpolate(picture[None], size=(8, 8), mode="area")
            for picture in _photos(size, device))
    smooth = (interpolate(picture, size=(size, size), mode="bilinear")[0] for picture in tiny)
    near = _axis(size, device).abs() < 0.25
    return *smooth, near[:, None] & near


def ragged(size: int, device: torch.device | str) -> Problem:
    """Photographs, and blobs of about 32 pixels over half of the target."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 1, size // 32, size // 32, generator=rng)
    height = interpolate(coarse, size=(size, size), mode="bicubic")[0, 0].to(device)
    inner = _axis(size, device).abs() < 0.49
    return *_photos(size, device), (height < height.median()) & inner & inner[:, None]


PROBLEMS = {"ellipse": ellipse, "square": square, "ragged": ragged}


def _photos(size: int, device: torch.device | str) -> list[torch.Tensor]:
    return [interpolate(load_image(name, device=device)[None], size=(size, size),
                        mode="bilinear")[0] for name in ("coffee", "astronaut")]


def _axis(size: int, device: torch.device | str) -> torch.Tensor:
    return (torch.arange(size, device=device) - size / 2) / size
