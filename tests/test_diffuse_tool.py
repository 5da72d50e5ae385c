"""The tool for a diffusion model, driven without a mouse."""

import base64
import dataclasses
import io

import numpy as np
import PIL.Image
import pytest
import torch

from course_lib.generators.diffusion_networks import DiffusionConfig
from course_lib.images import load_image
from course_lib.sdedit import sdedit
from course_lib.widgets import sweep
from course_lib.widgets.canvas import Marks, Stroke, encode
from course_lib.widgets.diffuse import PULLING, DiffuseTool
from tests.test_diffusion import small
from tests.test_tools import upload
from tests.toys import Chain

DAB = Stroke(((6.0, 8.0), (10.0, 8.0)), "#0000ff", 4)


@pytest.fixture
def generator(rng):
    return small(rng)


@pytest.fixture
def tool(generator, rng):
    return DiffuseTool(generator, torch.rand(3, 16, 16, generator=rng), alt="a square", steps=6)


def fresh(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_it_shows_the_librarys_answer(tool, generator):
    found = sdedit(generator.with_steps(6), tool.state.picture[None], noise=0.5, rng=fresh())
    assert tool.canvas.jpeg == encode(found.image[0].clamp(0, 1))
    assert f"{len(found.times)} steps back" in tool.canvas.note
    tool.set(kind="sock", color="red", guidance=3.0, noise=80, seed=4)
    said = generator.with_steps(6).with_label("sock", color="red").with_guidance(3)
    found = sdedit(said, tool.state.picture[None], noise=0.8, rng=fresh(4))
    assert tool.canvas.jpeg == encode(found.image[0].clamp(0, 1))


def test_strokes_are_painted_on_or_pull(tool):
    before = tool.canvas.jpeg
    tool.pad.marks = Marks(strokes=(DAB,))
    painted = tool.canvas.jpeg
    assert tool.state.strokes == (DAB,) and painted != before and "Energy" not in tool.canvas.note
    tool.set(use=PULLING)
    assert "Energy: ColorStroke 1" in tool.canvas.note and tool.canvas.jpeg != painted


def test_far_from_the_strokes_the_picture_may_stay(tool):
    tool.set(strokes=(DAB,), local=True)
    answer = tool.solve(tool.state).image
    torch.testing.assert_close(answer[:, :3], tool.state.picture[:, :3])
    assert not torch.allclose(answer[:, 8, 6:10], tool.state.picture[:, 8, 6:10], atol=0.05)


def test_the_guesses_are_shown_from_blur_to_answer(tool):
    film = tool.film.jpeg
    tool.set(seed=9)
    assert tool.film.jpeg != film


def test_no_position_of_a_control_fails(tool):
    before = tool.state
    assert sweep(tool, stops=2) > 15
    assert tool.state == before


def test_it_comes_back_on_reset_and_is_saved(tool, tmp_path):
    first, jpeg = tool.state, tool.canvas.jpeg
    tool.set(noise=90, strokes=(DAB,))
    tool.reset()
    assert tool.state == first and tool.canvas.jpeg == jpeg
    tool.save(tmp_path / "answer.png")
    assert load_image(tmp_path / "answer.png").shape == (3, 16, 16)
    with pytest.raises(dataclasses.FrozenInstanceError):
        tool.state.noise = 3


def test_a_photo_of_any_size_is_brought_to_the_models(tool, generator, rng):
    photo = torch.rand(3, 40, 60, generator=rng)
    tool.set(strokes=(DAB,))
    upload(tool.pad, encode(photo), "wide.jpg")
    assert tool.state.strokes == () and tool.pad.error == ""
    assert tool.state.picture.shape == (3, 16, 16)
    assert DiffuseTool(generator, photo, alt="wide").state.picture.shape == (3, 16, 16)


def test_a_model_without_words_has_no_menus_for_them(rng):
    tool = DiffuseTool(small(rng, DiffusionConfig(16, 4, (16,), 1, 16)), alt="a sample", steps=5)
    assert not {"kind", "color", "guidance"} & tool.controls.keys()
    assert tool.canvas.error == ""


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("change, sentence", [
    ({"kind": "shoe"}, "kind"), ({"noise": 200}, "its slider goes from 5 to 100"),
    ({"eyes": 1}, "knows no eyes"),
])
def test_a_wrong_wish_leaves_all_as_it_was(change, sentence, tool):
    before = tool.canvas.jpeg
    with pytest.raises(ValueError, match=sentence):
        tool.set(**change)
    assert tool.canvas.jpeg == before


@pytest.mark.usefixtures("as_users_run_it")
def test_other_families_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="take a diffusion model"):
        DiffuseTool(Chain(), alt="a picture")


def test_a_reader_sees_what_was_painted_beside_the_answer(tool):
    tool.set(strokes=(DAB,), noise=20)
    data, metadata = tool._repr_mimebundle_()
    assert metadata["image/jpeg"]["alt"] == "a square"
    with PIL.Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"]))) as picture:
        pixels = np.asarray(picture).astype(float)
    assert pixels.shape == (192, 2 * 192 + 4, 3)
    red, _, blue = pixels[96, 96]
    assert blue > red + 60  # the dab
    red, green, blue = (pixels[6:192:12, 6:192:12, channel] for channel in range(3))
    before = tool.state.picture.numpy() * 255
    assert np.abs(np.stack([red, green, blue])[:, :4] - before[:, :4]).mean() < 25
    answer = tool.solve(tool.state).image.numpy() * 255
    shown = pixels[6::12, 202::12].transpose(2, 0, 1)
    assert np.abs(shown - answer).mean() < 25 < np.abs(shown - before).mean()
