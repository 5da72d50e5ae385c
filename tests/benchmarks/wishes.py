"""Wishes that are granted with wheels and without, equally far, so that the rest can be compared.

A wish knows how to ask a `PhotoSession` for it, what a classical tool makes of it at a given
strength, how far an answer is from it, and where the picture may change for its sake.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.guidance import ColorStroke, Drag
from course_lib.sessions import PhotoSession, Words
from course_lib.shapes import Ellipse
from course_lib.training.names import EYES
from course_lib.transfer import doubled, soft_ellipses
from course_lib.warping import warp_mls

SIDE = 128  # pixels: at this size answers are measured, and strokes and drags are given
HELD = [(0.02, 0.02), (0.5, 0.02), (0.98, 0.02), (0.02, 0.98), (0.5, 0.98), (0.98, 0.98),
        (0.05, 0.5), (0.95, 0.5)]  # of the picture, where a warp moves nothing
FACE: Ellipse = (0.5, 0.48, 0.36, 0.36)
NOSES = {"bandit": (62, 90), "british": (65, 84), "ginger": (63, 82), "patch": (68, 83),
         "siamese": (56, 88), "silver": (63, 90), "tabby": (62, 88), "tuxedo": (64, 87)}
LOWER = {"bandit": 0.03, "british": 0.05, "ginger": 0.09, "patch": 0.09, "siamese": 0.05,
         "silver": 0.02, "tabby": 0.0, "tuxedo": 0.05}  # foreheads, in shares


@dataclass(frozen=True)
class Paint:
    """A stroke of another colour on the fur; classically a tint.

    Attributes:
        place: where, lower on some foreheads; color: which.
    """

    name: str
    place: Ellipse
    color: tuple[float, float, float]

    def ask(self, session: PhotoSession, photo: str) -> None:
        session.ask([ColorStroke(self._mask(SIDE, photo), self.color)])

    def like(self, answer: Tensor, photo: str) -> "Paint":
        return self

    def classical(self, picture: Tensor, strength: float, photo: str) -> Tensor:
        """The mean colour moved towards the wish, within soft rims: the fur keeps its texture."""
        soft = soft_ellipses([self.at(photo)], picture.shape[-1], sharpness=3).to(picture)
        shift = picture.new_tensor(self.color) - self._mean(picture, photo)
        return (picture + strength * soft * shift[:, None, None]).clamp(0, 1)

    def missed(self, before: Tensor, after: Tensor, photo: str) -> float:
        """The root mean square difference of the mean colour."""
        found = self._mean(after, photo)
        return float((found - found.new_tensor(self.color)).square().mean().sqrt())

    def near(self, photo: str) -> Tensor:
        x, y, width, height = self.at(photo)
        return soft_ellipses([(x, y, width + 0.1, height + 0.1)], SIDE)

    def _mean(self, picture: Tensor, photo: str) -> Tensor:
        return shrunk(picture)[:, self._mask(SIDE, photo)].mean(dim=1)

    def _mask(self, side: int, photo: str) -> Tensor:
        return soft_ellipses([self.at(photo)], side) > 0.5

    def at(self, photo: str) -> Ellipse:
        x, y, width, height = self.place
        return (x, y + LOWER[photo], width, height)


@dataclass(frozen=True)
class Turn:
    """The nose dragged aside; classically by moving least squares, the head's outline held, the
    photo read at two samples a pixel, as transfer reads it."""

    name: str
    pixels: float

    def ask(self, session: PhotoSession, photo: str) -> None:
        start = torch.tensor([NOSES[photo]]).float()
        session.ask([Drag(start, start + torch.tensor([[self.pixels, 0.0]]))])

    def like(self, answer: Tensor, photo: str) -> "Turn":
        return self

    def classical(self, picture: Tensor, strength: float, photo: str) -> Tensor:
        side = picture.shape[-1]
        face = [*(eye[:2] for eye in EYES), tuple(n / SIDE for n in NOSES[photo])]
        start = picture.new_tensor(face + HELD) * side
        way = torch.zeros_like(start)
        share = strength * self.pixels / SIDE * side
        way[: len(face), 0] = share * picture.new_tensor([0.8, 0.8, 1.0])
        return warp_mls(doubled(picture), 2 * start, 2 * (start + way))[:, ::2, ::2].clamp(0, 1)

    def missed(self, before: Tensor, after: Tensor, photo: str) -> float:
        """How far the nose is from where it should be, in pixels of 128."""
        here = torch.tensor(NOSES[photo])
        found = found_again(shrunk(before), shrunk(after), here)
        return float((found - here - torch.tensor([self.pixels, 0])).norm())

    def near(self, photo: str) -> Tensor:
        return soft_ellipses([FACE], SIDE)


@dataclass(frozen=True)
class Layer:
    """What a retoucher masks by hand, and fills with one tint.

    Attributes:
        places: where, with soft rims; spared: but not there; spares_white: nor on white fur.
    """

    places: tuple[Ellipse, ...]
    spared: tuple[Ellipse, ...] = EYES
    spares_white: bool = True

    def mask(self, picture: Tensor) -> Tensor:
        side = picture.shape[-1]
        soft = soft_ellipses(self.places, side, sharpness=4).to(picture)
        soft = soft * (1 - soft_ellipses(self.spared, side, sharpness=8).to(picture))
        white = torch.sigmoid(25 * (picture.amin(dim=0) - 0.6)) if self.spares_white else 0
        return soft * (1 - white)

    def over(self, picture: Tensor, answer: Tensor) -> Tensor:
        """Of all tints under the mask the one that comes nearest to an answer: a map of a pixel's
        three channels, with an offset, by least squares, in which rims count less."""
        mask = self.mask(picture)
        pixels = torch.cat([picture, torch.ones_like(picture[:1])]).flatten(1).T.double()
        aim = (answer - picture * (1 - mask)).flatten(1).T.double()
        share = mask.flatten()[:, None].double()
        tint = torch.linalg.lstsq(share.square() * pixels, share * aim).solution
        return torch.lerp(picture, (pixels @ tint).T.to(picture).view_as(picture), mask)


EARS: tuple[Ellipse, Ellipse] = ((0.22, 0.17, 0.12, 0.2), (0.78, 0.17, 0.12, 0.2))
HEAD = Layer(((0.5, 0.45, 0.4, 0.3), *EARS))
MASK: tuple[Ellipse, ...] = ((0.5, 0.58, 0.14, 0.2), *EARS)  # a Siamese's
SIAMESE = (Layer(((0.5, 0.65, 0.5, 0.6),), (*MASK, *EYES), spares_white=False),
           Layer(MASK, spares_white=False))
WHITE_MUZZLE = (HEAD, Layer(((0.5, 0.72, 0.17, 0.14),), spares_white=False))


@dataclass(frozen=True)
class Coat:
    """Another coat, by a word or along a direction; classically tints under masks drawn by hand,
    which are told the answer with wheels, and come as near to it as they can.

    Attributes:
        words, strengths: what is said, and how far to go along named directions.
        layers: of tints, one over the other; answer: with wheels, once that is known.
    """

    name: str
    words: Words | None = None
    strengths: Mapping[str, float] = field(default_factory=dict)
    layers: tuple[Layer, ...] = (HEAD,)
    answer: Tensor | None = None

    def ask(self, session: PhotoSession, photo: str) -> None:
        session.ask([], self.strengths)
        session.say(self.words or Words())

    def like(self, answer: Tensor, photo: str) -> "Coat":
        return replace(self, answer=answer)

    def classical(self, picture: Tensor, strength: float, photo: str) -> Tensor:
        """The layers' tints, or a share of the way."""
        tinted = picture
        for layer in self.layers:
            tinted = layer.over(tinted, self.answer)
        return torch.lerp(picture, tinted, min(strength, 1.0)).clamp(0, 1)

    def missed(self, before: Tensor, after: Tensor, photo: str) -> float:
        """The root mean square difference of the mean colours of forehead, muzzle and cheeks."""
        return float((self._means(after) - self._means(self.answer)).square().mean().sqrt())

    def near(self, photo: str) -> Tensor:
        return soft_ellipses([FACE], SIDE)

    def _means(self, picture: Tensor) -> Tensor:
        small = shrunk(picture)
        return torch.stack([small[:, soft_ellipses([place], SIDE) > 0.5].mean(dim=1)
                            for place in (FOREHEAD, MUZZLE, *CHEEKS)])


