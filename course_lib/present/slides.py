"""Which cells of a lesson stand together on a slide, and whether they fit.

A notebook keeps its marks in its cells' metadata, under the names that Jupyter uses:
`slideshow.slide_type` is "slide" where a new slide begins and "skip" for what is not shown; a cell
without one goes on with the slide before. The tag `show-code` puts a cell's code on it. `mark` sets
all this by a rule, and can be applied again whenever a lesson has changed.

Heights are in hundredths of the screen's, at 16:9, as in `slides.css`: both sizes of projector
show the same.
"""

import math
import re

from course_lib.present.cells import (
    SHOW_CODE,
    SLENDER,
    has_heading,
    is_hidden,
    is_prose,
    is_tool,
    pictures_of,
    source,
    style_of,
)

SLIDE, SAME, SKIP = "slide", "-", "skip"
# Cells whose code belongs to the lecture, by lesson: the idea in a few lines.
BOARD = {
    "01": ("pb-row", ),
    "03": ("mls-by-hand",),
    "04": ("wheels-solution",),
}

# Cells that a lecture leaves out, though there is something to see: too much, or to no purpose.
LEFT_OUT = {"05": ("im-seed", "im-cards")}

ROOM = 92  # of a slide's contents
REST = 20  # what is left over for a last slide is at least so high, where it can be
WIDTH = 164  # of a figure in a slide
GOOD_FIGURE, SHARED = 44, 30  # a figure's least height, alone in its cell or with others
MANY = 4  # so many figures of a cell stand in two columns, as `slides.css` has it
HIGHEST = 58  # that of a slender one
HEADING, TITLE, LINE, GAP, FORMULA, UNDER, ROW = 9.5, 12, 4.9, 1.8, 12.5, 6, 5.5
CODE_LINE, PRINTED = 3.6, 3.9
LETTERS, ROW_LETTERS, PRINTED_LETTERS = 82, 70, 98  # in a line of prose, of a table, of output
FORMULA_PATTERN = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)


def mark(notebook: dict, lesson: str = "") -> dict:
    """The notebook with its slides marked; only the metadata of cells change.

    Args:
        notebook: as JSON.
        lesson: the two digits of its name, by which `BOARD` knows it.
    """
    board, left_out = BOARD.get(lesson, ()), LEFT_OUT.get(lesson, ())
    cells = [_tagged(cell, cell.get("id") in board) for cell in notebook["cells"]]
    kept = [cell for cell in cells if cell.get("id") not in left_out]
    kinds = dict(zip(map(id, kept), slide_types(kept), strict=True))
    marked = []
    for cell in cells:
        kind = kinds.get(id(cell), SKIP)
        metadata = {name: value for name, value in cell["metadata"].items() if name != "slideshow"}
        if kind != SAME:
            metadata["slideshow"] = {"slide_type": kind}
        marked.append(cell | {"metadata": dict(sorted(metadata.items()))})
    return notebook | {"cells": marked}


def _tagged(cell: dict, shows_code: bool) -> dict:
    """The cell with the tag `show-code`, or without it."""
    metadata = dict(cell["metadata"])
    tags = [tag for tag in metadata.pop("tags", []) if tag != SHOW_CODE]
    tags += [SHOW_CODE] * shows_code
    return cell | {"metadata": metadata | ({"tags": tags} if tags else {})}


def slide_types(cells: list[dict]) -> list[str]:
    """How each cell's slide begins: a heading begins one, and so does what no longer fits."""
    shown = [piece for cell in cells for piece in cut(cell) if not is_hidden(piece)]
    kinds, used = {}, math.inf
    for index, piece in enumerate(shown):
        new = has_heading(piece) or used + _kept_together(shown, index, used) > ROOM
        used = height(piece) + (0 if new else used)
        kinds[piece["id"]] = SLIDE if new else SAME
    return [kinds.get(cut(cell)[0]["id"], SKIP) for cell in cells]


def _kept_together(shown: list[dict], index: int, used: float) -> float:
    """The height of this piece, with the next where they belong together and would be parted.

    A figure belongs to the words after it, which read it; words that read none, to what follows.
    """
    piece, after = shown[index], shown[index + 1:index + 2]
    alone = height(piece)
    reads = is_prose(piece) and _is_read(shown[index - 1], piece) and used + alone <= ROOM
    if not after or reads or has_heading(after[0]) or is_prose(piece) == is_prose(after[0]):
        return alone
    both = alone + height(after[0])
    return both if both <= ROOM else alone


def _is_read(before: dict, piece: dict) -> bool:
    """Whether words read what stands before them: a figure, or what was printed; not code."""
    printed = any("text" in output for output in before.get("outputs", []))
    code = SHOW_CODE in before["metadata"].get("tags", [])
    leads_on = source(piece).endswith(":") and ". " not in source(piece)
    return (bool(pictures_of(before)) or (printed and not code)) and not leads_on


def cut(cell: dict) -> list[dict]:
    """A cell of prose, cut before each heading and where a slide is full; code stays whole.

    What comes before its first heading may read the figure before it.
    """
    if not is_prose(cell):
        return [dict(cell)]
    sections = re.split(r"(?m)^(?=#{1,3} )", source(cell))
    parts = [page for section in sections if section.strip() for page in _pages(section)] or [""]
    return [cell | {"source": part, "id": f"{cell['id']}-{number}" if number else cell["id"]}
            for number, part in enumerate(parts)]


