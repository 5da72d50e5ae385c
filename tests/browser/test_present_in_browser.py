"""A lecture in a real browser: keys turn its slides, a slider is live, all fits, no barrier."""

import json
import time

import pytest

from course_lib.present.slides import SHOW_CODE, mark
from course_lib.present.stage import rehearse, serve
from tests.browser.axe import severe_barriers

TOOL = """
import ipywidgets, torch
from course_lib.widgets import LiveImage
tool = LiveImage(
    lambda grey: ([torch.full((3, 30, 40), float(grey))], ""), alt="a grey", height=200,
    grey=ipywidgets.FloatSlider(value=0.5, min=0, max=1, step=0.25, description="grey"))
tool
"""
FIGURE = """
import torch
from course_lib.plotting import show_images
show_images([torch.rand(3, 30, 40)], ["noise"], alt="grains of \\"noise\\"")
"""
TABLE = "# A lecture\n\n| what | [where](https://doi.org) |\n|---|---|\n| `code` | $x$ |"
LONG = "## A full slide\n\n" + "A word and another one. " * 45
OVER = """() => { const all = document.querySelector(".jp-Deck .jp-WindowedPanel-viewport");
    return all.scrollHeight - all.clientHeight }"""
# What axe-core holds against JupyterLab, wherever our own part is right: the rule, where, and why.
JUPYTERLABS = (
    ("aria-required-children", "jp-WindowedPanel-viewport"),  # its "feed" of cells
    ("aria-input-field-name", "cm-content"),  # its editor of code has no name
)
TITLE = ".jp-deck-mod-onscreen :is(h1, h2)"


@pytest.fixture(scope="module")
def address(browser, tmp_path_factory):
    """Where a lecture of four slides is shown."""
    noise = {"output_type": "stream", "name": "stdout", "text": "anything"}
    widget = {"output_type": "execute_result", "execution_count": 1, "metadata": {},
              "data": {"application/vnd.jupyter.widget-view+json": {}}}
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": TABLE},
        {"cell_type": "code", "id": "f", "metadata": {}, "source": FIGURE, "outputs": [noise],
         "execution_count": 1},
        {"cell_type": "markdown", "id": "b", "metadata": {}, "source": LONG},
        {"cell_type": "markdown", "id": "c", "metadata": {}, "source": "Its last words."},
        {"cell_type": "code", "id": "d", "metadata": {}, "source": TOOL, "outputs": [widget],
         "execution_count": 1},
    ]
    lesson = tmp_path_factory.mktemp("lesson") / "lecture.ipynb"
    lecture = mark({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    lecture["cells"][1]["metadata"]["tags"] = [SHOW_CODE]
    lesson.write_text(json.dumps(lecture))
    with serve(tmp_path_factory.mktemp("stage")) as server:
        yield server.address(rehearse(server, lesson))


@pytest.mark.parametrize("width, height, way", [(1280, 720, 400), (1920, 1080, -800)])
def test_keys_turn_the_slides_and_a_slider_is_live(browser, address, pictures, width, height, way):
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(60_000)
    page.goto(address)
    page.locator(TITLE, has_text="A lecture").wait_for()
    page.keyboard.press("PageDown")
    page.locator(TITLE, has_text="A full slide").wait_for()
    page.get_by_role("paragraph").filter(has_text="Its last words.").wait_for()
    assert page.evaluate(OVER) == 0
    page.keyboard.press("ArrowRight")
    picture = page.get_by_role("img", name="a grey")
    picture.wait_for()
    assert page.evaluate(OVER) == 0 and page.locator(TITLE).count() == 0
    assert drag_until_it_changes(page, picture, way)
    page.screenshot(path=pictures / f"lecture_{height}.png")
    page.mouse.click(width * 0.7, height * 0.6)  # the keys were the slider's
    page.keyboard.press("PageUp")
    page.locator(TITLE, has_text="A full slide").wait_for()
    page.close()


def drag_until_it_changes(page, picture, way, tries=5):
    """Whether the picture follows the slider's handle; a page that still loads may let go of it."""
    before, handle = picture.get_attribute("src"), page.locator(".noUi-handle")
    for _ in range(tries):
        handle.hover()  # once it has stopped moving
        box = handle.bounding_box()
        page.mouse.down()
        page.mouse.move(box["x"] + way, box["y"] + box["height"] / 2, steps=5)
        page.mouse.up()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if picture.get_attribute("src") != before:
                return True
            page.wait_for_timeout(100)
    return False


def test_no_slide_has_a_serious_barrier(browser, address):
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.set_default_timeout(60_000)
    page.goto(address)
    for seen in ("A lecture", "A full slide", "grey"):
        page.locator(".jp-deck-mod-onscreen", has_text=seen).first.wait_for()
        ours = [said for said in severe_barriers(page)
                if not any(said.startswith(rule) and part in said for rule, part in JUPYTERLABS)]
        assert ours == []
        if seen == "A lecture":
            assert page.get_by_role("img", name='grains of "noise"').count() == 1
        page.keyboard.press("PageDown")
    page.close()
