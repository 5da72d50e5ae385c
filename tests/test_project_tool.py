"""The projection tool, driven without a mouse."""

import io

import PIL.Image
import pytest
import torch

from course_lib.generators import load_generator
from course_lib.images import crop_square
from course_lib.losses import pixel_loss
from course_lib.projection import project
from course_lib.widgets import sweep
from course_lib.widgets.canvas import Marks
from course_lib.widgets.project import ProjectTool
from tests.toys import tame


@pytest.fixture
def photo(rng):
    return torch.rand(3, 24, 32, generator=rng)


@pytest.fixture
def tool(photo, rng):
    return ProjectTool(tame(rng), photo, alt="noise", height=32, space="w", steps=20,
                       loss="pixels")


def test_what_is_projected_is_the_square(tool, photo):
    tool.set(offset=(4, -3), side=50)
    expected = crop_square(photo, centre=(15.5 + 4, 11.5 - 3), size=12, resolution=16)
    torch.testing.assert_close(tool.target, expected.clamp(0, 1))
    x = [corner[0] for corner in tool.photo.outline]
    assert max(x) - min(x) == 12


def test_it_finds_what_the_library_finds(tool):
    tool.start()
    found = tool.wait()
    expected = project(tool.generator, tool.target, space="w", init="mean", loss=pixel_loss,
                       steps=20)
    torch.testing.assert_close(found.latent, expected.latent)
    assert f"solved in {1000 * tool.projection.seconds:.0f} ms" in tool.canvas.note
    assert "after 20 steps" in tool.canvas.note and "close to the photo" in tool.canvas.note
    assert not tool.go.disabled and tool.halt.disabled


def test_it_stops_at_any_time_with_what_it_has(tool):
    tool.set(steps=500)
    tool.start()
    assert tool.go.disabled and not tool.halt.disabled
    tool.stop()
    assert len(tool.projection.losses) < 500
    assert not tool.go.disabled


def test_a_change_shows_the_start_again(tool):
    tool.start()
    tool.wait()
    tool.set(space="w_plus")
    assert tool.projection is None and "G(w_plus) after 0 steps" in tool.canvas.note
    tool.reset()
    assert tool.state.space == "w"


def test_in_z_the_search_starts_at_the_mean_where_the_network_does_not_reach(photo):
    tool = ProjectTool(load_generator("cats", device="cpu"), photo, alt="noise", height=64)
    assert "from encoder" in tool.canvas.note
    tool.set(space="z")
    assert "from mean" in tool.canvas.note


def test_a_hand_moves_the_square(tool):
    tool.photo.marks = Marks(offset=(3, 2))
    assert tool.state.offset == (3, 2)


def test_an_upload_is_cropped_to_its_middle(tool):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (40, 60), (255, 0, 0)).save(buffer, format="png")
    message = {"kind": "photo", "name": "me.png", "part": 0, "parts": 1}
    tool.photo._handle_custom_msg(message, [buffer.getvalue()])
    assert tool.state.offset == (0, 0) and tool.target.shape == (3, 16, 16)
    assert tool.target[0].min() > 0.98 and tool.target[1:].max() < 0.02


def test_every_control_can_be_swept(tool):
    assert sweep(tool, stops=3) > 15


def test_the_projection_is_saved(tool, tmp_path):
    tool.start()
    tool.wait()
    tool.save(tmp_path / "found.png")
    with PIL.Image.open(tmp_path / "found.png") as picture:
        assert picture.size == (16, 16)


def test_a_failure_in_the_background_is_shown(tool, monkeypatch):
    def fails(*args, **options):
        raise RuntimeError("not enough memory")

    monkeypatch.setattr("course_lib.widgets.project.project", fails)
    tool.start()
    tool.wait()
    assert tool.canvas.error == "RuntimeError: not enough memory"
    assert not tool.go.disabled and tool.halt.disabled
