"""Submissions that are hostile, broken or odd, and what each must come to.

Each runs on the tiny course. Code goes where a student would put it: into the answer cells, or into
a cell of their own.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from tests.submissions.course import RIGHT, find

SUM_RIGHT = RIGHT["integrate"]
WRONG = {"differences": "def differences(signal):\n    return signal",
         "integrate": "def integrate(slopes, start):\n    return slopes", "words": "?"}
BOTH, FIRST, NONE = (2, 3), (2, 0), (0, 0)


@dataclass(frozen=True)
class Case:
    """A submission.

    Attributes:
        points: of the two tested parts.
        flag: words of the sentence that the instructor reads; empty if there is none.
        answers: by grade_id.
        extra: code of cells that the student put before the second answer.
        heavy: much work for the machine, which, if busy, may stop it: then the flag says so.
        change: what happened to the notebook on its way; it returns the file's text.
    """

    points: tuple[int, int]
    flag: str = ""
    answers: dict | None = None
    extra: tuple[str, ...] = ()
    heavy: bool = False
    change: Callable[[NotebookNode], NotebookNode | str] = lambda notebook: notebook


def _without(notebook: NotebookNode, *grade_ids: str) -> NotebookNode:
    lost = [find(notebook, grade_id) for grade_id in grade_ids]
    notebook.cells = [cell for cell in notebook.cells if not any(cell is one for one in lost)]
    return notebook


def _twice(notebook: NotebookNode) -> NotebookNode:
    copies = json.loads(json.dumps([find(notebook, "check_differences"),
                                    find(notebook, "differences")]))
    copies[1]["source"] = "def differences(signal):\n    return None"
    for number, copy in enumerate(copies):
        notebook.cells.insert(1, NotebookNode(copy | {"id": f"copy-{number}"}))
    notebook.cells[1].metadata = NotebookNode(notebook.cells[1].metadata)
    return notebook


def _resettled(notebook: NotebookNode) -> NotebookNode:
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader.update(points=1000, locked=False, solution=True, grade=True)
    notebook.metadata.kernelspec = {"name": "bash", "display_name": "B", "language": "bash"}
    notebook.metadata.grading = {"flags": [], "fingerprint": "forged"}
    return notebook


def _stripped(notebook: NotebookNode) -> NotebookNode:
    for number, cell in enumerate(notebook.cells):
        cell.metadata, cell.id = NotebookNode(), f"new-{number}"
    return notebook


def _format_3(notebook: NotebookNode) -> str:
    cells = [
        {"cell_type": "code", "input": cell.source, "language": "python", "outputs": [],
         "metadata": cell.metadata, "collapsed": False}
        if cell.cell_type == "code" else
        {"cell_type": "markdown", "source": cell.source, "metadata": cell.metadata}
        for cell in notebook.cells
    ]
    sheets = [{"cells": cells, "metadata": {}}]
    return json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": sheets})


def _gone(kind: str) -> Callable[[NotebookNode], NotebookNode]:
    def change(notebook: NotebookNode) -> NotebookNode:
        notebook.cells = [cell for cell in notebook.cells if cell.cell_type != kind]
        return notebook
    return change


FORGE_CHECKS = """
import builtins, torch.testing, numpy as np
torch.allclose = torch.equal = np.allclose = lambda *a, **k: True
torch.testing.assert_close = np.testing.assert_allclose = lambda *a, **k: None
builtins.all = builtins.any = lambda *a: True
torch.Tensor.__eq__ = lambda *a: True
class NeverWrong(type(AssertionError)): pass
builtins.AssertionError = type("AssertionError", (), {})
"""
DROP_ASSERTS = """
import ast
class Drop(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
get_ipython().ast_transformers.append(Drop())
get_ipython().showtraceback = lambda *a, **k: None
"""
FORGE_GLOBALS = """
class Yes:
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
    def __eq__(self, other): return True
    def __bool__(self): return True
    __sub__ = __rsub__ = __lt__ = __and__ = lambda self, other: self
differences = integrate = SIGNAL = Yes()
"""
FORGE_ANSWERS = """
import course_remote, os, pickle
class Payload:
    def __reduce__(self): return os.system, ("touch /tmp/owned",)
course_remote._plain = lambda value: Payload()
"""
READ_DISK = """
import sys
found, looked = [], 0
for top in ("/", "/tmp", "/root", "/home", os.path.expanduser("~"), os.getcwd()):
    for place, folders, names in os.walk(top):
        if place.startswith(("/proc", "/sys", "/usr", "/lib", "/dev", sys.prefix, sys.base_prefix)):
            folders[:] = []
            continue
        for name in names:
            looked += 1
            if name.endswith((".ipynb", ".db", "seed.txt")) or "gradebook" in name:
                found.append(os.path.join(place, name))
print("FOUND", found, [key for key in os.environ if "SEED" in key])
"""
READ_MEMORY = """
import sys
seen = []
def differences(signal):
    frame = sys._getframe()
    while frame:
        seen.extend(map(str, frame.f_locals))
        seen.extend(map(str, frame.f_globals.get("In", [])))
        frame = frame.f_back
    return signal[1:] - signal[:-1]
"""
SHARE_MEMORY = "import mmap; hoard = [mmap.mmap(-1, 2**30) for _ in range(10**3)]"
DELETE = """
import shutil, pathlib
for path in ("/tmp", "/home", "/work", "/var", "/etc", os.getcwd(), *torch.__path__):
    shutil.rmtree(path, ignore_errors=True)
    try: pathlib.Path(path, "was-here").write_text("hello")
    except OSError: pass
"""
NETWORK = """
import socket
for address in (("127.0.0.1", {port}), ("1.1.1.1", 53), ("10.0.0.1", 80)):
    try:
        socket.create_connection(address, timeout=2).sendall(b"reached")
        print("REACHED", address)
    except OSError: pass
"""
FLOOD = "for _ in range(200): print('x' * 2**20, flush=True)"
FILL = """
import glob
(folder,) = glob.glob("/tmp/grading-*")
import time
for number in range(10**4):
    with open(f"{folder}/{number}", "wb") as file: file.truncate(100 << 20)
    time.sleep(0.1)
"""
WIDGETS = """
import ipywidgets
from IPython.display import display
output = ipywidgets.Output()
with output: print("inside")
display(ipywidgets.IntSlider(), output)
"""
SCRIPTS = """
from IPython.display import HTML, Javascript, display
display(HTML("<b>bold</b><script>owned(1)</script><p onclick='owned(2)'>x</p>"))
display(Javascript("owned(3)"))
"""
STUBBORN = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True: pass
"""
FORK = """
children = 0
try:
    while children < 10**6: children += bool(os.fork())
except OSError: print("no more")
import multiprocessing, subprocess
subprocess.run(["true"])
"""

CASES = {  # graded from end to end, which takes two kernels each
    "right": Case(BOTH),
    "visible-only": Case(NONE, answers=RIGHT | {
        "differences": "def differences(signal):\n    return torch.tensor([1.0, 2.0, -1.0])",
        "integrate": "def integrate(slopes, start):\n    return SIGNAL"}),
    "endless-cells": Case(BOTH, "was stopped after", extra=(
        "while True: pass", "import time; time.sleep(3600)")),
    "endless-function": Case(NONE, "took too long", answers=RIGHT | {
        "differences": "def differences(signal):\n    while True: pass"}),
    "stubborn-loop": Case(FIRST, "could not be interrupted", extra=(STUBBORN,)),
    "many-hours": Case(FIRST, "the whole notebook took too long", extra=("#",), change=lambda nb: (
        [nb.cells.insert(4, new_code_cell("import time; time.sleep(3600)")) for _ in range(9)], nb,
    )[1]),
    "memory-bomb": Case(
        BOTH, extra=("hoard = [bytearray(2**28) for _ in range(10**5)]",), heavy=True),
    "breaks-things": Case(BOTH, extra=("import sys; sys.exit(0)", FORK, SHARE_MEMORY, DELETE)),
    "looks-around": Case(
        BOTH, answers=RIGHT | {"differences": READ_MEMORY},
        extra=(READ_DISK, NETWORK, WIDGETS, SCRIPTS),
        change=lambda nb: (nb.cells.append(new_code_cell("print(seen)")), nb)[1]),
    # However it ends, by a signal, an exit (see test_grading_hidden) or by itself, it is gone.
    "segfault": Case(FIRST, "its kernel died", extra=("import ctypes; ctypes.string_at(0)",)),
    "forged-checks": Case(NONE, answers=WRONG, extra=(DROP_ASSERTS, FORGE_CHECKS)),
    "forged-globals": Case(NONE, answers=WRONG | {"integrate": FORGE_GLOBALS}),
    "forged-answers": Case(NONE, answers=WRONG | {
        "differences": FORGE_ANSWERS + WRONG["differences"]}),
    "prints-200-MB": Case(BOTH, "printed more than", extra=(FLOOD,), heavy=True),
    "fills-disk": Case(FIRST, "filled the folder", extra=(FILL,)),
    "missing-import": Case(FIRST, answers=RIGHT | {
        "integrate": "import no_such_module\n" + SUM_RIGHT}),
    "syntax-error": Case(FIRST, answers=RIGHT | {"integrate": "def integrate(:"}),
    "deleted-cells": Case(FIRST, "was missing", change=lambda nb: _without(
        nb, "check_differences", "integrate", "check_integrate")),
    "duplicated-cells": Case(BOTH, "was there twice", change=_twice),
    "changed-settings": Case(BOTH, "settings of cell", change=_resettled),
    "changed-tests": Case(NONE, "was changed", answers=WRONG | {
        "check_differences": "pass", "check_integrate": "pass"}),
}
MENDED = {  # files whose code is that of "right" or "untouched" before any of it runs
    "changed-settings": CASES["changed-settings"],
    "half-a-file": Case(NONE, "not a notebook", change=lambda nb: json.dumps(nb)[:900]),
    "no-code-left": Case(NONE, "was missing", change=_gone("code")),
    "lost-metadata": Case(BOTH, "settings of cell", change=_stripped),
    "old-format": Case(BOTH, change=_format_3),
    "future-format": Case(NONE, "not a notebook", change=lambda nb: json.dumps(
        {"nbformat": 9, "nbformat_minor": 0, "panels": []})),
    "empty-file": Case(NONE, "is empty", change=lambda nb: ""),
    "a-web-page": Case(NONE, "not a notebook", change=lambda nb: "<html>Sign in</html>"),
    "not-a-dictionary": Case(NONE, "not a notebook", change=lambda nb: "[1, 2, 3]"),
}


def submission(case: Case, notebook: NotebookNode, **values: int) -> NotebookNode | str:
    """The case's file, from the release."""
    for grade_id, answer in (RIGHT if case.answers is None else case.answers).items():
        find(notebook, grade_id).source = answer
    place = notebook.cells.index(find(notebook, "integrate"))
    notebook.cells[place:place] = [
        new_code_cell(extra.replace("{port}", str(values.get("port", 0))), id=f"extra-{number}")
        for number, extra in enumerate(case.extra)
    ]
    return case.change(notebook)
