"""Grades submissions that are hostile, broken or odd: each gets the right points, or a flag.

All are graded by one command, side by side, as an instructor would.
"""

import csv
import re
import socket

import nbformat
import pytest

from assignments.grading.__main__ import main
from assignments.grading.confinement import why_no_bubblewrap
from assignments.grading.handout import release
from tests.submissions.broken import CASES, submission
from tests.submissions.course import NAME, hand_in, make_course

pytestmark = pytest.mark.skipif(
    bool(why_no_bubblewrap()), reason=f"students' code is not run here: {why_no_bubblewrap()}"
)
# Three at once, as some of them only wait for a limit.
LIMITS = ["--cell-seconds", "5", "--total-seconds", "20", "--memory-mb", "900", "--jobs", "3"]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The course after grading, feedback and export; a server that nobody should reach."""
    course = make_course(tmp_path_factory.mktemp("course"))
    release(course, NAME)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for name, case in CASES.items():
            notebook = nbformat.read(course.notebook("release", NAME), 4)
            hand_in(course, name, submission(case, notebook, port=port))
        words = ["--course", str(course.root)]
        assert main([*words, "grade", NAME, *LIMITS]) == 0
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert main([*words, "feedback", NAME]) == 0
    assert main([*words, "export", str(course.root / "grades.csv")]) == 0
    return course


@pytest.fixture(scope="module")
def rows(graded):
    with open(graded.root / "grades.csv", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", CASES)
def test_the_points_are_right_or_a_flag_says_why_not(rows, name):
    case, row = CASES[name], rows[name]
    points = float(row["check_differences"]), float(row["check_integrate"])
    if case.heavy and ("not be interrupted" in row["flags"] or "was stopped" in row["flags"]):
        return  # on a busy machine
    assert points == case.points, row["flags"]
    assert case.flag in row["flags"]
    assert bool(case.flag) == bool(row["flags"]), row["flags"]
    assert float(row["max_score"]) == 9


@pytest.mark.parametrize("name", CASES)
def test_feedback_shows_neither_hidden_tests_nor_solutions(graded, name):
    (page,) = (graded.root / "feedback" / name).rglob("*.html")
    text = re.sub(r"<[^>]*>", "", page.read_text())
    for secret in ("secret_signal", "secret_sum", "secret differences", "model answer", "HIDDEN"):
        assert secret not in text


def test_feedback_runs_no_script_of_a_students(graded):
    (page,) = (graded.root / "feedback/looks-around").rglob("*.html")
    text = page.read_text()
    assert "<b>bold</b>" in text
    assert "<script>owned" not in text and "<p onclick" not in text
    assert "owned(3)</script>" not in text


def outputs(course, name):
    notebook = nbformat.read(course.notebook("autograded", NAME, name), 4)
    return "".join(str(cell.get("outputs", "")) for cell in notebook.cells)


def test_a_kernel_sees_no_notebook_no_gradebook_and_no_seed(graded):
    assert "FOUND [] []" in outputs(graded, "looks-around")


def test_hidden_tests_never_reach_the_students_kernel(graded):
    seen = outputs(graded, "looks-around")
    assert "signal" in seen and "secret_" not in seen


def test_nothing_outside_is_touched(graded):
    assert "REACHED (" not in outputs(graded, "looks-around")  # an address, not the code itself
    assert "no more" in outputs(graded, "breaks-things")
    found = [path for path in graded.root.rglob("was-here")]
    assert found == []


def test_what_is_graded_is_not_graded_again(graded, capsys):
    page = graded.notebook("autograded", NAME, "right")
    before = page.stat().st_mtime_ns
    assert main(["--course", str(graded.root), "grade", NAME, *LIMITS]) == 0
    assert f"{len(CASES)} of them graded before" in capsys.readouterr().out
    assert page.stat().st_mtime_ns == before


def test_an_export_flags_work_that_was_handed_in_anew(graded):
    hand_in(graded, "right", "changed since")
    to = graded.root / "later.csv"
    assert main(["--course", str(graded.root), "export", str(to)]) == 0
    with open(to, newline="") as file:
        flags = {row["student"]: row["flags"] for row in csv.DictReader(file)}
    anew = [student for student, flag in flags.items() if "handed in anew" in flag]
    assert anew == ["right"]
