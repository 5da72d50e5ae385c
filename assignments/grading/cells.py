"""What the cells of an assignment are, define and need, by reading them."""

import ast

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests


def is_test(cell: NotebookNode) -> bool:
    """Whether the cell's points follow from running it."""
    info = cell.metadata.get("nbgrader", {})
    return cell.cell_type == "code" and bool(info.get("grade")) and not info.get("solution")


def is_extra(grade_id: str) -> bool:
    """Whether a part's points come on top of the maximum."""
    return grade_id.startswith("extra-")


def split_hidden(source: str) -> tuple[str, str]:
    """A test cell's source as released, and its hidden lines."""
    begin, end = ClearHiddenTests().begin_test_delimeter, ClearHiddenTests().end_test_delimeter
    visible, hidden, inside = [], [], False
    for line in source.split("\n"):
        if begin in line or end in line:
            inside = begin in line
        else:
            (hidden if inside else visible).append(line)
    return "\n".join(visible), "\n".join(hidden)


def defined_names(source: str) -> list[str]:
    """The functions, classes and variables that a cell defines at its top level."""
    names = []
    for node in _parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [name.id for target in targets for name in ast.walk(target)
                      if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)]
    return list(dict.fromkeys(names))


def imports_of(notebook: NotebookNode) -> str:
    """What the given cells import at their top level, a statement a line."""
    given = [cell.source for cell in notebook.cells
             if cell.cell_type == "code" and "nbgrader" not in cell.metadata]
    return "\n".join(dict.fromkeys(
        ast.unparse(node) for source in given for node in _parse(source).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ))


def needed_by_tests(notebook: NotebookNode) -> set[str]:
    """The given cells that define, in one step or several, what test cells use.

    The others, with their figures and tools, need not run beside the tests.
    """
    needed: set[str] = set()
    kept: set[str] = set()
    for cell in reversed([cell for cell in notebook.cells if cell.cell_type == "code"]):
        if cell.metadata.get("nbgrader", {}).get("solution"):
            continue
        used, bound = _names(cell.source)
        if is_test(cell):
            needed |= used - bound
        elif bound & needed:
            kept.add(cell.source)
            needed |= used
    return kept


def _names(source: str) -> tuple[set[str], set[str]]:
    """The names that a cell reads, and those that it binds or writes into."""
    used, bound = set(), set()
    for node in ast.walk(_parse(source)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            bound |= {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
    return used, bound


def _parse(source: str) -> ast.Module:
    return ast.parse(TransformerManager().transform_cell(source))
