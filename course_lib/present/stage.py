"""Opens a lesson as slides: a JupyterLab of its own, in a folder of its own, its cells run."""

import html
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from course_lib.present.cells import SLENDER, WIDGET, is_prose, is_sweep, size_of, source
from course_lib.present.slides import for_the_stage

PRESENTING = "body[data-jp-deck-mode='presenting']"
UNFOCUSED = f"{PRESENTING}:not(:has(:focus))"
SETTINGS = {
    "jupyterlab-slideshow/plugin": {"active": True},
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false", "checkForUpdates": False},
    # What a presenter's remote control sends, wherever the focus is.
    "@jupyterlab/shortcuts-extension/shortcuts": {"shortcuts": [
        {"command": "deck:forward", "keys": ["PageDown"], "selector": PRESENTING},
        {"command": "deck:back", "keys": ["PageUp"], "selector": PRESENTING},
        {"command": "deck:forward", "keys": ["ArrowRight"], "selector": UNFOCUSED},
        {"command": "deck:back", "keys": ["ArrowLeft"], "selector": UNFOCUSED}]},
}
FIGURES = "from course_lib import plotting; plotting.DPI = 200"  # sharp on a projector


class Server:
    """A JupyterLab that runs.

    Attributes:
        folder: what it serves.
        process: that runs it.
        url, token: where it is, and who may enter.
    """

    def __init__(self, folder: Path, process: subprocess.Popen, url: str, token: str) -> None:
        self.folder, self.process, self.url, self.token = folder, process, url, token

    def ask(self, where: str, /, **content: object) -> dict:
        """The JSON that it answers to a GET, or to a POST of `content`."""
        request = urllib.request.Request(
            f"{self.url}{where}", headers={"Authorization": f"token {self.token}"},
            data=json.dumps(content).encode() if content else None)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def address(self, name: str) -> str:
        """Where a browser finds this notebook."""
        return f"{self.url}lab/tree/{name}?token={self.token}&reset"


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """JupyterLab in presentation mode, with settings that are nobody's, until the block ends.

    Raises:
        RuntimeError: it does not start.
    """
    for name, values in SETTINGS.items():
        path = folder / ".settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    style = folder / ".config" / "custom" / "custom.css"
    style.parent.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("slides.css"), style)
    hidden = {"JUPYTER_CONFIG_DIR": ".config", "JUPYTERLAB_SETTINGS_DIR": ".settings",
              "JUPYTERLAB_WORKSPACES_DIR": ".workspaces", "JUPYTER_RUNTIME_DIR": ".runtime"}
    environment = os.environ | {name: str(folder / value) for name, value in hidden.items()}
    log = folder / ".log"
    with log.open("w") as lines:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1",
             "--LabApp.custom_css=True", "--allow-root", f"--ServerApp.root_dir={folder}",
             "--LabApp.news_url="],
            cwd=folder, env=environment, stdout=lines, stderr=lines)
        try:
            yield _await(process, folder)
        finally:
            process.terminate()
            process.wait()


def _await(process: subprocess.Popen, folder: Path) -> Server:
    """The server, once it answers."""
    said = folder / ".runtime" / f"jpserver-{process.pid}.json"
    for _ in range(240):
        if process.poll() is not None:
            break
        try:
            known = json.loads(said.read_text(encoding="utf-8"))
            server = Server(folder, process, known["url"], known["token"])
            server.ask("api/status")
            return server
        except (OSError, ValueError):
            time.sleep(0.25)
    raise RuntimeError(
        "JupyterLab did not start, so there is nothing to show; it said: "
        + (folder / ".log").read_text(encoding="utf-8")[-2000:])


def rehearse(server: Server, lesson: Path) -> str:
    """Put a lesson on the stage and run its cells; returns its name there.

    Cells that move a tool's controls are left out: the tool is shown as it begins.
    """
    import nbformat
    from jupyter_client.blocking import BlockingKernelClient
    from nbformat.sign import NotebookNotary

    notebook = nbformat.from_dict(
        for_the_stage(json.loads(lesson.read_text(encoding="utf-8"))))
    nbformat.write(notebook, server.folder / lesson.name)
    session = server.ask("api/sessions", path=lesson.name, name=lesson.name, type="notebook",
                         kernel={"name": "python3"})
    client = BlockingKernelClient()
    client.load_connection_file(
        str(server.folder / ".runtime" / f"kernel-{session['kernel']['id']}.json"))
    client.start_channels(hb=False)  # a busy machine's heart beats late, and seems to stand still
    try:
        client.wait_for_ready(timeout=60)
        client.execute_interactive(FIGURES, silent=True, output_hook=lambda message: None)
        cells = [cell for cell in notebook.cells
                 if not is_prose(cell) and not is_sweep(cell) and source(cell).strip()]
        for cell in tqdm(cells, desc=f"Running {lesson.stem}", unit="cell"):
            run(client, cell)
    finally:
        client.stop_channels()
    nbformat.write(notebook, server.folder / lesson.name)
    NotebookNotary().sign(notebook)  # else its tools would be shown as pictures
    return lesson.name


def with_alt_text(output: dict) -> dict:
    """A figure as HTML that tells its alt text, which JupyterLab leaves in the metadata."""
    data, metadata = output.get("data", {}), output.get("metadata", {})
    for kind in [kind for kind in data if "alt" in metadata.get(kind, {}) and WIDGET not in data]:
        encoded, alt = data.pop(kind).strip(), html.escape(metadata[kind]["alt"])
        wide, tall = size_of(encoded)
        slender = " slender" * (tall > SLENDER * wide)
        data["text/html"] = (f'<div class="jp-RenderedImage{slender}"><img alt="{alt}" '
                             f'src="data:{kind};base64,{encoded}"></div>')
    return output


def run(client, cell) -> None:
    """Run one cell, and keep its outputs."""
    from nbformat.v4 import output_from_msg

    cell.outputs = []

    def keep(message: dict) -> None:
        if message["msg_type"] in ("stream", "display_data", "execute_result", "error"):
            cell.outputs.append(with_alt_text(output_from_msg(message)))

    reply = client.execute_interactive(source(cell), output_hook=keep, allow_stdin=False)
    cell.execution_count = reply["content"].get("execution_count")
