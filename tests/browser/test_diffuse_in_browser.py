"""DiffuseTool in a real browser: a stroke, another amount of noise, a word."""

import pytest

from tests.browser.test_lessons import changed
from tests.browser.test_paint_in_browser import wait_for_note

CELL = """
from course_lib.generators import load_generator
from course_lib.widgets.diffuse import DiffuseTool
tool = DiffuseTool(load_generator("clothes-diffusion", device="cpu"), alt="A garment", steps=10)
tool
"""


@pytest.fixture(scope="module")
def tool(page):
    """The start, the answer and the guesses of one tool."""
    page.open_cells(CELL)
    return tuple(page.canvas(index) for index in range(3))


def test_a_stroke_is_taken_up_and_the_guesses_are_shown(lab, tool):
    pad, answer, film = tool
    wait_for_note(answer, "steps back")
    before, guesses = answer.pixels(), film.pixels()
    painted = answer.painted
    pad.drag((22.0, 30.0), (42.0, 30.0))
    answer.wait_for_picture(painted)
    wait_for_note(answer, "steps back")
    assert changed(before, answer.pixels()).any() and changed(guesses, film.pixels()).any()
    assert answer.error == ""
    lab.keep("diffuse_stroke")


def test_more_noise_is_further_from_the_picture(lab, tool):
    _, answer, _ = tool
    before = answer.pixels()
    lab.page.locator(".jp-OutputArea .noUi-handle").first.focus()
    lab.page.keyboard.press("End")
    wait_for_note(answer, "noise of t = 1.00")
    assert changed(before, answer.pixels()).any() and answer.error == ""
    lab.keep("diffuse_noise")
