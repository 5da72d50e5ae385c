"""Training DCGAN: the plain game of two players, at one resolution from the start.

Sources: Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", ICLR 2016, section 4 (Adam); Mescheder et al., "Which Training Methods for
GANs do actually Converge?", ICML 2018 (the gradient penalty, which stands in for the
discriminator's batch norm); Yazıcı et al., "The Unusual Effectiveness of Averaging in GAN
Training", ICLR 2019.

Deviations from the paper: small batches and a rate five times as large, since minutes on a CPU
are few: in 48 s of one core the pictures' sliced Wasserstein distance came down to 47, against
172 with the paper's rate and batch norm in the discriminator.
"""

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from course_lib.generators.base import part
from course_lib.generators.dcgan import DCGAN, DCGANConfig, Discriminator
from course_lib.training.augment import augment
from course_lib.training.data import Dataset, draw_batch, halved
from course_lib.training.objective import (
    ema_decay,
    follow,
    generator_loss,
    improve,
    precision,
    take_over,
    teach_discriminator,
)
from course_lib.weights import StoredWeights


@dataclass(frozen=True)
class Recipe:
    """All that one training run depends on, besides its data.

    Attributes:
        thousands: how many thousand pictures to show, in batches of `batch`.
        flip: whether a mirrored picture of the set is a picture of the set.
        learning_rate, discriminator_rate: of G and of D.
        momentum: Adam's β1, 0.5 in the paper.
        r1: weight γ of the gradient penalty, applied every `r1_every` steps.
        translation, recoloring: augmentation, as a fraction of the size and of the range.
        ema_thousands: horizon of the averaged weights, shorter in the beginning.
    """

    thousands: float | int = 600
    batch: int = 16
    resolution: int = 64
    width: int = 32
    z_dim: int = 100
    flip: bool = False
    learning_rate: float | int = 0.001
    discriminator_rate: float | int = 0.001
    momentum: float | int = 0.5
    r1: float | int = 0.1
    r1_every: int = 16
    translation: float | int = 1 / 8
    recoloring: float | int = 0
    ema_thousands: float | int = 10
    seed: int = 0


RECIPES = {
    "shoes": Recipe(),
    "cats": Recipe(flip=True, translation=1 / 16),
    "shirts": Recipe(flip=True),
}


