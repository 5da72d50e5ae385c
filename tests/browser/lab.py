"""Drives notebooks in JupyterLab, and notes what passes over the wire."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import nbformat
import numpy as np
import PIL.Image

ADVICE = (
    "no Chromium was found, so the tools were not tried in a browser: install one (on Debian: "
    "apt-get install chromium) or name its executable in COURSE_CHROMIUM"
)
# Said after two seconds on a busy machine; the widget comes up all the same, and if it does not,
# the test that looks for it fails.
SLOW = "[anywidget] Failed to initialize model."
VIEW = {"viewport": {"width": 1280, "height": 800}, "has_touch": True, "accept_downloads": True}
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # render all cells, not those in view
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


@contextmanager
def jupyterlab(home: Path):
    """A JupyterLab of its own settings, with the lessons in its folder `home`; its address."""
    for path in (Path(__file__).parents[2] / "notebooks").glob("*.ipynb"):
        shutil.copy(path, home)
    for name, values in SETTINGS.items():
        path = home / ".settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with serving(home, home) as address:
        yield address


@contextmanager
def serving(folder: Path, home: Path, *words: str):
    """`jupyter lab WORDS`, started in `folder`, its own settings in `home`; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / ".config"), "IPYTHONDIR": str(home / ".ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / ".settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / ".workspaces"),
        "JUPYTER_RUNTIME_DIR": str(home / ".runtime"), "COURSE_DEVICE": "cpu",
    }
    log = (home / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *words, "--no-browser", "--ip=127.0.0.1",
         f"--port={port}", "--allow-root", "--IdentityProvider.token=",
         "--ServerApp.disable_check_xsrf=True", "--LabApp.news_url=",
         "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
         "--ServerApp.port_retries=0"],
        cwd=folder, env=environment, stdout=log, stderr=log,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        await_server(address, process, home / "log")
        yield address
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


def await_server(address: str, process: subprocess.Popen, log: Path) -> None:
    """Return once the server answers."""
    for _ in range(240):
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{address}/api/status", timeout=5).close()
            return
        except OSError:
            time.sleep(0.25)
    raise RuntimeError(f"JupyterLab did not start: {log.read_text()[-2000:]}")


