"""What is measured of a generator before it ships, and the sheets that a person looks at."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from course_lib.generators import load_generator
from course_lib.generators.base import Generator
from course_lib.metrics import frechet_distance, sliced_wasserstein
from course_lib.training.data import Dataset
from course_lib.training.sheets import save_sheet

Draw = Callable[[Generator, Tensor, torch.Generator], Tensor]
"""(generator, numbers of real pictures, rng) -> as many samples in [0, 1], told what these show."""


@dataclass(frozen=True)
class Report:
    """The part of a card that tells how good the model is; see `generators.base.Card`."""

    family: str
    resolution: int
    quality: str
    measured: dict[str, object] = field(default_factory=dict)
    faults: str = ""


def report_generator(
    path: Path, settings: dict[str, object], pictures: Callable[[int], Dataset], run: Path,
    recognized: int | None = None, labels: Tensor | None = None, draw: Draw | None = None,
) -> Report:
    """What was measured of a stored generator; sheets to look at into the folder `run`.

    Args:
        settings: that are stored with it: its family, and the pictures that it has seen.
        pictures: the set it learnt from, at a resolution.
        recognized: how many of the sheet's 100 samples a person recognised.
        labels: the class of each picture of the set, for a generator that is told classes.
        draw: how samples are drawn, where neither of these will do.
    """
    generator = load_generator(path, device="cpu")
    data = pictures(generator.resolution)
    measured = measure(generator, data, labels=labels, draw=draw)
    sheet(generator, data, run, classes=0 if labels is None else 1 + int(labels.max()), draw=draw)
    measured |= {"pictures seen": settings["pictures"], "recognized of 100": recognized}
    counted = "not counted" if recognized is None else f"{recognized} of 100 recognised"
    quality = (f"{counted}, distance {measured['distance']} (floor {measured['floor']}), "
               f"Fréchet {measured['frechet']} ({measured['frechet floor']})")
    return Report(settings["family"], generator.resolution, quality, measured)


@torch.no_grad()
def measure(
    generator: Generator, data: Dataset, *, pictures: int = 1000, labels: Tensor | None = None,
    draw: Draw | None = None,
) -> dict[str, object]:
    """Distances to the real pictures, their floors (real against real), times on this machine.

    Of a generator that is told classes, as many samples of each as among the real pictures; and
    the distance of each class from its own.
    """
    rng = torch.Generator().manual_seed(0)
    pictures = min(pictures, len(data) // 2)
    order = torch.randperm(len(data), generator=rng)
    real, held = (data[part].float() / 255 for part in order[: 2 * pictures].chunk(2))
    counts = [pictures] if labels is None else labels[order[:pictures]].bincount().tolist()
    draw = draw or (lambda generator, _, rng: draw_classes(generator, counts, rng=rng))
    fake = draw(generator, order[:pictures], rng)
    distance = sliced_wasserstein(real, fake, rng=rng)
    floor = sliced_wasserstein(real, held, rng=rng)
    z, one = generator.sample_latent(16, rng=rng), generator
    by_class = {}
    if labels is not None:
        one, kinds = generator.with_label(0), labels[order[:pictures]]
        sorted_real = real[kinds.argsort(stable=True)]
        by_class = {"frechet by class": [
            round(frechet_distance(*pair), 1) if len(pair[0]) > 1 else None
            for pair in zip(sorted_real.split(counts), fake.split(counts), strict=True)]}
    return {
        "distance": round(float(distance.mean()), 1), "floor": round(float(floor.mean()), 1),
        "distance by level": [round(float(d), 1) for d in distance],
        "frechet": round(frechet_distance(real, fake), 1),
        "frechet floor": round(frechet_distance(real, held), 1),
        "ms for 1": round(_best(lambda: one.decode(z[:1])), 1),
        "ms for 16": round(_best(lambda: one.decode(z)), 1),
    } | by_class


@torch.no_grad()
def draw_classes(
    generator: Generator, counts: Sequence[int], *, rng: torch.Generator, space: str = "z",
    truncation_psi: float = 1.0,
) -> Tensor:
    """Samples (n, 3, r, r) in [0, 1], so many of each class, one class after the other.

    Of a generator without classes there is one count.
    """
    found = []
    for label, count in enumerate(counts):
        if count == 0:
            continue
        kind = generator.with_label(label) if len(counts) > 1 else generator
        codes = kind.sample_latent(count, space=space, rng=rng, truncation_psi=truncation_psi)
        found += [kind.decode(some, space=space) for some in codes.split(25)]
    return torch.cat(found).clamp(0, 1)


def _best(call: Callable[[], object], rounds: int = 7) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begin))
    return min(times)


@torch.no_grad()
def sheet(
    generator: Generator, data: Dataset, run: Path, *, truncation_psi: float = 0.7,
    classes: int = 0, draw: Draw | None = None,
) -> None:
    """100 samples; and eight of them, each above its nearest training picture: no copies?

    Truncated in w; families without w are shown as the prior draws them, since shorter z are
    less likely ones, not more typical ones. Classes share the 100 evenly.
    """
    rng = torch.Generator().manual_seed(1)
    space, psi = ("w", truncation_psi) if "w" in generator.spaces else ("z", 1.0)
    counts = [len(some) for some in torch.arange(100).tensor_split(max(1, classes))]
    if draw is None:
        images = draw_classes(generator, counts, rng=rng, space=space, truncation_psi=psi)
    else:
        images = draw(generator, torch.randperm(len(data), generator=rng)[:100], rng)
    save_sheet(images, run / "samples.png")
    some = images[:: 100 // 8][:8]
    save_sheet(torch.cat([some, nearest(some, data)]), run / "nearest.png", columns=8)


def nearest(images: Tensor, data: Dataset) -> Tensor:
    """The training picture (or its mirror image) nearest to each picture, by squared error."""
    best = torch.full((len(images),), torch.inf)
    found = images.clone()
    for part in data.split(256):
        for candidates in (part.float() / 255, part.flip(-1).float() / 255):
            distances = torch.cdist(images.flatten(1), candidates.flatten(1))
            distance, index = distances.min(dim=1)
            closer = distance < best
            found[closer] = candidates[index[closer]]
            best = torch.minimum(best, distance)
    return found
