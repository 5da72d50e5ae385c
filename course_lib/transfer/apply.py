"""Edit transfer: the change from G(z0) to G(z1), as motion and colour, carried to the photo.

What neither of them explains, such as stripes on a coat that was white, has no counterpart among
the photo's pixels. This remainder is added as G drew it, at G's own resolution.

Source: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016,
"Edit transfer"; the remainder is ours.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import (
    require_count,
    require_image,
    require_number,
    require_photo,
    require_same_device,
    require_unit_range,
)
from course_lib.results import Callback
from course_lib.shapes import Image
from course_lib.transfer.motion import (
    COLOR_SMOOTHNESS,
    Color,
    Flow,
    Trust,
    doubled,
    estimate_flow_and_color,
    recolored,
    shrink,
    unchanged,
    warped,
)

STIFF = 30.0  # σ_c of what only moves: colour that varies this slowly does not pass for motion
MORPH_SMOOTHNESS = 0.02  # stiffer: not all that G changes is motion, and folds show in a photo
BRIGHTER = 1.5  # times as bright: contrast grows no further
MISFIT = 0.1  # a difference of photo and projection at which half of the trust is gone


class Change(NamedTuple):
    """From one picture to another: after(x) = A · before(x + u) + rest(x).

    Attributes:
        flow: u, in pixels; color: A, 3x4 matrices; rest: what motion and colour leave over.
    """

    flow: Flow
    color: Color
    rest: Image

    def moved(self) -> "Change":
        """The motion alone: nothing is recoloured."""
        still = self.within(torch.zeros_like(self.flow[0]))
        return still._replace(flow=self.flow)

    def within(self, region: Float[Tensor, "h w"]) -> "Change":
        """The same change where the region is 1, none where it is 0, a share of it between."""
        still = torch.eye(3, 4).to(self.color)[..., None, None]
        return Change(region * self.flow, still + region * (self.color - still),
                      region * self.rest)


@dataclass(frozen=True)
class Morph:
    """How each frame comes from the first: frame k at x is A_k · frame 0 at x + u_k, and a rest.

    Attributes:
        flows: in pixels of the frames; colors: 3x4 matrices. Of frame 0: no motion, the identity.
        rests: what motion and colour leave over, as far as the projection is trusted there.
        energies: the terms of the lecture's energy for each frame but the first.
    """

    flows: Float[Tensor, "frames 2 height width"]
    colors: Float[Tensor, "frames 3 4 height width"]
    rests: Float[Tensor, "frames 3 height width"]
    energies: Mapping[str, Float[Tensor, " changes"]]

    def at(self, strength: float) -> Change:
        """The change so far along the morph, in [0, 1]; linear between two frames."""
        place = float(strength) * (len(self.flows) - 1)
        first = min(int(place), len(self.flows) - 2)
        return Change(*(torch.lerp(fields[first], fields[first + 1], place - first)
                        for fields in (self.flows, self.colors, self.rests)))


@torch.no_grad()
def transfer_edit(
    photo: Image,
    frames: Float[Tensor, "frames 3 h w"],
    *,
    strength: float = 1.0,
    flow_smoothness: float = MORPH_SMOOTHNESS,
    color_smoothness: float = COLOR_SMOOTHNESS,
    misfit: float | None = MISFIT,
    region: Float[Tensor, "_ _"] | None = None,
    remainder: bool = True,
    recolor: bool = True,
) -> Image:
    """Do to the photo what the morph from G(z0) to G(z1) does to the projection.

    Args:
        photo: (3, H, W) in [0, 1], of any size; the frames show it squeezed to theirs.
        frames: at least two pictures of the morph, as `guidance.edit` returns them.
        strength: how far along the morph, in [0, 1].
        flow_smoothness, color_smoothness: as in `estimate_flow_and_color`.
        misfit: how far photo and G(z0) may differ until half of the trust in the projection is
            gone; there motion and colour follow the surroundings. None trusts it everywhere.
        region: where the photo may change, 1, and where not, 0, of any size; everywhere if None.
        remainder: whether to add what motion and colour leave over.
        recolor: whether colours follow. If not, as for a pose, only motion is carried, found with a
            `color_smoothness` of 30.
    Returns:
        The edited photo, unclamped: its own detail, moved and recoloured; the remainder has none
        that is finer than the frames.
    Raises:
        ValueError: the photo is not one of three channels, there are less than two frames, or
            photo, frames or region are not in [0, 1].
    """
    _require_pictures(photo, frames)
    _require_region(region)
    require_number(strength, "strength", least=0, most=1)
    place = float(strength) * (len(frames) - 1)
    if place == 0:
        return photo.clone()
    trust = None if misfit is None else trust_projection(photo, frames[0], misfit=misfit)
    needed = math.ceil(place)
    morph = follow_morph(
        frames[: needed + 1], flow_smoothness=flow_smoothness, trust=trust,
        color_smoothness=color_smoothness if recolor else STIFF,
    )
    change = morph.at(place / needed)
    if not recolor:
        change = change.moved()
    if region is not None:
        change = change.within(shrink(region[None].to(photo), frames.shape[-2:])[0])
    return apply_change(photo, change.flow, change.color, change.rest if remainder else None)


def _require_pictures(photo: Tensor, frames: Tensor) -> None:
    require_image(photo, "photo", solvable=True)
    require_image(frames, "frames", solvable=True)
    require_photo(photo)
    if frames.ndim != 4 or frames.shape[1] != 3:
        raise ValueError(
            f"frames has shape {tuple(frames.shape)}, but they are pictures on the way from "
            f"G(z0) to G(z1), (frames, 3, height, width): pass the .frames of an edit."
        )
    require_count(len(frames), "number of frames", least=2)
    require_same_device(photo, frames, ("photo", "frames"))
    require_unit_range(frames, "frames")


def _require_region(region: object) -> None:
    if isinstance(region, Tensor) and not 0 <= float(region.min()) <= float(region.max()) <= 1:
        raise ValueError(
            f"region reaches from {float(region.min()):.3g} to {float(region.max()):.3g}, but it "
            f"says which share of the edit the photo gets at each place: pass numbers in [0, 1]."
        )


def follow_morph(
    frames: Float[Tensor, "frames 3 height width"],
    *,
    flow_smoothness: float = MORPH_SMOOTHNESS,
    color_smoothness: float = COLOR_SMOOTHNESS,
    trust: Trust | None = None,
    callback: Callback | None = None,
) -> Morph:
    """Explain each frame of a morph by the first, going on from the answer for the one before.

    Between neighbours little moves, so that even a large edit is found. (The paper estimates each
    such step by itself and chains them, whereby the steps' errors add up.)

    Args:
        frames: at least two.
        trust: in the first frame, as in `estimate_flow_and_color`; it travels along.
        callback: called with the number of each frame but the first, and that frame explained.
    """
    require_count(len(frames), "number of frames", least=2)
    first, chain = frames[0], [unchanged(frames[0])]
    rests = [torch.zeros_like(first)]
    for k, frame in enumerate(frames[1:], start=1):
        here = None if trust is None else warped(trust[None], chain[-1].flow)[0].clamp(0, 1)
        found = estimate_flow_and_color(
            frame, first, flow_smoothness=flow_smoothness, color_smoothness=color_smoothness,
            trust=here, init=chain[-1], steps=4,
        )
        chain.append(found)
        explained = found.explain(first)
        rests.append((frame - explained) * (1 if here is None else here))
        if callback:
            callback(k, explained)
    flows, colors = (torch.stack([getattr(t, name) for t in chain]) for name in ("flow", "color"))
    energies = {name: torch.stack([t.energies[name][-1] for t in chain[1:]])
                for name in chain[-1].energies}
    return Morph(flows, colors, torch.stack(rests), energies)


def apply_change(
    photo: Image, flow: Float[Tensor, "2 h w"], color: Float[Tensor, "3 4 h w"],
    rest: Float[Tensor, "3 h w"] | None = None,
) -> Image:
    """Move and recolour a photo by fields of another size, and add what they leave over.

    Flow and rest are enlarged smoothly, so that texture is not torn; the colour along the edges
    of the moved photo; and detail finer than the fields keeps its contrast.
    """
    size = photo.shape[-2:]
    scale = flow.new_tensor([size[1] / flow.shape[-1], size[0] / flow.shape[-2]])
    flow = F.interpolate(flow[None], size, mode="bicubic")[0] * scale[:, None, None]
    moved = warped(doubled(photo), flow, finer=2)
    found = recolored(moved, guided_upsample(color.flatten(0, 1), moved).unflatten(0, (3, 4)))
    found = keep_contrast(moved, found, color.shape[-2:])
    return found if rest is None else found + F.interpolate(rest[None], size, mode="bicubic")[0]


def keep_contrast(
    before: Image, after: Image, size: Sequence[int]
) -> Float[Tensor, "channels height width"]:
    """Detail finer than `size`, as strong as it was, or as the light that falls on it asks.

    Where G draws all detail anew, a matrix that explains the one by the other comes out too small,
    and the photo's detail would fade with it; where dark fur turns white, too large, and it would
    glitter. So contrast stays between what it was and that times the ratio of brightness, which
    counts up to `BRIGHTER`.
    """
    def smooth(x: Tensor, size: Sequence[int]) -> Tensor:
        small = F.interpolate(x[None], tuple(size), mode="area")
        return F.interpolate(small, x.shape[-2:], mode="bilinear")[0]

    base, other = smooth(before, size), smooth(after, size)
    window = [max(1, side // 2) for side in size]
    was, found = (smooth(detail.square().mean(dim=0, keepdim=True), window).sqrt() + 1e-3
                  for detail in (before - base, after - other))
    light = (other.mean(dim=0) + 0.05) / (base.mean(dim=0) + 0.05)
    light = light.clamp(0, BRIGHTER)
    excess = (was * light.clamp(min=1) / found).clamp(max=1)
    lack = (was * light.clamp(max=1) - found).clamp(min=0) / was
    return other + excess * (after - other) + lack * (before - base)


def trust_projection(
    photo: Image, projection: Float[Tensor, "3 h w"], *, misfit: float = MISFIT
) -> Float[Tensor, "h w"]:
    """How well G(z0) explains the photo: 1 / (1 + (d / misfit)²), d their difference nearby."""
    require_number(misfit, "misfit", above=0)
    small = shrink(photo, projection.shape[-2:])
    squared = (small - projection).square().mean(dim=0, keepdim=True)
    nearby = F.avg_pool2d(squared[None], 5, 1, 2, count_include_pad=False)[0, 0]
    return 1 / (1 + nearby / misfit**2)


def guided_upsample(
    field: Float[Tensor, "fields h w"], guide: Float[Tensor, "3 H W"], *, radius: int = 2,
    epsilon: float = 1e-3,
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
