"""What may stand on a page made of a student's work, and nothing else.

Formgrader shows a submission in the instructor's own Jupyter, and feedback pages are opened from
disk: so cells and outputs are built anew from the few parts that a page shows, each checked, and
markup is made safe (markup.py). A content security policy (templates/) stands behind that.
"""

import base64
import binascii
import re
from pathlib import Path

from jinja2 import pass_context
from markupsafe import Markup
from nbconvert.filters import Highlight2HTML
from nbconvert.filters.markdown_mistune import MarkdownWithMath
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from assignments.grading.markup import Renderer, plain, safe_html

TEMPLATES = Path(__file__).with_name("templates")
PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8"}
# Characters of a text, and of a line in it. What is longer is shown plainly: the time of mistune
# and pygments grows with the square of either.
MAX_TEXT, MAX_LINE = 20_000, 4_000
PASTED = re.compile(r"data:(image/(?:png|jpeg|gif));base64,([A-Za-z0-9+/=]+)")
CELL_ID = re.compile(r"[\w-]{1,64}", re.A)
NOT_SHOWN = "(An output of this kind is not shown.)"


# The filters that nbconvert's templates call.

@pass_context
def markdown_filter(context, source: str) -> Markup:
    """Markdown to safe HTML; `attachment:` pictures are those of the cell."""
    attachments = safe_attachments((context.get("cell") or {}).get("attachments"))

    def attach(pasted: re.Match) -> str:
        name = f"pasted-{len(attachments)}"
        attachments[name] = {pasted[1]: safe_picture(pasted[1], pasted[2])}
        return f"attachment:{name}"

    text, renderer = PASTED.sub(attach, source), Renderer(attachments=attachments)
    if is_long(text):
        return Markup(plain(text))
    try:
        safe = safe_html(MarkdownWithMath(renderer).render(text))
        return Markup(renderer.with_formulas(safe))
    except (ValueError, RecursionError):
        return Markup(plain(text))


def code_filter(source: str, language=None, metadata=None) -> Markup:
    """Highlighted Python, or, if it is very long, plain text."""
    highlight = plain if is_long(source) else Highlight2HTML(pygments_lexer="ipython3")
    return Markup(highlight(source))


def is_long(text: str) -> bool:
    """Whether marking `text` up could take too long."""
    return len(text) > MAX_TEXT or max(map(len, text.splitlines()), default=0) > MAX_LINE


def html_filter(markup: str) -> str:
    """Safe HTML; what `markdown_filter` made, formulas and all, is that already."""
    return markup if isinstance(markup, Markup) else safe_html(markup)


def template_filter(name: str) -> str:
    """The text of a file in templates/."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


FILTERS = {
    "markdown2html": markdown_filter, "clean_html": html_filter, "highlight_code": code_filter,
    "template_text": template_filter,
    "strip_files_prefix": lambda text: text,  # nbconvert's takes time with the square of a text
}


# Notebooks.

class CleanPages(Preprocessor):
    """Cleans what is about to be shown, whatever it went through before."""

    enabled = True

    def preprocess(self, nb, resources):
        clean(nb)
        return nb, resources


def clean(notebook: NotebookNode) -> None:
    """Leave of a notebook what is shown, and of that what is safe."""
    notebook.metadata = _some(notebook.metadata, "kernelspec", "language_info", "grading")
    notebook.cells = [_clean_cell(cell) for cell in notebook.cells]


def _clean_cell(cell: NotebookNode) -> NotebookNode:
    fields = {"metadata": _some(cell.metadata, "nbgrader", "grading")}
    if CELL_ID.fullmatch(str(cell.get("id"))):
        fields["id"] = cell.id
    if cell.cell_type == "code":
        count = cell.get("execution_count")
        fields["execution_count"] = count if type(count) is int else None
        fields["outputs"] = [safe_output(output) for output in cell.get("outputs", [])]
        return new_code_cell(text_of(cell.source), **fields)
    if attachments := safe_attachments(cell.get("attachments")):
        fields["attachments"] = attachments
    return new_markdown_cell(text_of(cell.source), **fields)


def safe_output(output: NotebookNode) -> NotebookNode:
    """One output, as the template may show it."""
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return new_output("stream", name=name, text=text_of(output.get("text", "")))
    if kind == "error":
        lines = output.get("traceback", [])
        return new_output("error", ename=text_of(output.get("ename", "")),
                          evalue=text_of(output.get("evalue", "")),
                          traceback=[text_of(line) for line in lines if isinstance(line, str)])
    data = _safe_data(output.get("data"))
    sizes = {mime: _safe_sizes(output.get("metadata"), mime) for mime in data if mime in PICTURES}
    return new_output("display_data", data=data, metadata=sizes)


def _safe_data(data: object) -> dict[str, str]:
    safe, data = {}, data if isinstance(data, dict) else {}
    for mime, value in data.items():
        if mime in PICTURES:
            safe |= {mime: picture} if (picture := safe_picture(mime, value)) else {}
        elif mime == "text/html":
            safe[mime] = safe_html(text_of(value))
        elif mime in ("text/markdown", "text/latex"):
            safe["text/markdown"] = text_of(value)  # which knows formulas, too
        elif mime == "text/plain":
            safe[mime] = text_of(value)
    return safe or {"text/plain": NOT_SHOWN}


def _safe_sizes(metadata: object, mime: str) -> dict[str, int | str]:
    """Width and height in pixels, and the text that stands for a picture."""
    given = metadata.get(mime) if isinstance(metadata, dict) else None
    given = given if isinstance(given, dict) else {}
    sizes = {key: given[key] for key in ("width", "height")
             if type(given.get(key)) is int and 0 < given[key] < 10_000}
    return sizes | ({"alt": given["alt"]} if isinstance(given.get("alt"), str) else {})


def safe_attachments(attachments: object) -> dict[str, dict[str, str]]:
    """The pictures among a cell's attachments, by the name that its text calls them by."""
    safe = {}
    for name, kinds in attachments.items() if isinstance(attachments, dict) else ():
        for mime, data in kinds.items() if isinstance(kinds, dict) else ():
            if picture := safe_picture(mime, data):
                safe[name] = {mime: picture}
    return safe


def safe_picture(mime: str, data: object) -> str:
    """A picture's base64, written anew; empty if it is none of the kind that it is said to be."""
    try:
        content = base64.b64decode("".join(text_of(data).split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    is_one = mime in PICTURES and content.startswith(PICTURES[mime])
    return base64.b64encode(content).decode() if is_one else ""


def text_of(value: object) -> str:
    """Text that can be written to a file; notebooks may hold it as a list of lines."""
    lines = value if isinstance(value, list) else [value]
    return "".join(map(str, lines)).encode("utf-8", "replace").decode()


def _some(metadata: NotebookNode, *keys: str) -> NotebookNode:
    return NotebookNode({key: metadata[key] for key in keys if key in metadata})
