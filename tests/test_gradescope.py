"""Gradescope's zip grades as at home, in a container that knows nothing of this machine."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from assignments.grading.__main__ import main
from assignments.grading.confinement import NOBODY, why_no_bubblewrap
from assignments.grading.gradescope import results
from assignments.grading.handout import release
from tests.submissions.course import (
    NAME,
    RIGHT,
    filled_in,
    find,
    make_course,
    release_notebook,
    source_notebook,
    write,
)

needs_wall = pytest.mark.skipif(
    bool(why_no_bubblewrap()), reason=f"students' code is not run here: {why_no_bubblewrap()}"
)
HALF = RIGHT | {"integrate": "def integrate(slopes, start):\n    return SIGNAL"}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The zip, unpacked as in Gradescope's container; the course that it was made from."""
    course = make_course(tmp_path_factory.mktemp("course"))
    release(course, NAME)
    zip_file = course.root / "autograder.zip"
    assert main(["--course", str(course.root), "gradescope", NAME, str(zip_file)]) == 0
    home = tmp_path_factory.mktemp("autograder")
    with zipfile.ZipFile(zip_file) as archive:
        archive.extractall(home / "source")
    return course, home


def graded(home: Path, user: str = "nobody") -> dict:
    """What Gradescope reads after run_autograder, in a shell that has nothing but the system."""
    shutil.rmtree(home / "results", ignore_errors=True)
    bare = ["env", "-i", "PATH=/usr/bin:/bin", f"PYTHON={sys.executable}"]
    command = container(home, bare, user) if os.geteuid() == 0 else [
        *bare, f"AUTOGRADER={home}", "bash", str(home / "source/run_autograder")]
    ended = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=600)
    assert ended.returncode == 0, ended.stderr
    return json.loads((home / "results/results.json").read_text())


def container(home: Path, bare: list[str], user: str) -> list[str]:
    """A container where this user is another, or is root and bubblewrap is forbidden."""
    number = NOBODY if user == "nobody" else 0
    home.chmod(0o755)  # as a container's /autograder is
    for path in (home, *home.rglob("*")):
        os.chown(path, number, number)
    become = ["setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups"]
    no_wall = ["--ro-bind", "/dev/null", shutil.which("bwrap")] if user == "root" else []
    return ["bwrap", "--dev-bind", "/", "/", "--tmpfs", "/tmp", *python_alone(), *no_wall,
            "--bind", str(home), "/tmp/autograder", "--chdir", "/", "--cap-add", "ALL", "--",
            *become, *bare, "AUTOGRADER=/tmp/autograder",
            "bash", "/tmp/autograder/source/run_autograder"]


def python_alone() -> list[str]:
    """Words for bubblewrap: of its top folder, say /root, another user sees Python alone."""
    words = []
    for path in map(Path, dict.fromkeys([sys.prefix, sys.base_prefix])):
        top = Path(*path.parts[:2])
        if top in (Path("/usr"), Path("/opt")):
            continue
        words += ["--tmpfs", str(top)] * (str(top) not in words and top != Path("/tmp"))
        for parent in reversed(path.parents[:-2]):
            words += ["--perms", "0755", "--dir", str(parent)]
        words += ["--ro-bind", str(path), str(path)]
    return words


@needs_wall
@pytest.mark.parametrize("answers, points, says", [
    (HALF, [2, 0], ["All tests passed.", "hidden test"]),
    ({}, [0, 0], ["still to be written", "still to be written"]),
])
def test_a_bare_container_grades_as_at_home(unpacked, answers, points, says):
    course, home = unpacked
    shutil.rmtree(home / "submission", ignore_errors=True)
    write(filled_in(course, **answers), home / "submission/my work.ipynb")
    found = graded(home)
    assert [(test["score"], test["max_score"]) for test in found["tests"]] == list(
        zip(points, [2, 3], strict=True))
    for test, words in zip(found["tests"], says, strict=True):
        assert words in test["output"]
    assert "secret" not in json.dumps(found)


@needs_wall
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start the kernel as another user")
def test_a_container_that_forbids_walls_grades_as_another_user(unpacked):
    course, home = unpacked
    shutil.rmtree(home / "submission", ignore_errors=True)
    reads = "import glob\nseen = glob.glob('/tmp/autograder/**', recursive=True)\nprint(seen)"
    answers = RIGHT | {"differences": reads + "\n" + RIGHT["differences"]}
    write(filled_in(course, **answers), home / "submission/my work.ipynb")
    assert [test["score"] for test in graded(home, user="root")["tests"]] == [2, 3]
    autograded = home / f"source/assignments/autograded/submission/{NAME}/{NAME}.ipynb"
    seen = find(nbformat.read(autograded, 4), "differences").outputs[0].text
    assert "/tmp/autograder/" in seen
    assert f"assignments/source/{NAME}" not in seen and "seed.txt" not in seen


@needs_wall
def test_no_notebook_and_two_are_said_to_be_the_matter(unpacked):
    _, home = unpacked
    shutil.rmtree(home / "submission", ignore_errors=True)
    write("pixels", home / "submission/photo.png")
    assert "no notebook among 1 files" in graded(home)["output"]
    for name in ("a", "b"):
        write(nbformat.writes(release_notebook()), home / f"submission/{name}.ipynb")
    found = graded(home)
    assert found["score"] == 0 and "2 notebooks (a.ipynb, b.ipynb)" in found["output"]


def test_the_zip_holds_all_that_grades(unpacked):
    _, home = unpacked
    ours = Path(__file__).parents[1]
    for folder in ("assignments/grading", "course_lib"):
        there = {path.relative_to(home / "source") for path in (home / "source" / folder).rglob("*")
                 if path.is_file() and "__pycache__" not in path.parts}
        assert there == {path.relative_to(ours) for path in (ours / folder).rglob("*")
                         if path.is_file() and "__pycache__" not in path.parts}


def test_the_container_gets_the_versions_of_the_course(unpacked):
    _, home = unpacked
    pins = (home / "source/requirements.txt").read_text().splitlines()
    installs = re.findall(r"pip install (.*)", (home / "source/setup.sh").read_text())
    assert installs[-1] == "-r requirements-grading.txt"
    assert "-r requirements.txt" in (home / "source" / installs[-1][3:]).read_text()
    torch = [word for word in installs[0].split() if word.startswith("torch")]
    assert [pin for pin in pins if pin.startswith("torch")] == torch
    assert len(torch) == 1 and "==" in torch[0]


def test_extras_raise_no_maximum(tmp_path):
    notebook = source_notebook()
    find(notebook, "check_integrate").metadata.nbgrader.grade_id = "extra-check"
    write(notebook, tmp_path / "a.ipynb")
    tests = results(tmp_path / "a.ipynb")["tests"]
    assert [(test["name"], test["max_score"]) for test in tests] == [
        ("check_differences", 2), ("extra-check", 0)]
