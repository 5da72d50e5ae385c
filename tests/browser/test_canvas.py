"""The canvas in a real browser: ink, history, keys and fingers."""

import io
import itertools
import json
import math

import numpy as np
import PIL.Image
import pytest

MODES = ("brush", "lasso", "points", "move", "slow")
SETUP = """
import json, time, torch
from dataclasses import asdict
from course_lib.widgets.canvas import Canvas
rng = torch.Generator().manual_seed(0)
def make(mode):
    canvas = Canvas(torch.rand(3, 64, 96, generator=rng) / 4 + 0.6, alt="noise", title="A picture",
                    mode="brush" if mode == "slow" else mode)
    calls = []
    def told(marks):
        calls.append(marks)
        time.sleep(3 if mode == "slow" else 0)
        canvas.note = json.dumps([len(calls), asdict(marks)])
    canvas.on_draw(told)
    canvas.outline = [[30, 20], [50, 20], [50, 40], [30, 40]] if mode == "move" else []
    return canvas
"""
CIRCLE = [(48 + 20 * math.cos(t / 5), 32 + 15 * math.sin(t / 5)) for t in range(31)]


@pytest.fixture(scope="module")
def canvases(page):
    """One canvas of each kind, in a notebook of its own."""
    page.open_cells(SETUP, *(f"{mode} = make({mode!r})\n{mode}" for mode in MODES))
    return {mode: page.canvas(index) for index, mode in enumerate(MODES)}


@pytest.fixture
def drawing(canvases, request):
    """The canvas of the mode that the test names, with nothing drawn on it."""
    drawing = canvases[request.param]
    if request.param != "move":
        drawing.button("Clear").click()
    return drawing


def told(drawing) -> dict:
    """The marks that Python heard of last."""
    drawing.lab.settle()
    return json.loads(drawing.note)[1]


def heard(drawing) -> int:
    """How often Python was called."""
    return json.loads(drawing.note)[0] if drawing.note else 0


def ink(drawing) -> int:
    """How much is drawn over the picture."""
    return int((drawing.pixels(1)[..., 3] > 0).sum())


def press(drawing, *keys: str) -> None:
    drawing.stage.focus()
    for key in keys:
        drawing.lab.page.keyboard.press(key)


@pytest.mark.parametrize("drawing", ["brush"], indirect=True)
def test_a_stroke_of_200_moves_takes_four_messages_and_one_callback(lab, drawing):
    wire = [(10 + 70 * t / 200, 20 + 20 * (t % 50) / 50) for t in range(201)]
    lab.settle()
    before, calls = ink(drawing), heard(drawing)
    messages = lab.count(lambda: drawing.drag(*wire, moves=1))
    count, marks = json.loads(drawing.note)
    print(f"a stroke of 200 moves: {messages} messages, {count - calls} callback")
    assert messages <= 4 and count == calls + 1
    (stroke,) = marks["strokes"]
    assert len(stroke["points"]) > 100 and abs(stroke["points"][-1][0] - 80) < 1
    assert ink(drawing) > before


@pytest.mark.parametrize("drawing", ["brush"], indirect=True)
def test_what_was_drawn_is_erased_undone_redone_and_cleared(lab, drawing):
    drawing.drag((10, 32), (90, 32))
    full = ink(drawing)
    drawing.button("Eraser").click()
    drawing.drag((48, 10), (48, 60))
    part = ink(drawing)
    assert part < full
    drawing.button("Brush").click()
    drawing.button("Undo").click()
    assert ink(drawing) == full and len(told(drawing)["strokes"]) == 1
    drawing.button("Redo").click()
    assert ink(drawing) == part and told(drawing)["strokes"][1]["erases"]
    drawing.button("Clear").click()
    assert ink(drawing) == 0 and told(drawing)["strokes"] == []
    press(drawing, "Control+z")
    assert ink(drawing) >= part and len(told(drawing)["strokes"]) == 2


@pytest.mark.parametrize("drawing", ["brush", "lasso"], indirect=True)
def test_what_was_said_of_an_act_goes_with_the_next(lab, drawing):
    spoken = drawing.root.locator(".sw-spoken")
    assert spoken.text_content() == "Cleared"
    drawing.drag(*CIRCLE[::5])
    assert "Cleared" not in spoken.text_content()


@pytest.mark.parametrize("drawing", ["brush"], indirect=True)
def test_colour_and_size_are_chosen(lab, drawing):
    drawing.root.get_by_role("radio", name="blue").click()
    drawing.root.get_by_label("Size").fill("20")
    drawing.drag((20, 30), (40, 30))
    (stroke,) = told(drawing)["strokes"]
    assert stroke["color"] == "#0072B2" and stroke["width"] == 20
    x, y = (round(value) for value in drawing.on_layer(30, 30))
    assert drawing.pixels(1)[y, x].tolist() == [0, 0x72, 0xB2, 255]


@pytest.mark.parametrize("drawing", ["brush"], indirect=True)
def test_the_keyboard_draws_and_jupyterlab_does_not_listen(lab, drawing):
    active = lab.active_cell()
    press(drawing, " ", "ArrowRight", "ArrowRight", "Shift+ArrowDown", " ")
    (stroke,) = told(drawing)["strokes"]
    (x, y), (last_x, last_y) = stroke["points"][0], stroke["points"][-1]
    assert (last_x - x, last_y - y) == (4, 20)
    assert "Pen lifted" in drawing.root.locator(".sw-spoken").text_content()
    press(drawing, "d", "d", "a", "b", "x")
    assert lab.active_cell() == active