class DCGANTraining:
    """The two players, their optimisers, and how far they are.

    Attributes:
        average: the generator with averaged weights, the one that is kept.
        seen: real pictures shown so far, all processes together.
    """

    def __init__(self, recipe: Recipe, data: Dataset, *, device: torch.device,
                 rank: int = 0, processes: int = 1):
        self.recipe, self.device, self.processes = recipe, device, processes
        self.pictures = halved(data, recipe.resolution).to(device)
        self.seen, self.steps = 0, 0
        torch.manual_seed(recipe.seed)  # the same first weights in every process
        config = DCGANConfig(recipe.resolution, recipe.width, recipe.z_dim)
        place = {"device": device, "memory_format": torch.channels_last}
        self.generator = DCGAN(config).to(**place)
        self.average = copy.deepcopy(self.generator).eval()
        self.discriminator = Discriminator(config).to(**place)
        betas, share = (recipe.momentum, 0.99), recipe.r1_every / (recipe.r1_every + 1)
        self.g_optimizer = torch.optim.Adam(
            self.generator.parameters(), lr=recipe.learning_rate, betas=betas)
        self.d_optimizer = torch.optim.Adam(  # slower, as lazy regularisation asks
            self.discriminator.parameters(), lr=recipe.discriminator_rate * share,
            betas=tuple(beta**share for beta in betas))
        self.rng = torch.Generator().manual_seed(recipe.seed + 1 + rank)

    @property
    def done(self) -> bool:
        """Whether all pictures were shown."""
        return self.seen >= 1000 * self.recipe.thousands

    def step(self) -> dict[str, Tensor]:
        """Show one batch to both players; their losses."""
        losses = self._discriminator_step() | self._generator_step()
        shown = self.recipe.batch * self.processes
        self.seen += shown
        self.steps += 1
        decay = ema_decay(shown, self.seen, self.recipe.ema_thousands)
        follow(self.average, self.generator, decay)
        return losses

    @torch.no_grad()
    def samples(self, n: int, *, truncation_psi: float | int = 1, seed: int = 0) -> Tensor:
        """Pictures (n, 3, r, r) in [0, 1] from the averaged weights."""
        rng = torch.Generator().manual_seed(seed)
        settle_statistics(self.average, rng)
        z = truncation_psi * torch.randn(n, self.recipe.z_dim, generator=rng).to(self.device)
        pictures = [self.average(some) for some in z.split(50)]
        return (torch.cat(pictures) + 1).div(2).clamp(0, 1)

    def state(self) -> dict:
        """All that training goes on from; tensors and numbers only."""
        return {name: one.state_dict() for name, one in self._parts().items()} | {
            "seen": self.seen, "steps": self.steps, "rng": self.rng.get_state(),
        }

    def load(self, state: dict) -> None:
        """Go on from a stored `state`."""
        for name, one in self._parts().items():
            one.load_state_dict(state[name])
        self.seen, self.steps = state["seen"], state["steps"]
        self.rng.set_state(state["rng"].cpu())

    def start_from(self, weights: StoredWeights) -> None:
        """Go on from shipped weights, whose optimisers' state is lost."""
        for name, prefix, module in (("generator", "G_ema.", self.generator),
                                     ("generator", "G_ema.", self.average),
                                     ("discriminator", "D.", self.discriminator)):
            own = part(weights.tensors, prefix)
            take_over(module, own, name, "take weights that this recipe made")
        self.seen = int(weights.settings["pictures"])

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {"generator": self.generator, "average": self.average,
                "discriminator": self.discriminator,
                "g_optimizer": self.g_optimizer, "d_optimizer": self.d_optimizer}

    def _paint(self) -> Tensor:
        """A batch of generated pictures in [-1, 1]."""
        z = torch.randn(self.recipe.batch, self.recipe.z_dim, generator=self.rng)
        with precision(self.device):
            return self.generator(z.to(self.device)).float()

    def _judge(self, images: Tensor) -> Tensor:
        """Augment, then the discriminator."""
        images = augment(images, self.recipe.translation, self.recipe.recoloring, self.rng)
        with precision(self.device):
            return self.discriminator(images).float()

    def _discriminator_step(self) -> dict[str, Tensor]:
        recipe = self.recipe
        real = draw_batch(self.pictures, recipe.batch, flip=recipe.flip,
                          rng=self.rng, device=self.device)
        with torch.no_grad():
            fake = self._paint()
        penalized = recipe.r1 and self.steps % recipe.r1_every == 0
        r1 = recipe.r1 * recipe.r1_every if penalized else None
        return teach_discriminator(self._judge, real, fake, self.d_optimizer, r1)

    def _generator_step(self) -> dict[str, Tensor]:
        self.discriminator.requires_grad_(False)
        loss = generator_loss(self._judge(self._paint()))
        self.g_optimizer.zero_grad()
        loss.backward()
        self.discriminator.requires_grad_(True)
        improve(self.g_optimizer)
        return {"generator": loss.detach()}


@torch.no_grad()
def settle_statistics(generator: DCGAN, rng: torch.Generator, *, batches: int = 16) -> None:
    """Give batch norm the statistics that these very weights produce, over many codes.

    Averaged weights never saw a batch: the statistics that training followed are those of other
    weights. Until this is done, averaged pictures are pale or broken.
    """
    norms = [module for module in generator.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
    generator.train()
    for _ in range(batches):
        generator(torch.randn(64, generator.z_dim, generator=rng).to(generator.device))
    generator.eval()


def shortened(recipe: Recipe, share: float | int) -> Recipe:
    """The same recipe with fewer pictures, for a trial."""
    return replace(recipe, thousands=recipe.thousands * share)
