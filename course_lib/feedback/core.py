"""Checks that answer at once: what is wrong, where, and what to try.

A check asks a student's function a question whose answer a law fixes, so that every right
solution passes. A wrong answer is compared with what the classic mistakes would have given to the
same question; the mistake that matches is named.
"""

import math
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from IPython import get_ipython
from torch import Tensor

from course_lib.feedback.answers import Refused, as_tensor, ask, names_used
from course_lib.feedback.pictures import Board, Card, show_pictures

HINTS = {  # what torch's errors mean to a student
    "does not require grad": "Call .requires_grad_() on the code before the loop, and decode "
                             "without no_grad.",
    "leaf Variable": "Clone what you are given before you change it.",
    "backward through the graph a second time": "Decode anew in each step.",
    "must have the same dtype": "Convert both to one dtype, for instance by .double().",
    "requires grad. Use tensor.detach()": "Take .detach() first.",
}
HANGS = ("Your answer still hangs on the graph that made it, which keeps all of that in memory: "
         "return it by .detach().")
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
    tolerance: float | int = 1e-3
    kind: str = "image"
    signless: bool = False
    degrees: float | int = 0
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


@dataclass(frozen=True)
class Part:
    """A graded part of an assignment.

    Attributes:
        title: what it is about, in a few words.
        points: what it is worth; extra: whether on top of the whole.
        checks: its questions, drawn by a generator; none where a person reads the answer.
        by_hand: the library's functions that do it all, and are therefore no answer.
    """

    title: str
    points: int
    checks: Callable[[torch.Generator], list[Check | Demand]] | None = None
    extra: bool = False
    by_hand: tuple[str, ...] = ()


class NotThereYet(AssertionError):
    """A part that is unfinished or wrong; in a notebook it has no traceback."""

    def __init__(self, part: str, says: str):
        super().__init__(f"{part}: {says}")
        self.part = part

    def _render_traceback_(self) -> list[str]:
        return [f"{self.part} is not there yet."]


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
    except NotImplementedError as stub:
        return Verdict(f"To be written: {stub}. (Written already? Then its return is missing.)",
                       unwritten=True)
    except Refused as refused:
        return Verdict(str(refused))
    except Exception as error:
        return Verdict(_stumble(error))
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
    hint = next((hint for part, hint in HINTS.items() if part in said),
                "Print the shapes just before that line.")
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


def whereabouts(difference: Tensor, tolerance: float | int) -> str:
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


def _written_by_hand(part: Part) -> Demand:
    """That the function does not leave its work to the library's solution."""
    def objection(function: Callable) -> str | None:
        borrowed = sorted(names_used(function).intersection(part.by_hand))
        return (f"Your function calls the library's {borrowed[0]}, which is what this part asks "
                f"you to write: do it by hand, and compare with the library afterwards."
                if borrowed else None)

    return Demand("it is written by hand", objection)


def _say_unwritten(shell: object, kind: type, error: Exception, trace: object,
                   tb_offset: int | None = None) -> None:
    """IPython's handler for stubs: one line in place of a traceback."""
    shell._showtraceback(kind, error, [f"This needs a part that is to be written. {error}."])


@dataclass
class Feedback:
    """The checks of one assignment, and the points so far.

    Call it with a part's number and the student's function: it shows a verdict, with pictures
    where something is wrong, and raises `NotThereYet` then.

    Attributes:
        name: of the assignment.
        parts: by number, from 1; extras by "E1" and so on.
    """

    name: str
    parts: dict[int | str, Part]
    earned: dict[int | str, int | None] = field(default_factory=dict)
    _last: int | str | None = None

    def __call__(self, number: int | str, function: Callable, *, seed: int = 0) -> None:
        """Check a part; `seed` draws other questions.

        Raises:
            NotThereYet: the part is unfinished or wrong.
        """
        part, self._last = self.parts[number], number
        name = f"Extra {str(number)[1:]}" if part.extra else f"Part {number}"
        title = f"{name} · {part.title}"
        checks = part.checks(torch.Generator().manual_seed(seed))
        for check in [_written_by_hand(part), *checks]:
            verdict = diagnose(check, function)
            if verdict:
                self.earned[number] = None if verdict.unwritten else 0
                law = "" if verdict.unwritten else f"The law: {check.law}."
                Card(title, verdict.says, "to do" if verdict.unwritten else "wrong", law).show()
                if verdict.yours is not None and check.kind != "none":
                    show_pictures(check.expected, verdict.yours, check.kind, check.law)
                raise NotThereYet(name, verdict.says)
        self.earned[number] = part.points
        laws = "It holds that " + "; ".join(check.law for check in checks) + "."
        Card(title, f"{part.points} points, as far as this check can tell.", "right", laws).show()

    def take_back(self) -> None:
        """Take back the points of the part checked last, as where a hidden test failed after it."""
        if self.earned.get(self._last):
            self.earned[self._last] = 0

    def begin(self) -> None:
        """In a notebook, let cells that need an unwritten part say so in one line."""
        shell = get_ipython()
        if shell is not None:
            shell.set_custom_exc((NotImplementedError,), _say_unwritten)

    def progress(self) -> Board:
        """A table of the points so far; a notebook shows it when it ends a cell."""
        rows = []
        for number, part in self.parts.items():
            earned = self.earned.get(number)
            state = "your instructor reads it" if part.checks is None else "to do"
            if earned is not None:
                state = "done" if earned else "not there yet"
            rows.append((str(number), part.title, earned or 0, part.points, state, part.extra))
        return Board(self.name, tuple(rows))
