"""Grading: thirty submissions of a1 on two cores, graded as an instructor would, by one command.

Ten are right, ten have a classic mistake in every other part, six are half done, four untouched.
On a machine that others use as well, the wall clock shows it, the CPU time hardly: read both.
"""

import contextlib
import copy
import ctypes
import importlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import torch
from nbformat import NotebookNode

from assignments.grading.course import Course
from assignments.grading.handout import release

NAME, JOBS = "a1_gradient_domain", 2
PR_SET_CHILD_SUBREAPER = 36
Row = tuple[str, str, float | None, str | None, float | None, float | None]


def rows(device: torch.device | str) -> Iterator[Row]:
    """The wall clock and the CPU's time for all, and each submission's share."""
    with tempfile.TemporaryDirectory() as folder:
        course = Course(Path(folder))
        n = len(hand_in(course))
        words = ["--course", folder, "grade", NAME, "--jobs", str(JOBS)]
        wall, cpu = seconds([sys.executable, "-m", "assignments.grading", *words])
        missing = [s for s in course.students(NAME) if not course.is_graded(NAME, s)]
    yield f"grade {n}, wall clock", f"{JOBS} jobs", wall, "", None, None
    yield f"grade {n}, CPU time", f"{JOBS} jobs", cpu, "", None, None
    yield "  one submission, CPU time", "", cpu / n, "", None, None
    if missing:
        yield f"  not graded: {', '.join(missing)}", "", None, "", None, None


def hand_in(course: Course) -> list[str]:
    """Thirty submissions in a fresh course; their students."""
    ours = Course()
    source = nbformat.read(ours.notebook("source", NAME), 4)
    write(source, course.notebook("source", NAME))
    release(course, NAME)
    blank = nbformat.read(course.notebook("release", NAME), 4)
    mutants = importlib.import_module(f"tests.mutants.{NAME}").MUTANTS
    right = {part: find(source, part).source for part in mutants}
    work = {f"right-{i}": right for i in range(10)}
    work |= {f"wrong-{i}": mistaken(right, mutants, i) for i in range(10)}
    work |= {f"half-{i}": dict(list(right.items())[:5]) for i in range(6)}
    work |= {f"blank-{i}": {} for i in range(4)}
    for student, answers in work.items():
        notebook = copy.deepcopy(blank)
        for part, answer in answers.items():
            find(notebook, part).source = answer
        write(notebook, course.notebook("submitted", NAME, student))
    return list(work)


def mistaken(right: dict[str, str], mutants: dict, number: int) -> dict[str, str]:
    """The solution with a mistake in every other part."""
    answers = dict(right)
    for part in list(mutants)[number % 2::2]:
        mutant = mutants[part][number % len(mutants[part])]
        answers[part] = answers[part].replace(mutant.right, mutant.wrong)
    return answers


def find(notebook: NotebookNode, part: str) -> NotebookNode:
    """A cell by its grade_id."""
    return next(cell for cell in notebook.cells
                if cell.metadata.get("nbgrader", {}).get("grade_id") == part)


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def seconds(command: list[str]) -> tuple[float, float]:
    """Wall and CPU time of a command and of all processes that it starts (Linux).

    Asked for three times a second: kernels are killed, and nobody is told what those took.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphans stay in the family
    before = set(psutil.Process().children(recursive=True))
    used: dict[psutil.Process, float] = {}
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2]) as run:
        while run.poll() is None:
            for one in set(psutil.Process().children(recursive=True)) - before:
                with contextlib.suppress(psutil.Error):
                    used[one] = sum(one.cpu_times()[:2])
            time.sleep(0.3)
    return time.perf_counter() - start, sum(used.values())
