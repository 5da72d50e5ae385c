"""Checks of a6, beyond GANs: the way out by coupled steps, undone whatever the network says.

Of the way back: `steps`; of words: `wording`; of what is the student's own: `closeness`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.feedback.closeness import measure_checks, photo_checks
from course_lib.feedback.core import Feedback, Part
from course_lib.feedback.diagnosis import Check, Mistake
from course_lib.feedback.steps import clear_checks, step_checks
from course_lib.feedback.toys import Swirl
from course_lib.feedback.wording import guess_checks, left_checks, unwanted_checks

Steps = list[tuple[float, float, float]]


def _out_checks(rng: torch.Generator) -> list[Check]:
    swirl, x = Swirl(torch.randn(3, 3, generator=rng)), torch.rand(2, 3, 4, 4, generator=rng)
    steps = [(0.9, 1.6, -0.7), (0.6, 1.25, -0.4), (0.3, 1.1, -0.3)]
    laws = [
        ("what the last steps did is undone, from the last line to the first", steps[1:], 0.8),
        ("the way back from your codes ends at the picture, both times", steps, 0.85),
    ]
    return [Check(law, (swirl, x, few, p), _out(swirl, x, few, p), _out_mistakes(), detached=True)
            for law, few, p in laws]


def _out_mistakes() -> list[Mistake]:
    def slip(**options: object) -> Callable:
        return lambda *question: _out(*question, **options)

    return [
        Mistake("The steps are undone in the order in which they were done: begin with the last.",
                slip(order="forward")),
        Mistake("The mixing is not undone: solve both of its lines for what stood there before, "
                "the second first.", slip(mix="none")),
        Mistake("The mixing is done once more, not undone.", slip(mix="again")),
        Mistake("The mixing's first line is undone before its second, with a y that was not there "
                "yet: last line first.", slip(mix="swapped")),
        Mistake("p and 1 − p are exchanged.", slip(mix="exchanged")),
        Mistake("The mixing is undone after the steps that came before it.", slip(mix="late")),
        Mistake("x is undone before y; y came last, so it goes first.", slip(take="x first")),
        Mistake("Both are undone at once, from what they are, or each asks about itself: y is "
                "undone by x, and x then by the new y.", slip(take="at once")),
        Mistake("Nothing is divided by a.", slip(scale="undivided")),
        Mistake("a multiplies; undone, it divides.", slip(scale="times")),
        Mistake("b ε is added; subtract it.", slip(sign=-1)),
        Mistake("b ε is subtracted after the division by a; do it before.", slip(scale="early")),
        Mistake("That is one code twice: x and y differ.",
                lambda *question: _out(*question)[:1].expand(2, -1, -1, -1, -1)),
        Mistake("x and y are exchanged in what you return.",
                lambda *question: _out(*question).flip(0)),
    ]


def _out(
    noise_of: Callable, picture: Tensor, steps: Steps, p: float, *, order: str = "",
    mix: str = "", take: str = "", scale: str = "", sign: int = 1,
) -> Tensor:
    """The codes x and y, (2, batch, ...), whose coupled way ends at the picture."""
    x = y = picture.double()

    def undone(one: Tensor, noise: Tensor, a: float, b: float) -> Tensor:
        one = one / a if scale == "early" else one - sign * b * noise
        if scale == "early":
            return one - b * noise
        return {"undivided": one, "times": one * a}.get(scale, one / a)

    for t, a, b in steps if order == "forward" else steps[::-1]:
        if mix != "late":
            x, y = _unmixed(x, y, p, mix)
        if take == "x first":
            x = undone(x, noise_of(y, t), a, b)
            y = undone(y, noise_of(x, t), a, b)
        elif take == "at once":
            x, y = undone(x, noise_of(y, t), a, b), undone(y, noise_of(x, t), a, b)
        else:
            y = undone(y, noise_of(x, t), a, b)
            x = undone(x, noise_of(y, t), a, b)
        if mix == "late":
            x, y = _unmixed(x, y, p, "")
    return torch.stack([x, y])


def _unmixed(x: Tensor, y: Tensor, p: float, kind: str) -> tuple[Tensor, Tensor]:
    """What stood there before x = p x + (1 − p) y and y = p y + (1 − p) x; `kind`: mistakes."""
    if kind == "none":
        return x, y
    if kind == "again":
        x = p * x + (1 - p) * y
        return x, p * y + (1 - p) * x
    if kind == "swapped":
        x = (x - (1 - p) * y) / p
        return x, (y - (1 - p) * x) / p
    q = 1 - p
    if kind == "exchanged":
        p, q = max(q, 1e-9), p
    y = (y - q * x) / p
    return (x - q * y) / p, y


check = Feedback("a6_beyond_gans", {
    1: Part("a step for any schedule", 15, step_checks,
            by_hand=("ddim_step", "ddpm_step", "Prediction")),
    2: Part("a word without glare", 10, guess_checks),
    3: Part("a painting under noise", 20, clear_checks, by_hand=("sdedit", "reword", "inpaint")),
    4: Part("how close? a measure of your own", 10, measure_checks),
    5: Part("the way out, undone line by line", 15, _out_checks),
    6: Part("how much of the way is left", 15, left_checks, by_hand=("TextPrompt",)),
    7: Part("a photograph of your own", 5, photo_checks),
    8: Part("exact, and then?", 10),
    "E1": Part("what it shall not be", 5, unwanted_checks, extra=True),
})
