"""PaintTool, driven from Python as a hand would drive it."""

import base64
import dataclasses
import io
import json

import PIL.Image
import pytest
import torch

from course_lib.guidance import ColorStroke, Drag, SketchStroke, WarpStroke
from course_lib.widgets import sweep
from course_lib.widgets.canvas import Canvas, Marks, Pair, Stroke
from course_lib.widgets.paint import PaintTool
from course_lib.widgets.paint_page import NOTHING, PHOTO, SAMPLE
from course_lib.widgets.wishes import wishes
from tests.toys import Plain, tame

RED = Stroke(((4.0, 8.0), (10.0, 8.0)), "#ff0000", 3)
BLUE = Stroke(((8.0, 2.0), (8.0, 13.0)), "#0072B2", 3)


@pytest.fixture
def generator(rng):
    return tame(rng)


@pytest.fixture
def tool(generator):
    tool = PaintTool(generator, alt="noise", steps=12, projection_steps=4)
    yield tool
    tool.stop()


def draw(tool: PaintTool, *strokes: Stroke, pairs: tuple[Pair, ...] = ()) -> None:
    """What arrives from the browser when a hand has drawn."""
    like = Canvas(torch.zeros(3, 2, 2), alt="")
    like.marks = Marks(strokes, pairs=pairs)
    tool.pad.set_state(json.loads(json.dumps({"_marks": like._marks})))


def off(tool: PaintTool, color: tuple[float, ...] = (1.0, 0.0, 0.0)) -> float:
    """How far the shown picture is from a colour under the red stroke."""
    image = tool.solve(tool.state).image
    return float((image[:, 8, 4:11] - torch.tensor(color)[:, None]).square().mean())


def test_strokes_of_one_colour_are_one_wish_and_later_ink_covers_earlier():
    red, blue = wishes([RED, BLUE], [], 16)
    assert isinstance(red, ColorStroke) and red.color == (1, 0, 0)
    assert blue.mask[8, 8] and not red.mask[8, 8] and red.mask[8, 5]
    (one,) = wishes([RED, dataclasses.replace(BLUE, color="#ff0000")], [], 16)
    assert one.mask[8, 5] and one.mask[3, 8]


def test_each_brush_makes_its_own_constraint_and_the_eraser_takes_from_all():
    sketch, hold = (dataclasses.replace(BLUE, kind=kind) for kind in ("sketch", "hold"))
    pairs = [Pair((3, 3), (6, 5), kind="warp", width=4), Pair((9, 9), (12, 9)),
             Pair((5, 5), (5, 5))]  # the last one was not moved
    color, lines, warp, drag = wishes([RED, sketch, hold], pairs, 16)
    assert isinstance(color, ColorStroke) and color.mask[8, 8]  # a sketch covers no colour
    assert isinstance(lines, SketchStroke) and lines.mask[3, 8] and not lines.mask[8, 5]
    assert isinstance(warp, WarpStroke) and warp.radius == 4
    assert warp.moved_handles.tolist() == [[6, 5]]
    assert isinstance(drag, Drag) and drag.start.tolist() == [[9, 9]] and drag.fixed[3, 8]
    eraser = Stroke(((0.0, 0.0), (16.0, 16.0)), width=40, erases=True)
    assert wishes([RED, sketch, eraser], [], 16) == []
    assert wishes([], [], 16) == []


def test_without_a_wish_z0_is_shown(tool, generator):
    z0 = generator.sample_latent(1, space="w", rng=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        tool.solve(tool.state).image, generator.decode(z0, space="w")[0], atol=1e-5, rtol=0)
    assert "nothing painted yet" in tool.canvas.note


def test_a_stroke_is_answered_at_once_and_then_followed(tool):
    before = off(tool)
    draw(tool, RED)
    first = off(tool)
    assert tool.state.strokes == (RED,) and first < before
    tool.wait()
    assert tool.editing.age == 12 and off(tool) < first
    assert "ColorStroke 1 0." in tool.canvas.note and "close to the input" in tool.canvas.note
    assert "step 12 of 12" in tool.canvas.note


