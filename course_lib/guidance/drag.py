"""Dragging a point: motion supervision on the generator's features, and point tracking.

Source: Pan et al., "Drag Your GAN: Interactive Point-based Manipulation on the Generative Image
Manifold", SIGGRAPH 2023, section 3.2.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_mask, require_number, require_option
from course_lib.generators.base import Generator
from course_lib.guidance.strokes import along_ways, require_ways
from course_lib.shapes import Image, Latent, Mask, Points

PATCH = 4  # pixels from its centre to its rim, of what is searched for in the end
NEARBY = 8  # pixels from a drag's way: so far it is searched for


@dataclass(frozen=True)
class Drag:
    """What is at `start` should come to `end`.

    Each step pulls the features around a handle one pixel towards its target, then looks where
    the handle's first features have gone (point tracking).

    Attributes:
        start, end: points (x, y) in pixels of the picture.
        fixed: (r, r), True where the features should stay as they are; None for nowhere.
        layer: whose features; one at half the resolution or more if None.
        radius: of the patch that is pulled, and reach of the tracking, in pixels.
        keep: weight of what is fixed.
    """

    start: Points
    end: Points
    fixed: Mask | None = None
    layer: str | None = None
    weight: float = 1.0
    radius: tuple[int, int] = (2, 4)
    keep: float = 5.0

    def bind(self, generator: Generator, latent: Latent, space: str) -> "Pull":
        """Its term of the energy; it remembers where its handles are."""
        generator.require_capability("features")
        require_ways(self.start, self.end, generator)
        if self.fixed is not None:
            require_mask(self.fixed, (generator.resolution, generator.resolution), "fixed")
        if self.layer is not None:
            require_option(self.layer, generator.layers, "layer")
        require_number(self.keep, "keep", least=0)
        for value in self.radius:
            require_count(value, "radius", most=generator.resolution)
        return Pull(self, generator, latent, space)


class Pull:
    """One edit's dragging: each start code has handles of its own, tracked from step to step.

    Attributes:
        place: where the handles are now, (batch, points, 2) in pixels.
        layer: whose features are pulled.
    """

    def __init__(self, drag: Drag, generator: Generator, latent: Latent, space: str):
        self.drag, self.generator, self.space = drag, generator, space
        self.layer = drag.layer or generator.layers[-2 if len(generator.layers) > 1 else -1]
        self.place = drag.start.to(latent).expand(len(latent), -1, -1).clone()
        self.end = drag.end.to(latent)
        with torch.no_grad():
            image, features = generator.decode_with_features(latent, [self.layer], space=space)
        self.first = features[self.layer]
        self.patches = _cut(image, drag.start)
        self.handle = self._at(self.first, self.place)

    def __call__(self, latent: Tensor, image: Tensor, features: Tensor | None = None) -> Tensor:
        """Pull, from where the handles are found in the pictures of these codes.

        Args:
            features: of `layer` for these codes, where the picture's maker kept them.
        """
        if features is None:
            features = self.generator.features(latent, self.layer, space=self.space)
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
            energy = energy + self.drag.keep * self._change_where_fixed(features)
        return energy

    def missed(self) -> Float[Tensor, " batch"]:
        """How far the handles are from their targets, in pixels."""
        return (self.end - self.place).norm(dim=-1).mean(dim=1)

    @torch.no_grad()
    def searched(self, image: Image) -> Float[Tensor, "batch points 2"]:
        """Where pictures look most like z0's around each start, in pixels.

        The patches' squared differences are compared near each one's way (another eye is like the
        one that was dragged): a second opinion, since the tracker follows features from step to
        step, and may lose what it was set on.
        """
        reach = self.patches.shape[-1] // 2
        window = torch.ones_like(self.patches[0, :1, :1])
        side = image.shape[-1]
        ways = torch.stack([
            along_ways(*way, NEARBY, side) for way in
            zip(self.drag.start.split(1), self.drag.end.split(1), strict=True)]).to(image.device)
        found = []
        for picture, patches in zip(_framed(image, reach), self.patches, strict=True):
            size = F.conv2d(picture.square().sum(dim=0)[None, None], window)
            unlike = size - 2 * F.conv2d(picture[None], patches)  # but for the patches' own size
            place = unlike[0].masked_fill(~ways, torch.inf).flatten(1).argmin(dim=1)
            found.append(torch.stack([place % side, place // side], dim=-1))
        return torch.stack(found).to(image)

    def continue_from(self, before: "list[Pull]") -> None:
        """Handles with the start of an earlier one are where that one was found."""
        for other in before:
            same = (self.drag.start[:, None] == other.drag.start).all(dim=-1)
            for new, old in same.nonzero().tolist():
                self.place[:, new] = other.place[:, old]

    def _change_where_fixed(self, features: Tensor) -> Tensor:
        free = F.interpolate((~self.drag.fixed).to(features)[None, None], features.shape[-2:])
        return ((features - self.first).abs() * (1 - free)).mean(dim=(1, 2, 3))

    def _at(self, features: Tensor, points: Tensor) -> Tensor:
        """Features (batch, points, channels) at (x, y) of the picture, bilinear."""
        grid = (points + 0.5) / self.generator.resolution * 2 - 1
        found = F.grid_sample(features, grid[:, None], align_corners=False, padding_mode="border")
        return found[:, :, 0].transpose(1, 2)

    def _track(self, features: Tensor) -> None:
        """Move each handle to where, nearby, the features are most like its first ones."""
        reach = self.drag.radius[1]
        axis = torch.arange(-reach, reach + 1, device=features.device, dtype=features.dtype)
        near = self.place[:, :, None] + torch.cartesian_prod(axis, axis)
        batch, points = near.shape[:2]
        found = self._at(features, near.flatten(1, 2)).unflatten(1, (points, -1))
        change = (found - self.handle[:, :, None]).abs().mean(dim=-1)
        best = change.argmin(dim=2)
        self.place = near[torch.arange(batch)[:, None], torch.arange(points), best]


def _cut(image: Tensor, points: Tensor) -> Float[Tensor, "batch points 3 side side"]:
    """The squares around (x, y) of each picture."""
    framed = _framed(image, PATCH)
    return torch.stack([framed[..., y : y + 2 * PATCH + 1, x : x + 2 * PATCH + 1]
                        for x, y in points.round().int().tolist()], dim=1)


def _framed(image: Tensor, width: int) -> Tensor:
    return F.pad(image, (width, width, width, width), mode="replicate")


def _disc(radius: int) -> Tensor:
    """Offsets (x, y) of the pixels within `radius`."""
    axis = torch.arange(-radius, radius + 1)
    offsets = torch.cartesian_prod(axis, axis)
    return offsets[offsets.square().sum(dim=1) <= radius**2]
