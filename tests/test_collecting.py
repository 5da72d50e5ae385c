"""Downloads from an LMS become submissions: whose a file is, what it is, and what is left out."""

import unicodedata
import zipfile

import pytest

from assignments.grading.__main__ import main
from assignments.grading.collecting import student_of
from assignments.grading.course import Course
from assignments.grading.plugins import plain_files
from tests.submissions.course import NAME, make_course, write


@pytest.fixture
def collect(tmp_path, capsys):
    """Collects files of these names, each holding its name; what arrived, by student, and said."""
    course = make_course(tmp_path / "course")

    def collected(*names, zipped=False, links=None):
        downloads = tmp_path / "downloads"
        for name in names:
            write(name, downloads / name)
        for name, target in (links or {}).items():
            (downloads / name).symlink_to(target)
        if zipped:
            downloads = pack(downloads)
        assert main(["--course", str(course.root), "collect", NAME, str(downloads)]) == 0
        return arrived(course), capsys.readouterr().out
    return collected


def arrived(course):
    return {
        student: {str(path.relative_to(folder)): path.read_text()
                  for path in folder.rglob("*") if path.is_file()}
        for student in course.students(NAME)
        for folder in [course.root / "submitted" / student / NAME]
    }


def pack(folder):
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as to:
        for path in sorted(folder.rglob("*")):
            to.write(path, path.relative_to(folder))
    return archive


@pytest.mark.parametrize("zipped", [False, True])
def test_collect_takes_a_folder_or_a_file_a_student(collect, zipped):
    found, said = collect(
        "ann/a0_tiny.ipynb", "ann/pictures/mine.png", "bob/homework/a0_tiny (2).ipynb",
        "cy_17_late.ipynb", "dan/x.ipynb", "dan/y.ipynb", "eve/photo.png", zipped=zipped)
    assert {student: set(files) for student, files in found.items()} == {
        "ann": {"a0_tiny.ipynb", "pictures/mine.png"}, "bob": {"a0_tiny.ipynb"},
        "cy": {"a0_tiny.ipynb"},
    }
    assert "dan: 2 notebooks (x.ipynb, y.ipynb): keep the one to grade" in said
    assert "eve: no notebook among 1 files" in said
    assert "Not collected: dan, eve." in said


@pytest.mark.parametrize("names, students", [
    (["Lovelace Ada_123456_assignsubmission_file_/a0_tiny.ipynb",
      "Lovelace Ada_123456_assignsubmission_onlinetext_/onlinetext.html",
      "Hopper Grace_9_assignsubmission_file/work.ipynb"], ["Hopper-Grace", "Lovelace-Ada"]),
    (["Lovelace Ada_123456_assignsubmission_file_a0_tiny.ipynb",
      "Lovelace Ada_123456_assignsubmission_file_helper.py"], ["Lovelace-Ada"]),
    (["lovelaceada_12345_67890_a0_tiny.ipynb", "lovelaceada_12345_67891_helper.py",
      "hoppergrace_LATE_2_3_a0_tiny-1.ipynb"], ["hoppergrace", "lovelaceada"]),
    (["ann_a0_tiny.ipynb", "ann_helper.py", "bob.ipynb", "cy (1).ipynb"], ["ann", "bob", "cy"]),
    (["__MACOSX/ann/._a0 (1).ipynb", "ann/a0 (1).ipynb", "ann/._a0 (1).ipynb", "ann/.DS_Store",
      "._bob.ipynb", "bob.ipynb", ".DS_Store"], ["ann", "bob"]),
    (["ann/a0_tiny.ipynb", "ann/.ipynb_checkpoints/a0_tiny-checkpoint.ipynb"], ["ann"]),
])
def test_downloads_of_moodle_canvas_and_macos_are_understood(collect, names, students):
    found, said = collect(*names)
    assert sorted(found) == students
    assert all("a0_tiny.ipynb" in files for files in found.values())
    helpers = [name for name in names if name.endswith("helper.py")]
    assert sum("helper.py" in files for files in found.values()) == len(helpers)
    assert not any("._" in name or "DS_Store" in name for file in found.values() for name in file)
    assert "Not collected" not in said


