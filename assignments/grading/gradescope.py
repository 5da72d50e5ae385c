"""Gradescope: an autograder zip made by one command, which grades with the same code.

Gradescope unpacks the zip into source/, runs setup.sh once and run_autograder for each submission,
and reads results/results.json. One container holds one submission.
"""

import json
import os
import shutil
import stat
import zipfile
from argparse import Namespace
from pathlib import Path

import nbformat
from nbgrader.utils import determine_grade

from assignments.grading.cells import is_extra, is_test
from assignments.grading.collecting import deliver, files_of, handed_in
from assignments.grading.confinement import why_no_bubblewrap
from assignments.grading.course import HERE, Course
from assignments.grading.execution import failed
from assignments.grading.grade import grade_one
from assignments.grading.handout import release
from assignments.grading.plugins import HIDDEN_TEST_FAILED, flags_of

STUDENT = "submission"
FILES = ["pyproject.toml", "requirements.txt", "requirements-grading.txt", "README.md", "LICENSE",
         "assignments/nbgrader_config.py"]
FOLDERS = ["course_lib", "assignments/grading"]
SETUP = """#!/usr/bin/env bash
set -euo pipefail
apt-get update && apt-get install --yes --no-install-recommends python3-venv bubblewrap
python3 -m venv /opt/course
cd /autograder/source
# The same versions as at home, torch in its small CPU build.
/opt/course/bin/pip install --index-url https://download.pytorch.org/whl/cpu {torch}
/opt/course/bin/pip install -r requirements-grading.txt
"""
RUN = """#!/usr/bin/env bash
set -euo pipefail
autograder="${{AUTOGRADER:-/autograder}}"
cd "$autograder/source"
"${{PYTHON:-/opt/course/bin/python}}" -m assignments.grading gradescope-run {name} "$autograder"
"""


def build(course: Course, options: Namespace) -> None:
    """Write the zip to upload as an autograder."""
    name = options.assignment
    release(course, name)
    with zipfile.ZipFile(options.to, "w", zipfile.ZIP_DEFLATED) as archive:
        scripts = {"setup.sh": SETUP.format(torch=torch_pin()),
                   "run_autograder": RUN.format(name=name)}
        for script, text in scripts.items():
            entry = zipfile.ZipInfo(script)
            entry.external_attr = (stat.S_IFREG | 0o755) << 16
            archive.writestr(entry, text)
        for file in FILES:
            archive.write(HERE.parent / file, file)
        for folder in FOLDERS:
            pack(archive, HERE.parent / folder, folder)
        for step in ("source", "release"):
            pack(archive, course.notebook(step, name).parent, f"assignments/{step}/{name}")
        archive.writestr("assignments/seed.txt", course.seed())
    print(f"Upload {options.to}; its tests carry {name}'s solutions, so show it to no student.")


def pack(archive: zipfile.ZipFile, folder: Path, to: str) -> None:
    """Write a folder's files, without caches."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts):
            archive.write(path, f"{to}/{path.relative_to(folder)}")


def run(course: Course, options: Namespace) -> None:
    """Grade the one submission of this container, and write its results.json."""
    folder, name = options.autograder / "results", options.assignment
    folder.mkdir(exist_ok=True)
    for private in (course.root, folder):
        os.chmod(private, 0o700)
    release(course, name)
    (folder / "results.json").write_text(json.dumps(outcome(course, options), indent=1))


def outcome(course: Course, options: Namespace) -> dict:
    """Gradescope's record of the submission, or of why there is no grade."""
    name = options.assignment
    files = handed_in(files_of(options.autograder / "submission"), name)
    if isinstance(files, str):
        return {"score": 0, "output": f"It could not be graded: {files}. Hand in {name}.ipynb."}
    autograded = course.notebook("autograded", name, STUDENT)
    shutil.rmtree(autograded.parent, ignore_errors=True)
    deliver(course, name, STUDENT, files)
    options.wall = options.wall or ("user" if why_no_bubblewrap() else "bubblewrap")
    if not grade_one(course, STUDENT, options):
        return {"score": 0, "output": "It could not be graded: please tell your instructor."}
    return results(autograded)


def torch_pin() -> str:
    """The line of requirements.txt that PyTorch's own index serves."""
    lines = (HERE.parent / "requirements.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith("torch=="))


def results(autograded: Path) -> dict:
    """Gradescope's record of a graded notebook. What a person must read is not in it."""
    tests = []
    for cell in filter(is_test, nbformat.read(autograded, 4).cells):
        points, most = determine_grade(cell)
        name = cell.metadata.nbgrader.grade_id
        tests.append({
            "name": name, "score": points, "max_score": 0 if is_extra(name) else most,
            "output": explain(cell), "output_format": "text", "visibility": "visible",
        })
    flags = " ".join(flags_of(autograded.parent))
    return {"tests": tests, "output": flags, "visibility": "visible"}


def explain(cell: nbformat.NotebookNode) -> str:
    """What the student is told about a part, in a sentence or two."""
    if not failed(cell.outputs):
        return "All tests passed."
    shown = cell.metadata.get("grading", {}).get("shown_outputs", len(cell.outputs))
    error = next((out for out in cell.outputs[:shown] if out.output_type == "error"), None)
    return HIDDEN_TEST_FAILED if error is None else error.evalue or error.ename
