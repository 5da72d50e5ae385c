"""Memory that would be held for nothing: what need not be loaded is not, what is free goes back.

A class shares one machine, so what each kernel holds is counted a hundred times.
"""

import ctypes
import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode

DRAWN = (torch.rand, torch.randn)
FILLING = (torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.fill_)


class _Unfilled(TorchFunctionMode):
    """Makes tensors without drawing their numbers."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in FILLING or getattr(function, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return (torch.empty if function in DRAWN else function)(*args, **kwargs)


@contextmanager
def unfilled() -> Iterator[None]:
    """Inside, networks are built without their first random weights, as stored ones follow.

    Building them on torch's meta device would do, too, but arithmetic there imports torch's
    compiler and sympy: 70 MB, and a second.
    """
    with _Unfilled():
        yield


def spare_compiler() -> None:
    """Keep torch from importing its compiler, or what is as large, for nothing: 67 MB, a second.

    Optimisers import it at first use, only to say which of their methods are not to be compiled.
    What they do is the same without; `torch.compile` would compile less of a loop that holds them.
    And `torch.testing` imports distributed tensors, only to see that two tensors are none.
    """
    for method in vars(torch.optim.Optimizer).values():
        plain = getattr(method, "__wrapped__", None)
        if plain is not None and not hasattr(plain, "__dynamo_disable"):
            plain.__dynamo_disable = plain  # where they look for it
    for kind in (torch.optim.Adam, torch.optim.SGD):
        if kind.step.__name__ != "plain_step" and hasattr(kind.step, "__wrapped__"):
            kind.step = _plain(kind.step.__wrapped__)
    comparison = sys.modules.get("torch.testing._comparison")
    if hasattr(comparison, "_HAS_DTENSOR"):
        comparison._HAS_DTENSOR = False


def _plain(step):
    def plain_step(self, *args, **kwargs):
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return step(self, *args, **kwargs)
    return plain_step


@functools.cache
def _trim():
    """The C library's way to give memory back, where there is one (glibc has it)."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back(result: object = None) -> None:
    """Return freed memory to the system, which glibc else keeps for later, in each thread.

    `result` is what IPython tells whoever it calls after a cell.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


class _Later:
    """Calls `give_back` once nobody has asked for it for a while."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def ask(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(seconds, give_back)
        self._timer.daemon = True
        self._timer.start()


_LATER = _Later()


def give_back_soon(seconds: float = 1.0) -> None:
    """`give_back` when this was not called for so long: a slider that moves is not slowed."""
    _LATER.ask(seconds)


def give_back_after_cells() -> None:
    """In a notebook, `give_back` after each cell from now on; elsewhere nothing."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None and give_back not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", give_back)
