"""That an assignment can't be done by copying: neither solution by solution, nor all together."""

import textwrap

import pytest

from tests.copies import COPIES
from tests.copying import LEAST, longest_run, solved, tokens
from tests.test_assignments import feedback, questions, solutions, verdict

NAMES = sorted(COPIES)
PARTS = [(name, part) for name in NAMES for part in solutions(name)]
MOST = 24  # tokens, about two lines: idioms, such as a meshgrid or a sum over the last axis
MOST_POINTS = 25  # of 100 and the extras on top, for all that can be copied


def points(name: str) -> dict[str, int]:
    """By the solution's grade_id, what its part is worth."""
    coded = [part.points for part in feedback(name).parts.values() if part.checks]
    return dict(zip(questions(name), coded, strict=True))


@pytest.mark.parametrize("name, part", PARTS)
def test_no_solution_is_put_together_from_long_runs_of_what_students_get(name, part):
    solution = textwrap.dedent(solved(solutions(name)[part].source))
    length, whole, where, what = longest_run(solution)
    assert length <= MOST, f"{length} of {whole} tokens of {part} stand in {where}: {what}"


@pytest.mark.parametrize("name", NAMES)
def test_a_submission_copied_from_the_lessons_earns_less_than_a_quarter(name, monkeypatch):
    worth = points(name)
    assert set(COPIES[name]) == set(worth), "something is tried for every part"
    earned = {part: worth[part] for part, written in COPIES[name].items()
              if verdict(name, part, written, monkeypatch=monkeypatch) == ""}
    assert sum(earned.values()) < MOST_POINTS, earned
    assert earned.get("own"), "a recipe of one's own is no solution, and counts"


@pytest.mark.parametrize("name", NAMES)
def test_copies_fail_for_what_they_answer_and_not_for_how_they_are_written(name, monkeypatch):
    for part, written in COPIES[name].items():
        said = verdict(name, part, written, monkeypatch=monkeypatch)
        assert "stops" not in said and "shape" not in said, said


def test_a_copied_line_is_found_under_other_names():
    length, whole, where, _ = longest_run(
        "a, b = (w @ p for p in (x, y))\n"
        "turned = torch.view_as_complex(place - centre) * big / big.abs()")
    assert length >= 14 and whole > 30 and where == "03_mls_warping.ipynb"
    assert longest_run("anything = nobody(wrote) ** this ^ 12345")[0] <= LEAST


def test_names_layout_and_comments_do_not_count():
    assert tokens("total = a+b  # a sum") == tokens("total  =  x\\\n + y")
    assert tokens("f(a.norm(dim=1))") != tokens("f(a.mean(dim=1))")
    assert tokens('x = "never closed')[:2] == ["x", "="]
