"""Friendly errors: what passes, what does not, and that the sentence helps."""

import math
import re
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.checks import (
    require_callback,
    require_count,
    require_field,
    require_finite,
    require_floats,
    require_image,
    require_mask,
    require_number,
    require_option,
    require_region,
    require_same_device,
    require_same_shape,
    require_unit_range,
)
from course_lib.results import Solution


def assert_kind(error: pytest.ExceptionInfo, *fragments: str) -> None:
    """One sentence with what, consequence and remedy (after the colon), and these fragments."""
    message = str(error.value)
    what, _, remedy = message.rpartition(": ")
    assert len(what) > 10 and len(remedy) > 8 and "\n" not in message, message
    assert re.search(r"[,(]", what), f"no consequence in: {message}"
    for fragment in fragments:
        assert fragment in message, message


def test_what_is_right_passes():
    image = torch.rand(3, 4, 5)
    require_floats(image, "image", axes=3)
    require_finite(image - 7, "image")
    require_image(image.expand(2, 3, 4, 5))
    require_image(torch.rand(1, 1, 1))
    require_mask(torch.eye(4, 5) > 0, (4, 5))
    require_mask(torch.eye(4, 5) > 0, image.shape[-2:])
    require_same_shape(image, image + 1, ("a", "b"))
    require_option("mixed", ("source", "mixed"), "gradients")
    require_option(None, ("weight", None), "regularizer")
    require_number(0, "smoothness", least=0)
    require_number(1.0, "smoothness", least=0, most=1)
    require_number(-1e9, "strength")
    require_count(1, "steps")
    require_count(7, "steps", least=7, most=7)


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.int64(1)])
def test_numpy_numbers_are_numbers(number):
    require_number(number, "smoothness", least=0, most=1)


def test_numpy_integers_count():
    require_count(np.int64(3), "steps")


@pytest.mark.parametrize("layout", [(6, 8, 3), (6, 8, 4), (2, 6, 8, 3)])
def test_channels_last_is_recognized(layout):
    with pytest.raises(ValueError) as error:
        require_image(torch.rand(layout), "photo")
    assert_kind(error, "photo.movedim(-1, -3)", str(layout))
    require_image(torch.rand(layout).movedim(-1, -3))  # the remedy helps


@pytest.mark.parametrize("shape", [(3, 6, 3), (4, 9, 4), (2, 3, 5, 3), (8, 4, 3)])
def test_narrow_pictures_are_not_taken_for_channels_last(shape):
    require_image(torch.rand(shape))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_single_broken_value_is_seen_and_counted(bad, dtype, rng):
    image = torch.rand(3, 8, 9, generator=rng).to(dtype)
    image[1, 7, 8] = bad
    with pytest.raises(ValueError) as error:
        require_finite(image, "image")
    assert_kind(error, "image", "1 places", "nan_to_num")
    require_finite(image.nan_to_num(), "image")


def test_large_finite_values_pass_though_their_sum_overflows():
    require_finite(torch.full((3, 8, 8), 6e4, dtype=torch.float16), "image")
    require_finite(torch.full((3, 8, 8), 3e38), "image")


@pytest.mark.parametrize("bad, fragment", [
    (None, "NoneType"), (np.zeros((3, 4, 4)), "ndarray"), ([[0.5]], "list"),
    (torch.zeros(3, 4, 4, dtype=torch.uint8), "uint8"),
    (torch.zeros(3, 4, 4, dtype=torch.bool), "bool"),
    (torch.zeros(3, 4, 4, dtype=torch.complex64), "complex64"),
    (torch.zeros(4, 4), "(4, 4)"), (torch.tensor(0.5), "()"),
    (torch.zeros(3, 0, 4), "(3, 0, 4)"), (torch.zeros(0, 4, 4), "(0, 4, 4)"),
    (torch.zeros(0, 3, 4, 4), "(0, 3, 4, 4)"),
])
def test_what_is_no_image_is_refused(bad, fragment):
    with pytest.raises(ValueError) as error:
        require_image(bad, "photo")
    assert_kind(error, "photo", fragment)


@pytest.mark.parametrize("bad, fragment", [
    (None, "NoneType"), (np.ones((4, 5), dtype=bool), "ndarray"), (torch.ones(4, 5), "float32"),
    (torch.ones(4, 5, dtype=torch.uint8), "uint8"),
    (torch.ones(5, 4, dtype=torch.bool), "(4, 5)"),
    (torch.ones(1, 4, 5, dtype=torch.bool), "(1, 4, 5)"),
    (torch.zeros(4, 5, dtype=torch.bool), "empty"),
])
def test_what_is_no_mask_is_refused(bad, fragment):
    with pytest.raises(ValueError) as error:
        require_mask(bad, (4, 5), "hole")
    assert_kind(error, "hole", fragment)


@pytest.mark.parametrize("scale, shift, remedy", [
    (255, 0, "divide by 255"), (2, -1, r"pass \(photo \+ 1\) / 2"),
    (0.8, -0.4, r"pass \(photo \+ 1\) / 2"),
])
def test_a_picture_in_another_range_is_told_how_to_come_back(scale, shift, remedy, rng):
    photo = torch.rand(3, 8, 8, generator=rng)
    with pytest.raises(ValueError, match=remedy) as error:
        require_unit_range(photo * scale + shift, "photo")
    assert_kind(error, "are in [0, 1]")


