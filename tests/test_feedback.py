"""The core of feedback: what it says, what it shows, and that its mistakes are told apart."""

import importlib

import IPython.display
import pytest
import torch

from course_lib.feedback import core, pictures
from course_lib.feedback.core import Feedback, NotThereYet, Part
from course_lib.feedback.diagnosis import Check, Demand, Mistake, diagnose, whereabouts

MODULES = ("gradient_domain", "warping", "projection", "directions", "guidance")
ONE = torch.tensor([[0.1, 0.5, 0.2], [0.4, 0.3, 0.9]])
HALVED = Mistake("Halve nothing.", lambda x: x.double() ** 2 / 2)


def square_check(**changes) -> Check:
    settings = {"law": "it is the square", "question": (ONE,), "expected": ONE.double() ** 2,
                "mistakes": [HALVED], "tolerance": 1e-4}
    return Check(**settings | changes)


@pytest.fixture
def shown(monkeypatch):
    """What would be displayed in a notebook."""
    displayed = []
    monkeypatch.setattr(IPython.display, "display", displayed.append)
    return displayed


@pytest.mark.parametrize("right", [
    lambda x: x**2, lambda x: (x.double() * x.double()).numpy(), lambda x: (x**2).tolist(),
    lambda x: tuple((x**2).unbind(0)), lambda x: (x.requires_grad_() ** 2),
])
def test_a_right_answer_passes_in_any_style(right):
    assert diagnose(square_check(), right) is None


def stub(x):
    raise NotImplementedError("Part 9: square it")


@pytest.mark.parametrize("wrong, says", [
    (lambda x: x**2 / 2, "Halve nothing."),
    (lambda x: None, "returns nothing"),
    (lambda x: "x²", "returns a str"),
    (lambda x: (x**2).T, "rows and columns"),
    (lambda x: (x**2)[:, :2], "shape (2, 2), not (2, 3)"),
    (lambda x: x**2 / 0, "not a number in 6 places, the first at (0, 0)"),
    (lambda x: (x**2).to(torch.complex64), "complex"),
    (lambda x: -(x**2), "opposite sign"),
    (lambda x: 0 * x, "0 everywhere"),
    (lambda x: x**2 + 0.25, "one constant"),
    (lambda x: 255 * x**2, "one factor"),
    (lambda x: 2 * x**2 - 1, "[-1, 1]"),
    (lambda x: (x**2).flip(-1), "mirrored"),
    (lambda x: (x**2).flip(0), "on its head"),
    (lambda x: x, "argument number 1 unchanged"),
    (lambda x: x**3, "It does not hold that it is the square. Off by up to"),
    (lambda x: x.reshape(7), "stops in line"),
    (lambda: 0, "keep that line as it was"),
    (lambda x, y: x, "keep that line as it was"),
    (lambda x: torch.flip(x), "Print the shapes"),
    (lambda x: x.mul_(x), "changes its argument x in place"),
    (stub, "To be written: square it."),
    (lambda x: torch.empty(1, device="meta").cpu(), "stops in line"),  # torch's NotImplementedError
    (lambda x: exit(3), "ends the whole program"),
])
def test_a_wrong_answer_is_described(wrong, says):
    assert says in diagnose(square_check(), wrong).says


def test_an_error_of_torch_is_explained():
    said = diagnose(square_check(), lambda x: x.sum().backward()).says
    assert "requires_grad_()" in said


def test_directions_may_point_either_way_where_the_check_says_so():
    flipped = ONE**2 * torch.tensor([[1.0], [-1.0]])
    assert diagnose(square_check(signless=True), lambda x: flipped) is None
    assert diagnose(square_check(), lambda x: flipped)


def test_a_unit_vector_may_point_off_by_a_few_degrees_where_the_check_says_so():
    check = Check("it points along x", (), torch.tensor([1.0, 0.0]), [
        Mistake("That is y.", lambda: torch.tensor([0.0, 1.0]))], 0.01, degrees=10)

    def at(degrees, length=1.0):
        angle = torch.tensor(degrees).deg2rad()
        return lambda: length * torch.stack([angle.cos(), angle.sin()])

    assert diagnose(check, at(9.0)) is None and diagnose(check, at(-9.0)) is None
    assert diagnose(check, at(86.0)).says == "That is y."
    assert "points 80 degrees off" in diagnose(check, at(80.0)).says
    assert "one factor" in diagnose(check, at(0.0, 3.0)).says


def test_an_answer_must_leave_its_graph_where_the_check_says_so():
    check = square_check(detached=True)
    assert "by .detach()" in diagnose(check, lambda x: x.requires_grad_() ** 2).says
    assert diagnose(check, lambda x: (x.requires_grad_() ** 2).detach()) is None


def test_whereabouts_names_border_and_worst_place():
    difference = torch.zeros(8, 9)
    difference[0, 4] = 0.5
    assert "(0, 4), and only at the border" in whereabouts(difference, 1e-3)
    difference[3, 3] = 0.7
    assert "(3, 3); 97 % of the numbers are right" in whereabouts(difference, 1e-3)
    assert "most of the numbers" in whereabouts(torch.ones(8, 9), 1e-3)


