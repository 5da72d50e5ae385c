"""The sliders of the first page's clothes: `python -m docs.site.garments` finds their directions.

No classifier knows garments. But what a slider should do can be measured: how light the cloth is,
how blue, how far it reaches. `annotated_by_score` finds the direction across each, over garments of
all kinds, and writes it into `garments.json`. Look at `build/garments.png` before committing it.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.directions import annotated_by_score, move
from course_lib.directions.naming import NamedDirection, load_directions, save_direction
from course_lib.generators import load_generator
from course_lib.images import save_image
from course_lib.plotting import tile

NAME = "clothes-biggan"
STORE = Path(__file__).with_name("garments.json")
KINDS = ("t-shirt", "longsleeve", "shirt", "jacket", "dress", "skirt", "trousers", "shorts")
CODES, SHARE, REACH = 800, 0.25, 2.5  # of each kind; as in `annotated_by_score`; looked at
CLOTH, CROSSED = 0.9, 0.1  # greys below are cloth; so much of it makes a row or column count


def measure(pictures: Float[Tensor, "batch 3 r r"]) -> dict[str, Float[Tensor, " batch"]]:
    """How much of each slider's name a garment on white has, in no unit."""
    grey = pictures.mean(dim=1)
    cloth = (grey < CLOTH).float()
    beside = cloth[..., 1:] * cloth[..., :-1]

    def over(values: Tensor, where: Tensor) -> Tensor:
        return (values * where).sum(dim=(1, 2)) / where.sum(dim=(1, 2)).clamp(min=1)

    return {
        "light": over(grey, cloth),
        "blue, not red": over(pictures[:, 2] - pictures[:, 0], cloth),
        "long": (cloth.mean(dim=2) > CROSSED).float().sum(dim=1),
        "wide": (cloth.mean(dim=1) > CROSSED).float().sum(dim=1),
        "patterned": over(grey.diff(dim=2).abs(), beside),
    }


@torch.no_grad()
def find() -> list[NamedDirection]:
    """A direction in z for each measure, each kind's mean taken out."""
    generator, rng = load_generator(NAME, device="cpu"), torch.Generator().manual_seed(0)
    codes, scores = [], []
    for kind in KINDS:
        z = generator.sample_latent(CODES, rng=rng)
        found = [measure(generator.with_label(kind).decode(some).clamp(0, 1))
                 for some in z.split(50)]
        measured = {name: torch.cat([one[name] for one in found]) for name in found[0]}
        codes.append(z)
        scores.append({name: (each - each.mean()) / each.std() for name, each in measured.items()})
    named = []
    for name in scores[0]:
        directions = annotated_by_score(
            torch.cat(codes), torch.cat([one[name] for one in scores]), space="z", share=SHARE)
        vector = tuple(round(value, 4) for value in directions.components[0].tolist())
        named.append(NamedDirection(name, NAME, "z", vector, reach=REACH, found="annotated"))
    return named


def sheet(named: list[NamedDirection]) -> Float[Tensor, "3 height width"]:
    """Each direction a row: of six kinds one garment, moved back, as it is, and on."""
    generator, rows = load_generator(NAME, device="cpu"), []
    for one in named:
        for number, kind in enumerate(KINDS[::2] + KINDS[5::2]):
            rng = torch.Generator().manual_seed(number)
            z = generator.sample_latent(1, rng=rng, truncation_psi=0.6)
            rows += [generator.with_label(kind).decode(move(z, one.vector(z), far))
                     for far in (-one.reach, 0.0, one.reach)]
    return tile(torch.cat(rows).clamp(0, 1), len(rows) // len(named))


if __name__ == "__main__":
    for found in find():
        save_direction(found, STORE)
    save_image(sheet(load_directions(STORE)), STORE.parents[2] / "build" / "garments.png")
