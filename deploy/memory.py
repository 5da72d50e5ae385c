"""What a student's kernel needs: `python -m deploy.memory 01 06 08` runs lessons and says.

Read from the kernel's `/proc/PID/smaps_rollup`: its proportional set size (PSS), in which pages
that n processes share count 1/n, what of it is private, and from `status` its peak. Alone on the
machine a kernel shares with nobody, so PSS here is what the first student of a machine costs; each
further one costs about the private part, where environment and weights are the same files.
"""

import argparse
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient

LESSONS = Path(__file__).parents[1] / "notebooks"


@dataclass(frozen=True)
class Memory:
    """What one process holds, in MB of 2**20 bytes, and how long it has worked."""

    pss: int
    private: int
    resident: int
    peak: int  # resident, ever
    seconds: int  # of processor time, until now


def memory_of(process: int | str) -> Memory:
    """What the process of this number (or "self") holds now; Linux alone can say."""
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text("ascii")
    kilobytes = {name: int(value) for name, value in re.findall(r"(\w+):\s+(\d+) kB", rollup)}
    status = Path(f"/proc/{process}/status").read_text("utf-8")
    peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1])
    private = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    ticks = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[11:13]
    return Memory(*(round(size / 1024) for size in (
        kilobytes["Pss"], private, kilobytes["Rss"], peak)),
        round(sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")))


def run_lesson(number: str) -> Memory:
    """Run a lesson from top to bottom in a kernel of its own, and say what the kernel holds."""
    (path,) = LESSONS.glob(f"{number}_*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=1200, kernel_name="python3",
                            resources={"metadata": {"path": str(LESSONS)}})
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        return memory_of(client.km.provisioner.pid)


def main(arguments: list[str] | None = None) -> int:
    """Print a row a lesson."""
    parser = argparse.ArgumentParser(prog="python -m deploy.memory", description=__doc__)
    parser.add_argument("lessons", nargs="*", default=["01", "06", "08"], help="such as 01 08")
    asked = parser.parse_args(arguments)
    if not os.path.exists("/proc/self/smaps_rollup"):
        parser.error("only Linux says what a process shares: run this on the machine of the hub")
    print("lesson    PSS  private  resident   peak (MB)  processor time (s)")
    for number in asked.lessons:
        held = run_lesson(number)
        print(f"{number:6} {held.pss:6} {held.private:8} {held.resident:9} {held.peak:6} "
              f"{held.seconds:20}",
              flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
