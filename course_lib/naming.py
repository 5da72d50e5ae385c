"""First compute potential directions, then name them: look, measure, keep.

A contact sheet shows what a direction does, a classifier of attributes says how much of it was
meant, and a JSON store keeps what somebody has named.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_number
from course_lib.classifiers import Classifier
from course_lib.directions import Direction, Directions, move
from course_lib.generators.base import Generator
from course_lib.shapes import Latent
from course_lib.weights.files import to_path
from course_lib.writing import whole_file

SHIPPED = Path(__file__).parent / "assets" / "directions.json"


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


@torch.no_grad()
def attribute_effects(
    generator: Generator, latent: Latent, direction: Direction, strength: float,
    classifier: Classifier, *, space: str, layers: Sequence[int] | None = None,
) -> Float[Tensor, " attributes"]:
    """How much each attribute changes from −strength to +strength, on average over the codes.

    In deviations: the classifier's logits are divided by their spread over the codes' own
    pictures, so that attributes can be compared.
    """
    spread = _logits(generator, latent, classifier, space).std(dim=0).clamp(min=1e-6)
    ends = (_logits(generator, move(latent, direction, step, layers=layers), classifier, space)
            for step in (strength, -strength))
    return next(ends).sub(next(ends)).mean(dim=0) / spread


def effect_table(
    generator: Generator, latent: Latent, directions: Directions, classifier: Classifier,
    *, space: str, layers: Sequence[int] | None = None, strength: float = 1.5,
) -> Float[Tensor, "directions attributes"]:
    """`attribute_effects` of every direction, moved by `strength` of its deviations."""
    return torch.stack([
        attribute_effects(generator, latent, direction, strength * float(stdev), classifier,
                          space=space, layers=layers)
        for direction, stdev in zip(directions.components, directions.stdev, strict=True)
    ])


def _logits(generator: Generator, latent: Latent, classifier: Classifier, space: str) -> Tensor:
    parts = [classifier(generator.decode(part, space=space).clamp(0, 1))
             for part in latent.split(32)]
    return torch.cat(parts)


@dataclass(frozen=True)
class SideEffects:
    """What else changes while an attribute changes by as much as was asked for.

    Attributes:
        attribute: the one that was meant; its change is `change`, in deviations.
        strength: codes were moved from −strength to +strength; infinite if that much was never
            reached, and then nothing else is known.
        others: the changes of the other attributes, by name.
    """

    attribute: str
    change: float
    strength: float
    others: dict[str, float]

    @property
    def mean(self) -> float:
        """Of the others, without sign: 0 would be perfectly disentangled."""
        return sum(map(abs, self.others.values())) / max(1, len(self.others))

    @property
    def largest(self) -> str:
        """The attribute that changes most besides the one that was meant."""
        return max(self.others, key=lambda name: abs(self.others[name]))


def side_effects(
    generator: Generator, latent: Latent, direction: Direction, classifier: Classifier,
    attribute: str, *, space: str, layers: Sequence[int] | None = None,
    change: float = 1.0, steps: int = 6,
) -> SideEffects:
    """Move until an attribute has changed by `change` deviations; how much have the others?

    Directions of any method and length are compared at the same effect. Between `steps` strengths,
    the last of which is the codes' own distance from their mean, changes are interpolated.

    Args:
        latent: codes to average over, two or more.
        change: in deviations, see `attribute_effects`; the direction's sign does not matter.
    """
    require_number(change, "change", above=0)
    meant, names = classifier.number(attribute), classifier.attributes
    before, found, weaker = torch.zeros(len(names)), torch.full((len(names),), torch.nan), 0.0
    reached = float("inf")
    for strength in (_spread(latent) * torch.linspace(0, 1, steps + 1)[1:] ** 1.5).tolist():
        effects = attribute_effects(generator, latent, direction, strength, classifier,
                                    space=space, layers=layers).cpu()
        effects = effects * effects[meant].sign()
        if effects[meant] >= change:
            share = (change - before[meant]) / (effects[meant] - before[meant])
            found, reached = before.lerp(effects, share), weaker + share * (strength - weaker)
            break
        before, weaker = effects, strength
    others = {name: float(found[index]) for index, name in enumerate(names) if index != meant}
    return SideEffects(attribute, change, float(reached), others)


def _spread(latent: Latent) -> float:
    """How far a code (of w_plus, one of its rows) is from the mean, as a root mean square."""
    rows = latent.flatten(1)
    count = latent.shape[1] if latent.ndim == 3 else 1
    return float((rows - rows.mean(dim=0)).square().sum(dim=1).mean().div(count).sqrt())


@dataclass(frozen=True)
class NamedDirection:
    """A direction that someone has looked at and named.

    Attributes:
        name: "heel height", say; generator: whose codes it moves.
        direction: a unit vector in `space`.
        layers: rows of w_plus it acts on, None for all; reach: a strength that is still natural.
        found: by which method.
    """

    name: str
    generator: str
    space: str
    direction: tuple[float, ...]
    layers: tuple[int, ...] | None = None
    reach: float = 1.0
    found: str = ""

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
