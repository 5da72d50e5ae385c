"""Checks of a6, the way back: a step for any schedule, and Heun's from a painting under noise."""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.feedback.diagnosis import Check, Mistake
from course_lib.feedback.toys import Blob

Levels = tuple[float, ...]


def step_checks(rng: torch.Generator) -> list[Check]:
    """Part 1: a step back by the velocity, on any schedule."""
    x, noise, fresh = torch.randn(3, 2, 3, 4, 4, generator=rng)

    def turned(t: float) -> Levels:
        rate = math.pi / 2
        a, b = math.cos(rate * t), math.sin(rate * t)
        return a, b, -rate * b, rate * a

    questions = [
        ("on a straight path a step keeps the point and its noise", (0.3, 0.7, -1.0, 1.0),
         (0.8, 0.2), 0.0),
        ("it does so on any schedule, when its slopes are given", turned(0.8), turned(0.3)[:2],
         0.0),
        ("with η some of the noise is fresh, and no more than before in all", turned(0.7),
         turned(0.4)[:2], 0.6),
        ("at η = 1 it is DDPM's step, on a straight path, too", (0.4, 0.6, -1.0, 1.0),
         (0.7, 0.3), 1.0),
        ("at the end only the picture is left", turned(0.2), (1.0, 0.0), 1.0),
    ]
    checks = []
    for law, now, then, eta in questions:
        a, b, da, db = now
        asked = a * x + b * noise, da * x + db * noise, now, then, eta, fresh
        checks.append(Check(law, asked, _step(*asked), _step_mistakes()))
    return checks


def _step_mistakes() -> list[Mistake]:
    def slip(**options: object) -> Callable:
        return lambda *question: _step(*question, **options)

    return [
        Mistake("Two equations with two unknowns, but nothing is divided by their determinant, "
                "α σ′ − σ α′.", slip(solve="undivided")),
        Mistake("The determinant has a wrong sign: it is α σ′ − σ α′.", slip(solve="plus")),
        Mistake("Those are the lesson's views of v, which hold for its circle and its v alone: "
                "solve x = α x̂ + σ ε̂ and v = α′ x̂ + σ′ ε̂ for x̂ and ε̂.", slip(solve="circle")),
        Mistake("The velocity is taken for the noise.", slip(solve="noise")),
        Mistake("The velocity is taken for the clean picture.", slip(solve="picture")),
        Mistake("Picture and noise are exchanged: α belongs to the picture.",
                slip(solve="exchanged")),
        Mistake("That follows v straight on, which is right on straight paths alone.",
                lambda x, v, now, then, eta, fresh: x + (then[1] - now[1]) / now[3] * v),
        Mistake("The fresh noise comes on top of all the old one: the old keeps √(σs² − τ²).",
                slip(old="all")),
        Mistake("The old noise keeps σs − τ; variances add up, not deviations: √(σs² − τ²).",
                slip(old="difference")),
        Mistake("The old noise is less by a share η of its deviation: it keeps √(σs² − τ²).",
                slip(old="share")),
        Mistake("There is no fresh noise where η is above 0: add τ · fresh.", slip(new="none")),
        Mistake("The fresh noise is multiplied by τ²; τ is its deviation.", slip(new="squared")),
        Mistake("τ lacks its factor σs / σt.", slip(tau="unscaled")),
        Mistake("τ is η σs in yours: of DDPM's deviation only σs is left.", slip(tau="plain")),
        Mistake("τ does not follow η: it multiplies the whole deviation.", slip(tau="full")),
        Mistake("αs and αt are exchanged under the root of τ, or their ratio is not squared.",
                slip(tau="unsquared")),
        Mistake("The noise is added at the old time: α and σ of `then` mix the answer.",
                lambda x, v, now, then, eta, fresh: _step(x, v, now, now[:2], eta, fresh)),
        Mistake("x̂ is clamped to [-1, 1], so a right guess is changed.", slip(clamp=True)),
    ]


def _step(
    x: Tensor, v: Tensor, now: Levels, then: Levels, eta: float, fresh: Tensor, *,
    solve: str = "", old: str = "", new: str = "", tau: str = "", clamp: bool = False,
) -> Tensor:
    """x at `then`; the switches are mistakes."""
    (a, b, da, db), (c, d) = now, then
    x, v, fresh = x.double(), v.double(), fresh.double()
    by = {"undivided": 1, "plus": a * db + b * da}.get(solve, a * db - b * da)
    clean, noise = (db * x - b * v) / by, (a * v - da * x) / by
    if solve in ("circle", "noise", "picture"):
        clean = {"circle": a * x - b * v, "noise": (x - b * v) / a, "picture": v}[solve]
        noise = {"circle": b * x + a * v, "noise": v, "picture": (x - a * v) / b}[solve]
    if solve == "exchanged":
        clean, noise = noise, clean
    if clamp:
        clean = clean.clamp(-1, 1)
    missing = (b**2 - (a / c * d) ** 2) ** 0.5
    deviation = {"unscaled": eta * missing, "plain": eta * d, "full": d / b * missing * (eta > 0),
                 "unsquared": eta * d / b * abs(b**2 - a / c * d**2) ** 0.5}.get(
                     tau, eta * d / b * missing)
    kept = {"all": d, "difference": d - deviation, "share": (1 - eta) * d}.get(
        old, max(d**2 - deviation**2, 0) ** 0.5)
    added = {"none": 0.0, "squared": deviation**2}.get(new, deviation)
    return c * clean + kept * noise + added * fresh