def test_another_assignments_notebook_is_named_and_left(tmp_path, capsys):
    real, course = Course(), Course(tmp_path / "course")
    one, two = real.assignments()[:2]
    for name in (one, two):
        write(real.notebook("source", name).read_text("utf-8"), course.notebook("source", name))
    write(real.notebook("release", two).read_text("utf-8"), tmp_path / "in/wanda/mine.ipynb")
    write(real.notebook("release", one).read_text("utf-8"), tmp_path / "in/ann/mine.ipynb")
    assert main(["--course", str(course.root), "collect", one, str(tmp_path / "in")]) == 0
    assert f"wanda: this is {two}" in capsys.readouterr().out
    assert course.students(one) == ["ann"]


def test_two_students_of_one_name_stay_two(collect):
    found, _ = collect(*(f"Smith Jo_{number}_assignsubmission_file_/a0_tiny.ipynb"
                         for number in (1, 2)), "Poe_3_assignsubmission_file_/a0_tiny.ipynb")
    assert sorted(found) == ["Poe", "Smith-Jo-1", "Smith-Jo-2"]
    assert "Smith Jo_2" in found["Smith-Jo-2"]["a0_tiny.ipynb"]


def test_one_students_several_notebooks_do_not_stop_the_others(collect):
    found, said = collect("ada_lovelace.ipynb", "ada_byron.ipynb", "bob.ipynb")
    assert list(found) == ["bob"]
    assert "ada: 2 notebooks (byron.ipynb, lovelace.ipynb)" in said


def test_a_copy_goes_with_the_notebook_it_lies_beside(collect):
    found, _ = collect("ann/a0_tiny.ipynb", "ann/a0_tiny-Copy1.ipynb")
    assert set(found["ann"]) == {"a0_tiny.ipynb", "a0_tiny-Copy1.ipynb"}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_in_any_script_are_kept_in_one_form(collect, form):
    names = ["Zoë Ångström", "Łukasz", "李雷", "ปัญญา"]
    found, _ = collect(*(f"{unicodedata.normalize(form, name)}/a.ipynb" for name in names))
    assert sorted(found) == sorted(name.replace(" ", "-") for name in map(
        lambda name: unicodedata.normalize("NFC", name), names))


def test_a_name_is_a_plain_name_of_a_folder():
    assert student_of("a/../b\x1b[2J\u202e") == "a-..-b--2J-"
    assert student_of("-rf") == "rf" and student_of("..") == "unnamed"
    assert len(student_of("x" * 245)) == 100


def test_what_is_printed_cannot_move_the_cursor(collect):
    _, said = collect("ann/a0_tiny.ipynb", "ann/\x1b[2J\u202efile.txt", "bob/\x1b[1m.ipynb",
                      "bob/b.ipynb")
    assert "\x1b" not in said and "\u202e" not in said and "\\x1b[2J" in said


def test_links_and_the_students_own_date_are_left_out(collect, tmp_path):
    found, _ = collect(
        "ann/a0_tiny.ipynb", "ann/timestamp.txt",
        links={"ann/link.txt": "/etc/passwd", "ann/folder": "/etc", "zoe": tmp_path / "downloads"})
    assert set(found) == {"ann"} and set(found["ann"]) == {"a0_tiny.ipynb"}


def test_collecting_again_replaces_what_was_there(collect, tmp_path):
    collect("ann/a0_tiny.ipynb", "ann/old.txt")
    (tmp_path / "downloads/ann/old.txt").unlink()
    aside = tmp_path / "course/set_aside/ann" / NAME
    write("x", aside / "strange")
    assert set(collect("ann/new.txt")[0]["ann"]) == {"a0_tiny.ipynb", "new.txt"}
    assert not aside.exists()


def test_a_download_that_is_none_is_refused(tmp_path, capsys):
    course = make_course(tmp_path)
    for name in ("nowhere", "seed.txt"):
        assert main(["--course", str(course.root), "collect", NAME, str(tmp_path / name)]) == 1
        assert "is no folder and no zip" in capsys.readouterr().err


def test_links_are_never_read_for_a_student(tmp_path):
    write("x", tmp_path / "real.txt")
    (tmp_path / "link.txt").symlink_to("/etc/passwd")
    (tmp_path / "etc").symlink_to("/etc")
    assert list(plain_files(tmp_path)) == ["real.txt"]
