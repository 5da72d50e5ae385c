"""What the user asks of a picture, as terms of an energy: colour, sketch, warp, patch, anything.

Each constraint L_g(G(z), v_g) holds its guidance v_g; `bind` makes a function of the picture
of it, for an edit that begins at z0.

Source: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016,
section 3.2. Deviation: masked errors are means over the mask, so that a stroke's size does not
decide its weight.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from course_lib.checks import require_count, require_finite, require_mask, require_number
from course_lib.generators.base import Generator
from course_lib.shapes import Image, Latent, Points
from course_lib.warping import warp_mls

Energy = Callable[[Tensor, Tensor], Tensor]
"""(codes, pictures (batch, 3, r, r)) -> (batch,), at least 0, and 0 if all is as wished."""


@runtime_checkable
class Constraint(Protocol):
    """What the user asks of the picture."""

    weight: float

    def bind(self, generator: Generator, latent: Latent, space: str) -> Energy:
        """Its term of the energy, for an edit that begins at `latent`."""


@dataclass(frozen=True)
class ColorStroke:
    """Under the stroke the picture should have this colour: ‖G(z) − color‖², mean over the mask.

    Attributes:
        mask: (r, r), True under the stroke.
        color: red, green, blue in [0, 1].
    """

    mask: Bool[Tensor, "r r"]
    color: tuple[float, float, float]
    weight: float = 1.0

    def bind(self, generator: Generator, latent: Latent, space: str) -> Energy:
        """Its term of the energy."""
        require_mask(self.mask, (generator.resolution, generator.resolution))
        if not isinstance(self.color, tuple | list) or len(self.color) != 3:
            raise ValueError(
                f"color is {self.color}, but red, green and blue are needed: pass three numbers "
                f"in [0, 1]."
            )
        for value in self.color:
            require_number(value, "color", least=0, most=1)
        color = torch.tensor(self.color, device=latent.device, dtype=latent.dtype)
        mask = self.mask.to(latent.device)
        return lambda _, image: (image[:, :, mask] - color[:, None]).square().mean(dim=(1, 2))


@dataclass(frozen=True)
class SketchStroke:
    """Along the stroke the picture should have edges as the sketch has.

    Squared difference of orientation histograms (differentiable HOG), mean over the cells that
    the stroke touches.

    Attributes:
        mask: (r, r), True on the sketched lines, one pixel wide or more.
        cell: width of a histogram's square, in pixels.
    """

    mask: Bool[Tensor, "r r"]
    weight: float = 1.0
    cell: int = 8

    def bind(self, generator: Generator, latent: Latent, space: str) -> Energy:
        """Its term of the energy."""
        require_mask(self.mask, (generator.resolution, generator.resolution))
        require_count(self.cell, "cell", most=generator.resolution)
        drawing = self.mask.to(latent)[None, None]
        touched = F.max_pool2d(drawing, self.cell, ceil_mode=True)[0, 0] > 0
        return _edge_energy(drawing, touched, self.cell)


@dataclass(frozen=True)
class WarpStroke:
    """Inside its region the picture should look as z0's does after a moving-least-squares warp.

    Attributes:
        handles, moved_handles: points (x, y) in pixels of the picture, before and after.
        mask: (r, r), the region; within `radius` of the handles' ways if None.
        radius: in pixels.
    """

    handles: Points
    moved_handles: Points
    mask: Bool[Tensor, "r r"] | None = None
    weight: float = 1.0
    radius: float = 8

    def bind(self, generator: Generator, latent: Latent, space: str) -> Energy:
        """Its term of the energy."""
        require_ways(self.handles, self.moved_handles, generator)
        require_number(self.radius, "radius", above=0)
        mask = self.mask
        if mask is None:
            mask = along_ways(self.handles, self.moved_handles, self.radius, generator.resolution)
        require_mask(mask, (generator.resolution, generator.resolution))
        mask = mask.to(latent.device)
        with torch.no_grad():
            picture = generator.decode(latent, space=space)
        handles, moved = self.handles.to(picture), self.moved_handles.to(picture)
        wanted = warp_mls(picture, handles, moved, grid_step=None)[:, :, mask]
        return lambda _, image: (image[:, :, mask] - wanted).square().mean(dim=(1, 2))


@dataclass(frozen=True)
class PatchMove:
    """The older way to drag: the patch of z0's picture at `start` should appear at `end`.

    Colours and edges under the moved patch: eq. 6's colour term plus `edges` times its sketch
    term. `Drag` follows what it moves; this only compares.

    Attributes:
        start, end: points (x, y) in pixels of the picture.
        size: of the square patch, in pixels.
        edges: weight of the orientation histograms.
    """

    start: Points
    end: Points
    weight: float = 1.0
    size: int = 24
    edges: float = 0.2
    cell: int = 8

    def bind(self, generator: Generator, latent: Latent, space: str) -> Energy:
        """Its term of the energy."""
        require_ways(self.start, self.end, generator)
        require_count(self.size, "size", most=generator.resolution)
        require_count(self.cell, "cell", most=generator.resolution)
        require_number(self.edges, "edges", least=0)
        with torch.no_grad():
            picture = generator.decode(latent, space=space)
        pasted, mask = _paste_patches(picture, self.start, self.end, self.size)
        covered = F.avg_pool2d(mask.to(latent)[None, None], self.cell, ceil_mode=True)[0, 0] >= 0.5
        wanted = pasted[:, :, mask]
        edges = _edge_energy(pasted.mean(dim=1, keepdim=True), covered, self.cell)

        def energy(_: Tensor, image: Tensor) -> Tensor:
            color = (image[:, :, mask] - wanted).square().mean(dim=(1, 2))
            return color + self.edges * edges(_, image) if covered.any() else color

        return energy


@dataclass(frozen=True)
class Anything:
    """Any torch function of the picture, (batch, 3, r, r) -> (batch,), as a term."""

    function: Callable[[Tensor], Tensor]
    weight: float = 1.0

    def bind(self, generator: Generator, latent: Latent, space: str) -> Energy:
        """Its term of the energy, which checks what the function returns."""
        if not callable(self.function):
            raise ValueError(
                f"Anything holds a {type(self.function).__name__}, which is no function of the "
                f"picture: pass one that maps (batch, 3, r, r) to (batch,)."
            )
        return lambda _, image: self._checked(self.function(image), image)

    def _checked(self, value: object, image: Tensor) -> Tensor:
        if not isinstance(value, Tensor) or tuple(value.shape) != (len(image),):
            found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
            raise ValueError(
                f"the function in Anything returned {found}, but an energy is one number a "
                f"picture, a tensor of shape ({len(image)},) here: average over the other axes, "
                f"for instance by .mean(dim=(1, 2, 3))."
            )
        if image.requires_grad and not value.requires_grad:
            raise ValueError(
                "the function in Anything returned a number that does not follow the picture, so "
                "no step could lower it: compute it from its argument by torch operations, "
                "without .item(), .detach() or torch.no_grad."
            )
        return value


def orientation_histograms(
    gray: Float[Tensor, "batch 1 r r"], *, cell: int = 8, bins: int = 8
) -> Float[Tensor, "batch bins rows columns"]:
    """How strong edges of each direction are in each cell; differentiable.

    Gradients are softly shared between the two nearest of `bins` directions (0 to π, as the sign
    of an edge does not matter), summed over the cell, and scaled to unit length. Where `cell` does
    not divide the picture's side, the last cells are narrower, and their means count.

    Source: Dalal and Triggs, "Histograms of Oriented Gradients", CVPR 2005.
    """
    framed = F.pad(gray, (1, 1, 1, 1), mode="replicate")
    dx = (framed[..., 1:-1, 2:] - framed[..., 1:-1, :-2]) / 2
    dy = (framed[..., 2:, 1:-1] - framed[..., :-2, 1:-1]) / 2
    strength = (dx.square() + dy.square() + 1e-8).sqrt()
    angle = torch.atan2(dy, dx + 1e-12) * bins / math.pi  # in bins, periodic
    centers = torch.arange(bins, device=gray.device, dtype=gray.dtype)[:, None, None]
    apart = (angle - centers + bins / 2).remainder(bins) - bins / 2
    shared = strength * (1 - apart.abs()).clamp(min=0)
    summed = F.avg_pool2d(shared, cell, ceil_mode=True) * cell
    return summed / (summed.square().sum(dim=1, keepdim=True) + 1e-3).sqrt()


def along_ways(
    start: Points, end: Points, radius: float, resolution: int
) -> Bool[Tensor, "r r"]:
    """The pixels within `radius` of the straight ways from `start` to `end`."""
    axis = torch.arange(resolution, device=start.device, dtype=start.dtype)
    places = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)[:, :, None]
    way = end - start
    share = ((places - start) * way).sum(dim=-1) / way.square().sum(dim=-1).clamp(min=1e-6)
    nearest = start + share.clamp(0, 1)[..., None] * way
    return ((places - nearest).norm(dim=-1) <= radius).any(dim=-1)


def grow_mask(mask: Bool[Tensor, "h w"], reach: int) -> Bool[Tensor, "h w"]:
    """The mask, and the pixels within `reach` of it, left, right, up and down."""
    grown = F.max_pool2d(mask[None, None].float(), 2 * reach + 1, stride=1, padding=reach)
    return grown[0, 0] > 0


def require_ways(start: Points, end: Points, generator: Generator) -> None:
    """Raise a `ValueError` unless both are equally many points inside the picture."""
    last = generator.resolution - 1
    for points, name in ((start, "start"), (end, "end")):
        require_finite(points, name)
        if points.ndim != 2 or points.shape[1] != 2 or not 0 < len(points) == len(start):
            raise ValueError(
                f"{name} has shape {tuple(points.shape)}, but start and end are equally many "
                f"points (n, 2), x then y: bring both to that."
            )
        if not ((points >= 0) & (points <= last)).all():
            raise ValueError(
                f"{name} lies outside the picture, where there is nothing to move: keep x and "
                f"y between 0 and {last}."
            )


def _edge_energy(drawing: Tensor, cells: Tensor, cell: int) -> Energy:
    """Squared difference of orientation histograms to a grey drawing's, mean over some cells."""
    wanted = orientation_histograms(drawing, cell=cell)

    def energy(_: Tensor, image: Tensor) -> Tensor:
        found = orientation_histograms(image.mean(dim=1, keepdim=True), cell=cell)
        return (found - wanted)[..., cells].square().sum(dim=1).mean(dim=1)

    return energy


def _paste_patches(
    picture: Tensor, start: Tensor, end: Tensor, size: int
) -> tuple[Image, Bool[Tensor, "r r"]]:
    """The picture with the patch of each start pasted around its end, and where."""
    pasted, side = picture.clone(), picture.shape[-1]
    mask = torch.zeros(side, side, dtype=torch.bool, device=picture.device)
    for (x, y), (u, v) in zip(start.round().int().tolist(), end.round().int().tolist(),
                              strict=True):
        reach = torch.arange(size, device=picture.device) - size // 2
        columns = reach[_inside(x + reach, side) & _inside(u + reach, side)]
        rows = reach[_inside(y + reach, side) & _inside(v + reach, side)]
        there = (v + rows)[:, None], u + columns
        pasted[..., there[0], there[1]] = picture[..., (y + rows)[:, None], x + columns]
        mask[there] = True
    return pasted, mask


def _inside(places: Tensor, side: int) -> Tensor:
    return (places >= 0) & (places < side)