@dataclass(frozen=True)
class Pose:
    """The head moved along a named direction; classically its points are moved alike.

    Attributes:
        strengths: of named directions; answer: what they do, once that is known.
    """

    name: str
    strengths: Mapping[str, float]
    answer: Tensor | None = None

    def ask(self, session: PhotoSession, photo: str) -> None:
        session.ask([], self.strengths)

    def like(self, answer: Tensor, photo: str) -> "Pose":
        return replace(self, answer=answer)

    def classical(self, picture: Tensor, strength: float, photo: str) -> Tensor:
        """Eyes and nose moved to where they are in the answer, by moving least squares."""
        points = self._points(photo)
        ways = torch.stack([found_again(shrunk(picture), shrunk(self.answer), point) - point
                            for point in points]).to(picture)
        scale = picture.shape[-1] / SIDE
        start = torch.cat([points.to(picture) * scale, picture.new_tensor(HELD) * SIDE * scale])
        way = torch.zeros_like(start)
        way[: len(points)] = strength * ways * scale
        return warp_mls(doubled(picture), 2 * start, 2 * (start + way))[:, ::2, ::2].clamp(0, 1)

    def missed(self, before: Tensor, after: Tensor, photo: str) -> float:
        """How far eyes and nose are from where they are in the answer, in pixels of 128."""
        apart = [found_again(shrunk(before), shrunk(after), point)
                 - found_again(shrunk(before), shrunk(self.answer), point)
                 for point in self._points(photo)]
        return float(torch.stack(apart).float().norm(dim=1).mean())

    def near(self, photo: str) -> Tensor:
        return soft_ellipses([FACE], SIDE)

    def _points(self, photo: str) -> Tensor:
        eyes = [tuple(round(share * SIDE) for share in eye[:2]) for eye in EYES]
        return torch.tensor([*eyes, NOSES[photo]])


