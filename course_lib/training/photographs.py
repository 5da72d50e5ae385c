"""What `realism` compares with: features of a kind's photographs, and of some that are kept out.

    python -m course_lib.training.photographs cats --data cats.zip

writes assets/cats-photographs.safetensors; a minute. The kept-out ones are those that inverting
networks and classifiers have not learnt from either.
"""

import argparse

import torch

from course_lib.generators.base import Card
from course_lib.realism import (
    KINDS,
    SEEN_AT,
    Photographs,
    collect,
    describe,
    save_photographs,
)
from course_lib.training.data import hold_out, read_pictures
from course_lib.training.export import source_of
from course_lib.weights.files import ASSETS

COUNT = 700  # photographs whose features ship


def main() -> None:
    """Describe the photographs, and keep the numbers."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.training.photographs",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--data", required=True, help="zip or folder of square photographs")
    chosen = parser.parse_args()
    photos, others = hold_out(read_pictures(chosen.data, SEEN_AT))
    order = torch.randperm(len(photos), generator=torch.Generator().manual_seed(0))
    features, kept_out = (
        torch.cat([describe(some.float() / 255) for some in part.split(100)])
        for part in (photos[order[:COUNT]], others))
    found = collect(features, kept_out)
    save_photographs(found, chosen.kind)
    print(write_card(found, chosen.kind).quality)


def write_card(found: Photographs, kind: str) -> Card:
    """What the file beside it holds, and under which licence."""
    path = ASSETS / f"{kind}-photographs.safetensors"
    quality = (f"{len(found.features)} photographs; {len(found.kept_out)} kept out, "
               f"{float(found.kept_out.median()):.3f} away from the nearest")
    data, license = source_of(kind)
    card = Card(path.stem, "photographs", SEEN_AT, path.stat().st_size, license, quality, data,
                "python -m course_lib.training.photographs", kind=kind)
    card.write(path.with_suffix(".json"))
    return card


if __name__ == "__main__":
    main()
