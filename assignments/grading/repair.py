"""Puts a submission into the shape that was handed out, whatever happened to it on the way.

The release is the skeleton. From the submission come the answers and the cells that the student
added; points, tests and order come from the release. What had to be mended becomes a flag.
"""

import json
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from assignments.grading.cells import defined_names

MAX_BYTES = 50 << 20


class Unreadable(ValueError):
    """The file holds no notebook; the message is a sentence for the flag."""


def read_submission(path: Path) -> NotebookNode:
    """A notebook in today's format, from any format that nbformat knows."""
    if path.is_symlink() or not path.is_file():
        raise Unreadable("The submission is no plain file.")
    if path.stat().st_size > MAX_BYTES:
        raise Unreadable(f"The file has more than {MAX_BYTES >> 20} MB.")
    text = path.read_text(encoding="utf-8", errors="replace").removeprefix("\ufeff")
    if not text.strip():
        raise Unreadable("The file is empty.")
    try:
        notebook = nbformat.convert(nbformat.reads(text, nbformat.NO_CONVERT), 4)
        [(cell.cell_type, _text(cell)) for cell in notebook.cells]
    except Exception as error:
        raise Unreadable(f"The file is not a notebook ({type(error).__name__}).") from error
    return notebook


def repair(submission: NotebookNode, release: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """The release with the submission's answers and additions, and flags, a sentence each."""
    flags: list[str] = []
    matches = _match(submission.cells, release.cells)
    answers: dict[int, NotebookNode] = {}
    extras: dict[int, list[NotebookNode]] = {}
    anchor = -1
    for cell, place in zip(submission.cells, matches, strict=True):
        if place is None:
            extras.setdefault(anchor, []).append(_fresh(cell, cell.cell_type))
            continue
        anchor, original = place, release.cells[place]
        if place in answers and _is_owed(original):
            flags.append(f"Cell {_grade_id(original)!r} was there twice: the last edited counts.")
            if _text(cell) == original.source:
                continue
        answers[place] = cell
    cells = list(extras.get(-1, []))
    for place, original in enumerate(release.cells):
        cells += [_mended(original, answers.get(place), flags), *extras.get(place, [])]
    mended = NotebookNode(release | {"cells": cells})
    return mended, list(dict.fromkeys(flags))


def _mended(original: NotebookNode, answer: NotebookNode | None, flags: list[str]) -> NotebookNode:
    info = original.metadata.get("nbgrader", {})
    fresh = _fresh(original, original.cell_type, id=original.id, metadata=original.metadata)
    if answer is None:
        if info:
            flags.append(f"Cell {info['grade_id']!r} was missing: it was put back as handed out.")
        return fresh
    if info and not info.get("solution"):
        if _text(answer).strip() != original.source.strip():
            flags.append(f"Test cell {info['grade_id']!r} was changed: it was put back.")
        return fresh
    if info and _settings(answer) != _settings(original):
        flags.append(f"The settings of cell {info['grade_id']!r} were changed: they were put back.")
    fresh.source = _text(answer)
    if fresh.cell_type == "markdown" and isinstance(answer.get("attachments"), dict):
        fresh.attachments = answer.attachments
    return fresh


def _match(cells: list[NotebookNode], release: list[NotebookNode]) -> list[int | None]:
    """For each submitted cell, the place in the release that it belongs to.

    By grade_id; else, where a tool has dropped the metadata, by cell id, equal source, or the
    function that an answer defines.
    """
    keys: dict[tuple, int] = {}
    for place, cell in reversed(list(enumerate(release))):
        keys[("source", cell.source.strip())] = keys[("id", cell.id)] = place
        if cell.metadata.get("nbgrader", {}).get("solution") and cell.cell_type == "code":
            keys.update({("defines", name): place for name in defined_names(cell.source)})
        if _grade_id(cell) is not None:
            keys[("grade_id", _grade_id(cell))] = place
    by_id = {keys.get(("grade_id", _grade_id(cell))) for cell in cells}
    return [_place(cell, keys, by_id) for cell in cells]


def _place(cell: NotebookNode, keys: dict[tuple, int], taken: set[int | None]) -> int | None:
    if ("grade_id", _grade_id(cell)) in keys:
        return keys["grade_id", _grade_id(cell)]
    guesses = [("id", cell.get("id")), ("source", _text(cell).strip())]
    guesses += [("defines", name) for name in _defined(cell)]
    places = (keys.get(guess) for guess in guesses)
    return next((place for place in places if place is not None and place not in taken), None)


def _defined(cell: NotebookNode) -> list[str]:
    try:
        return defined_names(_text(cell)) if cell.cell_type == "code" else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _grade_id(cell: NotebookNode) -> str | None:
    info = cell.get("metadata", {}).get("nbgrader")
    name = info.get("grade_id") if isinstance(info, dict) else None
    return name if isinstance(name, str) else None


def _is_owed(cell: NotebookNode) -> bool:
    return _grade_id(cell) is not None


def _settings(cell: NotebookNode) -> dict:
    info = cell.get("metadata", {}).get("nbgrader")
    info = info if isinstance(info, dict) else {}
    return {key: info.get(key) for key in ("grade", "solution", "locked", "points", "grade_id")} | {
        "cell_type": cell.cell_type,
    }


def _text(cell: NotebookNode) -> str:
    return cell.source if isinstance(cell.source, str) else "".join(cell.source)


def _fresh(cell: NotebookNode, cell_type: str, **fields) -> NotebookNode:
    """The cell's text alone, without outputs and settings."""
    make = new_code_cell if cell_type == "code" else new_markdown_cell
    return make(_text(cell), **json.loads(json.dumps(fields)))
