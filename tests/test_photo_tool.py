"""PhotoTool, driven from Python as a hand would drive it, on a toy."""

import io
import json
import re
import threading

import PIL.Image
import pytest
import torch

from course_lib.directions.naming import NamedDirection
from course_lib.familiarity import Familiarity
from course_lib.generators import load_generator
from course_lib.images import load_image
from course_lib.sessions import PhotoSession
from course_lib.widgets import photo as module
from course_lib.widgets.canvas import Canvas, Marks, Pair, Stroke
from course_lib.widgets.photo import PhotoTool
from course_lib.widgets.photo_page import (
    ANY,
    EYES,
    OWN,
    READY,
    SAMPLE,
    told_strangeness,
)
from tests.test_diffusion import small
from tests.toys import Flow, Painter, tame

RED = Stroke(((150.0, 250.0), (350.0, 250.0)), "#ff0000", 90)


@pytest.fixture
def generator(rng):
    return tame(rng)


@pytest.fixture
def make(generator, rng):
    """Makes tools that end with the test."""
    made = []

    def tool(**options):
        photo = torch.rand(3, 40, 60, generator=rng)
        made.append(PhotoTool(generator, photo, steps=4, projection_steps=3, **options))
        return made[-1]

    yield tool
    for tool in made:
        tool.stop()


@pytest.fixture
def placed_by_eyes(monkeypatch):
    """The toy's things have eyes, too."""
    monkeypatch.setitem(module.AIM, "tame", EYES)


def draw(canvas: Canvas, marks: Marks) -> None:
    """What arrives from the browser when a hand has drawn."""
    like = Canvas(torch.zeros(3, 2, 2), alt="")
    like.marks = marks
    canvas.set_state(json.loads(json.dumps({"_marks": like._marks})))


def upload(canvas: Canvas, size: tuple[int, int] = (90, 60)) -> None:
    """What arrives when a file was chosen."""
    buffer = io.BytesIO()
    PIL.Image.new("RGB", size, "teal").save(buffer, "png")
    canvas._handle_custom_msg({"kind": "photo", "name": "me.png", "part": 0, "parts": 1},
                              [buffer.getvalue()])


def test_a_photo_is_projected_by_itself_and_then_asks_to_be_painted(make):
    tool = make()
    tool.wait()
    assert tool.session.projection is not None
    assert tool.answer.note == READY and tool.page.progress.layout.display == "none"
    assert torch.equal(tool.solve(tool.state).image, tool.state.image)


def test_a_stroke_changes_the_photo_at_its_own_size(make, tmp_path):
    tool = make()
    tool.wait()
    draw(tool.pad, Marks((RED,)))
    tool.wait()
    assert tool.state.strokes == (RED,) and tool.answer.error == ""
    assert "your wish" in tool.answer.note and "the rest stays" in tool.answer.note
    assert "under your strokes" in tool.answer.note and "own size, 60 × 40" in tool.answer.note
    tool.save(tmp_path / "edit.png")
    assert PIL.Image.open(tmp_path / "edit.png").size == (60, 40)
    change = (tool.solve(tool.state).image - tool.state.image).abs()
    assert change[:, :, 12:48].mean() > 1e-4 and change[:, :, :8].max() < 1e-4
    draw(tool.pad, Marks())
    tool.wait()
    assert torch.equal(tool.solve(tool.state).image, tool.state.image)


def test_an_answer_is_told_how_strange_it_looks_beside_photographs(make, rng):
    session = PhotoSession(load_generator("cats-128", device="cpu"), load_image("tabby", size=128))
    same = told_strangeness(session, session.photo)
    after, before = re.findall(r"(\d+)%", same)
    assert before == after and 0 <= int(after) < 60
    noise = torch.rand(3, 128, 128, generator=rng)
    assert "than 100% of photographs" in told_strangeness(session, noise)
    assert told_strangeness(make().session, noise) == ""  # nobody knows photographs of its kind


