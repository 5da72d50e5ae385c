"""The tool for edit transfer, driven without a mouse."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from course_lib.images import crop_square, load_image
from course_lib.transfer import (
    add_change,
    apply_change,
    blend_change,
    enlarge_edit,
    transfer_edit,
)
from course_lib.widgets import sweep
from course_lib.widgets.canvas import encode
from course_lib.widgets.transfer import TransferTool


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return crop_square(load_image("chelsea", device="cpu"), size=280, resolution=96)


@pytest.fixture(scope="module")
def morphs(photo) -> dict:
    small = F.interpolate(photo[None], (32, 32), mode="area")[0]
    red = torch.tensor([1.0, 0.6, 0.5])[:, None, None]
    shares = torch.linspace(0, 1, 3)
    return {
        "red": torch.stack([small * (1 + s * (red - 1)) for s in shares]),
        "to the right": torch.stack([small.roll(int(2 * s), -1) for s in shares]),
    }


@pytest.fixture
def tool(photo, morphs):
    return TransferTool(photo, morphs, alt="a cat, redder")


def test_it_shows_the_librarys_answer_and_the_naive_ones(tool, photo, morphs):
    frames = morphs["red"]
    assert tool.canvas.jpeg == encode(transfer_edit(photo, frames))
    shown = [canvas.jpeg for canvas in tool.naive.values()]
    naive = [enlarge_edit(photo, frames[-1]), add_change(photo, frames[0], frames[-1]),
             blend_change(photo, frames[0], frames[-1])]
    assert shown == [encode(image) for image in naive]
    assert tool.photo.jpeg == encode(photo)
    assert "Energy: data" in tool.canvas.note and "% of the photo's detail" in tool.canvas.note


def test_the_slider_goes_along_the_morph_without_following_it_again(tool, photo, monkeypatch):
    found = tool.morph(tool.state)
    monkeypatch.setattr("course_lib.widgets.transfer.follow_morph", lambda *a, **k: 1 / 0)
    tool.controls["strength"].value = 30
    assert tool.state.strength == 30
    assert tool.canvas.jpeg == encode(apply_change(photo, *found.at(0.3)))
    half = tool.naive["G(z1) enlarged"].jpeg
    assert half == encode(enlarge_edit(photo, tool.morphs["red"][1]))
    tool.controls["strength"].value = 0
    nothing = apply_change(photo, *found.at(0))
    torch.testing.assert_close(nothing, photo, atol=1 / 255, rtol=0)
    assert "Energy" not in tool.canvas.note


def test_another_edit_and_full_trust_are_other_answers(tool, photo, morphs):
    before = tool.canvas.jpeg
    tool.set(edit="to the right")
    moved = tool.canvas.jpeg
    assert moved == encode(transfer_edit(photo, morphs["to the right"])) != before
    tool.set(doubts=False)
    assert tool.canvas.jpeg == encode(transfer_edit(photo, morphs["to the right"], misfit=None))


def test_the_state_is_frozen_and_comes_back_on_reset(tool):
    before, jpeg = tool.state, tool.canvas.jpeg
    tool.set(edit="to the right", strength=40)
    tool.reset()
    assert tool.state == before and tool.canvas.jpeg == jpeg
    with pytest.raises(dataclasses.FrozenInstanceError):
        tool.state.strength = 3


def test_no_position_of_a_control_fails(tool):
    before = tool.state
    assert sweep(tool) >= 9
    assert tool.state == before


def test_the_answer_is_saved(tool, photo, tmp_path):
    tool.save(tmp_path / "cat.png")
    assert load_image(tmp_path / "cat.png").shape == photo.shape


@pytest.mark.usefixtures("as_users_run_it")
def test_without_a_morph_it_says_what_is_missing(photo):
    with pytest.raises(ValueError, match="there is no morph"):
        TransferTool(photo, {}, alt="a cat")


def test_nothing_lies_beyond_the_end_of_a_morph(photo, morphs):
    with pytest.raises(ValueError, match=r"strength is 150, .* at most 100"):
        TransferTool(photo, morphs, alt="a cat", strength=150)
