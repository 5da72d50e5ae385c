"""Grades submissions whose files are odd: each gets the right points, or a flag."""

import csv
import os
import shutil

import nbformat
import pytest

from assignments.grading.__main__ import main
from assignments.grading.confinement import why_no_bubblewrap
from assignments.grading.course import Course
from assignments.grading.handout import release
from assignments.grading.repair import mend
from assignments.grading.sifting import sift
from tests.submissions.course import NAME, RIGHT, filled_in, find, hand_in, make_course, write
from tests.submissions.odd import BOTH, GRADED, ODD, hand_in_odd

needs_wall = pytest.mark.skipif(
    bool(why_no_bubblewrap()), reason=f"students' code is not run here: {why_no_bubblewrap()}"
)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    made = make_course(tmp_path_factory.mktemp("course"))
    release(made, NAME)
    return made


@pytest.fixture(scope="module")
def rows(course):
    hand_in_odd(course, GRADED)
    (course.root / "submitted/linked-folder").symlink_to(course.root / "submitted/copy")
    words = ["--course", str(course.root)]
    assert main([*words, "grade", NAME]) == 1
    assert main([*words, "export", str(course.root / "grades.csv")]) == 0
    with open(course.root / "grades.csv", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def handed_in(course, tmp_path_factory):
    """The course with every odd submission, to be sifted and not graded."""
    made = Course(tmp_path_factory.mktemp("sifted"))
    shutil.copytree(course.root / "release", made.root / "release")
    hand_in_odd(made, ODD)
    return made


@pytest.mark.parametrize("name", ODD)
def test_what_is_left_of_odd_files_is_sound_and_the_rest_is_flagged(handed_in, name):
    odd, given = ODD[name], nbformat.read(handed_in.notebook("release", NAME), 4)
    flags = sift(handed_in, NAME, name)
    path = handed_in.notebook("submitted", NAME, name)
    mended, more = mend(path, given)
    expected = filled_in(handed_in, **RIGHT) if odd.points == BOTH else given
    for part in RIGHT:
        assert find(mended, part).source == find(expected, part).source
    assert odd.flag in " ".join(flags + more) and bool(odd.flag) == bool(flags + more)
    left = list(path.parent.rglob("*"))
    assert len(left) <= 200 + 10 and all(one.is_file() or one.is_dir() for one in left)


@needs_wall
@pytest.mark.parametrize("name", GRADED)
def test_odd_files_cost_no_points_and_leave_a_flag(rows, name):
    odd, row = GRADED[name], rows[name]
    assert (float(row["check_differences"]), float(row["check_integrate"])) == odd.points
    assert odd.flag in row["flags"]
    assert bool(odd.flag) == bool(row["flags"]), row["flags"]


@needs_wall
def test_a_linked_folder_is_nobodys_work(rows):
    assert float(rows["linked-folder"]["score"]) == 0
    assert "not graded" in rows["linked-folder"]["flags"]


@needs_wall
def test_what_was_graded_is_not_graded_again(rows, course, capsys):
    main(["--course", str(course.root), "grade", NAME])
    said = capsys.readouterr().out
    assert f"{len(GRADED) + 1} submissions, {len(GRADED)} of them graded before" in said
    assert "linked-folder: not graded: submitted/linked-folder" in said and "is a link" in said


def test_what_is_set_aside_is_kept_and_said_each_time(course):
    folder = hand_in(course, "kim", filled_in(course, **RIGHT)).parent
    write("noon", folder / "timestamp.txt")
    write("mine", folder / "pictures/a.txt")
    os.symlink("/etc", folder / "pictures/etc")
    first, second = (sift(course, NAME, "kim") for _ in range(2))
    assert first == second and first[0].startswith("2 of the files were set aside")
    assert sorted(path.name for path in folder.rglob("*")) == ["a.txt", f"{NAME}.ipynb", "pictures"]
    assert (course.root / "set_aside/kim" / NAME / "timestamp.txt").read_text() == "noon"
    assert os.readlink(course.root / "set_aside/kim" / NAME / "pictures/etc") == "/etc"
    assert sift(course, NAME, "kim") == first
