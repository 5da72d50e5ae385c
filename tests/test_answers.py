"""One rule for answers: what is right at home is right when graded, and the reverse.

Each answer is asked for twice: of the function itself, and through a line to another kernel.
"""

import importlib
import threading
from collections import deque, namedtuple
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from assignments.grading import remote
from course_lib.blending import blend_poisson
from course_lib.feedback import answers, gradient_domain, recipes, wishes
from course_lib.feedback.answers import Refused, as_tensor, ask, lost_gradient, plain
from course_lib.feedback.core import NotThereYet
from course_lib.feedback.diagnosis import Check, demand_gradient, diagnose
from course_lib.gradients import gradient
from course_lib.results import Solution
from tests.test_assignments import NAMES, SOURCE

X = torch.tensor([[0.1, 0.5, 0.25], [0.4, 0.3, 0.9]])
Pair = namedtuple("Pair", "first second")


@pytest.fixture
def line(tmp_path):
    """Functions as the checks get them: by name, from a `serve` in a thread."""
    names, socket = {}, str(tmp_path / "calls")
    thread = threading.Thread(target=remote.serve, args=(socket, names), daemon=True)
    thread.start()
    call = remote.Call(socket)

    def through(function):
        names["f"] = function
        return call.ask(name="f")

    yield through
    call.close()
    thread.join(5)


@pytest.fixture(params=["at home", "graded"])
def way(request, line):
    """A function as the checks see it at home, and when graded."""
    return line if request.param == "graded" else lambda function: function


def reversed_twice(x):
    return x.numpy()[::-1, ::-1].copy()[::-1, ::-1]


