"""Checks of codes (a3): rows shared, a way between two, a start, and a mix of one's own."""


from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.feedback.diagnosis import Check, Demand, Mistake
from course_lib.feedback.recipes import find_fault_in_mix
from course_lib.feedback.toys import ToyEncoder


def mix_checks(rng: torch.Generator) -> list[Check]:
    """Part 3: rows of w_plus from two codes, each by its share."""
    first, second = torch.randn(2, 2, 7, 5, generator=rng)
    shares = torch.rand(7, generator=rng)
    mistakes = [
        Mistake("First and second are exchanged: the share is the second one's.",
                lambda a, b, s: torch.lerp(b, a, s[:, None])),
        Mistake("The shares are all or nothing in yours, as in the lesson: take so much of each.",
                lambda a, b, s: torch.lerp(a, b, s.round()[:, None])),
        Mistake("All rows have the mean share: each row has its own.",
                lambda a, b, s: torch.lerp(a, b, s.mean())),
        Mistake("The second is added by its share, but the first stays whole: it keeps 1 - share.",
                lambda a, b, s: a + s[:, None] * b),
        Mistake("All rows are mixed half and half.", lambda a, b, s: (a + b) / 2),
        Mistake("The rows' order is turned round: share 0 is row 0's.",
                lambda a, b, s: torch.lerp(a, b, s.flip(0)[:, None])),
        Mistake("The shares are squared, or used twice.",
                lambda a, b, s: torch.lerp(a, b, s.square()[:, None])),
        Mistake("Only the first code of the batch is mixed.",
                lambda a, b, s: torch.cat([torch.lerp(a[:1], b[:1], s[:, None]), a[1:]])),
    ]
    return [Check("each row has its share of the second code, and the rest of the first",
                  (first, second, shares), torch.lerp(first, second, shares[:, None]), mistakes,
                  kind="curve")]


def slerp_checks(rng: torch.Generator) -> list[Check]:
    """Part 4: from one code to another; the direction turns, the length grows."""
    a, b = torch.randn(2, 3, 8, generator=rng)
    a, b = 0.3 * a, b * torch.tensor([[0.7], [1.5], [0.2]])
    mistakes = [
        Mistake("That is the lesson's way round, for codes of one length: where lengths differ, it "
                "turns unevenly. Turn unit vectors, and give them their length then.",
                lambda a, b, t: _way(a, b, t, kind="plain")),
        Mistake("The length changes by even steps; it should grow by an even factor, "
                "|a|^(1-t) |b|^t.", lambda a, b, t: _way(a, b, t, length="linear")),
        Mistake("The length is the first one's all the way.",
                lambda a, b, t: _way(a, b, t, length="first")),
        Mistake("Your answer is of length 1: give it its length.",
                lambda a, b, t: _way(a, b, t, length="one")),
        Mistake("The exponents of the two lengths are exchanged.",
                lambda a, b, t: _way(a, b, t, length="exchanged")),
        Mistake("That is the straight line, which leaves the sphere where codes live.",
                lambda a, b, t: (1 - t) * a + t * b),
        Mistake("The straight line between the directions is followed, then brought to its length: "
                "it turns faster in the middle.", lambda a, b, t: _way(a, b, t, kind="chord")),
        Mistake("a and b are exchanged: t = 0 gives a.", lambda a, b, t: _way(b, a, t)),
        Mistake("One angle is used for all pairs: compute it along the last axis, keepdim=True.",
                lambda a, b, t: _way(a, b, t, kind="one angle")),
        Mistake("The angle is in degrees; sin wants radians.",
                lambda a, b, t: _way(a, b, t, kind="degrees")),
    ]
    return [Check(law, (a, b, t), _way(a, b, t), mistakes, kind="curve")
            for law, t in (("a third of the way is a third of the angle", 1 / 3),
                           ("t = 1 ends at b", 1.0))]


