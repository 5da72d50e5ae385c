"""A class in real browsers: `python -m tests.browser.hub --users 10 --at-once 5 --steps 3`.

A hub is started as deploy/ ships it, on loopback. Each user logs in by the page, opens a lesson
(01, 06 and 08 in turn), runs all of it and saves; every cell must have run, and the browser's
console must show no error. Printed are seconds, and what all of it holds.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from deploy.load import borrowed, held_by
from deploy.places import Places
from deploy.trial import CONFIG, Trial, trial, why_not
from tests.browser.lab import ADVICE, SETTINGS, VIEW, Lab, chromium, find_chromium

LESSONS = ("01_poisson_blending", "06_projection", "08_guided_editing")


def prepare(home: Path, lesson: str, steps: str) -> None:
    """Give a user a lesson without outputs, of so many steps a descent, and settings to see it."""
    for name, values in SETTINGS.items():
        path = home / f".jupyter/lab/user-settings/@jupyterlab/{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    notebook = nbformat.read(CONFIG.parents[1] / "notebooks" / f"{lesson}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    if steps:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(f"%env COURSE_STEPS={steps}"))
    (home / "lessons").mkdir(exist_ok=True)
    nbformat.write(notebook, home / "lessons" / f"{lesson}.ipynb")


def log_in(page, hub: Trial, name: str) -> None:
    """Through the login page, to the own JupyterLab."""
    page.goto(f"{hub.address}/hub/login")
    page.fill("#username_input", name)
    page.fill("#password_input", hub.password)
    page.click("#login_submit")
    page.wait_for_url(f"**/user/{name}/lab**", timeout=300_000)


def run_all(lab: Lab, lesson: str) -> None:
    """Have all cells run; who waits for them is another."""
    page = lab.page
    page.goto(f"{lab.address}/lab/tree/lessons/{lesson}.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=300_000)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=300_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def attend(browser, hub: Trial, numbers: range, steps: str, pictures: Path) -> list[str]:
    """Users of these numbers at once; sentences about what went wrong."""
    labs, faults, places = {}, [], Places(hub.root, CONFIG.parents[1])
    for number in numbers:
        name, lesson = f"student{number:02}", LESSONS[number % len(LESSONS)]
        places.make(name)
        prepare(places.home(name), lesson, steps)
        page = browser.new_context(**VIEW).new_page()
        lab = labs[name] = Lab(page, f"{hub.address}/user/{name}", places.home(name), pictures)
        begin = time.monotonic()
        log_in(page, hub, name)
        print(f"{name}: in JupyterLab after {time.monotonic() - begin:.0f} s", flush=True)
    begin = time.monotonic()
    for number, lab in zip(numbers, labs.values(), strict=True):
        run_all(lab, LESSONS[number % len(LESSONS)])
    for number, (name, lab) in zip(numbers, labs.items(), strict=True):
        lesson = LESSONS[number % len(LESSONS)]
        try:
            lab.wait_for_cells(1200)
        except Exception as failure:
            faults.append(f"{name}, lesson {lesson[:2]}: {str(failure).splitlines()[0]}")
        lab.page.keyboard.press("Control+s")
        lab.page.wait_for_timeout(2000)
        lab.keep(f"{name}_{lesson}")
        faults += [f"{name}: {said}" for said in (*lab.complaints, *lab.strangers)]
        saved = nbformat.read(lab.home / "lessons" / f"{lesson}.ipynb", as_version=4)
        done = sum(bool(cell.get("execution_count")) for cell in saved.cells)
        print(f"{name}: lesson {lesson[:2]}, {done} cells run and saved, "
              f"{time.monotonic() - begin:.0f} s after all began", flush=True)
    print(f"{len(labs)} users at once: {held_by(hub)} MB, without the browser", flush=True)
    for lab in labs.values():
        lab.page.context.close()
    for process in hub.relatives():  # their kernels, so that the next ones have room
        if any("ipykernel_launcher" in word for word in process.cmdline()):
            process.kill()
    return faults


def main(arguments: list[str] | None = None) -> int:
    """Let the class come; 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.hub", description=__doc__)
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=5)
    parser.add_argument("--steps", default="", help="of each descent; all if not given")
    parser.add_argument("--pictures", type=Path, default=Path(tempfile.gettempdir()))
    asked = parser.parse_args(arguments)
    executable, reason = find_chromium(), why_not()
    if reason or executable is None:
        parser.error(reason or ADVICE)
    faults = []
    with tempfile.TemporaryDirectory(prefix="hub-") as root, chromium(executable) as browser, \
            trial(Path(root), **borrowed()) as hub:
        for first in range(0, asked.users, asked.at_once):
            numbers = range(first, min(first + asked.at_once, asked.users))
            faults += attend(browser, hub, numbers, asked.steps, asked.pictures)
    print("\n".join(faults) or "no error on any console, every cell run")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
