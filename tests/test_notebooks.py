"""Holds the lessons to what a notebook owes its reader; nbval runs them, this reads them.

The rules are functions of a notebook's JSON, so that each can be shown to fail.
"""

import ast
import itertools
import json
import re
from pathlib import Path

import IPython.display
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure

from course_lib.plotting import show_figure
from tests import minutes

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(
    path for path in FOLDER.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
)
TOOLS = (
    "LiveImage", "BlendTool", "SmoothTool", "WarpTool", "LatentTool", "PaintTool", "DirectionTool",
    "TransferTool", "TextTool", "PartsTool",
)
MAX_BYTES = 600_000
MAX_CELL_LINES = 12
HEADER = ("question", "goals", "minutes", "prerequisites", "paper", "lecture slide")
MACHINE_PATH = re.compile(
    r"(?<![\w.:/])/(?:home|root|Users|tmp|work|mnt|media|private|var|opt|usr|srv|venv)/"
    r"|\b[A-Za-z]:\\+(?:Users|Windows|Program)"
)
DOWNLOAD = re.compile(r"https?://|ftp://|urllib|urlopen|urlretrieve|\brequests\.|\bwget\b|\bcurl\b")
COMMAND = re.compile(
    r"^\s*(?:!|%%?(?:pip|conda|mamba|sx|system|bash|sh|script)\b)"
    r"|\bsubprocess\b|os\.system|get_ipython\(\)|pip\.main", re.MULTILINE
)
COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)


def text(value: str | list[str]) -> str:
    """A notebook stores text as one string or as a list of lines."""
    return value if isinstance(value, str) else "".join(value)


def code_cells(notebook: dict) -> list[dict]:
    """The code cells that hold code."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [cell for cell in cells if text(cell["source"]).strip()]


def tags(cell: dict) -> list[str]:
    """The cell's tags; `raises-exception` and `long-cell` each allow one exception."""
    return cell.get("metadata", {}).get("tags", [])


def start(cell: dict) -> str:
    """The cell's first line, to find it by."""
    return repr(text(cell["source"]).strip().split("\n")[0][:60])


def not_executed(notebook: dict) -> list[str]:
    """Cells that were not run, or not from top to bottom."""
    counts = [cell.get("execution_count") for cell in code_cells(notebook)]
    if None in counts:
        missing = code_cells(notebook)[counts.index(None)]
        return [f"the cell {start(missing)} was not executed"]
    if any(after <= before for before, after in itertools.pairwise(counts)):
        return [f"the cells were not run from top to bottom: {counts}"]
    return []


def errors_shown(notebook: dict) -> list[str]:
    """Cells that failed without being meant to."""
    return [
        f"the cell {start(cell)} failed with {output['ename']}: tag it raises-exception if meant"
        for cell in code_cells(notebook) if "raises-exception" not in tags(cell)
        for output in cell["outputs"] if output["output_type"] == "error"
    ]


def wrong_kernel(notebook: dict) -> list[str]:
    """The notebook opens with the kernel that every Python has."""
    kernel = notebook["metadata"].get("kernelspec", {}).get("name")
    return [] if kernel == "python3" else [f"the kernelspec is {kernel!r}, not 'python3'"]


def silent_images(notebook: dict) -> list[str]:
    """Pictures without alt text."""
    return [
        f"a picture of the cell {start(cell)} has no alt text: show it with course_lib.plotting"
        for cell in code_cells(notebook) for output in cell["outputs"]
        for kind in output.get("data", {}) if kind.startswith("image/")
        if not str(output.get("metadata", {}).get(kind, {}).get("alt", "")).strip()
    ]


def long_cells(notebook: dict) -> list[str]:
    """Cells with more than one idea."""
    faults = []
    for cell in code_cells(notebook):
        lines = [line.strip() for line in text(cell["source"]).split("\n")]
        count = sum(1 for line in lines if line and not line.startswith("#"))
        if count > MAX_CELL_LINES and "long-cell" not in tags(cell):
            faults.append(f"the cell {start(cell)} has {count} lines, more than {MAX_CELL_LINES}")
    return faults


def incomplete_header(notebook: dict, needed: tuple[str, ...] = HEADER) -> list[str]:
    """What the prose before the first code cell does not say."""
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    head = kinds.index("code") if "code" in kinds else len(kinds)
    said = "\n".join(text(cell["source"]) for cell in notebook["cells"][:head]).lower()
    return [f"the header does not name: {word}" for word in needed if word not in said]


def wrong_minutes(notebook: dict) -> list[str]:
    """A title that says another time than the rule, or too long a lesson."""
    found, said = sum(minutes.by_section(notebook).values()), minutes.stated(notebook)
    faults = []
    if said != minutes.in_fives(found):
        faults.append(f"the title says {said} minutes, and the rule {found:.0f}: round it to fives")
    if found > minutes.MOST + 2.5:
        faults.append(f"it takes {found:.0f} minutes, {minutes.MOST} at most: cut it in two")
    return faults


