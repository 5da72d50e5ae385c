"""How one picture became another: motion and colour at each pixel.

The lecture's energy, over the flow (u, v) and a 3x4 colour matrix A at each pixel:

    ∬ ‖I0(x, y) − A · I1(x + u, y + v)‖² + σ_s (‖∇u‖² + ‖∇v‖²) + σ_c ‖∇A‖² dx dy

Source: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016,
"Edit transfer", eq. 7. Solved as Brox et al., ECCV 2004: coarse to fine, linearised; motion and
colour are found together, by Gauss–Newton, where the paper takes turns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import (
    require_callback,
    require_count,
    require_image,
    require_number,
    require_same_shape,
)
from course_lib.gradients import gradient, laplacian
from course_lib.results import Callback, allowed_steps
from course_lib.shapes import Image
from course_lib.solvers import conjugate_gradient

Flow = Float[Tensor, "2 height width"]
Color = Float[Tensor, "3 4 height width"]
Trust = Float[Tensor, "height width"]

FLOW_SMOOTHNESS = 0.001
COLOR_SMOOTHNESS = 2.0
COARSEST = 8  # pixels along a side: there, six pixels of motion in 64 are less than one
SHRINK = 0.75  # from one resolution to the next
TOL = 0.03  # of a step, in pixels of motion and units of A


@dataclass(frozen=True)
class Transfer:
    """How one picture became another.

    Attributes:
        flow: (2, h, w) in pixels, x then y: before(x, y) = A · after(x + u, y + v).
        color: A at each pixel, (3, 4, h, w); its last column is added.
        energies: "data", "smooth motion", "smooth colour" at full resolution, at first and after
            each step.
    """

    flow: Flow
    color: Color
    energies: dict[str, Float[Tensor, " steps"]]

    def explain(self, image: Image) -> Image:
        """A · image(x + u)."""
        return recolored(warped(image, self.flow), self.color)


@torch.no_grad()
def estimate_flow_and_color(
    before: Image,
    after: Image,
    *,
    flow_smoothness: float = FLOW_SMOOTHNESS,
    color_smoothness: float = COLOR_SMOOTHNESS,
    trust: Trust | None = None,
    init: Transfer | None = None,
    steps: int = 6,
    callback: Callback | None = None,
) -> Transfer:
    """Explain `before` by moving and recolouring `after`.

    From 8² up to full resolution, by Gauss–Newton steps for all 14 numbers a pixel, each
    shortened until the energy falls. At every resolution the flow is in pixels of the full one
    and differences are between neighbours. A coarse picture, with fewer pixels to explain and as
    far to bend, thus is the stiffer one: what motion explains is not left to colour.

    Args:
        before, after: I0 and I1, (3, h, w) in [0, 1].
        flow_smoothness: σ_s, per squared pixel; larger gives stiffer motion.
        color_smoothness: σ_c; larger gives one colour change for all.
        trust: weight of each pixel's data term, in [0, 1]; where it is low, motion and colour
            follow the surroundings. 1 everywhere if None.
        init: what to go on from, for instance the answer for a frame just before; then the
            coarsest resolutions, below half of the full one, are left out.
        steps: at each resolution, at most.
        callback: called with the step and the moved and recoloured picture.
    Raises:
        ValueError: the pictures differ in shape, or a number is out of range.
    """
    for image, name in ((before, "before"), (after, "after")):
        require_image(image, name, solvable=True)
    require_same_shape(before, after, ("before", "after"))
    require_number(flow_smoothness, "flow_smoothness", above=0)
    require_number(color_smoothness, "color_smoothness", above=0)
    require_count(steps, "steps")
    require_callback(callback)
    trust = torch.ones_like(before[0]) if trust is None else trust
    require_same_shape(trust, before[0], ("trust", "a channel of before"))
    smoothness = before.new_tensor([flow_smoothness] * 2 + [color_smoothness] * 12)
    size = before.shape[-2:]
    init, coarsest = (unchanged(before), 0) if init is None else (init, min(size) / 2)
    require_same_shape(init.flow[0], before[0], ("init's flow", "a channel of before"))
    fields = torch.cat([init.flow, init.color.flatten(0, 1)])
    for level in _sizes(size, coarsest):
        small = (shrink(x, level) for x in (before, after, trust[None]))
        fields = F.interpolate(fields[None], level, mode="bilinear")[0]
        scale = level[1] / size[1], level[0] / size[0]
        energy = _Energy(*small, smoothness[:, None, None], scale)
        fields, history = energy.descend(fields, steps, callback)
    names = ("data", "smooth motion", "smooth colour")
    return Transfer(fields[:2], _matrix(fields), dict(zip(names, history.T, strict=True)))


def unchanged(image: Image) -> Transfer:
    """No motion, and A the identity."""
    like = {"device": image.device, "dtype": image.dtype}
    identity = torch.eye(3, 4, **like)[..., None, None].repeat(1, 1, *image.shape[-2:])
    return Transfer(torch.zeros(2, *image.shape[-2:], **like), identity, {})


class _Energy:
    """The lecture's energy at one resolution, and the step that lowers it.

    Lesson 09 does this plainly, for the motion alone, in "Part 1: optical flow in a few lines".

    Its unknowns are 14 fields: u and v, in pixels of the full resolution, and the rows of A.
    """

    def __init__(self, before: Tensor, after: Tensor, trust: Tensor, smoothness: Tensor,
                 scale: tuple[float, float]):
        self.before, self.after, self.smoothness = before, after, smoothness
        self.weight = trust.sqrt()
        self.scale = before.new_tensor(scale)[:, None, None]

    def descend(
        self, fields: Tensor, steps: int, callback: Callback | None
    ) -> tuple[Tensor, Float[Tensor, "steps 3"]]:
        """Step until it falls by less than a thousandth."""
        history = [self.of(fields)]
        for step in range(allowed_steps(steps)):
            change = self._newton_step(fields)
            for share in (1, 0.5, 0.25, 0.125, 0):
                terms = self.of(fields + share * change)
                if terms.sum() <= history[-1].sum():
                    break
            fields = fields + share * change
            history.append(terms)
            if callback:
                callback(step, self.explained(fields))
            if history[-2].sum() - terms.sum() <= 1e-3 * terms.sum():
                break
        return fields, torch.stack(history).cpu()

    def explained(self, fields: Tensor) -> Tensor:
        """A · I1(x + u, y + v)."""
        return recolored(warped(self.after, fields[:2] * self.scale), _matrix(fields))

    def of(self, fields: Tensor) -> Float[Tensor, "3"]:
        """The three terms."""
        misfit = self.weight * (self.before - self.explained(fields))
        bent = self.smoothness * gradient(fields).square()
        return torch.stack([misfit.square().sum(), bent[:, :2].sum(), bent[:, 2:].sum()])

    def _newton_step(self, fields: Tensor) -> Tensor:
        """Min over d of ‖r − J d‖² + Σ σ ‖∇(fields + d)‖², r the misfit, J its slope: linear in d.

        J d is one number a channel: the slopes of A · I1 along u and v, and the moved pixel p
        (with a 1) times the change of A's row.
        """
        flow, matrix = fields[:2] * self.scale, _matrix(fields)
        half = 0.5 * torch.eye(2, device=flow.device, dtype=flow.dtype)[..., None, None]
        slopes = torch.stack([warped(self.after, flow + h) - warped(self.after, flow - h)
                              for h in half])
        along = self.weight * torch.einsum("ijhw,kjhw->kihw", matrix[:, :3], slopes) \
            * self.scale[:, None]
        p = self.weight * F.pad(warped(self.after, flow), (0, 0, 0, 0, 0, 1), value=1.0)

        def jacobian(d: Tensor) -> Tensor:
            return (along * d[:2, None]).sum(dim=0) + (_matrix(d) * p).sum(dim=1)

        def transposed(r: Tensor) -> Tensor:
            return torch.cat([(along * r).sum(dim=1), (r[:, None] * p).flatten(0, 1)])

        def operator(d: Tensor) -> Tensor:
            return transposed(jacobian(d)) - self.smoothness * laplacian(d)

        own, inverse = 4 * self.smoothness, self._invert_pixels(along, p)

        def precondition(r: Tensor) -> Tensor:
            found = (inverse * jacobian(r / own)).sum(dim=1)
            return (r - transposed(found)) / own

        r = self.weight * (self.before - self.explained(fields))
        b = transposed(r) + self.smoothness * laplacian(fields)
        one = (1, -1, fields.shape[-1])  # the 14 fields are one system
        return conjugate_gradient(
            lambda d: operator(d.view_as(fields)).view(one), b.view(one), tol=TOL,
            precondition=lambda r: precondition(r.view_as(fields)).view(one),
            max_steps=allowed_steps(40),
        ).value.view_as(fields)

    def _invert_pixels(self, along: Tensor, p: Tensor) -> Float[Tensor, "3 3 height width"]:
        """(1 + J D⁻¹ Jᵀ)⁻¹ at each pixel, where D = 4 σ is what a field weighs by itself.

        A pixel alone, without its neighbours, has 14 equations: (D + Jᵀ J) d = b. By Woodbury's
        identity d = D⁻¹ (b - Jᵀ (1 + J D⁻¹ Jᵀ)⁻¹ J D⁻¹ b), which inverts 3 x 3 instead.
        """
        own = 4 * self.smoothness
        by_motion = torch.einsum("kihw,kjhw->hwij", along, along) / own[0, 0, 0]
        by_color = 1 + p.square().sum(dim=0) / own[-1, 0, 0]
        inverse = torch.linalg.inv(by_motion + by_color[..., None, None] * torch.eye(3).to(p))
        return inverse.permute(2, 3, 0, 1).contiguous()


def warped(
    image: Float[Tensor, "channels height width"], flow: Float[Tensor, "2 h w"], *, finer: int = 1
) -> Float[Tensor, "channels h w"]:
    """The picture at (x + u, y + v), bicubic, its edge repeated.

    Args:
        finer: `image` has so many samples a pixel, as `doubled` makes them.
    """
    height, width = flow.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=image.device, dtype=image.dtype),
        torch.arange(width, device=image.device, dtype=image.dtype), indexing="ij",
    )
    last = [finer * side - 1 for side in (width, height)]
    grid = torch.stack([2 * finer * (place + shift) / length - 1 for place, shift, length in
                        zip((x, y), flow, last, strict=True)], dim=-1)
    return F.grid_sample(image[None], grid[None], mode="bicubic", padding_mode="border",
                         align_corners=True)[0]


def doubled(
    image: Float[Tensor, "channels height width"], *, reach: int = 6
) -> Float[Tensor, "channels _ _"]:
    """Two samples a pixel: itself, and half way to the next, by Lanczos' windowed sinc.

    A bicubic warp of the picture itself would blur what is finest, by a fifth of its energy.
    """
    offsets = torch.arange(1 - reach, reach + 1, device=image.device)
    away = offsets.to(image) - 0.5
    taps = torch.sinc(away) * torch.sinc(away / reach)
    for axis in (1, 2):
        place = torch.arange(image.shape[axis], device=image.device)
        between = sum(tap * image.index_select(axis, (place + offset).clamp(0, len(place) - 1))
                      for tap, offset in zip(taps / taps.sum(), offsets, strict=True))
        image = torch.stack([image, between], dim=axis + 1).flatten(axis, axis + 1)
    return image


def recolored(image: Float[Tensor, "3 height width"], color: Color) -> Image:
    """A · (r, g, b, 1) at each pixel."""
    return (color[:, :3] * image).sum(dim=1) + color[:, 3]


def shrink(
    image: Float[Tensor, "channels _ _"], size: Sequence[int]
) -> Float[Tensor, "channels _ _"]:
    """A smaller picture, (height, width), without aliases."""
    return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]


def _sizes(size: tuple[int, int], coarsest: float) -> list[tuple[int, int]]:
    """Resolutions from the coarsest, at least `coarsest` pixels, to `size`."""
    sizes, share = [tuple(size)], SHRINK
    while min(size) * share >= max(coarsest, COARSEST):
        sizes.append(tuple(round(side * share) for side in size))
        share *= SHRINK
    return sizes[::-1]


def _matrix(fields: Tensor) -> Color:
    return fields[2:].unflatten(0, (3, 4))
