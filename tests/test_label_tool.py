"""The tool that asks, answered without a mouse."""

import base64
import io

import numpy as np
import PIL.Image
import pytest
import torch
import torch.nn.functional as F

from course_lib.widgets.labels import LabelTool
from tests.toys import Plain


@pytest.fixture
def generator() -> Plain:
    return Plain()


@pytest.fixture
def tool(generator) -> LabelTool:
    return LabelTool(generator, "Is it bright?", n=12)


def truth(tool) -> list[str]:
    """Bright is what has large numbers: the picture is the code."""
    return ["yes" if bright else "no" for bright in tool.latents.mean(dim=1) > 0]


def test_all_samples_are_sent_at_once(tool, generator):
    pictures = tool.questions.pictures
    assert len(pictures) == 12 and sum(map(len, pictures)) < 100_000
    shown = np.asarray(PIL.Image.open(io.BytesIO(pictures[3]))) / 255
    expected = generator.decode(tool.latents)[3].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(shown, expected, atol=0.5 / 255)


def test_forty_answers_give_the_direction(generator):
    tool = LabelTool(generator, "Is it bright?", n=40)
    tool.answer(*truth(tool))
    assert tool.done
    found = tool.direction()
    bright = F.normalize(torch.ones(48), dim=0)
    assert found.components[0] @ bright > 0.55  # forty answers about 48 numbers
    assert found.space == "z" and found.stdev[0] == pytest.approx(1, abs=0.1)


def test_skipped_samples_do_not_count(tool):
    tool.answer("yes", "skip", "no", "skip", "yes")
    latents, labels = tool.labelled()
    assert torch.equal(latents, tool.latents[[0, 2, 4]])
    assert labels.tolist() == [True, False, True]


def test_undo_takes_the_last_answer_back_and_reset_all(tool):
    tool.answer("yes", "no", "skip")
    tool.undo()
    assert tool.answers == ("yes", "no")
    tool.reset()
    tool.undo()
    assert tool.answers == () and not tool.done


def test_the_direction_shows_once_there_are_enough_answers(tool):
    assert "after 4 of each" in tool.said.value and tool.preview.widget.value == ""
    answers = truth(tool)
    assert min(answers.count("yes"), answers.count("no")) >= 4
    tool.answer(*answers)
    assert "From no to yes, by 12 answers" in tool.said.value
    with PIL.Image.open(io.BytesIO(tool.preview.value)) as sheet:
        assert sheet.width > sheet.height
        gray = np.asarray(sheet.convert("L")).astype(float)
    width = gray.shape[1] // 5
    columns = [gray[:, i * width : (i + 1) * width - 4].mean() for i in range(5)]
    assert columns == sorted(columns)  # from dark to bright
    tool.undo()
    assert "by 11 answers" in tool.said.value


def test_answers_come_from_the_browser_as_well(tool):
    tool.questions.set_state({"answers": ["yes", "no"]})
    assert tool.answers == ("yes", "no")


def test_what_should_stay_is_taken_out(generator):
    bright = F.normalize(torch.ones(48), dim=0)
    tool = LabelTool(generator, "Is it bright?", n=40, condition_on=[bright])
    tool.answer(*truth(tool))
    assert abs(tool.direction().components[0] @ bright) < 1e-4


def test_too_many_or_unknown_answers_are_refused(tool):
    with pytest.raises(ValueError, match="which is no choice"):
        tool.answer("maybe")
    with pytest.raises(ValueError, match="undo some"):
        tool.answer(*["yes"] * 13)
    assert tool.answers == ()
    with pytest.raises(ValueError, match="two of each kind"):
        tool.direction()


def test_a_reader_without_a_kernel_sees_the_samples_or_the_direction(tool):
    data, metadata = tool._repr_mimebundle_()
    assert "asked" in metadata["image/jpeg"]["alt"]
    samples = data["image/jpeg"]
    tool.answer(*truth(tool))
    data, metadata = tool._repr_mimebundle_()
    assert "moved along" in metadata["image/jpeg"]["alt"] and data["image/jpeg"] != samples
    assert base64.b64decode(data["image/jpeg"]) == tool.preview.value
