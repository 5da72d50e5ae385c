"""Edit transfer: what is found of a known motion and colour change, what is kept of the detail, and
how long a photo takes; beside scikit-image's optical flow, which knows of no colour."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from skimage.registration import optical_flow_tvl1
from torch import Tensor

from course_lib.generators import load_generator
from course_lib.gradients import gradient
from course_lib.images import crop_square, load_image
from course_lib.metrics import detail_energy
from course_lib.transfer import (
    Transfer,
    enlarge_edit,
    estimate_flow_and_color,
    recolored,
    transfer_edit,
    warped,
)
from tests.benchmarks.timing import median_seconds, peak_megabytes

Row = tuple[str, str, float | None, str | None, float | None, float | None]
SEEDS = range(8)


def rows(device: torch.device | str) -> Iterator[Row]:
    """Known changes of four pictures, in %; then a morph carried to 512²."""
    for name, after in pictures(device).items():
        cases = [known_change(after, seed) for seed in SEEDS]
        found = [estimate_flow_and_color(before, after) for before, _ in cases]
        theirs = [tvl1(before, after) for before, _ in cases]
        motion = [right_motion(f.flow, case[1], after)
                  for f, case in zip(found, cases, strict=True)]
        peers = [right_motion(f, case[1], after) for f, case in zip(theirs, cases, strict=True)]
        color = [right_color(f, case, after) for f, case in zip(found, cases, strict=True)]
        before = cases[0][0]
        ours, peer = median_seconds(
            lambda before=before, after=after: estimate_flow_and_color(before, after),
            lambda before=before, after=after: tvl1(before, after), rounds=3)
        yield f"flow of 6 px, {name}", "64²", ours, "skimage TV-L1", peer, None
        yield f"  < 0.5 px: {summary(motion)}", "", None, summary(peers), None, None
        yield f"  < 2/255: {summary(color)}", "", None, "(finds no colour)", None, None
    photo, frames = morph(device)
    (seconds,) = median_seconds(lambda: transfer_edit(photo, frames), rounds=3, warm_ups=1)
    memory = peak_megabytes(lambda: transfer_edit(photo, frames), device)
    yield "transfer, 8 frames of 64²", "512²", seconds, None, None, memory
    whole = detail_energy(photo)
    ours, naive = (float(detail_energy(image) / whole) for image in (
        transfer_edit(photo, frames), enlarge_edit(photo, frames[-1])))
    yield f"  detail kept: {ours:.2f}", "", None, f"G(z1) enlarged: {naive:.2f}", None, None


def pictures(device: torch.device | str) -> dict[str, Tensor]:
    """Three photographs and a generated cat, 64²."""
    found = {name: crop_square(load_image(name, device=device), resolution=64,
                               size=280 if name == "chelsea" else None)
             for name in ("chelsea", "astronaut", "coffee")}
    cats = load_generator("cats", device=device)
    w = cats.sample_latent(1, space="w", rng=torch.Generator().manual_seed(3), truncation_psi=0.7)
    with torch.no_grad():
        return found | {"cat": cats.decode(w, space="w")[0]}


def smooth(n: int, largest: float, rng: torch.Generator) -> Tensor:
    """Random smooth fields (n, 64, 64), at most `largest`."""
    coarse = torch.randn(1, n, 3, 3, generator=rng)
    field = F.interpolate(coarse, (64, 64), mode="bicubic", align_corners=True)[0]
    return largest * field / field.abs().max()


def known_change(after: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """The picture before, and its flow: up to 6 px, and 0.1 in each number of A."""
    rng = torch.Generator().manual_seed(seed)
    flow = smooth(2, 6.0, rng).to(after)
    color = torch.eye(3, 4)[..., None, None] + smooth(12, 0.1, rng).unflatten(0, (3, 4))
    return recolored(warped(after, flow), color.to(after)), flow


def visible(flow: Tensor) -> Tensor:
    """Where the motion stays in the picture and does not fold it."""
    axis = torch.arange(64.0, device=flow.device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    ends = torch.stack([x, y]) + flow
    (x_u, x_v), (y_u, y_v) = (torch.gradient(flow, dim=d)[0] for d in (2, 1))
    unfolded = (1 + x_u) * (1 + y_v) - x_v * y_u > 0.2
    return ((ends >= 1) & (ends <= 62)).all(dim=0) & unfolded


def right_motion(found: Tensor, truth: Tensor, after: Tensor) -> float:
    """Share of pixels within half a pixel, of those that have texture and are visible."""
    texture = gradient(warped(after, truth)).square().sum(dim=(0, 1)).sqrt() > 0.05
    inside = torch.zeros_like(texture)
    inside[2:-2, 2:-2] = True
    at = texture & inside & visible(truth)
    return float(((found - truth).norm(dim=0)[at] < 0.5).float().mean())


def right_color(found: Transfer, case: tuple[Tensor, Tensor], after: Tensor) -> float:
    """Share of visible pixels that are explained to 2/255."""
    before, truth = case
    explained = recolored(warped(after, found.flow), found.color)
    error = (before - explained).abs().amax(dim=0)[visible(truth)]
    return float((error < 2 / 255).float().mean())


def tvl1(before: Tensor, after: Tensor) -> Tensor:
    """scikit-image's flow of the grey pictures, x then y."""
    grey = [image.mean(dim=0).cpu().numpy() for image in (before, after)]
    return torch.from_numpy(np.stack(optical_flow_tvl1(*grey)[::-1])).to(before)


def morph(device: torch.device | str) -> tuple[Tensor, Tensor]:
    """A photo of 512² and eight frames: it bends by up to 4 px of 64², its red and blue swap."""
    photo = crop_square(load_image("astronaut", device=device), size=512)
    small = F.interpolate(photo[None], (64, 64), mode="area")[0]
    flow = smooth(2, 4.0, torch.Generator().manual_seed(0)).to(photo)
    swap = torch.eye(4)[[2, 1, 0]].to(photo)[..., None, None].expand(-1, -1, 64, 64)
    identity = torch.eye(3, 4).to(photo)[..., None, None]
    return photo, torch.stack([
        recolored(warped(small, s * flow), identity + s * (swap - identity))
        for s in torch.linspace(0, 1, 8)
    ])


def summary(shares: list[float]) -> str:
    """Mean and worst, in %."""
    return f"{100 * sum(shares) / len(shares):.1f} % (worst {100 * min(shares):.1f})"