@pytest.mark.parametrize("drawing", ["brush"], indirect=True)
def test_a_stroke_undone_while_the_keyboard_draws_it_can_be_redone(lab, drawing):
    press(drawing, " ", "ArrowRight", "Control+z")
    assert told(drawing)["strokes"] == []
    press(drawing, "Control+y")
    assert len(told(drawing)["strokes"]) == 1


@pytest.mark.parametrize("drawing", ["brush"], indirect=True)
def test_a_finger_draws_and_does_not_scroll(lab, drawing):
    spots = drawing.spots((20, 20), (50, 30), (70, 50))
    touch = lab.page.context.new_cdp_session(lab.page)
    for kind, (x, y) in zip(("touchStart", "touchMove", "touchMove"), spots, strict=True):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    (stroke,) = told(drawing)["strokes"]
    assert [round(value) for value in stroke["points"][-1]] == [70, 50]
    assert drawing.spots((20, 20))[0] == pytest.approx(spots[0], abs=1)


@pytest.mark.parametrize("drawing", ["lasso"], indirect=True)
def test_a_lasso_is_drawn_around_a_region_by_hand_or_by_keys(lab, drawing):
    drawing.drag(*CIRCLE, moves=1)
    lasso = told(drawing)["lasso"]
    assert len(lasso) > 20
    assert max(x for x, _ in lasso) == pytest.approx(68, abs=1)
    press(drawing, " ", "Shift+ArrowRight", " ", "Shift+ArrowDown", " ", "Enter")
    a, b, c = told(drawing)["lasso"]
    assert (b[0] - a[0], c[1] - b[1]) == (20, 20)
    drawing.button("Undo").click()
    assert told(drawing)["lasso"] == lasso


@pytest.mark.parametrize("drawing", ["points"], indirect=True)
def test_points_are_set_dragged_moved_by_keys_and_removed(lab, drawing):
    drawing.drag((20, 20), (20, 20))
    drawing.drag((70, 40), (60, 30))
    first, second = told(drawing)["pairs"]
    assert first["start"] == first["end"] == pytest.approx([20, 20], abs=1)
    assert second["start"] == pytest.approx([70, 40], abs=1)
    assert second["end"] == pytest.approx([60, 30], abs=1)
    drawing.drag((20, 20), (30, 25))
    first = told(drawing)["pairs"][0]
    assert first["start"] == pytest.approx([20, 20], abs=1)
    assert first["end"] == pytest.approx([30, 25], abs=1)
    press(drawing, "n", "ArrowLeft", "Shift+ArrowUp")
    moved = told(drawing)["pairs"][1]["end"]
    assert moved == pytest.approx([second["end"][0] - 1, second["end"][1] - 10], abs=0.2)
    assert "Handle 2 of 2" in drawing.root.locator(".sw-spoken").text_content()
    press(drawing, "Delete")
    assert len(told(drawing)["pairs"]) == 1
    press(drawing, "Control+z", "Control+Shift+z", "Control+z")
    assert len(told(drawing)["pairs"]) == 2


@pytest.mark.parametrize("drawing", ["points"], indirect=True)
def test_the_keyboards_focus_is_seen_on_the_picture(lab, drawing):
    press(drawing, "ArrowLeft")
    drawing.spots((0, 0))  # scrolls it into view
    shot = np.array(PIL.Image.open(io.BytesIO(drawing.stage.screenshot())).convert("RGB"))
    rim = np.concatenate([shot[1, 4:-4], shot[-2, 4:-4], shot[4:-4, 1], shot[4:-4, -2]])
    orange = np.abs(rim.astype(int) - (0xE6, 0x9F, 0x00)).max(axis=1) < 8
    assert orange.mean() > 0.9


@pytest.mark.parametrize("drawing", ["move"], indirect=True)
def test_a_region_is_dragged_and_nudged(lab, drawing):
    drawing.drag((40, 30), (52, 21))
    assert told(drawing)["offset"] == [12, -9]
    press(drawing, "ArrowDown", "Shift+ArrowLeft")
    assert told(drawing)["offset"] == [2, -8]


@pytest.mark.parametrize("drawing", ["slow"], indirect=True)
def test_ink_shows_while_python_is_busy_and_only_the_newest_marks_are_kept(lab, drawing):
    lab.settle(3.5)
    calls, seen = heard(drawing), [ink(drawing)]
    for row in (10, 20, 30, 40):
        drawing.drag((10, row), (80, row), moves=3)
        seen.append(ink(drawing))
        if row == 10:
            assert heard(drawing) == calls  # Python still sleeps over it
    assert all(after > before for before, after in itertools.pairwise(seen))
    lab.settle(3.5)
    count, marks = json.loads(drawing.note)
    print(f"four strokes while Python was busy: {count - calls} callbacks")
    assert count - calls < 4 and len(marks["strokes"]) == 4


@pytest.mark.parametrize("drawing", ["lasso"], indirect=True)
def test_zoom_goes_in_and_back_to_fit(lab, drawing):
    wide = drawing.stage.bounding_box()["width"]
    drawing.button("Zoom in").click()
    drawing.button("Zoom in").click()
    assert drawing.stage.bounding_box()["width"] > 1.5 * wide
    drawing.drag((10, 10), (30, 10), (30, 30), moves=4)
    assert told(drawing)["lasso"][0] == pytest.approx([10, 10], abs=1)
    drawing.button("Zoom to fit").click()
    assert drawing.stage.bounding_box()["width"] == wide
