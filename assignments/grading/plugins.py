"""The parts that nbgrader's own commands are given by nbgrader_config.py."""

import asyncio
import csv
import html
import re
from pathlib import Path

import nbformat
from nbconvert.exporters import HTMLExporter, NotebookExporter
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output
from nbgrader.api import MissingEntry
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import ExportPlugin
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Enum, Integer, Unicode

from assignments.grading.cells import is_extra, is_test, split_hidden
from assignments.grading.confinement import KINDS, is_plain_file, require_hidden, require_wall
from assignments.grading.course import Course
from assignments.grading.examination import examine
from assignments.grading.execution import failed
from assignments.grading.pages import clean
from assignments.grading.repair import mend

HIDDEN_TEST_FAILED = (
    "The tests that you see passed. A hidden test, which tries your code on other inputs, did not."
)
FONT = re.compile(r"@font-face\s*{[^}]*}")
PART = re.compile(r"^## +(.+?)(?: \(\d+ points?\))?$", re.MULTILINE)
SERVED = {".ipynb", ".png", ".jpg", ".jpeg", ".gif", ".txt"}
BY_HAND = (
    "Nothing was graded: autograde alone knows neither the seed of the hidden tests nor what is "
    "graded already, so grade by `python -m assignments.grading grade ASSIGNMENT` instead."
)
STOPPED = "Your code took too long here and was stopped: is there a loop that never ends?"
UNGRADED = "It is not graded yet, or could not be: see the log."


class MendingExporter(NotebookExporter):
    """Reads a submission in whatever state it is, and hands on a sound notebook."""

    def __init__(self, config=None, **kwargs):
        super().__init__(config=config, **kwargs)
        if not self.config.ConfinedExecute.get("fingerprint"):
            self.log.error(BY_HAND)
            raise NbGraderException(BY_HAND)

    def from_file(self, file_stream, resources=None, **kwargs):
        path, info = Path(file_stream.name).absolute(), resources["nbgrader"]  # links as they are
        course = CourseDirectory(parent=self)
        if not path.is_relative_to(folder_of(course, "submitted").absolute()):
            return super().from_file(file_stream, resources=resources, **kwargs)
        release = folder_of(course, "release") / info["assignment"] / f"{info['notebook']}.ipynb"
        notebook, flags = mend(path, nbformat.read(release, 4))
        notebook.metadata["grading"] = {"flags": flags}
        clean(notebook)
        return self.from_notebook_node(notebook, resources=resources, **kwargs)


class ConfinedExecute(NbGraderPreprocessor):
    """Takes the place of nbgrader's `Execute`: the student's code runs behind a wall."""

    kind = Enum(KINDS, "bubblewrap", help="the wall").tag(config=True)
    cell_seconds = Integer(60, help="after which a cell is stopped").tag(config=True)
    total_seconds = Integer(900, help="after which a notebook is stopped").tag(config=True)
    memory_mb = Integer(4096, help="that a student's kernel may use").tag(config=True)
    seed = Unicode("0", help="that hidden tests draw their cases from").tag(config=True)
    noticed = Unicode(help="a sentence on the files handed in").tag(config=True)
    fingerprint = Unicode(help="of what was graded, so that it is graded once").tag(config=True)

    def preprocess(self, nb, resources):
        info, course = resources["nbgrader"], CourseDirectory(parent=self)
        require_wall(self.kind)
        require_hidden(self.kind, Path(course.root))
        source = folder_of(course, "source") / info["assignment"] / f"{info['notebook']}.ipynb"
        theirs = folder_of(course, "submitted") / info["student"] / info["assignment"]
        ours = folder_of(course, "release") / info["assignment"]
        given = plain_files(ours)
        flags = asyncio.run(examine(
            nb, nbformat.read(source, 4), seconds=self.cell_seconds, total=self.total_seconds,
            seed=self.seed, given=given, files=plain_files(theirs) | given, kind=self.kind,
            memory_mb=self.memory_mb,
        ))
        before = nb.metadata.get("grading", {}).get("flags", [])
        before += [self.noticed] if self.noticed else []
        nb.metadata["grading"] = {"flags": before + flags, "fingerprint": self.fingerprint}
        clean(nb)
        keep_pictures(folder_of(course, "autograded") / info["student"] / info["assignment"])
        return nb, resources


class HideTests(NbGraderPreprocessor):
    """Takes hidden tests, and what they printed, out of the feedback; puts the flags on top.

    Extras come on top of the maximum that the page tells, as in the CSV file.
    """

    def preprocess(self, nb, resources):
        for cell in filter(is_test, nb.cells):
            shown = cell.metadata.get("grading", {}).get("shown_outputs", len(cell.outputs))
            hidden_failed = failed(cell.outputs[shown:])
            cell.source, _ = split_hidden(cell.source)
            cell.outputs = [_told(output) for output in cell.outputs[:shown]]
            if hidden_failed:
                cell.outputs.append(new_output("stream", name="stdout", text=HIDDEN_TEST_FAILED))
        info = resources["nbgrader"]
        graded = [cell.metadata.nbgrader for cell in nb.cells
                  if cell.metadata.get("nbgrader", {}).get("grade")]  # written answers, too
        info["max_score"] = info.get("max_score", 0) - sum(
            part.points for part in graded if is_extra(part.grade_id))
        flags = nb.metadata.get("grading", {}).get("flags", [])
        if flags:
            notes = "\n".join(f"- {flag}" for flag in flags)
            nb.cells.insert(0, new_markdown_cell(f"**Noticed while grading:**\n\n{notes}"))
        return nb, resources


