"""Prints how long a slider's answer takes in the browser, from input event to painted picture.

    python -m tests.browser.latency
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

from course_lib.present.pictures import chromium, find_chromium
from tests.browser.lab import ADVICE, VIEW, Lab, jupyterlab

SMOOTH = """
from course_lib.images import crop_square, load_image
from course_lib.widgets import SmoothTool
SmoothTool(crop_square(load_image("coffee"), resolution=256), alt="A cup of coffee")
"""
DIRECTIONS = """
import torch
from course_lib.directions import ganspace
from course_lib.generators import load_generator
from course_lib.widgets.directions import DirectionTool
cats = load_generator("cats", device="cpu")
found = ganspace(cats, n_samples=10_000, n_components=8, rng=torch.Generator().manual_seed(0))
DirectionTool(cats, found, alt="Cats, moved", samples={samples})
"""
TOOLS = {  # what to run, and which canvas and slider of it
    "L0 smoothing, 256²": (SMOOTH, 1, 0),
    "a direction, one sample of 64²": (DIRECTIONS.format(samples=1), 0, 5),
    "a direction, four samples of 64²": (DIRECTIONS.format(samples=4), 0, 5),
}
WATCH = """root => {
    window.times = [];
    window.began ?? document.addEventListener("keydown",
        () => { window.began = performance.now() }, true);
    new MutationObserver(() => window.times.push(performance.now() - window.began))
        .observe(root, { attributes: true, attributeFilter: ["data-painted"] });
}"""
MOVES = 60


def measure(lab: Lab, cell: str, canvas: int, slider: int) -> list[float]:
    """Press a slider's arrow key over and over, each time awaiting the picture; milliseconds."""
    lab.open_cells(cell)
    drawing = lab.canvas(canvas)
    lab.settle()
    drawing.root.evaluate(WATCH)
    lab.page.locator(".jp-OutputArea .noUi-handle").nth(slider).focus()
    for move in range(MOVES):
        painted = drawing.painted
        lab.page.keyboard.press("ArrowRight" if move % 20 < 10 else "ArrowLeft")
        drawing.wait_for_picture(painted)
    return sorted(lab.page.evaluate("window.times"))


def main() -> None:
    """Measure every tool in turn."""
    executable = find_chromium()
    if executable is None:
        sys.exit(ADVICE)
    with tempfile.TemporaryDirectory() as folder, jupyterlab(Path(folder)) as address, \
            chromium(executable) as browser:
        lab = Lab(browser.new_context(**VIEW).new_page(), address, Path(folder), Path(folder))
        for name, tool in TOOLS.items():
            times = measure(lab, *tool)
            load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
            print(
                f"slider to painted picture, {name}: median {statistics.median(times):.0f} ms, "
                f"95th percentile {times[int(0.95 * len(times))]:.0f} ms of {len(times)}; "
                f"load {load:.1f} on {os.cpu_count()} cores", flush=True,
            )
        lab.shut_down()


if __name__ == "__main__":
    main()
