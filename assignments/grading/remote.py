"""Lets the checks, in one kernel, call the student's functions in another, by value.

The checks never run where a student's code has run: whatever that code overwrote there (the check
functions, `torch.allclose`, the kernel itself), all it can send back is answers. They travel as
tensors and plain containers, read without running code, so an answer can be wrong, not malicious.
Gradients travel, too: who follows an answer back asks the student's kernel for the slope.

This file is read by both kernels. Of the course it takes what answers may be, which is the same
rule as at home.
"""

import builtins
import dataclasses
import importlib
import io
import numbers
import pickle
import sys
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Client, Connection, Listener

import numpy as np
import torch

from course_lib.feedback import answers

MAX_BYTES = 512 << 20


# The student's side.

_handed_out: list[object] = []  # what the checks hold references to
_line: Connection | None = None


def serve(socket: str, names: dict[str, object]) -> None:
    """Answer the checks' requests until they hang up."""
    global _line
    _handed_out.clear()
    with Listener(socket, "AF_UNIX") as listener, listener.accept() as _line:
        while True:
            try:
                asked = io.BytesIO(_line.recv_bytes())
            except EOFError:
                return
            try:
                _reply("value", _answer(names, **torch.load(asked, weights_only=False)))
            except EOFError:
                return
            except BaseException as error:
                _reply("error", [type(error).__name__, str(error), traceback.format_exc()])


def _answer(names, name=None, reference=None, args=(), kwargs=None, slope=None):
    if name is not None:
        return _plain(names[name]) if name in names else {"missing": True}
    if slope is not None:
        answer, followed = _handed_out[reference]
        return torch.autograd.grad(answer, followed, slope, retain_graph=True, allow_unused=True)
    followed = [one for one in tensors([args, kwargs]) if one.requires_grad]
    return _plain(answers.ask(_handed_out[reference], *args, **kwargs), followed)


def _reply(kind: str, content: object) -> None:
    buffer = io.BytesIO()
    torch.save((kind, content), buffer)
    _line.send_bytes(buffer.getvalue())


def _plain(value: object, followed: list[torch.Tensor] = ()) -> object:
    """Tensors, numbers and containers as they are; functions stay here, and a reference goes.

    So does the graph of a tensor that depends on one of `followed`, the arguments.
    """
    if isinstance(value, torch.Tensor):
        return _plain_tensor(value, followed)
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "O":
        return _plain(value.tolist(), followed)
    if isinstance(value, np.ndarray | np.generic):
        return {"array": _plain_array(value), "scalar": isinstance(value, np.generic)}
    if isinstance(value, numbers.Number):
        return float(value)
    if isinstance(value, list | tuple | range):
        items = [_plain(item, followed) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, set | frozenset):
        return {"set": [_plain(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [(_plain(key), _plain(item, followed)) for key, item in value.items()]}
    if dataclasses.is_dataclass(value) and type(value).__module__.startswith("course_lib."):
        fields = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"dataclass": [type(value).__module__, type(value).__name__], "fields": fields}
    if not callable(value):
        raise answers.Refused(answers.refusal(value))
    return {"reference": _kept(value), "name": getattr(value, "__name__", "function"),
            "uses": sorted(answers.names_used(value))}


def _plain_tensor(value: torch.Tensor, followed: list[torch.Tensor]) -> object:
    plain = value if value.layout == torch.strided else value.to_dense()
    plain = plain.detach().as_subclass(torch.Tensor).cpu().resolve_conj().resolve_neg().clone()
    if value.grad_fn is not None and followed:
        return {"followed": _kept((value, followed)), "tensor": plain}
    return plain.requires_grad_(value.requires_grad)


def _plain_array(array: np.ndarray) -> torch.Tensor:
    """A tensor, whatever the byte order and the strides."""
    if array.dtype.kind not in "biufc":
        raise answers.Refused(answers.refusal(array))
    wide = {"f": np.float64, "c": np.complex128}.get(array.dtype.kind)
    kind = wide if array.dtype.itemsize > 8 and wide else array.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(array, dtype=kind, order="C"))


def _kept(value: object) -> int:
    _handed_out.append(value)
    return len(_handed_out) - 1


def tensors(value: object) -> Iterator[torch.Tensor]:
    """All tensors in containers, in an order that both kernels have in common."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from tensors(part)


def _resolve(reference: int) -> object:
    """What the checks got a reference to, when they pass it back."""
    return _handed_out[reference]


def _callback(index: int):
    """A function of the checks, callable from here."""
    def call(*args, **kwargs):
        _reply("callback", [index, _plain(list(args)), _plain(kwargs)])
        return torch.load(io.BytesIO(_line.recv_bytes()), weights_only=False)
    return call


# The checks' side.

class Remote:
    """A function that lives in the student's kernel. It can be called, and nothing else."""

    asks = True  # by answers.ask, over there

    def __init__(self, line: "Call", reference: int, name: str, uses: list[str]):
        self._line, self._reference, self.uses = line, reference, uses
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args, **kwargs):
        return self._line.ask(reference=self._reference, args=args, kwargs=kwargs)

    def __reduce__(self):
        return _resolve, (self._reference,)

    def __repr__(self) -> str:
        return f"<{self.__name__} of the notebook>"


