"""nbgrader's own commands, run by hand in a course's folder."""

import os
import shutil
import subprocess
import sys

import pytest

from assignments.grading.course import HERE
from assignments.grading.handout import release
from tests.submissions.course import NAME, RIGHT, filled_in, hand_in, make_course


@pytest.fixture
def course(tmp_path):
    made = make_course(tmp_path)
    shutil.copy(HERE / "nbgrader_config.py", tmp_path)
    release(made, NAME)
    hand_in(made, "ann", filled_in(made, **RIGHT))
    return made


def nbgrader(course, *words):
    """What the command says and returns, and that it ended without a traceback."""
    settings = os.environ | {"PYTHONPATH": str(HERE.parent), "JUPYTER_CONFIG_DIR": str(course.root)}
    ended = subprocess.run([sys.executable, "-m", "nbgrader", *words], cwd=course.root,
                           env=settings, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in ended.stderr
    return ended


def test_autograde_by_hand_is_refused_in_one_sentence_and_leaves_all_as_it_was(course):
    graded = course.notebook("autograded", NAME, "ann")
    graded.parent.mkdir(parents=True)
    graded.write_text("graded before")
    ended = nbgrader(course, "autograde", NAME, "--force")
    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if "ERROR" in line]
    assert "python -m assignments.grading grade" in line
    assert graded.read_text() == "graded before"


def test_the_projects_folder_leads_to_the_course(tmp_path):
    project = tmp_path / "project"
    course = make_course(project / "assignments")
    shutil.copy(HERE / "nbgrader_config.py", course.root)
    shutil.copy(HERE.parent / "nbgrader_config.py", project)
    settings = os.environ | {"PYTHONPATH": str(HERE.parent), "JUPYTER_CONFIG_DIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", "nbgrader", "generate_assignment", NAME], cwd=project,
        env=settings, capture_output=True, text=True, timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    assert course.notebook("release", NAME).exists()
