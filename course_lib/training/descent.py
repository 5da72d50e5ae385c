"""Training by descent on one loss: a family brings a recipe, a network and `loss(batch)`.

So learn inverting networks and classifiers, and every generator without an opponent.
"""

import copy
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from course_lib.training.base import Losses, Recipe, Training
from course_lib.training.data import draw_batch, hold_out
from course_lib.training.objective import synchronized_step


@dataclass(frozen=True, kw_only=True)
class DescentRecipe(Recipe):
    """As for every run, and besides:

    Attributes:
        held_out: pictures at the end of the (shuffled) set that training never sees.
        clip: the longest gradient that is followed, longer ones are shortened to it; None for any.
    """

    held_out: int = 0
    clip: float | None = None


class DescentTraining(Training):
    """A network, its averaged weights, its optimiser.

    Attributes:
        data: what it learns from, one row a picture; held: what it never sees.
    """

    learner = "model"
    parts = ("model", "average", "optimizer")
    ships: ClassVar = {"average": "G_ema."}

    def __init__(self, recipe: DescentRecipe, data: Tensor, *, device: torch.device,
                 rank: int = 0, processes: int = 1):
        super().__init__(recipe, device=device, rank=rank, processes=processes)
        if len(data) <= recipe.held_out:
            raise ValueError(
                f"the set has {len(data)} pictures, of which {recipe.held_out} are kept out of "
                f"training, so nothing is left to learn from: pass a larger set."
            )
        self.data, self.held = hold_out(data, recipe.held_out)
        self.data = self.data.to(device)
        network = self.network().to(device, memory_format=torch.channels_last)
        setattr(self, self.learner, network)
        self.average = copy.deepcopy(network).eval() if recipe.ema_thousands else None
        self.optimizer = self.new_optimizer(network)
        self.keep_rates(self.optimizer)

    @abstractmethod
    def network(self) -> nn.Module:
        """What is to learn, before its first step."""

    @abstractmethod
    def loss(self, batch: Tensor) -> tuple[Tensor, Losses]:
        """The loss of a batch, to descend; and its terms, for the log."""

    def new_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Adam, unless a family knows better."""
        return torch.optim.Adam(network.parameters(), lr=self.recipe.learning_rate)

    def draw(self) -> Tensor:
        """A batch (n, 3, r, r) in [-1, 1], mirrored half of the time if the recipe says so."""
        return draw_batch(self.data, self.batch, flip=self.recipe.flip, rng=self.rng,
                          device=self.device)

    def learn(self) -> Losses:
        """One step down the loss of a fresh batch."""
        loss, terms = self.loss(self.draw())
        self.optimizer.zero_grad()
        loss.backward()
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(getattr(self, self.learner).parameters(), self.recipe.clip)
        synchronized_step(self.optimizer)
        return terms
