"""A course on disk, and nbgrader's commands for it."""

import contextlib
import hashlib
import multiprocessing
import os
import secrets
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import nbformat

from assignments.grading.confinement import is_plain_file

HERE = Path(__file__).parents[1]


class CourseError(RuntimeError):
    """A step that cannot be taken; the message says why, and what to do."""


def require_new(folder: Path) -> None:
    """Refuse a folder that holds something already, or a file of this name."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CourseError(f"{folder} is there already, and would be mixed up: name a new folder.")


def say(step: str) -> None:
    """Tell whoever waits what is being done, at once."""
    print(step, flush=True)


@dataclass(frozen=True)
class Course:
    """The folder with source/, release/, submitted/, autograded/, feedback/ and the gradebook."""

    root: Path = HERE

    def assignments(self) -> list[str]:
        """The names of what there is to hand out."""
        notebooks = self.root.glob("source/*/*.ipynb")
        return sorted(path.stem for path in notebooks if path.stem == path.parent.name)

    def notebook(self, step: str, assignment: str, student: str = ".") -> Path:
        """Where an assignment's notebook lies at a step, such as "source" or "submitted"."""
        return self.root / step / student / assignment / f"{assignment}.ipynb"

    def students(self, assignment: str) -> list[str]:
        """Who handed something in."""
        return sorted(path.parent.name for path in self.root.glob(f"submitted/*/{assignment}"))

    def require(self, assignment: str) -> None:
        """Refuse a name that is no assignment's."""
        if assignment not in self.assignments():
            there = ", ".join(self.assignments()) or "none"
            raise CourseError(f"There is no assignment {assignment!r} in source/, only: {there}.")

    def seed(self) -> str:
        """The secret that hidden tests draw their cases from; made at first need."""
        if "COURSE_GRADING_SEED" in os.environ:
            return os.environ["COURSE_GRADING_SEED"]
        path = self.root / "seed.txt"
        if not path.exists():
            draft = self.root / f"seed-{secrets.token_hex(8)}.tmp"
            draft.write_text(f"{secrets.randbelow(2**31)}\n")
            with contextlib.suppress(FileExistsError):  # another grader was first: its seed holds
                os.link(draft, path)
            draft.unlink()
        return path.read_text().strip()

    def fingerprint(self, assignment: str, student: str) -> str:
        """Changes with anything that a grade depends on."""
        digest = hashlib.sha256(self.seed().encode())
        digest.update(self.notebook("source", assignment).read_bytes())
        for path in sorted((self.root / "submitted" / student / assignment).rglob("*")):
            if is_plain_file(path):
                digest.update(path.name.encode(errors="surrogateescape"))
                with open(path, "rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def is_graded(self, assignment: str, student: str) -> bool:
        """Whether the submission, as it is now, has its grade."""
        path = self.notebook("autograded", assignment, student)
        if not path.exists():
            return False
        grading = nbformat.read(path, 4).metadata.get("grading", {})
        return grading.get("fingerprint") == self.fingerprint(assignment, student)

    def nbgrader(self, *words: str, seconds: float | None = None) -> None:
        """One of nbgrader's commands, in a process of its own, with the project's configuration."""
        named = [Path(word.split("=")[-1]).name for word in words[:3] if word != "--force"]
        name = "-".join(named)
        if len(name.encode()) > 200:  # of the 255 that a file's name may have
            name = f"{name[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        log = self.root / "logs" / f"{name}.txt"
        log.parent.mkdir(exist_ok=True)
        child = FORKS.Process(target=run_nbgrader, args=(words, str(self.root), str(log)))
        child.start()
        UNDER_WAY.add(child)
        child.join(seconds)
        UNDER_WAY.discard(child)
        if child.is_alive():
            child.kill()
            child.join()
            raise CourseError(f"nbgrader {words[0]} took more than {seconds} s: see {log}")
        if child.exitcode and child.exitcode < 0:
            raise CourseError(f"nbgrader {words[0]} was stopped from outside (see {log})")
        if child.exitcode:
            said = log.read_text(errors="replace") if log.exists() else ""
            lines = [line for line in said.splitlines() if line.strip()]
            errors = [line for line in lines if "Error: " in line] or lines or ["no message"]
            raise CourseError(f"nbgrader {words[0]} failed: {errors[-1].strip()} (see {log})")


# Each child is forked from a server that has nbgrader loaded: it starts at once, and starts fresh.
FORKS = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
FORKS.set_forkserver_preload(["nbgrader.apps.nbgraderapp", "assignments.grading.plugins"])
UNDER_WAY: set[multiprocessing.Process] = set()


def stop_all() -> None:
    """End every command of nbgrader's that is under way; a kernel ends with its grader."""
    for child in list(UNDER_WAY):
        child.kill()


def run_nbgrader(words: tuple[str, ...], root: str, log: str) -> None:
    """What `nbgrader WORDS` does on the command line; its messages go to a file.

    Out of the terminal's reach: whoever presses Ctrl-C must not interrupt a student's cell.
    """
    if hasattr(os, "setsid"):
        os.setsid()
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ["COURSE_ROOT"] = root
    # nbgrader calls its helpers, such as alembic, by name: also where no environment is activated.
    beside = sysconfig.get_path("scripts")
    os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])
    os.chdir(HERE)
    from nbgrader.apps.nbgraderapp import NbGraderApp
    sys.exit(NbGraderApp.launch_instance(list(words)))
