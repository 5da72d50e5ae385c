"""The shipped names of directions: found offline, looked at on contact sheets, then named.

    python -m course_lib.training.names

finds them anew (after weights have changed, say) and writes assets/directions.json. Look at
their sheets again before you commit it: components may have changed places.
"""

import argparse
from dataclasses import dataclass

import torch

from course_lib.classifiers import load_classifier
from course_lib.directions import Directions, annotated_by_score, ganspace, sefa, with_spread
from course_lib.directions.naming import SHIPPED, NamedDirection, save_direction
from course_lib.generators import load_generator
from course_lib.generators.base import Generator
from course_lib.shapes import Ellipse


@dataclass(frozen=True)
class Found:
    """What somebody saw.

    Attributes:
        generator, name: what it does to whose pictures.
        method, index: "GANSpace" or "SeFa", and which of its directions; or "annotated", across
            the boundary of what the classifier calls `attribute`.
        sign: 1 or -1, so that the name holds for positive strengths.
        layers: the first and last row of w_plus, None for all.
        reach: a strength that is still natural, in deviations.
        attribute: what the classifier calls it, if it knows it.
        spares: places that a photo keeps, as in `NamedDirection`.
    """

    generator: str
    name: str
    method: str
    index: int = 0
    sign: int = 1
    layers: tuple[int, int] | None = None
    reach: float = 2.0
    attribute: str | None = None
    spares: tuple[Ellipse, ...] = ()


EYES = ((0.345, 0.496, 0.09, 0.07), (0.655, 0.496, 0.09, 0.07))  # of the cats
ANNOTATED = 3000  # codes that the classifier labels
NAMES = (
    Found("cats", "ginger", "GANSpace", 0, -1, (4, 9), 1.5, "ginger coat"),
    Found("cats", "light coat", "GANSpace", 0, -1, (0, 3), 1.2, "light coat"),
    Found("cats-128", "light coat", "annotated", layers=(0, 7), reach=1.8,
          attribute="light coat", spares=EYES),
    Found("cats-128", "white face", "GANSpace", 5, layers=(0, 3), reach=1.8, spares=EYES),
    Found("cats-128", "head up", "GANSpace", 8, -1, (0, 3), 1.5),
    Found("cats-128", "head turned", "GANSpace", 3, layers=(0, 3), reach=1.5),
    Found("clothes", "long sleeves", "annotated", reach=2.0, attribute="longsleeve"),
    Found("clothes", "black", "annotated", layers=(5, 9), reach=1.5, attribute="black"),
    Found("clothes", "red", "annotated", layers=(5, 9), reach=1.5, attribute="red or pink"),
    Found("clothes", "blue", "annotated", layers=(5, 9), reach=1.5, attribute="blue"),
)


def directions_of(generator: Generator, method: str, attribute: str | None = None) -> Directions:
    """By one method, always the same."""
    rng = torch.Generator().manual_seed(0)
    if method == "annotated":
        return _annotated(generator, attribute, rng)
    if method == "SeFa":
        codes = generator.sample_latent(5000, space="w", rng=rng)
        return with_spread(sefa(generator, n_components=20), codes)
    n, batch = (100_000, 5_000) if "w" in generator.spaces else (5_000, 500)
    return ganspace(generator, n_samples=n, n_components=20, batch=batch, rng=rng)


@torch.no_grad()
def _annotated(generator: Generator, attribute: str, rng: torch.Generator) -> Directions:
    """Across the boundary of an attribute, the generator's own classifier being the judge."""
    classifier = load_classifier(generator)
    codes = generator.sample_latent(ANNOTATED, space="w", rng=rng, truncation_psi=0.8)
    scores = [classifier(generator.decode(some, space="w").clamp(0, 1))
              for some in codes.split(50)]
    return annotated_by_score(codes, torch.cat(scores)[:, classifier.number(attribute)])


def record_direction(found: Found, generator: Generator, directions: Directions) -> NamedDirection:
    """The record that ships."""
    vector = found.sign * directions.components[found.index]
    rows = None if found.layers is None else tuple(range(found.layers[0], found.layers[1] + 1))
    reach = found.reach * float(directions.stdev[found.index])
    how = f"{found.method} {found.index}" if found.method != "annotated" else "annotated"
    return NamedDirection(found.name, generator.name, directions.space,
                          tuple(round(value, 4) for value in vector.tolist()), rows,
                          round(reach, 2), how, found.spares)


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
                key = (found.method, found.attribute if found.method == "annotated" else None)
                if key not in known:
                    known[key] = directions_of(generator, *key)
                save_direction(record_direction(found, generator, known[key]), SHIPPED)
                print(f"{name}: {found.name}")


if __name__ == "__main__":
    main()
