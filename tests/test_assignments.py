"""The assignments' source notebooks: their form, and that their checks tell right from wrong.

Each solution passes, so does one in another style, and each mutant fails with a message that
names its mistake.
"""

import ast
import importlib
import json
import re
from functools import cache
from pathlib import Path

import pytest
from nbgrader.nbgraderformat import read
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

from course_lib.feedback import core
from course_lib.feedback.core import NotThereYet
from tests import minutes
from tests.test_notebooks import (
    errors_shown,
    incomplete_header,
    installs_or_downloads,
    machine_paths,
    not_executed,
    silent_images,
    tags,
    unswept_widgets,
    wrong_kernel,
)

SOURCE = Path(__file__).parents[1] / "assignments" / "source"
NAMES = sorted(path.parent.name for path in SOURCE.glob("*/*.ipynb"))
RULES = [not_executed, errors_shown, wrong_kernel, silent_images, unswept_widgets,
         installs_or_downloads, machine_paths, incomplete_header]
MODULES = {
    "a1_gradient_domain": "gradient_domain", "a2_warping": "warping",
    "a3_projection": "projection", "a4_directions": "directions",
    "a5_guided_editing": "guidance", "a6_beyond_gans": "beyond",
}


@cache
def source(name: str) -> dict:
    return read(str(SOURCE / name / f"{name}.ipynb"), as_version=4)


def release(name: str) -> dict:
    """What students get, by nbgrader's own steps."""
    notebook = read(str(SOURCE / name / f"{name}.ipynb"), as_version=4)
    clear = ClearSolutions(code_stub={"python": "# YOUR CODE HERE"})
    for step in (clear, ClearHiddenTests()):
        notebook, _ = step.preprocess(notebook, {})
    return notebook


def info(cell: dict) -> dict:
    return cell["metadata"].get("nbgrader", {})


def feedback(name: str):
    return importlib.import_module(f"course_lib.feedback.{MODULES[name]}").check


def mutants(name: str):
    return importlib.import_module(f"tests.mutants.{name}")


def solutions(name: str) -> dict[str, dict]:
    """The cells that students fill, by grade_id."""
    return {info(cell)["grade_id"]: cell for cell in source(name).cells
            if cell.cell_type == "code" and info(cell).get("solution")}


def questions(name: str) -> dict[str, tuple[str, str]]:
    """By the solution's grade_id, the test cell's visible and hidden lines."""
    found, last = {}, None
    for cell in source(name).cells:
        if cell.cell_type != "code":
            continue
        if info(cell).get("solution"):
            last = info(cell)["grade_id"]
        elif info(cell).get("grade"):
            visible, _, hidden = cell.source.partition("### BEGIN HIDDEN TESTS\n")
            found[last] = visible, hidden
    return found


@cache
def surroundings(name: str) -> dict:
    """What a student's cell finds: the imports and the start, and the functions given."""
    names: dict = {}
    given = [cell for cell in source(name).cells if cell.cell_type == "code" and not info(cell)]
    for cell in given[:2]:
        exec(cell.source, names)
    for cell in given[2:]:
        defined = [node for node in ast.parse(cell.source).body
                   if isinstance(node, ast.FunctionDef)]
        exec(compile(ast.Module(defined, []), name, "exec"), names)
    return names


def verdict(
    name: str, part: str, written: str, *, seeds: tuple[int, ...] = (7,), monkeypatch
) -> str:
    """Where `written` fails, and what is said; "" if it passes all tests.

    Only hidden tests draw their cases: they are asked with each seed.
    """
    monkeypatch.setattr(core, "show_pictures", lambda *_: None)  # seen to by test_feedback
    names = dict(surroundings(name))
    visible, hidden = questions(name)[part]
    exec(written, names)
    try:
        exec(visible, names)
    except NotThereYet as said:
        return f"visible: {said}"
    for seed in seeds:
        monkeypatch.setenv("COURSE_GRADING_SEED", str(seed))
        try:
            exec(hidden, dict(names))
        except Exception as failure:
            return f"hidden, with seed {seed}: {failure!r}"
    return ""


PARTS = [(name, part) for name in NAMES for part in solutions(name)]
MUTANTS = [
    pytest.param(name, part, mutant, id=f"{name[:2]}-{part}-{mutant.says[:30]}")
    for name in NAMES for part, ones in mutants(name).MUTANTS.items() for mutant in ones
]


@pytest.mark.parametrize("name, part", PARTS)
def test_the_solution_passes_on_any_seed(name, part, monkeypatch):
    written, seeds = solutions(name)[part].source, (*range(9), 20261123)
    assert verdict(name, part, written, seeds=seeds, monkeypatch=monkeypatch) == ""


