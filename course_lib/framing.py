"""Where the model's square lies in a photo: cut it out, and carry an edit of it back.

A generator knows its things at one place and size: the cats look into the camera, their eyes at
nearly the same two points. A photo of one's own has to be brought there first, by a similarity:
moved, turned and scaled, never sheared.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_image
from course_lib.images import crop_square
from course_lib.shapes import Image, Points
from course_lib.transfer import Change, apply_change

Place = Sequence[float]
"""(x, y) in pixels, (0, 0) being the centre of the top left pixel."""

MARGIN = 0.12  # of the square's side, over which an edit fades out where the photo goes on
BLUR = 5  # pixels of the fields, over which enlarging them spreads a change
INSIDE = 0.02  # of the side: a border of the square that is so far inside the photo has a beyond
LEAST_APART = 4  # pixels between two eyes, below which no angle can be told
# Of FFHQ's faces, in the paper's own numbers: the square's half side in distances between the eyes,
# or from them to the mouth, and how far below the eyes its centre lies, in the latter.
BY_EYES, BY_MOUTH, LOWER = 2.0, 1.8, 0.1


@dataclass(frozen=True)
class Frame:
    """A square in a photo, which may be tilted and hang over the photo's border.

    Attributes:
        centre: (x, y) in pixels.
        side: in pixels; angle: by which the square is turned, clockwise, in radians.
    """

    centre: tuple[float, float]
    side: float
    angle: float = 0

    @classmethod
    def middle(cls, photo: Image) -> "Frame":
        """The largest square in the middle of the photo."""
        height, width = photo.shape[-2:]
        side = min(height, width)
        left, top = ((length - side) // 2 for length in (width, height))
        return cls((left + (side - 1) / 2, top + (side - 1) / 2), float(side))

    @classmethod
    def by_points(cls, found: Sequence[Place], expected: Sequence[Place]) -> "Frame":
        """The square in which two points of the photo lie where they are expected.

        Args:
            found: two points of the photo in pixels; the left one may come second.
            expected: where they belong, in shares of the square's side, the left one first.
        Raises:
            ValueError: there are not two points, or they are too close to tell an angle.
        """
        if len(found) != 2:
            raise ValueError(
                f"{len(found)} points are given, but two tell how far the photo is to be turned "
                f"and scaled: click both eyes."
            )
        (x1, y1), (x2, y2) = sorted(tuple(place) for place in found)
        (u1, v1), (u2, v2) = expected
        apart = math.hypot(x2 - x1, y2 - y1)
        if apart < LEAST_APART:
            raise ValueError(
                f"the two points are {apart:.1f} pixels apart, too close to tell how large the "
                f"head is: click the middle of one eye, then of the other."
            )
        side = apart / math.hypot(u2 - u1, v2 - v1)
        angle = math.atan2(y2 - y1, x2 - x1) - math.atan2(v2 - v1, u2 - u1)
        right, down = side * (0.5 - (u1 + u2) / 2), side * (0.5 - (v1 + v2) / 2)
        cos, sin = math.cos(angle), math.sin(angle)
        return cls(((x1 + x2) / 2 + cos * right - sin * down,
                    (y1 + y2) / 2 + sin * right + cos * down), side, angle)

    @classmethod
    def by_face(cls, points: Sequence[Place]) -> "Frame":
        """The square in which the faces of FFHQ lie: by the eyes and the mouth, turned upright.

        With e from eye to eye, m from between the eyes to the mouth, and m⊥ turned by a quarter to
        point as e does: the square's axis is e + m⊥, so that both lines have a say in the angle;
        its side max(4 |e|, 3.6 |m|); its centre 0.1 m below the eyes.

        Source: Karras et al., "Progressive Growing of GANs", ICLR 2018, appendix C, by which the
        photos of FFHQ (Karras et al., "A Style-Based Generator Architecture", CVPR 2019, appendix
        A) were aligned, too. Deviation: beyond the photo's border its last pixels are repeated,
        where the paper mirrors and blurs.

        Args:
            points: in pixels, both eyes (in any order), then the middle of the mouth, or its two
                corners, or, as detectors of five points say it, the nose and these corners (the
                nose is not used).
        Raises:
            ValueError: these are not three to five points, or eyes or mouth lie too close.
        """
        if len(points) not in (3, 4, 5):
            raise ValueError(
                f"{len(points)} points are given, but a face is placed by three, four or five: "
                f"click both eyes, then the mouth's middle, or its two corners."
            )
        eyes, mouth = points[:2], points[2:] if len(points) == 3 else points[-2:]
        middle, below = (complex(*map(float, map(_mean, zip(*some, strict=True))))
                         for some in (eyes, mouth))
        e, m = complex(*eyes[1]) - complex(*eyes[0]), below - middle
        if min(abs(e), abs(m)) < LEAST_APART:
            raise ValueError(
                f"the eyes are {abs(e):.1f} pixels apart, and the mouth {abs(m):.1f} below, too "
                f"close to tell how large the face is: click the two eyes, then the mouth."
            )
        e = e if (e.conjugate() * m).imag > 0 else -e  # the mouth is below, by which left is told
        axis = e - 1j * m
        side = 2 * max(BY_EYES * abs(e), BY_MOUTH * abs(m))
        centre = middle + LOWER * m
        return cls((centre.real, centre.imag), side, math.atan2(axis.imag, axis.real))

    def to_photo(self, shares: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
        """Places in the square, from (0, 0) to (1, 1), in pixels of the photo."""
        return (shares - 0.5) * self.side @ self._turn(shares).T + shares.new_tensor(self.centre)

    def to_shares(self, places: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
        """Places in the photo as places in the square, the inverse of `to_photo`."""
        return (places - places.new_tensor(self.centre)) @ self._turn(places) / self.side + 0.5

    def corners(self) -> Points:
        """The square's four corners, in pixels of the photo."""
        return self.to_photo(torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]]))

    def scaled(self, factor: float) -> "Frame":
        """The same square in the same photo of another size."""
        x, y = ((c + 0.5) * factor - 0.5 for c in self.centre)
        return Frame((x, y), self.side * factor, self.angle)

    def covers(self, photo: Image) -> bool:
        """Whether the square is the whole photo."""
        height, width = photo.shape[-2:]
        return height == width and self == Frame.middle(photo)

    def cut(self, photo: Image, resolution: int) -> Float[Tensor, "3 side side"]:
        """The square, upright, (3, resolution, resolution), without aliases.

        Where it hangs over the photo's border, the border is repeated.
        """
        require_image(photo, "photo")
        require_count(resolution, "resolution")
        if self.covers(photo):
            return crop_square(photo, resolution=resolution)
        finer = max(1, math.ceil(self.side / resolution))
        places = self.to_photo(_centres(resolution * finer, resolution * finer).to(photo))
        grid = _for_sampling(places, photo.shape[-2:])
        found = F.grid_sample(photo[None], grid[None], mode="bilinear", padding_mode="border",
                              align_corners=False)
        return F.avg_pool2d(found, finer)[0]

    def _turn(self, like: Tensor) -> Float[Tensor, "2 2"]:
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return like.new_tensor([[cos, -sin], [sin, cos]])


