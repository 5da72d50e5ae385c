"""Checks of a3: what is close, the projection loop, spaces, ways between codes, a good start.

The loop is tried on a toy generator whose best code is known; the rest are formulas in float64.
"""

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.feedback.answers import ask, lost_gradient, plain
from course_lib.feedback.core import Feedback, Part
from course_lib.feedback.diagnosis import Check, Demand, Mistake
from course_lib.generators import load_generator
from course_lib.generators.base import Generator
from course_lib.losses import pixel_loss
from course_lib.shapes import Image, Latent


class ToyGenerator(Generator):
    """Pictures 0.5 + Σ z_i B_i of a few random patterns: one code is best, and easily found.

    A code of the space "double" counts twice.
    """

    spaces = ("z", "double")

    def __init__(self, rng: torch.Generator):
        super().__init__()
        self.name, self.resolution, self.z_dim = "toy", 4, 6
        patterns = torch.linalg.qr(torch.randn(48, 6, generator=rng)).Q
        self.patterns = nn.Parameter(0.5 * patterns.T.reshape(6, 3, 4, 4))

    def decode(self, latent: Latent, *, space: str = "z", noise: object = None) -> Image:
        """(batch, 6) -> (batch, 3, 4, 4)."""
        self.require_latent(latent, space)
        times = 2 if space == "double" else 1
        return 0.5 + times * torch.einsum("bz,zchw->bchw", latent, self.patterns)

    def features(self, latent: Latent, layer: str, *, space: str = "z") -> Tensor:
        """The picture itself: there are no layers."""
        return self.decode(latent, space=space)


class ToyEncoder(nn.Module):
    """Photos (batch, 3, 4, 4) in [0, 1] -> three rows of five numbers, linearly."""

    space = "w_plus"

    def __init__(self, rng: torch.Generator):
        super().__init__()
        self.weights = nn.Parameter(torch.randn(48, 15, generator=rng))

    def forward(self, photos: Image) -> Latent:
        """Rows of w_plus."""
        if photos.ndim != 4:
            raise ValueError("one photo is no batch: pass photo[None].")
        return (photos.flatten(1) @ self.weights).unflatten(1, (3, 5))


