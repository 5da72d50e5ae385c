"""PaintTool in a real browser: every brush, the candidates, the morph, a photo, from nothing."""

import numpy as np
import pytest

from tests.browser.test_lessons import changed, check_save, png

CELL = """
from course_lib.generators import load_generator
from course_lib.widgets.paint import PaintTool
tool = PaintTool(load_generator("cats", device="cpu"), alt="A cat, edited", seed=3,
                 steps=12, candidates=2, projection_steps=8, smoothness=0.05)
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
    wait_for_note(answer, "nothing painted yet")
    return pad, answer, thumbs


def wait_for_note(answer, words: str) -> None:
    """Wait until the answer's note says so, and its picture has come."""
    answer.lab.page.wait_for_function(
        "([root, words]) => root.querySelector('.sw-note').textContent.includes(words)",
        arg=[answer.root.element_handle(), words])
    answer.lab.settle()


def wait_for_end(answer) -> None:
    """Wait until the optimisation is done."""
    wait_for_note(answer, "step 12 of 12")


def wait_until(drawing, wished) -> None:
    """Wait until the picture shown is as wished; a browser may take its time to paint it."""
    for _ in range(40):
        if wished(drawing.pixels()):
            return
        drawing.lab.page.wait_for_timeout(250)
    drawing.lab.keep("paint_not_as_wished")
    raise AssertionError("the picture did not become what it should be within 10 seconds")


def is_like(picture: np.ndarray):
    """Whether another picture is the same but for JPEG's errors."""
    return lambda other: not changed(picture, other).any()


def choose(lab, menu: str, option: str) -> None:
    """Take another option of a menu of the tool."""
    lab.page.get_by_role("combobox", name=menu).select_option(option)
    lab.settle(1)


def press(lab, name: str) -> None:
    """Press a button of the tool; its icon is part of its name."""
    lab.page.locator(".jp-OutputArea button", has_text=name).click()


def test_a_colour_stroke_is_followed_while_it_converges(lab, drawings):
    pad, answer, _ = drawings
    before, painted = answer.pixels(), answer.painted
    pad.root.get_by_role("radio", name="blue").click()
    pad.root.get_by_label("Size").fill("6")
    pad.drag((34, 38), (46, 42))
    answer.wait_for_picture(painted)
    wait_for_end(answer)
    assert answer.painted > painted + 2  # not the last picture alone
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
    wait_for_end(answer)
    assert "ColorStroke 2" in answer.note and answer.error == ""
    pad.button("Undo").click()
    lab.settle(1)
    wait_for_end(answer)
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
    wait_for_end(answer)
    assert all(name in answer.note for name in ("SketchStroke 1", "WarpStroke 2", "Drag 3"))
    lab.keep("paint_brushes")
    pad.button("Eraser").click()
    pad.root.get_by_label("Size").fill("12")
    pad.drag((54, 46), (59, 46))
    lab.settle(1)
    wait_for_end(answer)
    assert "Drag" not in answer.note and "WarpStroke" in answer.note
    pad.root.get_by_label("Size").fill("6")


def test_the_keyboard_sets_and_moves_a_handle(lab, drawings):
    pad, answer, _ = drawings
    pad.button("Drag").click()
    pad.stage.focus()
    for key in ("Enter", "Shift+ArrowUp"):
        lab.page.keyboard.press(key)
    wait_for_end(answer)
    assert "Drag 1" in answer.note


def test_a_candidate_is_picked_by_a_click_and_by_keys(lab, drawings):
    pad, answer, thumbs = drawings
    choose(lab, "candidates", "8")
    pad.drag((34, 38), (46, 42))
    wait_for_end(answer)
    lab.settle(1)
    first = answer.pixels()
    width = thumbs.pixels().shape[1] / 4
    if thumbs.pixels()[:, int(1.1 * width) : int(1.9 * width), :3].min() > 240:
        pytest.skip("a single candidate is worth showing")
    thumbs.drag((1.5 * width, 30), (1.5 * width, 30))
    wait_until(answer, lambda picture: not np.array_equal(first, picture))
    thumbs.stage.focus()
    lab.page.keyboard.press("ArrowLeft")
    wait_until(answer, is_like(first))
    lab.keep("paint_candidates")
    choose(lab, "candidates", "2")


def test_the_morph_plays_and_slides(lab, drawings):
    pad, answer, _ = drawings
    lab.settle(1)
    z0 = answer.pixels()
    pad.drag((34, 38), (46, 42))
    wait_for_end(answer)
    lab.settle(1)
    done, painted = answer.pixels(), answer.painted
    press(lab, "Play")
    answer.wait_for_picture(painted + 1)  # a slow browser leaves some out
    wait_for_end(answer)
    wait_until(answer, is_like(done))
    lab.page.locator(".jp-OutputArea .noUi-handle").nth(2).focus()
    lab.page.keyboard.press("Home")
    wait_until(answer, is_like(z0))
    lab.page.keyboard.press("End")
    lab.settle()


def test_fix_makes_the_answer_the_next_z0_and_save_hands_it_over(lab, drawings):
    pad, answer, _ = drawings
    pad.drag((34, 38), (46, 42))
    wait_for_end(answer)
    check_save(lab, answer)
    done = answer.pixels()
    press(lab, "Fix as z0")
    wait_for_note(answer, "nothing painted yet")
    assert changed(done, pad.pixels()).mean() < 0.01
    assert (pad.pixels(1)[..., 3] > 0).sum() == 0
    press(lab, "New start")
    lab.settle(1)
    assert changed(done, pad.pixels()).mean() > 0.05


def test_from_nothing_random_starts_compete(lab, drawings):
    pad, answer, _ = drawings
    choose(lab, "start from", "nothing")
    choose(lab, "candidates", "8")
    pad.root.get_by_role("radio", name="vermilion").click()
    pad.drag((30, 40), (46, 42))
    wait_for_end(answer)
    assert answer.error == "" and "close to the input 0.000" in answer.note
    lab.keep("paint_from_nothing")
    choose(lab, "candidates", "2")
    choose(lab, "start from", "a sample")


def test_my_own_photo_is_projected_and_then_edited(lab, drawings):
    pad, answer, _ = drawings

    def upload(name: str, data: bytes) -> None:
        with lab.page.expect_file_chooser() as chooser:
            pad.button("My own photo").click()
        chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": data})
        lab.settle(1)

    upload("notes.png", b"no picture")
    assert "notes.png can't be read as a picture" in pad.error
    upload("wall.png", png((90, 60)))
    wait_for_note(answer, "nothing painted yet")
    assert pad.error == "" and answer.error == ""
    pad.drag((30, 30), (40, 30))
    wait_for_end(answer)
    lab.keep("paint_photo")
