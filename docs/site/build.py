"""Builds the course's site, one command: `python -m docs.site.build [FOLDER]`.

    pip install -r requirements-site.txt
    python -m docs.site.build
    python -m http.server --bind 127.0.0.1 --directory build/site    # or open build/site/index.html

Lessons are read as they were committed, executed; nothing is run but the export of the toys'
generators. `npm` brings what the pages run in the reader's browser.
"""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WIDGET = "application/vnd.jupyter.widget-view+json"
PAGES = ("history", "ethics", "lecturing")


def build(out: Path) -> Path:
    """Write the site into this folder, and check its links; returns its first page.

    Raises:
        RuntimeError: a link leads nowhere, or Sphinx warns.
    """
    work = ROOT / "build" / "site-source"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(HERE, work, ignore=shutil.ignore_patterns("node_modules", "build.py", "__*"))
    gather_lessons(work)
    gather_scripts(work)
    shutil.rmtree(out, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-j", "auto",
                    "-b", "html", "-d", str(work / ".doctrees"), str(work), str(out)], check=True)
    name_by_what_is_read(out)
    faults = broken_links(out)
    if faults:
        raise RuntimeError("These links lead nowhere, so mend them:\n" + "\n".join(faults))
    return out / "index.html"


def gather_lessons(work: Path) -> None:
    """Copy lessons and pages; a live tool becomes the picture that it leaves behind."""
    alts: dict[str, str] = {}
    (work / "notebooks").mkdir()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = as_page(json.loads(path.read_text(encoding="utf-8")))
        alts |= alt_texts(notebook)
        (work / "notebooks" / path.name).write_text(json.dumps(notebook), encoding="utf-8")
    (work / "alt.json").write_text(json.dumps(alts), encoding="utf-8")
    for name in PAGES:
        if (ROOT / "docs" / f"{name}.md").is_file():
            shutil.copy(ROOT / "docs" / f"{name}.md", work)


def as_page(notebook: dict) -> dict:
    """The notebook as it reads without a kernel: tools as pictures, solutions and errors folded."""
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        for output in cell["outputs"]:
            output.get("data", {}).pop(WIDGET, None)
        tags = cell["metadata"].setdefault("tags", [])
        if cell["metadata"].get("jupyter", {}).get("source_hidden"):
            tags.append("hide-input")
        if "raises-exception" in tags:
            tags.append("hide-output")
    notebook["metadata"].pop("widgets", None)
    return notebook


def alt_texts(notebook: dict) -> dict[str, str]:
    """The alt text of each figure, by the name of the file that MyST-NB writes it into."""
    found = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            for kind, data in output.get("data", {}).items():
                if kind.startswith("image/"):
                    name = hashlib.sha256(base64.b64decode("".join(data))).hexdigest()
                    found[name] = output["metadata"][kind]["alt"]
    return found


def gather_scripts(work: Path) -> None:
    """Bring MathJax and ONNX Runtime from npm, and what the toys need from the course."""
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm was not found, and without it the pages have neither formulas nor "
                           "the toys: install Node.js, which brings it.")
    subprocess.run([npm, "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"],
                   cwd=work, check=True)
    static, modules = work / "_static", work / "node_modules"
    (static / "mathjax").mkdir()
    shutil.copy(modules / "mathjax/es5/tex-svg.js", static / "mathjax")
    from docs.site.toy import write_toys

    write_toys(static, modules / "onnxruntime-web/dist")
    shutil.copy(modules / "axe-core/axe.min.js", work.parent)  # for the tests, outside the site
    shutil.rmtree(modules)


def name_by_what_is_read(site: Path) -> None:
    """Take back the names that theme and notebooks give to what has a text of its own.

    Whoever speaks to their machine says the text that they see.
    """
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        text = text.replace('<summary aria-label="Toggle hidden content">', "<summary>")
        text = re.sub(r'(search-button-field[^>]*?) aria-label="Search"', r"\1", text)
        path.write_text(text, encoding="utf-8")


# Links.

class Page(HTMLParser):
    """What a page refers to, and the places in it that others may refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links, self.places = [], {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name in ("id", "name") and value:
                self.places.add(value)


def broken_links(site: Path) -> list[str]:
    """The links inside the site that lead nowhere, each after its page."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))
             if "_static" not in path.parts}
    faults = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlparse(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            places = pages[target].places if target in pages else {"", parts.fragment}
            if not target.exists() or unquote(parts.fragment) not in places:
                faults.append(f"{path.relative_to(site)}: {link}")
    return faults


if __name__ == "__main__":
    print(build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site").resolve()))