def test_a_new_stroke_goes_on_from_what_was_found(tool):
    draw(tool, RED)
    tool.wait()
    before = tool.editing.latent
    editing = tool.editing
    draw(tool, RED, BLUE)
    tool.stop()
    assert tool.editing is editing and list(editing.energies)[:2] == [
        "ColorStroke 1", "ColorStroke 2"]
    assert (editing.latent - before).norm() < (before - editing.origin).norm()


def test_a_new_stroke_interrupts_the_one_before(generator):
    tool = PaintTool(generator, alt="noise", steps=100_000)
    draw(tool, RED)
    draw(tool, RED, BLUE)
    assert tool.editing.age < 100_000
    tool.stop()
    assert not tool.background.runs


def test_when_the_last_stroke_is_undone_z0_is_back(tool):
    first = tool.solve(tool.state).image
    draw(tool, RED)
    tool.wait()
    draw(tool)
    torch.testing.assert_close(tool.solve(tool.state).image, first)


def test_a_large_lambda_keeps_z0(tool):
    first = tool.solve(tool.state).image

    def moved(smoothness: float) -> float:
        tool.set(strokes=(), smoothness=smoothness)
        tool.set(strokes=(RED,))
        tool.wait()
        return float((tool.solve(tool.state).image - first).square().mean())

    assert moved(10.0) < 0.3 * moved(1e-4)


def test_the_morph_leads_from_z0_to_the_answer(tool):
    z0 = tool.solve(tool.state).image
    draw(tool, RED)
    tool.wait()
    age, answer = tool.editing.age, tool.solve(tool.state).image
    tool.controls["morph"].value = 0
    torch.testing.assert_close(tool.solve(tool.state).image, z0, atol=1e-5, rtol=0)
    tool.controls["morph"].value = 50
    half = tool.solve(tool.state).image
    assert not torch.allclose(half, z0, atol=1e-3) and not torch.allclose(half, answer, atol=1e-3)
    assert tool.editing.age == age  # the slider costs no step


def test_play_shows_the_morph_and_ends_with_the_answer(tool, monkeypatch):
    draw(tool, RED)
    tool.wait()
    notes = []
    show = tool.canvas.show
    monkeypatch.setattr(tool.canvas, "show", lambda image, note="": notes.append(note) or show(
        image, note=note))
    tool.play()
    tool.wait()
    assert len(notes) == 17 and notes[0] == "the morph, 0 %" and "Energy" in notes[-1]


def test_fix_makes_the_picture_the_new_z0(tool):
    draw(tool, RED)
    tool.wait()
    tool.set(morph=70)
    shown = tool.solve(tool.state).image
    tool.fix()
    assert tool.state.strokes == () and tool.state.morph == 100
    torch.testing.assert_close(tool.session.before, shown, atol=1e-4, rtol=0)
    draw(tool, BLUE)
    torch.testing.assert_close(tool.editing.at(0, torch.zeros(1))[0], shown, atol=1e-4, rtol=0)
    tool.new_start()
    assert tool.state.seed == 1 and tool.state.fixed is None
    tool.fix()
    tool.controls["seed"].value = 5
    assert tool.state.fixed is None


def test_from_nothing_many_random_starts_are_ranked_and_no_z0_is_kept(tool, generator):
    tool.set(start=NOTHING, candidates=8, strokes=(RED,))
    tool.wait()
    assert tool.thumbs.choices == len(tool.editing.shown) <= 4
    assert f"Shown: {tool.thumbs.choices} of 8; of the cheaper half" in tool.thumbs.note
    assert float(tool.editing.energies["close to the input"].max()) == 0
    cost = tool.editing.energies["ColorStroke 1"]
    assert cost[tool.editing.shown[0]] < cost.mean()


def test_a_candidate_is_picked_from_the_thumbnails_and_stays_picked(tool):
    tool.set(candidates=8, strokes=(RED,))
    tool.wait()
    shown = tool.editing.shown
    tool.thumbs.set_state({"picked": 1})
    assert tool.state.picked == shown[1]
    torch.testing.assert_close(tool.solve(tool.state).image, tool.editing.image[shown[1]])
    tool.thumbs.set_state({"picked": 0})
    torch.testing.assert_close(tool.solve(tool.state).image, tool.editing.image[shown[0]])
    tool.thumbs.set_state({"picked": 1})
    draw(tool, RED, BLUE)
    tool.wait()
    assert tool._start() == shown[1]
    if shown[1] in tool.editing.shown:
        assert tool.thumbs.picked == tool.editing.shown.index(shown[1])
    draw(tool)
    assert tool.state.picked is None


