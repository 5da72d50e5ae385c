"""What an answer may be: one rule, for the checks in a notebook and for those of the instructor.

An answer is a tensor, a numpy array, a number, a list, tuple or range of such, or what the
library's solvers return. It is judged by its numbers alone: dtype, strides, device, and whether a
gradient hangs on it do not matter, and one number may be 0-d or of shape (1,). And a function
leaves its arguments as they were.
"""

import dis
import inspect
from collections.abc import Callable, Iterator, Sequence
from numbers import Number
from types import CellType, CodeType

import numpy as np
import torch
from torch import Tensor, nn

RULE = ("An answer is a tensor, a numpy array, a number, or a list of such, of any dtype, and is "
        "judged by its numbers. A function leaves its arguments as they were: change a copy. What "
        "the library does in one call is to be written by hand.")


class Refused(ValueError):
    """An answer, or a deed, that the rule does not admit; the message says why, to the student."""


def as_tensor(answer: object, *, shape: Sequence[int] | None = None) -> Tensor:
    """An answer's numbers as float64 (complex128 if complex), on the CPU; a gradient stays on it.

    Args:
        shape: the one expected; an answer of one number takes it, if it is of one number, too.

    Raises:
        Refused: the answer does not consist of numbers, or of parts of unlike shapes.
    """
    if isinstance(answer, Tensor):
        answer = answer if answer.layout == torch.strided else answer.to_dense()
        numbers = answer.cpu().to(torch.complex128 if answer.is_complex() else torch.float64)
    elif isinstance(answer, np.ndarray | np.generic):
        numbers = _from_numpy(np.asarray(answer))
    elif isinstance(answer, Number):
        numbers = _from_numpy(np.asarray(answer if isinstance(answer, complex) else float(answer)))
    elif isinstance(getattr(answer, "value", None), Tensor):  # a Solution
        numbers = as_tensor(answer.value)
    elif isinstance(answer, list | tuple | range) and len(answer):
        numbers = _stacked([as_tensor(part) for part in answer])
    else:
        raise Refused(refusal(answer))
    if shape is not None and numbers.numel() == 1 == torch.Size(shape).numel():
        numbers = numbers.reshape(tuple(shape))
    elif shape is not None and isinstance(answer, list | tuple) and (
            tuple(numbers.shape) == (*shape, 1)):  # a list of numbers of shape (1,)
        numbers = numbers.squeeze(-1)
    return numbers


def _from_numpy(array: np.ndarray) -> Tensor:
    if array.dtype.kind == "O":
        return as_tensor(array.tolist())
    if array.dtype.kind not in "biufc":
        raise Refused(refusal(array))
    kind = np.complex128 if array.dtype.kind == "c" else np.float64
    return torch.from_numpy(np.array(array, dtype=kind, order="C"))


def _stacked(parts: list[Tensor]) -> Tensor:
    if {part.shape for part in parts} == {(), (1,)}:
        parts = [part.reshape(()) for part in parts]
    if any(part.shape != parts[0].shape for part in parts):
        shapes = ", ".join(str(tuple(part.shape)) for part in parts[:4])
        raise Refused(f"Your function returns a list or tuple whose parts have unlike shapes, "
                      f"{shapes}, so they make no array: return parts of one shape.")
    whole = torch.complex128 if any(part.is_complex() for part in parts) else torch.float64
    return torch.stack([part.to(whole) for part in parts])


def refusal(answer: object) -> str:
    """A sentence on why something is no answer."""
    if answer is None:
        return "Your function returns nothing: end it with a return."
    kind = type(answer).__name__
    if isinstance(answer, list | tuple | range):
        kind += " without anything in it"
    if isinstance(answer, np.ndarray | np.generic):
        kind += f" of {answer.dtype.name} values"
    article = "an" if kind[0] in "aeiou" else "a"
    return (f"Your function returns {article} {kind}, where numbers are expected, which alone can "
            f"be compared: return a tensor, a numpy array, a number, or a list of such.")


def plain(recipe: object) -> object:
    """A recipe of names and numbers with lists and Python's own numbers in place of all others.

    Raises:
        Refused: it holds something else.
    """
    if recipe is None or callable(recipe):
        return recipe
    if isinstance(recipe, str):
        return str(recipe)
    if isinstance(recipe, bool | int | float | complex):
        return recipe
    if isinstance(recipe, Tensor):
        return recipe.detach().tolist()
    if isinstance(recipe, np.ndarray | np.generic):
        return plain(recipe.tolist())
    if isinstance(recipe, list | tuple | range):
        return [plain(part) for part in recipe]
    if isinstance(recipe, set | frozenset):
        return sorted(plain(part) for part in recipe)
    raise Refused(f"There is a {type(recipe).__name__} in what you return, where names, numbers "
                  f"and lists of numbers are expected: write them out as they were printed.")