def _pages(text: str) -> list[str]:
    """Prose in parts that each fit on a slide, cut between paragraphs; the last is no mere rest."""
    pages: list[list[str]] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        if pages and _height_of_blocks([*pages[-1], block]) <= ROOM:
            pages[-1].append(block)
        else:
            pages.append([block])
    while len(pages) > 1 and len(pages[-2]) > 1 and (
            _height_of_blocks(pages[-1]) < REST or _leads_on(pages[-2][-1])):
        longer = [pages[-2][-1], *pages[-1]]
        if _height_of_blocks(longer) > ROOM:
            break
        pages[-2:] = [pages[-2][:-1], longer]
    return ["\n\n".join(page) for page in pages]


def _height_of_blocks(blocks: list[str]) -> float:
    return _height_of_prose("\n\n".join(blocks))


def _leads_on(block: str) -> bool:
    """Whether a paragraph is but a title in bold letters, for what comes after."""
    return bool(re.fullmatch(r"\*\*[^*]+\*\*", block.strip()))


def slides_of(notebook: dict) -> list[list[dict]]:
    """The slides of a marked notebook: of each, the pieces that are shown."""
    found = []
    for cell in notebook["cells"]:
        kind = cell["metadata"].get("slideshow", {}).get("slide_type", SAME)
        for number, piece in enumerate(cut(cell) if kind != SKIP else []):
            if kind == SLIDE or number or not found:
                found.append([])
            found[-1].append(piece)
    return found


def for_the_stage(notebook: dict) -> dict:
    """A copy to lecture from: cut at headings, code folded unless it is tagged `show-code`.

    What goes on with a slide becomes a layer of it: so one key leads to the next slide, where
    jupyterlab-slideshow would stop at every cell.
    """
    cells = []
    for cell in notebook["cells"]:
        kind = cell["metadata"].get("slideshow", {}).get("slide_type", SAME)
        for number, piece in enumerate(cut(cell)):
            metadata = dict(piece["metadata"])
            if kind == SAME and not number:
                metadata.pop("slideshow", None)
                metadata["jupyterlab-slideshow"] = {"layer": "slide"}
            elif number:
                metadata["slideshow"] = {"slide_type": SLIDE}
            if is_tool(piece):
                metadata["@deathbeds/jupyterlab-fonts"] = {"styles": {"": {
                    "body[data-jp-deck-mode='presenting'] &": style_of(piece)}}}
            if is_prose(piece):
                piece["source"] = re.sub(r"(?<=\d) %", "\u00a0%", source(piece))  # never parted
            else:
                metadata["jupyter"] = {"source_hidden": SHOW_CODE not in metadata.get("tags", [])}
                piece["source"] = source(piece).replace("# NBVAL_CHECK_OUTPUT", "").rstrip()
            cells.append(piece | {"metadata": metadata})
    end = {"cell_type": "markdown", "id": "the-end", "source": "",
           "metadata": {"slideshow": {"slide_type": SLIDE}}}  # layers of a last slide would stray
    return notebook | {"cells": [*cells, end]}


# How high it is.

def height(cell: dict) -> float:
    """How much of the screen's height a cell takes at least, in hundredths."""
    if is_prose(cell):
        return _height_of_prose(source(cell))
    if is_tool(cell):
        return ROOM
    code = source(cell).count("\n") + 1 if SHOW_CODE in cell["metadata"].get("tags", []) else 0
    printed = "".join("".join(output.get("text", "")) for output in cell.get("outputs", []))
    lines = sum(max(1, math.ceil(len(line) / PRINTED_LETTERS)) for line in printed.splitlines())
    pictures = pictures_of(cell)
    ratios = [tall / wide for wide, tall in pictures]
    columns = 2 if len(ratios) >= MANY else 1
    figures = sum(min(WIDTH / columns * ratio, _least_height(ratio, len(ratios)))
                  for ratio in ratios[::columns])
    rest = CODE_LINE * code + PRINTED * lines + GAP
    return rest + min(figures, max(ROOM - rest, SHARED * len(pictures)))


def _least_height(ratio: float, count: int) -> float:
    """Of a figure so much higher than wide: what is slender needs as large an area."""
    return SHARED if count > 1 else min(HIGHEST, GOOD_FIGURE * max(1, ratio / SLENDER) ** 0.5)


def _height_of_prose(text: str) -> float:
    formulas = FORMULA_PATTERN.findall(text)
    total = FORMULA * len(formulas) + UNDER * sum("\\underbrace" in one for one in formulas)
    text = re.sub(r"(?<!\$)\$([^$]+)\$(?!\$)", "formula", FORMULA_PATTERN.sub("", text))
    for block in filter(str.strip, re.split(r"\n\s*\n", text)):
        total += GAP + sum(map(_height_of_line, block.strip().splitlines()))
    return total


def _height_of_line(line: str) -> float:
    if line.startswith("#"):
        return TITLE if line.startswith("# ") else HEADING
    if re.fullmatch(r"[|:-]+", line):  # below a table's head
        return 0
    if line.startswith("|"):
        return ROW * max(1, len(line) / ROW_LETTERS)  # long rows are broken
    letters = len(line) + 0.3 * sum(map(len, re.findall(r"`[^`]+`", line)))  # which are wider
    if re.match(r"(?:[-*]|\d+\.) ", line):
        return GAP + LINE * math.ceil(letters / (LETTERS - 6))
    return LINE * math.ceil(letters / LETTERS)