def feedback(check: Check | Demand) -> Feedback:
    return Feedback("a9", {1: Part("squares", 7, lambda rng: [check]),
                           "E1": Part("words", 3, extra=True)})


def test_points_follow_the_last_check(shown):
    check = feedback(square_check())
    table = repr(check.progress())
    assert "to do" in table and "your instructor reads it" in table
    check(1, lambda x: x**2)
    assert "7 of 7 points so far, and up to 3 more" in check.progress()._repr_html_()
    with pytest.raises(NotThereYet, match="Part 1: Halve nothing"):
        check(1, lambda x: x**2 / 2)
    assert "0 of 7 points" in repr(check.progress()) and "not there yet" in repr(check.progress())
    check(1, lambda x: x**2)
    check.take_back(1)  # a hidden test failed
    assert "0 of 7 points" in repr(check.progress()) and "not there yet" in repr(check.progress())
    with pytest.raises(NotThereYet):
        check(1, stub)
    check.take_back(1)
    assert "not there yet" not in repr(check.progress())


def test_a_failure_shows_a_card_and_a_picture_with_alt_text(shown):
    with pytest.raises(NotThereYet) as failure:
        feedback(square_check())(1, lambda x: x**2 / 2)
    card, figure = shown
    assert "✗ Part 1 · squares" in repr(card) and "The law: it is the square." in card._repr_html_()
    assert "differ by up to 0.4" in figure._repr_jpeg_()[1]["alt"]
    assert failure.value._render_traceback_() == ["Part 1 is not there yet."]


def test_a_card_shows_text_as_it_is():
    card = pictures.Card("a < b", "x < y", "wrong", "<b>")
    assert "a &lt; b" in card._repr_html_() and "&lt;b&gt;" in card._repr_html_()


@pytest.mark.parametrize("kind, shape", [
    ("image", (3, 5, 6)), ("image", (5, 6)), ("maps", (2, 3, 5, 6)), ("points", (4, 2)),
    ("curve", (7,)), ("curve", (2, 3, 7)), ("curve", ()),
])
def test_every_kind_of_answer_can_be_drawn(shown, kind, shape, rng):
    expected = torch.rand(shape, generator=rng)
    pictures.show_pictures(expected, expected + 0.1, kind, "they are equal")
    assert shown[0]._repr_jpeg_()


def test_a_demand_has_many_right_answers():
    demand = Demand("it is even", lambda f: None if f() % 2 == 0 else f"{f()} is odd.")
    assert diagnose(demand, lambda: 4) is None
    assert diagnose(demand, lambda: 3).says == "3 is odd."


def test_stubs_say_in_one_line_that_they_are_to_be_written(monkeypatch):
    class Shell:
        def set_custom_exc(self, kinds, handler):
            self.kinds, self.handler = kinds, handler

        def _showtraceback(self, kind, error, lines):
            self.lines = lines

    shell = Shell()
    monkeypatch.setattr(core, "get_ipython", lambda: shell)
    feedback(square_check()).begin()
    shell.handler(shell, NotImplementedError, NotImplementedError("Part 2: solve it"), None)
    assert shell.kinds == (NotImplementedError,)
    assert shell.lines == ["This needs a part that is to be written. Part 2: solve it."]


def questions(module: str, seed: int):
    check = importlib.import_module(f"course_lib.feedback.{module}").check
    for number, part in check.parts.items():
        drawn = part.checks(torch.Generator().manual_seed(seed)) if part.checks else []
        checks = [one for one in drawn if isinstance(one, Check)]
        if checks:
            yield number, checks


@pytest.mark.parametrize("module", MODULES)
def test_each_mistake_is_told_from_all_others(module):
    for number, checks in questions(module, seed=3):
        for index, mistake in enumerate(checks[0].mistakes):
            verdicts = (diagnose(check, check.mistakes[index].gives) for check in checks)
            verdict = next(filter(None, verdicts), None)
            assert verdict is not None, (number, mistake.says)
            assert verdict.says == mistake.says, number


@pytest.mark.parametrize("module", MODULES)
def test_a_seed_draws_the_same_questions_and_another_seed_others(module):
    for (number, first), (_, again), (_, other) in zip(
        questions(module, 0), questions(module, 0), questions(module, 1), strict=True
    ):
        torch.testing.assert_close(first[0].expected, again[0].expected)
        assert not torch.allclose(first[0].expected, other[0].expected), number


def test_extras_are_counted_once():
    rows = (("1", "a part", 95, 100, "done", False), ("E1", "earned", 8, 8, "done", True),
            ("E2", "open", 0, 5, "to do", True))
    said = repr(pictures.Board("a", rows))
    assert said.endswith("103 of 100 points so far, and up to 5 more for extras")
    assert repr(pictures.Board("a", rows[:2])).endswith("103 of 100 points so far")


def test_a_part_that_is_none_is_named():
    check = Feedback("a1", {1: Part("squares", 5, None)})
    with pytest.raises(ValueError, match="a1 has no part 9: take one of 1"):
        check(9, abs)
