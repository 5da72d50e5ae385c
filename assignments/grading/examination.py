"""Runs a student's notebook and, in a second kernel, the checks of it.

The student's kernel runs the student's cells. The checks' kernel runs what the course wrote: the
given cells, the visible and the hidden tests; the student's functions are stood in for by remote
calls (remote.py). So no code of a student's ever runs beside a test: check functions cannot be
overwritten, hidden tests cannot be read, and what passed is recorded where no student can write.

Hidden tests come last, after all that a page shows was taken: what a function remembers of their
arguments finds no output any more to go to. For each, both kernels' names stand again for what
they stood for at its place in the notebook (snapshots.py).
"""

import asyncio
import contextlib
import copy
import re
import time
from dataclasses import astuple, dataclass
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_output

from assignments.grading.cells import (
    defined_names,
    imports_of,
    is_test,
    needed_by_tests,
    split_hidden,
)
from assignments.grading.execution import GRACE, MAX_OUTPUT, Kernel, KernelGone, failed

# What the two kernels are told. `test` is the name of the test cell, and of a moment.
SERVE = """
import course_remote, course_snapshots
course_remote.serve({socket!r}, globals())
course_snapshots.keep({test!r}, globals())
"""
SERVE_AGAIN = """
course_snapshots.bring_back({test!r}, globals())
course_remote.serve({socket!r}, globals())
"""
CALL = """
import course_remote, course_snapshots
_call = course_remote.Call({socket!r})
_call.fetch({names})
"""
CALL_AGAIN = """
course_snapshots.bring_back({test!r}, globals())
_call = course_remote.Call({socket!r})
_call.fetch({names})
"""
CLOSE = "_call.close(); course_snapshots.keep({test!r}, globals())"
PATIENCE = 5  # seconds for the student's kernel to see that the line is closed, on a busy machine
NOT_ASKED = "a hidden test could not be run"


@dataclass(frozen=True)
class Hidden:
    """The hidden lines of a test cell, to be run when all outputs have been taken."""

    test: str
    names: list[str]
    source: str


class Examination:
    """One student's notebook, gone through from top to bottom with the course's own beside it.

    Attributes:
        hidden: by its cell's place, what to ask once all outputs have been taken.
        answered: by its cell's place, what the hidden lines put out: an error, or nothing.
        cut_short: whether the student's kernel was gone before they could be asked.
        flags: sentences for the instructor.
    """

    def __init__(self, notebook: NotebookNode, source: NotebookNode,
                 student: Kernel, checks: Kernel):
        self.notebook, self.source, self.student, self.checks = notebook, source, student, checks
        self.hidden: dict[int, Hidden] = {}
        self.answered: dict[int, list[NotebookNode]] = {}
        self.cut_short = False
        self.flags: list[str] = []
        self._needed = needed_by_tests(source)
        self._ahead = list(source.cells)  # of the course's own cells, those not yet passed
        self._names: list[str] = []  # that solution cells passed so far define
        self._lines = 0  # between the kernels, opened so far

    async def hold(self) -> None:
        """Run every code cell, and then the hidden tests; the outcome stands in the outputs."""
        for place, cell in enumerate(self.notebook.cells):
            if cell.cell_type != "code" or not cell.source.strip():
                continue
            if self.student.gone:
                cell.outputs = [_error("NotRun", f"not run: {self.student.gone}")]
            elif is_test(cell):
                await self._check(cell, place)
            else:
                await self._run(cell, place + 1)
        self.cut_short = bool(self.student.gone)
        for place in self.hidden:
            if not self.student.gone:
                await self._check_hidden(place)
        await self._show_progress()

    async def _show_progress(self) -> None:
        """What the course's last cell shows, say points so far, is known to the checks alone."""
        last = self.source.cells[-1]
        if last.cell_type != "code" or "nbgrader" in last.metadata:
            return
        with contextlib.suppress(KernelGone):
            outputs = await self.checks.run(last.source)
            for cell in self.notebook.cells:
                if (cell.cell_type, cell.source) == ("code", last.source) and not failed(outputs):
                    cell.outputs = outputs

    async def _run(self, cell: NotebookNode, number: int) -> None:
        try:
            cell.outputs = await self.student.run(cell.source)
        except KernelGone as gone:
            cell.outputs = [_error("NotRun", str(gone))]
            self._flag(f"Cell {number} ended the run: {gone}; later parts got no points.")
        if self.student.overflowed:
            self._flag(f"Cell {number} printed more than {MAX_OUTPUT >> 20} MB and was stopped.")
        elif self.student.stopped and not self.student.gone:
            self._flag(f"Cell {number} was stopped after {self.student.timeout} s.")

    async def _check(self, cell: NotebookNode, place: int) -> None:
        """Run the visible lines of a test; its hidden ones wait."""
        test = cell.metadata.nbgrader.grade_id
        visible, hidden = split_hidden(cell.source)
        given = self._pass_to(test)
        cell.outputs = await self._ask(test, SERVE, CALL, self._names, [*given, visible])
        cell.metadata["grading"] = {"shown_outputs": len(cell.outputs)}
        if hidden.strip() and not failed(cell.outputs):
            self.hidden[place] = Hidden(test, list(self._names), hidden)

    async def _check_hidden(self, place: int) -> None:
        test, names, source = astuple(self.hidden[place])
        outputs = await self._ask(test, SERVE_AGAIN, CALL_AGAIN, names, [source])
        self.answered[place] = outputs
        called = re.match(r"check\((\"?\w+\"?), ", self.notebook.cells[place].source)
        if called and failed(outputs):  # the course's table of points follows the grade
            await self.checks.run(f"check.take_back({called[1]})")

    async def _ask(self, test: str, serve: str, call: str, names: list[str],
                   sources: list[str]) -> list[NotebookNode]:
        """Run sources in the checks' kernel, the student's at its side; the last one's outputs."""
        self._lines += 1
        words = {"test": test, "socket": str(self.student.folder / f"calls-{self._lines}")}
        patience = self.checks.seconds * (len(sources) + 3)
        serving = asyncio.create_task(self.student.run(serve.format(**words), patience))
        try:
            outputs = await self.checks.run(call.format(**words, names=names))
            if not failed(outputs):
                for source in sources:
                    outputs = await self.checks.run(source)
            await self.checks.run(CLOSE.format(**words))  # or the student's kernel would wait on
        except KernelGone as gone:
            outputs = [_error("NotRun", f"the checks stopped: {gone}")]
            self.student.gone = "its answers brought the checks down"
            self._flag(f"The checks of {test} did not survive its answers; nothing after it ran.")
        await self._end(serving, test)
        return [_harmless(output) for output in outputs]

    async def _end(self, serving: asyncio.Task, part: str) -> None:
        """Wait until the student's kernel has hung up; interrupt what is still at work there."""
        done, _ = await asyncio.wait([serving], timeout=PATIENCE)
        if not done:
            await self.student.km.interrupt_kernel()
            self._flag(f"What {part} asked for took too long and was stopped.")
            done, _ = await asyncio.wait([serving], timeout=GRACE)
        if not done:
            self.student.gone = "it could not be interrupted"
            await self.student.stop()
        try:
            await serving
        except KernelGone as gone:
            self._flag(f"{part} ended the run: {gone}; later parts got no points.")

    def _pass_to(self, grade_id: str) -> list[str]:
        """The given cells up to a test; what solution cells on the way define is noted."""
        given = []
        while self._ahead:
            cell = self._ahead.pop(0)
            info = cell.metadata.get("nbgrader", {})
            if info.get("grade_id") == grade_id:
                break
            if cell.cell_type == "code" and info.get("solution"):
                self._names = list(dict.fromkeys(self._names + defined_names(cell.source)))
            elif cell.source in self._needed:
                given.append(cell.source)
        return given

    def _flag(self, sentence: str) -> None:
        if sentence not in self.flags:
            self.flags.append(sentence)


