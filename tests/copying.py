"""How much of a solution could be copied from what students get: the longest common run of tokens.

Comments, docstrings and layout don't count, and a variable is a variable whatever its name: only
names that are called, looked up by a dot or passed as a keyword are compared as they are.
"""

import ast
import io
import json
import keyword
import re
import tokenize
from collections import defaultdict
from functools import cache
from pathlib import Path

from assignments.grading.edition import OPEN

ROOT = Path(__file__).parents[1]
LEAST = 5  # tokens; shorter runs are met everywhere
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
          tokenize.ENCODING, tokenize.ENDMARKER}


def tokens(source: str) -> list[str]:
    """The tokens that count; all that precedes an error of syntax, if there is one."""
    found: list[str] = []
    kinds: list[int] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type not in SILENT:
                found.append(token.string)
                kinds.append(token.type)
    except (tokenize.TokenError, IndentationError):
        pass
    around = ["", *found, ""]
    return [
        "ν" if kind == tokenize.NAME and not keyword.iskeyword(name) and before != "."
        and after not in ("(", "=") else name
        for before, name, after, kind in zip(around, found, around[2:], kinds, strict=False)
    ]


def without_docstrings(source: str) -> str:
    """A module's source as ast writes it, its docstrings gone."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(
                body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
            node.body = body[1:] or [ast.Pass()]
    return ast.unparse(tree)


@cache
def handed_out() -> dict[str, list[str]]:
    """By file, the tokens of lessons, their folded solutions among them, and of the library."""
    found = {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found[path.name] = [token for cell in cells if cell["cell_type"] == "code"
                            for token in [*tokens("".join(cell["source"])), "¶"]]
    for path in sorted((ROOT / "course_lib").rglob("*.py")):
        if path.parent.name != "feedback" or path.stem in OPEN:
            source = without_docstrings(path.read_text(encoding="utf-8"))
            found[str(path.relative_to(ROOT))] = tokens(source)
    return found


@cache
def places() -> dict[tuple, list[tuple[str, int]]]:
    """Where each run of `LEAST` tokens stands."""
    index = defaultdict(list)
    for name, words in handed_out().items():
        for start in range(len(words) - LEAST + 1):
            index[tuple(words[start:start + LEAST])].append((name, start))
    return dict(index)


def longest_run(solution: str) -> tuple[int, int, str, str]:
    """(its length, the solution's length, where, what): the longest run that is handed out."""
    words = tokens(solution)
    best, where, what = 0, "", ""
    for start in range(len(words)):
        for name, place in places().get(tuple(words[start:start + LEAST]), ()):
            theirs, length = handed_out()[name], LEAST
            while (start + length < len(words) and place + length < len(theirs)
                   and words[start + length] == theirs[place + length]):
                length += 1
            if length > best:
                best, where, what = length, name, " ".join(words[start:start + length])
    return best, len(words), where, what


def solved(cell_source: str) -> str:
    """What a source's cell has between its marks."""
    (inner,) = re.findall(r"### BEGIN SOLUTION\n(.*?)\n *### END SOLUTION", cell_source, re.DOTALL)
    return inner
