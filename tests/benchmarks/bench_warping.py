"""Moving least squares beside the paper's formulas in float64 numpy, all pixels at once."""

from collections.abc import Iterator

import numpy as np
import torch

from course_lib.shapes import Image, Points
from course_lib.warping import KINDS, deform_points, warp_mls
from tests.benchmarks.timing import median_seconds, peak_megabytes

Row = tuple[str, str, float, str | None, float | None, float | None]
HANDLES = 64


def rows(device: torch.device | str) -> Iterator[Row]:
    """Method, size, our seconds, peer, its seconds, our peak memory in MB.

    The exact rows compute the map, as the peer does; the grid rows also sample the picture.
    """
    image, handles, moved = problem(1000, device)
    axis = torch.arange(1000.0, device=device)
    pixels = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).reshape(-1, 2)
    p, q = (ends.cpu().double().numpy() for ends in (handles, moved))
    for kind in KINDS:
        contestants = (
            lambda kind=kind: deform_points(pixels, handles, moved, kind=kind),
            lambda kind=kind: warp_mls(image, handles, moved, kind=kind),
            lambda kind=kind: map_numpy(p, q, 1000, kind),
        )
        exact, grid, theirs = median_seconds(*contestants, rounds=3)
        for mode, ours, work in (("exact", exact, contestants[0]), ("grid", grid, contestants[1])):
            memory = peak_megabytes(work, device)
            yield f"MLS {kind}, {mode}", "1000²", ours, "the paper in numpy", theirs, memory
    big = problem(2000, device)
    for mode, step in (("exact", None), ("grid", 8)):
        def warp(step=step):
            return warp_mls(*big, grid_step=step)

        seconds = median_seconds(warp, rounds=3)[0]
        yield f"MLS rigid, {mode}", "2000²", seconds, None, None, peak_megabytes(warp, device)


def map_numpy(p: np.ndarray, q: np.ndarray, side: int, kind: str) -> np.ndarray:
    """f(v) at every pixel v, straight from the paper: arrays (handles, 2, side, side)."""
    v = np.stack(np.meshgrid(np.arange(side), np.arange(side))).astype(np.float64)
    p, q = p[:, :, None, None], q[:, :, None, None]
    weights = 1 / np.maximum(((p - v) ** 2).sum(axis=1, keepdims=True), 1e-12)
    total = weights.sum(axis=0)
    p_star, q_star = (weights * p).sum(axis=0) / total, (weights * q).sum(axis=0) / total
    p_hat, q_hat, arm = p - p_star, q - q_star, v - p_star
    weighted = weights * p_hat
    if kind == "affine":
        spread, cross = (
            np.stack([(weighted[:, i] * hat[:, j]).sum(axis=0) for i in (0, 1) for j in (0, 1)], -1)
            .reshape(side, side, 2, 2) for hat in (p_hat, q_hat)
        )
        fit = np.linalg.inv(spread) @ cross
        return (arm.transpose(1, 2, 0)[:, :, None] @ fit)[:, :, 0].transpose(2, 0, 1) + q_star
    cosine = (weighted * q_hat).sum(axis=(0, 1))
    sine = (weighted[:, 0] * q_hat[:, 1] - weighted[:, 1] * q_hat[:, 0]).sum(axis=0)
    similar = kind == "similarity"
    size = (weighted * p_hat).sum(axis=(0, 1)) if similar else np.hypot(cosine, sine)
    x, y = arm
    return np.stack([cosine * x - sine * y, sine * x + cosine * y]) / size + q_star


def problem(side: int, device: torch.device | str) -> tuple[Image, Points, Points]:
    """A picture, handles all over it, and targets some ten pixels away."""
    rng = torch.Generator().manual_seed(0)
    image = torch.rand(3, side, side, generator=rng)
    handles = torch.rand(HANDLES, 2, generator=rng) * side
    moved = handles + 10 * torch.randn(HANDLES, 2, generator=rng)
    return image.to(device), handles.to(device), moved.to(device)
