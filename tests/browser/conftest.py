"""A real JupyterLab and a real Chromium, both on this machine alone.

`COURSE_CHROMIUM` may name the browser's executable; else it is looked for on the PATH. Nothing
is downloaded: where there is none, these tests are skipped.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.browser.lab import Lab

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ADVICE = (
    "no Chromium was found, so the tools were not tried in a browser: install one (on Debian: "
    "apt-get install chromium) or name its executable in COURSE_CHROMIUM"
)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run"
).split()
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # render all cells, not those in view
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


def find_chromium() -> str | None:
    """The executable of the user's Chromium, if there is one."""
    asked = os.environ.get("COURSE_CHROMIUM")
    return shutil.which(asked) if asked else next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def browser():
    """Chromium, without a window."""
    executable = find_chromium()
    if executable is None:
        pytest.skip(ADVICE)
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def server(browser, tmp_path_factory):
    """A JupyterLab of its own settings on a free port; its address and its folder."""
    home = tmp_path_factory.mktemp("lab")
    for path in (Path(__file__).parents[2] / "notebooks").glob("*.ipynb"):
        shutil.copy(path, home)
    for name, values in SETTINGS.items():
        path = home / ".settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
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
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}",
         "--allow-root", "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True",
         "--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
         "--ServerApp.port_retries=0"],
        cwd=home, env=environment, stdout=log, stderr=log,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        await_server(address, process, home / "log")
        yield address, home
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


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Where screenshots are kept: `COURSE_SCREENSHOTS`, else pytest's own temporary folder."""
    asked = os.environ.get("COURSE_SCREENSHOTS")
    folder = Path(asked) if asked else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def page(browser, server, pictures):
    """A page that can open notebooks."""
    address, home = server
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, has_touch=True, accept_downloads=True
    )
    lab = Lab(context.new_page(), address, home, pictures)
    yield lab
    lab.shut_down()
    context.close()


@pytest.fixture
def lab(page):
    """The page, of which a test must see no error, and no request to another machine."""
    yield page
    page.keep("last")
    assert page.strangers == [], "something was requested from outside the machine"
    assert page.complaints == [], "the browser's console shows errors"
