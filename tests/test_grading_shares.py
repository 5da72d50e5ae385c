"""A class in shares: two processes grade in one folder, and their grades come together."""

import csv
import shutil
import subprocess
import sys
import time
from argparse import ArgumentTypeError

import pytest
from nbgrader.api import Gradebook

from assignments.grading.__main__ import main
from assignments.grading.confinement import why_no_bubblewrap
from assignments.grading.course import Course, CourseError
from assignments.grading.handout import release
from assignments.grading.shares import Share, begin, shared
from tests.submissions.course import (
    NAME,
    RIGHT,
    filled_in,
    hand_in,
    make_course,
    source_notebook,
    write,
)

CLASS = [f"pupil-{number}" for number in range(4)]
needs_wall = pytest.mark.skipif(
    bool(why_no_bubblewrap()), reason=f"students' code is not run here: {why_no_bubblewrap()}"
)


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> Course:
    made = make_course(tmp_path_factory.mktemp("released"))
    release(made, NAME)
    return made


@pytest.fixture
def course(released, tmp_path) -> Course:
    """The tiny course, released, with the class's work: every other student is half done."""
    shutil.copytree(released.root, tmp_path, dirs_exist_ok=True)
    made = Course(tmp_path)
    for number, student in enumerate(CLASS):
        answers = RIGHT if number % 2 else {"differences": RIGHT["differences"]}
        hand_in(made, student, filled_in(made, **answers))
    return made


def start(course: Course, share: str) -> subprocess.Popen:
    words = ["--course", str(course.root), "grade", NAME, "--jobs", "1", "--share", share]
    return subprocess.Popen([sys.executable, "-m", "assignments.grading", *words],
                            stdout=subprocess.PIPE, text=True)


def test_shares_are_parts_of_a_class_without_overlap():
    names = [f"name {number}" for number in range(300)]
    shares = [[name for name in names if Share(number, 4).holds(name)] for number in range(1, 5)]
    assert sorted(name for part in shares for name in part) == sorted(names)
    assert all(50 < len(part) < 100 for part in shares), "about as large as one another"
    assert [name for name in names[:9] if Share(1, 1).holds(name)] == names[:9]


@pytest.mark.parametrize("text", ["5/4", "0/3", "1", "a/b", "1/", "-1/2"])
def test_an_odd_share_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="K/N is wanted"):
        Share.parse(text)
    assert Share.parse("2/3") == Share(2, 3)


def test_a_share_waits_for_a_release_that_is_prepared(tmp_path, course):
    with pytest.raises(CourseError, match=r"assignments\.grading prepare"):
        begin(make_course(tmp_path / "fresh"), NAME, Share(1, 2))
    source = source_notebook()
    source.cells[0].source = "# Another title"
    write(source, course.notebook("source", NAME))
    with pytest.raises(CourseError, match=r"assignments\.grading prepare"):
        begin(course, NAME, Share(1, 2))
    assert not Share(1, 2).gradebook(course, NAME).exists()


def test_a_share_goes_on_with_its_gradebook_until_the_source_changes(course):
    begin(course, NAME, Share(1, 2))
    own = Share(1, 2).gradebook(course, NAME)
    with Gradebook(f"sqlite:///{own}", "safety-wheels") as gradebook:
        gradebook.add_student("somebody")
    begin(course, NAME, Share(1, 2))
    with Gradebook(f"sqlite:///{own}", "safety-wheels") as gradebook:
        assert [one.id for one in gradebook.students] == ["somebody"]
    time.sleep(0.02)
    course.notebook("source", NAME).touch()
    begin(course, NAME, Share(1, 2))
    with Gradebook(f"sqlite:///{own}", "safety-wheels") as gradebook:
        assert gradebook.students == []


@needs_wall
def test_two_processes_grade_a_class_stop_and_go_on(course, capsys):
    both = [start(course, "1/2"), start(course, "2/2")]
    line = both[0].stdout.readline() + both[0].stdout.readline()  # its first is graded
    both[0].kill()
    both[0].wait()
    assert both[1].wait(240) == 0 and "submissions" in line
    parts = [sorted(filter(Share(number, 2).holds, CLASS)) for number in (1, 2)]
    assert min(map(len, parts)) > 0
    # What was under way when its grader died may have come to its end meanwhile: here it has not.
    shutil.rmtree(course.root / "autograded" / parts[0][-1], ignore_errors=True)
    words = ["--course", str(course.root)]
    assert main([*words, "gather", NAME]) == 1
    said = capsys.readouterr().out
    assert "Not graded yet: " in said and parts[0][-1] in said and parts[1][0] not in said
    again = start(course, "1/2")
    assert again.wait(240) == 0
    before = again.stdout.read().splitlines()[0]
    assert not before.startswith(f"{len(parts[0])} submissions, 0 of"), "what is done is skipped"
    assert main([*words, "gather", NAME]) == 0
    assert not list(course.root.glob("gradebook-*"))
    assert scores(course) == {student: 5.0 if number % 2 else 2.0
                              for number, student in enumerate(CLASS)}
    assert main([*words, "gather", NAME]) == 0, "nothing is left to do, and nothing is lost"


@needs_wall
def test_grades_of_a_lost_gradebook_are_missed(course, capsys):
    student = next(filter(Share(1, 2).holds, CLASS))
    for other in set(CLASS) - {student}:
        shutil.rmtree(course.root / "submitted" / other)
    words = ["--course", str(course.root)]
    assert main([*words, "grade", NAME, "--share", "1/2"]) == 0
    Share(1, 2).gradebook(course, NAME).unlink()
    assert main([*words, "gather", NAME]) == 1
    assert f"in nobody's gradebook: {student}. Grade these --again" in capsys.readouterr().out


@needs_wall
def test_points_by_hand_stay_when_a_share_is_gathered(course):
    student = next(filter(Share(1, 2).holds, CLASS))
    for other in set(CLASS) - {student}:
        shutil.rmtree(course.root / "submitted" / other)
    words = ["--course", str(course.root)]
    assert main([*words, "grade", NAME, "--share", "1/2"]) == 0
    assert main([*words, "gather", NAME]) == 0
    with Gradebook(f"sqlite:///{course.root}/gradebook.db", "safety-wheels") as gradebook:
        gradebook.find_grade("words", NAME, NAME, student).manual_score = 3
        gradebook.db.commit()
    before = scores(course)[student]
    assert main([*words, "grade", NAME, "--share", "1/2", "--again"]) == 0
    assert main([*words, "gather", NAME]) == 0
    assert scores(course)[student] == before


def test_a_share_holds_nobody_elses_grades(course):
    path = Share(2, 3).gradebook(course, NAME)
    mine = set(shared(path, NAME, set(CLASS)))
    assert mine == set(filter(Share(2, 3).holds, CLASS))


def scores(course: Course) -> dict[str, float]:
    """By student, from the exported file."""
    to = course.root / "grades.csv"
    assert main(["--course", str(course.root), "export", str(to)]) == 0
    with open(to, newline="") as file:
        return {row["student"]: float(row["score"]) for row in csv.DictReader(file)}
