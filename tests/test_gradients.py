"""Differences on the grid, against hand-written numbers, a dense matrix and their own laws."""

import pytest
import torch
from torch.testing import assert_close

from course_lib.gradients import divergence, gradient, laplacian

SHAPES = [(1, 1, 1), (3, 1, 7), (3, 7, 1), (1, 2, 2), (3, 8, 11), (2, 3, 5, 4), (2, 4, 1, 6, 5)]


def test_gradient_of_a_picture_written_out():
    image = torch.tensor([[[0.0, 1.0, 4.0], [2.0, 2.0, 2.0]]])
    assert_close(gradient(image), torch.tensor([
        [[[1.0, 3.0, 0.0], [0.0, 0.0, 0.0]]],  # along x; nothing crosses the last column
        [[[2.0, 1.0, -2.0], [0.0, 0.0, 0.0]]],  # along y; nothing crosses the last row
    ]))


def test_laplacian_is_the_sum_over_the_neighbours_that_exist():
    image = torch.zeros(1, 3, 4)
    image[0, 1, 1] = 1.0
    assert_close(laplacian(image), torch.tensor([[
        [0.0, 1.0, 0.0, 0.0], [1.0, -4.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0],
    ]]))
    corner = torch.zeros(1, 3, 4)
    corner[0, 0, 0] = 1.0
    assert laplacian(corner)[0, 0, 0] == -2  # two neighbours are missing
    assert laplacian(corner).sum() == 0


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_divergence_is_the_negative_adjoint_of_the_gradient(shape, rng):
    u = torch.randn(shape, generator=rng, dtype=torch.float64)
    v = torch.randn((*shape[:-3], 2, *shape[-3:]), generator=rng, dtype=torch.float64)
    assert_close((gradient(u) * v).sum(), -(u * divergence(v)).sum(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_batch_is_treated_picture_by_picture(shape, rng):
    pictures = torch.randn((2, *shape), generator=rng)
    assert gradient(pictures).shape == (2, *shape[:-3], 2, *shape[-3:])
    assert_close(gradient(pictures), torch.stack([gradient(u) for u in pictures]))
    assert_close(laplacian(pictures), torch.stack([laplacian(u) for u in pictures]))


def test_a_ramp_has_its_slopes_and_a_constant_none():
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(9.0), indexing="ij")
    field = gradient((2 * x - 3 * y)[None])
    assert (field[0, :, :, :-1] == 2).all() and (field[1, :, :-1] == -3).all()
    assert (field[0, :, :, -1] == 0).all() and (field[1, :, -1] == 0).all()
    assert (gradient(torch.full((3, 6, 9), 0.7)) == 0).all()


def test_laplacian_is_symmetric_and_never_positive(rng):
    def column(index: int) -> torch.Tensor:
        unit = torch.zeros(20, dtype=torch.float64)
        unit[index] = 1
        return laplacian(unit.reshape(1, 4, 5)).flatten()

    matrix = torch.stack([column(index) for index in range(20)], dim=1)
    assert_close(matrix, matrix.T)
    eigenvalues = torch.linalg.eigvalsh(matrix)
    assert eigenvalues[-1] < 1e-12 and eigenvalues[-2] < -0.1  # constants, and nothing else


def test_what_would_cross_the_border_is_not_read(rng):
    field = torch.randn(2, 3, 5, 6, generator=rng)
    changed = field.clone()
    changed[0, :, :, -1], changed[1, :, -1] = torch.nan, torch.nan
    assert_close(divergence(changed), divergence(field), rtol=0, atol=0)


def test_the_input_is_left_as_it_was(rng):
    image = torch.rand(3, 5, 6, generator=rng)
    before = image.clone()
    laplacian(image)
    assert torch.equal(image, before)


@pytest.mark.parametrize("function, shape, fragment", [
    (gradient, (5, 6), "image has shape (5, 6)"),
    (laplacian, (5, 6), "image has shape (5, 6)"),
    (divergence, (3, 5, 6), "field has shape (3, 5, 6)"),
    (divergence, (3, 3, 5, 6), "x first"),
])
def test_a_wrong_shape_is_explained(function, shape, fragment, as_users_run_it):
    with pytest.raises(ValueError) as error:
        function(torch.rand(shape))
    assert fragment in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("function", [gradient, laplacian, divergence])
@pytest.mark.parametrize("bad", [None, [[1.0]], torch.ones(2, 3, 4, 4, dtype=torch.uint8)],
                         ids=["None", "list", "bytes"])
def test_bytes_would_wrap_around_and_are_refused(function, bad, as_users_run_it):
    with pytest.raises(ValueError, match="convert it"):
        function(bad)


@pytest.mark.parametrize("function, shape", [
    (gradient, (2, 1, 3, 4)), (divergence, (2, 1, 3, 4)), (laplacian, (1, 3, 4)),
])
def test_derivatives_are_right(function, shape, rng):
    point = torch.randn(shape, generator=rng, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, [point])
