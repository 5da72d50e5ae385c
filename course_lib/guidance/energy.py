"""The energy of an edit: the constraints' weighted terms by name, and closeness to the input."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_number
from course_lib.generators.base import Generator
from course_lib.guidance.drag import Pull
from course_lib.guidance.strokes import Constraint, Energy
from course_lib.results import CLOSE_TO_INPUT
from course_lib.shapes import Latent

Terms = dict[str, tuple[float, Energy]]
"""By name, as "ColorStroke 1" or "Drag 2", each constraint's weight and its term of the energy."""


class EditEnergy:
    """E = Σ_g weight_g · L_g(G(z)) + λ_s · mean squared change, for codes that began at z0.

    Args:
        generator, origin, space: whose pictures, z0 of each start, and its space.
        constraints: as in `edit`; "ColorStroke 1" is the first's term, "Drag 2" the second's.
        smoothness: λ_s.
        before: the energy until now; drags whose start is one of its go on from where their
            handles are.
    """

    def __init__(
        self, generator: Generator, origin: Latent, space: str, constraints: Sequence[Constraint],
        smoothness: float, before: "EditEnergy | None" = None,
    ) -> None:
        require_number(smoothness, "smoothness", least=0)
        require_constraints(constraints)
        self.generator, self.space, self.smoothness = generator, space, smoothness
        self.terms = bind(constraints, generator, origin, space)
        for pull in self.pulls if before else ():
            pull.continue_from(before.pulls)

    @property
    def pulls(self) -> list[Pull]:
        """The drags' terms."""
        return [term for _, term in self.terms.values() if isinstance(term, Pull)]

    def __call__(
        self, code: Tensor, change: Tensor
    ) -> tuple[Tensor, dict[str, Float[Tensor, " starts"]]]:
        """The pictures of these codes, and the energy's terms by name.

        Args:
            change: of the codes from z0, in deviations along the axes.
        """
        layers = sorted({pull.layer for pull in self.pulls})
        image, features = self.generator.decode_with_features(code, layers, space=self.space)
        values = {
            name: weight * (term(code, image, features[term.layer]) if isinstance(term, Pull)
                            else term(code, image))
            for name, (weight, term) in self.terms.items()
        }
        close = self.smoothness * change.square().flatten(1).mean(dim=1)
        return image, values | {CLOSE_TO_INPUT: close}

    def missed(self, code: Tensor, image: Tensor) -> dict[str, Float[Tensor, " starts"]]:
        """How far each constraint is from being met by these pictures, as in `Edit`."""
        return {name: term.missed() if isinstance(term, Pull)
                else term(code, image).clamp(min=0).sqrt()
                for name, (_, term) in self.terms.items()}


def bind(
    constraints: Sequence[Constraint], generator: Generator, latent: Latent, space: str
) -> Terms:
    """The constraints' weights and terms, for an edit that begins at `latent`."""
    return {f"{type(one).__name__} {number}": (one.weight, one.bind(generator, latent, space))
            for number, one in enumerate(constraints, start=1)}


def require_constraints(constraints: object) -> None:
    """Raise a `ValueError` unless these are constraints with weights, in a list."""
    if isinstance(constraints, Constraint):
        raise ValueError(
            f"constraints is a single {type(constraints).__name__}, but they add up, so a list "
            f"of them is needed: put it into [ ]."
        )
    if not isinstance(constraints, Sequence) or isinstance(constraints, str):
        raise ValueError(
            f"constraints is a {type(constraints).__name__}, but a list of strokes is needed."
        )
    for constraint in constraints:
        if not isinstance(constraint, Constraint):
            raise ValueError(
                f"constraints holds a {type(constraint).__name__}, which asks nothing of a "
                f"picture: take a stroke, or wrap a function in Anything(function)."
            )
        require_number(constraint.weight, "weight", least=0)


def require_finite_terms(energies: dict[str, Float[Tensor, " starts"]]) -> None:
    """Raise a `ValueError` that names the first term that is no number."""
    for name, value in energies.items():
        if not value.isfinite().all():
            raise ValueError(
                f"the term of {name} is {value[~value.isfinite()][0].item()}, so no slope "
                f"leads on from there: look at what it divides by, or takes a root of."
            )


def require_finite_slope(slope: Tensor, terms: Sequence[str]) -> None:
    """Raise a `ValueError` unless the slope of these terms' sum is made of numbers."""
    if not slope.isfinite().all():
        raise ValueError(
            f"the slope of {' + '.join(terms)} is no number, as that of a root or a "
            f"deviation is at 0, so no step could be taken: add a little below the root, "
            f"(x + 1e-8).sqrt()."
        )
