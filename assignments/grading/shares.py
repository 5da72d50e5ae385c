"""Shares of a class: several machines grade in one folder, each with a gradebook of its own.

A database of SQLite's is safe for many processes of one machine, and not on a folder that several
share, so grades come together at last, by one machine: `gather`.
"""

import contextlib
import hashlib
import os
import re
import secrets
import sqlite3
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry

from assignments.grading.course import Course, CourseError
from assignments.grading.handout import is_stale


@dataclass(frozen=True)
class Share:
    """The `number`-th of `of` parts of a class, from 1 on."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Share":
        """What "2/4" says on a command line."""
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise ArgumentTypeError(f"a share is {text!r}, but K/N is wanted, the K-th of N "
                                    f"parts of the class: 1/4, say, to 4/4.")
        return cls(int(found[1]), int(found[2]))

    def holds(self, student: str) -> bool:
        """Whether a student belongs to it, by name alone: late work shifts nobody."""
        digest = hashlib.sha256(student.encode(errors="surrogateescape")).digest()
        return int.from_bytes(digest[:8]) % self.of == self.number - 1

    def gradebook(self, course: Course, assignment: str) -> Path:
        """Where its grades lie until they are gathered."""
        return course.root / f"gradebook-{assignment}-{self.number}-of-{self.of}.db"


def begin(course: Course, assignment: str, share: Share) -> str:
    """A gradebook for this share, as a database's address; it is kept from an earlier start.

    Raises:
        CourseError: the release is not in the gradebook, or stale. A share doesn't make it anew,
            as others read it.
    """
    whole, own = course.root / "gradebook.db", share.gradebook(course, assignment)
    if not _knows(whole, assignment) or is_stale(course, assignment):
        raise CourseError(f"The release of {assignment} is not prepared as its source is now, "
                          f"which shares leave to one machine: "
                          f"python -m assignments.grading prepare {assignment}.")
    changed = course.notebook("source", assignment).stat().st_mtime
    if not own.exists() or own.stat().st_mtime < changed:  # grades of an older source are void
        draft = course.root / f"{own.name}-{secrets.token_hex(8)}.tmp"
        with contextlib.closing(sqlite3.connect(f"file:{whole}?mode=ro", uri=True)) as source:
            with contextlib.closing(sqlite3.connect(draft)) as copy:
                source.backup(copy)
        os.replace(draft, own)
    return f"sqlite:///{own}?timeout=120"


def _knows(path: Path, assignment: str) -> bool:
    if not path.exists():
        return False
    with Gradebook(f"sqlite:///{path}", "safety-wheels") as gradebook:
        return assignment in {one.name for one in gradebook.assignments}


def gather(course: Course, options: Namespace) -> int:
    """Enter the grades of all shares in the gradebook; whoever is not graded yet is named."""
    assignment = options.assignment
    course.require(assignment)
    paths = sorted(course.root.glob(f"gradebook-{assignment}-*-of-*.db"))
    graded = {student for student in course.students(assignment)
              if course.is_graded(assignment, student)}
    entered = 0
    with Gradebook(f"sqlite:///{course.root}/gradebook.db?timeout=120", "safety-wheels") as whole:
        for path in paths:
            with Gradebook(f"sqlite:///{path}?timeout=120", "safety-wheels") as part:
                for student in shared(path, assignment, graded):
                    entered += _enter(part, whole, assignment, student)
        missing = [one for one in course.students(assignment) if one not in graded]
        lost = [one for one in sorted(graded) if not _has(whole, assignment, one)]
    print(f"{entered} submissions of {len(paths)} shares were entered in the gradebook.")
    if missing:
        print(f"Not graded yet: {', '.join(missing)}. Start their shares again, then gather again.")
    if lost:
        print(f"Graded, but in nobody's gradebook: {', '.join(lost)}. Grade these --again.")
    if missing or lost:
        return 1
    for path in paths:
        path.unlink()
    return 0


def shared(path: Path, assignment: str, students: set[str]) -> Iterator[str]:
    """Those students whose grades a share's gradebook holds, by its name."""
    number, of = re.fullmatch(rf"gradebook-{re.escape(assignment)}-(\d+)-of-(\d+)",
                              path.stem).groups()
    return filter(Share(int(number), int(of)).holds, sorted(students))


def _has(gradebook: Gradebook, assignment: str, student: str) -> bool:
    try:
        gradebook.find_submission(assignment, student)
    except MissingEntry:
        return False
    return True


def _enter(part: Gradebook, whole: Gradebook, assignment: str, student: str) -> bool:
    """Copy what a grader found out of one submission; points by hand stay."""
    if not _has(part, assignment, student):
        return False  # graded by another share, or before there were shares
    theirs = part.find_submission(assignment, student)
    whole.update_or_create_student(student)
    with whole.db.no_autoflush:  # or SQLAlchemy warns of what nbgrader has half built
        ours = whole.update_or_create_submission(assignment, student)
    ours.timestamp = theirs.timestamp
    for notebook in theirs.notebooks:
        place = notebook.name, assignment, student
        for grade in notebook.grades:
            own = whole.find_grade(grade.name, *place)
            own.auto_score = grade.auto_score
            own.needs_manual_grade = own.manual_score is not None or grade.auto_score is None
        for comment in notebook.comments:
            whole.find_comment(comment.name, *place).auto_comment = comment.auto_comment
    whole.db.commit()
    return True
