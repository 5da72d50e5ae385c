"""Training by a game: the discriminator tells real from generated, the generator fools it.

A family brings its two players and their optimisers, how a batch is painted and how it is judged;
the losses are those of `objective`, unless it has its own.
"""

import copy
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from course_lib.training.augment import augment
from course_lib.training.base import Losses, Recipe, Training
from course_lib.training.data import Dataset, downsample, draw_batch
from course_lib.training.objective import (
    generator_loss,
    precision,
    synchronized_step,
    teach_discriminator,
)


@dataclass(frozen=True, kw_only=True)
class AdversarialRecipe(Recipe):
    """As for every run, and besides:

    Attributes:
        r1: weight γ of the gradient penalty, applied every `r1_every` steps; 0 for none.
        translation, recoloring, cutout: augmentation, as a fraction of the size and of the range.
    """

    z_dim: int = 128
    r1: float = 0
    r1_every: int = 16
    translation: float = 1 / 8
    recoloring: float = 0
    cutout: float = 0


class AdversarialTraining(Training):
    """The two players and their optimisers.

    Attributes:
        pictures: the set, at the resolution that is trained.
    """

    learner = "generator"
    parts = ("generator", "average", "discriminator", "g_optimizer", "d_optimizer")
    ships: ClassVar = {"average": "G_ema.", "discriminator": "D."}

    def __init__(self, recipe: AdversarialRecipe, data: Dataset, *, device: torch.device,
                 rank: int = 0, processes: int = 1):
        super().__init__(recipe, device=device, rank=rank, processes=processes)
        self.data = data
        self.build_players()
        for seed in (torch.manual_seed, self.rng.manual_seed):  # each process draws its own
            seed(recipe.seed + 1 + rank)

    @abstractmethod
    def players(self) -> dict[str, nn.Module]:
        """The generator and its opponent, by the names of their attributes."""

    @abstractmethod
    def optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """The generator's, and its opponent's."""

    @abstractmethod
    def paint(self) -> Tensor:
        """A batch of generated pictures in [-1, 1]."""

    def build_players(self) -> None:
        """Both, at the recipe's resolution, before they have seen a picture."""
        self.pictures = downsample(self.data, self.recipe.resolution).to(self.device)
        self.seat(self.players())

    def seat(self, players: dict[str, nn.Module], average: nn.Module | None = None) -> None:
        """Put the players in their place, with averaged weights and optimisers."""
        place = {"device": self.device, "memory_format": torch.channels_last}
        for name, player in players.items():
            setattr(self, name, player.to(**place))
        average = copy.deepcopy(self.generator) if average is None else average.to(**place)
        self.average = average.eval()
        self.g_optimizer, self.d_optimizer = self.optimizers()
        self.keep_rates(self.g_optimizer, self.d_optimizer)

    def learn(self) -> Losses:
        """Show one batch to both players; their losses."""
        return self.discriminator_step() | self.generator_step()

    def draw(self) -> Tensor:
        """A batch of real pictures in [-1, 1]."""
        return draw_batch(self.pictures, self.batch, flip=self.recipe.flip, rng=self.rng,
                          device=self.device)

    def augmented(self, images: Tensor) -> Tensor:
        """As both players' pictures are before they are judged."""
        recipe = self.recipe
        return augment(images, recipe.translation, recipe.recoloring, self.rng, recipe.cutout)

    def judge(self, images: Tensor) -> Tensor:
        """Augment, then the discriminator: logits (batch, 1)."""
        images = self.augmented(images)
        with precision(self.device):
            return self.discriminator(images).float()

    @property
    def r1(self) -> float:
        """The weight of the gradient penalty."""
        return self.recipe.r1

    def discriminator_step(self) -> Losses:
        """One step of the discriminator, on as many real pictures as generated ones."""
        real, every = self.draw(), self.recipe.r1_every
        with torch.no_grad():
            fake = self.paint()
        r1 = self.r1 * every if self.r1 and self.steps % every == 0 else None
        return teach_discriminator(self.judge, real, fake, self.d_optimizer, r1)

    def generator_step(self) -> Losses:
        """One step of the generator, through the discriminator."""
        self.discriminator.requires_grad_(False)
        loss, terms = self.generator_loss()
        self.g_optimizer.zero_grad()
        loss.backward()
        self.discriminator.requires_grad_(True)
        synchronized_step(self.g_optimizer)
        return terms

    def generator_loss(self) -> tuple[Tensor, Losses]:
        """What the generator descends, and its terms."""
        loss = generator_loss(self.judge(self.paint()))
        return loss, {"generator": loss}


def lazy_adam(
    modules: list[nn.Module], rate: float, every: int, *,
    betas: tuple[float, float] = (0.0, 0.99),
) -> torch.optim.Adam:
    """Adam, slowed where a penalty is added every so many steps, as lazy regularisation asks.

    Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020,
    appendix B.
    """
    share = every / (every + 1) if every else 1
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return torch.optim.Adam(parameters, lr=rate * share, eps=1e-8,
                            betas=tuple(beta**share for beta in betas))


def adam_with_mapping(
    generator: nn.Module, rate: float, mapping_rate: float
) -> torch.optim.Adam:
    """Adam with a rate of its own for the mapping network, if the generator has one."""
    mapping = list(getattr(generator, "mapping", nn.Module()).parameters())
    apart = {id(parameter) for parameter in mapping}
    rest = [parameter for parameter in generator.parameters() if id(parameter) not in apart]
    groups = [{"params": rest}, {"params": mapping, "lr": mapping_rate}]
    return torch.optim.Adam(groups[: 1 + bool(mapping)], lr=rate, betas=(0.0, 0.99))