def negative_loss(image: Image, target: Image) -> Tensor:
    """How far a picture is from the target's negative: (batch,)."""
    return pixel_loss(image, 1 - target)


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

    def slip(space: str | None = None, loss: Callable | None = None, steps: int | None = None,
             rate: float | None = None, **switches: object) -> Callable:
        return lambda G, x, z, s, f, n, r: descend(
            G, x, z, space or s, loss or f, steps or n, rate or r, **switches)

    mistakes = [
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
    few = (generator, target, start, "z", pixel_loss, 4, 0.3)
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


def _mix_checks(rng: torch.Generator) -> list[Check]:
    first, second = torch.randn(2, 2, 7, 5, generator=rng)
    mistakes = [
        Mistake("First and second are exchanged: the second one gives the rows in layers.",
                lambda a, b, rows: _mixed(b, a, rows)),
        Mistake("The layers are counted from 1: row 0 is the first.",
                lambda a, b, rows: _mixed(a, b, [row - 1 for row in rows])),
        Mistake("All rows come from the second code: only those in layers should.",
                lambda a, b, rows: b),
        Mistake("The rows of both are averaged; replace them.",
                lambda a, b, rows: _mixed(a, (a + b) / 2, rows)),
        Mistake("The rows of the second are added; replace them.",
                lambda a, b, rows: _mixed(a, a + b, rows)),
        Mistake("All rows from the first one in layers on are replaced; layers names each.",
                lambda a, b, rows: _mixed(a, b, list(range(min(rows), 7)))),
        Mistake("Features are replaced instead of rows: w_plus is (batch, rows, dim).",
                lambda a, b, rows: _mixed(a.mT, b.mT, rows).mT),
    ]
    return [Check("the rows in layers come from the second code, the others from the first",
                  (first, second, [1, 2, 4]), _mixed(first, second, [1, 2, 4]), mistakes,
                  kind="curve")]


def _mixed(first: Tensor, second: Tensor, rows: list[int]) -> Tensor:
    mixed = first.clone()
    mixed[:, rows] = second[:, rows]
    return mixed


def _slerp_checks(rng: torch.Generator) -> list[Check]:
    a, b = 0.3 * torch.randn(2, 3, 8, generator=rng)
    mistakes = [
        Mistake("That is the straight line, which leaves the sphere where codes live.",
                lambda a, b, t: (1 - t) * a + t * b),
        Mistake("a and b are exchanged: t = 0 gives a.", lambda a, b, t: _slerp(b, a, t)),
        Mistake("Your answer is scaled to length 1: the codes keep their lengths.",
                lambda a, b, t: F.normalize(_slerp(a, b, t), dim=1)),
        Mistake("Nothing divides by sin θ.", lambda a, b, t: _slerp(a, b, t, divide=False)),
        Mistake("θ is not the angle between the codes: divide their product by both lengths "
                "before arccos.", lambda a, b, t: _slerp(a, b, t, angle="raw")),
        Mistake("One angle is used for all pairs: compute it along the last axis, keepdim=True.",
                lambda a, b, t: _slerp(a, b, t, angle="one")),
        Mistake("The angle is in degrees; sin wants radians.",
                lambda a, b, t: _slerp(a, b, t, angle="degrees")),
    ]
    return [Check(law, (a, b, t), _slerp(a, b, t), mistakes, kind="curve")
            for law, t in (("a third of the way is a third of the angle", 1 / 3),
                           ("t = 1 ends at b", 1.0))]


def _slerp(a: Tensor, b: Tensor, t: float, *, divide: bool = True, angle: str = "") -> Tensor:
    a, b = a.double(), b.double()
    product = (a * b).sum(1, keepdim=True)
    if angle != "raw":
        product = product / (a.norm(dim=1, keepdim=True) * b.norm(dim=1, keepdim=True))
    if angle == "one":
        product = (a * b).sum() / (a.norm() * b.norm())
    theta = torch.arccos(product)
    theta = theta.rad2deg() if angle == "degrees" else theta
    way = ((1 - t) * theta).sin() * a + (t * theta).sin() * b
    return way / theta.sin() if divide else way


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


@cache
def _shoes() -> Generator:
    return load_generator("shoes")


def _own_checks(rng: torch.Generator) -> list[Demand]:
    return [Demand("your shoe has something of both codes, and is not the tool's first",
                   find_fault_in_mix)]


@torch.no_grad()
def find_fault_in_mix(my_mix: Callable) -> str | None:
    """What keeps the recipe of a student's own mix of styles from being one, if anything does."""
    recipe = plain(ask(my_mix))
    if not isinstance(recipe, list) or len(recipe) != 4:
        return "Return four numbers: seed, second_seed, truncation_psi and crossover."
    seed, second, psi, crossover = recipe
    if any(isinstance(one, float) for one in (seed, second, crossover)):
        return "Seeds and crossover are whole numbers."
    if (seed, second) == (0, 1):
        return "Those are the seeds that the tool starts with: find two shoes that you like."
    if seed == second:
        return "Both seeds are the same, so there is nothing to mix: take two."
    if not 0 < psi <= 1.2:
        return f"truncation_psi is {psi:g}: at 0 all are the mean shoe, above 1.2 few are shoes."
    generator = _shoes()
    if not 0 < crossover < generator.num_ws:
        return (f"crossover is {crossover}: from 1 to {generator.num_ws - 1}, so that both codes "
                f"have a say.")
    codes = torch.cat([generator.sample_latent(1, space="w_plus", truncation_psi=psi,
                                               rng=torch.Generator().manual_seed(one))
                       for one in (seed, second)])
    mixed = torch.cat([codes[0, :crossover], codes[1, crossover:]])[None]
    a, b, c = generator.decode(torch.cat([codes, mixed]), space="w_plus")
    if min((c - a).abs().mean(), (c - b).abs().mean()) < 0.01:
        return ("The mix looks like one of the two: move the crossover towards the middle, or take "
                "more different shoes.")
    return None


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
            Demand("the loss can be followed downhill",
                   lambda function: lost_gradient(function, question))]


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
    3: Part("z, w and w_plus", 10, _mix_checks),
    4: Part("a way between two codes", 15, _slerp_checks),
    5: Part("the inverting network as a start", 15, _start_checks),
    6: Part("a shoe of your own", 5, _own_checks),
    7: Part("which space is best?", 10),
    "E1": Part("a stroke of colour", 5, _stroke_checks, extra=True),
    "E2": Part("tuning, held back", 5, _change_checks, extra=True),
})
