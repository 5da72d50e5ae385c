"""Prepare, check, collect: what happens before grading."""

import re
import shutil
import tempfile
from argparse import Namespace
from pathlib import Path

import nbformat

from assignments.grading.cells import is_test, split_hidden
from assignments.grading.confinement import is_plain_file
from assignments.grading.course import Course, CourseError


def prepare(course: Course, options: Namespace) -> None:
    """Make the releases from the sources, and enter them in the gradebook."""
    for assignment in options.assignments or course.assignments():
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
    stale = [name for name in options.assignments or course.assignments() if is_stale(course, name)]
    for name in stale:
        print(f"{name}: the release is stale: python -m assignments.grading prepare {name}")
    return int(bool(stale))


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


def collect(course: Course, options: Namespace) -> None:
    """Copy downloads into submitted/STUDENT/NAME/: from a folder or one file a student.

    A file's student is its name up to the first underscore. The notebook may bear another name,
    as browsers and LMS give it, if it is the only one. Links are not followed.
    """
    course.require(options.assignment)
    if not options.downloads.is_dir():
        raise CourseError(f"{options.downloads} is no folder: name the one you downloaded to.")
    paths = [path for path in sorted(options.downloads.iterdir())
             if not path.is_symlink() and not path.name.startswith(".")]
    students = [student_of(path) for path in paths]
    if twice := sorted({name for name in students if students.count(name) > 1}):
        raise CourseError(
            f"{', '.join(twice)} would get the work of more than one file, so one would be lost: "
            f"rename the files so that each student's begins with another name and an underscore."
        )
    for path, student in zip(paths, students, strict=True):
        files = handed_in(path, options.assignment)
        if files:
            place(files, course.notebook("submitted", options.assignment, student).parent)
            print(f"{student}: {', '.join(sorted(files))}")
        else:
            print(f"{student}: no notebook found in {path}")


def student_of(path: Path) -> str:
    """Whose a folder or file of the download is."""
    return re.sub(r"[^\w.@-]", "-", path.name if path.is_dir() else path.stem.split("_")[0])


def handed_in(path: Path, assignment: str) -> dict[str, Path]:
    """The files of one student, by the name that they should have."""
    if path.is_file():
        return {f"{assignment}.ipynb": path} if path.suffix == ".ipynb" else {}
    plain = [file for file in sorted(path.rglob("*")) if is_plain_file(file)
             and not any(parent.is_symlink() for parent in file.parents)]
    notebooks = [file for file in plain
                 if file.suffix == ".ipynb" and ".ipynb_checkpoints" not in file.parts]
    named = [file for file in notebooks if file.name == f"{assignment}.ipynb"] or notebooks
    if len(named) != 1:
        return {}
    home = named[0].parent
    beside = {str(file.relative_to(home)): file for file in plain
              if file.is_relative_to(home) and file.suffix != ".ipynb"}
    return beside | {f"{assignment}.ipynb": named[0]}


def place(files: dict[str, Path], folder: Path) -> None:
    """Copy files into a folder that is new."""
    if folder.exists():
        shutil.rmtree(folder)
    for name, path in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
