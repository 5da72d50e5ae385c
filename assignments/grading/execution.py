"""Runs a student's notebook and, in a second kernel, the checks of it.

The student's kernel runs the student's cells. The checks' kernel runs what the course wrote: the
given cells, the visible and the hidden tests; the student's functions are stood in for by remote
calls (remote.py). So no code of a student's ever runs beside a test: check functions cannot be
overwritten, hidden tests cannot be read, and what passed is recorded where no student can write.
"""

import asyncio
import contextlib
import math
import os
import shutil
import time
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from assignments.grading.cells import defined_names, is_test, needed_by_tests, split_hidden
from assignments.grading.confinement import ConfinedKernelManager

REMOTE = Path(__file__).with_name("remote.py")
SERVE = "import course_remote; course_remote.serve({socket!r}, globals())"
CALL = "import course_remote; _call = course_remote.Call({socket!r}); _call.fetch({names})"
CLOSE = "_call.close()"
# While it imports, Python's collector looks through a million new objects, and finds no garbage.
WARM_UP = """import gc; gc.disable()
import torch, matplotlib.pyplot
gc.enable(); del gc, torch, matplotlib"""
STOPPED = {"ename": "Stopped", "evalue": "the cell took too long", "traceback": []}
MAX_OUTPUT = 10 << 20  # characters a cell; a large figure has one million
GRACE = 8  # seconds in which an interrupted kernel must answer


class KernelGone(Exception):
    """The kernel died, or does not listen any more; the message is a sentence for the flag."""


class Kernel(NotebookClient):
    """One confined kernel that runs one source after another and keeps its outputs in bounds."""

    def __init__(self, seconds: int, **settings):
        manager = ConfinedKernelManager(**settings)
        super().__init__(
            new_notebook(cells=[new_code_cell()]), km=manager, timeout=seconds, allow_errors=True,
            iopub_timeout=GRACE, raise_on_iopub_timeout=True, interrupt_on_timeout=True,
            startup_timeout=120, error_on_timeout=STOPPED,
        )
        self.folder, self.max_bytes = Path(manager.folder), manager.disk_mb << 20
        self.gone, self.stopped, self.overflowed, self._room = "", False, False, MAX_OUTPUT
        self.seconds, self.deadline = seconds, math.inf
        (self.folder / "site-packages").mkdir()
        shutil.copyfile(REMOTE, self.folder / "site-packages/course_remote.py")

    async def __aenter__(self):
        await self.async_start_new_kernel()
        await self.async_start_new_kernel_client()
        await self.run(WARM_UP, self.startup_timeout)  # on a busy machine torch takes its time
        return self

    async def __aexit__(self, *error):
        manager = self.km
        await self.stop()
        manager.tidy()

    async def stop(self) -> None:
        """Kill the kernel; nothing is left to say goodbye to."""
        if self.km is not None:
            with contextlib.suppress(RuntimeError):
                await self.km.shutdown_kernel(now=True)
            self.kc.stop_channels()

    async def run(self, source: str, seconds: int | None = None) -> list[NotebookNode]:
        """The outputs of `source`, an error among them if it failed or took too long."""
        if not self.gone and time.monotonic() > self.deadline:
            self.gone = "the whole notebook took too long"
            await self.stop()
        if self.gone:
            raise KernelGone(self.gone)
        left = self.deadline - time.monotonic()
        self.timeout = max(1, int(min(seconds or self.seconds, left)))
        self._room, self._display_id_map = MAX_OUTPUT, {}
        self.stopped = self.overflowed = False
        cell = self.nb.cells[0] = new_code_cell(source)
        try:
            await self.async_execute_cell(cell, 0)
        except DeadKernelError:
            self.gone = self.gone or "its kernel died (out of memory, or ended by the code itself)"
        except CellTimeoutError:
            self.gone = f"it went on after {self.timeout} s and could not be interrupted"
        except Exception as error:
            self.gone = f"its kernel sent what no kernel sends ({type(error).__name__})"
        if self.gone:
            await self.stop()
            raise KernelGone(self.gone)
        return merged(cell.outputs)

    async def _async_handle_timeout(self, timeout, cell=None):
        self.stopped = True
        return await super()._async_handle_timeout(timeout, cell)

    async def _async_check_alive(self):
        """Asked every second; the one folder of the host's that the kernel writes to is small."""
        if folder_size(self.folder) > self.max_bytes:
            self.gone = "it filled the folder of its sockets"
            raise DeadKernelError(self.gone)
        await super()._async_check_alive()

    async def _check_raise_for_error(self, cell, cell_index, exec_reply):
        """Record an error that the reply tells of and the outputs do not, as after a timeout."""
        content = (exec_reply or {}).get("content", {})
        if content.get("status") == "error" and not failed(cell.outputs):
            fields = {key: content.get(key, "") for key in ("ename", "evalue")}
            trace = content.get("traceback", [])
            cell.outputs.append(new_output("error", traceback=trace, **fields))

    def output(self, outs, msg, display_id, cell_index):
        self._room -= len(str(msg["content"]))
        if self._room < 0:
            if not self.overflowed:
                self.interrupting = asyncio.ensure_future(self.km.interrupt_kernel())
            self.overflowed = True
            return None
        return super().output(outs, msg, display_id, cell_index)

    def handle_comm_msg(self, outs, msg, cell_index):
        """Widgets are not kept: nobody can move them in a graded notebook."""


