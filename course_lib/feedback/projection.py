"""Checks of a3: what is close, the projection loop, a good start; of codes themselves: `codes`.

The loop is tried on a toy generator whose best code is known; the rest are formulas in float64.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from course_lib.feedback.answers import lost_gradient
from course_lib.feedback.codes import mix_checks, own_checks, slerp_checks
from course_lib.feedback.core import Feedback, Part
from course_lib.feedback.diagnosis import Check, Demand, Mistake
from course_lib.feedback.toys import ToyEncoder, ToyGenerator, negative_loss
from course_lib.generators.base import Generator
from course_lib.losses import pixel_loss


def _distance_checks(rng: torch.Generator) -> list[Check]:
    sizes = ((2, 8, 6, 5), (2, 12, 3, 3))
    a, b, c, d = (torch.randn(*size, generator=rng) + 0.4 for size in (*sizes, *sizes))
    mistakes = [
        Mistake("The feature vectors are compared as they are: scale each to length 1 first, over "
                "its channels.", lambda x, y: _distance(x, y, unit=None)),
        Mistake("The vectors are scaled over places, not channels: dim=1 holds the channels.",
                lambda x, y: _distance(x, y, unit=(2, 3))),
        Mistake("Each whole map is scaled to length 1; scale the vector at each place by itself.",
                lambda x, y: _distance(x, y, unit=(1, 2, 3))),
        Mistake("The squares are averaged over the channels; sum them, and average over places.",
                lambda x, y: _distance(x, y, channels=torch.mean)),
        Mistake("Sizes are added where squares should be.",
                lambda x, y: _distance(x, y, power=1)),
        Mistake("Only the last layer counts: add up all layers.",
                lambda x, y: _distance(x[-1:], y[-1:])),
        Mistake("Only the first layer counts: add up all layers.",
                lambda x, y: _distance(x[:1], y[:1])),
        Mistake("The layers are averaged; add them up.", lambda x, y: _distance(x, y) / len(x)),
        Mistake("The pictures of the batch are averaged: return one number a picture.",
                lambda x, y: _distance(x, y).mean()),
        Mistake("The squares are summed over places; average them, so that large maps do not "
                "outvote small ones.", lambda x, y: _distance(x, y, places=torch.sum)),
    ]
    questions = (("unlike features are apart", [a, b], [c, d]),
                 ("features differ by their directions only, not their lengths",
                  [a, b], [3 * a, 0.5 * d]))
    return [Check(law, (x, y), _distance(x, y), mistakes, kind="curve") for law, x, y in questions]


def _distance(x: list[Tensor], y: list[Tensor], *, unit: object = 1, power: int = 2,
              channels: Callable = torch.sum, places: Callable = torch.mean) -> Tensor:
    total = 0
    for a, b in zip(x, y, strict=True):
        a, b = a.double(), b.double()
        if unit is not None:
            a, b = (one / one.square().sum(unit, keepdim=True).sqrt() for one in (a, b))
        total = total + places(channels((a - b).abs() ** power, 1), (1, 2))
    return total


def _loop_checks(rng: torch.Generator) -> list[Check]:
    generator = ToyGenerator(rng)
    best, start = 0.8 * torch.randn(3, 6, generator=rng), torch.randn(3, 6, generator=rng)
    target, mean = generator.decode(best).detach(), torch.zeros(3, 6)

    few, mistakes = (generator, target, start, "z", pixel_loss, 4, 0.3), _loop_mistakes()
    questions = [
        ("from the mean the loop finds the code behind the picture", mean, "z", pixel_loss, best),
        ("from random codes it does so, too", start, "z", pixel_loss, best),
        ("the code found is one of the space asked for", start, "double", pixel_loss, best / 2),
        ("what is close is decided by the loss that was passed", mean, "z", negative_loss, -best),
    ]
    return [Check(law, (generator, target, z, space, loss, 120, 0.1), answer, mistakes, 0.05,
                  "curve", detached=True) for law, z, space, loss, answer in questions] + [
        Check("steps are Adam's, at the rate that was passed", few, descend(*few), mistakes, 0.03,
              "curve", detached=True)]


def _loop_mistakes() -> list[Mistake]:
    def slip(space: str | None = None, loss: Callable | None = None, steps: int | None = None,
             rate: float | None = None, **switches: object) -> Callable:
        return lambda G, x, z, s, f, n, r: descend(
            G, x, z, space or s, loss or f, steps or n, rate or r, **switches)

    return [
        Mistake("The code comes back as it started: give the optimizer the code that you decode, "
                "a clone with requires_grad_(), not the generator's weights or another copy.",
                lambda G, x, z, *_: z),
        Mistake("The space is not used: decode(code, space=space), or w is taken for a z.",
                slip(space="z")),
        Mistake("The loss that was passed is not used: compare by loss(pictures, target), which "
                "may be another than the mean square.", slip(loss=pixel_loss)),
        Mistake("Gradients of all steps add up: call optimizer.zero_grad() before backward().",
                slip(zero=False)),
        Mistake("The loss is raised, not lowered: check a sign.", slip(sign=-1)),
        Mistake("That is plain gradient descent; Adam is asked for, torch.optim.Adam.",
                slip(optimizer=torch.optim.SGD)),
        Mistake("The codes are forced into [-1, 1]: nothing asks for that.", slip(limit=1.0)),
        Mistake("Only one step is taken: loop over all of them.", slip(steps=1)),
        Mistake("That is the picture; return the code.",
                lambda *question: question[0].decode(descend(*question))),
        Mistake("That is the loss; return the code.",
                lambda *question: question[4](question[0].decode(descend(*question)),
                                              question[1])),
        Mistake("Only the first photo of the batch is followed: sum the losses of all.",
                slip(followed=1)),
        *(Mistake("The learning rate is a number of your own: give the optimizer learning_rate.",
                  slip(rate=rate)) for rate in (0.1, 0.01)),
    ]


def descend(
    generator: Generator, target: Tensor, start: Tensor, space: str, loss: Callable, steps: int,
    rate: float, *, zero: bool = True, sign: int = 1, limit: float | None = None,
    followed: int | None = None, optimizer: type = torch.optim.Adam,
) -> Tensor:
    """Where Adam comes from `start`, in so many steps; the switches are mistakes."""
    code = start.clone().requires_grad_()
    optimizer = optimizer([code], lr=rate)
    for _ in range(steps):
        if zero:
            optimizer.zero_grad()
        (sign * loss(generator.decode(code, space=space), target)[:followed].sum()).backward()
        optimizer.step()
        if limit is not None:
            code.data.clamp_(-limit, limit)
    generator.zero_grad()
    return code.detach()


def _start_checks(rng: torch.Generator) -> list[Check]:
    encoder, photos = ToyEncoder(rng), torch.rand(3, 3, 4, 4, generator=rng)
    rows = encoder(photos).detach()
    mistakes = [
        Mistake("That is the encoder's first row only: w has to serve all layers, so take the mean "
                "of the rows.", lambda E, x: E(_batch(x))[:, 0]),
        Mistake("That is the encoder's last row only: take the mean of the rows.",
                lambda E, x: E(_batch(x))[:, -1]),
        Mistake("The rows are summed; take their mean.", lambda E, x: E(_batch(x)).sum(1)),
        Mistake("The encoder got pictures in [-1, 1]; it wants [0, 1].",
                lambda E, x: E(2 * _batch(x) - 1).mean(1)),
        Mistake("The encoder got pictures in [0, 255]; it wants [0, 1].",
                lambda E, x: E(255 * _batch(x)).mean(1)),
        Mistake("The photos of the batch are averaged, dim 0; the rows are dim 1.",
                lambda E, x: E(_batch(x)).mean(0)),
        Mistake("Those are the rows of w_plus; w is one code a photo: take the mean of the rows.",
                lambda E, x: E(_batch(x))),
    ]
    return [Check(law, (encoder, asked), answer, mistakes, kind="curve", detached=True)
            for law, asked, answer in (
                ("w is the mean of the rows that the encoder answers", photos, rows.mean(1)),
                ("one photo counts as a batch of one", photos[0], rows[:1].mean(1)))]


def _batch(photos: Tensor) -> Tensor:
    return photos.reshape(-1, *photos.shape[-3:])


def _stroke_checks(rng: torch.Generator) -> list[Check | Demand]:
    image, mask = torch.rand(2, 3, 6, 7, generator=rng), torch.zeros(42, dtype=torch.bool)
    mask[torch.randperm(42, generator=rng)[:10]] = True
    mask = mask.reshape(6, 7)
    color = torch.rand(3, generator=rng)

    def off(image: Tensor, color: Tensor) -> Tensor:
        return (image.double() - color.double()[:, None, None]).square().sum(1)

    mistakes = [
        Mistake("The mean is taken over all pixels, so a small stroke hardly counts: divide by "
                "the number of pixels in the mask.",
                lambda x, m, c: (off(x, c) * m).mean((1, 2))),
        Mistake("The sum is not divided by the number of pixels in the mask.",
                lambda x, m, c: (off(x, c) * m).sum((1, 2))),
        Mistake("The squares are averaged over the channels; sum them.",
                lambda x, m, c: off(x, c)[:, m].mean(1) / 3),
        Mistake("The loss looks outside the mask.", lambda x, m, c: off(x, c)[:, ~m].mean(1)),
        Mistake("The pictures of the batch are averaged: return one number a picture.",
                lambda x, m, c: off(x, c)[:, m].mean()),
        Mistake("The stroke's mean colour is compared; compare every pixel.",
                lambda x, m, c: (x[:, :, m].mean(2) - c).square().sum(1)),
    ]
    question = (image, mask, color)
    return [Check("a stroke costs the mean squared distance from its colour, over its pixels",
                  question, off(image, color)[:, mask].mean(1), mistakes, kind="curve"),
            Demand("the loss can be followed downhill", partial(lost_gradient, question=question))]


def _change_checks(rng: torch.Generator) -> list[Check]:
    old = [torch.randn(*size, generator=rng) for size in ((4, 3), (7,), (2, 2, 3))]
    new = [one + 0.3 * torch.randn(one.shape, generator=rng) for one in old]

    def square(weights: list[Tensor]) -> Tensor:
        return sum(one.double().square().sum() for one in weights)

    def change(old: list[Tensor], new: list[Tensor]) -> list[Tensor]:
        return [b - a for a, b in zip(old, new, strict=True)]

    mistakes = [
        Mistake("It is not divided by ‖θ0‖², so λ would mean something else for each network.",
                lambda old, new: square(change(old, new))),
        Mistake("It is divided by the size of the *new* weights; the old ones are the measure.",
                lambda old, new: square(change(old, new)) / square(new)),
        Mistake("The root is taken: the norm is squared here.",
                lambda old, new: (square(change(old, new)) / square(old)).sqrt()),
        Mistake("Each tensor has its own ratio: sum all squares first, then divide once.",
                lambda old, new: sum(square([b - a]) / square([a])
                                     for a, b in zip(old, new, strict=True))),
        Mistake("Only the last tensor counts: add up all of them.",
                lambda old, new: square(change(old, new)[-1:]) / square(old)),
        Mistake("The change of the norm is measured, not the norm of the change.",
                lambda old, new: (square(new) - square(old)) / square(old)),
    ]
    return [Check("the change is ‖θ - θ0‖² / ‖θ0‖²", (old, new),
                  square(change(old, new)) / square(old), mistakes, 1e-4, "none")]


check = Feedback("a3_projection", {
    1: Part("what is close", 15, _distance_checks),
    2: Part("the projection loop", 30, _loop_checks, by_hand=("project",)),
    3: Part("z, w and w_plus", 10, mix_checks),
    4: Part("a way between two codes", 15, slerp_checks),
    5: Part("the inverting network as a start", 15, _start_checks),
    6: Part("a cat of your own", 5, own_checks),
    7: Part("which space is best?", 10),
    "E1": Part("a stroke of colour", 5, _stroke_checks, extra=True),
    "E2": Part("tuning, held back", 5, _change_checks, extra=True),
})
