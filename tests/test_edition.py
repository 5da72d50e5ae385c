"""The students' edition: what is in it, what is not, and that it works where it is installed."""

import json
import re
import shutil
import sysconfig
import venv
from argparse import Namespace
from functools import partial
from pathlib import Path

import nbformat
import pytest
import torch

from assignments.grading import edition, handout
from assignments.grading.course import Course, CourseError
from course_lib.feedback.answers import as_tensor
from course_lib.feedback.diagnosis import Check, diagnose
from course_lib.feedback.sealed import SETTINGS, seal, unseal
from course_lib.feedback.toys import Blob
from tests.test_assignments import NAMES, feedback, release
from tests.test_feedback import feedback as tiny_feedback
from tests.test_feedback import square_check
from tests.test_packaging import run

ROOT = Path(__file__).parents[1]
LESSONS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """An edition with the lessons' solutions; that releases are fresh is tested elsewhere."""
    folder = tmp_path_factory.mktemp("students") / "edition"
    edition.fill(Course(), folder, "folded")
    return folder


def test_an_edition_holds_nothing_that_answers_it(built):
    assert list(edition.secrets_in(Course(), built)) == []
    assert sorted(path.name for path in built.iterdir()) == [
        "LICENSE", "README.md", "assignments", "course_lib", "docs", "notebooks",
        "pyproject.toml", "requirements.txt"]
    assert sorted(path.name for path in (built / "assignments").iterdir()) == NAMES
    assert sorted(path.name for path in (built / "notebooks").iterdir()) == LESSONS
    left = {path.stem for path in (built / "course_lib/feedback").glob("*.py")}
    assert left == {*edition.OPEN, "__init__", "gradient_domain", "warping", "projection",
                    "directions", "guidance", "beyond"}


def solution() -> str:
    """A solution of two lines and more, as a student would paste it, indented otherwise."""
    source = edition.text_of(Course().notebook("source", "a5_guided_editing"))
    inner = re.search(r"### BEGIN SOLUTION\n(.*?\n.*?)\n *### END", source, re.DOTALL)[1]
    return inner.replace("    ", "\t")


def hidden_tests() -> str:
    source = edition.text_of(Course().notebook("source", "a5_guided_editing"))
    return re.search(r"### BEGIN HIDDEN TESTS\n(.*?)\n### END", source, re.DOTALL)[1].replace(
        "COURSE_GRADING_SEED", "COURSE_GRADING_SEED"[:0])


@pytest.mark.parametrize("file, text, says", [
    ("notebooks/notes.md", solution, "a solution of a5"),
    ("course_lib/notes.py", lambda: "### BEGIN SOLUTION\npass", "BEGIN SOLUTION"),
    ("course_lib/notes.py", lambda: "### BEGIN HIDDEN TESTS", "BEGIN HIDDEN"),
    ("assignments/source/a.ipynb", lambda: '{"cells": []}', "not for students"),
    ("tests/mutants/a.py", lambda: "", "not for students"),
    ("assignments/grading/a.py", lambda: "", "not for students"),
    ("docs/seed.md", lambda: "so it is 1234567.", "the seed"),
])
def test_what_students_must_not_see_is_found(file, text, says, tmp_path):
    course = Course(tmp_path / "course")
    shutil.copytree(ROOT / "assignments/source", course.root / "source")
    (course.root / "seed.txt").write_text("1234567\n")
    path = tmp_path / "out" / file
    path.parent.mkdir(parents=True)
    path.write_text(text())
    (found,) = list(edition.secrets_in(course, tmp_path / "out"))[:1]
    assert says in found and file in found


