"""The students' edition: the kit, the lessons and the releases, and nothing that answers them.

What goes in is named here, folder by folder; the checks go in sealed, by `feedback/sealed.py`.
"""

import ast
import importlib
import json
import re
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from assignments.grading.cells import is_test, split_hidden
from assignments.grading.course import HERE, Course, CourseError, require_new, say
from assignments.grading.handout import stale_among
from course_lib.feedback.sealed import OPEN, seal

ROOT = HERE.parent
FILES = ("LICENSE", "pyproject.toml", "requirements.txt", "docs/history.md", "docs/ethics.md")
README = Path(__file__).parent / "templates" / "students.md"
CHECKS = re.compile(r"^from course_lib\.feedback\.(\w+) import check$", re.MULTILINE)
FRONT = '''"""Checks of {assignment}, sealed: the questions and what answers them are in seals/."""

from course_lib.feedback.sealed import unseal

check = unseal("{assignment}")
'''
CACHES = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
LEFT_OUT = "Left out of this edition: from here on, the lesson takes your own."
UNSOLVED = (  # what an edition without solutions says instead
    ("README.md", "Read the lessons' solutions, the library", "Read the library"),
    ("notebooks/00_start_here.ipynb",
     "with its solution folded below: try first. An exercise that is not yet solved ends in a red "
     "box, which is yours to remove.",
     "and goes on with your own function: until it is solved, it ends in a red box, and so do the "
     "cells that use it."),
)
FORBIDDEN = ("### BEGIN SOLUTION", "### BEGIN HIDDEN", "COURSE_GRADING_SEED")


def edition(course: Course, options: Namespace) -> None:
    """Build the folder to hand out, and its zip beside it."""
    to = options.to.resolve()
    require_new(to)
    say(f"Building the edition, which may take minutes; {to} appears at the end.")
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}-") as beside:
        draft = Path(beside) / to.name
        build(course, draft, solutions=options.solutions)
        say("Packing the zip")
        packed = Path(shutil.make_archive(str(draft), "zip", beside, to.name))
        if to.exists():  # empty, or it had been refused
            to.rmdir()
        handed_out = packed.replace(to.with_name(packed.name))
        draft.rename(to)
    print(f"Hand out {handed_out}, or the folder that it holds.")


def build(course: Course, to: Path, *, solutions: str = "folded") -> None:
    """Write the edition into a new folder; `solutions` of the lessons: "folded" or "none".

    Raises:
        CourseError: there is something in the folder already, a release is stale, or something
            that students must not see would have gone in. Nothing is left behind then.
    """
    require_new(to)
    stale = stale_among(course, course.assignments())
    if stale:
        raise CourseError(f"The release of {', '.join(stale)} is not what its source makes, so "
                          f"students would get an old one: python -m assignments.grading prepare.")
    try:
        fill(course, to, solutions)
        say("Searching all of it for what students must not see")
        if found := list(secrets_in(course, to)):
            raise CourseError(f"Not built, as students would see what they should not: {found[0]}")
    except BaseException:
        shutil.rmtree(to, ignore_errors=True)
        raise


def fill(course: Course, to: Path, solutions: str) -> None:
    """Copy what students get."""
    say("Copying library, lessons and releases")
    for name in FILES:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, to / name)
    shutil.copyfile(README, to / "README.md")
    shutil.copytree(ROOT / "course_lib", to / "course_lib", ignore=CACHES)
    (to / "notebooks").mkdir()
    for lesson in sorted((ROOT / "notebooks").glob("*.ipynb")):  # not what running them left
        shutil.copyfile(lesson, to / "notebooks" / lesson.name)
    for name in course.assignments():
        release = course.notebook("release", name)
        shutil.copytree(release.parent, to / "assignments" / name, ignore=CACHES)
    close_checks(course, to / "course_lib" / "feedback")
    if solutions == "none":
        for path in sorted((to / "notebooks").glob("*.ipynb")):
            leave_out_solutions(path)
        for name, folded, unsolved in UNSOLVED:
            text = (to / name).read_text(encoding="utf-8")
            (to / name).write_text(text.replace(folded, unsolved), encoding="utf-8")


