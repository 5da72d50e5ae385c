"""Reads pickled weights without running code: a stack machine that only knows data.

A pickle is a program. It pushes numbers and texts on a stack, packs them into lists and dicts,
and, where an object is more than that, names a function to call. Python's own machine imports
and calls whatever is named, so that opening a downloaded file runs a stranger's program. This
machine imports nothing: the few names that StyleGAN2's official files need stand in `MAKERS`
below, each with a function of ours that makes plain data. Every other name, and every
instruction that official files do not need, is a reason to refuse the file.

It also refuses what only wastes memory: more instructions than weights need, more bytes than the
file has, tensors that reach beyond what is stored.
"""

import io
import math
import mmap
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from course_lib.weights.checkpoints import TORCH_MAGIC, load_checkpoint
from course_lib.weights.files import Damage, Refusal, unneeded_name

MAX_INSTRUCTIONS = 500_000  # an official file has 26 thousand
MAX_AXES = 8


@dataclass(frozen=True)
class Name:
    """A name that the file asks to import. It stays a text; it is only looked up in `MAKERS`."""

    full: str


@dataclass
class Network:
    """What is kept of a pickled network: its attributes, and never its source code."""

    state: dict


@dataclass
class NumberType:
    """A numpy dtype: kind and bytes, "f4" say; then the byte order."""

    code: str
    order: str = "="

    @property
    def dtype(self) -> np.dtype:
        """As numpy knows it."""
        return np.dtype(self.order + self.code)


@dataclass
class Array:
    """A numpy array: empty first, filled by the instruction after it."""

    tensor: Tensor | None = None


def read_pickle(stream: mmap.mmap, size: int) -> object:
    """The content of a pickle of `size` bytes, made of plain containers, tensors and `Network`s.

    Raises:
        Refusal: it asks for anything else.
        Damage: it breaks off, or breaks the format.
    """
    try:
        return _Machine(size).run(stream)
    except Refusal:
        raise
    except Exception as error:  # whatever a broken stream makes pickletools, numpy or torch raise
        raise Damage(
            f"is a damaged or unfinished pickle ({type(error).__name__}): download it again."
        ) from error


def _require(fact: bool, complaint: str) -> None:
    if not fact:
        raise Refusal(f"{complaint}, so it can't be trusted: download it again from its publisher.")


def _require_plain_keys(keys: list | tuple) -> None:
    # Also since Python crashes where it hashes a tuple in a tuple in a tuple ... as a key.
    _require(all(isinstance(key, str | int) for key in keys),
             "names its entries by something else than texts and numbers")


def _whole(values: object) -> tuple[int, ...]:
    fine = isinstance(values, tuple | list) and len(values) <= MAX_AXES and all(
        type(value) is int and 0 <= value < 2**48 for value in values
    )
    _require(fine, "has a tensor whose shape is no list of sizes")
    return tuple(values)