class _Follow(torch.autograd.Function):
    """Passes a value on; the gradient, on its way back, goes through the student's kernel."""

    @staticmethod
    def forward(context, line, reference, value, *arguments):
        context.line, context.reference = line, reference
        return value.clone()

    @staticmethod
    def backward(context, slope):
        slopes = context.line.ask(reference=context.reference, slope=slope)
        return None, None, None, *slopes


class Callback:
    """A function of the checks on its way to the student's kernel."""

    def __init__(self, index: int):
        self.index = index

    def __reduce__(self):
        return _callback, (self.index,)


class Call:
    """The line to the student's kernel."""

    def __init__(self, socket: str, seconds: float = 10):
        self._functions = []
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._line = Client(socket, "AF_UNIX")
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise TimeoutError("the notebook's kernel does not answer") from None
                time.sleep(0.02)

    def fetch(self, names: list[str]) -> None:
        """Put what the student's notebook calls `names` into the checks' notebook."""
        namespace = vars(sys.modules["__main__"])
        for name in names:
            namespace.pop(name, None)
            value = self.ask(name=name)
            if value is not KeyError:
                namespace[name] = value

    def ask(self, **request) -> object:
        """One request; meanwhile, calls back into functions that went along as arguments."""
        if self._line.closed:
            raise TimeoutError("your code was stopped before, for taking too long")
        try:
            kind, content = self._answer(request)
        except BaseException:
            self._line.close()  # or a late answer would be taken for the next one's
            raise
        if kind == "error":
            raise _exception(*content)
        return self._unpacked(content, [one for one in tensors(request) if one.requires_grad])

    def _answer(self, request: dict[str, object]) -> tuple[str, object]:
        self._send(self._packed(request))
        while True:
            data = io.BytesIO(self._line.recv_bytes(MAX_BYTES))
            kind, content = torch.load(data, weights_only=True)
            if kind != "callback":
                return kind, content
            index, args, kwargs = map(self._unpacked, content)
            self._send(self._functions[index](*args, **kwargs))

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def _send(self, value: object) -> None:
        buffer = io.BytesIO()
        torch.save(value, buffer)
        self._line.send_bytes(buffer.getvalue())

    def _packed(self, value: object) -> object:
        if isinstance(value, list | tuple) and type(value) in (list, tuple):
            return type(value)(self._packed(item) for item in value)
        if type(value) is dict:
            return {key: self._packed(item) for key, item in value.items()}
        if callable(value) and not isinstance(value, Remote) and not _travels(value):
            self._functions.append(value)
            return Callback(len(self._functions) - 1)
        return value

    def _unpacked(self, value: object, followed: list[torch.Tensor] = ()) -> object:
        """What `_plain` packed; what depends on `followed`, the arguments, is tied to them."""
        if type(value) in (list, tuple):
            return type(value)(self._unpacked(item, followed) for item in value)
        if type(value) is not dict:
            return value
        if "missing" in value:
            return KeyError
        if "followed" in value:
            return _Follow.apply(self, value["followed"], value["tensor"], *followed)
        if "array" in value:
            array = value["array"].numpy()
            return array[()] if value["scalar"] else array
        if "set" in value:
            return set(self._unpacked(value["set"]))
        if "dict" in value:
            return {self._unpacked(key): self._unpacked(item, followed)
                    for key, item in value["dict"]}
        if "reference" in value:
            return Remote(self, value["reference"], value["name"], value["uses"])
        fields = {name: self._unpacked(one, followed) for name, one in value["fields"].items()}
        return _record(*value["dataclass"], fields)


def _record(module: str, name: str, fields: dict[str, object]) -> object:
    if not module.startswith("course_lib."):
        raise TypeError(f"{module}.{name} is no class of the course")
    cls = getattr(importlib.import_module(module), name)
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{module}.{name} is no record")
    value = object.__new__(cls)
    for field, content in fields.items():
        object.__setattr__(value, field, content)
    return value


def _travels(function: object) -> bool:
    """Whether the other kernel can import the function itself."""
    if getattr(function, "__module__", "__main__") == "__main__":
        return False
    try:
        pickle.dumps(function)
    except Exception:
        return False
    return True


def _exception(name: str, message: str, trace: str) -> Exception:
    """The student's error, as far as it is one of Python's own."""
    cls = answers.Refused if name == "Refused" else getattr(builtins, name, None)
    own = isinstance(cls, type) and issubclass(cls, Exception) and not issubclass(cls, UnicodeError)
    error = cls(message) if own else RuntimeError(f"{name}: {message}")
    error.add_note(f"in the notebook:\n{trace}")
    return error
