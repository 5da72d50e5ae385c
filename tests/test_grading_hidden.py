"""Hidden tests stay hidden, and still judge what stood at their place in the notebook."""

import csv

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from assignments.grading.__main__ import main
from assignments.grading.confinement import why_no_bubblewrap
from assignments.grading.handout import release
from tests.submissions.course import NAME, RIGHT, find, hand_in, make_course

pytestmark = pytest.mark.skipif(
    bool(why_no_bubblewrap()), reason=f"students' code is not run here: {why_no_bubblewrap()}"
)
REMEMBER = """seen = []
def integrate(slopes, start):
    seen.append((slopes.tolist(), start))
    handle.update(str(seen))
    print("ASKED", start)
    return start + torch.cat([torch.zeros(1), slopes.cumsum(0)])
handle = display("nothing yet", display_id=True)"""
LATER = """import threading, time
def tell():
    for _ in range(100): time.sleep(0.1); print("LATER", seen, flush=True)
threading.Thread(target=tell, daemon=True).start()"""
SUBMISSIONS = {  # name -> (answers, the last cell, flag)
    "remembers": ({"integrate": REMEMBER}, LATER + "\nprint('SEEN', seen)", ""),
    "remembers-and-dies": ({"integrate": REMEMBER}, "print('SEEN', seen); os._exit(0)", "died"),
    "rebinds": ({"differences": "step = 1\ndef differences(signal):\n"
                                "    return signal[step:] - signal[:-step]"},
                "step, SIGNAL, torch.cat = 2, None, torch.cat\ndef integrate(*_): return 0", ""),
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    course = make_course(tmp_path_factory.mktemp("course"))
    release(course, NAME)
    for student, (answers, last, _) in SUBMISSIONS.items():
        notebook = nbformat.read(course.notebook("release", NAME), 4)
        for grade_id, answer in (RIGHT | answers).items():
            find(notebook, grade_id).source = answer
        notebook.cells.append(new_code_cell(last))
        hand_in(course, student, notebook)
    words = ["--course", str(course.root)]
    assert main([*words, "grade", NAME]) == 0
    assert main([*words, "feedback", NAME]) == 0
    assert main([*words, "export", str(course.root / "grades.csv")]) == 0
    return course


@pytest.mark.parametrize("student", SUBMISSIONS)
def test_hidden_tests_judge_what_stood_at_their_place(graded, student):
    with open(graded.root / "grades.csv", newline="") as file:
        row = {row["student"]: row for row in csv.DictReader(file)}[student]
    points = float(row["check_differences"]), float(row["check_integrate"])
    assert points == (2, 3), row["flags"]
    assert SUBMISSIONS[student][2] in row["flags"]


@pytest.mark.parametrize("student", ["remembers", "remembers-and-dies"])
def test_no_page_shows_what_a_function_remembers_of_hidden_tests(graded, student):
    page = (graded.root / "feedback" / student / NAME / f"{NAME}.html").read_text()
    if student == "remembers":
        assert "SEEN [([1.0, 2.0, -1.0], 0.0)]" in page  # the visible test's argument
    notebook = nbformat.read(graded.notebook("autograded", NAME, student), 4)
    shown = str([cell.get("outputs", []) for cell in notebook.cells])
    assert "5.0" not in shown and "LATER [([1.0, 2.0, -1.0], 0.0), " not in shown
    assert "5.0)" not in page


# Pages.

def test_a_page_that_cannot_be_made_is_named_and_the_others_are_made(graded, capsys):
    hand_in(graded, "broken", "{}")
    broken = graded.notebook("autograded", NAME, "broken")
    broken.parent.mkdir(parents=True)
    broken.write_text("not a notebook")
    words = ["--course", str(graded.root), "feedback", NAME]
    assert main(words) == 1
    said = capsys.readouterr().out
    assert "broken: no page: " in said and "3 of 4 pages were made" in said
    assert main([*words, "rebinds"]) == 0
    assert "1 of 1 pages were made" in capsys.readouterr().out
    assert main([*words, "rebinds", "--page-seconds", "0.01"]) == 1
    assert "rebinds: no page: nbgrader generate_feedback took more than" in capsys.readouterr().out


def test_long_lines_hold_no_page_up(graded, capsys):
    path = graded.notebook("autograded", NAME, "rebinds")
    notebook = nbformat.read(path, 4)
    notebook.cells[-1].source = "x = a" + ".b" * 200_000
    notebook.cells += [nbformat.v4.new_markdown_cell(text) for text in (
        "[" * 100_000, "*a " * 60_000, "> " * 5_000 + "x", "$" + "{" * 4_000 + "$", "`" * 100_000)]
    path.write_text(nbformat.writes(notebook))
    assert main(["--course", str(graded.root), "feedback", NAME, "rebinds"]) == 0
    page = graded.root / "feedback/rebinds" / NAME / f"{NAME}.html"
    assert ".b.b.b.b" in page.read_text()
