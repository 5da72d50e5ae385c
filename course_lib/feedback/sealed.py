"""Checks without the code that answers them, for the edition that students get.

`seal` asks every question once and writes down what it found: the question, the right answer, and
what each classic mistake answers. `unseal` makes the same checks of that. So a student's notebook
says the same, and no file beside it holds a solution.
"""

import importlib
import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from course_lib.feedback.answers import as_tensor
from course_lib.feedback.core import Feedback, Part
from course_lib.feedback.diagnosis import Check, Demand, Mistake

# What a sealed check may still call: it holds no answer. All other modules of checks are left out.
OPEN = ("answers", "closeness", "core", "diagnosis", "pictures", "recipes", "sealed", "showcase",
        "toys", "wishes")
HERE = Path(__file__).parent
SEALS = HERE / "seals"
SETTINGS = ("law", "tolerance", "kind", "signless", "degrees", "detached")


def seal(feedback: Feedback, folder: Path, *, seed: int = 0) -> None:
    """Write NAME.json and NAME.safetensors into a folder; `seed` draws the questions.

    Raises:
        ValueError: a question or a demand holds something that cannot be written down.
    """
    tensors: list[Tensor] = []
    parts = []
    for number, part in feedback.parts.items():
        drawn = part.checks and part.checks(torch.Generator().manual_seed(seed))
        parts.append({
            "number": number, "title": part.title, "points": part.points, "extra": part.extra,
            "by_hand": list(part.by_hand),
            "checks": drawn and [_sealed(check, tensors) for check in drawn],
        })
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"name": feedback.name, "parts": parts}, ensure_ascii=False, indent=1)
    (folder / f"{feedback.name}.json").write_text(text + "\n", encoding="utf-8")
    named = {str(index): one.detach().clone().contiguous() for index, one in enumerate(tensors)}
    save_file(named, folder / f"{feedback.name}.safetensors")


def unseal(name: str, folder: Path = SEALS) -> Feedback:
    """The checks of an assignment as `seal` wrote them down; a seed draws nothing else."""
    record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    tensors = load_file(folder / f"{name}.safetensors")
    parts = {}
    for part in record["parts"]:
        checks = part["checks"] and [_unsealed(check, tensors) for check in part["checks"]]
        parts[part["number"]] = Part(
            part["title"], part["points"], checks and partial(_whatever_the_seed, checks),
            part["extra"], tuple(part["by_hand"]))
    return Feedback(name, parts)


def _whatever_the_seed(checks: list, rng: torch.Generator) -> list:
    return checks


def _sealed(check: Check | Demand, tensors: list[Tensor]) -> dict:
    if isinstance(check, Demand):
        return {"law": check.law, "objection": _written(check.objection, tensors)}
    record = {name: getattr(check, name) for name in SETTINGS}
    given = [(mistake.says, as_tensor(mistake.gives(*check.question)).detach().float())
             for mistake in check.mistakes]
    return record | {
        "question": _written(check.question, tensors),
        "expected": _written(check.expected, tensors),
        "mistakes": [[says, _written(answer, tensors)] for says, answer in given],
    }


def _unsealed(record: dict, tensors: dict[str, Tensor]) -> Check | Demand:
    if "objection" in record:
        return Demand(record["law"], _read(record["objection"], tensors))
    mistakes = [Mistake(says, partial(_answered, _read(answer, tensors)))
                for says, answer in record["mistakes"]]
    return Check(question=_read(record["question"], tensors), mistakes=mistakes,
                 expected=_read(record["expected"], tensors),
                 **{name: record[name] for name in SETTINGS})


def _answered(answer: Tensor, *question: object) -> Tensor:
    return answer


def _written(value: object, tensors: list[Tensor]) -> object:
    """A value as JSON, its tensors put into the list; what `_read` makes a value of again."""
    def write(part: object) -> object:
        return _written(part, tensors)

    if isinstance(value, Tensor):
        tensors.append(value)
        return {"tensor": str(len(tensors) - 1)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return {type(value).__name__: [write(part) for part in value]}
    if isinstance(value, partial) and not value.args:
        named = {name: write(part) for name, part in value.keywords.items()}
        return {"partial": _named(value.func), "named": named}
    if isinstance(value, nn.Module):
        state = {name: write(part) for name, part in value.state_dict().items()}
        return {"network": _named(type(value)), "state": state}
    if is_dataclass(value):
        parts = {field.name: write(getattr(value, field.name)) for field in fields(value)}
        return {"partial": _named(type(value)), "named": parts, "call": True}
    return {"function": _named(value)}


def _read(record: object, tensors: dict[str, Tensor]) -> object:
    def read(part: object) -> object:
        return _read(part, tensors)

    match record:
        case {"tensor": index}:
            return tensors[index]
        case {"list": parts}:
            return [read(part) for part in parts]
        case {"tuple": parts}:
            return tuple(read(part) for part in parts)
        case {"partial": name, "named": named, **rest}:
            made = partial(_found(name), **{key: read(part) for key, part in named.items()})
            return made() if rest else made
        case {"network": name, "state": state}:
            network = _found(name)(torch.Generator())
            network.load_state_dict({key: read(part) for key, part in state.items()})
            return network
        case {"function": name}:
            return _found(name)
    return record


def _named(function: Callable) -> str:
    """Where a function or class is defined, if `_found` can find it there in the edition."""
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    room, _, inner = module.removeprefix("course_lib.").partition(".")
    is_open = module.startswith("course_lib.") and (room != "feedback" or inner in OPEN)
    if "<" in name or not is_open:
        raise ValueError(f"A check holds {function!r}, which the students' edition does not: "
                         f"define it in one of course_lib/feedback's {', '.join(OPEN)}.")
    return f"{module}:{name}"


def _found(name: str) -> Callable:
    module, _, inner = name.partition(":")
    return getattr(importlib.import_module(module), inner)