@torch.no_grad()
def carry_back(
    photo: Float[Tensor, "3 H W"], frame: Frame, flow: Float[Tensor, "2 r r"],
    color: Float[Tensor, "3 4 r r"], rest: Float[Tensor, "3 r r"] | None = None,
) -> Float[Tensor, "3 H W"]:
    """Move and recolour the part of a photo that lies in a square, as the square's picture was.

    The photo's own pixels are moved, at their own size, so nothing is resampled twice, and they
    stay as they are outside the square. Towards each of its borders beyond which the photo goes
    on, the change fades out.

    Args:
        flow, color, rest: a `transfer.Change` of the square's picture, the flow in its pixels.
    """
    top, bottom, left, right = _bounds(frame, photo)
    part = photo[:, top:bottom, left:right]
    pace = frame.side / flow.shape[-1]  # of the photo's pixels in one of the fields'
    rows, columns = (max(2, round(length / pace)) for length in part.shape[-2:])
    corner, size = photo.new_tensor([left, top]), photo.new_tensor([right - left, bottom - top])
    places = corner - 0.5 + _centres(rows, columns).to(photo) * size
    shares = frame.to_shares(places)
    rest = torch.zeros_like(color[:, 0]) if rest is None else rest
    fields = torch.cat([flow, color.flatten(0, 1), rest])
    fields = F.grid_sample(fields[None], 2 * shares[None] - 1, mode="bilinear",
                           padding_mode="border", align_corners=False)[0]
    weight = _fade(frame, photo, shares, BLUR / flow.shape[-1])
    moved = torch.einsum("ij,jhw->ihw", frame._turn(photo), fields[:2]) * pace
    moved = moved * photo.new_tensor([columns, rows])[:, None, None] / size[:, None, None]
    change = Change(moved, fields[2:14].unflatten(0, (3, 4)), fields[14:]).within(weight)
    answer = photo.clone()
    answer[:, top:bottom, left:right] = apply_change(part, *change)
    return answer


