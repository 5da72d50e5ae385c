"""Prints how long a slider's answer takes in the browser, from input event to painted picture.

    python -m tests.browser.latency
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

from tests.browser.lab import ADVICE, VIEW, Lab, chromium, find_chromium, jupyterlab

CELL = """
from course_lib.images import crop_square, load_image
from course_lib.widgets import SmoothTool
SmoothTool(crop_square(load_image("coffee"), resolution=256), alt="A cup of coffee")
"""
WATCH = """root => {
    window.times = [];
    document.addEventListener("keydown", () => { window.began = performance.now() }, true);
    new MutationObserver(() => window.times.push(performance.now() - window.began))
        .observe(root, { attributes: true, attributeFilter: ["data-painted"] });
}"""
MOVES = 60


def main() -> None:
    """Press a slider's arrow key over and over, each time awaiting the picture."""
    executable = find_chromium()
    if executable is None:
        sys.exit(ADVICE)
    with tempfile.TemporaryDirectory() as folder, jupyterlab(Path(folder)) as address, \
            chromium(executable) as browser:
        lab = Lab(browser.new_context(**VIEW).new_page(), address, Path(folder), Path(folder))
        lab.open_cells(CELL)
        drawing = lab.canvas(1)
        lab.settle()
        drawing.root.evaluate(WATCH)
        lab.page.locator(".jp-OutputArea .noUi-handle").first.focus()
        for move in range(MOVES):
            painted = drawing.painted
            lab.page.keyboard.press("ArrowRight" if move % 20 < 10 else "ArrowLeft")
            drawing.wait_for_picture(painted)
        times = sorted(lab.page.evaluate("window.times"))
        lab.shut_down()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"slider to painted picture, 256²: median {statistics.median(times):.0f} ms, "
        f"95th percentile {times[int(0.95 * len(times))]:.0f} ms of {len(times)}; "
        f"load {load:.1f} on {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
