"""The canvas in a real browser: ink, history, keys and fingers."""

import json

import pytest

MODES = ("brush", "lasso", "points", "move")
SETUP = """
import json, time, torch
from dataclasses import asdict
from course_lib.widgets.canvas import Canvas
rng = torch.Generator().manual_seed(0)
calls = []
def make(mode):
    canvas = Canvas(torch.rand(3, 64, 96, generator=rng) / 4 + 0.6, mode=mode, alt="noise",
                    title="A picture")
    def told(marks):
        calls.append(marks)
        canvas.note = json.dumps([len(calls), asdict(marks)])
    canvas.on_draw(told)
    return canvas
"""


@pytest.fixture(scope="module")
def canvases(page):
    """One canvas of each kind, in a notebook of its own."""
    page.open_cells(SETUP, *(f"{mode} = make({mode!r})\n{mode}" for mode in MODES))
    return {mode: page.canvas(index) for index, mode in enumerate(MODES)}


def told(drawing) -> dict:
    """The marks that Python heard of last."""
    return json.loads(drawing.note)[1]


def test_a_stroke_of_200_moves_takes_four_messages_and_one_callback(lab, canvases):
    drawing = canvases["brush"]
    before = drawing.pixels(1)[..., 3].sum()
    wire = [(10 + 70 * t / 200, 20 + 20 * (t % 50) / 50) for t in range(201)]
    messages = lab.count(lambda: drawing.drag(*wire, moves=1))
    count, marks = json.loads(drawing.note)
    print(f"a stroke of 200 moves: {messages} messages, {count} callback")
    assert messages <= 4 and count == 1
    (stroke,) = marks["strokes"]
    assert len(stroke["points"]) > 100 and abs(stroke["points"][-1][0] - 80) < 1
    assert drawing.pixels(1)[..., 3].sum() > before
