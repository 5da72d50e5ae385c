"""Moving-least-squares warping: handles are dragged, the picture follows as stiffly as it may.

Around each place v the best affine, similarity or rigid map from the handles p to their
targets q is fitted anew, near handles weighing most:

    min over M, T of  Σᵢ wᵢ |pᵢ M + T - qᵢ|²,    wᵢ = 1 / |pᵢ - v|^(2α)

Source: Schaefer, McPhail, Warren, "Image Deformation Using Moving Least Squares", SIGGRAPH
2006 (its section 2 for points, 3 for line segments). Points are (x, y), rows of arrays are y.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from course_lib.checks import (
    require_count,
    require_finite,
    require_image,
    require_number,
    require_option,
    require_same_device,
    require_same_shape,
)
from course_lib.shapes import Handles, Image, Points

Rows = Float[Tensor, "2 points"]  # x, then y: each a contiguous row, which computes fastest
Matrices = Float[Tensor, "2 2 points"]

KINDS = ("affine", "similarity", "rigid")
CHUNK = 2**19  # points times handles computed at a time: 2 MB of float32 stay in a CPU's cache
NODES = 24  # of the quadrature along a segment
FARTHEST = 1e9  # pixels; squares of more would leave float32


def deform_points(
    points: Points,
    handles: Handles,
    moved_handles: Handles,
    *,
    kind: str = "rigid",
    falloff: float = 1.0,
) -> Points:
    """Carry `points` along as `handles` move: the forward map, p to q.

    A point on a handle lands on the handle's target. Where the handles leave the map open it
    is the stiffest that they allow: without handles the identity; with one, or all in one
    place, a translation (to their mean target); in a line, "affine" gives the similarity.
    Large motions may fold the plane. Differentiable in points and handles.

    Args:
        points: v, (x, y) in pixels, inside or outside the picture.
        handles: p, points or line segments. A segment weighs with its length; one without
            length next to nothing.
        moved_handles: q, in the same order.
        kind: the maps to fit: "affine" (may shear and stretch), "similarity" (turns and
            scales), "rigid" (turns only).
        falloff: α > 0, larger lets near handles dominate more. Segments are integrated in
            closed form for 1, else by Gauss quadrature (24 nodes a segment: slower).
    Raises:
        ValueError: shapes differ, values are no finite floats, `kind` or `falloff` is unknown.
    """
    require_finite(points, "points")
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(
            f"points has shape {tuple(points.shape)}, so x and y can't be told apart: "
            f"pass (x, y) rows, shape (count, 2)."
        )
    _require_close(points, "points")
    _require_handles(handles, moved_handles, kind, falloff)
    require_same_device(points, handles, ("points", "handles"))
    return _deform(points.T, handles, moved_handles, kind, falloff).T.contiguous()


def warp_mls(
    image: Image,
    handles: Handles,
    moved_handles: Handles,
    *,
    kind: str = "rigid",
    falloff: float = 1.0,
    grid_step: int | None = 8,
) -> Image:
    """Warp a picture so that what is at `handles` comes to lie at `moved_handles`.

    Evaluates the map backwards, q to p: each pixel of the result asks where it comes from,
    so there are no holes. There the picture is sampled bilinearly; outside it, its border
    pixels are repeated.

    Args:
        image: one picture, or a batch that shares the warp.
        handles, moved_handles, kind, falloff: as in `deform_points`.
        grid_step: pixels between the places where the map is evaluated; between them it is
            interpolated by cubics (the paper's bilinear interpolation errs several times
            more at the same step). Handles nearer to each other than a few steps that move
            apart want a smaller one. None evaluates it at every pixel.
    Raises:
        ValueError: as `deform_points`, or `image` or `grid_step` is not of its kind.
    """
    require_image(image)
    _require_handles(handles, moved_handles, kind, falloff)
    require_same_device(image, handles, ("image", "handles"))
    if grid_step is not None:
        require_count(grid_step, "grid_step")
    height, width = image.shape[-2:]
    step = min(grid_step or 1, max(height, width))
    first, rows, columns = (0, height, width) if grid_step is None else (
        -step, -(-height // step) + 3, -(-width // step) + 3  # a node more on every side
    )
    dtype = torch.promote_types(handles.dtype, torch.float32)
    y, x = (
        first + step * torch.arange(count, device=image.device, dtype=dtype)
        for count in (rows, columns)
    )
    nodes = torch.stack(torch.meshgrid(x, y, indexing="xy")).flatten(1)
    came_from = _deform(nodes, moved_handles, handles, kind, falloff).unflatten(1, (rows, columns))
    if grid_step is not None:
        came_from = _interpolate(came_from, step)[:, :height, :width]
    return _sample(image, came_from)


def _deform(
    points: Rows, handles: Handles, moved_handles: Handles, kind: str, falloff: float
) -> Rows:
    if len(handles) == 0 or points.numel() == 0:
        return points.clone()
    dtype = torch.promote_types(handles.dtype, moved_handles.dtype)
    dtype = torch.promote_types(dtype, torch.float32)
    # The closed form of segments cancels where one is far; "affine" divides by a determinant that
    # a high falloff, which leaves one handle's weight only, brings close to 0.
    delicate = handles.ndim == 3 or (kind == "affine" and falloff > 1)
    if delicate and handles.device.type != "mps":
        dtype = torch.float64
    p, q = (ends.to(dtype).movedim(-1, 0).contiguous() for ends in (handles, moved_handles))
    p_centre, q_centre = (ends.flatten(1).mean(1, keepdim=True) for ends in (p, q))
    p, q = (p.flatten(1) - p_centre).reshape(p.shape), q.flatten(1) - q_centre  # for float32
    per_point = len(handles) * (1 if handles.ndim == 2 else 8 if falloff == 1 else 8 * NODES)
    chunk = CHUNK if points.device.type == "cpu" else 16 * CHUNK  # fewer, larger launches
    chunks = (points.to(dtype) - p_centre).split(max(1, chunk // per_point), dim=1)
    moved = torch.cat([_moving_least_squares(v, p, q, kind, falloff) for v in chunks], dim=1)
    return (moved + q_centre).to(points.dtype)


def _moving_least_squares(
    v: Rows, p: Tensor, q: Float[Tensor, "2 ends"], kind: str, falloff: float
) -> Rows:
    """f(v) = (v - p*) M + q*. Every moment is a sum over handles, so a matrix product."""
    weigh = _weigh_points if p.ndim == 2 else _weigh_segments
    origin, weights, *pulls = weigh(v, p, falloff)
    ends = torch.cat([torch.ones_like(q[:1]), p.flatten(1), q])
    total, stars = (ends @ weights.T).split([1, 4])
    stars = stars / total  # p*, q*
    lean, products = torch.stack([ends @ pull.T for pull in pulls]).split([1, 4], dim=1)
    # Σ w p̂ᵀp̂ and Σ w p̂ᵀq̂: one factor p̂ is seen from `origin`, so that no large terms cancel.
    spread, cross = (products - lean * stars).split([2, 2], dim=1)
    arm = v - origin - lean[:, 0] / total  # v - p*
    return (arm[:, None] * _fit(spread, cross, kind)).sum(0) + stars[2:]


def _fit(spread: Matrices, cross: Matrices, kind: str) -> Matrices:
    """M for row vectors: the paper's equations 5 (affine), 6 (similarity) and 8 (rigid)."""
    size = spread[0, 0] + spread[1, 1]  # μ = Σ w |p̂|²
    alone = size < 1e-30  # one handle outweighs all others: a translation
    spread, cross = (moments / torch.where(alone, 1, size) for moments in (spread, cross))
    (xx, xy), (yx, yy) = cross
    cosine, sine = xx + yy, xy - yx
    if kind == "rigid":
        square = cosine**2 + sine**2
        alone = alone | (square < 1e-12)  # no direction to turn to
        cosine, sine = (part * torch.where(alone, 1, square).rsqrt() for part in (cosine, sine))
    fit = torch.stack([cosine, sine, -sine, cosine]).unflatten(0, (2, 2))
    if kind == "affine":
        (a, b), (c, d) = spread
        determinant = a * d - b * c
        in_line = determinant < 100 * torch.finfo(a.dtype).eps
        inverse = torch.stack([d, -b, -c, a]) / torch.where(in_line, 1, determinant)
        affine = (inverse.unflatten(0, (2, 2))[:, :, None] * cross).sum(1)
        fit = torch.where(in_line, fit, affine)
    return torch.where(alone, torch.eye(2).to(fit)[..., None], fit)