def _error(name: str, message: str) -> NotebookNode:
    return new_output("error", ename=name, evalue=message, traceback=[f"{name}: {message}"])


def _harmless(output: NotebookNode) -> NotebookNode:
    """nbgrader takes a warning on stderr for a failure and a last value for points: neither is."""
    if output.output_type == "stream":
        output.name = "stdout"
    elif output.output_type == "execute_result":
        return new_output("display_data", data=output.data, metadata=output.metadata)
    return output


async def examine(notebook: NotebookNode, source: NotebookNode, **options) -> list[str]:
    """Run and check `notebook` in place; returns flags, a sentence each.

    Where the student's kernel ended before the hidden tests, they are asked in a second run, up to
    the last of them. Its outputs are not shown.

    Args:
        options: those of `_hold`.
    """
    first = await _hold(notebook, source, **options)
    answered, flags = first.answered, first.flags
    if first.cut_short and first.hidden:
        again = copy.deepcopy(notebook)
        again.cells = again.cells[:max(first.hidden) + 1]
        second = await _hold(again, source, **options)
        answered, flags = second.answered, list(dict.fromkeys(flags + second.flags))
    for place in first.hidden:
        notebook.cells[place].outputs += answered.get(place, [_error("NotRun", NOT_ASKED)])
    return flags


async def _hold(notebook: NotebookNode, source: NotebookNode, *, seconds: int, total: int,
                seed: str, files: dict[str, Path], given: dict[str, Path],
                **settings) -> Examination:
    """An examination in two kernels that are started for it.

    Args:
        seconds: that a cell may take; total: that the student's kernel may take.
        seed: that hidden tests draw their cases from.
        files: what the student's code finds beside it; given: the course's own among them.
        settings: of `Kernel`.
    """
    settings["imports"] = imports_of(source)
    student = Kernel(seconds, files=files, **settings)
    variables = {"COURSE_GRADING_SEED": seed}
    if settings["kind"] == "user":
        settings["kind"] = "none"  # the same user could look into the checks' memory
    checks = Kernel(seconds, shared=[str(student.folder)], variables=variables, files=given,
                    **settings)
    examination = Examination(notebook, source, student, checks)
    async with checks, student:
        student.deadline = time.monotonic() + total
        await examination.hold()
    return examination
