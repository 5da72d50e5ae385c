"""Copies a download from the LMS into submitted/: finds out whose each file is, and what it is.

Known are the names that Moodle and Canvas give, and the plain `STUDENT_anything`.
"""

import contextlib
import re
import shutil
import tempfile
import unicodedata
import zipfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path, PurePath

import nbformat

from assignments.grading.confinement import is_plain_file
from assignments.grading.course import Course, CourseError
from assignments.grading.display import printable

# Moodle: "Lovelace Ada_123456_assignsubmission_file_", a folder, or before a file's name.
# Canvas: "lovelaceada_LATE_12345_67890_a1.ipynb".
PATTERNS = [re.compile(pattern, re.DOTALL) for pattern in (
    r"(?P<name>.+?)_(?P<number>\d+)_assignsubmission_[a-z]+_?(?P<file>.*)",
    r"(?P<name>[^_]+)(?:_LATE)?_(?P<number>\d+)_\d+_(?P<file>.+)",
    r"(?P<name>[^_]+)_(?P<file>.+)",
)]
LITTER = {"__MACOSX", "__pycache__", "Thumbs.db", "desktop.ini"}


def collect(course: Course, options: Namespace) -> None:
    """Copy a download, a folder or zip, into submitted/STUDENT/NAME/; what is there is replaced.

    The notebook may bear another name, as browsers and LMS give it, if it is the only one. Links
    are not followed. Who handed in several notebooks or none is named, and collected later.
    """
    course.require(options.assignment)
    known = known_cells(course)
    with opened(options.downloads) as downloads:
        left = [student for student, files in by_student(downloads).items()
                if not collect_one(course, options.assignment, student, files, known)]
    if left:
        print(f"Not collected: {', '.join(map(printable, left))}. Mend these, and collect again.")


def collect_one(course: Course, assignment: str, student: str, files: dict[str, Path],
                known: dict[str, set[str]]) -> bool:
    """Put one student's files in place, and say so; whether there was one notebook to grade.

    Args:
        known: `known_cells` of the course.
    """
    found = handed_in(files, assignment)
    if not isinstance(found, str):
        other = another(assignment, found[f"{assignment}.ipynb"], known)
        found = f"this is {other}, which is collected by its own name" if other else found
    if isinstance(found, str):
        print(f"{printable(student)}: {found}")
        return False
    deliver(course, assignment, student, found)
    names = [printable(name) for name in sorted(found)]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    print(f"{printable(student)}: {', '.join(names[:5])}{more}")
    return True


@contextlib.contextmanager
def opened(downloads: Path) -> Iterator[Path]:
    """The folder that was downloaded, unpacked if it is a zip."""
    if downloads.is_dir():
        yield downloads
    elif zipfile.is_zipfile(downloads):
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(downloads) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            if size > shutil.disk_usage(folder).free // 2:
                raise CourseError(
                    f"{downloads} unpacks to {size >> 20} MB, for which there is no room: unpack "
                    "it elsewhere, and name the folder."
                )
            archive.extractall(folder)
            yield Path(folder)
    else:
        raise CourseError(
            f"{downloads} is no folder and no zip: name what you downloaded from the LMS."
        )


def by_student(downloads: Path) -> dict[str, dict[str, Path]]:
    """For each student, the plain files by their names below what the LMS put around them."""
    found: dict[tuple[str, str], dict[str, Path]] = {}
    for path in sorted(downloads.iterdir()):
        if path.is_symlink() or is_litter(PurePath(path.name)):
            continue
        name, number, file = whose(path)
        for inner, plain in files_of(path).items():
            files = found.setdefault((name, number), {})
            inner = inner if path.is_dir() else file
            files[inner if inner not in files else f"{path.name}/{inner}"] = plain
        found.setdefault((name, number), {})
    names = [name for name, _ in found]
    return {f"{name}-{number}" if number and names.count(name) > 1 else name: files
            for (name, number), files in found.items()}


