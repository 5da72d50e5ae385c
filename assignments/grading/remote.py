"""Lets the checks, in one kernel, call the student's functions in another, by value.

The checks never run where a student's code has run: whatever that code overwrote there (the check
functions, `torch.allclose`, the kernel itself), all it can send back is answers. They travel as
tensors and plain containers, read without running code, so an answer can be wrong, not malicious.

This file is read by both kernels and imports nothing of the course.
"""

import builtins
import dataclasses
import importlib
import io
import pickle
import sys
import time
import traceback
from multiprocessing.connection import Client, Connection, Listener

import numpy as np
import torch

MAX_BYTES = 512 << 20


# The student's side.

_handed_out: list[object] = []  # what the checks hold references to
_line: Connection | None = None


def serve(socket: str, names: dict[str, object]) -> None:
    """Answer the checks' requests until they hang up."""
    global _line
    with Listener(socket, "AF_UNIX") as listener, listener.accept() as _line:
        while True:
            try:
                request = torch.load(io.BytesIO(_line.recv_bytes()), weights_only=False)
                _reply("value", _answer(names, **request))
            except EOFError:
                return
            except BaseException as error:
                _reply("error", [type(error).__name__, str(error), traceback.format_exc()])


def _answer(names, name=None, reference=None, args=None, kwargs=None):
    if name is not None:
        return _plain(names[name]) if name in names else {"missing": True}
    return _plain(_handed_out[reference](*args, **kwargs))


def _reply(kind: str, content: object) -> None:
    buffer = io.BytesIO()
    torch.save((kind, content), buffer)
    _line.send_bytes(buffer.getvalue())


def _plain(value: object) -> object:
    """Tensors, numbers and containers as they are; functions stay here, and a reference goes."""
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return value
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone().requires_grad_(value.requires_grad)
    if isinstance(value, np.ndarray | np.generic):
        return {"array": torch.from_numpy(np.array(value)), "scalar": isinstance(value, np.generic)}
    if isinstance(value, list | tuple):
        items = [_plain(item) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, dict):
        return {"dict": [(_plain(key), _plain(item)) for key, item in value.items()]}
    if dataclasses.is_dataclass(value) and type(value).__module__.startswith("course_lib."):
        fields = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"dataclass": [type(value).__module__, type(value).__name__], "fields": fields}
    if not callable(value):
        raise TypeError(f"a {type(value).__name__} cannot be checked: give a tensor or numbers")
    _handed_out.append(value)
    return {"reference": len(_handed_out) - 1, "name": getattr(value, "__name__", "function")}


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

    def __init__(self, line: "Call", reference: int, name: str):
        self._line, self._reference = line, reference
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args, **kwargs):
        return self._line.ask(reference=self._reference, args=args, kwargs=kwargs)

    def __reduce__(self):
        return _resolve, (self._reference,)

    def __repr__(self) -> str:
        return f"<{self.__name__} of the notebook>"


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
        return self._unpacked(content)

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

    def _unpacked(self, value: object) -> object:
        if type(value) in (list, tuple):
            return type(value)(self._unpacked(item) for item in value)
        if type(value) is not dict:
            return value
        if "missing" in value:
            return KeyError
        if "array" in value:
            array = value["array"].numpy()
            return array[()] if value["scalar"] else array
        if "dict" in value:
            return {self._unpacked(key): self._unpacked(item) for key, item in value["dict"]}
        if "reference" in value:
            return Remote(self, value["reference"], value["name"])
        return self._dataclass(*value["dataclass"], value["fields"])

    def _dataclass(self, module: str, name: str, fields: dict[str, object]) -> object:
        if not module.startswith("course_lib."):
            raise TypeError(f"{module}.{name} is no class of the course")
        cls = getattr(importlib.import_module(module), name)
        if not dataclasses.is_dataclass(cls):
            raise TypeError(f"{module}.{name} is no record")
        value = object.__new__(cls)
        for field, content in fields.items():
            object.__setattr__(value, field, self._unpacked(content))
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
    cls = getattr(builtins, name, None)
    own = isinstance(cls, type) and issubclass(cls, Exception) and not issubclass(cls, UnicodeError)
    error = cls(message) if own else RuntimeError(f"{name}: {message}")
    error.add_note(f"in the notebook:\n{trace}")
    return error
