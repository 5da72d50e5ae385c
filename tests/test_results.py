"""What solvers return can be replaced, not changed."""

from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from course_lib.results import Solution


def test_a_solution_is_frozen_and_its_energies_are_its_own():
    solution = Solution(torch.rand(3, 2, 2), torch.rand(5), converged=True)
    with pytest.raises(FrozenInstanceError):
        solution.converged = False
    assert replace(solution, converged=False).value is solution.value
    other = Solution(torch.rand(1), torch.rand(0), converged=False)
    assert solution.energies == {} and solution.energies is not other.energies
