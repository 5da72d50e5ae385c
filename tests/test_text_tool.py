"""TextSession and TextTool, driven from Python as a hand would drive them."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib.generators import load_generator
from course_lib.images import load_image
from course_lib.sessions import TextSession
from course_lib.widgets import sweep
from course_lib.widgets.text import TextTool
from course_lib.widgets.text_page import CODE, PHOTO
from tests.test_text import ColorClip
from tests.toys import tame


class Colors(ColorClip):
    """It refuses what it does not know, as the small CLIP does."""

    def embed_texts(self, texts):
        texts = [text.replace("black cat", "blue").replace("cat", "red") for text in texts]
        if any("velvet" in text for text in texts):
            raise ValueError("'velvet' is a word that this model never learnt")
        return super().embed_texts(texts)


@pytest.fixture
def generator(rng):
    return tame(rng)


@pytest.fixture
def session(generator, rng):
    session = TextSession(generator, Colors(), steps=10)
    session.begin(generator.sample_latent(1, space="w_plus", rng=rng))
    return session


@pytest.fixture
def tool(generator):
    tool = TextTool(generator, Colors(), alt="noise", steps=6, projection_steps=3, identity=0.0)
    yield tool
    tool.stop()


def blueness(picture):
    red, green, blue = picture.mean(dim=(1, 2))
    return float(blue - (red + green) / 2)


def test_a_sentence_changes_the_picture_and_is_noted(session):
    before = session.picture
    session.say("blue", l2=0.001)
    session.follow(lambda: False, lambda: None)
    assert blueness(session.picture) > blueness(before)
    assert [one.prompt for one in session.history] == ["blue"]
    torch.testing.assert_close(session.history[0].picture, session.picture)
    assert session.terms().keys() == {"unlike the prompt", "close to the input"}


def test_another_sentence_begins_again_at_the_start(session):
    start = session.code
    for prompt in ("blue", "red"):
        session.say(prompt, l2=0.001)
        torch.testing.assert_close(session.edit.editing.origin, start)
        session.follow(lambda: False, lambda: None)
    session.forget()
    torch.testing.assert_close(session.code, start)
    assert session.terms() == {} and len(session.history) == 2


def test_what_it_cannot_read_leaves_all_as_it_was(session):
    session.say("blue")
    before = session.code
    with pytest.raises(ValueError, match="velvet"):
        session.say("velvet")
    torch.testing.assert_close(session.code, before)


def test_identity_is_a_term_of_its_own(session):
    session.say("blue", identity=0.5)
    assert list(session.terms()) == ["unlike the prompt", "another individual",
                                     "close to the input"]


def test_a_photo_is_projected_edited_and_carried_back(generator, rng):
    session = TextSession(generator, Colors(), steps=4)
    photo = torch.rand(3, 40, 50, generator=rng)
    session.open(photo, projection_steps=3)
    assert torch.equal(session.finish(), photo)
    session.say("blue", l2=0.001)
    session.follow(lambda: False, lambda: None)
    assert session.shown().shape == photo.shape == session.finish().shape
    assert session.terms().keys() == {"unlike the prompt", "close to the input"}


def test_what_lies_around_the_middle_of_a_photo_follows_only_if_asked(generator, rng):
    session = TextSession(generator, Colors(), steps=4)
    photo = torch.rand(3, 40, 40, generator=rng)
    session.open(photo, projection_steps=3)

    def corner(**options):
        session.say("blue", l2=0.001, **options)
        session.follow(lambda: False, lambda: None)
        return (session.finish() - photo)[:, :4, :4].abs().mean()

    assert corner() < 0.1 * corner(surroundings=True)


def test_what_lies_behind_a_cat_follows_a_sentence_only_if_asked():
    session = TextSession(load_generator("cats-128", device="cpu"), Colors(), steps=8)
    photo = load_image("bandit", size=128, device="cpu")
    session.open(photo, projection_steps=20)
    behind, face = session.photo.behind > 0.9, (slice(32, 52), slice(50, 78))
    assert behind.any()

    def change(**options):
        session.say("blue", l2=0.001, **options)
        session.follow(lambda: False, lambda: None)
        return (session.finish() - photo).abs().mean(dim=0)

    alone, around = change(), change(surroundings=True)
    assert alone[face].mean() > 0.02 and alone[behind].mean() < 0.1 * alone[face].mean()
    assert around[behind].mean() > 2 * alone[behind].mean()


def test_the_tool_follows_a_sentence_and_keeps_it(tool):
    assert "nothing said yet" in tool.canvas.note
    before = tool.solve(tool.state).image
    tool.set(prompt="blue", l2=0.001)
    tool.wait()
    assert blueness(tool.solve(tool.state).image) > blueness(before)
    assert "step 6 of 6" in tool.canvas.note and "unlike the prompt" in tool.canvas.note
    assert tool.controls["prompt"].options == ("blue",) and tool.earlier.choices == 1


def test_an_unknown_word_is_told_below_the_answer_and_nothing_moves(tool):
    before = tool.session.code
    tool.controls["prompt"].value = "a velvet cat"  # as a hand would
    assert "velvet" in tool.canvas.error
    torch.testing.assert_close(tool.session.code, before)
    tool.controls["prompt"].value = "blue"
    tool.wait()
    assert tool.canvas.error == ""


def test_an_edit_that_was_stopped_is_not_kept(tool):
    tool.session.say("blue")
    tool.session.follow(lambda: True, lambda: None)
    tool._show_earlier()
    assert tool.session.history == [] and tool.earlier.note == ""


def test_a_stored_picture_shows_the_photo_beside_the_changed_photo(generator, rng):
    photo = torch.rand(3, 40, 50, generator=rng)
    tool = TextTool(generator, Colors(), alt="A photo, and the same in blue", photo=photo, steps=4,
                    projection_steps=3)
    tool.set(prompt="blue", l2=0.001, identity=0.0)
    tool.wait()
    stored, _ = tool._repr_mimebundle_()
    picture = Image.open(io.BytesIO(base64.b64decode(stored["image/jpeg"])))
    both = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    first, second = both[:, :, : both.shape[2] // 2], both[:, :, both.shape[2] // 2 :]
    assert blueness(second / 255) > blueness(first / 255)
    torch.testing.assert_close(first.float().mean(dim=(1, 2)) / 255, photo.mean(dim=(1, 2)),
                               atol=0.05, rtol=0)


def test_one_goes_on_from_an_answer(tool):
    tool.set(prompt="blue", l2=0.001)
    tool.wait()
    code = tool.session.code
    tool.fix()
    assert tool.state.start == CODE and tool.state.prompt == ""
    torch.testing.assert_close(tool.session.code, code)
    tool.new_start()
    assert tool.state.seed == 1 and not torch.equal(tool.session.code, code)


def test_a_photo_may_be_the_start(generator, rng):
    photo = torch.rand(3, 30, 30, generator=rng)
    tool = TextTool(generator, Colors(), alt="noise", steps=3, projection_steps=2, photo=photo,
                    identity=0.0)
    assert tool.state.start == PHOTO
    tool.set(prompt="blue")
    tool.wait()
    assert tool.solve(tool.state).image.shape == photo.shape and tool.canvas.error == ""


def test_no_control_fails(tool):
    assert sweep(tool, stops=2) > 8 and tool.canvas.error == ""
