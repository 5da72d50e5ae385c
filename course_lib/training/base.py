"""What every training shares: a recipe, random numbers, averaged weights, and how all is kept.

A family of generators, or of other networks, stands on one of two classes: `AdversarialTraining`
where two players learn against each other, `DescentTraining` where one network goes down a loss.
It brings a recipe and a loss; steps, averages, checkpoints, the command line and the export are
here.
"""

import argparse
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from course_lib.generators.base import select_prefix
from course_lib.training.data import Dataset, read_pictures
from course_lib.training.measuring import Report, report_generator
from course_lib.training.objective import ema_decay, take_over, update_ema
from course_lib.weights import StoredWeights, read_weights

Losses = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a run depends on, besides its data.

    Attributes:
        thousands: how many thousand pictures to show, in batches of `batch`.
        flip: whether a mirrored picture of the set is a picture of the set.
        steady: share of the pictures before the rates fall, linearly, to a twentieth; 1 for rates
            that never fall.
        ema_thousands: horizon of the averaged weights, shorter in the beginning; 0 for none.
    """

    thousands: float = 600
    batch: int = 16
    resolution: int = 64
    flip: bool = False
    learning_rate: float = 0.001
    steady: float = 1
    ema_thousands: float = 10
    seed: int = 0

    def shortened(self, share: float) -> "Recipe":
        """The same recipe with a share of its pictures, for a trial."""
        return replace(self, thousands=self.thousands * share)


class Training(ABC):
    """One run: what learns, its optimisers, and how far it is.

    Of a class:
        family, recipes: as the command line knows them.
        learner: the part whose weights are averaged.
        parts: attributes with a state of their own, networks and optimisers, as a checkpoint calls
            them; counts: plain values beside them.
        ships: of the exported file, which part's weights are stored under which prefix.
        architecture: what the exported file says it holds; suffix: how its name ends.
        grid: how finely exported weights are rounded (see `export.round_weights`), None for not
            at all.

    Attributes:
        average: the network with averaged weights, the one that is kept; None without.
        seen: pictures shown so far, all processes together.
        begun: of them, those of the weights it started from, if its recipe counts from there.
        full_rates: of each optimiser, before they fall.
    """

    family: ClassVar[str]
    recipes: ClassVar[Mapping[str, Recipe]]
    learner: ClassVar[str]
    parts: ClassVar[tuple[str, ...]]
    counts: ClassVar[tuple[str, ...]] = ("seen", "steps", "begun")
    ships: ClassVar[Mapping[str, str]]
    architecture: ClassVar[str]
    suffix: ClassVar[str] = ""
    grid: ClassVar[int | None] = 16

    def __init__(self, recipe: Recipe, *, device: torch.device, rank: int = 0, processes: int = 1):
        self.recipe, self.device, self.rank, self.processes = recipe, device, rank, processes
        self.seen = self.steps = self.begun = 0
        self.average: nn.Module | None = None
        self.full_rates: dict[torch.optim.Optimizer, list[float]] = {}
        torch.manual_seed(recipe.seed)  # the same first weights in every process
        self.rng = torch.Generator().manual_seed(recipe.seed + rank)

    @abstractmethod
    def learn(self) -> Losses:
        """Draw a batch and learn from it; the losses."""

    @property
    def done(self) -> bool:
        """Whether the recipe's pictures have been shown."""
        return self.seen - self.begun >= 1000 * self.recipe.thousands

    @property
    def batch(self) -> int:
        """How many pictures a step shows, in each process."""
        return self.recipe.batch

    def step(self) -> Losses:
        """Show one batch; the losses."""
        self.set_rates()
        losses = self.learn()
        shown = self.batch * self.processes
        self.seen += shown
        self.steps += 1
        if self.average is not None:
            decay = ema_decay(shown, self.seen - self.begun, self.recipe.ema_thousands)
            update_ema(self.average, getattr(self, self.learner), decay)
        return {name: value.detach() for name, value in losses.items()}

    def rate(self, full: float, progress: float) -> float:
        """The learning rate after a share `progress` of the pictures."""
        steady = self.recipe.steady
        return full if steady >= 1 else full * min(1.0, max(0.05, (1 - progress) / (1 - steady)))

    def set_rates(self) -> None:
        """Give the optimisers the rates of this time."""
        progress = (self.seen - self.begun) / max(1, 1000 * self.recipe.thousands)
        for optimizer, rates in self.full_rates.items():
            for group, full in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = self.rate(full, progress)

    def keep_rates(self, *optimizers: torch.optim.Optimizer) -> None:
        """Take the rates that these optimisers were made with for the full ones."""
        self.full_rates = {one: [group["lr"] for group in one.param_groups] for one in optimizers}

    @torch.no_grad()
    def samples(self, n: int, *, seed: int = 0) -> Tensor:
        """Pictures to look at, (n, 3, r, r) in [0, 1]: of a generator, what it draws."""
        latent = self.kept.sample_latent(n, rng=torch.Generator().manual_seed(seed))
        return torch.cat([self.kept.decode(some) for some in latent.split(25)]).clamp(0, 1)

    @property
    def kept(self) -> nn.Module:
        """The network that is exported: the averaged one, if there is one."""
        return getattr(self, self.learner) if self.average is None else self.average

    def state(self) -> dict:
        """All that training goes on from; tensors and numbers only."""
        cuda = torch.cuda.get_rng_state() if self.device.type == "cuda" else None
        return {name: one.state_dict() for name, one in self._parts().items()} | {
            name: getattr(self, name) for name in self.counts} | {
            "family": self.family, "rng": self.rng.get_state(),
            "torch_rng": torch.get_rng_state(), "cuda_rng": cuda} | self.facts()

    def facts(self) -> dict:
        """What the export needs to know besides, of a checkpoint alone."""
        return {}

    def load(self, state: dict) -> None:
        """Go on from a stored `state`, at the recipe's rates."""
        for name, one in self._parts().items():
            one.load_state_dict(state[name])
        for name in self.counts:
            setattr(self, name, state.get(name, getattr(self, name)))
        self.set_rates()
        if self.rank:  # it is the first process's state: the others draw pictures of their own
            self.rng.manual_seed(self.recipe.seed + 1 + self.rank + 1000 * self.seen)
            return
        self.rng.set_state(state["rng"].cpu())
        if "torch_rng" in state:
            torch.set_rng_state(state["torch_rng"].cpu())
        if state.get("cuda_rng") is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"].cpu())

    def start_from(self, weights: StoredWeights) -> None:
        """Go on from shipped weights, whose optimisers' state is lost.

        Raises:
            ValueError: a part is missing, or has another shape than in this recipe.
        """
        for name, prefix in self.ships.items():
            network = self.kept if name == "average" else getattr(self, name)
            take_over(network, select_prefix(weights.tensors, prefix), name,
                      "take weights that this recipe made")
        if self.average is not None:
            getattr(self, self.learner).load_state_dict(self.average.state_dict())
        self.seen = int(weights.settings.get("pictures", 0))

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        found = {name: getattr(self, name) for name in self.parts}
        return {name: one for name, one in found.items() if one is not None}

    @classmethod
    def add_options(cls, parser: argparse.ArgumentParser) -> None:
        """What the command line takes for every family; one with more adds it."""
        parser.add_argument("recipe", choices=sorted(cls.recipes), metavar="recipe",
                            help=", ".join(sorted(cls.recipes)))
        parser.add_argument("--data", required=True, help="zip or folder of square pictures")
        parser.add_argument("--out", required=True, type=Path, help="checkpoint, log and sheets")
        parser.add_argument("--start-from", type=Path, help="shipped weights to go on from")
        parser.add_argument("--minutes", type=float, help="stop after so long; run again to go on")
        parser.add_argument("--share", type=float, default=1, help="of the recipe's pictures")
        parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")

    @classmethod
    def check_options(cls, options: argparse.Namespace, *, resumes: bool) -> None:
        """Refuse what can't work, before anything is read.

        Args:
            resumes: whether there is a checkpoint to go on from.
        Raises:
            ValueError: in a sentence for whoever wrote the command line.
        """
        require_file(options.start_from, "--start-from", f"{options.recipe}.safetensors")
        if options.minutes is not None and not options.minutes >= 0:
            raise ValueError(f"--minutes {options.minutes:g} is no span of time: pass 0 or more")

    @classmethod
    def build(cls, recipe: Recipe, options: argparse.Namespace, **place) -> "Training":
        """The run that the command line asks for, before its first step.

        Args:
            place: device, rank and processes.
        """
        return cls(recipe, read_pictures(options.data, recipe.resolution), **place)

    def begin(self, options: argparse.Namespace) -> None:
        """Take what a new run is to start from."""
        if options.start_from:
            self.start_from(read_weights(options.start_from))

    @classmethod
    def tensors(cls, state: dict) -> dict[str, Tensor]:
        """What ships, of a checkpoint."""
        return {f"{prefix}{key}": value for name, prefix in cls.ships.items()
                for key, value in state[name if name in state else cls.learner].items()}

    @classmethod
    def settings(cls, state: dict) -> dict[str, object]:
        """What the exported file says of itself."""
        config = {"config": state["config"]} if "config" in state else {}
        return config | {"family": cls.architecture, "pictures": state["seen"]}

    @classmethod
    def report(cls, path: Path, state: dict, pictures: Callable[[int], Dataset], run: Path,
               recognized: int | None) -> Report:
        """What was measured of the exported file, for its card.

        Args:
            pictures: the set it learnt from, at a resolution.
            run: where sheets to look at go.
            recognized: how many of the sheet's 100 samples a person recognised.
        """
        return report_generator(path, cls.settings(state), pictures, run, recognized)


def require_file(path: Path | None, option: str, example: str) -> None:
    """That what an option names exists, if it names anything.

    Raises:
        ValueError: it doesn't.
    """
    if path is not None and not path.exists():
        raise ValueError(
            f"{option} {path} does not exist, so there is nothing to begin with: pass a file, such "
            f"as course_lib/assets/{example}"
        )
