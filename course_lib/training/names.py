"""The shipped names of directions: found offline, looked at on contact sheets, then named.

    python -m course_lib.training.names

finds them anew (after weights have changed, say) and writes assets/directions.json. Look at
their sheets again before you commit it: components may have changed places.
"""

import argparse
from dataclasses import dataclass

import torch

from course_lib.directions import Directions, ganspace, sefa, with_spread
from course_lib.directions.naming import SHIPPED, NamedDirection, save_direction
from course_lib.generators import load_generator
from course_lib.generators.base import Generator


@dataclass(frozen=True)
class Found:
    """What somebody saw.

    Attributes:
        generator, name: what it does to whose pictures.
        method, index: "GANSpace" or "SeFa", and which of its directions; sign: 1 or -1, so that
            the name holds for positive strengths.
        layers: the first and last row of w_plus, None for all.
        reach: a strength that is still natural, in deviations.
        attribute: what the classifier calls it, if it knows it.
    """

    generator: str
    name: str
    method: str
    index: int
    sign: int = 1
    layers: tuple[int, int] | None = None
    reach: float = 2.0
    attribute: str | None = None


NAMES = (
    Found("shoes", "darker", "GANSpace", 0, layers=(0, 3), reach=1.5, attribute="black"),
    Found("shoes", "lower, a slipper", "GANSpace", 1, layers=(0, 3), attribute="open"),
    Found("shoes", "from blue to red", "GANSpace", 2, layers=(4, 9)),
    Found("shoes", "from olive to magenta", "GANSpace", 1, layers=(4, 9)),
    Found("cats", "ginger", "GANSpace", 0, -1, (4, 9), 1.5, "ginger coat"),
    Found("cats", "light coat", "GANSpace", 0, -1, (0, 3), 1.2, "light coat"),
    Found("shoes-dcgan", "flip-flop", "GANSpace", 0, attribute="open"),
    Found("shoes-dcgan", "black", "GANSpace", 1, attribute="black"),
    Found("shoes-dcgan", "blue", "GANSpace", 4),
)


def directions_of(generator: Generator, method: str) -> Directions:
    """By one method, always the same."""
    rng = torch.Generator().manual_seed(0)
    if method == "SeFa":
        codes = generator.sample_latent(5000, space="w", rng=rng)
        return with_spread(sefa(generator, n_components=20), codes)
    n, batch = (100_000, 5_000) if "w" in generator.spaces else (5_000, 500)
    return ganspace(generator, n_samples=n, n_components=20, batch=batch, rng=rng)


def record_direction(found: Found, generator: Generator, directions: Directions) -> NamedDirection:
    """The record that ships."""
    vector = found.sign * directions.components[found.index]
    rows = None if found.layers is None else tuple(range(found.layers[0], found.layers[1] + 1))
    reach = found.reach * float(directions.stdev[found.index])
    return NamedDirection(found.name, generator.name, directions.space,
                          tuple(round(value, 4) for value in vector.tolist()), rows,
                          round(reach, 2), f"{found.method} {found.index}")


def main() -> None:
    """Find the names of some generators, or of all, and write them into the store."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.training.names",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    generators = list(dict.fromkeys(found.generator for found in NAMES))
    parser.add_argument("only", nargs="*", choices=[[], *generators], help="all if none is named")
    chosen = parser.parse_args().only or generators
    for name in chosen:
        generator, known = load_generator(name, device="cpu"), {}
        for found in NAMES:
            if found.generator == name:
                if found.method not in known:
                    known[found.method] = directions_of(generator, found.method)
                save_direction(record_direction(found, generator, known[found.method]), SHIPPED)
                print(f"{name}: {found.name}")


if __name__ == "__main__":
    main()
