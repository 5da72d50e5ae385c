"""Lessons as slides: every lesson has them, none holds more than fits, and no word is lost."""

import base64
import io
import json
import os
import re
import signal
import time
from contextlib import contextmanager

import PIL.Image
import pytest

from course_lib.present import __main__ as stage
from course_lib.present import slides
from course_lib.present.__main__ import FOLDER, find_lesson, main
from course_lib.present.cells import TOOL_HEIGHTS, is_prose, is_tool, source
from course_lib.present.slides import (
    BOARD,
    LEFT_OUT,
    ROOM,
    cut,
    for_the_stage,
    height,
    mark,
    slides_of,
)
from course_lib.present.stage import WIDGET, with_alt_text

LESSONS = sorted(FOLDER.glob("*.ipynb"))
AGAIN = "its slides are not marked as the rule has it: run python -m course_lib.present --mark"


def read(path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=LESSONS, ids=lambda path: path.stem)
def lesson(request) -> tuple[str, dict]:
    """The number of a lesson, and its notebook."""
    return request.param.stem[:2], read(request.param)


def test_every_lesson_has_slides_and_a_live_tool_on_one_of_its_own(lesson):
    number, notebook = lesson
    assert mark(notebook, number) == notebook, AGAIN
    shown = slides_of(notebook)
    assert 12 <= len(shown) <= 40
    tools = [slide for slide in shown if any(map(is_tool, slide))]
    assert tools and all(len(slide) == 1 for slide in tools)


def test_the_height_of_every_tool_is_known(lesson):
    known = (*TOOL_HEIGHTS, "LiveImage")
    tools = [source(cell) for cell in lesson[1]["cells"] if not is_prose(cell) and is_tool(cell)]
    assert all(any(f"{name}(" in code for name in known) for code in tools)


def test_no_slide_holds_more_than_fits(lesson):
    for slide in slides_of(lesson[1]):
        used = sum(map(height, slide))
        assert used <= ROOM, f"the slide that begins with {slide[0]['id']} takes {used:.0f} % of it"


def test_the_stage_shows_the_lessons_own_words_in_their_order(lesson):
    stage = for_the_stage(lesson[1])["cells"]
    said = "".join(source(cell) for cell in stage if is_prose(cell))
    written = "".join(source(cell) for cell in lesson[1]["cells"] if is_prose(cell))
    assert "".join(said.split()) == "".join(written.split())
    code = [source(cell).replace("# NBVAL_CHECK_OUTPUT", "").split()
            for cell in lesson[1]["cells"] if not is_prose(cell)]
    assert [source(cell).split() for cell in stage if not is_prose(cell)] == code
    names = [cell["id"] for cell in stage]
    assert len(set(names)) == len(names)


def test_the_cells_that_are_named_exist():
    ids = {path.stem[:2]: {cell["id"] for cell in read(path)["cells"]} for path in LESSONS}
    for table in (BOARD, LEFT_OUT):
        assert all(set(named) <= ids[number] for number, named in table.items())


def prose(text: str, name: str = "p") -> dict:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}


def figure(name: str = "f", size: tuple[int, int] = (300, 100), **metadata) -> dict:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", size).save(buffer, "jpeg")
    data = {"image/jpeg": base64.b64encode(buffer.getvalue()).decode()}
    return {"cell_type": "code", "id": name, "metadata": metadata, "source": "show()",
            "outputs": [{"output_type": "display_data", "data": data, "metadata": {}}]}


def marks(*cells: dict) -> list[str]:
    return slides.slide_types(list(cells))


def test_a_heading_begins_a_slide_and_cuts_its_cell():
    assert marks(prose("# A", "a"), prose("b", "b"), prose("## C", "c")) == ["slide", "-", "slide"]
    parts = cut(prose("what one saw\n\n## Next\n\nmore"))
    assert [source(part) for part in parts] == ["what one saw", "## Next\n\nmore"]
    assert [part["id"] for part in parts] == ["p", "p-1"]


def test_a_figure_stays_with_the_words_that_read_it():
    long, reading = prose("## A\n\n" + "word " * 90, "a"), prose("It is blue. " * 15, "b")
    assert height(long) + height(figure()) < ROOM
    assert marks(long, figure(), reading) == ["slide", "slide", "-"]
    assert marks(long, figure(), prose("## B", "b")) == ["slide", "-", "slide"]


def test_words_read_what_was_printed_and_lead_on_when_they_end_in_a_colon():
    table = figure("t") | {"outputs": [{"output_type": "stream", "text": "1 2 3\n" * 12}]}
    reading, leading = prose("It grows. " * 30, "r"), prose("Now with β:", "l")
    assert marks(table, reading, figure()) == ["slide", "-", "slide"]
    assert marks(table, leading, figure()) == ["slide", "slide", "-"]


