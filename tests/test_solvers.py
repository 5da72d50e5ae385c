"""The linear solvers against dense ones, and the laws that they obey."""

import pytest
import torch

from course_lib.gradients import laplacian
from course_lib.solvers import LBFGS, Multigrid, conjugate_gradient, solve_screened


def dense_laplacian(inside):
    """-Δ on Ω as a matrix: (A u)_p = Σ_q (u_p - u_q), u = 0 outside Ω, missing q dropped."""
    pixels = inside.numel()
    basis = torch.eye(pixels, dtype=torch.float64).reshape(pixels, 1, *inside.shape)
    matrix = -laplacian(basis).reshape(pixels, pixels)
    keep = inside.flatten()
    return matrix[keep][:, keep]


def regions(rng):
    noise = torch.rand(17, 23, generator=rng)
    disc = (torch.arange(20)[:, None] - 9.5) ** 2 + (torch.arange(20) - 9.5) ** 2 < 60
    frame = torch.ones(12, 9, dtype=torch.bool)
    frame[5, 4] = False
    return [noise < 0.3, noise < 0.8, disc, frame, noise[:1] < 0.9, noise[:, :1] < 0.9]


def test_conjugate_gradient_solves_a_dense_system(rng):
    root = torch.randn(2, 9, 9, generator=rng, dtype=torch.float64)
    matrix = root @ root.mT + torch.eye(9)
    b = torch.randn(2, 1, 9, generator=rng, dtype=torch.float64)
    solution = conjugate_gradient(
        lambda u: (matrix @ u.mT).mT, b, tol=1e-12, max_steps=60
    )
    assert solution.converged
    torch.testing.assert_close(solution.value.mT, torch.linalg.solve(matrix, b.mT))


def test_conjugate_gradient_says_when_it_gave_up(rng):
    b = torch.randn(1, 30, 30, generator=rng, dtype=torch.float64)
    grid = Multigrid(torch.ones(30, 30) > 0, pictures=1, dtype=b.dtype)
    seen = []
    solution = conjugate_gradient(
        grid.operator, b, tol=1e-12, max_steps=3, callback=lambda step, u: seen.append(step)
    )
    assert not solution.converged
    assert seen == [0, 1, 2] and len(solution.residuals) == 3


def test_multigrid_operator_is_the_dense_laplacian(rng):
    for inside in regions(rng):
        u = torch.randn(2, *inside.shape, generator=rng, dtype=torch.float64) * inside
        ours = Multigrid(inside, pictures=2, dtype=u.dtype).operator(u)
        assert (ours[:, ~inside] == 0).all()
        expected = u[:, inside] @ dense_laplacian(inside)
        torch.testing.assert_close(ours[:, inside], expected, atol=1e-12, rtol=0)


def test_multigrid_preconditioned_conjugate_gradient_solves_any_region(rng):
    for inside in regions(rng):
        b = torch.randn(2, *inside.shape, generator=rng, dtype=torch.float64) * inside
        grid = Multigrid(inside, pictures=2, dtype=b.dtype)
        solution = conjugate_gradient(
            grid.operator, b, precondition=grid.precondition, tol=1e-11, max_steps=60
        )
        assert solution.converged
        expected = torch.linalg.solve(dense_laplacian(inside), b[:, inside].mT).mT
        torch.testing.assert_close(solution.value[:, inside], expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("rows", [2, 6])
def test_bands_of_rows_do_not_change_the_answer(rng, monkeypatch, rows):
    inside = regions(rng)[2]
    b = torch.randn(1, *inside.shape, generator=rng, dtype=torch.float64) * inside
    answers = []
    for band in (10**9, rows * inside.shape[1]):
        monkeypatch.setattr("course_lib.solvers.multigrid.BAND", band)
        grid = Multigrid(inside, pictures=1, dtype=b.dtype)
        solution = conjugate_gradient(
            grid.operator, b, precondition=grid.precondition, tol=1e-12, max_steps=50
        )
        assert solution.converged
        answers.append(solution.value)
    torch.testing.assert_close(answers[0], answers[1], atol=1e-10, rtol=0)


def test_an_f_cycle_beats_plain_conjugate_gradients_and_does_not_slow_with_size(rng):
    steps = []
    for size in (64, 256):
        y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size),
                              indexing="ij")
        inside = x**2 + y**2 < 0.7
        b = torch.randn(1, size, size, generator=rng) * inside
        grid = Multigrid(inside, pictures=1, dtype=b.dtype)
        solution = conjugate_gradient(
            grid.operator, b, precondition=grid.precondition, tol=1e-4, max_steps=100
        )
        assert solution.converged
        steps.append(len(solution.residuals))
    assert max(steps) <= 10 and steps[1] - steps[0] <= 2


def test_solve_screened_is_the_dense_solution(rng):
    b = torch.randn(2, 7, 5, generator=rng, dtype=torch.float64)
    u = solve_screened(b, 0.3)
    torch.testing.assert_close(0.3 * u - laplacian(u), b, atol=1e-12, rtol=0)


def valleys(points):
    """Rosenbrock's function, of other steepness for each row: 0 at (1, 1)."""
    x, y = points.unbind(dim=1)
    steepness = torch.tensor([100.0, 10.0, 1.0], dtype=points.dtype)[: len(points)]
    return (1 - x) ** 2 + steepness * (y - x**2) ** 2


def search_valleys(starts, trials):
    search, values = LBFGS(starts), []
    for _ in range(trials):
        at = search.trial.clone().requires_grad_()
        value = valleys(at)
        (slope,) = torch.autograd.grad(value.sum(), at)
        search.answer(value.detach(), slope)
        values.append(search.value)
    return search, torch.stack(values)


def test_lbfgs_finds_each_minimum_and_never_rises():
    starts = torch.tensor([[-1.2, 1.0], [3.0, -2.0], [0.0, 5.0]], dtype=torch.float64)
    search, values = search_valleys(starts, 70)
    torch.testing.assert_close(search.point, torch.ones(3, 2, dtype=torch.float64))
    assert (values.diff(dim=0) <= 0).all()


def test_lbfgs_of_one_does_not_depend_on_the_others():
    starts = torch.tensor([[-1.2, 1.0], [30.0, -20.0], [0.0, 5.0]], dtype=torch.float64)
    together, alone = search_valleys(starts, 25)[0], search_valleys(starts[:1], 25)[0]
    assert torch.equal(together.point[:1], alone.point)


def test_lbfgs_recovers_from_trials_without_a_number():
    search = LBFGS(torch.tensor([[4.0], [4.0]], dtype=torch.float64))
    for _ in range(60):  # x - log x is defined to the right of 0 only; its minimum is at 1
        at = search.trial.clone().requires_grad_()
        value = (at - at.log()).sum(dim=1) * torch.tensor([1.0, 9.0])
        (slope,) = torch.autograd.grad(value.sum(), at)
        search.answer(value.detach(), torch.where(at > 0, slope, torch.nan))
    torch.testing.assert_close(search.point, torch.ones(2, 1, dtype=torch.float64))