def test_a_photo_is_projected_once_a_space_and_then_edited(tool, rng, monkeypatch):
    from course_lib.widgets import paint as module
    calls = []
    project = module.project
    monkeypatch.setattr(module, "project", lambda *a, **k: calls.append(k["space"]) or project(
        *a, **k))
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (40, 32), "teal").save(buffer, "png")
    content = {"kind": "photo", "name": "me.png", "part": 0, "parts": 1}
    tool.pad._handle_custom_msg(content, [buffer.getvalue()])
    assert tool.state.start == PHOTO and tool.state.photo.shape == (3, 16, 16)
    assert tool.controls["start"].value == PHOTO
    draw(tool, RED)
    tool.set(space="w_plus")
    tool.set(space="w")
    assert calls == ["w", "w_plus"] and tool.bar.value == 0
    tool.pad._handle_custom_msg(content, [b"no picture"])
    assert "can't be read" in tool.pad.error and tool.state.start == PHOTO


def test_a_photo_may_be_there_from_the_start(generator, rng):
    tool = PaintTool(generator, alt="noise", photo=torch.rand(3, 20, 24, generator=rng),
                     projection_steps=2, space="w_plus")
    assert tool.state.start == PHOTO and tool.state.photo.shape == (3, 16, 16)


def test_a_photo_that_is_not_there_is_asked_for(tool):
    with pytest.raises(ValueError, match="no photo yet: press"):
        tool.set(start=PHOTO, photo=None)
    assert "no photo yet" in tool.canvas.error
    tool.set(start=SAMPLE)
    assert tool.canvas.error == ""


def test_a_fixed_code_can_not_go_back_to_an_earlier_space(tool):
    tool.set(space="w_plus", strokes=(RED,))
    tool.fix()
    with pytest.raises(ValueError, match="codes only go z -> w -> w_plus"):
        tool.set(space="z")
    tool.set(space="w_plus")
    assert tool.canvas.error == ""


def test_a_failure_in_the_background_is_shown(tool, monkeypatch):
    draw(tool, RED)
    tool.wait()
    monkeypatch.setattr(tool.editing, "step", lambda rate=1.0: {}["missing"])
    monkeypatch.setattr("threading.excepthook", lambda arguments: None)
    tool.background.start(tool._follow)
    tool.editing.age = 0
    tool.background.start(tool._follow)
    tool.wait()
    assert tool.canvas.error == "KeyError: 'missing'"


def test_reset_returns_to_the_first_state(tool):
    first, state = tool.canvas.jpeg, tool.state
    draw(tool, RED)
    tool.set(space="w_plus", seed=4)
    tool.canvas._handle_custom_msg({"kind": "reset"}, [])
    assert tool.state is state and tool.canvas.jpeg == first and tool.pad.marks == Marks()


def test_sweep_tries_every_control_and_brush_and_comes_back(tool):
    before = tool.state
    assert sweep(tool, stops=3) >= 20
    assert tool.state == before


def test_the_answer_is_saved(tool, tmp_path):
    tool.set(strokes=(RED,))
    tool.wait()
    tool.save(tmp_path / "edit.png")
    assert PIL.Image.open(tmp_path / "edit.png").size == (16, 16)


def test_a_reader_without_a_kernel_sees_what_was_painted_and_the_answer(tool):
    tool.set(strokes=(RED,))
    tool.wait()
    data, metadata = tool._repr_mimebundle_()
    with PIL.Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"]))) as picture:
        assert picture.size == (2 * 192 + 4, 192)
        red, green, _ = picture.getpixel((6 * 12, 8 * 12 + 6))
    assert red > 200 and green < 60
    assert metadata["image/jpeg"]["alt"] == "noise"
    assert all(canvas.alt and canvas.title for canvas in (tool.pad, tool.canvas, tool.thumbs))


def test_a_family_without_w_is_painted_in_z():
    tool = PaintTool(Plain(), alt="colours", steps=3, candidates=2)
    tool.set(strokes=(Stroke(((1.0, 1.0),), "#ff0000", 2),))
    tool.wait()
    assert tool.state.space == "z" and tool.editing.age == 3
