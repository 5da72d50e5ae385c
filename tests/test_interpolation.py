"""Walking between two codes."""

import pytest
import torch

from course_lib.generators import interpolate


def angles(codes):
    """Between neighbours along the first axis, in double precision."""
    directions = torch.nn.functional.normalize(codes.double(), dim=-1)
    return torch.arccos((directions[1:] * directions[:-1]).sum(dim=-1).clamp(-1, 1))


def test_half_of_a_quarter_turn():
    right, up = torch.eye(2, dtype=torch.float64)
    half = 0.5**0.5
    torch.testing.assert_close(
        interpolate(right, up, 3, kind="spherical"),
        torch.tensor([[1, 0], [half, half], [0, 1]], dtype=torch.float64),
    )
    torch.testing.assert_close(
        interpolate(right, up, 3, kind="linear"),
        torch.tensor([[1, 0], [0.5, 0.5], [0, 1]], dtype=torch.float64),
    )


@pytest.mark.parametrize("kind", ["linear", "spherical"])
def test_a_walk_starts_and_ends_at_its_codes_and_looks_the_same_from_behind(kind, rng):
    start, end = torch.randn(2, 5, 16, generator=rng)
    walk = interpolate(start, end, 7, kind=kind)
    assert walk.shape == (7, 5, 16)
    torch.testing.assert_close(walk[[0, -1]], torch.stack([start, end]))
    torch.testing.assert_close(walk.flip(0), interpolate(end, start, 7, kind=kind))


def test_a_straight_walk_takes_equal_steps(rng):
    start, end = torch.randn(2, 16, generator=rng)
    steps = interpolate(start, end, 5).diff(dim=0)
    torch.testing.assert_close(steps, ((end - start) / 4).expand(4, -1))


def test_a_spherical_walk_turns_evenly_in_one_plane_and_its_length_goes_straight(rng):
    start, end = torch.randn(2, 16, generator=rng, dtype=torch.float64)
    walk = interpolate(start, 3 * end, 9, kind="spherical")
    turns = angles(walk)
    torch.testing.assert_close(turns, turns.mean().expand(8))
    torch.testing.assert_close(turns.sum(), angles(torch.stack([start, end]))[0])
    lengths = torch.linspace(0, 1, 9, dtype=torch.float64) * (3 * end.norm() - start.norm())
    torch.testing.assert_close(walk.norm(dim=1), start.norm() + lengths)
    assert torch.linalg.matrix_rank(walk) == 2


@pytest.mark.parametrize("difference", [0.0, 1e-7, 1e-5, 1e-3])
def test_nearly_parallel_codes_are_walked_straight(difference, rng):
    start, other = torch.randn(2, 8, 64, generator=rng)
    end = start + difference * other
    walk = interpolate(start, end, 6, kind="spherical")
    torch.testing.assert_close(walk, interpolate(start, end, 6), atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(
        interpolate(start, 3 * start, 6, kind="spherical"), interpolate(start, 3 * start, 6)
    )


def test_even_nearly_opposed_codes_are_walked_evenly(rng):
    start, other = torch.randn(2, 64, generator=rng)
    turns = angles(interpolate(start, -start + 0.01 * other, 9, kind="spherical"))
    torch.testing.assert_close(turns, turns.mean().expand(8), rtol=1e-3, atol=0)


@pytest.mark.parametrize("kind", ["linear", "spherical"])
def test_each_code_of_a_batch_and_each_row_of_w_plus_walks_alone(kind, rng):
    start, end = torch.randn(2, 3, 4, 16, generator=rng)
    together = interpolate(start, end, 5, kind=kind)
    for picture in range(3):
        for row in range(4):
            alone = interpolate(start[picture, row], end[picture, row], 5, kind=kind)
            torch.testing.assert_close(together[:, picture, row], alone)


@pytest.mark.parametrize("change, complaint", [
    ({"steps": 1}, "steps is 1.*at least 2"),
    ({"kind": "slerp"}, "kind is 'slerp'.*'linear', 'spherical'"),
    ({"end": torch.ones(5)}, r"start has shape \(4,\) and end has \(5,\)"),
    ({"start": [1.0, 0, 0, 0]}, "start is a list"),
    ({"start": torch.zeros(4), "kind": "spherical"}, "no direction"),
    ({"end": torch.tensor([-3.0, 0, 0, 0]), "kind": "spherical"}, "opposite directions"),
], ids=str)
def test_what_is_no_walk_is_refused(change, complaint, as_users_run_it):
    values = {"start": torch.eye(4)[0], "end": torch.eye(4)[1], "steps": 3} | change
    with pytest.raises(ValueError, match=complaint):
        interpolate(**values)


@pytest.mark.parametrize("kind", ["linear", "spherical"])
def test_a_walk_can_be_differentiated(kind, rng):
    ends = torch.randn(2, 2, 6, generator=rng, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: interpolate(x[0], x[1], 4, kind=kind), ends)
