"""Training StyleGAN2, growing: first at 16², then each doubling is faded in.

Sources: Karras et al., "Progressive Growing of GANs", ICLR 2018 (growing, which the skip
generator allows); Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR
2020 (losses, lazy regularisation).
"""

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from course_lib.generators.base import part
from course_lib.generators.stylegan2 import StyleGAN2
from course_lib.generators.stylegan2_networks import (
    Discriminator,
    StyleGAN2Config,
    official_channels,
    smooth,
    upsample,
)
from course_lib.training.augment import augment
from course_lib.training.data import Dataset, draw_batch, halved
from course_lib.training.objective import (
    PathLength,
    ema_decay,
    follow,
    generator_loss,
    improve,
    precision,
    teach_discriminator,
)
from course_lib.weights import StoredWeights


@dataclass(frozen=True)
class Stage:
    """One resolution of the growth: how many thousand pictures, in batches of what size.

    Attributes:
        learning_rate, r1: in place of the recipe's, if not None.
    """

    resolution: int
    thousands: float | int
    batch: int
    learning_rate: float | int | None = None
    r1: float | int | None = None


@dataclass(frozen=True)
class Recipe:
    """All that one training run depends on, besides its data.

    Attributes:
        flip: whether a mirrored picture of the set is a picture of the set.
        r1: weight γ of the gradient penalty, applied every `r1_every` steps.
        path_length: weight of the path length penalty, every 4 steps; 0 for none.
        translation, recoloring: augmentation, as a fraction of the size and of the range.
        mixing: share of pictures that two codes style.
        fade_thousands: of pictures over which a new resolution is faded in.
        ema_thousands: horizon of the averaged weights, shorter in the beginning.
        noise: "random" or "none" noise maps; without, small models learn faster.
    """

    stages: tuple[Stage, ...]
    channel_base: int = 1536
    channel_max: int = 96
    z_dim: int = 128
    w_dim: int = 128
    mapping_layers: int = 4
    flip: bool = False
    learning_rate: float | int = 0.0025
    r1: float | int = 0.3
    r1_every: int = 16
    path_length: float | int = 0
    translation: float | int = 1 / 8
    recoloring: float | int = 0
    mixing: float | int = 0.5
    fade_thousands: float | int = 10
    ema_thousands: float | int = 10
    noise: str = "none"
    seed: int = 0


# Far from the seeds that people draw codes with: weights that are those very numbers single the
# codes out. Of networks begun with seed 0, codes of seed 0 lay twice as far from the mean.
NEW_WEIGHTS = 1_000_000_007

# Small batches, as steps count early on, and at first a small R1: with 0.2, which larger networks
# like, cats were no faces after 40 thousand pictures, and with 0.0125 they were after 25. At 64² it
# must grow, or D wins and G makes ever fewer kinds: with 0.05 and a rate of 0.001, the distance of
# shoes went from 28.0 to 27.7 in 14 thousand pictures, with 1 and 0.002 from there to 23.1 in 12.
GROWTH = (Stage(16, 30, 32), Stage(32, 70, 16), Stage(64, 600, 16, learning_rate=0.002, r1=1))

RECIPES = {
    "shoes": Recipe(GROWTH, r1=0.02),
    "bags": Recipe(GROWTH, flip=True, r1=0.02),
    "cats": Recipe(GROWTH, flip=True, r1=0.0125, translation=1 / 16),
    "shirts": Recipe(GROWTH, flip=True, r1=0.02),
}


