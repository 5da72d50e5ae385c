"""L-BFGS, for what is not linear."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Rows = Float[Tensor, "batch n"]


class LBFGS:
    """Many separate minimisations in step: one value and gradient of each trial at a time.

    A trial that is low enough (Armijo) is accepted, and the next one is a step of length 1 along
    the quasi-Newton direction; otherwise the step is shortened to the parabola's minimum.

    A descent that needs none of this, by Adam, is in lesson 06, "Part 1: the loop".

    Source: Nocedal and Wright, "Numerical Optimization", 2nd ed., algorithms 3.1 and 7.4.

    Attributes:
        point: the best so far, (batch, n).
        trial: where to evaluate next, (batch, n).
    """

    def __init__(self, init: Rows, memory: int = 50):
        self.point, self.trial, self.memory = init, init, memory
        self.value = init.new_full((len(init),), math.inf)
        self.slope, self.direction = torch.zeros_like(init), torch.zeros_like(init)
        self.length = init.new_ones(len(init))
        self.pairs: list[tuple[Tensor, Tensor, Tensor]] = []  # s, y, 1 / s·y (0: no pair)
        self.scale: Tensor | None = None

    def answer(self, value: Float[Tensor, " batch"], slope: Rows) -> Bool[Tensor, " batch"]:
        """Take in the trials' values and gradients; which of them were accepted."""
        promised = _dot(self.slope, self.direction) * self.length  # by the slope, negative
        better = value <= self.value + 1e-4 * promised
        accept = better[:, None]
        if self.scale is None:
            self.scale = 1 / slope.norm(dim=1).clamp(min=1e-12)  # the first step has length 1
        else:
            self._remember(torch.where(accept, self.trial - self.point, 0),
                           torch.where(accept, slope - self.slope, 0))
        lowest = -promised / (2 * (value - self.value - promised))  # of the parabola
        self.length = torch.where(better, 1, self.length * lowest.clamp(0.1, 0.5).nan_to_num(0.5))
        self.point = torch.where(accept, self.trial, self.point)
        self.value = torch.where(better, value, self.value)
        self.slope = torch.where(accept, slope, self.slope)
        self.direction = torch.where(accept, -self._inverse_hessian_times(self.slope),
                                     self.direction)
        self.trial = self.point + self.length[:, None] * self.direction
        return better

    def _remember(self, s: Tensor, y: Tensor) -> None:
        product = _dot(s, y)
        useful = product > 1e-10
        self.pairs = [*self.pairs, (s, y, torch.where(useful, 1 / product, 0))][-self.memory :]
        self.scale = torch.where(useful, product / _dot(y, y), self.scale)

    def _inverse_hessian_times(self, vector: Tensor) -> Tensor:
        """The two loops over the remembered pairs."""
        shares = []
        for s, y, rho in reversed(self.pairs):
            shares.append(rho * _dot(s, vector))
            vector = vector - shares[-1][:, None] * y
        vector = self.scale[:, None] * vector
        for s, y, rho in self.pairs:
            vector = vector + (shares.pop() - rho * _dot(y, vector))[:, None] * s
        return vector


def _dot(a: Rows, b: Rows) -> Float[Tensor, " batch"]:
    return (a * b).sum(dim=1)
