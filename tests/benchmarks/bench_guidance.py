"""Brush edits: a step of the descent, and a stroke's first answer; no peer, so seconds count."""

from collections.abc import Iterator

import torch

from course_lib.generators import load_generator
from course_lib.generators.base import Generator
from course_lib.generators.stylegan2 import StyleGAN2
from course_lib.generators.stylegan2_networks import StyleGAN2Config
from course_lib.guidance import ColorStroke, Constraint, Drag, Editing, SketchStroke
from course_lib.widgets.canvas import encode
from tests.benchmarks.timing import median_seconds, peak_megabytes

Row = tuple[str, str, float, None, None, float | None]


def rows(device: torch.device | str) -> Iterator[Row]:
    """Steps on cats at 64² by constraint and number of codes; on cuda also at 256²."""
    generator = load_generator("cats", device=device)
    for n in (1, 8):
        for name, wish in wishes(generator).items():
            yield step(generator, wish, name, n)
    yield first_answer(generator)
    if torch.device(device).type == "cuda":
        widths = (512, 512, 512, 512, 256, 128, 64)  # the official ones, with random weights
        large = StyleGAN2(StyleGAN2Config(widths, 512, 512), "random").to(device).eval()
        large.requires_grad_(False)
        yield step(large, wishes(large)["colour"], "colour", 16)


def wishes(generator: Generator) -> dict[str, Constraint]:
    """One constraint a brush, in the middle of the picture."""
    side = generator.resolution
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[side // 2 :, side // 4 : side // 2] = True
    line = mask & ~mask.roll(1, 0)
    points = torch.tensor([[side / 3, side / 2]])
    return {"colour": ColorStroke(mask, (0.1, 0.2, 0.9)), "sketch": SketchStroke(line),
            "drag": Drag(points, points + side / 8)}


def step(generator: Generator, wish: Constraint, name: str, n: int) -> Row:
    """One step of the descent on `n` codes."""
    latent = generator.sample_latent(n, space="w", rng=torch.Generator().manual_seed(0))
    editing = Editing(generator, latent, [wish])
    (seconds,) = median_seconds(editing.step, rounds=15, warm_ups=3)
    memory = peak_megabytes(editing.step, generator.device)
    return (f"edit: {name}, {n} code{'s' * (n > 1)}", f"{generator.resolution}²", seconds, None,
            None, memory)


def first_answer(generator: Generator, n: int = 4) -> Row:
    """From the end of a colour stroke to the picture as the browser gets it, by PaintTool's way."""
    latent = generator.sample_latent(n, space="w", rng=torch.Generator().manual_seed(0))
    editing, wish = Editing(generator, latent, []), wishes(generator)["colour"]

    def answer() -> None:
        editing.ask([wish])
        editing.step()
        encode(editing.look()[editing.shown[0]])

    (seconds,) = median_seconds(answer, rounds=9, warm_ups=2)
    return f"edit: first answer, {n} codes", f"{generator.resolution}²", seconds, None, None, None
