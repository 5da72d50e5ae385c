"""Tries a hub with a simulated class: `python -m deploy.load --users 100 --at-once 5`.

A hub of its own is started from the shipped configuration, on loopback and in a temporary folder.
Every user logs in, has a server started, opens a lesson, runs the library in a kernel, saves, and
leaves; so many at a time work as memory allows. In between kernels are killed, and the hub, without
warning. In the end everyone's notebook is read from disk: whatever was saved must be there.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from deploy.memory import memory_of
from deploy.places import Places
from deploy.student import Student, StudentError
from deploy.trial import CONFIG, Trial, trial, why_not

LESSON = "lessons/08_guided_editing.ipynb"
WORK = """
import torch, course_lib
from course_lib.generators import load_generator
cats = load_generator("cats")
print(tuple(cats.decode(cats.sample_latent(1, rng=torch.Generator().manual_seed(0))).shape))
"""
CRASH = "import os; os.kill(os.getpid(), 9)"


@dataclass
class Outcome:
    """What came of it: seconds by step, what failed, and the largest memory seen, in MB."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    kernels_killed: int = 0
    peak_mb: int = 0


class Class:
    """Users that come, work and leave, and what their saves must have left behind."""

    def __init__(self, hub: Trial, *, at_once: int, kill: float, seed: int = 0) -> None:
        self.hub, self.outcome = hub, Outcome()
        self.rng, self.kill = random.Random(seed), kill
        self.crashes = 0
        self.seats, self.saved = threading.Semaphore(at_once), {}
        self.lock, self.up = threading.Lock(), threading.Event()
        self.up.set()

    def visit(self, name: str, kills: bool) -> None:
        """One user's hour, in short; who does not get through is noted with the reason."""
        student = Student(self.hub.address, name)
        with self.seats:
            try:
                self.timed("log in", lambda: student.log_in(self.hub.password))
                self.timed("server up", student.start_server)
                notebook = self.timed("open", lambda: student.read(LESSON))
                kernel = self.timed("kernel up", student.start_kernel)
                self.timed("first picture", lambda: student.run(kernel, WORK))
                self.keep(student, notebook, "first")
                if kills:
                    self.kill_kernel(student, kernel)
                self.keep(student, notebook, "second")
                self.timed("kernel down", lambda: student.stop_kernel(kernel))
                self.timed("server down", student.stop_server)
            except (StudentError, OSError) as error:
                with self.lock:
                    self.outcome.failed.append(f"{name}: {error}")

    def timed(self, step: str, act):
        """Do it, and note how long it took; what a crash of the hub broke is tried again."""
        while True:
            self.up.wait()
            begin, crashes = time.monotonic(), self.crashes
            try:
                found = act()
            except (StudentError, OSError):
                if crashes == self.crashes:
                    raise
                continue
            with self.lock:
                self.outcome.seconds.setdefault(step, []).append(time.monotonic() - begin)
            return found

    def keep(self, student: Student, notebook: nbformat.NotebookNode, words: str) -> None:
        """Write a line into the notebook, and save it."""
        notebook.cells.append(nbformat.v4.new_markdown_cell(f"{student.name}: {words}"))
        self.timed("save", lambda: student.save(LESSON, notebook))
        with self.lock:
            self.saved.setdefault(student.name, []).append(f"{student.name}: {words}")

    def kill_kernel(self, student: Student, kernel: str) -> None:
        """Kill it as the system would, and go on in the one that Jupyter starts instead."""
        try:
            student.run(kernel, CRASH)
        except StudentError:
            with self.lock:
                self.outcome.kernels_killed += 1
        self.timed("kernel again", lambda: student.run_when_up(kernel, "print(1)"))

    def crash_hub(self) -> None:
        """Kill the hub under everyone, and start it again."""
        self.up.clear()
        self.crashes += 1
        self.hub.crash()
        time.sleep(1)
        self.hub.start()
        self.up.set()

    def watch(self, done: threading.Event) -> None:
        """Note the largest proportional memory of all that belongs to the hub."""
        while not done.wait(2):
            self.outcome.peak_mb = max(self.outcome.peak_mb, held_by(self.hub))

    def check(self, places: Places) -> None:
        """Read everyone's notebook from disk: what was saved, and is not there, is lost."""
        for name, lines in self.saved.items():
            cells = nbformat.read(places.home(name) / LESSON, as_version=4).cells
            there = {cell.source for cell in cells}
            self.outcome.lost += [line for line in lines if line not in there]


def held_by(hub: Trial) -> int:
    """The memory of the hub, its proxy and all servers and kernels, in MB; shared pages once."""
    total = 0
    for number in [hub.hub.pid, *(process.pid for process in hub.relatives())]:
        try:
            total += memory_of(number).pss
        except (OSError, KeyError, TypeError):
            continue  # it ended in between
    return total


def borrowed() -> dict[str, str]:
    """What a student must be able to read where packages come from several environments."""
    folders = {str(Path(path).parents[2]) for path in sys.path
               if path.endswith("site-packages") and not path.startswith(sys.prefix)}
    return {"COURSE_HUB_READABLE": " ".join(sorted(folders))}


def simulate(root: Path, *, users: int, at_once: int, kill: float, crashes: int) -> Outcome:
    """Let so many users come, in a random order of killed kernels, and crash the hub in between."""
    with trial(root, **borrowed()) as hub:
        group = Class(hub, at_once=at_once, kill=kill)
        done = threading.Event()
        watcher = threading.Thread(target=group.watch, args=(done,))
        watcher.start()
        with ThreadPoolExecutor(users) as pool:
            names = [f"student{number:03}" for number in range(users)]
            visits = [pool.submit(group.visit, name, group.rng.random() < kill) for name in names]
            for crash in range(1, crashes + 1):
                while sum(v.done() for v in visits) < users * crash // (crashes + 1):
                    time.sleep(1)
                group.crash_hub()
        for visit in visits:
            visit.result()
        done.set()
        watcher.join()
        group.check(Places(root, CONFIG.parents[1]))
    return group.outcome


def main(arguments: list[str] | None = None) -> int:
    """Simulate, and print what came of it; 1 if anything failed or was lost."""
    parser = argparse.ArgumentParser(prog="python -m deploy.load", description=__doc__)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=5, help="about 0.6 GB each")
    parser.add_argument("--kill", type=float, default=0.2, help="share of users' kernels killed")
    parser.add_argument("--crashes", type=int, default=3, help="of the hub, spread over the time")
    asked = parser.parse_args(arguments)
    if reason := why_not():
        parser.error(f"no hub can be tried here: {reason}")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hub-") as folder:
        outcome = simulate(Path(folder), users=asked.users, at_once=asked.at_once,
                           kill=asked.kill, crashes=asked.crashes)
    print(f"{asked.users} users, {asked.at_once} at once, {time.monotonic() - begin:.0f} s; "
          f"{outcome.kernels_killed} kernels killed, {asked.crashes} hubs; "
          f"at most {outcome.peak_mb} MB")
    for step, seconds in outcome.seconds.items():
        ordered = sorted(seconds)
        print(f"{step:14} {len(ordered):4} times, median {ordered[len(ordered) // 2]:6.2f} s, "
              f"largest {ordered[-1]:6.2f} s")
    print(f"failed: {outcome.failed or 'none'}\nsaved work lost: {outcome.lost or 'none'}")
    return bool(outcome.failed or outcome.lost)


if __name__ == "__main__":
    sys.exit(main())