RIGHT = {
    "list of vectors": lambda x: [row**2 for row in x],
    "tuple of vectors": lambda x: tuple(x**2),
    "list of lists": lambda x: (x**2).tolist(),
    "list of numbers of torch": lambda x: [[one**2 for one in row] for row in x],
    "list of numbers of numpy": lambda x: [list(row) for row in x.numpy() ** 2],
    "list of arrays": lambda x: list(x.numpy() ** 2),
    "numbers of shape (1,) among others": lambda x: [[row[0] ** 2, *(row[1:, None] ** 2)]
                                                     for row in x],
    "named tuple": lambda x: Pair(*x**2),
    "float64": lambda x: x.double() ** 2,
    "float16": lambda x: (x**2).half(),
    "numpy float16": lambda x: (x**2).numpy().astype(np.float16),
    "numpy float64": lambda x: x.double().numpy() ** 2,
    "long double": lambda x: x.numpy().astype(np.longdouble) ** 2,
    "big-endian": lambda x: (x.numpy() ** 2).astype(">f4"),
    "negative strides": lambda x: reversed_twice(x) ** 2,
    "negative strides, a view": lambda x: (x.numpy() ** 2)[::-1, ::-1].copy()[::-1, ::-1],
    "Fortran order": lambda x: np.asfortranarray(x.numpy() ** 2),
    "every other element": lambda x: np.repeat(x.numpy() ** 2, 2, axis=1)[:, ::2],
    "read-only": lambda x: np.broadcast_to(x.numpy() ** 2, (2, 3)),
    "objects": lambda x: np.array((x**2).tolist(), dtype=object),
    "matrix": lambda x: (x.numpy() ** 2).view(np.matrix),
    "transposed twice": lambda x: (x.T.contiguous() ** 2).T,
    "sparse": lambda x: (x**2).to_sparse(),
    "conjugate's real part": lambda x: torch.complex(x**2, x).conj().real,
    "negated view": lambda x: torch.complex(x, -(x**2)).conj().imag,
    "requires grad": lambda x: x.requires_grad_() ** 2,
    "parameter": lambda x: torch.nn.Parameter(x**2),
    "another class of tensor": lambda x: (x**2).as_subclass(type("Mine", (torch.Tensor,), {})),
    "Solution": lambda x: Solution(x**2, torch.ones(1), True),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_answer_is_right_in_any_clothes(name, way):
    check = Check("it is the square", (X,), X.double() ** 2)
    assert diagnose(check, way(RIGHT[name])) is None


NUMBERS = {
    "0-d": lambda: torch.tensor(7.0), "(1,)": lambda: torch.tensor([7.0]),
    "(1, 1) of numpy": lambda: np.array([[7]]), "a whole number": lambda: 7,
    "numpy's": lambda: np.float32(7), "numpy's whole": lambda: np.int16(7), "list": lambda: [7.0],
    "fraction": lambda: Fraction(14, 2), "decimal": lambda: Decimal("7"),
    "int8": lambda: torch.tensor(7, dtype=torch.int8),
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("shape", [(), (1,)])
def test_one_number_is_a_number_in_any_shape(name, shape, way):
    check = Check("it is seven", (), torch.full(shape, 7.0))
    assert diagnose(check, way(NUMBERS[name])) is None
    assert diagnose(Check("it is eight", (), torch.full(shape, 8.0)), way(NUMBERS[name]))


def test_a_range_and_booleans_are_numbers(way):
    assert as_tensor(way(lambda: range(4, 7))()).tolist() == [4, 5, 6]
    assert as_tensor(way(lambda: [True, False])()).tolist() == [1, 0]
    assert as_tensor(way(lambda: 3 + 4j)()).abs() == 5


REFUSED = {
    "nothing": (lambda: None, "returns nothing"), "text": (lambda: "1.0", "returns a str"),
    "an empty list": (list, "without anything in it"),
    "a dictionary": (lambda: {"a": 1}, "returns a dict"),
    "a set": (lambda: {1.0, 2.0}, "returns a set"),
    "a queue": (lambda: deque([1.0]), "returns a deque"),
    "an object": (object, "returns an object"),
    "a generator": (lambda: (i for i in range(3)), "returns a generator"),
    "unlike parts": (lambda: (torch.zeros(2), torch.zeros(3)), "unlike shapes, (2,), (3,)"),
    "text of numpy": (lambda: np.array(["a"]), "ndarray of str"),
    "dates": (lambda: np.array(["2020-01-01"], dtype="datetime64[D]"), "of datetime64"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_answer_is_refused_in_the_same_words_both_ways(name, line):
    function, says = REFUSED[name]
    check = Check("it is one", (), torch.ones(()))
    verdicts = [diagnose(check, one) for one in (function, line(function))]
    assert says in verdicts[0].says
    assert verdicts[0].says == verdicts[1].says


def forget(x, scale, rows):
    x *= scale
    return x


def sort(x, scale, rows):
    rows.sort()
    return x * scale


def shorten(x, scale, rows):
    rows.pop()
    return x * scale


@pytest.mark.parametrize("function, name", [(forget, "x"), (sort, "rows"), (shorten, "rows")])
def test_changing_an_argument_is_refused_by_its_name_and_leaves_the_callers_alone(
        function, name, way):
    x, rows = X.clone(), [3, 1, 2]
    with pytest.raises(Refused, match=f"its argument {name} in place.*copy"):
        ask(way(function), x, 2.0, rows)
    assert torch.equal(x, X) and rows == [3, 1, 2]


def test_training_a_network_that_was_passed_is_refused(way):
    def train(network, x):
        with torch.no_grad():
            network.weight += 1
        return network(x)

    with pytest.raises(Refused, match="weights of its argument network"):
        ask(way(train), torch.nn.Linear(3, 2), X)


# Gradients.

def test_a_gradient_comes_back_from_the_other_kernel(line):
    x, y = torch.rand(4, 3, requires_grad=True), torch.rand(4, 3, requires_grad=True)

    def both(a, rest):
        return {"product": (a * rest[0]).sum(1), "square": [a**2]}

    answer = line(both)(x, [y])
    slopes = torch.autograd.grad(answer["product"].sum() + answer["square"][0].sum(), (x, y))
    torch.testing.assert_close(slopes, (y + 2 * x, x))


def test_gradients_go_through_two_functions_of_the_other_kernel(line):
    square, x = line(lambda x: x**2), torch.tensor([3.0], requires_grad=True)
    (slope,) = torch.autograd.grad(square(square(x)), x)
    assert slope == 4 * 27


GRADIENTS = {
    "right": (lambda x: (x**3).sum(1), None),
    "a list": (lambda x: [row.pow(3).sum() for row in x], None),
    "a kink": (lambda x: x.relu().sum(1) + (x - 0.4).abs().sum(1), None),
    "the largest": (lambda x: x.amax(1), None),
    "numpy": (lambda x: x.detach().numpy().sum(1), answers.BROKEN),
    "weights of its own": (lambda x: torch.ones(2, requires_grad=True) * 2, answers.BROKEN),
    "not a number": (lambda x: x.sum(1) + (0 * x).sum(1).sqrt(), answers.NAN),
    "flat": (lambda x: (0 * x + x.round()).sum(1), answers.FLAT),
    "half": (lambda x: (x * x.detach()).sum(1), answers.CUT),
    "one of two terms": (lambda x: x[:, 0] + x[:, 1].detach(), answers.CUT),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_gradient_is_compared_with_the_slope_of_the_numbers(name, way):
    function, says = GRADIENTS[name]
    assert lost_gradient(way(function), (X,)) == says


# Recipes.

def test_a_recipe_holds_names_and_numbers_in_any_clothes(way):
    recipe = way(lambda: (np.str_("a name"), np.int64(4), torch.tensor(2.5), range(4, 7),
                          {3, 1}, np.array([[1, 2]]), (torch.tensor(1), 2)))()
    assert plain(recipe) == ["a name", 4, 2.5, [4, 5, 6], [1, 3], [[1, 2]], [1, 2]]
    with pytest.raises(Refused, match="a dict in what you return"):
        plain(way(lambda: ["a", {"b": 1}])())


RECIPES = [
    (recipes.find_fault_in_edit, lambda: ("ginger coat", "pca", 2, 3.0, range(4, 10))),
    (recipes.find_fault_in_edit, lambda: ("ginger coat", np.str_("pca"), np.int64(2),
                                         torch.tensor(3.0), np.arange(4, 10))),
    (recipes.find_fault_in_warp, lambda: (
        "camera", torch.tensor([[100, 90], [150, 90], [125, 60], [40, 200]]),
        np.array([[100, 90], [150, 90], [125, 40], [40, 200]]), "affine", np.float32(2))),
]


@pytest.mark.parametrize("objection, recipe", RECIPES)
def test_a_right_recipe_passes_in_any_clothes(objection, recipe, way):
    assert objection(way(recipe)) is None


def test_the_rule_stands_in_every_assignment():
    for name in NAMES:
        text = (SOURCE / name / f"{name}.ipynb").read_text(encoding="utf-8")
        assert answers.RULE in text


# Answers in unusual clothes, and cuts, in the assignments themselves.

def cost_of(pictures):
    return [(1 - picture).square().mean() for picture in pictures]


def nearly_white(pictures):
    return pictures.numpy() * 0.05 + np.array([0.93, 0.94, 0.95])[:, None, None]


def test_a_wish_may_answer_with_a_list(way):
    assert wishes.find_fault_in_wish(way(lambda: ("all bright", cost_of, nearly_white))) is None


@pytest.mark.parametrize("seed", range(3))
def test_a_stroke_whose_gradient_is_cut_is_told_when_graded_too(seed, way):
    rng = torch.Generator().manual_seed(seed)
    question = torch.rand(3, 3, 8, 9, generator=rng), torch.rand(8, 9, generator=rng), torch.rand(
        3, generator=rng)
    off = (question[0] - question[2][:, None, None]).square().mean(1)
    right = (off * question[1]).sum((1, 2)) / question[1].sum()
    value, follows = Check("it is", question, right, [], kind="curve"), demand_gradient(question, 0)

    def cut(pictures, brush, color):
        off = pictures - color[:, None, None]
        return ((off * off.detach()).mean(1) * brush).sum((1, 2)) / brush.sum()

    assert diagnose(value, way(cut)) is None
    assert diagnose(follows, way(cut)).says == answers.CUT


def stacked_normal(codes, labels):
    """Least squares, in numpy, as a list of numbers, some of shape (1,)."""
    x = np.c_[codes.numpy(), np.ones(len(codes))].astype(np.float64)
    weights = np.linalg.lstsq(x, labels.numpy() * 2.0 - 1, rcond=None)[0][:-1]
    first, *others = torch.from_numpy(weights / np.linalg.norm(weights))
    return [first[None], *others]


def best_rows(these, those, epsilon, n):
    """By a matrix that is not symmetric, as a list of rows."""
    A, B = (torch.nn.functional.normalize(torch.cat(one), dim=1) for one in (these, those))
    found = torch.linalg.eig(torch.linalg.solve(B.T @ B + epsilon * torch.eye(len(B.T)), A.T @ A))
    order = found.eigenvalues.real.argsort(descending=True)[:n]
    return [row / row.norm() for row in found.eigenvectors.real.T[order]]


def gone_far(codes, mean, std, direction, rows, limit):
    """In numpy, and with odd strides."""
    way = np.isin(np.arange(codes.shape[1]), rows)[:, None] * direction.numpy()
    x, p = ((codes - mean) / std).numpy(), way / std.numpy()
    a, b, c = (p * p).mean(), (x * p).mean((1, 2)), (x * x).mean((1, 2)) - limit**2
    s = np.where(c < 0, (np.sqrt(np.maximum(b * b - a * c, 0)) - b) / a, 0)
    return (codes.numpy() + s[:, None, None] * way)[:, ::-1].copy()[:, ::-1]


UNUSUAL = {
    ("directions", 3): best_rows,
    ("directions", 4): gone_far,
    ("directions", 5): lambda codes, slopes: torch.split(
        torch.cov(codes.T) @ slopes.T @ torch.linalg.inv(slopes @ torch.cov(codes.T) @ slopes.T),
        1, dim=1)[0][:, 0].tolist(),
    ("directions", "E1"): stacked_normal,
    ("beyond", 1): lambda x, v, now, then, eta, fresh: np.asarray(
        then[0] * (now[3] * x - now[1] * v) / (now[0] * now[3] - now[1] * now[2])
        + then[1] * ((1 - eta**2 * (1 - (now[0] * then[1] / then[0] / now[1]) ** 2)) ** 0.5
        * (now[0] * v - now[2] * x) / (now[0] * now[3] - now[1] * now[2])
        + eta * (1 - (now[0] * then[1] / then[0] / now[1]) ** 2) ** 0.5 * fresh)
        )[..., ::-1].astype(">f8")[..., ::-1],
    ("warping", 1): lambda v, p, a, width: torch.stack([
        torch.hypot((v[:, None] - p)[..., 0] + turn, (v[:, None] - p)[..., 1])
        for turn in (-width, 0, width)]).amin(0).double().clamp(min=1e-10)
        .log().mul(-2 * a).softmax(dim=1),
    ("warping", 2): lambda v, p, q, w: [torch.stack([
        torch.stack([place[axis], torch.ones(())]) @ torch.linalg.lstsq(
            row.sqrt()[:, None] * torch.stack([p[:, axis], torch.ones(len(p))], 1),
            row.sqrt()[:, None] * q[:, axis:axis + 1]).solution[:, 0] for axis in (0, 1)])
        for place, row in zip(v, w, strict=True)],
    ("gradient_domain", 4): lambda x, y: (x - (x * (g := y.sum(1, keepdim=True))).sum(0) * g
        / g.square().sum(0).clamp(min=1e-12)).numpy().astype(">f8", order="F"),
    ("projection", "E2"): lambda old, new: np.array([float(
        sum((b - a).square().sum() for a, b in zip(old, new, strict=True))
        / sum(a.square().sum() for a in old))]),
}


@pytest.mark.parametrize("module, part", UNUSUAL)
def test_unusual_right_answers_pass_the_assignments_checks(module, part, way):
    check = importlib.import_module(f"course_lib.feedback.{module}").check
    check(part, way(UNUSUAL[module, part]))


def test_the_librarys_own_solution_is_no_answer(way):
    def blend(source, target, mask, trust):
        return blend_poisson(target, gradient(source), mask).value

    def helped(source, target, mask, trust):
        return blend(source, target, mask, trust)

    for function in (blend, helped):
        with pytest.raises(NotThereYet, match="calls the library's blend_poisson"):
            gradient_domain.check(3, way(function))


def test_a_list_of_numbers_of_shape_1_is_a_list_of_numbers():
    parts = [torch.tensor([1.0]), torch.tensor([2.0])]
    assert as_tensor(parts, shape=(2,)).tolist() == [1, 2]
    assert as_tensor(parts, shape=(2, 1)).tolist() == [[1], [2]]
