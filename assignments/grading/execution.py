"""A confined kernel that runs cells one after another, and keeps time and outputs in bounds."""

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

from assignments.grading.confinement import ConfinedKernelManager

INSIDE = {  # what a kernel can import, and where it comes from
    "course_remote": Path(__file__).with_name("remote.py"),
    "course_snapshots": Path(__file__).with_name("snapshots.py"),
}
# While it imports, Python's collector looks through a million new objects, and finds no garbage.
WARM_UP = """import gc; gc.disable()
try: exec({imports!r}, {{}})
finally: gc.enable(); del gc"""
STOPPED = {"ename": "Stopped", "evalue": "the cell took too long", "traceback": []}
MAX_OUTPUT = 10 << 20  # characters a cell; a large figure has one million
GRACE = 8  # seconds in which an interrupted kernel must answer


class KernelGone(Exception):
    """The kernel died, or does not listen any more; the message is a sentence for the flag."""


class Kernel(NotebookClient):
    """One confined kernel that runs one source after another and keeps its outputs in bounds.

    Args:
        seconds: that a cell may take.
        imports: statements that load what the cells will import, before any of them is timed.
        settings: of `ConfinedKernelManager`.
    """

    def __init__(self, seconds: int, *, imports: str = "", **settings):
        manager = ConfinedKernelManager(**settings)
        super().__init__(
            new_notebook(cells=[new_code_cell()]), km=manager, timeout=seconds, allow_errors=True,
            iopub_timeout=GRACE, raise_on_iopub_timeout=True, interrupt_on_timeout=True,
            startup_timeout=120, error_on_timeout=STOPPED,
        )
        self.folder, self.max_bytes = Path(manager.folder), manager.disk_mb << 20
        self.gone, self.stopped, self.overflowed, self._room = "", False, False, MAX_OUTPUT
        self.seconds, self.deadline = seconds, math.inf
        self._warm_up = WARM_UP.format(imports=imports)
        (self.folder / "site-packages").mkdir()
        for name, path in INSIDE.items():
            shutil.copyfile(path, self.folder / f"site-packages/{name}.py")

    async def __aenter__(self):
        await self.async_start_new_kernel()
        await self.async_start_new_kernel_client()
        await self.run(self._warm_up, self.startup_timeout)  # torch takes its time
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