def place_region(
    region: Float[Tensor, "r r"], frame: Frame, photo: Float[Tensor, "3 H W"]
) -> Float[Tensor, "H W"]:
    """A region of the square, as it lies in the photo; 0 outside the square."""
    height, width = photo.shape[-2:]
    places = _centres(height, width).to(photo) * photo.new_tensor([width, height]) - 0.5
    shares = frame.to_shares(places)
    return F.grid_sample(region[None, None].to(photo), 2 * shares[None] - 1, mode="bilinear",
                         padding_mode="zeros", align_corners=False)[0, 0]


def _bounds(frame: Frame, photo: Image) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the smallest upright rectangle around the square."""
    height, width = photo.shape[-2:]
    low, high = frame.corners().min(dim=0).values, frame.corners().max(dim=0).values
    left, top = (math.floor(float(edge) + 0.5) for edge in low)
    right, bottom = (math.ceil(float(edge) + 0.5) for edge in high)
    top, bottom, left, right = max(0, top), min(height, bottom), max(0, left), min(width, right)
    if bottom - top < 2 or right - left < 2:
        raise ValueError(
            f"the square around {frame.centre[0]:.0f}, {frame.centre[1]:.0f} lies outside the "
            f"photo of {width}x{height} pixels, so there is nothing to edit: place it anew."
        )
    return top, bottom, left, right


def _fade(
    frame: Frame, photo: Image, shares: Float[Tensor, "rows columns 2"], blurred: float
) -> Float[Tensor, "rows columns"]:
    """1 in the square, falling to 0 at those of its borders beyond which the photo goes on.

    Args:
        blurred: how near to a border, in shares, it is 0 already.
    """
    height, width = photo.shape[-2:]
    weight = torch.ones_like(shares[..., 0])
    for axis, end in ((0, 0.0), (0, 1.0), (1, 0.0), (1, 1.0)):
        border = torch.full((3, 2), end)
        border[:, 1 - axis] = torch.tensor([0.1, 0.5, 0.9])
        x, y = frame.to_photo(border).T
        room = torch.stack([x + 0.5, width - 0.5 - x, y + 0.5, height - 0.5 - y]).amin(dim=0)
        if room.max() > INSIDE * frame.side:
            inside = (shares[..., axis] - end).abs()
            outward = (shares[..., axis] < 0) if end == 0 else (shares[..., axis] > 1)
            ramp = ((inside.masked_fill(outward, 0) - blurred) / MARGIN).clamp(0, 1)
            weight = weight * ramp * ramp * (3 - 2 * ramp)
    return weight


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _centres(rows: int, columns: int) -> Float[Tensor, "rows columns 2"]:
    """The pixels' centres (x, y) of a picture whose sides count as 1."""
    y, x = ((torch.arange(length) + 0.5) / length for length in (rows, columns))
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


def _for_sampling(places: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels (x, y) as torch's `grid_sample` counts them, from -1 to 1."""
    height, width = size
    return (places + 0.5) * 2 / places.new_tensor([width, height]) - 1