def test_what_is_painted_during_the_projection_is_taken_up_after_it(make, monkeypatch):
    going, let_go = threading.Event(), threading.Event()
    project = module.PhotoSession.project

    def slow(session, callback):
        going.set()
        let_go.wait(20)
        project(session, callback)

    monkeypatch.setattr(module.PhotoSession, "project", slow)
    tool = make()
    going.wait(20)
    draw(tool.pad, Marks((RED,)))
    let_go.set()
    tool.wait()
    assert len(tool.session.projection.losses) == 3 and "your wish" in tool.answer.note


def test_a_projection_can_be_ended_early(make, monkeypatch):
    tool = make()
    tool.wait()
    watch = tool.page.show_model
    monkeypatch.setattr(tool.page, "show_model", lambda pictures: (tool.cancel(), watch(pictures)))
    tool.set(image=tool.state.image.clone())
    tool.wait()
    assert len(tool.session.projection.losses) < 3 and tool.answer.note == READY


def test_a_photo_of_one_s_own_is_placed_by_its_eyes_and_then_projected(placed_by_eyes, make):
    tool = make()
    tool.wait()
    upload(tool.pad)
    assert tool.state.name == OWN and not tool.state.placed
    assert tool.placer.layout.display == "" and tool.pad.layout.display == "none"
    assert tool.page.go.disabled and tool.session.projection is None
    assert "both eyes" in tool.placer.note
    draw(tool.placer, Marks(pairs=(Pair((40, 30), (40, 30), fresh=True),)))
    assert tool.page.go.disabled and tool.placer.outline == []
    assert "the other eye" in tool.placer.note
    draw(tool.placer, Marks(pairs=(Pair((40, 30), (40, 30)), Pair((56, 31), (56, 31)))))
    assert not tool.page.go.disabled and len(tool.placer.outline) == 4
    assert tool.placer.note == ""
    tool.begin()
    tool.wait()
    assert tool.session.projection is not None and tool.pad.layout.display == ""
    left = tool.session.frame.to_shares(torch.tensor([[40.0, 30.0]]))[0].tolist()
    assert left == pytest.approx(EYES[0], abs=1e-3)
    tool.place()
    assert tool.placer.layout.display == "" and tool.state.points  # to be corrected


def test_a_photo_for_a_generator_without_eyes_is_centred(make):
    tool = make()
    tool.wait()
    upload(tool.pad, (300, 200))
    tool.wait()
    assert tool.state.placed and tool.session.frame.side == 200
    assert tool.page.again.layout.display == "none"


def test_a_file_that_is_no_picture_leaves_all_as_it_was(make):
    tool = make()
    tool.wait()
    content = {"kind": "photo", "name": "me.png", "part": 0, "parts": 1}
    tool.pad._handle_custom_msg(content, [b"no picture"])
    assert "can't be read" in tool.pad.error and tool.session.projection is not None


def test_a_photo_of_a_pixel_is_refused(make):
    tool = make()
    tool.wait()
    before = tool.state.image
    upload(tool.pad, (1, 1))
    assert "1 × 1 pixels, too few" in tool.pad.error and tool.state.image is before
    upload(tool.pad, (32, 32))
    assert tool.pad.error == "" and tool.state.name == OWN


def test_a_drag_is_told_by_how_far_it_got_and_not_by_how_hard_it_pulls(make, monkeypatch):
    tool = make()
    tool.wait()
    notes = []
    tool.answer.observe(lambda change: notes.append(change["new"]), "note")
    found = {"tracked": 0.3, "searched": 11.8, "whole": 12.0}
    monkeypatch.setattr("course_lib.guidance.Editing.drags_missed", lambda *_: found)
    draw(tool.pad, Marks(pairs=(Pair((150.0, 250.0), (350.0, 250.0)),)))
    tool.wait()
    assert "your wish" not in tool.answer.note and "the pull" in tool.answer.note
    assert "0.3 of 12.0 pixels are missing, says the tracker" in tool.answer.note
    assert "lies 11.8 pixels from the target" in tool.answer.note
    assert "step 4 of 4 · preview, the whole photo follows, 60 × 40" in notes[-2]
    assert "step 4 of 4 · the whole photo at its own size, 60 × 40" in notes[-1]