def test_a_figure_of_many_rows_gets_more_room():
    assert height(figure(size=(300, 100))) < height(figure(size=(300, 300))) <= ROOM


def test_a_cell_that_is_left_out_takes_no_room(monkeypatch):
    monkeypatch.setattr(slides, "LEFT_OUT", {"77": ("f",)})
    marked = mark({"cells": [prose("# A", "a"), figure(size=(90, 90)), prose("It is. " * 90, "b")]},
                  "77")
    kinds = [cell["metadata"].get("slideshow", {}).get("slide_type") for cell in marked["cells"]]
    assert kinds == ["slide", "skip", None]


def test_a_number_and_its_per_cent_stand_on_one_line():
    (shown, _) = for_the_stage(mark({"cells": [prose("# A\n\n35 % of it")]}))["cells"]
    assert source(shown).endswith("35\u00a0% of it")


def test_a_figure_tells_its_alt_text_and_a_live_tool_stays_one():
    (data,) = (output["data"] for output in figure(size=(100, 100))["outputs"])
    alt = {"image/jpeg": {"alt": 'a "cat"'}}
    told = with_alt_text({"data": dict(data), "metadata": alt})["data"]
    assert f'alt="a &quot;cat&quot;" src="data:image/jpeg;base64,{data["image/jpeg"]}"' in (
        told["text/html"])
    assert "slender" in told["text/html"] and "image/jpeg" not in told
    tool = {"data": data | {WIDGET: {}}, "metadata": alt}
    assert with_alt_text(tool)["data"] == data | {WIDGET: {}}


def test_what_no_audience_need_see_is_left_out():
    sweep = figure("s") | {"source": "print(sweep(tool))"}
    stub = figure("e", tags=["raises-exception"])
    silent = figure("c") | {"outputs": []}
    named = figure("n") | {"outputs": [{"output_type": "execute_result",
                                        "data": {"text/plain": "<Generator at 0x7f>"}}]}
    assert marks(prose("# A"), sweep, stub, silent, named) == ["slide", *4 * ["skip"]]
    shown = silent | {"metadata": {"tags": ["show-code"]}}
    assert marks(prose("# A"), shown) == ["slide", "-"]


def test_prose_that_is_longer_than_a_slide_is_cut_between_paragraphs():
    paragraphs = [f"{number} " + "word " * 60 for number in range(5)]
    parts = cut(prose("\n\n".join(paragraphs)))
    assert len(parts) == 2 and all(height(part) <= ROOM for part in parts)


def test_the_rest_of_a_long_text_takes_the_paragraph_before_along():
    blocks = ["A" + " word" * 200, "**Try further**", "1. Try" + " this" * 40, "That is all."]
    parts = cut(prose("\n\n".join(blocks)))
    assert [source(part) for part in parts] == [blocks[0], "\n\n".join(blocks[1:])]


def test_marking_changes_nothing_but_the_marks_and_can_be_repeated():
    notebook = {"cells": [prose("# A"), figure(tags=["long-cell", "show-code"])], "metadata": {}}
    once = mark(notebook)
    assert once["cells"][1]["metadata"] == {"tags": ["long-cell"]}
    assert once["cells"][0]["metadata"] == {"slideshow": {"slide_type": "slide"}}
    assert mark(once) == once
    assert [cell["source"] for cell in once["cells"]] == ["# A", "show()"]


def test_a_lesson_that_does_not_exist_is_refused_in_a_sentence(capsys):
    assert find_lesson("03").name == "03_mls_warping.ipynb"
    for words in (["77"], ["lost.ipynb"], []):
        with pytest.raises(SystemExit):
            main(words)
        assert re.search(r"python -m course_lib.present 03", capsys.readouterr().err)


def test_a_lecture_that_is_terminated_leaves_no_server_behind(monkeypatch, capsys):
    ended = []

    class Server:
        process = property(lambda self: self)

        def address(self, name: str) -> str:
            return f"http://127.0.0.1/{name}"

        def wait(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
            raise AssertionError("the signal was not heard")

    @contextmanager
    def serve(folder):
        try:
            yield Server()
        finally:
            ended.append(folder)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(stage, "find_spec", lambda name: True)
    monkeypatch.setattr(stage, "serve", serve)
    monkeypatch.setattr(stage, "rehearse", lambda server, lesson: lesson.name)
    try:
        main(["03", "--no-browser"])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(ended) == 1 and "The lecture is over." in capsys.readouterr().out
