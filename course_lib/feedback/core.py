"""Checks that answer at once, the points that they give, and the board that shows them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from IPython import get_ipython

from course_lib.feedback.answers import names_used
from course_lib.feedback.diagnosis import STUB, Check, Demand, diagnose
from course_lib.feedback.pictures import Board, Card, show_pictures


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
    """IPython's handler for stubs: one line in place of a traceback, but not of torch's own."""
    lines = [f"This needs a part that is to be written. {error}."]
    if not STUB.fullmatch(str(error)):
        lines = shell.InteractiveTB.structured_traceback(kind, error, trace, tb_offset)
    shell._showtraceback(kind, error, lines)


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

    def __call__(self, number: int | str, function: Callable, *, seed: int = 0) -> None:
        """Check a part; `seed` draws other questions.

        Raises:
            NotThereYet: the part is unfinished or wrong.
            ValueError: there is no such part.
        """
        if number not in self.parts:
            raise ValueError(f"{self.name} has no part {number!r}: take one of "
                             f"{', '.join(map(repr, self.parts))}.")
        part = self.parts[number]
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

    def take_back(self, number: int | str) -> None:
        """Take back the points of a part, as where a hidden test failed after its check."""
        if self.earned.get(number):
            self.earned[number] = 0

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
