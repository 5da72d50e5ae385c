"""TextTool in a real browser: a sentence, an unknown word, an earlier answer as the start."""

import pytest

from tests.browser.test_lessons import changed
from tests.browser.test_paint_in_browser import press, wait_for_note

CELL = """
from course_lib.generators import load_generator
from course_lib.widgets.text import TextTool
tool = TextTool(load_generator("cats", device="cpu"), alt="A cat, edited by a sentence", seed=3,
                steps=8)
tool
"""


@pytest.fixture(scope="module")
def tool(page):
    """The start, the answer and the earlier answers of one tool."""
    page.open_cells(CELL)
    return tuple(page.canvas(index) for index in range(3))


def say(lab, words: str) -> None:
    """Write a sentence and press Enter."""
    field = lab.page.get_by_placeholder("a ginger cat")
    field.fill(words)
    field.press("Enter")


def test_a_sentence_is_followed_and_kept(lab, tool):
    _, answer, _ = tool
    wait_for_note(answer, "nothing said yet")
    before = answer.pixels()
    say(lab, "a black cat")
    wait_for_note(answer, "step 8 of 8")
    assert changed(before, answer.pixels()).mean() > 0.2
    assert "unlike the prompt" in answer.note and "close to the input" in answer.note
    lab.page.get_by_text("a black cat", exact=True).first.wait_for()
    lab.keep("text_sentence")


def test_an_unknown_word_is_named_below_the_answer(lab, tool):
    _, answer, _ = tool
    say(lab, "a velvet cat")
    lab.settle(1)
    assert "'velvet' is a word that this model never learnt" in answer.error
    lab.keep("text_unknown")


def test_one_goes_on_from_an_answer_and_starts_anew(lab, tool):
    start, answer, earlier = tool
    say(lab, "a ginger cat")
    wait_for_note(earlier, "a ginger cat")  # the answer's own note may still be the last prompt's
    before, ginger = start.pixels(), answer.pixels()
    press(lab, "Go on from here")
    wait_for_note(answer, "nothing said yet")
    assert not changed(ginger, start.pixels()).any()
    press(lab, "New start")
    lab.settle(1)
    assert changed(before, start.pixels()).any() and answer.error == ""