class Lab:
    """One browser page with JupyterLab in it.

    Attributes:
        frames: how many websocket messages passed, both ways.
        strangers: addresses outside this machine that were asked for.
        complaints: errors of the console.
    """

    def __init__(self, page, address: str, home: Path, pictures: Path) -> None:
        self.page, self.address, self.home, self.pictures = page, address, home, pictures
        self.frames, self.strangers, self.complaints = 0, [], []
        page.set_default_timeout(60_000)
        page.on("websocket", self._listen)
        page.on("request", self._check_host)
        page.on("pageerror", lambda error: self._complain(str(error)))
        page.on("console", lambda line: line.type == "error" and self._complain(line.text))

    def open_cells(self, *cells: str):
        """Run these cells in a notebook of their own."""
        name = f"scratch_{time.monotonic_ns()}.ipynb"
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, self.home / name)
        return self.open(name)

    def open(self, name: str):
        """Run all cells of a notebook of the server's folder."""
        self.page.goto(f"{self.address}/lab/tree/{name}?reset")
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        self.page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        try:
            self.wait_for_cells()
        except Exception:
            self.keep("failed_to_run")
            raise
        return self.page

    def wait_for_cells(self, seconds: float = 100) -> None:
        """Wait until every cell has run."""
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('.jp-CodeCell')]"
            ".filter(cell => cell.querySelector('.cm-content')?.textContent.trim())"
            ".every(cell => /\\[\\d+\\]/.test(cell.querySelector('.jp-InputPrompt').textContent))",
            timeout=seconds * 1000,
        )

    def canvas(self, index: int = 0) -> "Drawing":
        """The canvas of this number on the page, scrolled into view."""
        return Drawing(self, self.page.locator(".jp-OutputArea .sw").nth(index))

    def settle(self, quiet: float = 0.5) -> int:
        """Wait until no message has passed for so long; returns how many had until then."""
        seen = -1
        while seen != self.frames:
            seen = self.frames
            self.page.wait_for_timeout(quiet * 1000)
        return seen

    def count(self, act: Callable[[], object]) -> int:
        """How many websocket messages `act` causes."""
        before = self.settle()
        act()
        return self.settle() - before

    def active_cell(self) -> int:
        """The number of the notebook's selected cell."""
        return self.page.evaluate(
            "() => [...document.querySelectorAll('.jp-Notebook .jp-Cell')]"
            ".findIndex(cell => cell.classList.contains('jp-mod-active'))"
        )

    def keep(self, name: str) -> Path:
        """A screenshot for people to look at."""
        path = self.pictures / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def shut_down(self) -> None:
        """End the kernels that this page started."""
        with urllib.request.urlopen(f"{self.address}/api/sessions", timeout=20) as answer:
            sessions = json.load(answer)
        self.page.goto("about:blank")
        for session in sessions:
            request = urllib.request.Request(
                f"{self.address}/api/sessions/{session['id']}", method="DELETE"
            )
            urllib.request.urlopen(request, timeout=20).close()

    def _listen(self, socket) -> None:
        if "/channels" not in socket.url:
            return
        socket.on("framesent", self._count)
        socket.on("framereceived", self._count)

    def _count(self, _: object) -> None:
        self.frames += 1

    def _complain(self, said: str) -> None:
        if SLOW not in said:
            self.complaints.append(said)

    def _check_host(self, request) -> None:
        parts = urlparse(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            self.strangers.append(request.url)


class Drawing:
    """A canvas on the page, in pixels of its picture."""

    def __init__(self, lab: Lab, root) -> None:
        self.lab, self.root = lab, root
        root.wait_for(state="attached")
        self.stage = root.locator(".sw-stage")
        lab.page.wait_for_function("root => root.dataset.painted > 0", arg=root.element_handle())

    @property
    def painted(self) -> int:
        """How many pictures it has shown."""
        return int(self.root.get_attribute("data-painted"))

    @property
    def note(self) -> str:
        return self.root.locator(".sw-note").inner_text()

    @property
    def error(self) -> str:
        return self.root.locator(".sw-error").text_content()

    def spots(self, *places: tuple[float, float]) -> list[tuple[float, float]]:
        """Where pixels of the picture lie on the screen, after it was scrolled into view."""
        left, top, wide, high, width, height = self.stage.evaluate(
            "stage => { stage.scrollIntoView({ block: 'center' });"
            " const box = stage.getBoundingClientRect(), canvas = stage.firstChild;"
            " return [box.x, box.y, box.width, box.height, canvas.width, canvas.height] }"
        )
        return [
            (left + (x + 0.5) / width * wide, top + (y + 0.5) / height * high) for x, y in places
        ]

    def on_layer(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the picture lies on the layer that is drawn over it."""
        scale = self.stage.evaluate("stage => stage.children[1].width / stage.firstChild.width")
        return (x + 0.5) * scale, (y + 0.5) * scale

    def drag(self, *places: tuple[float, float], moves: int = 20) -> None:
        """Press at the first place, go through the others, release at the last."""
        mouse = self.lab.page.mouse
        first, *others = self.spots(*places)
        mouse.move(*first)
        mouse.down()
        for spot in others:
            mouse.move(*spot, steps=moves)
        mouse.up()

    def button(self, name: str):
        return self.root.get_by_role("button", name=name, exact=True)

    def wait_for_picture(self, after: int) -> None:
        """Wait until a picture newer than number `after` is shown."""
        self.lab.page.wait_for_function(
            "([root, after]) => root.dataset.painted > after",
            arg=[self.root.element_handle(), after],
        )

    def pixels(self, layer: int = 0) -> np.ndarray:
        """The picture (layer 0) or what is drawn over it (1), as (height, width, 4) bytes."""
        data = self.stage.locator("canvas").nth(layer).evaluate(
            "async c => { const blob = await new Promise(done => c.toBlob(done));"
            " return [...new Uint8Array(await blob.arrayBuffer())] }"
        )
        return np.array(PIL.Image.open(io.BytesIO(bytes(data))).convert("RGBA")).astype(int)