def close_checks(course: Course, folder: Path) -> None:
    """Put sealed checks in the place of those that hold answers."""
    for path in folder.glob("*.py"):
        if path.stem not in (*OPEN, "__init__"):
            path.unlink()
    for name in course.assignments():
        source = nbformat.read(course.notebook("release", name), 4)
        imports = CHECKS.search("\n".join(cell.source for cell in source.cells))
        if imports is None:
            continue
        say(f"Sealing the checks of {name}")
        module = importlib.import_module(f"course_lib.feedback.{imports[1]}")
        seal(module.check, folder / "seals")
        (folder / f"{imports[1]}.py").write_text(FRONT.format(assignment=name), encoding="utf-8")
    for path in folder.glob("seals/*"):
        path.chmod(0o644)  # safetensors writes for its owner alone


def leave_out_solutions(path: Path) -> None:
    """Let a lesson go on with the student's own function where it has a solution, folded."""
    notebook = nbformat.read(path, 4)
    exercise = None
    for cell in notebook.cells:
        if "NotImplementedError" in cell.source:
            exercise = cell
        elif is_folded(cell):
            cell.source, cell.outputs, cell.execution_count = instead(exercise, cell), [], None
            cell.metadata.tags = ["raises-exception"]
            del cell.metadata["jupyter"]
    nbformat.write(notebook, path)


def is_folded(cell: NotebookNode) -> bool:
    """Whether a lesson's cell is an exercise's solution."""
    return cell.cell_type == "code" and bool(cell.metadata.get("jupyter", {}).get("source_hidden"))


def instead(exercise: NotebookNode, solution: NotebookNode) -> str:
    """What stands for a solution: its names, given to the student's functions."""
    theirs, ours = checked(exercise), checked(solution)
    return f"# {LEFT_OUT}\n{', '.join(ours)} = {', '.join(theirs)}\n"


def checked(cell: NotebookNode) -> list[str]:
    """The functions that a cell of a lesson ends by checking."""
    calls = [node.value for node in ast.parse(cell.source).body
             if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    return [ast.unparse(argument) for argument in calls[-1].args]


def secrets_in(course: Course, folder: Path) -> Iterator[str]:
    """Sentences about what is in an edition and must not be; none if all is well."""
    answers = dict(answers_of(course))
    seed = course.root / "seed.txt"
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        name = path.relative_to(folder)
        if name.parts[0] == "tests" or {"source", "grading", "mutants"} & set(name.parts):
            yield f"{name} is not for students."
        if path.suffix in (".safetensors", ".jpg", ".png"):
            continue
        text = text_of(path)
        for word in FORBIDDEN:
            if word in text and name != Path("course_lib/feedback/sealed.py"):
                yield f"{name} holds {word!r}."
        if seed.exists() and len(seed.read_text().strip()) > 5 and seed.read_text().strip() in text:
            yield f"{name} holds the seed of the hidden tests."
        squeezed = squeeze(text)
        yield from (f"{name} holds {what}." for what, answer in answers.items()
                    if answer in squeezed)


def answers_of(course: Course) -> Iterator[tuple[str, str]]:
    """By what they are, the solutions and hidden tests of all assignments, without white space.

    Single lines are left out: many a lesson holds one by chance.
    """
    for name in course.assignments():
        for cell in nbformat.read(course.notebook("source", name), 4).cells:
            part = cell.metadata.get("nbgrader", {}).get("grade_id")
            found = re.findall(r"### BEGIN SOLUTION\n(.*?)\n *### END", cell.source, re.DOTALL)
            hidden = split_hidden(cell.source)[1] if is_test(cell) else ""
            for kind, text in [("a solution", one) for one in found] + [("hidden tests", hidden)]:
                if text.strip().count("\n") >= 1:
                    yield f"{kind} of {name}, {part}", squeeze(text)


def squeeze(text: str) -> str:
    """A text without white space, so that indents do not hide an answer."""
    return re.sub(r"\s+", "", text)


def text_of(path: Path) -> str:
    """What a person reads in a file: a notebook's cells, or the text."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
