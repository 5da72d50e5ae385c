"""Brush edits on the manifold: z* = argmin Σ_g L_g(G(z), v_g) + λ_s ‖z − z0‖².

Each stroke v_g is a term of the energy; the generator keeps the answer a natural picture.

Source: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016,
section 3.2, eq. 6. Dragging: Pan et al., "Drag Your GAN", SIGGRAPH 2023, section 3.2.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from course_lib.checks import require_count, require_finite, require_mask, require_number
from course_lib.generators.base import Generator
from course_lib.projection import ramp
from course_lib.results import Callback
from course_lib.shapes import Image, Latent, Mask, Points

Energy = Callable[[Tensor, Tensor], Tensor]
"""(codes, pictures (batch, 3, r, r)) -> (batch,)."""


@runtime_checkable
class Constraint(Protocol):
    """What the user asks of the picture."""

    weight: float | int

    def bind(self, generator: Generator, latent: Latent, space: str) -> Energy:
        """Its term of the energy, for an edit that begins at `latent`."""


@dataclass(frozen=True)
class ColorStroke:
    """Under the stroke the picture should have this colour.

    Mean squared error over the mask: eq. 6's colour term, normalised by the stroke's area.

    Attributes:
        mask: (r, r), True under the stroke.
        color: red, green, blue in [0, 1].
    """

    mask: Bool[Tensor, "r r"]
    color: tuple[float | int, float | int, float | int]
    weight: float | int = 1.0

    def bind(self, generator: Generator, latent: Latent, space: str) -> Energy:
        """Its term of the energy."""
        size = (generator.resolution, generator.resolution)
        require_mask(self.mask, size)
        if len(self.color) != 3:
            raise ValueError(f"color is {self.color}, but red, green and blue are needed.")
        for value in self.color:
            require_number(value, "color", least=0, most=1)
        color = torch.tensor(self.color, device=latent.device, dtype=latent.dtype)
        mask = self.mask.to(latent.device)
        return lambda _, image: (image[:, :, mask] - color[:, None]).square().mean(dim=(1, 2))


@dataclass(frozen=True)
class SketchStroke:
    """Along the stroke the picture should have edges as the sketch has.

    Squared difference of orientation histograms (differentiable HOG), over the cells that the
    stroke touches.

    Attributes:
        mask: (r, r), True on the sketched lines, one pixel wide or more.
        cell: width of a histogram's square, in pixels.
    """

    mask: Bool[Tensor, "r r"]
    weight: float | int = 1.0
    cell: int = 8

    def bind(self, generator: Generator, latent: Latent, space: str) -> Energy:
        """Its term of the energy."""
        require_mask(self.mask, (generator.resolution, generator.resolution))
        drawing = self.mask.to(latent)[None, None]
        wanted = orientation_histograms(drawing, cell=self.cell)
        touched = F.max_pool2d(drawing, self.cell)[0, 0] > 0

        def energy(_: Tensor, image: Tensor) -> Tensor:
            found = orientation_histograms(image.mean(dim=1, keepdim=True), cell=self.cell)
            return (found - wanted)[..., touched].square().sum(dim=1).mean(dim=1)

        return energy


@dataclass(frozen=True)
class Anything:
    """Any torch function of the picture, (batch, 3, r, r) -> (batch,), as a term."""

    function: Callable[[Tensor], Tensor]
    weight: float | int = 1.0

    def bind(self, generator: Generator, latent: Latent, space: str) -> Energy:
        """Its term of the energy."""
        return lambda _, image: self.function(image)


@dataclass(frozen=True)
class Drag:
    """What is at `start` should come to `end`: motion supervision on generator features.

    Each step pulls the features around a handle one pixel towards its target, then looks where
    the handle's first features have gone (point tracking).

    Attributes:
        start, end: points (x, y) in pixels of the picture.
        fixed: (r, r), True where the features should stay as they are; None for nowhere.
        layer: whose features; one at half the resolution or more if None.
        radius: of the patch that is pulled, and reach of the tracking, in pixels.
    """

    start: Points
    end: Points
    fixed: Mask | None = None
    layer: str | None = None
    weight: float | int = 1.0
    radius: tuple[int, int] = (2, 4)
    keep: float | int = 5.0

    def bind(self, generator: Generator, latent: Latent, space: str) -> Energy:
        """Its term of the energy; it remembers where its handles are."""
        last = generator.resolution - 1
        for points, name in ((self.start, "start"), (self.end, "end")):
            require_finite(points, name)
            if points.ndim != 2 or points.shape[1] != 2 or len(points) != len(self.start):
                raise ValueError(
                    f"{name} has shape {tuple(points.shape)}, but start and end are equally many "
                    f"points (n, 2), x then y: bring both to that."
                )
            if not ((points >= 0) & (points <= last)).all():
                raise ValueError(
                    f"{name} lies outside the picture, where there is nothing to drag: keep x and "
                    f"y between 0 and {last}."
                )
        if self.fixed is not None:
            require_mask(self.fixed, (generator.resolution, generator.resolution), "fixed")
        return _Pull(self, generator, latent, space)


class _Pull:
    """One edit's dragging: a handle a start code, tracked from step to step."""

    def __init__(self, drag: Drag, generator: Generator, latent: Tensor, space: str):
        self.drag, self.generator, self.space = drag, generator, space
        self.layer = drag.layer or generator.layers[-2 if len(generator.layers) > 1 else -1]
        self.place = drag.start.to(latent).expand(len(latent), -1, -1).clone()
        self.end = drag.end.to(latent)
        self.first = self._features(latent.detach()).detach()
        self.handle = self._at(self.first, self.place)

    def __call__(self, latent: Tensor, image: Tensor) -> Tensor:
        features = self._features(latent)
        with torch.no_grad():
            self._track(features.detach())
        to_go = self.end - self.place
        distance = to_go.norm(dim=-1, keepdim=True)
        step = to_go / distance.clamp(min=1)  # a pixel at most
        offsets = _disc(self.drag.radius[0]).to(latent)
        around = self.place[:, :, None] + offsets
        here = self._at(features.detach(), around.flatten(1, 2))
        ahead = self._at(features, (around + step[:, :, None]).flatten(1, 2))
        moving = (distance > 0.5).to(latent).repeat_interleave(len(offsets), dim=1)
        energy = ((ahead - here).abs().mean(dim=2) * moving[..., 0]).mean(dim=1)
        if self.drag.fixed is not None:
            free = F.interpolate((~self.drag.fixed).to(latent)[None, None], features.shape[-2:])
            change = (features - self.first).abs() * (1 - free)
            energy = energy + self.drag.keep * change.mean(dim=(1, 2, 3))
        return energy

    def _features(self, latent: Tensor) -> Tensor:
        return self.generator.features(latent, self.layer, space=self.space)

    def _at(self, features: Tensor, points: Tensor) -> Tensor:
        """Features (batch, points, channels) at (x, y) of the picture, bilinear."""
        grid = (points + 0.5) / self.generator.resolution * 2 - 1
        found = F.grid_sample(features, grid[:, None], align_corners=False, padding_mode="border")
        return found[:, :, 0].transpose(1, 2)

    def _track(self, features: Tensor) -> None:
        """Move each handle to where, nearby, the features are most like its first ones."""
        reach = self.drag.radius[1]
        axis = torch.arange(-reach, reach + 1, device=features.device, dtype=features.dtype)
        offsets = torch.cartesian_prod(axis, axis)
        near = self.place[:, :, None] + offsets
        batch, points = near.shape[:2]
        found = self._at(features, near.flatten(1, 2)).unflatten(1, (points, -1))
        change = (found - self.handle[:, :, None]).abs().mean(dim=-1)
        best = change.argmin(dim=2)
        self.place = near[torch.arange(batch)[:, None], torch.arange(points), best]


