"""A hub to try things on: the shipped configuration, on loopback, with students that we simulate.

What differs from a real one is said on the command line: anyone comes in with one password, and
ports are free ones. So what is tried is deploy/jupyterhub_config.py itself.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import requests

CONFIG = Path(__file__).with_name("jupyterhub_config.py")
PROXY = Path(__file__).parents[1] / "build" / "proxy" / "node_modules" / ".bin"


def why_not() -> str:
    """Why no hub can be tried here, or an empty string."""
    missing = [name for name in ("jupyterhub", "jupyterhub_idle_culler") if find_spec(name) is None]
    if missing:
        return f"{missing[0]} is missing (pip install -r requirements-hub.txt)"
    if shutil.which("configurable-http-proxy", path=search_path()) is None:
        return "the proxy is missing (npm install --prefix build/proxy configurable-http-proxy@5)"
    try:
        subprocess.run(["bwrap", "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "true"],
                       check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return "bubblewrap is missing, or cannot make its walls here (apt install bubblewrap)"
    return ""


def search_path() -> str:
    """Where the hub's programs are looked for."""
    return os.pathsep.join([str(PROXY), str(Path(sys.executable).parent), os.environ["PATH"]])


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens at."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0)))
                  for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


class Trial:
    """A hub of its own in a folder; `start`, `crash` and `start` again as often as you like.

    Attributes:
        address: what students open, such as "http://127.0.0.1:4321".
        password: of every user.
    """

    def __init__(self, root: Path, **variables: str) -> None:
        self.root, self.password = root, secrets.token_urlsafe(16)
        self.public, self.inner, self.api = free_ports(3)
        self.address = f"http://127.0.0.1:{self.public}"
        self.environment = os.environ | {
            "PATH": search_path(), "COURSE_HUB": str(root), "COURSE_HUB_SPAWNER": "wall",
            "COURSE_HUB_EDITION": str(CONFIG.parents[1]), "COURSE_DEVICE": "cpu",
            "COURSE_HUB_URL": self.address, "COURSE_HUB_INSTRUCTORS": "ada",
            "COURSE_HUB_CORES": "1",
        } | variables
        self.hub: subprocess.Popen | None = None
        self.family: set[psutil.Process] = set()

    def start(self, *words: str, seconds: float = 60) -> None:
        """Start the hub, and return once it answers."""
        root = self.root
        root.mkdir(parents=True, exist_ok=True)
        words = words or ("--JupyterHub.authenticator_class=dummy",
                          f"--DummyAuthenticator.password={self.password}")
        with (root / "log").open("a") as log:
            self.hub = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", f"--config={CONFIG}", *words,
                 f"--JupyterHub.hub_port={self.inner}",
                 f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{self.api}"],
                cwd=root, env=self.environment, stdout=log, stderr=log)
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.hub.poll() is None:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.address}/hub/api/", timeout=5).ok:
                    return
            time.sleep(0.2)
        raise RuntimeError(f"The hub did not start: {(root / 'log').read_text()[-3000:]}")

    def relatives(self) -> set[psutil.Process]:
        """Every process that this hub started, and lives."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.family |= set(psutil.Process(self.hub.pid).children(recursive=True))
        grandchildren = set()
        for process in self.family:
            with contextlib.suppress(psutil.NoSuchProcess):
                grandchildren |= set(process.children(recursive=True))
        self.family = {process for process in self.family | grandchildren if process.is_running()}
        return self.family

    def crash(self) -> None:
        """Kill the hub, so that it can tidy nothing up."""
        self.relatives()
        self.hub.send_signal(signal.SIGKILL)
        self.hub.wait()

    def close(self) -> None:
        """End the hub and all that it started, and its earlier lives."""
        relatives = self.relatives()
        self.hub.kill()
        self.hub.wait()
        for process in relatives:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(relatives, timeout=20)


@contextlib.contextmanager
def trial(root: Path, **variables: str) -> Iterator[Trial]:
    """A running hub, ended with all its servers."""
    hub = Trial(root, **variables)
    try:
        hub.start()
        yield hub
    finally:
        hub.close()
