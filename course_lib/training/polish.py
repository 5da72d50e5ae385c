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
in so short a training, moves four times as fast. Towards the end, all rates fall.

The generator may have more channels than the one it begins with, or twice the resolution: then
both players are enlarged first (`widen`), and begin as the very functions they were:

    python -m course_lib.training polish cats-128 --data cats.zip --out runs/cats-128
        --start-from course_lib/assets/cats.safetensors

Sources: Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", ICLR 2016 (the discriminator); Sauer et al., "Projected GANs Converge
Faster", NeurIPS 2021 (a generator gains from features that were learnt before).
"""

import argparse
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from course_lib.generators import dcgan
from course_lib.generators.base import select_prefix
from course_lib.generators.stylegan2_networks import StyleGAN2Config
from course_lib.training import stylegan2
from course_lib.training.adversarial import AdversarialTraining, adam_with_mapping, lazy_adam
from course_lib.training.base import require_file
from course_lib.training.objective import take_over
from course_lib.training.stylegan2 import Stage, StyleGAN2Training
from course_lib.training.widen import deepen_discriminator, widen_generator
from course_lib.weights import StoredWeights, read_weights


@dataclass(frozen=True)
class Recipe(stylegan2.Recipe):
    """As for growing, with one stage, and besides:

    Attributes:
        mapping_rate: of the mapping network, beside its layers' own multiplier.
        critic_rate, critic_width: the discriminator's learning rate, and its channels at half
            the pictures' resolution.
    """

    stages: tuple[Stage, ...] = (Stage(64, 600, 16),)
    _: KW_ONLY
    r1: float = 0.5
    steady: float = 0.5
    mapping_rate: float = 0.01
    critic_rate: float = 0.0005
    critic_width: int = 32


RECIPES = {
    "cats": Recipe(flip=True, translation=1 / 16),
    # Trained with R1 2 at first, for 206 thousand pictures: of another set, after 140 s of a GPU,
    # the distance was 18.6 with it, 19.8 with 0.5 and half the critic's rate, and 21.2 with 0.2 in
    # batches of 32.
    "cats-128": Recipe((Stage(128, 589, 64),), channel_base=4096, channel_max=112, critic_width=16,
                       flip=True, translation=1 / 16),
}


class PolishTraining(StyleGAN2Training):
    """A grown StyleGAN2, against a DCGAN's discriminator."""

    family = "polish"
    recipes = RECIPES

    @classmethod
    def add_options(cls, parser: argparse.ArgumentParser) -> None:
        """And where the discriminator comes from."""
        super().add_options(parser)
        parser.add_argument("--critic", type=Path,
                            help="at first: weights of a DCGAN of the same pictures")

    @classmethod
    def check_options(cls, options: argparse.Namespace, *, resumes: bool) -> None:
        """There must be something to polish."""
        super().check_options(options, resumes=resumes)
        require_file(options.critic, "--critic", f"{options.recipe}-dcgan.safetensors")
        if not (options.start_from or resumes):
            raise ValueError(
                "there is nothing to polish: pass the weights of a StyleGAN2, --start-from "
                "course_lib/assets/cats.safetensors, and, unless they were polished before, those "
                "of a DCGAN, --critic course_lib/assets/cats-dcgan.safetensors")

    def begin(self, options: argparse.Namespace) -> None:
        """Take the pictures' painter, and its critic if it comes from another file."""
        critic = read_weights(options.critic) if options.critic else None
        self.start_from(read_weights(options.start_from), critic)

    def start_from(self, weights: StoredWeights, critic: StoredWeights | None = None) -> None:
        """Go on from shipped weights; the discriminator from another file, unless polished before.

        Pictures are counted anew at twice the resolution.

        Raises:
            ValueError: a part is missing, or has another shape than in this recipe.
        """
        own = widen_generator(select_prefix(weights.tensors, "G_ema."), self.generator)
        judge = select_prefix((critic or weights).tensors, "D.")
        doubled = f"convs.b{self.stage.resolution // 4}.weight" in judge and (
            f"convs.b{self.stage.resolution // 2}.weight" not in judge)
        if doubled:
            judge = deepen_discriminator(judge, self.discriminator)
        for module in (self.generator, self.average):
            module.load_state_dict(own)
        take_over(self.discriminator, judge, "critic",
                  "pass the weights of a DCGAN of the same pictures (--critic)")
        self.seen = 0 if doubled else int(weights.settings["pictures"])

    def new_discriminator(self, config: StyleGAN2Config) -> nn.Module:
        """A DCGAN's."""
        return dcgan.Discriminator(
            dcgan.DCGANConfig(config.resolution, self.recipe.critic_width))

    def optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """The mapping network at a rate of its own."""
        recipe = self.recipe
        return (adam_with_mapping(self.generator, recipe.learning_rate, recipe.mapping_rate),
                lazy_adam([self.discriminator], recipe.critic_rate, recipe.r1_every,
                          betas=(0.5, 0.99)))

    def judge(self, images: Tensor) -> Tensor:
        """Augment, then the critic."""
        return AdversarialTraining.judge(self, images)
