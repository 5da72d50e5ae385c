"""How long a lesson or an assignment takes: one rule for all, printed section by section.

    python -m tests.minutes
    python -m tests.minutes 08
    python -m tests.minutes a5

A fresh reader reads 150 words or 8 lines of code a minute (imports, what is folded, comments and
alt texts apart), looks at a figure for 40 seconds, plays with a live tool for 5 minutes and sits
over an exercise for 10. The time that cells run is not counted: it passes while one reads.

In an assignment, each function is such an exercise, and takes another minute for each line of its
solution, as nothing is folded below; an answer is written at 10 words a minute, as many as the
model's. What checks is not read, and extras are not counted.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

WORDS, LINES = 150, 8  # a minute
FIGURE, TOOL, EXERCISE = 2 / 3, 5, 10  # minutes
WRITTEN, ANSWERED = 1, 10  # lines, words of an answer, a minute
MOST = 75
ROOT = Path(__file__).parents[1]
FORMULA = re.compile(r"\$\$?.+?\$\$?", re.DOTALL)
WORD = re.compile(r"[^\W_](?:['’\-]?\w)*")
IMPORT = re.compile(r"^(?:from [\w.]+ )?import (?:\([^)]*\)|.*)$", re.MULTILINE)
SOLUTION = re.compile(r" *### BEGIN SOLUTION\n(.*?)\n *### END SOLUTION\n?", re.DOTALL)
LIVE = re.compile(r"^\w+ = (?:LiveImage|\w+Tool)\(", re.MULTILINE)


def by_section(notebook: dict) -> dict[str, float]:
    """Minutes of each section but extras, by its heading; before the first is the "opening"."""
    found, section = {"opening": 0.0}, "opening"
    for cell in notebook["cells"]:
        heading = re.match(r"## (.+)", "".join(cell["source"]))
        if cell["cell_type"] == "markdown" and heading:
            section = heading[1].replace("`", "")
        found[section] = found.get(section, 0) + of_cell(cell)
    return {name: minutes for name, minutes in found.items() if not name.startswith("Extra")}


def of_cell(cell: dict) -> float:
    """Minutes of one cell."""
    source, graded = "".join(cell["source"]), cell["metadata"].get("nbgrader", {})
    if graded.get("solution"):
        return of_task(source, cell["cell_type"])
    if graded.get("grade"):
        return 0
    if cell["cell_type"] == "markdown":
        return len(WORD.findall(FORMULA.sub(" formula ", source))) / WORDS
    tags, shown = cell["metadata"].get("tags", []), cell["outputs"]
    folded = cell["metadata"].get("jupyter", {}).get("source_hidden", False)
    figure = any(kind.startswith("image/") for one in shown for kind in one.get("data", {}))
    return (0 if folded else len(read_lines(source)) / LINES) + FIGURE * figure + (
        TOOL * bool(LIVE.search(source))) + EXERCISE * ("raises-exception" in tags)


def of_task(source: str, kind: str) -> float:
    """Minutes of a cell to fill: the frame to read, and the solution to find and write."""
    inner, frame = SOLUTION.search(source)[1], SOLUTION.sub("", source)
    if kind == "markdown":
        return len(WORD.findall(inner)) / ANSWERED
    lines = [line for line in inner.split("\n") if line.strip()]
    return len(read_lines(frame)) / LINES + EXERCISE + len(lines) / WRITTEN


def read_lines(source: str) -> list[str]:
    """The lines that a reader reads: no imports, comments, or what a figure says aloud."""
    source = IMPORT.sub("", source)
    spoken = re.sub(r"alt=(?:\s*f?\"[^\"\n]*\")+", "", source)
    lines = [line.strip() for line in spoken.splitlines()]
    return [line for line in lines if re.search(r"\w", line) and not line.startswith("#")]


def stated(notebook: dict) -> int:
    """What the title says."""
    return int(re.search(r"\*\*Minutes\.\*\* (\d+)", "".join(notebook["cells"][0]["source"]))[1])


def in_fives(minutes: float) -> int:
    """Rounded, as a title says it."""
    return 5 * max(1, round(minutes / 5))


def report(prefix: str) -> Iterator[str]:
    """Each lesson and assignment whose name begins so, and its sections."""
    lessons = ROOT.glob(f"notebooks/{prefix}*.ipynb")
    assignments = ROOT.glob(f"assignments/source/{prefix}*/{prefix}*.ipynb")
    paths = [*sorted(lessons), *sorted(assignments)]
    if not paths:
        sys.exit(f"no lesson or assignment begins with {prefix}: say 00 to 15, or a1 to a6")
    for path in paths:
        found = by_section(json.loads(path.read_text(encoding="utf-8")))
        yield f"{path.stem}: {in_fives(sum(found.values()))}"
        yield from (f"  {minutes:4.0f}  {name}" for name, minutes in found.items())


if __name__ == "__main__":
    print("\n".join(report(*(sys.argv[1:] or [""]))))
