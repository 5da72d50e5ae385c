"""Going on with a grown StyleGAN2 against the discriminator of a DCGAN of the same pictures.

At this size StyleGAN2's own discriminator learns slowly: its weights move by a fixed step, those
of a DCGAN by a share of their size. The DCGAN's has seen more in an hour of one core, and tells
our generator what it lacks: eyes, backgrounds, kinds that it left out.

    python -m course_lib.training polish cats --data cats64.zip --out runs/cats-polished
        --start-from course_lib/assets/cats.safetensors
        --critic course_lib/assets/cats-dcgan.safetensors

It must not win: at the DCGAN's own settings (rate 0.001, R1 0.1) the generator drew rings to please
it, and the distance of cats went up from 22.3 to 29. At half the rate, with five times the R1, it
came down, and their eyes opened. The mapping network, whose multiplier of 0.01 all but freezes it
in so short a training, moves four times as fast.

Sources: Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", ICLR 2016 (the discriminator); Sauer et al., "Projected GANs Converge
Faster", NeurIPS 2021 (a generator gains from features that were learnt before).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_lib.generators import dcgan
from course_lib.generators.base import part
from course_lib.generators.stylegan2_networks import StyleGAN2Config
from course_lib.training import stylegan2
from course_lib.training.augment import augment
from course_lib.training.objective import precision, take_over
from course_lib.training.stylegan2 import Stage, StyleGAN2Training
from course_lib.weights import StoredWeights


@dataclass(frozen=True)
class Recipe(stylegan2.Recipe):
    """As for growing, with one stage, and besides:

    Attributes:
        mapping_rate: of the mapping network, beside its layers' own multiplier.
        critic_rate, critic_width: the discriminator's learning rate and its channels at 32².
    """

    stages: tuple[Stage, ...] = (Stage(64, 600, 16),)
    r1: float | int = 0.5
    mapping_rate: float | int = 0.01
    critic_rate: float | int = 0.0005
    critic_width: int = 32


RECIPES = {
    "bags": Recipe(flip=True),
    "cats": Recipe(flip=True, translation=1 / 16),
    "shirts": Recipe(flip=True),
    "shoes": Recipe(),
}
shortened = stylegan2.shortened


class PolishTraining(StyleGAN2Training):
    """StyleGAN2's generator, a DCGAN's discriminator."""

    def start_from(self, weights: StoredWeights, critic: StoredWeights | None = None) -> None:
        """Go on from shipped weights; the discriminator from another file, unless polished before.

        Raises:
            ValueError: a part is missing, or has another shape than in this recipe.
        """
        own = part(weights.tensors, "G_ema.")
        judge = part((critic or weights).tensors, "D.")
        for module in (self.generator, self.average):
            take_over(module, own, "generator",
                      "start from a StyleGAN2 of this size (--start-from)")
        take_over(self.discriminator, judge, "critic",
                  "pass the weights of a DCGAN of the same pictures (--critic)")
        self.seen = int(weights.settings["pictures"])

    def _new_discriminator(self, config: StyleGAN2Config) -> nn.Module:
        return dcgan.Discriminator(
            dcgan.DCGANConfig(config.resolution, self.recipe.critic_width))

    def _make_optimizers(self) -> None:
        recipe = self.recipe
        self.g_optimizer = torch.optim.Adam([
            {"params": list(self.generator.synthesis.parameters())},
            {"params": list(self.generator.mapping.parameters()), "lr": recipe.mapping_rate},
        ], lr=recipe.learning_rate, betas=(0.0, 0.99))
        share = recipe.r1_every / (recipe.r1_every + 1)  # as lazy regularisation asks
        self.d_optimizer = torch.optim.Adam(
            self.discriminator.parameters(), lr=recipe.critic_rate * share,
            betas=(0.5**share, 0.99**share))

    def _judge(self, images: Tensor) -> Tensor:
        """Augment, then the critic."""
        images = augment(images, self.recipe.translation, self.recipe.recoloring, self.rng)
        with precision(self.device):
            return self.discriminator(images).float()
