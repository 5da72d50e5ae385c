"""Classic mistakes in the assignments, kept to prove that the checks find and name them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One mistake in a solution: `right` in its source becomes `wrong`.

    Attributes:
        says: a phrase of the message that must name the mistake.
    """

    right: str
    wrong: str
    says: str
