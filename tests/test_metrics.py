"""Numbers for how well a generator did."""

import pytest
import torch

from course_lib.metrics import sliced_wasserstein


def blobs(n: int, rng: torch.Generator, width: float = 6) -> torch.Tensor:
    """Random soft discs, (n, 3, 32, 32)."""
    centre = torch.rand(n, 2, 1, 1, generator=rng) * 16 + 8
    axis = torch.arange(32.0)
    square = (axis - centre[:, :1]) ** 2 + (axis[:, None] - centre[:, 1:]) ** 2
    color = torch.rand(n, 3, 1, 1, generator=rng)
    return color * torch.exp(-square / width**2)


def test_a_set_is_at_no_distance_from_itself_with_the_same_patches(rng):
    images = blobs(20, rng)
    pyramid = sliced_wasserstein(images, images, rng=rng, patches=500)
    assert pyramid.shape == (2,)
    assert (pyramid < 20).all()


def test_two_draws_of_one_set_are_nearer_than_two_kinds(rng):
    floor = sliced_wasserstein(blobs(100, rng), blobs(100, rng), rng=rng)
    other = sliced_wasserstein(blobs(100, rng), blobs(100, rng, width=3), rng=rng)
    noise = sliced_wasserstein(blobs(100, rng), torch.rand(100, 3, 32, 32, generator=rng), rng=rng)
    assert (other > 1.5 * floor).all()
    assert (noise > other).all()


def test_distance_is_symmetric_in_its_sets(rng):
    a, b = blobs(100, rng), blobs(100, rng, width=3)
    there = sliced_wasserstein(a, b, rng=rng, patches=100)
    back = sliced_wasserstein(b, a, rng=rng, patches=100)
    torch.testing.assert_close(there, back, rtol=0.2, atol=5)


def test_along_one_direction_it_is_the_distance_of_sorted_values(rng):
    # Pictures of one grey each differ only in the coarsest level, whose normalised patches are
    # constant: half black and white against a quarter and three quarters.
    values = torch.tensor([0.0, 0, 1, 1]), torch.tensor([0.0, 1, 1, 1])
    a, b = (v[:, None, None, None].expand(4, 1, 16, 16) for v in values)
    found = sliced_wasserstein(a, b, rng=rng, patches=500, projections=2000)
    normal = [(v - v.mean()) / v.repeat(500).repeat_interleave(49).std() for v in values]
    gap = (normal[0].sort().values - normal[1].sort().values).abs().mean()
    # A constant patch c projects to c * Σ direction, and E|Σ direction| = √(2 / π) for unit length.
    expected = 1000 * gap * (2 / torch.pi) ** 0.5
    torch.testing.assert_close(found[0], expected, rtol=0.1, atol=0)


@pytest.mark.parametrize("shapes", [((4, 3, 8, 8),) * 2, ((4, 3, 32, 32), (5, 3, 32, 32))])
@pytest.mark.usefixtures("as_users_run_it")
def test_sets_that_cannot_be_compared_are_refused(shapes, rng):
    with pytest.raises(ValueError, match="compared"):
        sliced_wasserstein(*(torch.rand(shape, generator=rng) for shape in shapes), rng=rng)
