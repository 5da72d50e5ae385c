"""Sets aside what no submission should hold, before anything reads it.

Links lead elsewhere, pipes never end, and thousands of files keep a grader busy. What is set aside
is kept, in set_aside/STUDENT/NAME/.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from nbgrader.utils import parse_utc

from assignments.grading.confinement import is_plain_file
from assignments.grading.course import Course, CourseError
from assignments.grading.display import printable

MAX_FILES, MAX_BYTES = 200, 200 << 20  # beside the notebook


def sift(course: Course, assignment: str, student: str) -> list[str]:
    """Leave a notebook and plain files in a submission; returns flags, a sentence each.

    Raises:
        CourseError: the whole submission is a link, or no folder.
    """
    folder = course.notebook("submitted", assignment, student).parent
    if folder.is_symlink() or folder.parent.is_symlink() or not folder.is_dir():
        raise CourseError(
            f"submitted/{printable(student)}/{assignment} is a link or no folder, so it may lead "
            "to anybody's work: put the student's own files there."
        )
    aside = course.root / "set_aside" / student / assignment
    notebook = folder / f"{assignment}.ipynb"
    for path in list(unfit(folder, notebook)):
        kept = aside / path.relative_to(folder)
        kept.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, kept)
    if not notebook.exists():
        notebook.touch()  # so that what is missing is graded, as nothing
    names = [str(path.relative_to(aside)) for path in sorted(aside.rglob("*"))
             if path.is_symlink() or not path.is_dir()]
    return [set_aside(names, aside.relative_to(course.root))] if names else []


def unfit(folder: Path, notebook: Path) -> Iterator[Path]:
    """What is neither the notebook nor one of a fair number of plain files of fair size."""
    files = bytes_ = 0
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        for path in (Path(place, name) for name in sorted(links + names)):
            if not is_plain_file(path):
                yield path
            elif path != notebook:
                files, bytes_ = files + 1, bytes_ + path.stat().st_size
                if files > MAX_FILES or bytes_ > MAX_BYTES or is_no_date(path, folder):
                    yield path
                    bytes_ -= path.stat().st_size


def is_no_date(path: Path, folder: Path) -> bool:
    """Whether this is nbgrader's time stamp, and tells no time."""
    if path != folder / "timestamp.txt":
        return False
    try:
        with open(path, encoding="utf-8") as file:
            parse_utc(file.read(100).strip())
    except (ValueError, OverflowError):
        return True
    return path.stat().st_size > 100


def set_aside(names: list[str], where: Path) -> str:
    """The flag."""
    first = ", ".join(map(printable, names[:3])) + (", …" if len(names) > 3 else "")
    return (
        f"{len(names)} of the files were set aside, ungraded ({first}): links and the like, a "
        f"timestamp.txt that is no date, or more than {MAX_FILES} files or {MAX_BYTES >> 20} MB; "
        f"they lie in {printable(where)}."
    )
