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

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_lib.generators.base import Generator
from course_lib.generators.biggan_networks import StoredNorm
from course_lib.generators.dcgan import DCGAN, DCGANConfig, Discriminator
from course_lib.training.adversarial import AdversarialRecipe, AdversarialTraining, lazy_adam
from course_lib.training.objective import precision


@dataclass(frozen=True, kw_only=True)
class Recipe(AdversarialRecipe):
    """As for every game, and besides:

    Attributes:
        width: channels of both players at half the pictures' resolution.
        discriminator_rate: the learning rate of D.
        momentum: Adam's β1, 0.5 in the paper.
    """

    z_dim: int = 100
    r1: float = 0.1
    width: int = 32
    discriminator_rate: float = 0.001
    momentum: float = 0.5


RECIPES = {
    "cats": Recipe(flip=True, translation=1 / 16),
}


class DCGANTraining(AdversarialTraining):
    """DCGAN: two players, at one resolution."""

    family = architecture = "dcgan"
    recipes = RECIPES

    def players(self) -> dict[str, nn.Module]:
        """Of the recipe's size."""
        config = DCGANConfig(self.recipe.resolution, self.recipe.width, self.recipe.z_dim)
        return {"generator": DCGAN(config), "discriminator": Discriminator(config)}

    def optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """D's is slowed for its gradient penalty."""
        recipe, betas = self.recipe, (self.recipe.momentum, 0.99)
        return (lazy_adam([self.generator], recipe.learning_rate, 0, betas=betas),
                lazy_adam([self.discriminator], recipe.discriminator_rate, recipe.r1_every,
                          betas=betas))

    @torch.no_grad()
    def samples(self, n: int, *, truncation_psi: float = 1, seed: int = 0) -> Tensor:
        """Pictures (n, 3, r, r) in [0, 1] from the averaged weights."""
        rng = torch.Generator().manual_seed(seed)
        settle_statistics(self.average, rng)
        z = truncation_psi * torch.randn(n, self.recipe.z_dim, generator=rng).to(self.device)
        pictures = [self.average(some) for some in z.split(50)]
        return (torch.cat(pictures) + 1).div(2).clamp(0, 1)

    def paint(self) -> Tensor:
        """A batch of generated pictures in [-1, 1]."""
        z = torch.randn(self.batch, self.recipe.z_dim, generator=self.rng)
        with precision(self.device):
            return self.generator(z.to(self.device)).float()


@torch.no_grad()
def settle_statistics(
    generator: Generator, rng: torch.Generator, *, classes: int = 0, batches: int = 16
) -> None:
    """Give batch norm the statistics that these very weights produce, over many codes.

    Averaged weights never saw a batch: the statistics that training followed are those of other
    weights. Until this is done, averaged pictures are pale or broken.
    """
    norms = [module for module in generator.modules()
             if isinstance(module, nn.BatchNorm2d | StoredNorm)]
    if not norms:
        return
    generator.train()
    for number in range(batches):
        for norm in norms:
            norm.momentum = 1 / (number + 1)  # the plain mean over batches
        z = torch.randn(64, generator.z_dim, generator=rng).to(generator.device)
        labels = torch.randint(classes, (64,), generator=rng).to(z.device) if classes else None
        generator(z, *([] if labels is None else [labels]))
    generator.eval()