def unswept_widgets(notebook: dict) -> list[str]:
    """Live tools whose controls no `sweep` cell moves."""
    made, swept = {}, set()
    for cell in code_cells(notebook):
        try:
            tree = ast.parse(text(cell["source"]))
        except SyntaxError:  # shell lines; no_installs reports them
            continue
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and _calls(node.value, *TOOLS):
                made.update((ast.unparse(target), start(cell)) for target in node.targets)
        named = {ast.unparse(node.value) for node in ast.walk(tree)
                 if isinstance(node, ast.Assign) and _calls(node.value, *TOOLS)}
        if sum(_calls(call, *TOOLS) for call in calls) > len(named):
            made[f"the tool without a name in {start(cell)}"] = start(cell)
        if any(_calls(call, "sweep") for call in calls):
            swept |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return [f"no sweep moves the controls of {name}" for name in made if name not in swept]


def _calls(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in names


def installs_or_downloads(notebook: dict) -> list[str]:
    """Code that changes the reader's machine or needs a network."""
    return [
        f"the cell {start(cell)} installs, downloads or runs a shell command"
        for cell in code_cells(notebook)
        for source in [COMMENT.sub("", text(cell["source"]))]
        if COMMAND.search(source) or DOWNLOAD.search(source)
    ]


def machine_paths(notebook: dict) -> list[str]:
    """Folders of the machine that the notebook was run on, in its prose, code or outputs."""
    faults = []
    for cell in notebook["cells"]:
        for piece in [text(cell["source"]), *_output_texts(cell)]:
            found = MACHINE_PATH.search(piece)
            if found:
                faults.append(f"the cell {start(cell)} names a machine's path: {found.group()}…")
    return faults


def _output_texts(cell: dict):
    for output in cell.get("outputs", []):
        yield text(output.get("text", ""))
        yield "\n".join(output.get("traceback", []))
        for kind, data in output.get("data", {}).items():
            if kind.startswith("text/"):
                yield text(data)


RULES = [
    not_executed, errors_shown, wrong_kernel, silent_images, long_cells, incomplete_header,
    unswept_widgets, installs_or_downloads, machine_paths, wrong_minutes,
]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_keeps_the_rules(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    faults = [
        fault for rule in RULES if rule is not incomplete_header for fault in rule(notebook)
    ]
    faults += incomplete_header(notebook, ("minutes",) if path.stem[:2] == "00" else HEADER)
    size = path.stat().st_size
    if size >= MAX_BYTES:
        faults.append(f"it has {size // 1000} kB, {MAX_BYTES // 1000} at most: use fewer figures")
    assert faults == []


def test_figures_of_the_library_carry_alt_text_where_the_rule_looks_for_it(monkeypatch):
    shown = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    show_figure(Figure(figsize=(1, 1)), alt="an empty figure")
    data, metadata = DisplayFormatter().format(shown[0])
    assert data["image/jpeg"]
    assert silent_images(_notebook(code("show()", data=data, metadata=metadata))) == []
    assert silent_images(_notebook(code("show()", data=data, metadata={}))) != []


def code(source: str, *, count: int = 1, tags: tuple[str, ...] = (), **output) -> dict:
    """A code cell, executed, with one output if any part of it is given."""
    outputs = [{"output_type": "display_data", **output}] if output else []
    return {
        "cell_type": "code", "source": source.splitlines(keepends=True), "outputs": outputs,
        "execution_count": count, "metadata": {"tags": list(tags)},
    }


def _notebook(*cells: dict, kernel: str = "python3") -> dict:
    header = {"cell_type": "markdown", "metadata": {},
              "source": "# " + ", ".join(HEADER) + "\n\n**Minutes.** 20"}
    return {"cells": [header, *cells], "metadata": {"kernelspec": {"name": kernel}}}


GOOD = _notebook(
    code("# see https://doi.org/10.1145/882262.882269\n\n" + "x = 1\n" * MAX_CELL_LINES, count=1),
    code("tool = LiveImage(render, alt='a cat')", count=2),
    code("print(sweep(tool))", count=3, output_type="stream", text="15\n"),
    code("raise NotImplementedError", count=4, tags=("raises-exception",), output_type="error",
         ename="NotImplementedError", traceback=[]),
    code("show_images(a / b)", count=5, data={"image/jpeg": "/home/", "text/plain": "<Image>"},
         metadata={"image/jpeg": {"alt": "two cats"}}),
    code("", count=None),
)

BAD = [
    (not_executed, _notebook(code("x = 1", count=None))),
    (not_executed, _notebook(code("x = 1", count=2), code("y = 1", count=1))),
    (errors_shown, _notebook(code("1 / 0", output_type="error", ename="ZeroDivisionError"))),
    (wrong_kernel, _notebook(kernel="venv")),
    (wrong_kernel, {"cells": [], "metadata": {}}),
    (silent_images, _notebook(code("show()", data={"image/jpeg": "…"}, metadata={}))),
    (silent_images, _notebook(code("show()", data={"image/png": "…"},
                                   metadata={"image/png": {"alt": " "}}))),
    (long_cells, _notebook(code("x = 1\n" * (MAX_CELL_LINES + 1)))),
    (unswept_widgets, _notebook(code("tool = LiveImage(render, alt='a')"), code("tool"))),
    (unswept_widgets, _notebook(code("a = LiveImage(f)\nb = LiveImage(f)"), code("sweep(a)"))),
    (unswept_widgets, _notebook(code("LiveImage(render, alt='a cat')"), code("sweep(tool)"))),
    (unswept_widgets, _notebook(code("tool = WarpTool(cat, alt='a cat')"), code("tool"))),
    (installs_or_downloads, _notebook(code("!ls"))),
    (installs_or_downloads, _notebook(code("%pip install lpips"))),
    (installs_or_downloads, _notebook(code("load_image('https://example.org/cat.jpg')"))),
    (installs_or_downloads, _notebook(code("import subprocess"))),
    (installs_or_downloads, _notebook(code("import urllib.request"))),
    (machine_paths, _notebook(code("load_image('/home/ada/cat.jpg')"))),
    (machine_paths, _notebook(code("x", output_type="stream", text=["/tmp/a.py:3: Warning"]))),
    (machine_paths, _notebook(code("x", data={"text/plain": ["'C:\\\\Users\\\\ada'"]}))),
    (incomplete_header, {"cells": [code("x = 1")], "metadata": {}}),
    (wrong_minutes, _notebook(code("x = 1"))),
    (wrong_minutes, _notebook(*8 * [code("raise", tags=("raises-exception",))])),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_good_notebook_breaks_no_rule(rule):
    assert rule(GOOD) == []


@pytest.mark.parametrize("rule, notebook", BAD, ids=lambda part: getattr(part, "__name__", ""))
def test_a_bad_notebook_is_reported(rule, notebook):
    assert rule(notebook)


def test_a_header_after_the_first_code_cell_does_not_count():
    header = {"cell_type": "markdown", "metadata": {}, "source": "# " + ", ".join(HEADER)}
    assert len(incomplete_header({"cells": [code("x = 1"), header]})) == len(HEADER)
    assert not incomplete_header({"cells": [header]}, ("minutes",))


def test_a_lessons_minutes_are_its_words_lines_figures_tools_and_exercises():
    words = "# Lesson\n\n**Minutes.** 25\n\n" + "it's " * 298 + "$a + b$"
    folded = {"jupyter": {"source_hidden": True}}
    code = [
        ("import a\nfrom b import (\n    c,\n)\n" + "a = 1\n# a remark\n\nb = 2\n" * 4, {}, []),
        ('show(a, alt="words that "\n        "nobody sees")', {}, [{"data": {"image/png": ""}}]),
        ("tool = BlendTool(a)", {}, []),
        ("raise NotImplementedError", {"tags": ["raises-exception"]}, []),
        ("x = 1\n" * 80, folded, []),
    ]
    cells = [{"cell_type": "markdown", "source": words, "metadata": {}},
             {"cell_type": "markdown", "source": "## Two", "metadata": {}}]
    cells += [{"cell_type": "code", "source": source, "metadata": metadata, "outputs": outputs}
              for source, metadata, outputs in code]
    found = minutes.by_section({"cells": cells})
    assert found["opening"] == pytest.approx(302 / 150)
    assert found["Two"] == pytest.approx(1 / 150 + (8 + 1 + 1 + 1) / 8 + 2 / 3 + 5 + 10)
    assert minutes.stated({"cells": cells}) == 25 and wrong_minutes({"cells": cells})
    cells[0]["source"] = words.replace("25", "20")
    assert not wrong_minutes({"cells": cells})
    cells += 6 * [cells[-2]]
    assert len(wrong_minutes({"cells": cells})) == 2


def test_an_assignments_minutes_are_its_tasks_too_but_not_its_checks_and_extras():
    def cell(kind, source, **graded):
        return {"cell_type": kind, "source": source, "metadata": {"nbgrader": graded},
                "outputs": []}

    task = ("def f(x):\n    ### BEGIN SOLUTION\n    y = x\n\n    return y\n    ### END SOLUTION\n"
            "    raise NotImplementedError('Part 1')")
    part = [cell("markdown", "## Part 1"), cell("code", task, solution=True),
            cell("code", "check(1, f)\n" * 80, grade=True),
            cell("markdown", "### BEGIN SOLUTION\n" + "word " * 30 + "\n### END SOLUTION",
                 solution=True, grade=True)]
    extra = [cell("markdown", "## Extra 1"), *part[1:]]
    found = minutes.by_section({"cells": [*part, *extra]})
    assert found == {"opening": 0, "Part 1": pytest.approx(2 / 150 + 2 / 8 + 10 + 2 + 3)}