@pytest.mark.parametrize("name, part", PARTS)
def test_right_solutions_in_another_style_pass(name, part, monkeypatch):
    others = mutants(name).OTHERS[part]
    for written in [others] if isinstance(others, str) else others:
        assert verdict(name, part, written, monkeypatch=monkeypatch) == ""


@pytest.mark.parametrize("name, part, mutant", MUTANTS)
def test_a_mutant_fails_and_its_mistake_is_named(name, part, mutant, monkeypatch):
    right = solutions(name)[part].source
    assert right.count(mutant.right) == 1, "the mutant no longer fits the solution"
    written = right.replace(mutant.right, mutant.wrong)
    said = verdict(name, part, written, monkeypatch=monkeypatch)
    assert mutant.says in said


@pytest.mark.parametrize("name, part", PARTS)
def test_each_part_has_five_mutants(name, part):
    assert len(mutants(name).MUTANTS[part]) >= 5


@pytest.mark.parametrize("name, part", PARTS)
def test_an_untouched_part_says_kindly_that_it_is_to_be_written(name, part, monkeypatch):
    cells = {info(cell).get("grade_id"): cell for cell in release(name).cells}
    said = verdict(name, part, cells[part].source, monkeypatch=monkeypatch)
    assert said.startswith("visible: ") and "To be written: " in said
    number, _, task = said.removeprefix("visible: ").partition(": ")
    assert number not in task, "the part is named once"


@pytest.mark.parametrize("written, says", [
    ("return None", "five things"),
    ("return 'mine', torch.rand(3, 65, 65), 'Siamese', None, 2", "shape (3, 65, 65)"),
    ("return 'mine', torch.rand(3, 64, 64), 'Siamese', None, 25", "guidance is 25"),
])
def test_cells_below_a_refused_photograph_end_in_one_line(written, says):
    names = dict(surroundings("a6_beyond_gans"))
    exec(f"def my_photo():\n    {written}", names)
    below = [cell.source for cell in source("a6_beyond_gans").cells
             if cell.cell_type == "code" and "my_photo)" in cell.source and not info(cell)]
    assert len(below) == 3
    for cell in below:
        with pytest.raises(NotThereYet, match=re.escape(says)) as refused:
            exec(cell, names)
        assert refused.value._render_traceback_() == ["Part 7 is not there yet."]


@pytest.mark.parametrize("name", NAMES)
def test_at_most_ten_lines_are_missing(name):
    for part, cell in solutions(name).items():
        _, _, rest = cell.source.partition("### BEGIN SOLUTION\n")
        solution, _, _ = rest.partition("### END SOLUTION")
        lines = [line for line in solution.split("\n") if line.strip()]
        assert len(lines) <= 10, f"{part} misses {len(lines)} lines"


@pytest.mark.parametrize("name", NAMES)
def test_points_in_the_notebook_are_those_of_the_table(name):
    parts = list(feedback(name).parts.values())
    graded = [info(cell)["points"] for cell in source(name).cells if info(cell).get("grade")]
    assert graded == [part.points for part in parts]
    assert sum(part.points for part in parts if not part.extra) == 100
    extras = [info(cell)["grade_id"].startswith("extra-") for cell in source(name).cells
              if info(cell).get("grade")]
    assert extras == [part.extra for part in parts]


@pytest.mark.parametrize("name", NAMES)
def test_title_and_instructors_table_tell_the_minutes_of_the_rule(name):
    found = minutes.in_fives(sum(minutes.by_section(source(name)).values()))
    page = (SOURCE.parent / "README.md").read_text(encoding="utf-8")
    assert minutes.stated(source(name)) == found
    assert re.search(rf"^\| `{name}` \|.*\| {found} \|$", page, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_keeps_the_rules_of_lessons(name):
    path = SOURCE / name / f"{name}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert [fault for rule in RULES for fault in rule(notebook)] == []
    assert path.stat().st_size < 500_000
    for cell in release(name).cells:
        if cell.cell_type == "markdown" and not info(cell) and cell.source[:2] != "# ":
            prose = re.sub(r"^\|.*$|\$+[^$]+\$+", "", cell.source, flags=re.MULTILINE)
            assert len(prose.split()) <= 90, cell.source[:60]
        elif cell.cell_type == "code" and "long-cell" not in tags(cell):
            lines = [line for line in cell.source.split("\n")
                     if line.strip() and not line.strip().startswith("#")]
            assert len(lines) <= 12, cell.source[:60]