def ask(function: Callable, *question: object, **named: object) -> object:
    """The function's answer; it gets copies of tensors, arrays and lists.

    Raises:
        Refused: it changed one of its arguments, or the weights of a network among them.
    """
    if getattr(function, "asks", False):  # in another kernel, by this very function
        return function(*question, **named)
    asked = [_copy(one) for one in question]
    before = [[_copy(leaf) for leaf in _leaves(one)] for one in asked]
    answer = function(*asked, **named)
    for number, (one, kept) in enumerate(zip(asked, before, strict=True)):
        now = list(_leaves(one))
        if len(now) != len(kept) or not all(map(_alike, now, kept)):
            raise Refused(_changed(function, number, one))
    return answer


def _changed(function: Callable, number: int, argument: object) -> str:
    try:
        name = list(inspect.signature(function).parameters)[number]
    except (TypeError, ValueError, IndexError):
        name = f"number {number + 1}"
    if isinstance(argument, nn.Module):
        return (f"Your function changes the weights of its argument {name}, which others use, "
                f"too: give the optimizer your own code, and leave the network as it is.")
    remedy = ".copy()" if not isinstance(argument, Tensor) else ".clone()"
    return (f"Your function changes its argument {name} in place, so its caller's data are gone: "
            f"work on a copy, {name}{remedy}, and leave what you are given as it was.")


def _copy(value: object) -> object:
    if isinstance(value, Tensor):
        return value.clone() if value.requires_grad else value.detach().clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (list, tuple):
        return type(value)(_copy(part) for part in value)
    return value


def _leaves(value: object) -> Iterator[object]:
    """What may be changed in place: tensors and numbers, also within lists and networks."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, nn.Module):
        yield from value.state_dict().values()
    elif isinstance(value, Tensor | np.ndarray | Number | str):
        yield value


def _alike(now: object, before: object) -> bool:
    if isinstance(now, Tensor) and isinstance(before, Tensor):
        return now.shape == before.shape and torch.equal(now.detach(), before.detach())
    return np.array_equal(now, before)


def names_used(function: Callable) -> set[str]:
    """The names that a function looks up, it and those that it calls of its own module."""
    if hasattr(function, "uses"):  # it lives in another kernel
        return set(function.uses)
    names, ahead, seen = set(), [function], []
    while ahead:
        one = ahead.pop()
        code = getattr(one, "__code__", None)
        if code is None or code in seen:
            continue
        seen.append(code)
        around = one.__globals__ | _enclosed(one)
        imported = {step.argval for step in dis.get_instructions(code)
                    if step.opname == "IMPORT_FROM"}  # whatever that name stands for outside
        for name in _names(code):
            value = around.get(name)
            if name not in imported and getattr(value, "__module__", "") == function.__module__:
                ahead.append(value)
            else:
                names |= {name, getattr(value, "__name__", name)}
    return names


def _names(code: CodeType) -> set[str]:
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return set(code.co_names + code.co_freevars).union(*map(_names, inner))


def _enclosed(function: Callable) -> dict[str, object]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in cells if cell != CellType()}


BROKEN = ("No gradient comes back from your answer: compute it by torch operations on the "
          "argument, without .detach(), .item(), .numpy() or torch.no_grad().")
NAN = ("The gradient of your answer is not a number somewhere: a root or a norm has none at 0; "
       "leave the square, or add 1e-8 under the root.")
FLAT = ("The gradient of your answer is 0 everywhere, so no step could lower it: do without "
        "rounding, counting, and comparing by < or >.")
CUT = ("The gradient of your answer is not the slope of its numbers, so a descent would go astray: "
       "some of its terms are cut off, by .detach(), .item(), .data or torch.no_grad().")


def lost_gradient(function: Callable, question: Sequence, place: int = 0, *,
                  step: float = 1e-3, tolerance: float = 0.1) -> str | None:
    """What is wrong with the answer's gradient in the question's argument number `place`.

    It must agree with finite differences along random directions, within `tolerance` of its
    length. Only values are compared, so that a function in another
    kernel can be asked as well.

    Args:
        step: of the differences, in the argument's unit.
    """
    rng = torch.Generator().manual_seed(0)
    share = None

    def number(argument: Tensor) -> Tensor:
        nonlocal share
        answer = as_tensor(ask(function, *question[:place], argument, *question[place + 1:]))
        if share is None:  # by which the answer's numbers are added up
            share = 0.5 + torch.rand(answer.shape, generator=rng, dtype=torch.float64)
        return (share * answer).sum()

    start = question[place].detach()
    tracked = start.clone().requires_grad_()
    here = number(tracked)
    if not here.requires_grad:
        return BROKEN
    (slope,) = torch.autograd.grad(here, tracked, allow_unused=True)
    if slope is None:
        return BROKEN
    if not slope.isfinite().all():
        return NAN
    if not slope.any():
        return FLAT
    bound, here = tolerance * float(slope.norm()), float(here.detach())
    for _ in range(4):
        way = torch.randn(slope.shape, generator=rng)
        sides = sorted(sign * (float(number(start + sign * step * way)) - here) / step
                       for sign in (1, -1))  # at a kink they differ, and any between is right
        if not sides[0] - bound <= float((slope * way).sum()) <= sides[1] + bound:
            return CUT
    return None
