"""A submission is put into the shape that was handed out, and no work in it is lost."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from assignments.grading.repair import MAX_EXTRAS, Unreadable, mend, read_submission, repair
from tests.submissions.broken import BOTH, MENDED, submission
from tests.submissions.course import NAME, RIGHT, find, release_notebook, write

HELPER = "def step(signal):\n    return signal[1:] - signal[:-1]"
FUNCTION = "def differences(signal):\n    return step(signal)"


@pytest.fixture
def release():
    return release_notebook()


@pytest.fixture
def right():
    """The release with all answers in their places."""
    notebook = release_notebook()
    for grade_id, answer in RIGHT.items():
        find(notebook, grade_id).source = answer
    return notebook


def copied(cell, **fields):
    """What JupyterLab makes of a copy or of the second half: all metadata, another id."""
    return nbformat.from_dict(json.loads(json.dumps(cell)) | {"id": "copy"} | fields)


def split(notebook, grade_id, *halves):
    """The cell of this name in pieces, as JupyterLab splits it."""
    cell = find(notebook, grade_id)
    place = notebook.cells.index(cell)
    notebook.cells[place:place + 1] = [
        copied(cell, id=f"half-{number}", source=half) for number, half in enumerate(halves)]


def code_and_settings(notebook):
    return [(cell.source, cell.metadata.get("nbgrader")) for cell in notebook.cells
            if cell.cell_type == "code"]


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def test_a_sound_submission_is_left_as_it_is(right, release):
    right.cells.insert(3, new_code_cell("helper = 1"))
    mended, flags = repair(right, release)
    assert sources(mended) == sources(right)
    assert flags == []


@pytest.mark.parametrize("halves", [
    (HELPER, FUNCTION), (FUNCTION, HELPER), (HELPER, FUNCTION, "print(differences(SIGNAL))"),
])
def test_all_pieces_of_a_split_answer_are_kept_in_order(right, release, halves):
    split(right, "differences", *halves)
    mended, flags = repair(right, release)
    assert sources(mended) == sources(right)
    assert [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in mended.cells].count(
        "differences") == 1
    assert flags == [f"Cell 'differences' was there in {len(halves)} pieces: all were kept, in "
                     "their order."]


def test_a_split_answer_in_words_is_one_answer(right, release):
    split(right, "words", "Because a constant", "is lost.")
    mended, _ = repair(right, release)
    assert find(mended, "words").source == "Because a constant\n\nis lost."
    assert len(mended.cells) == len(release.cells)


def test_half_an_answer_in_code_that_became_a_note_is_an_addition(right, release):
    split(right, "differences", RIGHT["differences"], "It takes neighbours.")
    right.cells[3] = copied(right.cells[3], cell_type="markdown")
    mended, flags = repair(right, release)
    assert find(mended, "differences").source == RIGHT["differences"]
    assert mended.cells[3].cell_type == "markdown" and flags == []


def test_the_edited_of_two_copies_counts_wherever_it_stands(right, release):
    for place in (3, 2, 6):
        handed_in = copied(right)
        handed_in.cells.insert(place, copied(find(release, "differences")))
        mended, flags = repair(handed_in, release)
        assert sources(mended) == sources(right)
        assert flags == ["Cell 'differences' was there twice: the edited one counts."]


def test_a_copy_of_the_answer_is_dropped(right, release):
    right.cells.append(copied(find(right, "differences")))
    mended, _ = repair(right, release)
    assert sources(mended) == sources(right)[:-1]


def test_pasted_pictures_of_an_answer_in_words_are_kept(right, release):
    find(right, "words").attachments = {"a.png": {"image/png": "AAAA"}}
    mended, _ = repair(right, release)
    assert find(mended, "words").attachments == {"a.png": {"image/png": "AAAA"}}


# Files.

@pytest.mark.parametrize("text, reason", [
    ("", "is empty"), ("  \n", "is empty"), ("<html>", "not a notebook"), ("[]", "not a notebook"),
    ("null", "not a notebook"), ('{"nbformat": 4}', "not a notebook"),
    ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [7]}', "not a notebook"),
    ("[" * 100_000, "not a notebook"),
])
def test_what_is_no_notebook_is_said_to_be_none(tmp_path, text, reason):
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    with pytest.raises(Unreadable, match=reason):
        read_submission(path)


def as_handed_in(notebook, tmp_path, release):
    """What is graded of a notebook, after a way through a file; that it can be written is seen."""
    path = tmp_path / f"{NAME}.ipynb"
    path.write_text(notebook if isinstance(notebook, str) else json.dumps(notebook))
    mended, flags = mend(path, release)
    nbformat.validate(mended)
    nbformat.writes(mended).encode()
    return mended, flags


@pytest.mark.parametrize("name", MENDED)
def test_whatever_happened_to_a_file_the_code_that_is_graded_is_sound(
    name, right, tmp_path, release
):
    case = MENDED[name]
    mended, flags = as_handed_in(submission(case, release_notebook()), tmp_path, release)
    expected = right if case.points == BOTH else release
    assert code_and_settings(mended) == code_and_settings(expected)
    assert mended.metadata == release.metadata
    assert case.flag in " ".join(flags) and bool(case.flag) == bool(flags)


def test_half_a_surrogate_pair_is_a_question_mark(right, tmp_path, release):
    find(right, "words").source = "lost \ud800 half, and \U0001f600"
    right.cells.append(new_code_cell("'\udfff'"))
    mended, flags = as_handed_in(right, tmp_path, release)
    assert find(mended, "words").source == "lost ? half, and \U0001f600"
    assert find(mended, "differences").source == RIGHT["differences"] and flags == []


@pytest.mark.parametrize("change", [
    {"id": ["a"]}, {"id": None}, {"metadata": [1]}, {"metadata": {"nbgrader": 3}},
    {"metadata": {"nbgrader": {"grade_id": []}}}, {"attachments": [1]},
    {"attachments": {"a": {"b": [1]}}}, {"outputs": [{"output_type": "nothing"}]},
])
def test_odd_fields_of_an_added_cell_do_no_harm(right, tmp_path, release, change):
    right.cells.insert(0, nbformat.NotebookNode(new_markdown_cell("added") | change))
    mended, flags = as_handed_in(right, tmp_path, release)
    assert sources(mended) == sources(right) and flags == []


def test_deep_metadata_do_no_harm(right, tmp_path, release):
    text = json.dumps(right).replace('"metadata": {}', '"metadata": {"a": ' + "[" * 500 + "]" * 500
                                     + "}", 1)
    mended, flags = as_handed_in(text, tmp_path, release)
    assert sources(mended) == sources(right) and flags == []


def test_seven_hundred_shell_lines_are_a_cell_like_any(right, tmp_path, release):
    for source in ("!pip install torch\n" * 700, "x = 1\n" * 10**5):
        right.cells.append(new_code_cell(source))
        mended, flags = as_handed_in(right, tmp_path, release)
        assert sources(mended) == sources(right) and flags == []


def test_of_a_hundred_thousand_cells_some_are_kept(right, tmp_path, release):
    blank = json.dumps(new_code_cell("1"))
    text = json.dumps(right).replace('"cells": [', '"cells": [' + f"{blank}, " * 100_000, 1)
    mended, flags = as_handed_in(text, tmp_path, release)
    assert len(mended.cells) <= 2 * len(release.cells) + MAX_EXTRAS
    assert find(mended, "differences").source == RIGHT["differences"]
    assert "It has thousands of cells: 9" in flags[0]


def test_outputs_do_not_count(right, tmp_path, release):
    right.cells[1].outputs = [nbformat.v4.new_output("stream", text="x" * 10**7)]
    mended, _ = as_handed_in(right, tmp_path, release)
    assert sources(mended) == sources(right) and not mended.cells[1].outputs


# Copies and links.

def test_work_in_a_copy_beside_the_untouched_original_is_graded(right, tmp_path, release):
    write(right, tmp_path / f"{NAME}-Copy1.ipynb")
    for original in (release, ""):
        write(original, tmp_path / f"{NAME}.ipynb")
        mended, flags = mend(tmp_path / f"{NAME}.ipynb", release)
        assert sources(mended) == sources(right)
        assert flags == ["Nothing was filled in there, so the copy beside it was graded: "
                         f"{NAME}-Copy1.ipynb."]


def test_work_in_the_original_is_graded_and_other_work_beside_it_flagged(right, tmp_path, release):
    write(right, tmp_path / f"{NAME}.ipynb")
    for same in (release, right):
        write(same, tmp_path / f"{NAME}-Copy1.ipynb")
        assert mend(tmp_path / f"{NAME}.ipynb", release)[1] == []
    other = copied(right)
    find(other, "words").source = "Another answer."
    write(other, tmp_path / f"{NAME}-Copy2.ipynb")
    mended, flags = mend(tmp_path / f"{NAME}.ipynb", release)
    assert sources(mended) == sources(right)
    assert flags == [f"Beside it lies other work, which was not graded: {NAME}-Copy2.ipynb."]


def test_notebooks_of_other_things_do_not_count(release, tmp_path):
    write(release, tmp_path / f"{NAME}.ipynb")
    write(nbformat.v4.new_notebook(cells=[new_code_cell("lesson = 1")]), tmp_path / "lesson.ipynb")
    mended, flags = mend(tmp_path / f"{NAME}.ipynb", release)
    assert sources(mended) == sources(release) and flags == []


def test_of_two_worked_copies_none_is_chosen(right, tmp_path, release):
    write(release, tmp_path / f"{NAME}.ipynb")
    write(right, tmp_path / f"{NAME}-Copy1.ipynb")
    find(right, "words").source = "Another answer."
    write(right, tmp_path / f"{NAME}-Copy2.ipynb")
    mended, flags = mend(tmp_path / f"{NAME}.ipynb", release)
    assert sources(mended) == sources(release)
    assert "Keep one" in flags[0] and "Copy1" in flags[0] and "Copy2" in flags[0]


@pytest.mark.parametrize("linked", ["notebook", "assignment", "student"])
def test_a_link_to_other_work_is_worth_nothing(right, tmp_path, release, linked):
    path = tmp_path / "submitted" / "eve" / NAME / f"{NAME}.ipynb"
    write(right, tmp_path / "other" / NAME / f"{NAME}.ipynb")
    link, target = {
        "notebook": (path, tmp_path / "other" / NAME / f"{NAME}.ipynb"),
        "assignment": (path.parent, tmp_path / "other" / NAME),
        "student": (path.parents[1], tmp_path / "other"),
    }[linked]
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    assert path.exists()
    mended, flags = mend(path, release)
    assert sources(mended) == sources(release)
    assert "is no plain file" in flags[0]
