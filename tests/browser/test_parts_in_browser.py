"""PartsTool in a real browser: a click on a part, another cat, the strength."""

import pytest
import torch

from course_lib.generators import load_generator
from course_lib.parts import shipped_parts
from tests.browser.test_lessons import changed

CELL = """
from course_lib.generators import load_generator
from course_lib.widgets.parts import PartsTool
tool = PartsTool(load_generator("cats-128", device="cpu"), alt="A cat with another's muzzle",
                 part="muzzle", seed=3)
tool
"""


@pytest.fixture(scope="module")
def tool(page):
    """The start, the answer and the references of one tool."""
    page.open_cells(CELL)
    return tuple(page.canvas(index) for index in range(3))


def test_a_click_chooses_a_part_and_the_cat_that_it_comes_from(lab, tool):
    start, answer, others = tool
    lab.settle(1)
    assert start.note.startswith("muzzle") and "% local" in answer.note
    before = answer.pixels()
    generator = load_generator("cats-128", device="cpu")
    parts = shipped_parts(generator)
    code = generator.sample_latent(
        1, space="w", rng=torch.Generator().manual_seed(3), truncation_psi=0.8)
    mask = parts.masks(generator, code, space="w")[0, parts.names.index("background")]
    row, column = divmod(int(mask.flatten().argmax()), mask.shape[1])
    painted = answer.painted
    start.drag((4 * column + 2.0, 4 * row + 2.0), moves=1)
    answer.wait_for_picture(painted)
    lab.settle(1)
    assert start.note.startswith("background") and answer.error == ""
    assert start.root.locator(".sw-spoken").text_content() == "background"
    assert start.pixels(1).max() == 0  # no frame around a thousandth of the picture
    lab.page.keyboard.press("ArrowLeft")  # but those who use keys see where they are
    lab.settle(1)
    assert start.pixels(1).max() == 255
    assert start.root.locator(".sw-spoken").text_content() in parts.names
    start.drag((4 * column + 2.0, 4 * row + 2.0), moves=1)
    lab.settle(1)
    first = answer.pixels()
    assert changed(before, first).any()
    painted = answer.painted
    others.drag((150.0, 50.0), moves=1)  # the second of the references
    answer.wait_for_picture(painted)
    lab.settle(1)
    assert changed(first, answer.pixels()).any() and answer.error == ""
    lab.keep("parts_tool")


def test_no_box_of_a_tool_scrolls(lab, tool):
    boxes = lab.page.evaluate(
        "() => [...document.querySelectorAll('.jp-OutputArea .widget-box')]"
        ".map(box => [box.scrollHeight, box.clientHeight, box.scrollWidth, box.clientWidth])")
    assert len(boxes) == 4  # within and around canvases, whose last lines are for the ear alone
    assert all(high <= room and wide <= width for high, room, wide, width in boxes)


def test_without_strength_it_is_the_start_again(lab, tool):
    _, answer, _ = tool
    answer.button("Before / after").click()
    lab.settle()
    start = answer.pixels()
    answer.button("Before / after").click()
    lab.page.locator(".jp-OutputArea .noUi-handle").first.focus()
    painted = answer.painted
    lab.page.keyboard.press("Home")
    answer.wait_for_picture(painted)
    lab.settle(1)
    assert not changed(start, answer.pixels()).any()
