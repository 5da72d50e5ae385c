"""Values that are dear to compute and come from tensors: kept until those tensors change."""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

import torch
from torch import Tensor

Value = TypeVar("Value")


class Cache:
    """One value a key, with copies of the tensors that it was computed from."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[list[Tensor], object]] = {}

    def get(self, key: Hashable, origin: Iterable[Tensor], compute: Callable[[], Value]) -> Value:
        """The value of `key`; computed anew unless `origin` holds the same numbers as before.

        Args:
            origin: all tensors that the value depends on. They are compared number by number, so
                that changes in place are seen, too.
        """
        origin = list(origin)
        if key not in self._known or not _equal(self._known[key][0], origin):
            self._known[key] = [one.detach().clone() for one in origin], compute()
        return self._known[key][1]


def _equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(
        a.device == b.device and torch.equal(a, b) for a, b in zip(first, second, strict=True))
