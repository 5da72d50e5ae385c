"""PaintTool in a real browser: every brush, the candidates, the morph, a photo, from nothing."""

import numpy as np
import pytest

from tests.browser.test_lessons import changed, check_save, png

CELL = """
from course_lib.generators import load_generator
from course_lib.widgets.paint import PaintTool
tool = PaintTool(load_generator("shoes", device="cpu"), alt="A shoe, edited", seed=15,
                 steps=25, projection_steps=12)
tool
"""


@pytest.fixture(scope="module")
def tool(page):
    """The pad, the answer and the candidates of one tool."""
    page.open_cells(CELL)
    return tuple(page.canvas(index) for index in range(3))


@pytest.fixture
def drawings(tool):
    """The same, with nothing painted."""
    pad, answer, thumbs = tool
    pad.lab.settle()
    pad.button("Clear").click()
    pad.button("Colour").click()
    pad.lab.settle()
    assert "nothing painted yet" in answer.note
    return pad, answer, thumbs


def wait_for_step(answer, steps: int = 25) -> None:
    answer.lab.page.wait_for_function(
        f"root => root.querySelector('.sw-note').textContent.includes('step {steps} of 25')",
        arg=answer.root.element_handle())
    answer.lab.settle()


def press(lab, name: str) -> None:
    lab.page.locator(".jp-OutputArea").get_by_role("button", name=name, exact=True).click()


def test_a_colour_stroke_is_followed_while_it_converges(lab, drawings):
    pad, answer, _ = drawings
    before, painted = answer.pixels(), answer.painted
    pad.root.get_by_role("radio", name="blue").click()
    pad.root.get_by_label("Size").fill("6")
    pad.drag((34, 38), (46, 42))
    answer.wait_for_picture(painted)
    wait_for_step(answer)
    assert answer.painted > painted + 3  # not the last picture alone
    after = answer.pixels()
    assert changed(before, after)[30:48, 28:52].mean() > 0.5
    assert after[38:43, 36:45, 2].mean() > before[38:43, 36:45, 2].mean()
    assert "ColorStroke 1" in answer.note and "close to the input" in answer.note
    lab.keep("paint_color")


def test_a_second_stroke_interrupts_the_first(lab, drawings):
    pad, answer, _ = drawings
    pad.drag((34, 38), (46, 42))
    pad.root.get_by_role("radio", name="orange").click()
    pad.drag((14, 38), (20, 40))
    wait_for_step(answer)
    assert "ColorStroke 2" in answer.note and answer.error == ""
    pad.button("Undo").click()
    wait_for_step(answer)
    assert "ColorStroke 2" not in answer.note


def test_sketch_warp_drag_and_hold_each_make_their_term(lab, drawings):
    pad, answer, _ = drawings
    pad.button("Sketch").click()
    pad.root.get_by_label("Size").fill("1")
    pad.drag((8, 12), (30, 10))
    pad.button("Warp").click()
    pad.root.get_by_label("Size").fill("8")
    pad.drag((12, 28), (12, 20))
    pad.button("Drag").click()
    pad.drag((54, 46), (58, 46))
    pad.button("Hold still").click()
    pad.drag((30, 50), (40, 52))
    wait_for_step(answer)
    assert all(name in answer.note for name in ("SketchStroke 1", "WarpStroke 2", "Drag 3"))
    lab.keep("paint_brushes")
    pad.button("Eraser").click()
    pad.root.get_by_label("Size").fill("12")
    pad.drag((54, 46), (59, 46))
    wait_for_step(answer)
    assert "Drag" not in answer.note and "WarpStroke" in answer.note
    pad.root.get_by_label("Size").fill("6")


def test_the_keyboard_sets_and_moves_a_handle(lab, drawings):
    pad, answer, _ = drawings
    pad.button("Drag").click()
    pad.stage.focus()
    for key in ("Enter", "Shift+ArrowUp"):
        lab.page.keyboard.press(key)
    wait_for_step(answer)
    assert "Drag 1" in answer.note


def test_a_candidate_is_picked_by_a_click_and_by_keys(lab, drawings):
    pad, answer, thumbs = drawings
    pad.drag((34, 38), (46, 42))
    wait_for_step(answer)
    first = answer.pixels()
    width = thumbs.pixels().shape[1]
    if width < 150:
        pytest.skip("a single candidate is worth showing")
    thumbs.drag((width - 20, 20), (width - 20, 20))
    lab.settle()
    second = answer.pixels()
    assert not np.array_equal(first, second)
    thumbs.stage.focus()
    lab.page.keyboard.press("ArrowLeft")
    lab.settle()
    assert not changed(first, answer.pixels()).any()
    lab.keep("paint_candidates")


def test_the_morph_plays_and_slides(lab, drawings):
    pad, answer, _ = drawings
    z0 = answer.pixels()
    pad.drag((34, 38), (46, 42))
    wait_for_step(answer)
    done, painted = answer.pixels(), answer.painted
    press(lab, "Play")
    answer.wait_for_picture(painted + 4)
    wait_for_step(answer)
    assert not changed(done, answer.pixels()).any()
    lab.page.locator(".jp-OutputArea .noUi-handle").nth(2).focus()
    lab.page.keyboard.press("Home")
    lab.settle()
    assert not changed(z0, answer.pixels()).any()
    lab.page.keyboard.press("End")
    lab.settle()


def test_fix_makes_the_answer_the_next_z0_and_save_hands_it_over(lab, drawings):
    pad, answer, _ = drawings
    pad.drag((34, 38), (46, 42))
    wait_for_step(answer)
    check_save(lab, answer)
    done = answer.pixels()
    press(lab, "Fix as z0")
    lab.settle()
    assert changed(done, pad.pixels()).mean() < 0.01
    assert (pad.pixels(1)[..., 3] > 0).sum() == 0
    press(lab, "New start")
    lab.settle()
    assert changed(done, pad.pixels()).mean() > 0.05


def test_from_nothing_random_starts_compete(lab, drawings):
    pad, answer, thumbs = drawings
    lab.page.get_by_role("combobox", name="start from").select_option("nothing")
    lab.settle()
    lab.page.get_by_role("combobox", name="candidates").select_option("8")
    lab.settle()
    pad.root.get_by_role("radio", name="vermilion").click()
    pad.drag((30, 40), (46, 42))
    wait_for_step(answer)
    assert answer.error == "" and "close to the input 0.000" in answer.note
    lab.keep("paint_from_nothing")
    lab.page.get_by_role("combobox", name="candidates").select_option("2")
    lab.page.get_by_role("combobox", name="start from").select_option("a sample")
    lab.settle()


def test_my_own_photo_is_projected_and_then_edited(lab, drawings):
    pad, answer, _ = drawings

    def choose(name: str, data: bytes) -> None:
        with lab.page.expect_file_chooser() as chooser:
            pad.button("My own photo").click()
        chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": data})
        lab.settle(1)

    choose("notes.png", b"no picture")
    assert "notes.png can't be read as a picture" in pad.error
    choose("wall.png", png((90, 60)))
    assert pad.error == "" and answer.error == ""
    pad.drag((30, 30), (40, 30))
    wait_for_step(answer)
    lab.keep("paint_photo")
