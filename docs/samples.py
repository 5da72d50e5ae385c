"""Draws the README's samples of the generators: python -m docs.samples docs/generators.jpg"""

import sys
from pathlib import Path

import torch
from PIL import Image as Picture

from course_lib.generators import load_generator
from course_lib.images import to_uint8
from course_lib.shapes import Image

ROWS = (("cats-128", 8, 0.7), ("cats-128", 8, 0.7), ("cats-128", 8, 0.7), ("cats", 15, 0.7),
        ("clothes", 15, 0.7), ("cats-dcgan", 15, 1.0), ("clothes-biggan", 15, 0.7),
        ("clothes-diffusion", 15, 1.0))
"""Name, how many, and ψ: a DCGAN's short codes are pale, not typical."""
GAP = 4  # pixels of white


@torch.no_grad()
def samples(name: str, n: int, psi: float, rng: torch.Generator) -> Image:
    """`n` pictures; of a model that is told a kind, some of each of the commonest."""
    generator = load_generator(name, device="cpu")
    space = "w" if "w" in generator.spaces else "z"
    kinds = ("t-shirt", "longsleeve", "dress", "trousers", "skirt")
    told = [generator]
    if name in ("clothes-biggan", "clothes-diffusion"):
        told = [generator.with_label(kind) for kind in kinds]
    codes = told[0].sample_latent(n, space=space, rng=rng, truncation_psi=psi)
    parts = codes.split(-(-n // len(told)))
    return torch.cat([one.decode(part, space=space) for one, part in
                      zip(told, parts, strict=True)]).clamp(0, 1)


def strip(images: Image) -> Image:
    """Pictures side by side, (3, r, width), a gap after each."""
    spaced = torch.nn.functional.pad(images, (0, GAP, 0, GAP), value=1)
    return torch.cat([*spaced], dim=2)


def draw(path: str) -> None:
    """One row below the other, in one file."""
    rng = torch.Generator().manual_seed(4)
    rows = [strip(samples(name, n, psi, rng)) for name, n, psi in ROWS]
    width = max(row.shape[2] for row in rows)
    rows = [torch.nn.functional.pad(row, (0, width - row.shape[2]), value=1) for row in rows]
    Picture.fromarray(to_uint8(torch.cat(rows, dim=1))).save(path, quality=85)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).absolute().parent.is_dir():
        sys.exit("say where to draw it: python -m docs.samples docs/generators.jpg")
    draw(sys.argv[1])