class _Machine:
    """The stack, the memo of things to use again, and the bytes that may still be spent."""

    def __init__(self, size: int):
        self.stack: list = []
        self.outer: list[list] = []
        self.memo: dict[int, object] = {}
        self.budget = size

    def run(self, stream: mmap.mmap) -> object:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
            _require(count < MAX_INSTRUCTIONS, "has more instructions than weights need")
            if instruction.name == "STOP":
                return self.stack.pop()
            step = STEPS.get(instruction.name)
            if step is None:
                raise Damage(f"uses the pickle instruction {instruction.name}, which weights don't "
                             f"need and which could run a program: get them from another source.")
            step(self, argument)
        raise EOFError

    # Instructions with more to them than one line; the table STEPS below names them all.

    def push(self, value: object) -> None:
        self.stack.append(value)

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def marked(self) -> list:
        items, self.stack = self.stack, self.outer.pop()
        return items

    def top(self, count: int) -> tuple:
        items = tuple(self.stack[-count:])
        if len(items) < count:
            raise EOFError
        del self.stack[-count:]
        return items

    def extend(self, items: list | tuple) -> None:
        target = self.stack[-1]
        _require(type(target) is list, "adds items to what is no list")
        target.extend(items)

    def update(self, items: list | tuple) -> None:
        target = self.stack[-1]
        _require(type(target) is dict, "sets entries of what is no dict")
        _require_plain_keys(items[::2])
        target.update(zip(items[::2], items[1::2], strict=True))

    def include(self, items: list) -> None:
        target = self.stack[-1]
        _require(type(target) is set, "adds members to what is no set")
        _require_plain_keys(items)
        target.update(items)

    def name(self, full: str) -> None:
        if full not in MAKERS:
            raise unneeded_name(full)
        self.push(Name(full))

    def call(self) -> None:
        name, arguments = self.top(2)
        maker = MAKERS[name.full] if isinstance(name, Name) else None
        _require(maker is not None and type(arguments) is tuple, "calls what is no function")
        self.push(maker(self, *arguments))

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, NumberType) and type(state) is tuple:
            _require(state[1] in ("<", ">", "|", "="), "has numbers of an odd byte order")
            target.order = state[1]
        elif isinstance(target, Array) and type(state) is tuple and target.tensor is None:
            target.tensor = self.array(*state)
        else:  # a dict may come with attributes, which are not needed
            _require(type(target) is dict, "sets the state of what has none")

    # What the names in MAKERS make.

    def spend(self, data: object) -> None:
        _require(type(data) is bytes, "stores numbers as something else than bytes")
        self.budget -= len(data)
        _require(self.budget >= 0, "claims more numbers than it has bytes")

    def new_dict(self) -> dict:
        return {}

    def new_set(self, items: object = ()) -> set:
        _require(type(items) is list, "makes a set of what is no list")
        _require_plain_keys(items)
        return set(items)

    def network(self, description: object) -> Network:
        state = description.get("state") if type(description) is dict else None
        _require(type(state) is dict, "has a network without state")
        return Network(state)

    def storage(self, data: object) -> torch.UntypedStorage | torch.storage.TypedStorage:
        self.spend(data)
        _require(data.startswith(TORCH_MAGIC), "stores numbers in an unknown way")
        return load_checkpoint(io.BytesIO(data))

    def tensor(self, storage: object, offset: object, size: object, stride: object,
               *_: object) -> Tensor:
        _require(isinstance(storage, torch.storage.TypedStorage), "has a tensor without numbers")
        numbers = torch.empty(0, dtype=storage.dtype).set_(storage._untyped_storage)
        (offset,), size, stride = _whole((offset,)), _whole(size), _whole(stride)
        count = math.prod(size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        _require(count == 0 or (count <= len(numbers) and last < len(numbers)),
                 "has a tensor that reaches beyond its numbers")
        return numbers.as_strided(size, stride, offset) if count else numbers.new_empty(size)

    def parameter(self, data: object, *_: object) -> Tensor:
        _require(isinstance(data, Tensor), "has a parameter that is no tensor")
        return data

    def number_type(self, code: object, *_: object) -> NumberType:
        plain = isinstance(code, str) and re.fullmatch(r"b1|[iu][1248]|f[248]", code)
        _require(bool(plain), "has numpy data that are no plain numbers")
        return NumberType(code)

    def numbers(self, kind: object, data: object) -> np.ndarray:
        _require(isinstance(kind, NumberType), "has a numpy number without a type")
        self.spend(data)
        return np.frombuffer(data, kind.dtype).astype(kind.dtype.newbyteorder("="))

    def number(self, kind: object, data: object) -> object:
        found = self.numbers(kind, data)
        _require(len(found) == 1, "has a numpy number of the wrong length")
        return found[0].item()

    def empty_array(self, *_: object) -> Array:
        return Array()

    def array(self, _: object, size: object, kind: object, columns_first: object,
              data: object) -> Tensor:
        size, found = _whole(size), self.numbers(kind, data)
        _require(math.prod(size) == len(found), "has a numpy array of the wrong length")
        return torch.from_numpy(found.reshape(size, order="F" if columns_first else "C"))


MAKERS: dict[str, Callable | None] = {
    "collections.OrderedDict": _Machine.new_dict,
    "dnnlib.util.EasyDict": _Machine.new_dict,
    "builtins.set": _Machine.new_set,
    "torch_utils.persistence._reconstruct_persistent_obj": _Machine.network,
    "torch.storage._load_from_bytes": _Machine.storage,
    "torch._utils._rebuild_tensor_v2": _Machine.tensor,
    "torch._utils._rebuild_parameter": _Machine.parameter,
    "numpy.dtype": _Machine.number_type,
    "numpy.ndarray": None,  # an argument of _reconstruct, never called itself
    **{f"numpy.{core}.multiarray.{name}": maker
       for core in ("core", "_core")
       for name, maker in (("scalar", _Machine.number), ("_reconstruct", _Machine.empty_array))},
}

LITERALS = """
    INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING
    UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8
""".split()

# The whole instruction set: what each does with the machine m and its argument x.
STEPS: dict[str, Callable] = {
    **dict.fromkeys(LITERALS, lambda m, x: m.push(x)),
    **dict.fromkeys(("PROTO", "FRAME"), lambda m, x: None),
    "NONE": lambda m, x: m.push(None),
    "NEWTRUE": lambda m, x: m.push(True),
    "NEWFALSE": lambda m, x: m.push(False),
    "EMPTY_LIST": lambda m, x: m.push([]),
    "EMPTY_DICT": lambda m, x: m.push({}),
    "EMPTY_SET": lambda m, x: m.push(set()),
    "EMPTY_TUPLE": lambda m, x: m.push(()),
    "MARK": lambda m, x: m.mark(),
    "POP": lambda m, x: m.stack.pop(),
    "TUPLE1": lambda m, x: m.push(m.top(1)),
    "TUPLE2": lambda m, x: m.push(m.top(2)),
    "TUPLE3": lambda m, x: m.push(m.top(3)),
    "TUPLE": lambda m, x: m.push(tuple(m.marked())),
    "FROZENSET": lambda m, x: m.push(frozenset(m.new_set(m.marked()))),
    "APPEND": lambda m, x: m.extend(m.top(1)),
    "APPENDS": lambda m, x: m.extend(m.marked()),
    "SETITEM": lambda m, x: m.update(m.top(2)),
    "SETITEMS": lambda m, x: m.update(m.marked()),
    "ADDITEMS": lambda m, x: m.include(m.marked()),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"),
                    lambda m, x: m.memo.__setitem__(x, m.stack[-1])),
    "MEMOIZE": lambda m, x: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, x: m.push(m.memo[x])),
    "GLOBAL": lambda m, x: m.name(x.replace(" ", ".", 1)),
    "STACK_GLOBAL": lambda m, x: m.name(".".join(m.top(2))),
    "REDUCE": lambda m, x: m.call(),
    "NEWOBJ": lambda m, x: m.call(),
    "BUILD": lambda m, x: m.build(),
}
