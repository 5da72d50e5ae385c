"""What is not loaded, and what is given back, so that many kernels fit on one machine."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from course_lib.generators import load_generator
from course_lib.thrift import give_back, give_back_after_cells, give_back_soon, unfilled

ROOT = Path(__file__).parents[1]
HEAVY = ("torch._dynamo", "torch._inductor", "sympy", "torch.distributed.tensor", "torchvision",
         "pandas", "sklearn", "open_clip", "diffusers", "lpips", "skimage", "scipy")
# What lessons do, in few lines: pictures, a generator, a descent, a check, a tool, a figure.
LIMIT = 240
LESSON = """
import sys
import torch
from course_lib.blending import seamless_clone
from course_lib.generators import load_generator
from course_lib.guidance import ColorStroke, edit
from course_lib.images import load_image
from course_lib.plotting import show_images
from course_lib.projection import project
from course_lib.widgets import BlendTool, PhotoTool
from course_lib.widgets.paint import PaintTool
G = load_generator("cats", device="cpu")
z = G.sample_latent(1, rng=torch.Generator().manual_seed(0)).requires_grad_()
adam = torch.optim.Adam([z])
adam.zero_grad()
G.decode(z).sum().backward()
adam.step()
torch.testing.assert_close(z, z)
mask = torch.zeros(64, 64, dtype=torch.bool)
mask[20:40, 20:40] = True
edit(G, z.detach(), [ColorStroke(mask, (1.0, 0.5, 0.2))], space="z", steps=1)
show_images([load_image("tabby", size=64)], alt="a tabby")
"""


def said_by(code: str) -> str:
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()[-1]


def test_a_lesson_loads_nothing_heavy():
    assert said_by(LESSON + f"print([name for name in {HEAVY} if name in sys.modules])") == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is private")
def test_a_lesson_leaves_little_that_no_other_kernel_shares():
    code = LESSON + """
from course_lib.thrift import give_back
from deploy.memory import memory_of
give_back()
print(memory_of("self").private)
"""
    assert int(said_by(code)) < LIMIT


def test_optimisers_step_as_torch_made_them():
    code = """
import torch
{}
torch.manual_seed(0)
start = torch.randn(5)
for kind in (torch.optim.Adam, torch.optim.SGD):
    x = start.clone().requires_grad_()
    optimizer = kind([x], lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        loss = (x ** 3).sum()
        loss.backward()
        optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    print(x.tolist(), torch.is_grad_enabled(), end=" ")
print()
"""
    spared = code.format("from course_lib.thrift import spare_compiler; spare_compiler()\n"
                         "spare_compiler()")
    assert said_by(spared) == said_by(code.format(""))


def test_networks_are_built_without_drawing_their_weights():
    state = torch.get_rng_state()
    with unfilled():
        layer, noise = torch.nn.Linear(3, 2), torch.randn(4, 5)
    assert torch.equal(torch.get_rng_state(), state)
    assert layer.weight.shape == (2, 3) and noise.shape == (4, 5)
    torch.nn.Linear(3, 2)
    assert not torch.equal(torch.get_rng_state(), state)


def test_a_loaded_generator_has_all_its_stored_weights():
    first, second = (load_generator("cats", device="cpu") for _ in range(2))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]) and value.isfinite().all(), name


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps, and gives back")
def test_freed_memory_goes_back_to_the_system():
    from deploy.memory import memory_of

    # Below the size that glibc maps by itself, and kept in order by what lies between.
    pieces = [torch.ones(1 << 13) for _ in range(4000)]  # 32 KB each
    kept, held = pieces[1::40], memory_of("self").private
    del pieces
    give_back()
    assert memory_of("self").private < held - 80
    assert len(kept) == 100


def test_moving_sliders_put_it_off(monkeypatch):
    called = []
    monkeypatch.setattr("course_lib.thrift.threading.Timer", lambda seconds, work: Timer(called))
    for _ in range(3):
        give_back_soon()
    assert called == ["start", "cancel", "start", "cancel", "start"]


class Timer:
    def __init__(self, said):
        self.start, self.cancel = lambda: said.append("start"), lambda: said.append("cancel")


def test_cells_give_back_in_notebooks_alone(monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    give_back_after_cells()  # no shell here, so nothing
    shell = InteractiveShell.instance()
    try:
        for _ in range(2):
            give_back_after_cells()
        assert shell.events.callbacks["post_run_cell"].count(give_back) == 1
        assert shell.run_cell("1 + 1", store_history=False).success
    finally:
        InteractiveShell.clear_instance()