def clear_checks(rng: torch.Generator) -> list[Check]:
    """Part 3: a painting under noise, led back by Heun's steps."""
    blob = Blob(torch.randn(3, 4, 4, generator=rng), 0.3 + torch.rand(3, 4, 4, generator=rng))
    image, fresh = torch.rand(2, 3, 4, 4, generator=rng), torch.randn(2, 3, 4, 4, generator=rng)
    laws = [
        ("one level, then none: the answer is the guess itself", [1.7, 0.0]),
        ("a step takes the mean of the slopes at its two ends, the last but one", [2.0, 0.8, 0.0]),
        ("all levels are gone, from the first on", [3.0, 1.4, 0.5, 0.1, 0.0]),
    ]
    return [Check(law, (blob, image, levels, fresh), _clear(blob, image, levels, fresh),
                  _clear_mistakes(), detached=True) for law, levels in laws]


def _clear_mistakes() -> list[Mistake]:
    def slip(**options: object) -> Callable:
        return lambda *question: _clear(*question, **options)

    return [
        Mistake("Those are Euler's steps, by the slope at their beginning: look again at their "
                "end, and take the mean of both slopes.", slip(kind="euler")),
        Mistake("The second slope alone is followed; take the mean of both.", slip(kind="second")),
        Mistake("Both slopes are added; take their mean, half of that.", slip(kind="sum")),
        Mistake("The second slope is asked at the old place: go there by the first slope, and ask "
                "there.", slip(kind="old place")),
        Mistake("The second slope is asked for the old level: at the step's end there is less "
                "noise.", slip(kind="old level")),
        Mistake("The step goes on from where the first try ended: go from its beginning, by the "
                "mean slope.", slip(kind="goes on")),
        Mistake("The picture is drowned as in the lesson, α x + σ ε: here the noise is added to "
                "the whole picture, x + σ ε.", slip(start="circle")),
        Mistake("The picture gets no noise: add the first level times fresh.",
                slip(start="clean")),
        Mistake("The noise is not multiplied by the first level.", slip(start="unscaled")),
        Mistake("All levels' noise is added, or another level's than the first.",
                slip(start="last")),
        Mistake("Nothing is left of the picture: it begins as noise alone.", slip(start="noise")),
        Mistake("The denoiser got pictures in [0, 1]; it wants [-1, 1], and answers so.",
                slip(scaled=False)),
        Mistake("The answer is in [-1, 1]: bring it back by (x + 1) / 2.",
                lambda *question: 2 * _clear(*question) - 1),
        Mistake("The slope points the other way: it is (x − x̂) / σ, and σ falls.",
                slip(sign=-1)),
        Mistake("The last step is missing: go on to level 0.",
                lambda blob, image, levels, fresh: _clear(blob, image, levels[:-1], fresh)),
        Mistake("Fresh noise is added at each level; only the start has some.",
                slip(kind="noisy")),
    ]


def _clear(
    denoise: Callable, image: Tensor, levels: list[float], fresh: Tensor, *, kind: str = "",
    start: str = "", scaled: bool = True, sign: int = 1,
) -> Tensor:
    """Where Heun's steps end; the switches are mistakes."""
    picture = (2 * image - 1 if scaled else image).double()
    fresh, first = fresh.double(), levels[0]
    x = {"circle": (picture + first * fresh) / (1 + first**2) ** 0.5, "clean": picture,
         "unscaled": picture + fresh, "last": picture + levels[max(len(levels) - 2, 0)] * fresh,
         "noise": first * fresh}.get(start, picture + first * fresh)
    for now, then in itertools.pairwise(levels):
        slope = sign * (x - denoise(x, now)) / now
        there = x + (then - now) * slope
        if then > 0 and kind != "euler":
            place, level = {"old place": (x, then), "old level": (there, now)}.get(
                kind, (there, then))
            second = sign * (place - denoise(place, level)) / level
            slope = {"second": second, "sum": slope + second}.get(kind, (slope + second) / 2)
        x = (there if kind == "goes on" and then > 0 else x) + (then - now) * slope
        if kind == "noisy":
            x = x + then * fresh
    return (x + 1) / 2 if scaled else x
