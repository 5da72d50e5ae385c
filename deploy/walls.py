"""Starts each student's server as a process behind bubblewrap, where there is no Docker.

A student sees Python, the library, the lessons and what is handed out, all read-only, and their
own home; no other home, no solutions, none of the hub's files, and no process of anyone else's.
The network is the machine's. Memory is limited for each process (`RLIMIT_DATA`): a kernel that
asks for more gets an error in the cell, and lives on.
"""

import functools
import os
import signal
import subprocess
from pathlib import Path

from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets import Bool, Instance, List, Unicode

from deploy.places import COURSE, EXCHANGE, HOME, Places

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/etc/fonts",
          "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl", "/etc/hosts", "/etc/resolv.conf",
          "/etc/nsswitch.conf", "/etc/passwd", "/etc/group")
SCRATCH_MB = 512  # of /tmp and /dev/shm, which are memory
# bubblewrap waits for what it runs, and takes no signal that is meant for it.
PATIENT = ["sh", "-c", 'trap "" INT TERM; exec "$@"', "sh"]


class WalledSpawner(SimpleLocalProcessSpawner):
    """A server behind a wall; instructors' servers have none, and are the hub's own account."""

    places = Instance(Places).tag(config=True)
    walled = Bool(True, help="whether this user is kept from everyone else's files")
    inside = List(Unicode(), help="the command behind the wall").tag(config=True)
    readable = List(Unicode(), help="further folders that students may read").tag(config=True)

    def _default_home_dir(self) -> str:
        return str(self.places.home(self.user.name))

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Say whose server it is, and where its home lies."""
        home = HOME if self.walled else self.home_dir
        return env | {"USER": self.user.name, "HOME": home, "SHELL": "/bin/bash"}

    async def start(self) -> tuple[str, int]:
        """Start the server, and return its address and port."""
        self.cmd = self._wall() + self.inside if self.walled else self.inside
        return await super().start()

    def _wall(self) -> list[str]:
        kept = {str(self.places.home(self.user.name)): HOME,
                str(self.places.inbound(self.user.name)): f"{EXCHANGE}/{COURSE}/inbound"}
        limits = ["prlimit", "--core=0", "--nofile=4096"]
        if self.mem_limit:
            limits.append(f"--data={self.mem_limit}")
        return [
            *PATIENT, *limits, "bwrap", *"--unshare-user --unshare-pid --unshare-ipc".split(),
            *"--unshare-uts --uid 1000 --gid 1000 --cap-drop ALL --proc /proc --dev /dev".split(),
            *[word for path in ("/dev/shm", "/tmp")
              for word in ("--size", str(SCRATCH_MB << 20), "--tmpfs", path)],
            *[word for path in (*SYSTEM, *self._shared())
              for word in ("--ro-bind-try", path, path)],
            # nbgrader wants the exchange's root to be writable, and writes nothing there.
            "--size", str(1 << 20), "--tmpfs", EXCHANGE,
            "--ro-bind", str(self.places.exchange / COURSE / "outbound"),
            f"{EXCHANGE}/{COURSE}/outbound",
            *[word for pair in kept.items() for word in ("--bind", *pair)],
            "--remount-ro", "/", "--chdir", HOME, "--",
        ]

    def _shared(self) -> list[str]:
        edition = self.places.edition
        ours = [str(edition / part) for part in ("course_lib", "notebooks")]
        deploy = Path(__file__).resolve().parent
        return [*environment_of(self.inside[0]), *ours, str(deploy / "start.py"),
                str(deploy / "jupyter"), *self.readable]

    async def _signal(self, sig: signal.Signals | int) -> bool:
        """Signal the server and bubblewrap around it; whether they are still there."""
        if not sig:
            return await super()._signal(sig)
        try:  # a server that was started to ignore interrupts, as here, stops at SIGTERM alone
            os.killpg(self.pid, signal.SIGTERM if sig == signal.SIGINT else sig)
        except ProcessLookupError:
            return False
        return True


@functools.cache
def environment_of(python: str) -> tuple[str, ...]:
    """The folders that this interpreter and its packages are read from."""
    question = "import sys; print(sys.prefix, sys.base_prefix, sep='\\n')"
    said = subprocess.run([python, "-c", question], capture_output=True, text=True, check=True)
    return tuple(dict.fromkeys(said.stdout.split("\n")[:2]))
