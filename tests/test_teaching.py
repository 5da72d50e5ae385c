"""Instructors' pages: what they name is there, and what they promise to show is shown."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LESSONS = sorted(path for path in (ROOT / "notebooks").glob("*.ipynb")
                 if not path.name.startswith("00"))


def cells(lesson: Path) -> list[dict]:
    return json.loads(lesson.read_text(encoding="utf-8"))["cells"]


def rows(text: str) -> list[list[str]]:
    """The cells of a page's tables, without their heads."""
    lines = [line.strip("| \n").split(" | ") for line in text.split("\n") if line[:1] == "|"]
    rules = [number for number, line in enumerate(lines) if set("".join(line)) <= set("-| ")]
    heads = {number - 1 for number in rules}
    return [line for number, line in enumerate(lines) if number not in heads | set(rules)]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_each_lesson_has_five_questions_that_its_own_cells_answer(lesson):
    title = "".join(cells(lesson)[0]["source"]).split("\n")[0].removeprefix("# ")
    text = (DOCS / "questions.md").read_text(encoding="utf-8")
    assert f"## {title}\n" in text, "the page names the lesson as it names itself"
    asked = rows(text.split(f"## {title}\n")[1].split("\n## ")[0])
    shown = {cell["id"] for cell in cells(lesson) if cell.get("outputs")}
    assert len(asked) == 5
    for question, answer, place in asked:
        assert "?" in question and len(answer) > 10
        assert place.strip("`") in shown, f"{place} shows nothing in {lesson.name}"


def test_sections_that_misconceptions_name_are_there():
    found = 0
    for _, _, shown in rows((DOCS / "misconceptions.md").read_text(encoding="utf-8")):
        for number, section in re.findall(r'(\d\d), "([^"]+)"', shown):
            (lesson,) = [path for path in LESSONS if path.name.startswith(number)]
            heads = [line for cell in cells(lesson) if cell["cell_type"] == "markdown"
                     for line in "".join(cell["source"]).split("\n") if line[:1] == "#"]
            assert any(section.lower() in head.lower() for head in heads), (number, section)
            found += 1
    assert found > 8


def test_names_of_the_table_of_symbols_are_the_codes_own():
    source = "\n".join(path.read_text(encoding="utf-8")
                       for path in (ROOT / "course_lib").rglob("*.py"))
    for row in rows((DOCS / "symbols.md").read_text(encoding="utf-8")):
        for name in re.findall(r"`([^`]+)`", row[1]):
            word = re.search(r"\w+$", name.strip('"'))[0]
            assert re.search(rf"\b{word}\b", source), name


def test_projects_are_graded_by_a_hundred_points_each():
    text = (DOCS / "projects.md").read_text(encoding="utf-8")
    common, *own = [[int(row[0]) for row in rows(part)] for part in text.split("\n## ")]
    assert len(own) == 4
    assert [sum(common) + sum(points) for points in own] == [100] * 4
    for name in re.findall(r"`((?:course_lib|docs|tests|widgets)/[\w/.]+)`", text):
        assert (ROOT / name).exists() or (ROOT / "course_lib" / name).exists(), name


def test_the_page_of_slides_names_files_and_lessons_that_are_there():
    found = rows((DOCS / "slides.md").read_text(encoding="utf-8"))
    assert len(found) > 40
    for slide, code, lessons in found:
        assert (ROOT / "course_lib" / code.strip("`")).is_file(), code
        for number in lessons.split(", "):
            assert list((ROOT / "notebooks").glob(f"{number}_*.ipynb")), (slide, number)