def _way(a: Tensor, b: Tensor, t: float, *, kind: str = "", length: str = "") -> Tensor:
    """Where the way is at t; the switches are mistakes."""
    a, b = a.double(), b.double()
    p, q = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    size = {"": p ** (1 - t) * q**t, "linear": (1 - t) * p + t * q, "first": p,
            "one": torch.ones(()), "exchanged": p**t * q ** (1 - t)}[length]
    product = (a * b).sum(1, keepdim=True) / (p * q)
    if kind == "one angle":
        product = (a * b).sum() / (a.norm() * b.norm())
    theta = torch.arccos(product)
    theta = theta.rad2deg() if kind == "degrees" else theta
    shares = ((1 - t) * theta).sin() / theta.sin(), (t * theta).sin() / theta.sin()
    if kind == "plain":
        return shares[0] * a + shares[1] * b
    if kind == "chord":
        return size * F.normalize((1 - t) * a / p + t * b / q, dim=1)
    return size * (shares[0] * a / p + shares[1] * b / q)


def start_checks(rng: torch.Generator) -> list[Check]:
    """Part 5: an inverting network's guess, held back."""
    encoder, photos = ToyEncoder(rng), torch.rand(4, 3, 4, 4, generator=rng)
    mean, std = torch.randn(5, generator=rng), 0.5 + 2 * torch.rand(5, generator=rng)
    free = encoder(photos).detach().mean(1)
    limit = float(((free - mean) / std).square().mean(1).sqrt().median()) + 0.05

    def slip(read: Callable = lambda rows: rows.mean(1), scale: tuple[float, float] = (1, 0),
             **options: object) -> Callable:
        return lambda E, x, mean, std, limit: _leashed(
            read(E(scale[0] * _batch(x) + scale[1])), mean, std, limit, **options)

    mistakes = [
        Mistake("The guess is not held back: a w stranger than the limit is pulled towards the "
                "mean.", slip(held="none")),
        Mistake("Every w is brought to the limit, also those that are nearer: let these be.",
                slip(held="all")),
        Mistake("Each number is held back by itself, which bends the way: scale the whole of "
                "w − μ by one factor.", slip(held="numbers")),
        Mistake("All photos are scaled by one factor: each has its own.", slip(held="common")),
        Mistake("The w is pulled towards 0; pull it towards the mean.", slip(towards_zero=True)),
        Mistake("Strangeness is not measured in deviations: divide by std.", slip(measure=False)),
        Mistake("The squares are summed; strangeness takes their mean.", slip(reduce=torch.sum)),
        Mistake("w − μ is scaled, and μ never added again.", slip(back=False)),
        Mistake("That is the encoder's first row only: w has to serve all layers, so take the mean "
                "of the rows.", slip(lambda rows: rows[:, 0])),
        Mistake("That is the encoder's last row only: take the mean of the rows.",
                slip(lambda rows: rows[:, -1])),
        Mistake("The rows are summed; take their mean.", slip(lambda rows: rows.sum(1))),
        Mistake("The encoder got pictures in [-1, 1]; it wants [0, 1].", slip(scale=(2, -1))),
        Mistake("The photos of the batch are averaged, dim 0; the rows are dim 1.",
                slip(lambda rows: rows.mean(0))),
    ]
    return [Check(law, (encoder, asked, mean, std, limit), _leashed(w, mean, std, limit), mistakes,
                  kind="curve", detached=True)
            for law, asked, w in (
                ("who is stranger than the limit comes to it, straight; others stay", photos, free),
                ("one photo counts as a batch of one", photos[0], free[:1]))]


def _batch(photos: Tensor) -> Tensor:
    return photos.reshape(-1, *photos.shape[-3:])


def _leashed(
    w: Tensor, mean: Tensor, std: Tensor, limit: float, *, held: str = "own",
    towards_zero: bool = False, measure: bool = True, reduce: Callable = torch.mean,
    back: bool = True,
) -> Tensor:
    """The codes, none of them stranger than the limit; the switches are mistakes."""
    way = (w - mean).double()
    units = way / std if measure else way
    factor = limit / reduce(units.square(), 1).sqrt()[:, None]
    factor = {"own": factor.clamp(max=1), "all": factor, "none": torch.ones(()),
              "common": factor.amin().clamp(max=1),
              "numbers": (limit / units.abs()).clamp(max=1)}[held]
    if towards_zero:
        return w * factor
    return (mean if back else 0) + way * factor


def own_checks(rng: torch.Generator) -> list[Demand]:
    """Part 6: a mix of styles of one's own."""
    return [Demand("your cat has something of both codes, and is not the tool's first",
                   find_fault_in_mix)]
