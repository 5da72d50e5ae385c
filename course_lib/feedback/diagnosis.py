"""What is wrong with an answer, and why: a question, its only right answer, and the classic slips.

A check asks a student's function a question whose answer a law fixes, so that every right
solution passes. A wrong answer is compared with what the classic mistakes would have given to the
same question; the mistake that matches is named.
"""

import math
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from course_lib.feedback.answers import Refused, as_tensor, ask, lost_gradient

HINTS = {  # what torch's errors mean to a student
    "does not require grad": "Call .requires_grad_() on the code before the loop, and decode "
                             "without no_grad.",
    "leaf Variable": "Clone what you are given before you change it.",
    "backward through the graph a second time": "Decode anew in each step.",
    "must have the same dtype": "Convert both to one dtype, for instance by .double().",
    "requires grad. Use tensor.detach()": "Take .detach() first.",
}
LOOKS_AT_SHAPES = "Print the shapes just before that line."
KEEPS_ARGUMENTS = ("It is called with the arguments that its first line had in the notebook: keep "
                   "that line as it was.")
HANGS = ("Your answer still hangs on the graph that made it, which keeps all of that in memory: "
         "return it by .detach().")
FOLLOWS = "the number follows the picture, so that a descent can lower it"
HOUSE = str(Path(__file__).parents[1])


@dataclass(frozen=True)
class Mistake:
    """A classic slip.

    Attributes:
        says: what is wrong and what to try, in one or two sentences.
        gives: what a function with this slip answers to a check's question.
    """

    says: str
    gives: Callable[..., Tensor]


@dataclass(frozen=True)
class Check:
    """One question, and the answer that the law demands.

    Attributes:
        law: as a half sentence: "a brighter source changes nothing".
        question: the arguments for the student's function.
        expected: the only right answer.
        mistakes: slips to compare a wrong answer with, the likeliest first.
        tolerance: how far any number may be off.
        kind: how to draw it: "image" | "maps" (two, signed) | "points" | "curve" | "none".
        signless: whether each row is as right with the opposite sign, as directions are.
        degrees: if above 0, the answer is one unit vector, and may point off by so much; then
            `tolerance` is for its length.
        detached: whether the answer must be free of the graph that made it.
    """

    law: str
    question: tuple
    expected: Tensor
    mistakes: Sequence[Mistake] = ()
    tolerance: float = 1e-3
    kind: str = "image"
    signless: bool = False
    degrees: float = 0
    detached: bool = False


@dataclass(frozen=True)
class Demand:
    """A question with many right answers, such as a picture of the student's own.

    Attributes:
        law: as in `Check`.
        objection: calls the student's function; what is wrong in a sentence or two, or None.
    """

    law: str
    objection: Callable[[Callable], str | None]


def demand_gradient(question: Sequence, *places: int, step: float = 1e-3) -> Demand:
    """That the answer's gradient in these arguments of the question is its slope."""
    return Demand(FOLLOWS, partial(find_cut, question=question, places=places, step=step))


def find_cut(function: Callable, *, question: Sequence, places: Sequence[int],
             step: float) -> str | None:
    """Whether the answer's gradient in one of these arguments is not its slope."""
    said = (lost_gradient(function, question, place, step=step) for place in places)
    return next(filter(None, said), None)


STUB = re.compile(r"(?:Part|Extra) \d+: (.*)", re.DOTALL)  # the card names the part already


@dataclass(frozen=True)
class Verdict:
    """Why an answer is wrong, and the answer if it can be drawn beside the expected one."""

    says: str
    yours: Tensor | None = None
    unwritten: bool = False


def diagnose(check: Check | Demand, function: Callable) -> Verdict | None:
    """What is wrong with the function's answer to the check's question; None if nothing is."""
    try:
        if isinstance(check, Demand):
            says = check.objection(function)
            return Verdict(says) if says else None
        yours = as_tensor(ask(function, *check.question), shape=check.expected.shape)
    except Refused as refused:
        return Verdict(str(refused))
    except SystemExit:
        return Verdict("Your function ends the whole program (exit): return its answer instead.")
    except Exception as error:
        task = isinstance(error, NotImplementedError) and STUB.fullmatch(str(error))
        if not task:  # torch says "not implemented", too, of what it can't do
            return Verdict(_stumble(error))
        return Verdict(f"To be written: {task[1]}. (Written already? Then its return is missing.)",
                       unwritten=True)
    return _compare(check, yours)


def _compare(check: Check, yours: Tensor) -> Verdict | None:
    hangs, yours, expected = yours.requires_grad, yours.detach(), check.expected.double()
    if check.signless and yours.shape == expected.shape:
        yours = _aligned(yours, expected)
    if not yours.is_complex() and _same(yours, expected, check):
        return Verdict(HANGS) if hangs and check.detached else None
    says = _classic(check, yours) or _misshapen(yours, expected) or _general(check, yours)
    drawable = yours.shape == expected.shape and not yours.is_complex() and yours.isfinite().all()
    return Verdict(says, yours if drawable else None)


def _stumble(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if not frame.filename.startswith(HOUSE) and "site-packages" not in frame.filename]
    where = f" in line {frames[-1].lineno}" if frames else ""
    where += f", `{frames[-1].line}`" if frames and frames[-1].line else ""
    said = str(error).strip().split("\n")[0].rstrip(".")
    uncallable = isinstance(error, TypeError) and not frames  # it never came to its first line
    hint = next((hint for part, hint in HINTS.items() if part in said),
                KEEPS_ARGUMENTS if uncallable else LOOKS_AT_SHAPES)
    return f"Your function stops{where}, with {type(error).__name__}: {said}. {hint}"


