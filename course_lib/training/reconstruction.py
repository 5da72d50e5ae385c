"""The lecture's table: how well photos are reconstructed, by three ways at equal budget.

    python -m course_lib.training.reconstruction cats=cats64.zip clothes=clothes.zip

Optimisation from the mean code, the inverting network alone, and the hybrid, on photos that were
kept from the network's training. Prints the table, and stores each column with the model's card.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from course_lib.generators import load_generator
from course_lib.generators.base import Card, Generator
from course_lib.losses import pixel_loss
from course_lib.projection import project
from course_lib.training.data import hold_out, read_pictures
from course_lib.weights.files import ASSETS

WAYS = {"optimisation": ("mean", True), "network": ("encoder", False), "hybrid": ("encoder", True)}


def reconstruction_losses(
    generator: Generator, photos: Tensor, *, steps: int = 100
) -> dict[str, float]:
    """Mean squared error of each way, over photos (n, 3, r, r) in [0, 1].

    In w_plus (in z for families without), with the same loss and steps for all.
    """
    space = generator.spaces[-1]
    found = {}
    for way, (init, descends) in WAYS.items():
        projection = project(generator, photos, space=space, init=init, loss=pixel_loss,
                             steps=steps if descends else 0)
        found[way] = round(float(pixel_loss(projection.image, photos).mean()), 4)
    return found


def table(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Ways down, models across."""
    lines = ["".ljust(14) + "".join(name.rjust(14) for name in columns)]
    lines += [
        way.ljust(14) + "".join(f"{losses[way]:14.4f}" for losses in columns.values())
        for way in WAYS
    ]
    ratios = [losses["hybrid"] / losses["optimisation"] for losses in columns.values()]
    return "\n".join([*lines, "hybrid / opt.".ljust(14) + "".join(f"{r:14.2f}" for r in ratios)])


def main() -> None:
    """Read the command line, project, print, store."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.training.reconstruction",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="MODEL=PHOTOS", help="a zip or folder each")
    parser.add_argument("--photos", type=int, default=32, help="of each set")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--assets", type=Path, default=ASSETS, help="where the cards are")
    chosen = parser.parse_args()
    columns = {}
    for pair in chosen.sets:
        name, _, source = pair.partition("=")
        if not source:
            parser.error(f"{pair!r} names no photos: write MODEL=PHOTOS, as cats=cats64.zip")
        generator = load_generator(name)
        photos = hold_out(read_pictures(source, generator.resolution))[1][: chosen.photos]
        photos = (photos.float() / 255).to(generator.device)
        torch.manual_seed(0)
        columns[name] = reconstruction_losses(generator, photos, steps=chosen.steps)
        path = chosen.assets / f"{name}.json"
        card = Card.read(path)
        stored = columns[name] | {"photos": len(photos), "steps": chosen.steps}
        replace(card, measured={**card.measured, "reconstruction": stored}).write(path)
    print(table(columns))


if __name__ == "__main__":
    main()
