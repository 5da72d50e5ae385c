"""Files appear whole or not at all, with the permissions that any file would have there."""

import os

import pytest
import torch
from safetensors.torch import save_file

from course_lib.directions.naming import NamedDirection, save_direction
from course_lib.images import save_image
from course_lib.weights import save_weights
from course_lib.writing import whole_file


def write_weights(path):
    save_weights(path, {"x": torch.ones(3)}, settings={})


def write_directions(path):
    save_direction(NamedDirection("pale", "cats", "w", (1.0, 0.0)), path)


def write_picture(path):
    save_image(torch.rand(3, 4, 4), path)


def write_tensors(path):
    with whole_file(path) as part:
        save_file({"x": torch.ones(3)}, part)


@pytest.fixture(params=[0o022, 0o027, 0o002])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no umask")
@pytest.mark.parametrize("write, name", [
    (write_weights, "a.safetensors"), (write_tensors, "a.safetensors"),
    (write_directions, "a.json"), (write_picture, "a.png"),
])
def test_a_new_file_has_the_umasks_permissions_and_an_old_one_keeps_its_own(
    write, name, umask, tmp_path
):
    path = tmp_path / name
    write(path)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    path.chmod(0o604)
    write(path)
    assert path.stat().st_mode & 0o777 == 0o604
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(RuntimeError), whole_file(path) as part:
        part.write_text("half of")
        raise RuntimeError
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
