"""Training StyleGAN2, growing: first at 16², then each doubling is faded in.

Sources: Karras et al., "Progressive Growing of GANs", ICLR 2018 (growing, which the skip
generator allows); Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR
2020 (losses, lazy regularisation).
"""

import copy
from dataclasses import KW_ONLY, dataclass, field, replace

import torch
from torch import Tensor, nn

from course_lib.generators.base import select_prefix
from course_lib.generators.stylegan2 import StyleGAN2
from course_lib.generators.stylegan2_networks import (
    Discriminator,
    StyleGAN2Config,
    official_channels,
    smooth,
    upsample,
)
from course_lib.training.adversarial import AdversarialRecipe, AdversarialTraining, lazy_adam
from course_lib.training.base import Losses
from course_lib.training.codes import center_mean, mixed_codes
from course_lib.training.data import downsample
from course_lib.training.objective import PathLength, generator_loss, precision
from course_lib.weights import StoredWeights


@dataclass(frozen=True)
class Stage:
    """One resolution of the growth: how many thousand pictures, in batches of what size.

    Attributes:
        learning_rate, r1: in place of the recipe's, if not None.
    """

    resolution: int
    thousands: float
    batch: int
    learning_rate: float | None = None
    r1: float | None = None


@dataclass(frozen=True, kw_only=True)
class StyleRecipe(AdversarialRecipe):
    """As for every game, and besides:

    Attributes:
        channel_base, channel_max, mapping_layers: the size of a StyleGAN2.
        mixing: share of pictures that two codes style.
    """

    channel_base: int = 1536
    channel_max: int = 96
    mapping_layers: int = 4
    mixing: float = 0.5


@dataclass(frozen=True)
class Recipe(StyleRecipe):
    """As for every StyleGAN2, but with pictures and batches by stage, and besides:

    Attributes:
        path_length: weight of the path length penalty, every 4 steps; 0 for none.
        fade_thousands: of pictures over which a new resolution is faded in.
        noise: "random" or "none" noise maps; without, small models learn faster.
        thousands, resolution, batch: of all stages together, and of the last.
    """

    stages: tuple[Stage, ...]
    _: KW_ONLY
    w_dim: int = 128
    learning_rate: float = 0.0025
    r1: float = 0.3
    path_length: float = 0
    fade_thousands: float = 10
    noise: str = "none"
    thousands: float = field(init=False)
    resolution: int = field(init=False)
    batch: int = field(init=False)

    def __post_init__(self):
        last = self.stages[-1]
        thousands = sum(stage.thousands for stage in self.stages)
        for name, value in (("thousands", thousands), ("resolution", last.resolution),
                            ("batch", last.batch)):
            object.__setattr__(self, name, value)

    def shortened(self, share: float) -> "Recipe":
        """The same recipe with a share of each stage's pictures, for a trial."""
        stages = (replace(stage, thousands=stage.thousands * share) for stage in self.stages)
        return replace(self, stages=tuple(stages))


# Far from the seeds that people draw codes with: weights that are those very numbers single the
# codes out. Of networks begun with seed 0, codes of seed 0 lay twice as far from the mean.
NEW_WEIGHTS = 1_000_000_007

# Small batches, as steps count early on, and at first a small R1: with 0.2, which larger networks
# like, cats were no faces after 40 thousand pictures, and with 0.0125 they were after 25. At 64² it
# must grow, or D wins and G makes ever fewer kinds: with 0.05 and a rate of 0.001, the distance of
# another set went from 28.0 to 27.7 in 14 thousand pictures, with 1 and 0.002 to 23.1 in 12.
GROWTH = (Stage(16, 30, 32), Stage(32, 70, 16), Stage(64, 600, 16, learning_rate=0.002, r1=1))

RECIPES = {
    "cats": Recipe(GROWTH, flip=True, r1=0.0125, translation=1 / 16),
}


