"""The door to stored weights."""

import subprocess
import sys

import pytest
import torch

from course_lib.weights import import_torchvision


def run_alone(program: str) -> str:
    """What a fresh Python prints: an import that failed or worked can't be undone in this one."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


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