def _classic(check: Check, yours: Tensor) -> str | None:
    finer = replace(check, degrees=check.degrees / 2)  # mistakes lie closer to each other
    for mistake in check.mistakes:
        given = as_tensor(mistake.gives(*check.question)).detach()
        if check.signless:  # the columns of a matrix of rows that may be turned round, say
            given, yours = given.abs(), yours.abs()
        if _same(yours, given, finer):
            return mistake.says
    return None


def _misshapen(yours: Tensor, expected: Tensor) -> str | None:
    if yours.is_complex():
        return ("Your answer holds complex numbers, but the expected ones are real: take the "
                ".real part at the end.")
    if yours.shape != expected.shape:
        swapped = expected.ndim > 1 and yours.shape == expected.mT.shape
        hint = ("rows and columns have changed places; arrays are [row, column] = [y, x]"
                if swapped else "print the shapes on the way to find where that happens")
        return f"Your answer has shape {tuple(yours.shape)}, not {tuple(expected.shape)}: {hint}."
    broken = ~yours.isfinite()
    if broken.any():
        first = tuple(broken.nonzero()[0].tolist())
        return (f"Your answer is not a number in {int(broken.sum())} places, the first at {first}: "
                f"look for a division by 0, the root of a negative number, or an arccos beyond 1.")
    return None


def _general(check: Check, yours: Tensor) -> str:
    expected = check.expected.double()
    for says, slip in GENERAL:
        given = slip(yours, expected)
        if given is not None and _same(yours, given, check):
            return says
    for number, given in enumerate(check.question, start=1):
        if isinstance(given, Tensor) and _same(yours, given.double(), check):
            return f"Your function returns its argument number {number} unchanged."
    if check.degrees:
        off = torch.cosine_similarity(yours, expected, dim=0).clamp(-1, 1).arccos().rad2deg()
        return f"It does not hold that {check.law}: yours points {off:.0f} degrees off."
    return f"It does not hold that {check.law}. {whereabouts(yours - expected, check.tolerance)}"


def _same(yours: Tensor, given: Tensor, check: Check) -> bool:
    if given.shape != yours.shape:
        return False
    if check.degrees:
        lengths = yours.norm(), given.norm()
        apart = math.cos(math.radians(check.degrees)) * lengths[0] * lengths[1]
        return bool(abs(lengths[0] - lengths[1]) <= check.tolerance and yours @ given >= apart)
    return bool((yours - given).abs().max() <= check.tolerance)


def _aligned(rows: Tensor, others: Tensor) -> Tensor:
    """Rows turned round where they point away from the others."""
    return rows * torch.where((rows * others).sum(-1, keepdim=True) < 0, -1, 1)


def _scaled(yours: Tensor, expected: Tensor) -> Tensor | None:
    factor = (yours * expected).sum() / expected.square().sum().clamp(min=1e-12)
    return factor * expected if abs(factor) > 1e-3 else None


GENERAL: list[tuple[str, Callable[[Tensor, Tensor], Tensor | None]]] = [
    ("Your answer is 0 everywhere: something is computed, but never stored or returned.",
     lambda yours, expected: torch.zeros_like(expected)),
    ("Your answer has the opposite sign everywhere: check which of two terms is subtracted.",
     lambda yours, expected: -expected),
    ("Your answer is right up to one constant that is added everywhere: check what fixes the "
     "overall level.", lambda yours, expected: expected + (yours - expected).mean()),
    ("Your answer is right up to one factor everywhere: check the scale, say a forgotten weight, "
     "a mean in place of a sum, or 255 in place of 1.", _scaled),
    ("Your answer is clamped to [0, 1]. Solvers never clamp, since what lies outside is part of "
     "the answer: leave that to the figures.", lambda yours, expected: expected.clamp(0, 1)),
    ("Your answer is in [-1, 1], but pictures are in [0, 1] here: bring it back by (x + 1) / 2.",
     lambda yours, expected: 2 * expected - 1),
    ("Rows and columns have changed places in your answer: arrays are [row, column] = [y, x].",
     lambda yours, expected: expected.mT if expected.ndim > 1 else None),
    ("Your answer is mirrored, left to right: some index runs backwards.",
     lambda yours, expected: expected.flip(-1)),
    ("Your answer stands on its head: some index runs backwards.",
     lambda yours, expected: expected.flip(-2) if expected.ndim > 1 else None),
    ("x and y have changed places in your answer: x comes first, and counts columns.",
     lambda yours, expected: expected.flip(0) if len(expected) == 2 else None),
    ("Your answer is shifted by one: an index starts or ends one too early or too late.",
     lambda yours, expected: _shifted(yours, expected)),
]


def _shifted(yours: Tensor, expected: Tensor) -> Tensor | None:
    for axis in range(expected.ndim):
        for step in (1, -1):
            rolled = expected.roll(step, axis)
            inner = [slice(None)] * expected.ndim
            inner[axis] = slice(1, -1)
            if (expected.shape[axis] > 3
                    and (yours[*inner] - rolled[*inner]).abs().max() <= 1e-3):
                return yours
    return None


def whereabouts(difference: Tensor, tolerance: float) -> str:
    """A sentence on where an answer is off, and by how much."""
    wrong = difference.abs() > tolerance
    share, worst = float(wrong.double().mean()), float(difference.abs().max())
    place = tuple((difference.abs() == difference.abs().max()).nonzero()[0].tolist())
    said = f"Off by up to {worst:.2g}, most at index {place}"
    if wrong.ndim >= 2 and min(wrong.shape[-2:]) > 4 and not wrong[..., 1:-1, 1:-1].any():
        return f"{said}, and only at the border: look at the first and last row and column."
    if share < 0.5:
        return f"{said}; {100 * (1 - share):.0f} % of the numbers are right."
    return f"{said}; most of the numbers are off, so look at the formula before the indices."
