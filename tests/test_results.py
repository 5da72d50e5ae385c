"""What solvers return can be replaced, not changed; and whoever watches them may end them."""

import runpy
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
import torch

from course_lib.blending import blend_poisson
from course_lib.gradients import gradient
from course_lib.guidance import ColorStroke, edit
from course_lib.projection import project
from course_lib.results import Solution, allowed_steps
from course_lib.smoothing import smooth_l0
from course_lib.tuning import tune_generator
from tests.toys import tame


def test_a_solution_is_frozen_and_its_energies_are_its_own():
    solution = Solution(torch.rand(3, 2, 2), torch.rand(5), converged=True)
    with pytest.raises(FrozenInstanceError):
        solution.converged = False
    assert replace(solution, converged=False).value is solution.value
    other = Solution(torch.rand(1), torch.rand(0), converged=False)
    assert solution.energies == {} and solution.energies is not other.energies


def blend(rng, callback):
    image, mask = torch.rand(3, 64, 64, generator=rng), torch.ones(64, 64, dtype=torch.bool)
    mask[:, 0] = False
    solution = blend_poisson(image, 0 * gradient(image), mask, tol=1e-6, callback=callback)
    return solution.value, solution.residuals


def smooth(rng, callback):
    solution = smooth_l0(torch.rand(3, 16, 16, generator=rng), callback=callback)
    return solution.value, solution.residuals


def find(rng, callback):
    generator = tame(rng)
    found = project(generator, torch.rand(3, 16, 16, generator=rng), steps=9, callback=callback)
    return found.image, found.losses


def paint(rng, callback):
    generator = tame(rng)
    code = generator.sample_latent(1, space="w", rng=rng)
    stroke = ColorStroke(torch.ones(16, 16, dtype=torch.bool), (1, 0, 0))
    found = edit(generator, code, [stroke], steps=9, callback=callback)
    return found.image, found.energies["ColorStroke 1"]


def tune(rng, callback):
    generator = tame(rng)
    code = generator.sample_latent(1, space="w", rng=rng)
    photo = torch.rand(3, 16, 16, generator=rng)
    tuned = tune_generator(generator, photo, code, space="w", steps=9, callback=callback)
    return tuned.image, tuned.energies["close to the photo"]


@pytest.mark.parametrize("method", [blend, smooth, find, paint, tune])
def test_a_callback_ends_it_with_what_was_found_until_then(method):
    def watch(last=99):
        def callback(step, value):
            steps.append(step)
            if step == last:
                raise StopIteration
        return callback

    def seeded():
        return torch.Generator().manual_seed(0)

    steps = []
    whole, history = method(seeded(), watch())
    assert steps == list(range(len(history))) and len(steps) > 3
    steps = []
    part, short = method(seeded(), watch(last=2))
    assert steps == [0, 1, 2] and len(short) == 3
    assert torch.equal(short[:2], history[:2]) and not torch.equal(part, whole)


@pytest.mark.parametrize("said, taken", [("", 30), ("3", 3), ("100", 30)])
def test_tests_may_ask_for_fewer_steps_never_for_more(monkeypatch, said, taken):
    monkeypatch.setenv("COURSE_STEPS", said)
    assert allowed_steps(30) == taken


def test_lessons_are_tried_with_few_steps_and_students_run_all(monkeypatch):
    monkeypatch.delenv("COURSE_STEPS", raising=False)
    path = Path(__file__).parents[1] / "notebooks/conftest.py"
    hook = runpy.run_path(str(path))["pytest_runtest_setup"](None)
    next(hook)
    assert allowed_steps(30) < 30
    with pytest.raises(StopIteration):
        next(hook)
    assert allowed_steps(30) == 30
