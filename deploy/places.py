"""Where a hub keeps things: one folder to mount, to back up, and to hand on.

    ROOT/homes/NAME                          a student's own files
    ROOT/exchange/safety-wheels/outbound     what is handed out, for all to read
    ROOT/exchange/safety-wheels/inbound/NAME what one student handed in, in nobody else's sight
    ROOT/hub                                 the hub's database, cookies and passwords
    ROOT/edition                             library and lessons as students get them
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
COURSE = "safety-wheels"  # as in assignments/nbgrader_config.py
NAMES = r"[a-z0-9][a-z0-9._@-]{0,63}"  # of users: each is a folder's name, too

# As a student sees them, in a container and behind bubblewrap alike.
HOME = "/home/student"
EXCHANGE = "/srv/exchange"
FIRST = "/lab/tree/lessons/00_start_here.ipynb"  # where they begin: start.py brings it


@dataclass(frozen=True)
class Places:
    """The folders of one hub; all of them are on its own machine.

    Attributes:
        root: what is kept, for as long as the class lasts.
        edition: what students read, made by `python -m assignments.grading edition`.
    """

    root: Path
    edition: Path

    @classmethod
    def from_environment(cls) -> "Places":
        """`COURSE_HUB` (default /srv/course) and `COURSE_HUB_EDITION` (default its edition/)."""
        root = Path(os.environ.get("COURSE_HUB", "/srv/course")).resolve()
        return cls(root, Path(os.environ.get("COURSE_HUB_EDITION", root / "edition")).resolve())

    @property
    def exchange(self) -> Path:
        """The root of nbgrader's exchange."""
        return self.root / "exchange"

    def home(self, name: str) -> Path:
        """A user's own files.

        Raises:
            ValueError: the name could lead out of the folder of homes.
        """
        return self.root / "homes" / self._checked(name)

    def inbound(self, name: str) -> Path:
        """What a user handed in. Raises as `home` does."""
        return self.exchange / COURSE / "inbound" / self._checked(name)

    def make(self, *names: str, owner: int | None = None) -> None:
        """Create what is missing, closed to other accounts; `owner` may be named by root alone."""
        if not (self.edition / "course_lib").is_dir():
            raise FileNotFoundError(
                f"{self.edition} holds no course_lib, so students would have nothing to work with: "
                "build it with python -m assignments.grading edition, or set COURSE_HUB_EDITION."
            )
        shared = [self.exchange / COURSE / part for part in ("inbound", "outbound", "feedback")]
        for folder in (self.root / "hub", self.root / "homes", *shared):
            folder.mkdir(parents=True, exist_ok=True)
        (self.root / "hub").chmod(0o700)
        for name in names:
            for folder in (self.home(name), self.inbound(name)):
                folder.mkdir(mode=0o700, exist_ok=True)
                if owner is not None and os.geteuid() == 0:
                    os.chown(folder, owner, owner)

    @staticmethod
    def _checked(name: str) -> str:
        if not re.fullmatch(NAMES, name):
            raise ValueError(
                f"{name!r} is no name for a folder, so this user gets none: names are of small "
                "letters, digits and ._@-, begin with one of the first two, and end by 64."
            )
        return name