@pytest.mark.parametrize("name, folded, unsolved", edition.UNSOLVED)
def test_what_is_said_otherwise_without_solutions_is_said_with_them(name, folded, unsolved):
    text = (edition.README if name == "README.md" else ROOT / name).read_text(encoding="utf-8")
    assert text.count(folded) == 1 and "solution" not in unsolved


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CourseError, match="name a new folder"):
        edition.build(Course(), tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_stale_release_is_not_handed_out(tmp_path, monkeypatch):
    monkeypatch.setattr(handout, "is_stale", lambda course, name: name.startswith("a2"))
    with pytest.raises(CourseError, match="The release of a2_warping is not what"):
        edition.build(Course(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_secret_stops_the_build_and_leaves_nothing(tmp_path, monkeypatch):
    def careless(course, to, solutions):
        (to / "tests").mkdir(parents=True)
        (to / "tests" / "answers.py").write_text("")

    monkeypatch.setattr(edition, "fill", careless)
    monkeypatch.setattr(handout, "is_stale", lambda course, name: False)
    with pytest.raises(CourseError, match="not for students"):
        edition.build(Course(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folder_and_zip_hold_the_same(tmp_path, monkeypatch):
    def small(course, to, *, solutions):
        (to / "docs").mkdir(parents=True)
        (to / "docs" / "a.md").write_text(solutions)

    monkeypatch.setattr(edition, "build", small)
    edition.edition(Course(), Namespace(to=tmp_path / "course", solutions="none"))
    shutil.unpack_archive(tmp_path / "course.zip", tmp_path / "again")
    for folder in (tmp_path, tmp_path / "again"):
        assert (folder / "course" / "docs" / "a.md").read_text() == "none"
    assert {path.name for path in tmp_path.iterdir()} == {"course", "course.zip", "again"}


@pytest.mark.parametrize("empty", [True, False])
def test_neither_folder_nor_zip_is_there_before_all_is_done(tmp_path, monkeypatch, empty):
    to = tmp_path / "new" / "course"
    if empty:  # an empty folder is taken
        to.mkdir(parents=True)
    pack, seen = shutil.make_archive, []

    def packing(*words):
        seen.append([path.name for path in to.parent.glob("[!.]*")])
        return pack(*words)

    def small(course, to, *, solutions):
        to.mkdir()
        (to / "a.md").write_text("a")

    monkeypatch.setattr(edition, "build", small)
    monkeypatch.setattr(shutil, "make_archive", packing)
    edition.edition(Course(), Namespace(to=to, solutions="none"))
    assert seen == [["course"] if empty else []]
    assert sorted(path.name for path in to.parent.iterdir()) == ["course", "course.zip"]
    assert (to / "a.md").exists()
    with pytest.raises(CourseError, match="name a new folder"):
        edition.edition(Course(), Namespace(to=to, solutions="none"))


def test_a_failure_leaves_nothing_where_the_edition_would_be(tmp_path, monkeypatch):
    def fails(course, to, *, solutions):
        to.mkdir()
        raise CourseError("Not built.")

    monkeypatch.setattr(edition, "build", fails)
    with pytest.raises(CourseError, match="Not built"):
        edition.edition(Course(), Namespace(to=tmp_path / "course", solutions="none"))
    assert list(tmp_path.iterdir()) == []


def test_each_step_of_an_edition_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(handout, "is_stale", lambda course, name: False)
    monkeypatch.setattr(edition, "seal", lambda check, folder: folder.mkdir(exist_ok=True))
    monkeypatch.setattr(edition, "secrets_in", lambda course, folder: [])
    edition.edition(Course(), Namespace(to=tmp_path / "course", solutions="folded"))
    said = capsys.readouterr().out.splitlines()
    assert "may take minutes" in said[0] and said[-1].endswith("the folder that it holds.")
    compared = [line.rpartition(": ")[2] for line in said if line.startswith("Comparing")]
    sealed = [line.rpartition(" ")[2].rstrip(".") for line in said if line.startswith("Sealing")]
    assert compared == sealed == NAMES
    assert [line.split()[0] for line in said if not line.startswith(("Comparing", "Sealing"))] == [
        "Building", "Copying", "Searching", "Packing", "Hand"]


# Sealed checks.

@pytest.mark.parametrize("name", NAMES)
def test_sealed_checks_say_the_same(name, built):
    sealed, ours = unseal(name, built / "course_lib/feedback/seals"), feedback(name)
    assert list(sealed.parts) == list(ours.parts)
    for number, part in ours.parts.items():
        theirs = sealed.parts[number]
        assert (theirs.title, theirs.points, theirs.extra, theirs.by_hand) == (
            part.title, part.points, part.extra, part.by_hand)
        drawn = [one.checks and one.checks(torch.Generator().manual_seed(0))
                 for one in (part, theirs)]
        assert bool(drawn[0]) == bool(drawn[1])
        for index, (check, copy) in enumerate(zip(*drawn, strict=True) if drawn[0] else []):
            assert check.law == copy.law
            if isinstance(check, Check):
                assert_same_check(check, copy, answers=index == 0)


def assert_same_check(check: Check, copy: Check, *, answers: bool) -> None:
    """Word for word, and to what a float's precision leaves of its numbers."""
    close = partial(torch.testing.assert_close, atol=1e-5, rtol=1e-5, equal_nan=True)
    assert diagnose(copy, lambda *_: check.expected) is None
    assert [one.says for one in check.mistakes] == [one.says for one in copy.mistakes]
    for mistake, stored in zip(check.mistakes, copy.mistakes, strict=True) if answers else []:
        given = as_tensor(mistake.gives(*check.question)).detach()
        close(as_tensor(stored.gives(*copy.question)), given)
    for name in SETTINGS:
        assert getattr(check, name) == getattr(copy, name)


def test_what_cannot_be_sealed_is_named(tmp_path):
    with pytest.raises(ValueError, match="which the students' edition does not"):
        seal(tiny_feedback(square_check(question=(lambda x: x,), mistakes=())), tmp_path)


def test_questions_of_all_kinds_come_back(tmp_path):
    blob = Blob(torch.ones(2), torch.full((2,), 3.0))  # 0 at σ = 1 is guessed as 1 / (9 + 1)
    question = (blob, [torch.eye(2), (1, 2.5)], "mean", None, True)
    check = square_check(question=question, mistakes=())
    seal(tiny_feedback(check), tmp_path)
    (again,) = unseal("a9", tmp_path).parts[1].checks(torch.Generator())
    assert torch.equal(again.question[0](torch.zeros(1, 2), 1.0), torch.full((1, 2), 0.1))
    assert torch.equal(again.question[1][0], torch.eye(2)) and again.question[1][1] == (1, 2.5)
    assert again.question[2:] == ("mean", None, True)


# Lessons without their solutions.

@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_without_solutions_goes_on_with_the_readers_own(lesson, tmp_path):
    path = tmp_path / lesson
    shutil.copyfile(ROOT / "notebooks" / lesson, path)
    before = nbformat.read(path, 4).cells
    edition.leave_out_solutions(path)
    after = nbformat.read(path, 4).cells
    folded = [index for index, cell in enumerate(before) if edition.is_folded(cell)]
    assert folded or lesson.startswith("00") or lesson.startswith("13")
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        if index not in folded:
            assert old == new
            continue
        assert not edition.is_folded(new) and new.outputs == []
        names: dict = {}
        exercise = next(cell for cell in reversed(before[:index])
                        if "NotImplementedError" in cell.source)
        exec(exercise.source.rpartition("\n\ncheck")[0], names)
        exec(new.source, names)
        for name in edition.checked(old):
            with pytest.raises(NotImplementedError):
                names[name](*[None] * names[name].__code__.co_argcount)


# It works.

FIRST_CELLS = """
import json, os, sys
os.chdir(os.path.dirname(sys.argv[1]))
names = {}
for cell in json.load(open(sys.argv[1]))["cells"]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "code" and "Tool(" not in source:
        try:
            exec(source, names)
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
            break
import course_lib
assert course_lib.__file__.startswith(sys.argv[2]), course_lib.__file__
print(len(names) > 9)
"""


def test_a_lesson_and_a_release_run_from_an_edition_in_a_fresh_environment(built, tmp_path):
    builder = venv.EnvBuilder(with_pip=False)
    builder.create(tmp_path / "fresh")
    python = builder.ensure_directories(tmp_path / "fresh").env_exe
    place = Path(run(python, "-c", "import sysconfig as s; print(s.get_path('purelib'))",
                     cwd=tmp_path).strip())
    # What `pip install -e .` comes to. Torch and the rest are those of this environment.
    (place / "course.pth").write_text(f"{built}\n{sysconfig.get_path('purelib')}\n")
    script = tmp_path / "first_cells.py"
    script.write_text(FIRST_CELLS)
    lesson, handout = (built / "notebooks/01_poisson_blending.ipynb",
                       built / "assignments/a1_gradient_domain/a1_gradient_domain.ipynb")
    said = run(python, script, lesson, built, cwd=built)
    assert "NotImplementedError: Part 2" in said and "True" in said
    said = run(python, script, handout, built, cwd=built)
    assert "NotThereYet: Part 1: To be written" in said and "True" in said


def test_students_get_the_commands_of_the_main_page():
    commands = re.findall(r"```\n(.*?)\n```", edition.README.read_text("utf-8"), re.DOTALL)
    assert len(commands) == 2
    for command in commands:
        assert f"```\n{command}\n```" in (ROOT / "README.md").read_text("utf-8")


def test_the_releases_of_an_edition_are_those_of_the_sources(built):
    for name in NAMES:
        path = built / "assignments" / name / f"{name}.ipynb"
        cells = json.loads(path.read_text("utf-8"))["cells"]
        made = [cell.source for cell in release(name).cells]
        assert [re.sub(r"\s", "", "".join(cell["source"])) for cell in cells] == [
            re.sub(r"\s", "", source) for source in made]
