"""Conjugate gradients, for matrices that are never written down."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.results import Callback, Solution, should_stop
from course_lib.shapes import Grids


def conjugate_gradient(
    operator: Callable[[Grids], Grids],
    b: Grids,
    *,
    precondition: Callable[[Grids], Grids] = lambda residual: residual,
    tol: float,
    max_steps: int,
    callback: Callback | None = None,
) -> Solution:
    """Solve A u = b for several pictures at once, A symmetric and positive definite.

    The flexible variant: `precondition` need not be symmetric, nor the same at each step.

    Source: Hestenes and Stiefel, 1952; Notay, "Flexible Conjugate Gradients", 2000.

    Args:
        operator: u ↦ A u, applied to each picture.
        b: the right-hand sides.
        precondition: r ↦ z ≈ A⁻¹ r.
        tol: stop once at most this is missing from any number of u, in its unit: the sum of the
            steps to come, if they go on shrinking as the last one did.
        max_steps: give up after so many steps.
        callback: called with the step's number and the current u; it may raise `StopIteration`
            to end with what was found until then.
    Returns:
        `residuals` holds what is missing after each step, by that estimate.
    """
    u, r, missing, last = torch.zeros_like(b), b.clone(), [], 0.0
    p = a_p = p_a_p = None
    for step in range(max_steps):
        z = precondition(r)
        if p is None:
            p = z.clone()
        else:  # make the new direction A-orthogonal to the last one
            p.mul_(-_ratio(_dot(z, a_p), p_a_p)).add_(z)
        a_p = operator(p)
        p_a_p = _dot(p, a_p)
        length = _ratio(_dot(p, r), p_a_p)
        u.addcmul_(length, p)
        r.addcmul_(length, a_p, value=-1)
        change = float((length.flatten() * _largest(p)).abs().max())
        shrink = min(max(change / last, 1 / 8), 0.9) if last else 0.5
        missing.append(change * shrink / (1 - shrink))
        last = change
        if should_stop(callback, step, u) or missing[-1] <= tol:
            break
    return Solution(u, torch.tensor(missing), missing[-1] <= tol)


def _dot(a: Grids, b: Grids) -> Float[Tensor, "pictures 1 1"]:
    # Per picture, which is three times as fast as a product and a sum, or as a batched product.
    pairs = zip(a.flatten(1), b.flatten(1), strict=True)
    return torch.stack([x.dot(y) for x, y in pairs])[:, None, None]


def _largest(p: Grids) -> Float[Tensor, " pictures"]:
    bounds = [torch.stack(torch.aminmax(picture)) for picture in p]  # three times faster than abs
    return torch.stack(bounds).abs().amax(1)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    return a / b.masked_fill(b == 0, 1)
