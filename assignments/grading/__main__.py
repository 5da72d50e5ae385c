"""python -m assignments.grading COMMAND: prepare, hand out, collect, grade, return."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from assignments.grading import collecting, grade, gradescope, handout, shares
from assignments.grading.confinement import KINDS, ConfinementError
from assignments.grading.course import HERE, Course, CourseError
from assignments.grading.display import printable


def main(words: list[str] | None = None) -> int:
    """Run one command; 0 if all is well."""
    options = parser().parse_args(words)
    try:
        return options.run(Course(options.course.resolve()), options) or 0
    except (CourseError, ConfinementError) as error:
        print(printable(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def late(name: str) -> Callable[[Course, argparse.Namespace], int | None]:
    """The command of the module of this name, which is loaded when it runs.

    It loads torch, and each submission's process loads this module once more.
    """
    def run(course: Course, options: argparse.Namespace) -> int | None:
        module = importlib.import_module(f"assignments.grading.{name}")
        return getattr(module, name)(course, options)

    return run


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(prog="python -m assignments.grading", description=__doc__)
    top.add_argument("--course", type=Path, default=HERE, help="the folder with source/")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        entry = commands.add_parser(name, help=text, description=text)
        entry.set_defaults(run=run)
        return entry

    entry = command("prepare", handout.prepare, "make the release from the source")
    entry.add_argument("assignments", nargs="*", help="default: all")
    entry = command("check", handout.check, "say which releases are stale")
    entry.add_argument("assignments", nargs="*", help="default: all")
    entry = command("edition", late("edition"), "build what students get: folder and zip")
    entry.add_argument("to", type=Path, help="a new folder; the zip lies beside it")
    entry.add_argument("--solutions", choices=("folded", "none"), default="folded",
                       help="of the lessons' exercises")
    entry = command("collect", collecting.collect, "copy a download from the LMS into submitted/")
    entry.add_argument("assignment")
    entry.add_argument("downloads", type=Path, help="the folder, or its zip")
    entry = command("grade", grade.grade, "grade what is not graded yet, on all cores")
    entry.add_argument("assignment")
    entry.add_argument("students", nargs="*", help="default: all")
    entry.add_argument("--again", action="store_true", help="also what has its grade")
    entry.add_argument("--jobs", type=int, default=os.cpu_count(), help="submissions at once")
    entry.add_argument("--share", type=shares.Share.parse, metavar="K/N",
                       help="only the K-th of N parts of the class, for several machines")
    limits(entry, wall="bubblewrap")
    entry = command("gather", shares.gather, "bring the grades of all shares together")
    entry.add_argument("assignment")
    entry = command("feedback", grade.feedback, "make the pages that students get back")
    entry.add_argument("assignment")
    entry.add_argument("students", nargs="*", help="default: all that are graded")
    entry.add_argument("--jobs", type=int, default=os.cpu_count(), help="pages at once")
    entry.add_argument("--page-seconds", type=float, default=60, help="to give up a page after")
    entry = command("gallery", late("gallery"), "make the class's page of results, without names")
    entry.add_argument("assignment")
    entry.add_argument("to", type=Path, help="a new folder")
    entry.add_argument("--names", action="store_true", help="with the students' names")
    entry = command("export", grade.export, "write all grades and flags to a CSV file")
    entry.add_argument("to", type=Path)
    entry = command("gradescope", gradescope.build, "write an autograder zip for Gradescope")
    entry.add_argument("assignment")
    entry.add_argument("to", type=Path)
    entry = command("gradescope-run", gradescope.run, "what that zip runs, in its container")
    entry.add_argument("assignment")
    entry.add_argument("autograder", type=Path)
    limits(entry, wall=None)
    return top


def limits(entry: argparse.ArgumentParser, *, wall: str | None) -> None:
    """The options that say what student code may do."""
    entry.add_argument("--cell-seconds", type=int, default=60, help="to stop a cell after")
    entry.add_argument("--total-seconds", type=int, default=900, help="to stop a notebook after")
    entry.add_argument("--memory-mb", type=int, default=4096, help="that student code may use")
    entry.add_argument("--wall", choices=KINDS[:2], default=wall,
                       help="bubblewrap, or, as root in a container, another user")
    entry.add_argument("--let-students-code-reach-my-files", dest="wall", action="store_const",
                       const="none", help="grade without any wall: only for code that you trust")


if __name__ == "__main__":
    sys.exit(main())
