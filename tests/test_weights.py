"""The door to stored weights: safetensors, files that are no weights, and what leaves no trace."""

import hashlib
import importlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from course_lib.weights import (
    StoredWeights,
    import_torchvision,
    read_weights,
    require_sha256,
    save_weights,
)


def run_alone(program: str) -> str:
    """What a fresh Python prints: an import that failed or worked can't be undone in this one."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- known answers ---

def test_safetensors_keep_their_names_and_their_metadata_is_parsed(tmp_path, rng):
    from safetensors.torch import save_file

    tensors = {"mapping.fc0.weight": torch.randn(3, 4, generator=rng), "steps": torch.arange(3)}
    said = {"channels": "[96, 48]", "clamp": "null", "author": "a student", "deep": "[" * 9999}
    save_file(tensors, tmp_path / "a.bin", said)
    found = read_weights(str(tmp_path / "a.bin"))
    assert found.settings == {
        "channels": [96, 48], "clamp": None, "author": "a student", "deep": "[" * 9999,
    }
    assert found.tensors.keys() == tensors.keys()
    assert all(torch.equal(found.tensors[name], x) for name, x in tensors.items())


def test_half_precision_is_written_and_comes_back_wide(tmp_path, rng):
    weight = torch.randn(64, 64, generator=rng)
    settings = {"channels": [6, 4], "name": "12", "clamp": None}
    sizes = []
    for half in (True, False):
        path = tmp_path / f"{half}.safetensors"
        save_weights(path, {"weight": weight, "step": torch.tensor(7)}, settings=settings,
                     half=half)
        found = read_weights(path)
        sizes.append(path.stat().st_size)
        assert found.settings == settings and found.tensors["step"] == 7
        assert found.tensors["weight"].dtype == torch.float32
        expected = weight.half().float() if half else weight
        assert torch.equal(found.tensors["weight"], expected)
    assert 1.8 < sizes[1] / sizes[0] < 2


def test_a_digest_is_the_one_of_the_content(tmp_path, as_users_run_it):
    path = tmp_path / "a"
    path.write_bytes(b"weights")
    require_sha256(path, hashlib.sha256(b"weights").hexdigest().upper())
    wrong = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(ValueError, match=wrong) as caught:
        require_sha256(str(path), wrong)
    assert str(path) in str(caught.value)
    assert hashlib.sha256(b"weights").hexdigest() in str(caught.value)


# --- laws ---

def test_saving_takes_views_shared_numbers_and_parameters(tmp_path, rng):
    grid = torch.nn.Parameter(torch.randn(4, 6, generator=rng))
    tensors = {"whole": grid, "same": grid, "columns": grid.T, "part": grid[1:, ::2]}
    save_weights(tmp_path / "a", tensors, settings={}, half=False)
    found = read_weights(tmp_path / "a").tensors
    assert all(torch.equal(found[name], x) for name, x in tensors.items())
    with torch.no_grad():
        found["whole"].zero_()
    assert torch.equal(found["same"], grid), "two names share their numbers"


def test_what_was_read_outlives_the_file(tmp_path):
    save_weights(tmp_path / "a", {"x": torch.ones(10_000)}, settings={}, half=False)
    found = read_weights(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"")
    assert found.tensors["x"].sum() == 10_000


def test_saving_leaves_a_whole_file_or_what_was_there(tmp_path, monkeypatch, as_users_run_it):
    import safetensors.torch

    path = tmp_path / "a.safetensors"
    save_weights(path, {"x": torch.ones(1)}, settings={})

    def breaks_off(tensors, path, metadata):
        Path(path).write_bytes(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", breaks_off)
    with pytest.raises(ValueError, match="No space left"):
        save_weights(path, {"x": torch.zeros(1)}, settings={})
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]
    assert read_weights(path).tensors["x"] == 1


def test_stored_weights_can_not_be_exchanged():
    with pytest.raises(AttributeError):
        StoredWeights({}, {}).tensors = {}


def test_the_library_needs_no_download_tools_before_a_download(tmp_path, monkeypatch):
    import course_lib

    monkeypatch.setattr(course_lib, "weights", None)  # so that it is put back afterwards
    for name in [name for name in sys.modules if name.startswith("course_lib.weights")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("pooch", "requests", "tqdm", "safetensors"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    weights = importlib.import_module("course_lib.weights")
    (tmp_path / "afhqcat.pkl").write_bytes(b"\x80\x04")
    assert weights.fetch_weights("afhq-cat", folder=tmp_path) == tmp_path / "afhqcat.pkl"


# --- errors ---

def zipped(folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "zip", "w") as archive:
        archive.writestr("cats/readme.txt", "the weights are in weights.pt")
    return (folder / "zip").read_bytes()


NO_WEIGHTS = {
    "page": (b"\n <!DOCTYPE html><html><title>Google Drive - Quota exceeded</title>", "web page"),
    "page with a mark": (b"\xef\xbb\xbf<HTML><body>Sign in</body>", "web page"),
    "error of a bucket": (b"<?xml version='1.0'?><Error><Code>AccessDenied", "web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "Git LFS"),
    "nothing": (b"", "is empty"),
    "text": (b"hello, these are no weights", "none of the formats"),
    "json": (b'{"error": "not found"}', "none of the formats"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(99), "none of the formats"),
    "zeros": (bytes(999), "none of the formats"),
    "one number": (b"I1\n.", "no tensors"),
    "safetensors without numbers": (b"\x02" + bytes(7) + b"{}", "no tensors"),
    "safetensors with a lie": (
        (lambda head: len(head).to_bytes(8, "little") + head)(json.dumps(
            {"x": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}
        ).encode()), "damaged or unfinished safetensors",
    ),
}


@pytest.mark.parametrize("kind", NO_WEIGHTS)
def test_what_is_no_weights_is_refused_with_the_reason(tmp_path, as_users_run_it, kind):
    content, reason = NO_WEIGHTS[kind]
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        read_weights(path)
    assert re.match(rf"{path} [a-z].*: .*\.$", str(caught.value)), "not what, why: what to do"


def test_other_things_than_files_of_weights_are_refused(tmp_path, as_users_run_it):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pt does not exist"):
        read_weights(tmp_path / "nowhere.pt")
    with pytest.raises(ValueError, match="is a folder"):
        read_weights(tmp_path)
    with pytest.raises(ValueError, match="zip file but no checkpoint"):
        zipped(tmp_path)
        read_weights(tmp_path / "zip")
    with pytest.raises(ValueError, match="names no file"):
        read_weights(3)


def test_what_can_not_be_saved_leaves_no_file(tmp_path, as_users_run_it):
    path, fine = tmp_path / "a", {"x": torch.ones(2)}
    with pytest.raises(ValueError, match="large holds numbers beyond 65504"):
        save_weights(path, {"large": torch.tensor([1e5])}, settings={})
    with pytest.raises(ValueError, match="settings can't be written as JSON"):
        save_weights(path, fine, settings={"generator": object()})
    with pytest.raises(ValueError, match="x is a list, but weights are tensors"):
        save_weights(path, {"x": [1.0]}, settings={})
    with pytest.raises(FileNotFoundError, match="no folder"):
        save_weights(tmp_path / "missing" / "a", fine, settings={})
    with pytest.raises(ValueError, match="names no file"):
        save_weights(None, fine, settings={})
    assert list(tmp_path.iterdir()) == []


# --- torchvision ---

def test_lpips_and_open_clip_import_after_torchvision():
    # Twice, since several modules will call it.
    assert run_alone(
        "from course_lib.weights import import_torchvision\n"
        "import_torchvision()\nimport_torchvision()\n"
        "import lpips, open_clip, torchvision\n"
        "print(torchvision.transforms.functional.to_tensor and lpips.LPIPS and 'imported')"
    ) == "imported"


def test_an_import_that_fails_for_another_reason_is_not_hidden(monkeypatch):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "torchvision":
                raise RuntimeError("built for another torch")

    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    repairs = []
    monkeypatch.setattr(torch.library, "Library", lambda *names: repairs.append(names))
    with pytest.raises(RuntimeError, match="built for another torch"):
        import_torchvision()
    assert repairs == []


def test_the_library_does_not_import_torchvision_by_itself():
    assert run_alone(
        "import sys, course_lib.weights, course_lib.images\nprint('torchvision' in sys.modules)"
    ) == "False"