def test_a_photo_that_the_model_does_not_know_is_named_before_anyone_paints(make, monkeypatch):
    strange = Familiarity(9.0, 3.0, 5.0)
    monkeypatch.setattr("course_lib.sessions.photo.judge_familiarity", lambda *_: strange)
    tool = make()
    said = tool.page.warning.value
    assert "tame does not know this" in said and "3.0 times" in said
    tool.wait()
    assert tool.page.warning.value == said
    monkeypatch.setattr("course_lib.sessions.photo.judge_familiarity", lambda *_: None)
    tool.set(image=tool.state.image.clone())
    assert tool.page.warning.value == ""


def test_named_directions_have_sliders_that_move_the_photo(make, monkeypatch):
    found = NamedDirection("wide", "tame", "w", (1.0,) + (0.0,) * 7, None, 2.0)
    monkeypatch.setattr("course_lib.sessions.photo.shipped_directions", lambda _: {"wide": found})
    tool = make()
    tool.wait()
    assert [slider.description for slider in tool.page.sliders] == ["wide"]
    tool.page.sliders[0].value = 80
    tool.wait()
    assert tool.state.strengths == (80,) and "everywhere" in tool.answer.note
    moved = tool.session.edit.code() - tool.session.projection.latent
    assert float(moved[0, 0, 0]) == pytest.approx(1.6, abs=1e-4)
    tool.move("wide", -80)
    assert tool.page.sliders[0].value == -80
    assert tool.edited.shape == tool.photo.shape and not torch.equal(tool.edited, tool.photo)
    tool.reset()
    tool.wait()
    assert tool.page.sliders[0].value == 0 and tool.answer.note == READY
    with pytest.raises(ValueError, match="'wide'"):
        tool.move("narrow", 50)


def test_a_word_draws_the_photo_again_at_its_own_size(make, rng):
    tool = make(words=small(rng))
    tool.wait()
    assert tool.answer.note == READY
    tool.controls["kind"].value = "hat"
    tool.wait()
    assert tool.state.words.kind == "hat" and tool.session.is_edited
    assert "said: hat" in tool.answer.note and "own size, 60 × 40" in tool.answer.note
    hat = tool.edited
    assert hat.shape == tool.photo.shape and (hat - tool.photo).abs().max() > 1e-3
    tool.say("hat", "red", 4.0)
    tool.wait()
    assert "said: hat · red" in tool.answer.note and tool.controls["loudness"].value == 4
    assert not torch.equal(tool.edited, hat)
    tool.say()
    tool.wait()
    assert tool.controls["kind"].value == ANY and tool.answer.note == READY
    assert torch.equal(tool.edited, tool.photo)
    with pytest.raises(ValueError, match="kind is 'skirt'"):
        tool.say("skirt")
    with pytest.raises(ValueError, match="color is 'hat'"):
        tool.say(color="hat")


def test_a_tool_without_a_model_of_words_has_no_menus_of_them(make):
    assert list(make().controls) == ["name"]


def test_a_failure_in_the_background_is_shown(make, monkeypatch):
    tool = make()
    tool.wait()
    monkeypatch.setattr("threading.excepthook", lambda arguments: None)
    monkeypatch.setattr(tool.session, "ask", lambda *_: {}["missing"])
    draw(tool.pad, Marks((RED,)))
    tool.wait()
    assert tool.answer.error == "KeyError: 'missing'"
    with pytest.raises(KeyError, match="missing"):  # and no unedited photo for an answer
        tool.edited  # noqa: B018


def test_a_model_without_photos_opens_with_a_picture_of_its_own(generator):
    tool = PhotoTool(generator, steps=2, projection_steps=2)
    tool.wait()
    assert tool.state.name == SAMPLE and tool.state.image.shape == (3, 16, 16)


@pytest.mark.parametrize("family, drags", [(Flow, True), (Painter, False)])
def test_a_family_that_has_only_z_is_painted_there_and_dragged_if_it_has_features(family, drags):
    tool = PhotoTool(family(), steps=2, projection_steps=2)
    tool.wait()
    assert tool.session.space == "z" and ("drag" in tool.pad.brushes) == drags
    draw(tool.pad, Marks((RED,)))
    tool.wait()
    assert tool.answer.error == "" and "your wish" in tool.answer.note