class StyleGAN2Training(AdversarialTraining):
    """StyleGAN2: two players that grow.

    Attributes:
        level: the stage that is being trained; fade: how much of its resolution counts, 0 to 1.
        outgoing: how the discriminator read pictures of half the size, while those are faded out.
    """

    family = architecture = "stylegan2"
    recipes = RECIPES
    parts = (*AdversarialTraining.parts, "outgoing")
    counts = (*AdversarialTraining.counts, "level")

    @property
    def stage(self) -> Stage:
        """The one that is being trained."""
        return self.recipe.stages[self.level]

    @property
    def batch(self) -> int:
        """Of this stage."""
        return self.stage.batch

    @property
    def r1(self) -> float:
        """Of this stage, if it has its own."""
        return self.recipe.r1 if self.stage.r1 is None else self.stage.r1

    def build_players(self) -> None:
        """Those of the first stage."""
        self.enter(0)

    def players(self) -> dict[str, nn.Module]:
        """Of this stage's size, before they have learnt anything."""
        recipe = self.recipe
        channels = official_channels(
            self.stage.resolution, recipe.channel_base, recipe.channel_max
        )
        config = StyleGAN2Config(channels, recipe.z_dim, recipe.w_dim,
                                 mapping_layers=recipe.mapping_layers)
        return {"generator": StyleGAN2(config), "discriminator": self.new_discriminator(config)}

    def new_discriminator(self, config: StyleGAN2Config) -> nn.Module:
        """For pictures of such a generator."""
        return Discriminator(config)

    def optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """At the stage's rate."""
        recipe, own = self.recipe, self.stage.learning_rate
        rate = recipe.learning_rate if own is None else own
        judges = [self.discriminator] + ([self.outgoing] if self.outgoing else [])
        return (lazy_adam([self.generator], rate, 4 if recipe.path_length else 0),
                lazy_adam(judges, rate, recipe.r1_every))

    def learn(self) -> Losses:
        """Show one batch to both players; grow first, when it is time."""
        begin = 1000 * sum(stage.thousands for stage in self.recipe.stages[: self.level])
        if self.seen >= begin + 1000 * self.stage.thousands and not self.done:
            begin += 1000 * self.stage.thousands
            self.enter(self.level + 1)
        length = 1000 * min(self.recipe.fade_thousands, self.stage.thousands)
        self.fade = min(1.0, (self.seen - begin) / length) if self.outgoing and length else 1.0
        return super().learn()

    @torch.no_grad()
    def samples(self, n: int, *, truncation_psi: float = 0.7, seed: int = 0) -> Tensor:
        """Pictures (n, 3, r, r) in [0, 1] from the averaged weights."""
        rng = torch.Generator().manual_seed(seed)
        center_mean(self.average, rng)
        z = torch.randn(n, self.recipe.z_dim, generator=rng).to(self.device)
        w = self.average.mapping.w_avg.lerp(self.average.mapping(z), truncation_psi)
        rows = self.average.config.num_ws
        w_plus = w[:, None].expand(-1, rows, -1)
        pictures = [
            self.average.synthesis(some, noise="const", fade=self.fade)
            for some in w_plus.split(50)
        ]
        return (torch.cat(pictures) + 1).div(2).clamp(0, 1)

    def facts(self) -> dict:
        """How long the path length penalty found a step to be, so far."""
        return {"path_mean": self.path_length.mean}

    def load(self, state: dict) -> None:
        """Go on from a stored `state`, at its stage."""
        for level in range(1, state["level"] + 1):
            self.enter(level)
        if "outgoing" not in state:  # it went on from shipped weights
            self.outgoing, self.fade = None, 1.0
        super().load(state)
        self.path_length.mean = state["path_mean"]

    def start_from(self, weights: StoredWeights) -> None:
        """Go on from shipped weights, at the stage of their resolution."""
        own, judge = (select_prefix(weights.tensors, prefix) for prefix in ("G_ema.", "D."))
        end = 2 << sum(key.endswith(".torgb.bias") for key in own)
        resolutions = [stage.resolution for stage in self.recipe.stages]
        if end not in resolutions or "b4.out.weight" not in judge:
            raise ValueError(
                f"the weights end at {end}² and {'have' if 'b4.out.weight' in judge else 'lack'} a "
                f"StyleGAN2's discriminator, but this recipe goes on from {resolutions} with one: "
                f"take weights that this recipe made, or polish them."
            )
        self.enter(resolutions.index(end))
        self.outgoing, self.fade = None, 1.0
        super().start_from(weights)

    def enter(self, level: int) -> None:
        """Build the players of a stage, on what those of the stage before have learnt."""
        self.level, self.outgoing, average = level, None, None
        with torch.random.fork_rng(devices=[]):  # the same new weights in every process
            torch.manual_seed(NEW_WEIGHTS + 1000 * self.recipe.seed + level)
            players = self.players()
        if level:
            average = copy.deepcopy(players["generator"])
            average.load_state_dict(self.average.state_dict(), strict=False)
            for name, player in players.items():
                player.load_state_dict(getattr(self, name).state_dict(), strict=False)
            self.outgoing = self.discriminator.blocks[0].fromrgb
        self.fade, self.path_length = 1.0 if level == 0 else 0.0, PathLength()
        self.pictures = downsample(self.data, self.stage.resolution).to(self.device)
        self.seat(players, average)

    def draw(self) -> Tensor:
        """Real pictures, as coarse as the generated ones while a resolution is faded in."""
        real = super().draw()
        if self.fade < 1:
            coarse = upsample(torch.nn.functional.avg_pool2d(real, 2))
            real = coarse.lerp(real, self.fade)
        return real

    def paint(self) -> Tensor:
        """A batch of generated pictures in [-1, 1]."""
        return self._synthesize(self._codes())

    def _codes(self) -> Tensor:
        return mixed_codes(self.generator, self.batch, self.recipe.mixing, self.rng)

    def _synthesize(self, w_plus: Tensor) -> Tensor:
        with precision(self.device):
            return self.generator.synthesis(w_plus, noise=self.recipe.noise, fade=self.fade)

    def judge(self, images: Tensor) -> Tensor:
        """Augment, then the discriminator; its new resolution counts by `fade`."""
        images, judge = self.augmented(images), self.discriminator
        with precision(self.device):
            x = judge.blocks[0](judge.blocks[0].fromrgb(images))
            if self.fade < 1:
                smaller = smooth(images, judge.blocks[0].resample_filter, padding=1, stride=2)
                x = self.outgoing(smaller).lerp(x, self.fade)
            for block in judge.blocks[1:]:
                x = block(x)
        return judge.b4(x.float())

    def generator_loss(self) -> tuple[Tensor, Losses]:
        """To fool the discriminator, and now and then, equal steps in w."""
        w_plus, weight = self._codes(), self.recipe.path_length
        fake = self._synthesize(w_plus)
        loss = generator_loss(self.judge(fake))
        terms = {"generator": loss}
        if weight and self.steps % 4 == 0:
            terms["path_length"] = self.path_length(fake, w_plus)
            loss = loss + 4 * weight * terms["path_length"]
        return loss, terms
