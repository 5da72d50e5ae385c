"""The tiny course: two functions with visible and hidden tests, and one answer in words."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

from assignments.grading.course import Course

NAME = "a0_tiny"
GIVEN = "import os\n\nimport torch\n\nSIGNAL = torch.tensor([0.0, 1.0, 3.0, 2.0])"
DIFFERENCES = '''def differences(signal):
    """The forward differences of a signal."""
    ### BEGIN SOLUTION
    return signal[1:] - signal[:-1]
    ### END SOLUTION
    raise NotImplementedError("still to be written")'''
CHECK_DIFFERENCES = '''assert torch.allclose(differences(SIGNAL), torch.tensor([1.0, 2.0, -1.0]))
### BEGIN HIDDEN TESTS
secret_rng = torch.Generator().manual_seed(int(os.environ.get("COURSE_GRADING_SEED", "0")))
secret_signal = torch.rand(9, generator=secret_rng)
assert torch.allclose(differences(secret_signal), secret_signal.diff()), "secret differences"
### END HIDDEN TESTS'''
INTEGRATE = '''def integrate(slopes, start):
    """The signal that starts at `start` and has these differences."""
    ### BEGIN SOLUTION
    return start + torch.cat([torch.zeros(1), slopes.cumsum(0)])
    ### END SOLUTION
    raise NotImplementedError("still to be written")'''
CHECK_INTEGRATE = '''assert torch.allclose(integrate(differences(SIGNAL), 0.0), SIGNAL)
### BEGIN HIDDEN TESTS
secret_sum = torch.tensor([5.0, 5.0, 6.0, 9.0, 11.0])
assert torch.allclose(integrate(SIGNAL, 5.0), secret_sum), "secret sum"
### END HIDDEN TESTS'''

RIGHT = {
    "differences": "def differences(signal):\n    return signal[1:] - signal[:-1]",
    "integrate": "def integrate(slopes, start):\n"
                 "    return start + torch.cat([torch.zeros(1), slopes.cumsum(0)])",
    "words": "Because a constant is lost.",
}


def source_notebook() -> NotebookNode:
    """The assignment with solutions and hidden tests."""
    cells = [
        new_markdown_cell("# Differences and sums"),
        new_code_cell(GIVEN),
        _cell("differences", DIFFERENCES, solution=True),
        _cell("check_differences", CHECK_DIFFERENCES, points=2),
        _cell("integrate", INTEGRATE, solution=True),
        _cell("check_integrate", CHECK_INTEGRATE, points=3),
        new_markdown_cell("Why is `start` needed?"),
        _cell("words", "A constant is lost: this is the model answer.", points=4, solution=True),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _cell(grade_id: str, source: str, points: int | None = None, solution: bool = False):
    info = {"schema_version": 3, "grade_id": grade_id, "grade": points is not None,
            "solution": solution, "locked": not solution, "task": False}
    if points is not None:
        info["points"] = points
    make = new_markdown_cell if grade_id == "words" else new_code_cell
    return make(source, metadata={"nbgrader": info})


def release_notebook() -> NotebookNode:
    """What students get, by nbgrader's own steps."""
    notebook = source_notebook()
    clear = ClearSolutions(code_stub={"python": "# YOUR CODE HERE"})
    for step in (clear, ClearHiddenTests()):
        notebook, _ = step.preprocess(notebook, {})
    return notebook


def make_course(root: Path) -> Course:
    """The course in a folder, its source in place."""
    course = Course(root)
    write(source_notebook(), course.notebook("source", NAME))
    return course


def filled_in(course: Course, **answers: str) -> NotebookNode:
    """The release with these answers in their cells, by grade_id."""
    notebook = nbformat.read(course.notebook("release", NAME), 4)
    for grade_id, answer in answers.items():
        find(notebook, grade_id).source = answer
    return notebook


def find(notebook: NotebookNode, grade_id: str) -> NotebookNode:
    """A cell by its grade_id."""
    cells = [cell for cell in notebook.cells
             if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id]
    return cells[0]


def hand_in(course: Course, student: str, content: NotebookNode | str) -> Path:
    """Put a notebook, or any text, where a submission lies."""
    path = course.notebook("submitted", NAME, student)
    write(content, path)
    return path


def write(content: NotebookNode | str, path: Path) -> None:
    """Write a notebook or a text, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else nbformat.writes(content))