class FeedbackExporter(HTMLExporter):
    """The page to give back, whose list names the parts, and which asks for no font.

    nbgrader's list says "Test cell" and "Comment"; its style sheet loads an icon font that the
    page's policy refuses.
    """

    def from_notebook_node(self, nb, resources=None, **kwargs):
        titles = titles_of(nb)
        page, resources = super().from_notebook_node(nb, resources, **kwargs)
        head, end, body = page.partition("</head>")
        contents, notebook, rest = body.partition('<div id="notebook"')
        contents = re.sub(r'<a href="#(comment-)?([^"]*)">[^<]*</a>', lambda entry: (
            f'<a href="#{entry[1] or ""}{entry[2]}">{"Comment: " if entry[1] else ""}'
            f"{html.escape(titles.get(entry[2], entry[2]))}</a>"), contents)
        return FONT.sub("", head) + end + contents + notebook + rest, resources


def titles_of(notebook: NotebookNode) -> dict[str, str]:
    """By each answer's and each test's name, the heading of its part, if there is one."""
    titles, heading = {}, ""
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name and heading:
            titles[name] = heading
        elif cell.cell_type == "markdown" and not name:
            headings = PART.findall(cell.source)
            heading = headings[-1] if headings else heading
    return titles


def _told(output: NotebookNode) -> NotebookNode:
    """What a test said, without the lines of the course's own code that it came through."""
    if output.output_type != "error":
        return output
    said = STOPPED if output.ename == "KeyboardInterrupt" else f"{output.ename}: {output.evalue}"
    return new_output("error", ename=output.ename, evalue=output.evalue, traceback=[said])


class PartsCsv(ExportPlugin):
    """One row a student and assignment: points, points of each part, and flags."""

    def export(self, gradebook) -> None:
        course = CourseDirectory(parent=self)
        handed_in = {path.name for path in folder_of(course, "submitted").glob("*/")}
        students = sorted(handed_in | {student.id for student in gradebook.students})
        rows = [
            self._row(gradebook, assignment, student, course)
            for assignment in gradebook.assignments for student in students
            if (not self.assignment or assignment.name in self.assignment)
            and (not self.student or student in self.student)
        ]
        columns = list(dict.fromkeys(key for row in rows for key in row if key != "flags"))
        with open(self.to or "grades.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*columns, "flags"])
            writer.writeheader()
            writer.writerows(rows)

    def _row(self, gradebook, assignment, student: str, course) -> dict[str, object]:
        most = sum(cell.max_score for notebook in assignment.notebooks
                   for cell in notebook.grade_cells if not is_extra(cell.name))
        row = {"assignment": assignment.name, "student": student, "score": 0.0,
               "max_score": most, "by_hand": 0}
        try:
            submission = gradebook.find_submission(assignment.name, student)
        except MissingEntry:
            handed_in = (folder_of(course, "submitted") / student / assignment.name).exists()
            return row | {"flags": UNGRADED if handed_in else "nothing was handed in"}
        parts = [grade for notebook in submission.notebooks for grade in notebook.grades]
        by_hand = sum(part.needs_manual_grade for part in parts)
        row |= {"score": submission.score, "by_hand": by_hand}
        row |= {part.name: part.score for part in parts}
        flags = flags_of(folder_of(course, "autograded") / student / assignment.name)
        graded = Course(Path(course.root)).is_graded(assignment.name, student)
        if UNGRADED not in flags and not graded:
            flags.insert(0, "It was handed in anew since it was graded: grade it again.")
        return row | {"flags": " ".join(flags)}


def flags_of(folder: Path) -> list[str]:
    """The flags of a graded submission; that it is none is one, too."""
    notebooks = sorted(folder.glob("*.ipynb"))
    grading = [nbformat.read(path, 4).metadata.get("grading", {}) for path in notebooks]
    if not grading or any("fingerprint" not in each for each in grading):
        return [UNGRADED]
    return [flag for each in grading for flag in each["flags"]]


def folder_of(course: CourseDirectory, step: str) -> Path:
    """One of the course's folders: source, release, submitted, autograded or feedback."""
    return Path(course.root) / getattr(course, f"{step}_directory")


def keep_pictures(folder: Path) -> None:
    """Remove what nbgrader copied from beside the notebook: formgrader would serve it, scripts too.

    It still lies in submitted/.
    """
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix.lower() not in SERVED:
            path.unlink()


def plain_files(folder: Path) -> dict[str, Path]:
    """What lies beside the notebook: the student's own pictures, say. Links are left out."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix != ".ipynb"]
    return {
        str(path.relative_to(folder)): path for path in paths
        if is_plain_file(path) and not any(parent.is_symlink() for parent in path.parents)
    }
