"""Projection: the hybrid against a thousand plain steps, and eight photos against one."""

from collections.abc import Iterator

import torch

from course_lib.generators import load_generator
from course_lib.images import crop_square, load_image
from course_lib.projection import Projection, project
from tests.benchmarks.timing import median_seconds

Row = tuple[str, str, float, str | None, float | None, float | None]
BUDGETS = (10, 20, 40, 60, 80, 100, 150, 200)


def rows(device: torch.device | str) -> Iterator[Row]:
    """As fast as the hybrid reaches what a thousand steps from the mean reach; batches; cuda."""
    cats = load_generator("cats", device=device)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        samples = cats.decode(cats.sample_latent(7, rng=rng)).clamp(0, 1)
    chelsea = crop_square(load_image("chelsea", device=device), centre=(237, 128), size=210,
                          resolution=64)
    photos = torch.cat([chelsea[None], samples])
    for space in ("w", "w_plus"):
        plain = project(cats, photos[:2], space=space, steps=1000)
        quick = quickest(cats, photos[:2], space, float(plain.losses[-1].mean()))
        note = f"{len(plain.losses)} steps from the mean"
        yield (f"hybrid, {len(quick.losses)} steps, {space}", "2 x 64²", quick.seconds, note,
               plain.seconds, None)

    def one() -> Projection:
        return project(cats, photos[:1], steps=20)

    def eight() -> Projection:
        return project(cats, photos, steps=20)

    alone, together = median_seconds(one, eight, rounds=3)
    yield "20 steps, one photo", "64²", alone, None, None, None
    yield "20 steps, eight photos", "64²", together, "eight, one by one", 8 * alone, None


def quickest(generator: object, photos: torch.Tensor, space: str, goal: float) -> Projection:
    """The shortest hybrid that is as close as `goal`; the longest one if none is."""
    for steps in BUDGETS:
        found = project(generator, photos, space=space, init="encoder", steps=steps,
                        latent_noise=0)
        if float(found.losses[-1].mean()) <= goal:
            break
    return found