def _disc(radius: int) -> Tensor:
    """Offsets (x, y) of the pixels within `radius`."""
    axis = torch.arange(-radius, radius + 1)
    offsets = torch.cartesian_prod(axis, axis)
    return offsets[offsets.square().sum(dim=1) <= radius**2]


@dataclass(frozen=True)
class Edit:
    """What an edit found; several starts are ordered by their energy, lowest first.

    Attributes:
        latent: (starts, ...) in `space`; image: their pictures.
        energies: each constraint's term and "close to the input", (steps, starts).
        frames: G along the straight line from the first start's code to its answer.
        handles: where the drags' handles ended, (starts, points, 2), one entry a drag.
    """

    latent: Latent
    space: str
    image: Image
    energies: dict[str, Float[Tensor, "steps starts"]]
    frames: Float[Tensor, "steps_shown 3 r r"]
    handles: tuple[Tensor, ...] = ()


def edit(
    generator: Generator,
    latent: Latent,
    constraints: Sequence[Constraint],
    *,
    space: str = "w",
    smoothness: float | int = 0.1,
    steps: int = 100,
    learning_rate: float | int = 0.05,
    frames: int = 8,
    callback: Callback | None = None,
) -> Edit:
    """Change codes until their pictures satisfy the constraints.

    Args:
        latent: z0, one code or several starts at once, in `space`. To go on after a stroke is
            added, pass the last answer's.
        smoothness: λ_s, weight of the mean squared change in deviations of the space.
        learning_rate: of Adam at its highest, in deviations of the space.
        frames: of the morph from z0 to the answer.
        callback: called with the step and the pictures so far.
    Raises:
        ValueError: there is no constraint, a mask does not fit, or the codes are of another space.
    """
    generator.require_latent(latent, space)
    if not constraints:
        raise ValueError("there is no constraint, so nothing would change: add a stroke.")
    for value, name in ((smoothness, "smoothness"), (learning_rate, "learning_rate")):
        require_number(value, name, least=0)
    for constraint in constraints:
        require_number(constraint.weight, "weight", least=0)
    require_count(steps, "steps", least=0)
    require_count(frames, "frames", least=2)
    start, std = latent.detach(), generator.latent_std(space)
    terms = [(c.weight, c.bind(generator, start, space)) for c in constraints]
    names = [f"{type(c).__name__} {i + 1}" for i, c in enumerate(constraints)]
    history: dict[str, list[Tensor]] = {name: [] for name in [*names, "close to the input"]}
    change = torch.zeros_like(start, requires_grad=True)  # in deviations of the space
    optimizer = torch.optim.Adam([change], lr=learning_rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate * ramp(step / steps)
        code = start + change * std
        image = generator.decode(code, space=space)
        values = [weight * term(code, image) for weight, term in terms]
        values.append(smoothness * change.square().flatten(1).mean(dim=1))
        optimizer.zero_grad()
        sum(values).sum().backward()
        optimizer.step()
        for name, value in zip(history, values, strict=True):
            history[name].append(value.detach().cpu())
        if callback:
            callback(step, image.detach())
    with torch.no_grad():
        found = start + change * std
        order = torch.stack([h[-1] for h in history.values()]).sum(dim=0).argsort(stable=True) \
            if steps else torch.arange(len(found))
        found, begun = found[order.to(found.device)], start[order.to(found.device)]
        image = generator.decode(found, space=space)
        shares = torch.linspace(0, 1, frames).to(found).reshape(-1, *[1] * (found.ndim - 1))
        morph = generator.decode(begun[:1] + shares * (found[:1] - begun[:1]), space=space)
    energies = {name: torch.stack(h)[:, order] if h else torch.zeros(0, len(found))
                for name, h in history.items()}
    handles = tuple(term.place[order.to(found.device)].cpu() for _, term in terms
                    if isinstance(term, _Pull))
    return Edit(found, space, image, energies, morph, handles)


def orientation_histograms(
    gray: Float[Tensor, "batch 1 r r"], *, cell: int = 8, bins: int = 8
) -> Float[Tensor, "batch bins rows columns"]:
    """How strong edges of each direction are in each cell; differentiable.

    Gradients are softly shared between the two nearest of `bins` directions (0 to π, as the sign
    of an edge does not matter), summed over the cell, and scaled to unit length.

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
    summed = F.avg_pool2d(shared, cell) * cell
    return summed / (summed.square().sum(dim=1, keepdim=True) + 1e-3).sqrt()
