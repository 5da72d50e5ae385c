"""Prepare and check: what happens before handing out."""

import shutil
import tempfile
from argparse import Namespace
from pathlib import Path

import nbformat

from assignments.grading.cells import is_test, split_hidden
from assignments.grading.course import Course, CourseError, say


def prepare(course: Course, options: Namespace) -> None:
    """Make the releases from the sources, and enter them in the gradebook."""
    for assignment in options.assignments or course.assignments():
        say(f"{assignment}: making its release, which takes seconds")
        release(course, assignment)
        print(f"{assignment}: hand out {course.notebook('release', assignment)}")


def release(course: Course, assignment: str) -> None:
    """Make one release from its source."""
    course.require(assignment)
    for cell in filter(is_test, nbformat.read(course.notebook("source", assignment), 4).cells):
        visible, hidden = split_hidden(cell.source)
        if hidden and not cell.source.startswith(visible.rstrip()):
            raise CourseError(
                f"In {assignment}, {cell.metadata.nbgrader.grade_id}: hidden tests run after the "
                "visible ones, so move them to the end of the cell."
            )
    course.nbgrader("generate_assignment", assignment, "--force")


def check(course: Course, options: Namespace) -> int:
    """Say which releases are not what their sources make."""
    names = options.assignments or course.assignments()
    stale = stale_among(course, names)
    for name in stale:
        print(f"{name}: the release is stale: python -m assignments.grading prepare {name}")
    print(f"{len(names) - len(stale)} of {len(names)} releases are what their sources make.")
    return int(bool(stale))


def stale_among(course: Course, names: list[str]) -> list[str]:
    """The assignments whose releases are stale, with a line for each that is looked at."""
    stale = []
    for number, name in enumerate(names, 1):
        say(f"Comparing release and source, {number} of {len(names)}: {name}")
        stale += [name] if is_stale(course, name) else []
    return stale


def is_stale(course: Course, assignment: str) -> bool:
    """Whether the release is other than its source makes it."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Course(Path(folder))
        source = course.notebook("source", assignment).parent
        shutil.copytree(source, trial.notebook("source", assignment).parent)
        release(trial, assignment)
        return _files(course, assignment) != _files(trial, assignment)


def _files(course: Course, assignment: str) -> dict[Path, bytes]:
    folder = course.notebook("release", assignment).parent
    paths = [path for path in folder.rglob("*") if ".ipynb_checkpoints" not in path.parts]
    return {path.relative_to(folder): path.read_bytes() for path in paths if path.is_file()}
