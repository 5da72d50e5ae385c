"""What a direction changes: the attribute that was meant, and its side effects on the others.

A classifier of attributes looks at codes moved along the direction, both ways.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_number
from course_lib.classifiers import Classifier
from course_lib.directions.moving import Direction, Directions, move
from course_lib.generators.base import Generator
from course_lib.shapes import Latent


@torch.no_grad()
def attribute_effects(
    generator: Generator, latent: Latent, direction: Direction, strength: float,
    classifier: Classifier, *, space: str, layers: Sequence[int] | None = None,
) -> Float[Tensor, " attributes"]:
    """How much each attribute changes from −strength to +strength, on average over the codes.

    In deviations: the classifier's logits are divided by their spread over the codes' own
    pictures, so that attributes can be compared.
    """
    spread = _spread_of_answers(generator, latent, classifier, space)
    return _change(generator, latent, direction, strength, classifier, space, layers) / spread


def _spread_of_answers(
    generator: Generator, latent: Latent, classifier: Classifier, space: str
) -> Float[Tensor, " attributes"]:
    """The deviation of each logit over the codes' own pictures."""
    return _logits(generator, latent, classifier, space).std(dim=0).clamp(min=1e-6)


def _change(
    generator: Generator, latent: Latent, direction: Direction, strength: float,
    classifier: Classifier, space: str, layers: Sequence[int] | None,
) -> Float[Tensor, " attributes"]:
    """How much each logit grows from −strength to +strength, on average over the codes."""
    ends = (_logits(generator, move(latent, direction, step, layers=layers), classifier, space)
            for step in (strength, -strength))
    return next(ends).sub(next(ends)).mean(dim=0)


@torch.no_grad()
def effect_table(
    generator: Generator, latent: Latent, directions: Directions, classifier: Classifier,
    *, space: str, layers: Sequence[int] | None = None, strength: float = 1.5,
) -> Float[Tensor, "directions attributes"]:
    """`attribute_effects` of every direction, moved by `strength` of its deviations."""
    spread = _spread_of_answers(generator, latent, classifier, space)
    return torch.stack([
        _change(generator, latent, direction, strength * float(stdev), classifier, space, layers)
        for direction, stdev in zip(directions.components, directions.require_spread(),
                                    strict=True)
    ]) / spread


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


@torch.no_grad()
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
    reached, spread = float("inf"), _spread_of_answers(generator, latent, classifier, space)
    for strength in (_spread(latent) * torch.linspace(0, 1, steps + 1)[1:] ** 1.5).tolist():
        effects = _change(generator, latent, direction, strength, classifier, space, layers)
        effects = (effects / spread).cpu()
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
