"""Familiarity: photos of the generator's kind are told from others."""

import pytest
import torch

from course_lib.familiarity import calibrate_familiarity, judge_familiarity
from course_lib.generators import load_generator
from course_lib.images import crop_square, load_image
from course_lib.pixels import CATS
from tests.toys import tame


@pytest.fixture(scope="module")
def cats():
    return load_generator("cats-128", device="cpu")


def square(name: str, **place: object) -> torch.Tensor:
    return crop_square(load_image(name, device="cpu"), resolution=128, **place).clamp(0, 1)


@pytest.mark.parametrize("name", CATS)
def test_the_photographs_that_ship_are_known(cats, name):
    assert judge_familiarity(cats, square(name)).is_known


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket", "camera", "motorcycle"])
def test_what_is_no_cat_is_not_known(cats, name):
    found = judge_familiarity(cats, square(name))
    assert not found.is_known and found.ratio > 1.5


def test_a_cat_that_is_not_in_its_place_is_not_known(cats):
    assert not judge_familiarity(cats, square("chelsea")).is_known
    assert not judge_familiarity(cats, square("tabby", centre=(100, 400), size=300)).is_known
    assert not judge_familiarity(cats, square("tabby").flip(1)).is_known


def test_photos_that_calibrate_lie_below_the_limit(cats):
    found = calibrate_familiarity(cats, torch.stack([square(name) for name in CATS]))
    assert found["photos"] == 8 and 0 < found["typical"] < found["limit"]


def test_of_a_generator_that_was_not_calibrated_nothing_is_said(rng):
    assert judge_familiarity(tame(rng), torch.rand(3, 16, 16, generator=rng)) is None