class StyleGAN2Training:
    """The two players, their optimisers, and how far they are.

    Attributes:
        average: the generator with averaged weights, the one that is kept.
        seen: real pictures shown so far, all processes together.
    """

    def __init__(self, recipe: Recipe, data: Dataset, *, device: torch.device,
                 rank: int = 0, processes: int = 1):
        self.recipe, self.data, self.device = recipe, data, device
        self.processes, self.seen, self.steps = processes, 0, 0
        self._enter(0)
        torch.manual_seed(recipe.seed + 1 + rank)
        self.rng = torch.Generator().manual_seed(recipe.seed + 1 + rank)

    @property
    def done(self) -> bool:
        """Whether the last stage has had its pictures."""
        return self.seen >= 1000 * sum(stage.thousands for stage in self.recipe.stages)

    @property
    def stage(self) -> Stage:
        """The one that is being trained."""
        return self.recipe.stages[self.level]

    def step(self) -> dict[str, Tensor]:
        """Show one batch to both players; their losses."""
        begin = 1000 * sum(stage.thousands for stage in self.recipe.stages[: self.level])
        if self.seen >= begin + 1000 * self.stage.thousands and not self.done:
            begin += 1000 * self.stage.thousands
            self._enter(self.level + 1)
        length = 1000 * min(self.recipe.fade_thousands, self.stage.thousands)
        self.fade = min(1.0, (self.seen - begin) / length) if self.outgoing and length else 1.0
        losses = self._discriminator_step() | self._generator_step()
        shown = self.stage.batch * self.processes
        self.seen += shown
        self.steps += 1
        decay = ema_decay(shown, self.seen, self.recipe.ema_thousands)
        follow(self.average, self.generator, decay)
        return losses

    @torch.no_grad()
    def samples(self, n: int, *, truncation_psi: float | int = 0.7, seed: int = 0) -> Tensor:
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

    def state(self) -> dict:
        """All that training goes on from; tensors and numbers only."""
        modules = {name: module.state_dict() for name, module in self._modules().items()}
        cuda = torch.cuda.get_rng_state() if self.device.type == "cuda" else None
        return modules | {
            "level": self.level, "seen": self.seen, "steps": self.steps,
            "path_mean": self.path_length.mean,
            "g_optimizer": self.g_optimizer.state_dict(),
            "d_optimizer": self.d_optimizer.state_dict(),
            "rng": self.rng.get_state(), "torch_rng": torch.get_rng_state(), "cuda_rng": cuda,
        }

    def load(self, state: dict) -> None:
        """Go on from a stored `state`."""
        self.level = 0
        for level in range(1, state["level"] + 1):
            self._enter(level)
        if "outgoing" not in state:  # it went on from shipped weights
            self.outgoing, self.fade = None, 1.0
        for name, module in self._modules().items():
            module.load_state_dict(state[name])
        self.seen, self.steps = state["seen"], state["steps"]
        self.path_length.mean = state["path_mean"]
        for name in ("g_optimizer", "d_optimizer"):
            optimizer = getattr(self, name)
            rates = [group["lr"] for group in optimizer.param_groups]  # should they have changed
            optimizer.load_state_dict(state[name])
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
        self.rng.set_state(state["rng"].cpu())
        torch.set_rng_state(state["torch_rng"].cpu())
        if state["cuda_rng"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"].cpu())

    def start_from(self, weights: StoredWeights) -> None:
        """Go on from shipped weights, whose optimisers' state is lost."""
        own, judge = (part(weights.tensors, prefix) for prefix in ("G_ema.", "D."))
        end = 2 << sum(key.endswith(".torgb.bias") for key in own)
        resolutions = [stage.resolution for stage in self.recipe.stages]
        if end not in resolutions or "b4.out.weight" not in judge:
            raise ValueError(
                f"the weights end at {end}² and {'have' if 'b4.out.weight' in judge else 'lack'} a "
                f"StyleGAN2's discriminator, but this recipe goes on from {resolutions} with one: "
                f"take weights that this recipe made, or polish them."
            )
        self._enter(resolutions.index(end))
        for module, tensors in ((self.generator, own), (self.average, own),
                                (self.discriminator, judge)):
            module.load_state_dict(tensors)
        self.seen, self.outgoing, self.fade = int(weights.settings["pictures"]), None, 1.0

    def _modules(self) -> dict[str, nn.Module]:
        modules = {"generator": self.generator, "average": self.average,
                   "discriminator": self.discriminator}
        return modules | ({"outgoing": self.outgoing} if self.outgoing else {})

    def _enter(self, level: int) -> None:
        """Build the players of a stage, on what those of the stage before have learnt."""
        recipe, self.level = self.recipe, level
        channels = official_channels(
            self.stage.resolution, recipe.channel_base, recipe.channel_max
        )
        config = StyleGAN2Config(channels, recipe.z_dim, recipe.w_dim,
                                 mapping_layers=recipe.mapping_layers)
        with torch.random.fork_rng(devices=[]):  # the same new weights in every process
            torch.manual_seed(NEW_WEIGHTS + 1000 * recipe.seed + level)
            generator, discriminator = StyleGAN2(config), self._new_discriminator(config)
        average, self.outgoing = copy.deepcopy(generator), None
        if level:
            generator.load_state_dict(self.generator.state_dict(), strict=False)
            average.load_state_dict(self.average.state_dict(), strict=False)
            discriminator.load_state_dict(self.discriminator.state_dict(), strict=False)
            self.outgoing = self.discriminator.blocks[0].fromrgb
        place = {"device": self.device, "memory_format": torch.channels_last}
        self.generator, self.average = generator.to(**place), average.to(**place).eval()
        self.discriminator = discriminator.to(**place)
        self.fade, self.path_length = 1.0 if level == 0 else 0.0, PathLength()
        self.pictures = halved(self.data, self.stage.resolution).to(self.device)
        self._make_optimizers()

    def _new_discriminator(self, config: StyleGAN2Config) -> nn.Module:
        return Discriminator(config)

    def _make_optimizers(self) -> None:
        recipe, own = self.recipe, self.stage.learning_rate
        rate = recipe.learning_rate if own is None else own
        self.g_optimizer = _adam([self.generator], rate, 4 if recipe.path_length else 0)
        judges = [self.discriminator] + ([self.outgoing] if self.outgoing else [])
        self.d_optimizer = _adam(judges, rate, recipe.r1_every)

    def _codes(self) -> Tensor:
        return mixed_codes(self.generator, self.stage.batch, self.recipe.mixing, self.rng)

    def _paint(self, w_plus: Tensor) -> Tensor:
        with precision(self.device):
            return self.generator.synthesis(w_plus, noise=self.recipe.noise, fade=self.fade)

    def _judge(self, images: Tensor) -> Tensor:
        """Augment, then the discriminator; its new resolution counts by `fade`."""
        images = augment(images, self.recipe.translation, self.recipe.recoloring, self.rng)
        judge = self.discriminator
        with precision(self.device):
            x = judge.blocks[0](judge.blocks[0].fromrgb(images))
            if self.fade < 1:
                smaller = smooth(images, judge.blocks[0].resample_filter, padding=1, stride=2)
                x = self.outgoing(smaller).lerp(x, self.fade)
            for block in judge.blocks[1:]:
                x = block(x)
        return judge.b4(x.float())

    def _discriminator_step(self) -> dict[str, Tensor]:
        recipe = self.recipe
        real = draw_batch(self.pictures, self.stage.batch, flip=recipe.flip,
                          rng=self.rng, device=self.device)
        if self.fade < 1:
            coarse = upsample(torch.nn.functional.avg_pool2d(real, 2))
            real = coarse.lerp(real, self.fade)
        with torch.no_grad():
            fake = self._paint(self._codes())
        r1 = recipe.r1 if self.stage.r1 is None else self.stage.r1
        r1 = r1 * recipe.r1_every if self.steps % recipe.r1_every == 0 else None
        return teach_discriminator(self._judge, real, fake, self.d_optimizer, r1)

    def _generator_step(self) -> dict[str, Tensor]:
        recipe, w_plus = self.recipe, self._codes()
        penalized = recipe.path_length and self.steps % 4 == 0
        self.discriminator.requires_grad_(False)
        fake = self._paint(w_plus)
        loss = generator_loss(self._judge(fake))
        found = {"generator": loss.detach()}
        if penalized:
            found["path_length"] = self.path_length(fake, w_plus)
            loss = loss + 4 * recipe.path_length * found["path_length"]
        self.g_optimizer.zero_grad()
        loss.backward()
        self.discriminator.requires_grad_(True)
        improve(self.g_optimizer)
        return {name: value.detach() for name, value in found.items()}


def _adam(modules: list[nn.Module], rate: float, every: int) -> torch.optim.Adam:
    """Adam, slowed where a penalty is added every so many steps, as lazy regularisation asks."""
    share = every / (every + 1) if every else 1
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return torch.optim.Adam(parameters, lr=rate * share, betas=(0.0, 0.99**share), eps=1e-8)


def mixed_codes(
    generator: StyleGAN2, batch: int, mixing: float | int, rng: torch.Generator
) -> Tensor:
    """w_plus (batch, num_ws, w_dim); a share `mixing` of them changes code at a random row."""
    rows, device = generator.config.num_ws, generator.device
    z = torch.randn(2 * batch, generator.config.z_dim, generator=rng).to(device)
    first, second = generator.mapping(z).chunk(2)
    crossover = torch.randint(1, rows, (batch,), generator=rng)
    mixed = torch.rand(batch, generator=rng) < mixing
    crossover = torch.where(mixed, crossover, rows).to(device)
    later = torch.arange(rows, device=device) >= crossover[:, None]
    return torch.where(later[..., None], second[:, None], first[:, None])


@torch.no_grad()
def center_mean(generator: StyleGAN2, rng: torch.Generator, n: int = 10_000) -> None:
    """Set w_avg, which truncation pulls towards, to the mean of `n` codes."""
    mean = torch.zeros_like(generator.mapping.w_avg)
    for done in range(0, n, 1000):
        z = torch.randn(min(1000, n - done), generator.config.z_dim, generator=rng)
        mean += generator.mapping(z.to(mean.device)).sum(dim=0)
    generator.mapping.w_avg.copy_(mean / n)


def shortened(recipe: Recipe, share: float | int) -> Recipe:
    """The same recipe with fewer pictures a stage, for a trial."""
    stages = (replace(stage, thousands=stage.thousands * share) for stage in recipe.stages)
    return replace(recipe, stages=tuple(stages))
