"""Shipped generators: loading one, and drawing; no peer, so the seconds themselves count."""

from collections.abc import Iterator

import torch

from course_lib.generators import list_generators, load_generator
from tests.benchmarks.timing import median_seconds, peak_megabytes

Row = tuple[str, str, float, None, None, float | None]


def rows(device: torch.device | str) -> Iterator[Row]:
    """For each shipped model: loading, and drawing 1 and 16 pictures."""
    for card in list_generators():
        if card.remote:
            continue
        name, size = card.name, f"{card.resolution}²"
        (loading,) = median_seconds(lambda name=name: load_generator(name, device=device))
        yield f"load {name}", size, loading, None, None, None
        generator = load_generator(name, device=device)
        for n in (1, 16):
            z = generator.sample_latent(n, rng=torch.Generator().manual_seed(0))

            def draw(generator=generator, z=z):
                return generator.decode(z)

            (drawing,) = median_seconds(draw, rounds=9)
            yield f"draw {n} {name}", size, drawing, None, None, peak_megabytes(draw, device)