def test_what_a_generator_draws_beyond_the_range_passes(rng):
    photo = torch.rand(3, 16, 16, generator=rng)
    photo[0, 0, 0], photo[0, 0, 1], photo[:, 5] = -0.4, 1.8, -0.09
    require_unit_range(photo, "photo")


def test_a_region_leaves_a_pixel_outside():
    require_region(torch.eye(4, 5) > 0, (4, 5))
    with pytest.raises(ValueError) as error:
        require_region(torch.ones(4, 5, dtype=torch.bool), (4, 5), "hole")
    assert_kind(error, "hole", "all 20 pixels")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_a_picture_but_not_one_to_solve_for(dtype):
    image = torch.rand(3, 4, 5).to(dtype)
    require_image(image)
    with pytest.raises(ValueError) as error:
        require_image(image, "photo", solvable=True)
    assert_kind(error, str(dtype).removeprefix("torch."), "photo.float()")
    require_image(image.float(), "photo", solvable=True)


@pytest.mark.parametrize("check", [require_floats, require_finite, require_image])
def test_a_solution_in_place_of_its_value_is_recognized(check):
    solution = Solution(torch.rand(3, 4, 5), torch.zeros(1), True)
    with pytest.raises(ValueError) as error:
        check(solution, "photo")
    assert_kind(error, "photo is a Solution", "pass its .value")
    check(solution.value, "photo")


@pytest.mark.parametrize("field", [torch.rand(2, 3, 4, 6), torch.rand(3, 2, 4, 5)])
def test_a_field_that_is_no_gradient_of_the_picture_is_told_both_shapes(field):
    image = torch.rand(3, 4, 5)
    require_field(torch.rand(2, 3, 4, 5), image, ("field", "photo"))
    with pytest.raises(ValueError) as error:
        require_field(field, image, ("field", "photo"))
    assert_kind(error, str(tuple(field.shape)), "photo's gradient has (2, 3, 4, 5)")


def test_what_can_not_be_called_is_no_callback():
    require_callback(None)
    require_callback(print)
    with pytest.raises(ValueError) as error:
        require_callback(3)
    assert_kind(error, "callback is a int")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -0.1, 1.1, True, "1", None, [0.5]])
def test_what_is_no_number_in_the_range_is_refused(bad):
    with pytest.raises(ValueError) as error:
        require_number(bad, "smoothness", least=0, most=1)
    assert_kind(error, "smoothness")


def test_the_end_of_an_open_range_is_refused_and_the_range_is_told():
    with pytest.raises(ValueError) as error:
        require_number(1, "beta_growth", above=1, most=16)
    assert_kind(error, "beta_growth is 1", "above 1 and at most 16")
    with pytest.raises(ValueError) as error:
        require_number(math.inf, "strength")
    assert_kind(error, "finite")


@pytest.mark.parametrize("bad", [0, -1, 9, 1.0, True, "3", None])
def test_what_counts_nothing_is_refused(bad):
    with pytest.raises(ValueError) as error:
        require_count(bad, "steps", most=8)
    assert_kind(error, "steps", repr(bad), "at least 1 and at most 8")


@pytest.mark.parametrize("bad", ["Mixed", "", None, 3, ["mixed"], np.array(["mixed", "source"])])
def test_an_unknown_option_is_told_the_known_ones(bad):
    with pytest.raises(ValueError) as error:
        require_option(bad, ("source", "mixed"), "gradients")
    assert_kind(error, "'source', 'mixed'")


def test_shapes_that_differ_are_both_told():
    with pytest.raises(ValueError) as error:
        require_same_shape(torch.rand(3, 4, 5), torch.rand(3, 5, 4), ("source", "target"))
    assert_kind(error, "source", "(3, 4, 5)", "target", "(3, 5, 4)")


def test_devices_that_differ_are_both_told():
    with pytest.raises(ValueError) as error:
        require_same_device(torch.rand(3), torch.rand(3, device="meta"), ("source", "target"))
    assert_kind(error, "source is on cpu", "target on meta")
    with pytest.raises(ValueError, match="meta"):
        require_same_shape(torch.rand(3), torch.rand(3, device="meta"), ("source", "target"))


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.lists(st.integers(), max_size=2), st.just(torch.rand(2)), st.just(np.zeros(2)),
    st.binary(max_size=3), st.just({}), st.just(object()),
)


# These check one thing of any type; the other two compare tensors that were checked before.
OF_ANYTHING = [
    require_floats, require_finite, require_image, require_number, require_count,
    partial(require_mask, size=(4, 5)), partial(require_region, size=(4, 5)),
    lambda value, name: require_callback(value), partial(require_option, options=("a", "b")),
]


@given(check=st.sampled_from(OF_ANYTHING), value=ANYTHING)
def test_no_check_trips_over_what_it_checks(check, value):
    try:
        check(value, name="thing")
    except ValueError as error:
        assert ": " in str(error)


def test_a_whole_number_too_large_for_a_float_is_refused_kindly(as_users_run_it):
    with pytest.raises(ValueError, match="outside the range"):
        require_number(10**400, "smoothness")
