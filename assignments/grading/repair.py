"""Puts a submission into the shape that was handed out, whatever happened to it on the way.

The release is the skeleton. From the submission come the answers and the cells that the student
added; points, tests and order come from the release. What had to be mended becomes a flag.
"""

import json
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from assignments.grading.cells import defined_names
from assignments.grading.display import printable

MAX_BYTES = 200 << 20
MAX_EXTRAS = 300  # cells beyond those handed out
DEFINED = re.compile(r"^(?:def|class) +(\w+)|^(\w+) *=[^=]", re.MULTILINE)


class Unreadable(ValueError):
    """The file holds no notebook; the message is a sentence for the flag."""


def mend(path: Path, release: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """What is to be graded of a submission, and flags, a sentence each.

    It is the notebook at `path`; or, if nothing was filled in there, the one beside it where
    something was, as a copy made in JupyterLab (`-Copy1`) may be what the student worked in.
    """
    ours = _mended_file(path, release)
    others = {other.name: _mended_file(other, release)
              for other in sorted(path.parent.glob("*.ipynb"))[:20] if other != path}
    worked = {name: other for name, other in others.items()
              if _answers(other[0]) not in (_answers(release), _answers(ours[0]))}
    if not worked:
        return ours
    names = ", ".join(map(printable, worked))
    if _answers(ours[0]) != _answers(release):
        return ours[0], [*ours[1], f"Beside it lies other work, which was not graded: {names}."]
    if len(worked) > 1:
        return ours[0], [*ours[1], f"Nothing was filled in, but in copies beside it, of which none "
                                   f"was graded: {names}. Keep one."]
    ((notebook, flags),) = worked.values()
    said = f"Nothing was filled in there, so the copy beside it was graded: {names}."
    return notebook, [*flags, said]


def _mended_file(path: Path, release: NotebookNode) -> tuple[NotebookNode, list[str]]:
    try:
        return repair(read_submission(path), release)
    except Unreadable as reason:
        blank = nbformat.from_dict(release)
        return blank, [f"{reason} It was graded as if nothing had been filled in."]


def _answers(notebook: NotebookNode) -> list[str]:
    return [cell.source.strip() for cell in notebook.cells
            if cell.metadata.get("nbgrader", {}).get("solution")]


def read_submission(path: Path) -> NotebookNode:
    """The cells of a notebook of any format that nbformat knows, without their outputs."""
    # Links would lead to somebody else's work, or to the solution.
    if any(place.is_symlink() for place in (path, *path.parents[:2])) or not path.is_file():
        raise Unreadable("The submission is no plain file.")
    if path.stat().st_size > MAX_BYTES:
        raise Unreadable(f"The file has more than {MAX_BYTES >> 20} MB.")
    text = path.read_text(encoding="utf-8", errors="replace").removeprefix("\ufeff")
    if not text.strip():
        raise Unreadable("The file is empty.")
    try:
        content = json.loads(text)
        if content["nbformat"] != 4:
            content = nbformat.convert(nbformat.reads(text, nbformat.NO_CONVERT), 4)
        cells = [_sound(cell) for cell in content["cells"]]
    except Exception as error:
        raise Unreadable(f"The file is not a notebook ({type(error).__name__}).") from error
    return NotebookNode(cells=cells)


def _sound(cell: dict) -> NotebookNode:
    """Of a cell, the parts that are used, each of its proper type."""
    info, name, pictures = cell.get("metadata"), cell.get("id"), cell.get("attachments")
    info = info.get("nbgrader") if isinstance(info, dict) else None
    pictures = pictures.items() if isinstance(pictures, dict) else []
    return NotebookNode(
        cell_type=str(cell["cell_type"]), id=name if isinstance(name, str) else "",
        source=_writable("".join(cell["source"])),
        metadata=NotebookNode(nbgrader=info) if isinstance(info, dict) else NotebookNode(),
        attachments=NotebookNode({
            _writable(name): content for name, content in pictures if isinstance(content, dict)
            and all(isinstance(data, str) and data.isascii() for data in content.values())
        }),
    )


def _writable(text: str) -> str:
    """Half a surrogate pair can be read from JSON, but never written again."""
    return text.encode(errors="replace").decode()


def repair(submission: NotebookNode, release: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """The release with the submission's answers and additions, and flags, a sentence each."""
    flags: list[str] = []
    matches = _match(submission.cells, release.cells)
    answers: dict[int, list[NotebookNode]] = {}
    extras: dict[int, list[NotebookNode]] = {}
    anchor, left_out = -1, 0
    for number, (cell, place) in enumerate(zip(submission.cells, matches, strict=True)):
        if place is not None:
            anchor = place
            answers.setdefault(place, []).append(cell)
        elif number < len(release.cells) + MAX_EXTRAS:
            extras.setdefault(anchor, []).append(_fresh(cell, cell.cell_type))
        else:
            left_out += 1
    if left_out:
        flags.append(f"It has thousands of cells: {left_out} that the student added were left out.")
    cells = list(extras.get(-1, []))
    for place, original in enumerate(release.cells):
        pieces = _pieces(original, answers.get(place, []), flags)
        cells += [*pieces[:-1], _mended(original, pieces[-1] if pieces else None, flags)]
        cells += extras.get(place, [])
    mended = NotebookNode(release | {"cells": cells})
    return mended, list(dict.fromkeys(flags))


def _pieces(original: NotebookNode, cells: list[NotebookNode],
            flags: list[str]) -> list[NotebookNode]:
    """The cells that make up one of those handed out: more than one if it was split or copied.

    JupyterLab gives both halves of a split cell the name of the whole. Both belong to the answer:
    they run in their order, so that of two copies the last one counts. What is as handed out, or
    there twice, is dropped.
    """
    if len(cells) < 2 or not _is_owed(original):
        return cells[-1:]
    name = _grade_id(original)
    if not original.metadata.nbgrader.get("solution"):
        flags.append(f"Cell {name!r} was there twice: one was dropped.")
        return cells[-1:]
    texts = {_text(cell).strip(): cell for cell in cells}
    texts.pop(original.source.strip(), None)
    pieces = list(texts.values()) or cells[:1]
    if len(pieces) == 1:
        flags.append(f"Cell {name!r} was there twice: the edited one counts.")
        return pieces
    flags.append(f"Cell {name!r} was there in {len(pieces)} pieces: all were kept, in their order.")
    if original.cell_type == "markdown":
        whole = _fresh(pieces[0], "markdown", metadata=pieces[0].get("metadata", {}))
        whole.source = "\n\n".join(map(_text, pieces))
        whole.attachments = {name: data for piece in pieces
                             for name, data in (piece.get("attachments") or {}).items()}
        return [whole]
    return [*(_fresh(piece, piece.cell_type) for piece in pieces[:-1]), pieces[-1]]


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
    if fresh.cell_type == "markdown" and answer.get("attachments"):
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
    places = [_place(cell, keys, by_id) for cell in cells]
    # Half an answer in code may have become a note: it is an addition, then.
    proper = {place for cell, place in zip(cells, places, strict=True)
              if place is not None and cell.cell_type == release[place].cell_type}
    return [None if place in proper and cell.cell_type != release[place].cell_type else place
            for cell, place in zip(cells, places, strict=True)]


def _place(cell: NotebookNode, keys: dict[tuple, int], taken: set[int | None]) -> int | None:
    if ("grade_id", _grade_id(cell)) in keys:
        return keys["grade_id", _grade_id(cell)]
    guesses = [("id", cell.get("id")), ("source", _text(cell).strip())]
    guesses += [("defines", name) for name in _defined(cell)]
    places = (keys.get(guess) for guess in guesses)
    return next((place for place in places if place is not None and place not in taken), None)


def _defined(cell: NotebookNode) -> list[str]:
    """What a student's cell defines, by its looks: it may be no Python, or very long."""
    if cell.cell_type != "code":
        return []
    return [function or variable for function, variable in DEFINED.findall(_text(cell))]


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