def _weigh_points(
    v: Rows, p: Float[Tensor, "2 handles"], falloff: float
) -> tuple[Rows, Tensor, Tensor, Tensor]:
    """p* as origin, w, and w (p - p*) by x and y, each (points, handles)."""
    dx, dy = (handle - place[:, None] for handle, place in zip(p, v, strict=True))
    # In place, for less memory traffic. 1e-20: on a handle its w is 1, that of others 0.
    squared = dx.square_().add_(1e-20).add_(dy.square_())
    least = squared.detach().amin(dim=1, keepdim=True)
    weights = least / squared  # only ratios matter, and these can't overflow
    if falloff != 1:
        weights = weights**falloff
    origin = p @ weights.T / weights.sum(dim=1)
    x, y = ((ends - star[:, None]).mul_(weights) for ends, star in zip(p, origin, strict=True))
    return origin, weights, x, y


def _weigh_segments(
    v: Rows, p: Float[Tensor, "2 handles 2"], falloff: float
) -> tuple[Rows, Tensor, Tensor, Tensor]:
    """v as origin, ∫ w bₖ and ∫ w bₖ (p - v) by x and y, each (points, 2 handles).

    A segment is p = b₀ start + b₁ end with b₁ = 1 - b₀ running from 0 to 1, so every moment
    is a sum over its two ends with these weights: the paper's section 3.
    """
    start, direction = p[..., 0], p[..., 1] - p[..., 0]
    length = (direction**2).sum(0).clamp(min=1e-6).sqrt()  # at least 1/1000 pixel
    along = direction / length
    to_start = start[:, None] - v[..., None]  # (2, points, handles)
    first = (to_start * along[:, None]).sum(0)  # s at the start, counted from v's foot
    across = to_start - first * along[:, None]  # from v to its foot on the line
    distance = (across**2).sum(0).clamp(min=1e-8).sqrt()
    integrate = _integrate_exactly if falloff == 1 else _integrate_by_nodes
    zeroth, once, twice = integrate(first, length, distance, falloff)
    # b₁ = (s - first) / length, and p - v = s along + across
    w_end, s_end = (once - first * zeroth) / length, (twice - first * once) / length
    weights = torch.stack([zeroth - w_end, w_end], dim=2)
    s_weighted = torch.stack([once - s_end, s_end], dim=2)
    x, y = s_weighted * along[:, None, :, None] + weights * across[..., None]
    return v, weights.flatten(1), x.flatten(1), y.flatten(1)


