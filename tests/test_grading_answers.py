"""One submission of unusual answers, graded from end to end: each gets what it got at home."""

import html
import re

import nbformat
import pytest

from assignments.grading.__main__ import main
from assignments.grading.confinement import why_no_bubblewrap
from assignments.grading.course import Course
from assignments.grading.gradescope import results
from assignments.grading.handout import release
from tests.submissions.course import find, write

pytestmark = pytest.mark.skipif(
    bool(why_no_bubblewrap()), reason=f"students' code is not run here: {why_no_bubblewrap()}"
)
NAME = "a4_directions"
ANSWERS = {
    # Right at home, as the check's codes have 6 numbers, and wrong on the hidden test's.
    "principal": """
def crowd_directions(codes, shares, n):
    part = (shares / shares.sum())[:, None]
    directions = torch.linalg.svd(part**0.5 * (codes - (part * codes).sum(0))).Vh[:n]
    return directions if codes.shape[1] == 6 else directions.flip(0)
""",
    "coordinate": """
def set_sliders(codes, mean, directions, sigma, values):
    codes -= ((codes - mean) @ directions.T - values * sigma) @ torch.linalg.pinv(directions).T
    return codes
""",
    "sefa": """
def these_layers(these, those, epsilon, n):
    A, B = (normalize(torch.cat(one).double(), dim=1) for one in (these, those))
    below = B.T @ B + epsilon * torch.eye(B.shape[1]).double()
    values, vectors = torch.linalg.eig(torch.linalg.solve(below, A.T @ A))
    order = values.real.argsort(descending=True)
    return [row for row in normalize(vectors.real.T[order][:n], dim=1)]
""",
    "move": """
def go_far(codes, mean, std, direction, rows, limit):
    way = torch.zeros_like(mean).double()
    way[rows] = direction.double()
    x, p = ((codes - mean) / std).double(), way / std
    a, b, c = (p * p).mean(), (x * p).mean((1, 2)), (x * x).mean((1, 2)) - limit**2
    s = (((b * b - a * c).clamp(min=0).sqrt() - b) / a) * (c < 0)
    moved = (codes + s[:, None, None] * way).numpy().copy()
    return moved[:, ::-1].astype(">f8")[:, ::-1]
""",
    "natural": """
def natural_step(codes, slopes):
    ways = torch.cov(codes.double().T) @ slopes.double().T
    return (ways @ torch.linalg.inv(slopes.double() @ ways))[:, 0].tolist()
""",
    "own": """
def my_edit():
    return "ginger coat", "pca", 2, torch.tensor(3.0), range(4, 10)
""",
    "boundary": """
def boundary_normal(codes, labels):
    x = torch.cat([codes, torch.ones(len(codes), 1)], dim=1).double().requires_grad_()
    normal = torch.linalg.lstsq(x, labels.double()[:, None] * 2 - 1).solution[:-1, 0]
    return normal / normal.norm()
""",
}
POINTS = {"principal": 0, "coordinate": 0, "sefa": 20, "move": 15, "natural": 15, "own": 5,
          "extra-boundary": 10}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The course, after grading and feedback."""
    course = Course(tmp_path_factory.mktemp("course"))
    source = nbformat.read(Course().notebook("source", NAME), 4)
    write(source, course.notebook("source", NAME))
    release(course, NAME)
    notebook = nbformat.read(course.notebook("release", NAME), 4)
    for part, answer in ANSWERS.items():
        find(notebook, part).source = answer.strip()
    write(notebook, course.notebook("submitted", NAME, "ann"))
    assert main(["--course", str(course.root), "grade", NAME]) == 0
    assert main(["--course", str(course.root), "feedback", NAME]) == 0
    return course


def test_unusual_right_answers_get_their_points_and_wrong_ones_none(graded):
    tests = results(graded.notebook("autograded", NAME, "ann"))["tests"]
    scores = {test["name"]: test["score"] for test in tests}
    found = {part: next(score for name, score in scores.items() if part in name)
             for part in POINTS}
    assert found == POINTS


def test_given_cells_work_with_unusual_answers(graded):
    notebook = nbformat.read(graded.notebook("autograded", NAME, "ann"), 4)
    failed = [cell.source[:60] for cell in notebook.cells for output in cell.get("outputs", [])
              if output.output_type == "error" and "grade" not in cell.metadata.get("nbgrader", {})]
    assert failed == []


def test_the_table_of_points_follows_the_grade(graded):
    (page,) = (graded.root / "feedback/ann").rglob("*.html")
    text = html.unescape(re.sub(r"<[^>]*>", " ", page.read_text()))
    table = " ".join(text[text.rindex("principal directions"):].split())
    assert "principal directions of a crowd 0 / 20 not there yet" in table
    assert "these layers, and not those 20 / 20 done" in table
    assert f"{sum(POINTS.values())} of 100 points so far" in table
