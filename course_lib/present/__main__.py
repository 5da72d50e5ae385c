"""Lectures: opens a lesson as slides, and marks the slides of all of them.

    python -m course_lib.present 03
    python -m course_lib.present my_lesson.ipynb --no-browser
    python -m course_lib.present 03 --screenshots FOLDER
    python -m course_lib.present --mark
"""

import argparse
import json
import signal
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from course_lib.present.pictures import photograph_slides, require_chromium
from course_lib.present.slides import mark, slides_of
from course_lib.present.stage import Server, rehearse, serve

FOLDER = Path(__file__).parents[2] / "notebooks"


def main(words: list[str]) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.present", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lesson", nargs="?", help="its two digits, or a notebook's path")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--mark", action="store_true", help="mark the slides of every lesson anew")
    parser.add_argument("--screenshots", metavar="FOLDER", type=Path,
                        help="photograph each slide into this folder, and say what does not fit")
    parser.add_argument("--size", metavar="SIZE", type=parse_size, default=(1280, 720),
                        help="of the projector that is photographed, 1280x720 if it is not said")
    asked = parser.parse_args(words)
    if not (asked.mark or asked.lesson):
        parser.error("say which lesson: python -m course_lib.present 03")
    try:
        if asked.mark:
            mark_all()
        elif asked.screenshots:
            photograph(find_lesson(asked.lesson), asked.screenshots, asked.size)
        else:
            lecture(find_lesson(asked.lesson), browser=not asked.no_browser)
    except (OSError, ImportError, RuntimeError) as error:  # a sentence each
        parser.error(str(error))


def find_lesson(name: str, folder: Path = FOLDER) -> Path:
    """The notebook of this path, or of these two digits.

    Raises:
        FileNotFoundError: there is none.
    """
    found = [Path(name)] if name.endswith(".ipynb") else sorted(folder.glob(f"{name}_*.ipynb"))
    if len(found) != 1 or not found[0].is_file():
        raise FileNotFoundError(
            f"{name} names no lesson, so there is nothing to present: say its two digits, as in "
            f"`python -m course_lib.present 03`, or the path of a notebook.")
    return found[0].resolve()


def mark_all(folder: Path = FOLDER) -> None:
    """Mark the slides of each lesson, in its file."""
    for path in sorted(folder.glob("*.ipynb")):
        notebook = mark(json.loads(path.read_text(encoding="utf-8")), path.stem[:2])
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n",
                        encoding="utf-8", newline="\n")


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of "1280x720".

    Raises:
        ValueError: it is not of this form.
    """
    width, height = map(int, text.split("x"))
    return width, height


@contextmanager
def staged(lesson: Path) -> Iterator[tuple[Server, str]]:
    """The lesson, run in a folder of its own: who serves it, and where.

    Raises:
        ModuleNotFoundError: jupyterlab-slideshow, which turns cells into slides, is missing.
    """
    if find_spec("jupyterlab_slideshow") is None:
        raise ModuleNotFoundError(
            "jupyterlab-slideshow is not installed, and without it cells are no slides: "
            "pip install -r requirements-lecture.txt")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or JupyterLab would be left behind
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder).resolve()) as server:
        yield server, server.address(rehearse(server, lesson))


def photograph(lesson: Path, folder: Path, size: tuple[int, int]) -> None:
    """Keep a picture of each slide, and say which hold more than fits.

    Raises:
        ModuleNotFoundError: Playwright is missing.
    """
    if find_spec("playwright") is None:
        raise ModuleNotFoundError(
            "playwright is not installed, and without it nobody turns the slides: "
            "pip install -r requirements-dev.txt")
    require_chromium()
    count = len(slides_of(json.loads(lesson.read_text(encoding="utf-8"))))
    with staged(lesson) as (_, address):
        faults = photograph_slides(address, count, folder, size=size)
    for number, found in faults.items():
        print(f"{lesson.stem}, {number:02}.png: {'; '.join(found)}")
    print(f"{count} slides, of which {len(faults)} do not fit: look at {folder / 'sheet.png'}")


def lecture(lesson: Path, *, browser: bool) -> None:
    """Run the lesson in a folder of its own and show it until Ctrl+C, or until it is terminated."""
    with staged(lesson) as (server, address):
        print(f"{address}\n→ and ← turn the slides, F11 fills the screen, Esc leaves the slides. "
              f"What you change is not kept. Ctrl+C ends the lecture.", flush=True)
        if browser:
            webbrowser.open(address)
        try:
            server.process.wait()
        except KeyboardInterrupt:
            print("The lecture is over.")


if __name__ == "__main__":
    main(sys.argv[1:])
