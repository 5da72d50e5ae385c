"""First compute potential directions, then name them: look, measure, keep.

A contact sheet shows what a direction does (`directions.effects` measures it), and a JSON store
keeps what somebody has named.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.directions.moving import Direction, move
from course_lib.generators.base import Generator
from course_lib.shapes import Ellipse, Latent
from course_lib.weights.files import ASSETS, to_path
from course_lib.writing import whole_file

SHIPPED = ASSETS / "directions.json"


@torch.no_grad()
def contact_sheet(
    generator: Generator, latent: Latent, direction: Direction, strengths: Sequence[float],
    *, space: str, layers: Sequence[int] | None = None,
) -> Float[Tensor, "codes strengths 3 r r"]:
    """Each code (a row) moved by each strength (a column), to look at and name what changes."""
    columns = [
        generator.decode(move(latent, direction, strength, layers=layers), space=space)
        for strength in strengths
    ]
    return torch.stack(columns, dim=1)


@dataclass(frozen=True)
class NamedDirection:
    """A direction that someone has looked at and named.

    Attributes:
        name: "heel height", say; generator: whose codes it moves.
        direction: a unit vector in `space`.
        layers: rows of w_plus it acts on, None for all; reach: a strength that is still natural.
        found: by which method.
        spares: what a photo keeps as it is, as ellipses (x, y, and their radii) in shares of the
            side: a coat's direction spares the eyes.
        pose: whether it is about where things are, so that a photo keeps its colours.
    """

    name: str
    generator: str
    space: str
    direction: tuple[float, ...]
    layers: tuple[int, ...] | None = None
    reach: float = 1.0
    found: str = ""
    spares: tuple[Ellipse, ...] = ()
    pose: bool = False

    def vector(self, like: Tensor) -> Direction:
        """The direction as a tensor beside others."""
        return like.new_tensor(self.direction)


def save_direction(found: NamedDirection, path: str | Path) -> None:
    """Add it to a JSON store, in place of one of the same name and generator.

    Raises:
        ValueError: the file is no such store.
        FileNotFoundError: the folder does not exist.
    """
    path = to_path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"{path.parent} is no folder, so the direction can't be written into it: create it "
            f"first, or choose another."
        )
    others = [one for one in load_directions(path)
              if (one.name, one.generator) != (found.name, found.generator)]
    records = [json.dumps(asdict(one)) for one in [*others, found]]
    with whole_file(path) as part:
        part.write_text("[\n" + ",\n".join(records) + "\n]\n", encoding="utf-8")


def load_directions(path: str | Path, generator: str | None = None) -> list[NamedDirection]:
    """The directions of a JSON store, of one generator if named; none if there is no store.

    Raises:
        ValueError: the file is no such store.
    """
    path = to_path(path)
    if not path.is_file():
        return []
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        stored = [NamedDirection(**record | {
            "direction": tuple(record["direction"]),
            "layers": None if record["layers"] is None else tuple(record["layers"]),
            "spares": tuple(map(tuple, record.get("spares", ()))),
        }) for record in records]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} is no store of directions ({error}), so none can be read and none will be "
            f"added: name another file, or delete it."
        ) from error
    return [one for one in stored if generator in (None, one.generator)]


def shipped_directions(generator: Generator) -> dict[str, NamedDirection]:
    """The directions that were found and named for a shipped generator, by name."""
    return {one.name: one for one in load_directions(SHIPPED, generator.name)}