def _integrate_exactly(
    first: Tensor, length: Tensor, distance: Tensor, falloff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """∫ sᵏ / (s² + distance²) ds for k = 0, 1, 2, from `first` over `length`."""
    last, square = first + length, distance**2
    zeroth = torch.atan2(distance * length, square + first * last) / distance  # angle / distance
    once = ((last**2 + square) / (first**2 + square)).log() / 2
    return zeroth, once, length - square * zeroth


def _integrate_by_nodes(
    first: Tensor, length: Tensor, distance: Tensor, falloff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """∫ sᵏ / (s² + distance²)^α ds up to a factor common to a point's segments.

    By Gauss-Legendre in u with s = distance sinh u, which puts more nodes near the point.
    """
    nodes, factors = (
        torch.from_numpy(values).to(first) for values in np.polynomial.legendre.leggauss(NODES)
    )
    low = torch.asinh(first / distance)
    half = (torch.asinh((first + length) / distance) - low)[..., None] / 2
    u = low[..., None] + half * (nodes + 1)
    s, radius = distance[..., None] * u.sinh(), distance[..., None] * u.cosh()
    least = radius.detach().amin(dim=(1, 2), keepdim=True)
    weights = half * factors * radius * (least / radius) ** (2 * falloff)  # radius du = ds
    return weights.sum(2), (weights * s).sum(2), (weights * s**2).sum(2)


def _interpolate(nodes: Float[Tensor, "2 rows columns"], step: int) -> Tensor:
    """Catmull-Rom between nodes, along both axes; it reproduces every quadratic map."""
    t = torch.arange(step, device=nodes.device, dtype=nodes.dtype) / step
    taps = torch.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
    ) / 2
    for _ in range(2):  # the last axis, which then changes places with the other one
        windows = nodes.unfold(-1, 4, 1)
        nodes = (windows.reshape(-1, 4) @ taps).reshape(2, nodes.shape[1], -1).mT
    return nodes


def _sample(image: Image, places: Float[Tensor, "2 height width"]) -> Image:
    """Bilinear; `places` are x and y in pixels."""
    height, width = image.shape[-2:]
    dtype = torch.promote_types(image.dtype, torch.float32)
    x, y = places.to(dtype)
    # grid_sample calls the centres of the outer pixels -1 and 1.
    grid = torch.stack([x * 2 / max(width - 1, 1) - 1, y * 2 / max(height - 1, 1) - 1], dim=-1)
    sampled = grid_sample(
        image.to(dtype).reshape(1, -1, height, width), grid[None],
        mode="bilinear", padding_mode="border", align_corners=True,
    )
    return sampled.reshape(image.shape).to(image.dtype)


def _require_handles(handles: Handles, moved: Handles, kind: str, falloff: float) -> None:
    require_finite(handles, "handles")
    require_finite(moved, "moved_handles")
    if handles.shape[1:] not in ((2,), (2, 2)):
        raise ValueError(
            f"handles has shape {tuple(handles.shape)}, so it is unclear what is dragged: pass "
            f"points (x, y), shape (count, 2), or line segments by their ends, (count, 2, 2)."
        )
    require_same_shape(handles, moved, ("handles", "moved_handles"))
    _require_close(handles, "handles")
    _require_close(moved, "moved_handles")
    require_option(kind, KINDS, "kind")
    require_number(falloff, "falloff", above=0)


def _require_close(points: Tensor, name: str) -> None:
    if points.numel() and points.detach().abs().max() > FARTHEST:
        raise ValueError(
            f"{name} reaches {float(points.abs().max()):.0e} pixels from the origin, where floats "
            f"no longer tell pixels apart: give (x, y) in pixels of the picture."
        )
