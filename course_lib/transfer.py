"""Edit transfer: the change from G(z0) to G(z1), as motion and colour, carried to the photo.

The lecture's energy, over the flow (u, v) and a 3x4 colour matrix A at each pixel:

    ∬ ‖I0(x, y) − A · I1(x + u, y + v)‖² + σ_s (‖∇u‖² + ‖∇v‖²) + σ_c ‖∇A‖² dx dy

Source: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016,
section 3.3, eq. 7; solved as Brox et al., ECCV 2004: coarse to fine, linearised, by turns.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_image, require_number, require_same_shape
from course_lib.gradients import gradient, laplacian
from course_lib.results import Callback
from course_lib.shapes import Image
from course_lib.solvers import conjugate_gradient

Flow = Float[Tensor, "2 height width"]
Color = Float[Tensor, "3 4 height width"]


@dataclass(frozen=True)
class Transfer:
    """How one picture became another.

    Attributes:
        flow: (2, h, w) in pixels, x then y: before(x, y) = A · after(x + u, y + v).
        color: A at each pixel, (3, 4, h, w); its last column is added.
        energies: "data", "smooth motion", "smooth colour" after each turn at full resolution.
    """

    flow: Flow
    color: Color
    energies: dict[str, Float[Tensor, " turns"]]


def estimate_flow_and_color(
    before: Image,
    after: Image,
    *,
    flow_smoothness: float | int = 0.005,
    color_smoothness: float | int = 0.3,
    turns: int = 8,
    callback: Callback | None = None,
) -> Transfer:
    """Explain `before` by moving and recolouring `after`.

    By turns, from 8² up to full resolution: for fixed A the flow is a step of Gauss and Newton
    (halved until the energy falls), for fixed flow A is a linear system. The energy never rises.

    Args:
        before, after: I0 and I1, (3, h, w) in [0, 1].
        flow_smoothness: σ_s per squared pixel; larger gives stiffer motion.
        color_smoothness: σ_c; larger gives one colour change for all.
        turns: at each resolution.
    Raises:
        ValueError: the pictures differ in shape.
    """
    for image, name in ((before, "before"), (after, "after")):
        require_image(image, name)
    require_same_shape(before, after, ("before", "after"))
    require_number(flow_smoothness, "flow_smoothness", above=0)
    require_number(color_smoothness, "color_smoothness", above=0)
    require_count(turns, "turns")
    pyramid = [(before, after)]
    while min(pyramid[-1][0].shape[-2:]) >= 16:
        pyramid.append(tuple(F.avg_pool2d(image[None], 2)[0] for image in pyramid[-1]))
    height, width = pyramid[-1][0].shape[-2:]
    flow = before.new_zeros(2, height, width)
    color = torch.eye(3, 4, device=before.device, dtype=before.dtype)
    color = color[..., None, None].repeat(1, 1, height, width)
    for i0, i1 in reversed(pyramid):
        size, scale = i0.shape[-2:], i0.shape[-1] / flow.shape[-1]
        flow = F.interpolate(flow[None], size, mode="bilinear")[0] * scale
        color = F.interpolate(color.flatten(0, 1)[None], size, mode="bilinear")[0]
        energy = _Energy(i0, i1, flow_smoothness, color_smoothness)
        flow, color = energy.descend(flow, color.reshape(3, 4, *size), turns, callback)
    return Transfer(flow, color, energy.history)


def transfer_edit(
    photo: Image,
    frames: Float[Tensor, "n 3 h w"],
    *,
    strength: float | int = 1.0,
    flow_smoothness: float | int = 0.005,
    color_smoothness: float | int = 0.3,
) -> Image:
    """Do to the photo what the morph from G(z0) to G(z1) does to the projection.

    Between consecutive frames the change is small, so each step is estimated by itself; flow and
    colour are chained, upsampled to the photo (the colour along the photo's own edges), and
    applied to it: its detail is moved and recoloured, never redrawn.

    Args:
        photo: (3, H, W) in [0, 1], of any size; the frames show it squeezed to theirs.
        frames: at least two pictures of the morph, as `guidance.edit` returns them.
        strength: how far along the morph, in [0, 1].
    Returns:
        The edited photo, unclamped.
    """
    require_image(photo, "photo")
    require_number(strength, "strength", least=0, most=1)
    require_count(len(frames), "number of frames", least=2)
    count = round(float(strength) * (len(frames) - 1))
    options = {"flow_smoothness": flow_smoothness, "color_smoothness": color_smoothness}
    flow, color = None, None
    for k in range(count):  # frame k + 1 at x is A times frame k at x + flow
        step = estimate_flow_and_color(frames[k + 1], frames[k], **options)
        if flow is None:
            flow, color = step.flow, step.color
            continue
        earlier = warped(color.flatten(0, 1), step.flow).reshape(color.shape)
        flow = step.flow + warped(flow, step.flow)
        color = _after(step.color, earlier)
    if flow is None:
        return photo.clone()
    size = photo.shape[-2:]
    scale = torch.tensor([size[1] / flow.shape[-1], size[0] / flow.shape[-2]]).to(flow)
    flow = F.interpolate(flow[None], size, mode="bicubic")[0] * scale[:, None, None]
    moved = warped(photo, flow)
    fine = guided_upsample(color.flatten(0, 1), moved)
    return recolored(moved, fine.reshape(3, 4, *size))


def _after(later: Color, earlier: Color) -> Color:
    """Apply one colour change after another, at each pixel."""
    linear = torch.einsum("ijhw,jkhw->ikhw", later[:, :3], earlier)
    return torch.cat([linear[:, :3], linear[:, 3:] + later[:, 3:]], dim=1)


def guided_upsample(
    field: Float[Tensor, "fields h w"], guide: Float[Tensor, "3 H W"], *, radius: int = 2,
    epsilon: float | int = 1e-3,
) -> Float[Tensor, "fields H W"]:
    """Enlarge a field to the size of `guide`, with edges where the guide has them.

    In each window the field is fitted as a linear function of the guide's brightness; the two
    coefficients, which are smooth, are what is enlarged.

    Source: He, Sun, Tang, "Guided Image Filtering", ECCV 2010, eq. 5, 6 and 8.
    """
    size = guide.shape[-2:]
    bright = guide.mean(dim=0, keepdim=True)
    small = F.interpolate(bright[None], field.shape[-2:], mode="area")[0]

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x[None], 2 * radius + 1, 1, radius, count_include_pad=False)[0]

    slope = (mean(small * field) - mean(small) * mean(field)) / (
        mean(small.square()) - mean(small).square() + epsilon)
    offset = mean(field) - slope * mean(small)
    slope, offset = (F.interpolate(mean(x)[None], size, mode="bilinear")[0]
                     for x in (slope, offset))
    return slope * bright + offset


class _Energy:
    """The lecture's energy at one resolution, and how each turn lowers it."""

    def __init__(self, before: Tensor, after: Tensor, flow_smoothness: float | int,
                 color_smoothness: float | int):
        self.before, self.after = before, after
        self.flow_smoothness, self.color_smoothness = flow_smoothness, color_smoothness
        self.after_slopes = torch.stack(torch.gradient(after, dim=(2, 1)))  # central differences
        self.terms: list[list[Tensor]] = []

    @property
    def history(self) -> dict[str, Tensor]:
        """The terms after each turn."""
        names = ("data", "smooth motion", "smooth colour")
        return dict(zip(names, torch.tensor(self.terms).T, strict=True))

    def descend(
        self, flow: Tensor, color: Tensor, turns: int, callback: Callback | None
    ) -> tuple[Tensor, Tensor]:
        """Flow and colour by turns."""
        for turn in range(turns):
            flow = self._better_flow(flow, color)
            color = self._better_color(flow, color)
            self.terms.append([float(term) for term in self.of(flow, color)])
            if callback:
                callback(turn, recolored(warped(self.after, flow), color))
        return flow, color

    def of(self, flow: Tensor, color: Tensor) -> list[Tensor]:
        """The three terms."""
        data = self.before - recolored(warped(self.after, flow), color)
        return [data.square().sum(), self.flow_smoothness * gradient(flow).square().sum(),
                self.color_smoothness * gradient(color.flatten(0, 1)).square().sum()]

    def _better_flow(self, flow: Tensor, color: Tensor) -> Tensor:
        """Min over d of ‖r − J d‖² + σ_s ‖∇(flow + d)‖², J the change of A·I1 along the flow."""
        r = self.before - recolored(warped(self.after, flow), color)
        slopes = torch.stack([warped(slope, flow) for slope in self.after_slopes])
        j = torch.stack([(color[:, :3] * slope).sum(dim=1) for slope in slopes])
        normal = (j[:, None] * j[None]).sum(dim=2)  # (2, 2, h, w)
        b = (j * r).sum(dim=1) + self.flow_smoothness * laplacian(flow)

        def operator(d: Tensor) -> Tensor:
            d = d.reshape(flow.shape)
            product = (normal * d).sum(dim=1) - self.flow_smoothness * laplacian(d)
            return product.reshape(1, -1, flow.shape[-1])

        inverse = torch.linalg.inv(
            normal.permute(2, 3, 0, 1)
            + 4 * self.flow_smoothness * torch.eye(2, device=flow.device, dtype=flow.dtype)
        ).permute(2, 3, 0, 1)

        def precondition(residual: Tensor) -> Tensor:
            found = (inverse * residual.reshape(flow.shape)).sum(dim=1)
            return found.reshape(1, -1, flow.shape[-1])

        step = conjugate_gradient(
            operator, b.reshape(1, -1, flow.shape[-1]), precondition=precondition, tol=1e-2,
            max_steps=60,
        ).value.reshape(flow.shape)
        now = sum(self.of(flow, color))
        for share in (1, 0.5, 0.25, 0.125):
            if sum(self.of(flow + share * step, color)) < now:
                return flow + share * step
        return flow

    def _better_color(self, flow: Tensor, color: Tensor) -> Tensor:
        """Min over A of ‖I0 − A p‖² + σ_c ‖∇A‖², p the moved pixel and a 1: linear in A."""
        p = F.pad(warped(self.after, flow), (0, 0, 0, 0, 0, 1), value=1.0)
        sigma, shape = self.color_smoothness, color.shape
        r = self.before - (color * p).sum(dim=1)
        b = r[:, None] * p + sigma * laplacian(color)

        def operator(d: Tensor) -> Tensor:
            d = d.reshape(shape)
            product = (d * p).sum(dim=1, keepdim=True) * p - sigma * laplacian(d)
            return product.reshape(3, -1, shape[-1])

        length = p.square().sum(dim=0) + 4 * sigma

        def precondition(residual: Tensor) -> Tensor:
            residual = residual.reshape(shape)
            along = (residual * p).sum(dim=1, keepdim=True) / length
            return ((residual - along * p) / (4 * sigma)).reshape(3, -1, shape[-1])

        step = conjugate_gradient(
            operator, b.reshape(3, -1, shape[-1]), precondition=precondition, tol=1e-4,
            max_steps=100,
        ).value.reshape(shape)
        better = color + step
        return better if sum(self.of(flow, better)) < sum(self.of(flow, color)) else color


def warped(image: Image, flow: Flow) -> Image:
    """The picture at (x + u, y + v), bicubic, its edge repeated."""
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=image.device, dtype=image.dtype),
        torch.arange(width, device=image.device, dtype=image.dtype), indexing="ij",
    )
    grid = torch.stack([(x + flow[0]) * 2 / (width - 1) - 1, (y + flow[1]) * 2 / (height - 1) - 1],
                       dim=-1)
    return F.grid_sample(image[None], grid[None], mode="bicubic", padding_mode="border",
                         align_corners=True)[0]


def recolored(image: Float[Tensor, "3 height width"], color: Color) -> Image:
    """A · (r, g, b, 1) at each pixel."""
    return (color[:, :3] * image).sum(dim=1) + color[:, 3]
