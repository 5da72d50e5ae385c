"""What the course's iterative methods return, and whom they tell of each step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

Callback = Callable[[int, Tensor], object]
"""Called at each step with its number and the current answer."""


@dataclass(frozen=True)
class Solution:
    """What an iterative solver found, and how well.

    Attributes:
        value: the answer; never clamped, so a picture may leave [0, 1].
        residuals: one number a step, without unit: how far the solver was from
            done. Each method's docstring says what it measures.
        converged: whether the method stopped because it was done.
        energies: the terms of the energy that the method lowers, by name, one number a step.
    """

    value: Float[Tensor, "*shape"]
    residuals: Float[Tensor, " steps"]
    converged: bool
    energies: Mapping[str, Float[Tensor, " steps"]] = field(default_factory=dict)
