"""Lectures: opens a lesson as slides, and marks the slides of all of them.

    python -m course_lib.present 03
    python -m course_lib.present my_lesson.ipynb --no-browser
    python -m course_lib.present --mark
"""

import argparse
import json
import signal
import sys
import tempfile
import webbrowser
from importlib.util import find_spec
from pathlib import Path

from course_lib.present.slides import mark
from course_lib.present.stage import rehearse, serve

FOLDER = Path(__file__).parents[2] / "notebooks"


def main(words: list[str]) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.present", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lesson", nargs="?", help="its two digits, or a notebook's path")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--mark", action="store_true", help="mark the slides of every lesson anew")
    asked = parser.parse_args(words)
    if not (asked.mark or asked.lesson):
        parser.error("say which lesson: python -m course_lib.present 03")
    try:
        if asked.mark:
            mark_all()
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


def lecture(lesson: Path, *, browser: bool) -> None:
    """Run the lesson in a folder of its own and show it until Ctrl+C, or until it is terminated.

    Raises:
        ModuleNotFoundError: jupyterlab-slideshow, which turns cells into slides, is missing.
    """
    if find_spec("jupyterlab_slideshow") is None:
        raise ModuleNotFoundError(
            "jupyterlab-slideshow is not installed, and without it cells are no slides: "
            "pip install -r requirements-lecture.txt")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or JupyterLab would be left behind
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder).resolve()) as server:
        address = server.address(rehearse(server, lesson))
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
