"""What runs when a student's server starts: lessons that are not there yet are copied, no more.

A lesson that is there is the student's, and stays as they left it; who wants it fresh renames
theirs, and starts the server again. It needs nothing but Python, so that every image can run it.
"""

import os
import shutil
import sys
from pathlib import Path


def bring(lessons: Path, home: Path) -> list[str]:
    """Copy the lessons that `home` lacks, and return their names."""
    home.mkdir(parents=True, exist_ok=True)
    missing = [path for path in sorted(lessons.glob("*.ipynb")) if not (home / path.name).exists()]
    for path in missing:
        part = home / f".{path.name}.part"
        shutil.copyfile(path, part)
        part.replace(home / path.name)  # whole or not at all
    return [path.name for path in missing]


def main() -> None:
    """Bring the lessons, and become the server."""
    try:
        bring(Path(os.environ["COURSE_LESSONS"]), Path.home() / "lessons")
    except OSError as error:  # such as a full disk: the server is what helps then
        print(f"The lessons could not be copied: {error}", file=sys.stderr)
    os.execv(sys.executable, [sys.executable, "-m", "jupyterhub.singleuser", *sys.argv[1:]])


if __name__ == "__main__":
    main()
