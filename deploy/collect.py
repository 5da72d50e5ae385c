"""Takes what a class handed in through the hub to where it is graded.

    python -m deploy.collect a1_gradient_domain

copies each student's newest submission from the exchange into submitted/, as
`python -m assignments.grading collect` does with a download. Whose it is says the folder that the
hub gave them alone, and nothing that they wrote.
"""

import argparse
import sys
from pathlib import Path

from assignments.grading.collecting import collect_one, files_of, known_cells
from assignments.grading.course import Course, CourseError
from deploy.places import COURSE, Places

OURS = {"timestamp.txt", "submission_secret.txt"}  # nbgrader's, beside the work


def newest(inbound: Path, assignment: str) -> Path | None:
    """The last folder that a student handed in, by nbgrader's NAME+ASSIGNMENT+TIME+RANDOM."""
    found = [path for path in inbound.glob(f"*+{assignment}+*")
             if path.is_dir() and not path.is_symlink() and path.name.count("+") >= 2]
    return max(found, key=lambda path: (path.name.split("+")[2], path.name), default=None)


def collect(course: Course, places: Places, assignment: str) -> list[str]:
    """Copy everyone's work into submitted/; who handed in nothing that can be graded.

    Raises:
        CourseError: there is no such assignment, or no exchange.
    """
    course.require(assignment)
    inbound = places.exchange / COURSE / "inbound"
    if not inbound.is_dir():
        raise CourseError(f"{inbound} is no folder, so nothing was handed in there: "
                          "set COURSE_HUB to the folder of your hub.")
    left, known = [], known_cells(course)
    for folder in sorted(path for path in inbound.iterdir() if path.is_dir()):
        work = newest(folder, assignment)
        if work is None:
            continue
        files = {name: path for name, path in files_of(work).items() if name not in OURS}
        if not collect_one(course, assignment, folder.name, files, known):
            left.append(folder.name)
    return left


def main(arguments: list[str] | None = None) -> int:
    """Collect, and name who is left."""
    parser = argparse.ArgumentParser(prog="python -m deploy.collect", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assignment")
    parser.add_argument("--course", type=Path, default=Course().root, help="default: assignments/")
    asked = parser.parse_args(arguments)
    try:
        left = collect(Course(asked.course), Places.from_environment(), asked.assignment)
    except CourseError as error:
        parser.error(str(error))
    if left:
        print(f"Not collected: {', '.join(left)}. Ask these to hand in one notebook.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
