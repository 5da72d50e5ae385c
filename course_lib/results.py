"""What the course's iterative methods return, and whom they tell of each step."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

Callback = Callable[[int, Tensor], object]
"""Called at each step with its number and the current answer.

Where a method says so, it may raise `StopIteration` to end with what was found until then.
"""

# The names of an energy's terms; those of an edit's strokes are made from the strokes.
CLOSE_TO_INPUT = "close to the input"
CLOSE_TO_PHOTO = "close to the photo"
CLOSE_TO_GENERATOR = "close to the old generator"
ON_MANIFOLD = "on the manifold"
GRADIENTS = "gradients"
SOURCE_GRADIENTS = "the source's gradients"
HANDLES = "the handles"
FOLDED = "folded"


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


def allowed_steps(steps: int) -> int:
    """`steps`, or as few as `COURSE_STEPS` says where that is set.

    What a lesson shows was found with all its steps; tests run every cell of it with few.
    """
    most = os.environ.get("COURSE_STEPS", "").strip()
    return min(steps, int(most)) if most else steps


def should_stop(callback: Callback | None, step: int, value: Tensor) -> bool:
    """Tell the callback, if there is one; whether it asks for an end, by `StopIteration`."""
    try:
        if callback is not None:
            callback(step, value.detach())
    except StopIteration:
        return True
    return False