def merged(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """One output a stream, as a terminal shows it: what a line writes before its last \\r is gone.

    Not by nbclient's `coalesce_streams`, whose time grows with the square of a line's length.
    """
    streams, kept = {}, []
    for output in outputs:
        if output.output_type != "stream":
            kept.append(output)
        elif output.name in streams:
            streams[output.name].append(output.text)
        else:
            streams[output.name] = [output.text]
            kept.append(output)
    for output in kept:
        if output.output_type == "stream":
            lines = "".join(streams[output.name]).replace("\r\n", "\n").split("\n")
            output.text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
    return kept


def folder_size(folder: Path) -> int:
    """Bytes in a folder whose files come and go."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def failed(outputs: list[NotebookNode]) -> bool:
    """Whether an error is among the outputs."""
    return any(output.output_type == "error" for output in outputs)


class Examination:
    """One student's notebook, gone through from top to bottom with the course's own beside it."""

    def __init__(self, notebook: NotebookNode, source: NotebookNode,
                 student: Kernel, checks: Kernel):
        self.notebook, self.source, self.student, self.checks = notebook, source, student, checks
        self.flags: list[str] = []
        self._needed = needed_by_tests(source)
        self._ahead = list(source.cells)  # of the course's own cells, those not yet passed
        self._names: list[str] = []  # that solution cells passed so far define

    async def hold(self) -> None:
        """Run every code cell; the outcome stands in the outputs."""
        for number, cell in enumerate(self.notebook.cells, start=1):
            if cell.cell_type != "code" or not cell.source.strip():
                continue
            if self.student.gone:
                cell.outputs = [_error("NotRun", f"not run: {self.student.gone}")]
            elif is_test(cell):
                await self._check(cell)
            else:
                await self._run(cell, number)
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

    async def _check(self, cell: NotebookNode) -> None:
        part = cell.metadata.nbgrader.grade_id
        given = self._pass_to(part)
        socket = str(self.student.folder / f"calls-{len(self._names)}-{len(self._ahead)}")
        patience = self.checks.seconds * (len(given) + 4)
        serving = asyncio.create_task(self.student.run(SERVE.format(socket=socket), patience))
        try:
            shown, hidden = await self._ask(socket, given, cell.source)
        except KernelGone as gone:
            shown, hidden = [_error("NotRun", f"the checks stopped: {gone}")], []
            self.student.gone = "its answers brought the checks down"
            self._flag(f"The checks of {part} did not survive its answers; nothing after it ran.")
        await self._end(serving, part)
        cell.metadata["grading"] = {"shown_outputs": len(shown)}
        cell.outputs = [_harmless(output) for output in shown + hidden]

    async def _ask(self, socket: str, given: list[str], test: str) -> tuple[list, list]:
        """Run a test in the checks' kernel; the outputs of its visible and its hidden lines."""
        visible, hidden = split_hidden(test)
        opened = await self.checks.run(CALL.format(socket=socket, names=self._names))
        if failed(opened):
            return opened, []
        for source in given:
            await self.checks.run(source)
        shown = await self.checks.run(visible)
        more = await self.checks.run(hidden) if hidden.strip() and not failed(shown) else []
        await self.checks.run(CLOSE)
        return shown, more

    async def _end(self, serving: asyncio.Task, part: str) -> None:
        """Wait until the student's kernel has hung up; interrupt what is still at work there."""
        done, _ = await asyncio.wait([serving], timeout=1)
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


async def examine(notebook: NotebookNode, source: NotebookNode, *, seconds: int, total: int,
                  seed: str, files: dict[str, Path], given: dict[str, Path],
                  **settings) -> list[str]:
    """Run and check `notebook` in place; returns flags, a sentence each.

    Args:
        seed: that hidden tests draw their cases from.
        files: what the student's code finds beside it; given: the course's own among them.
        settings: of `ConfinedKernelManager`.
    """
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
    return examination.flags
