"""Projection: the hybrid against a thousand plain steps, and eight photos against one."""

from collections.abc import Iterator

import torch

from course_lib.generators import load_generator
from course_lib.generators.base import Generator
from course_lib.images import crop_square, load_image
from course_lib.projection import Projection, project
from tests.benchmarks.timing import median_seconds

Row = tuple[str, str, float, str | None, float | None, float | None]


def rows(device: torch.device | str) -> Iterator[Row]:
    """As fast as the hybrid reaches what a thousand steps from the mean reach; batches; cuda."""
    cats = load_generator("cats", device=device)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        samples = cats.decode(cats.sample_latent(7, rng=rng)).clamp(0, 1)
    chelsea = crop_square(load_image("chelsea", device=device), centre=(237, 128), size=210,
                          resolution=64)
    photos = torch.cat([chelsea[None], samples])
    for name, photo in (("chelsea", chelsea), ("a sample", samples[0])):
        plain = {space: project(cats, photo, space=space, steps=1000) for space in ("w", "w_plus")}
        for space, goal in (("w", "w"), ("w_plus", "w_plus"), ("w_plus", "w")):
            quick = quickest(cats, photo, space, float(plain[goal].losses[-1]))
            yield (f"{name}: hybrid, {len(quick.losses)} steps, {space}", "64²", quick.seconds,
                   f"1000 steps from the mean, {goal}", plain[goal].seconds, None)

    def one() -> Projection:
        return project(cats, photos[:1], steps=20)

    def eight() -> Projection:
        return project(cats, photos, steps=20)

    alone, together = median_seconds(one, eight, rounds=3)
    yield "20 steps, one photo", "64²", alone, None, None, None
    yield "20 steps, eight photos", "64²", together, "eight, one by one", 8 * alone, None


def quickest(generator: Generator, photo: torch.Tensor, space: str, goal: float) -> Projection:
    """The shortest hybrid that is as close as `goal`; a thousand steps if none is."""
    def hybrid(steps: int) -> Projection:
        return project(generator, photo, space=space, init="encoder", steps=steps,
                       optimizer="lbfgs")

    close = (hybrid(1000).losses[:, 0] <= goal).nonzero()
    return hybrid(int(close[0]) + 1 if len(close) else 1000)  # L-BFGS has no schedule to shorten