Wish = Paint | Turn | Coat | Pose
MUZZLE: Ellipse = (0.5, 0.7, 0.11, 0.09)
CHEEKS: tuple[Ellipse, Ellipse] = ((0.25, 0.65, 0.07, 0.07), (0.75, 0.65, 0.07, 0.07))
FOREHEAD: Ellipse = (0.5, 0.235, 0.155, 0.07)
WISHES: tuple[Wish, ...] = (
    Paint("a white blaze", (0.5, 0.39, 0.055, 0.2), (0.93, 0.91, 0.88)),
    Paint("a black forehead", FOREHEAD, (0.1, 0.09, 0.09)),
    Paint("a ginger forehead", FOREHEAD, (0.78, 0.5, 0.26)),
    Turn("the nose aside", -7.0),
    Coat("a darker coat", strengths={"light coat": -0.8}),
    Coat("a lighter coat", strengths={"light coat": 0.8}),
    Coat("“Siamese”", Words("Siamese", guidance=2.5), layers=SIAMESE),
    Coat("“white muzzle”", Words("white muzzle", guidance=2.5), layers=WHITE_MUZZLE),
    Coat("“ginger”", Words(color="ginger", guidance=2.5)),
    Coat("“black”", Words(color="black", guidance=2.5)),
)
NO_CAT_HAS_IT = Paint("a green forehead", FOREHEAD, (0.2, 0.9, 0.2))


def as_strong(wish: Wish, photo: str, before: Tensor, wheels: Tensor) -> Tensor:
    """The classical answer that is as far from the wish as the one on wheels, or nearest to that.
    """
    aim, low, high = wish.missed(before, wheels, photo), 0.0, 2.0  # over 1, for what clamps take
    for _ in range(12):
        middle = (low + high) / 2
        if wish.missed(before, wish.classical(before, middle, photo), photo) > aim:
            low = middle
        else:
            high = middle
    return wish.classical(before, high, photo)


def found_again(before: Tensor, after: Tensor, place: Tensor, radius: int = 9,
                reach: int = 12) -> Tensor:
    """Where the patch around a place lies now, by the highest correlation; whole pixels (x, y)."""
    x, y = place.tolist()
    patch = before[:, y - radius : y + radius + 1, x - radius : x + radius + 1]
    wide = radius + reach
    around = after[:, y - wide : y + wide + 1, x - wide : x + wide + 1]
    windows = around.unfold(1, 2 * radius + 1, 1).unfold(2, 2 * radius + 1, 1)
    windows = windows.permute(1, 2, 0, 3, 4).flatten(2)
    centred = F.normalize(windows - windows.mean(dim=2, keepdim=True), dim=2)
    best = int((centred @ F.normalize((patch - patch.mean()).flatten(), dim=0)).argmax())
    down, right = divmod(best, windows.shape[1])
    return torch.tensor([x + right - reach, y + down - reach])


def shrunk(picture: Tensor) -> Tensor:
    """At the generator's size."""
    small = F.interpolate(picture[None], (SIDE, SIDE), mode="bilinear", antialias=True)[0]
    return small.clamp(0, 1)
