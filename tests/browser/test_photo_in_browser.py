"""PhotoTool in a real browser: the whole loop by mouse."""

import io

import numpy as np
import PIL.Image
import pytest

CELL = """
from course_lib.widgets import PhotoTool
tool = PhotoTool(steps=4, projection_steps=2)
tool
"""


@pytest.fixture(scope="module")
def tool(page):
    """The pad and the answer."""
    page.open_cells(CELL)
    return tuple(page.canvas(index) for index in (1, 2))


def wait_for_note(lab, canvas, words: str) -> None:
    """Wait until the note below a picture says so, and the picture has come."""
    lab.page.wait_for_function(
        "([root, words]) => root.querySelector('.sw-note').textContent.includes(words)",
        arg=[canvas.root.element_handle(), words])
    lab.settle()


def test_a_stroke_on_the_photo_changes_the_photo(lab, tool):
    pad, answer = tool
    wait_for_note(lab, answer, "Paint on the left")
    before = answer.pixels()
    pad.drag((180, 120), (330, 120))
    wait_for_note(lab, answer, "at its own size, 512 × 512")
    assert "your wish" in answer.note and "close to the input" in answer.note
    assert np.abs(answer.pixels() - before)[80:160, 180:330].mean() > 3
    assert pad.error == "" and answer.error == ""
    answer.button("Before / after").click()
    lab.settle()
    assert np.abs(answer.pixels() - before).mean() < 1
    answer.button("Before / after").click()
    with lab.page.expect_download() as download:
        answer.button("Save image").click()
    with PIL.Image.open(download.value.path()) as saved:
        assert saved.size == (512, 512)
    lab.keep("photo_tool")


def test_a_word_from_the_menu_draws_the_photo_again(lab, tool):
    pad, answer = tool
    wait_for_note(lab, answer, "own size")
    before = answer.pixels()
    pad.button("Clear").click()
    wait_for_note(lab, answer, "Paint on the left")
    menu = lab.page.get_by_role("combobox", name="pattern")
    menu.select_option("Siamese")
    wait_for_note(lab, answer, "said: Siamese")
    wait_for_note(lab, answer, "at its own size, 512 × 512")
    assert np.abs(answer.pixels() - before).mean() > 2 and answer.error == ""
    lab.keep("photo_tool_word")
    menu.select_option("as it is")
    wait_for_note(lab, answer, "Paint on the left")


def test_a_photo_of_one_s_own_is_placed_by_two_clicks_and_a_stranger_is_named(lab, tool):
    pad, answer = tool
    wait_for_note(lab, answer, " ")
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(buffer, "png")
    with lab.page.expect_file_chooser() as chooser:
        pad.button("My own photo").click()
    chooser.value.set_files({"name": "noise.png", "mimeType": "image/png",
                             "buffer": buffer.getvalue()})
    placer = lab.canvas(0)
    lab.page.get_by_text("Where are the eyes?").wait_for()
    lab.settle()
    for place in ((150, 120), (240, 130)):
        placer.drag(place, place)
        lab.settle()
    lab.keep("photo_tool_placing")
    lab.page.locator(".jp-OutputArea button", has_text="Project it").click()
    wait_for_note(lab, answer, "Paint on the left")
    assert lab.page.get_by_role("alert").filter(has_text="does not know this").count() == 1
    assert answer.pixels().shape[:2] == (300, 400)
    lab.keep("photo_tool_stranger")
