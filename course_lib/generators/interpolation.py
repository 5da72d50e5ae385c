"""The way between two codes: straight, or round the sphere near which z lives."""

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import (
    require_count,
    require_floats,
    require_option,
    require_same_shape,
)


def interpolate(
    start: Float[Tensor, "*code"], end: Float[Tensor, "*code"], steps: int,
    *, kind: str = "linear",
) -> Float[Tensor, " steps *code"]:
    """`steps` codes on the way from one code to another, both ends among them.

    With t from 0 to 1, "linear" goes straight, (1 - t) a + t b: the way in w. "spherical" turns
    at an even pace, which is the way in z, whose prior lives near a sphere. With θ the angle
    between the directions â and b̂, it points along
    sin((1 - t)θ) / sin θ â + sin(tθ) / sin θ b̂.

    Source: Shoemake, "Animating Rotation with Quaternion Curves", SIGGRAPH 1985.
    Deviation: codes have no unit length; theirs goes linearly from |a| to |b|.

    Args:
        start, end: a and b: one code, or many of one shape. Angles are those between the last
            axes: in a batch each pair, in w_plus each row turns by its own.
        kind: "linear" | "spherical".
    Returns:
        The codes along a new first axis, ready to decode if `start` is a single one.
    Raises:
        ValueError: the two differ in shape, or there are less than two steps; spherical only: a
            code has no direction, or the two are opposed, so that every way round is shortest.
    """
    require_floats(start, "start", axes=1)
    require_floats(end, "end", axes=1)
    require_same_shape(start, end, ("start", "end"))
    require_count(steps, "steps", least=2)
    require_option(kind, ("linear", "spherical"), "kind")
    t = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)
    t = t.reshape(-1, *[1] * start.ndim)
    if kind == "linear":
        return (1 - t) * start + t * end
    lengths = [code.norm(dim=-1, keepdim=True) for code in (start, end)]
    if any((length == 0).any() for length in lengths):
        raise ValueError(
            "a code is 0 all through, so it has no direction to turn from or to: draw another "
            'one, or take kind="linear".'
        )
    a, b = start / lengths[0], end / lengths[1]
    apart, sum_ = ((a + sign * b).norm(dim=-1, keepdim=True) for sign in (-1, 1))
    if (sum_ < torch.finfo(start.dtype).eps ** 0.5).any():
        raise ValueError(
            "start and end point in opposite directions, so no way round the sphere is the "
            'shortest: go by a third code, or take kind="linear".'
        )
    angle = 2 * torch.atan2(apart, sum_)  # exact for the smallest angles, where arccos is not
    whole = torch.sinc(angle / torch.pi)
    shares = [s * torch.sinc(s * angle / torch.pi) / whole for s in (1 - t, t)]
    return (shares[0] * a + shares[1] * b) * ((1 - t) * lengths[0] + t * lengths[1])