def whose(path: Path) -> tuple[str, str, str]:
    """The student's name, the LMS' number if it has one, and the file's own name."""
    name = unicodedata.normalize("NFC", path.name)
    # A folder that no LMS named bears the student's name alone.
    for pattern in PATTERNS[:1] if path.is_dir() else PATTERNS:
        if match := pattern.fullmatch(name):
            parts = match.groupdict()
            return student_of(parts["name"]), parts.get("number", ""), parts["file"]
    if path.is_dir():
        return student_of(name), "", ""
    return student_of(re.sub(r" ?\(\d+\)$", "", PurePath(name).stem)), "", name


def student_of(name: str) -> str:
    """A name as a folder bears it: letters of any script, digits, and `.@_-`."""
    kept = (c if c.isalnum() or c in ".@_-" or unicodedata.category(c)[0] == "M" else "-"
            for c in unicodedata.normalize("NFC", name.strip()))
    return "".join(kept)[:100].lstrip(".-") or "unnamed"


def is_litter(path: PurePath) -> bool:
    """Whether a system left this: hidden files, macOS' ghosts, caches, JupyterLab's checkpoints."""
    return any(part.startswith(".") or part in LITTER for part in path.parts)


def files_of(path: Path) -> dict[str, Path]:
    """A file, or those in a folder, by their paths in it; without links, pipes and litter."""
    if not path.is_dir():
        return {path.name: path} if is_plain_file(path) else {}
    inside = {file.relative_to(path): file for file in sorted(path.rglob("*"))}
    return {
        str(inner): file for inner, file in inside.items()
        if is_plain_file(file) and not is_litter(inner)
        and not any((path / parent).is_symlink() for parent in inner.parents)
    }


def handed_in(files: dict[str, Path], assignment: str) -> dict[str, Path] | str:
    """The files of one student by the names that they should have, or what is the matter.

    A notebook of the right name goes with all that lies beside it, copies of it among them.
    """
    notebooks = [name for name in files if name.lower().endswith(".ipynb")]
    named = [name for name in notebooks if PurePath(name).name == f"{assignment}.ipynb"]
    if not notebooks:
        return f"no notebook among {len(files)} files" if files else "nothing to collect"
    chosen = named or notebooks
    if len(chosen) > 1:
        names = ", ".join(map(printable, chosen[:5]))
        return f"{len(chosen)} notebooks ({names}): keep the one to grade"
    home = PurePath(chosen[0]).parent
    beside = {str(PurePath(name).relative_to(home)): path for name, path in files.items()
              if PurePath(name).is_relative_to(home) and name != chosen[0]}
    beside.pop("timestamp.txt", None)  # nobody dates their own work
    return beside | {f"{assignment}.ipynb": files[chosen[0]]}


def another(assignment: str, path: Path, known: dict[str, set[str]]) -> str | None:
    """The assignment whose cells these are, if they are not this one's."""
    cells = cell_names(path)
    shared = {name: len(cells & names) for name, names in known.items()}
    most = max(shared, key=shared.get)
    return most if shared[most] > 2 * shared[assignment] else None


def known_cells(course: Course) -> dict[str, set[str]]:
    """The names of each assignment's cells."""
    return {name: cell_names(course.notebook("source", name)) for name in course.assignments()}


def cell_names(path: Path) -> set[str]:
    """nbgrader's names of a notebook's cells; none of what can't be read, which is told later."""
    try:
        cells = nbformat.read(path, 4).cells
    except (OSError, ValueError, AttributeError, nbformat.ValidationError):
        return set()
    return {cell.metadata.get("nbgrader", {}).get("grade_id") for cell in cells} - {None}


def deliver(course: Course, assignment: str, student: str, files: dict[str, Path]) -> None:
    """Copy files into submitted/, where a former submission gives way."""
    folder = course.notebook("submitted", assignment, student).parent
    for former in (folder, course.root / "set_aside" / student / assignment):
        if former.exists():
            shutil.rmtree(former)
    for name, path in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
