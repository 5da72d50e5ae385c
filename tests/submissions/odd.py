"""Submissions whose files are odd: no files at all, thousands, gigabytes, or called strangely."""

import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nbformat.v4 import new_code_cell

from assignments.grading.course import Course
from tests.submissions.course import NAME, RIGHT, filled_in, write

BOTH, NONE = (2, 3), (0, 0)
NOTEBOOK = f"{NAME}.ipynb"


@dataclass(frozen=True)
class Odd:
    """A submission that is right but for what `make` does in its folder.

    Attributes:
        points: of the two tested parts.
        flag: words of the sentence that the instructor reads; empty if there is none.
    """

    points: tuple[int, int]
    flag: str
    make: Callable[[Path], object]


def _linked(folder: Path) -> None:
    (folder / NOTEBOOK).unlink()
    (folder / NOTEBOOK).symlink_to(folder.parents[2] / "source" / NAME / NOTEBOOK)


def _pipe_for_notebook(folder: Path) -> None:
    (folder / NOTEBOOK).unlink()
    os.mkfifo(folder / NOTEBOOK)


def _no_plain_files(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    os.mknod(folder / "socket", 0o600 | stat.S_IFSOCK)
    if os.geteuid() == 0:
        os.mknod(folder / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (folder / "passwd").symlink_to("/etc/passwd")
    (folder / "up").symlink_to(folder.parent)


def _thousands(folder: Path) -> None:
    for number in range(3500):
        write("x", folder / f"frames/{number}.txt")


def _no_date(folder: Path) -> None:
    write("the other day", folder / "timestamp.txt")


def _date(folder: Path) -> None:
    write("2026-11-28 12:00:00 UTC", folder / "timestamp.txt")


def _gigabytes(folder: Path) -> None:
    with open(folder / "film.mp4", "wb") as file:
        file.truncate(3 << 30)


def _all_at_once(folder: Path) -> None:
    for make in (_no_plain_files, _thousands, _gigabytes, _no_date):
        make(folder)


def _huge_notebook(folder: Path) -> None:
    with open(folder / NOTEBOOK, "ab") as file:
        file.truncate(3 << 30)


def _strange_cells(folder: Path) -> None:
    content = json.loads((folder / NOTEBOOK).read_text())
    blank = new_code_cell("1")
    content["cells"] = [
        new_code_cell("lost = 'half a pair: \ud800'"), new_code_cell("!true\n" * 700),
        *content["cells"][:-1], *[blank] * 100_000, content["cells"][-1],
    ]
    (folder / NOTEBOOK).write_text(json.dumps(content))


def _copy(folder: Path) -> None:
    (folder / NOTEBOOK).rename(folder / f"{NAME}-Copy1.ipynb")
    release = folder.parents[2] / "release" / NAME / NOTEBOOK
    (folder / NOTEBOOK).write_bytes(release.read_bytes())


ODD = {
    "linked": Odd(NONE, "set aside", _linked),
    "pipe-for-notebook": Odd(NONE, "set aside", _pipe_for_notebook),
    "no-plain-files": Odd(BOTH, "set aside", _no_plain_files),
    "thousands-of-files": Odd(BOTH, "3300 of the files were set aside", _thousands),
    "gigabytes": Odd(BOTH, "film.mp4", _gigabytes),
    "huge-notebook": Odd(NONE, "more than 200 MB", _huge_notebook),
    "no-date": Odd(BOTH, "timestamp.txt", _no_date),
    "a-date": Odd(BOTH, "", _date),
    "strange-cells": Odd(BOTH, "thousands of cells", _strange_cells),
    "copy": Odd(BOTH, "the copy beside it was graded", _copy),
}
GRADED = {  # from end to end, which takes two kernels each
    **{name: ODD[name] for name in ("linked", "strange-cells", "copy")},
    "all-at-once": Odd(BOTH, "of the files were set aside", _all_at_once),
    "x" * 245: Odd(BOTH, "", _date),
}


def hand_in_odd(course: Course, submissions: dict[str, Odd]) -> None:
    """All of them, in the course's folder of what was handed in."""
    for student, odd in submissions.items():
        path = course.notebook("submitted", NAME, student)
        write(filled_in(course, **RIGHT), path)
        odd.make(path.parent)
