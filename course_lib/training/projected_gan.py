"""Training against features that were learnt before: a projected GAN.

The discriminator does not look at pictures but at what a frozen network answers to them
(`course_lib.lite0`), mixed across channels and scales by random weights that never change. All
that it learns are four small heads, one a scale. It tells from the first picture on what a person
would notice, and a generator comes in minutes where it took hours.

    python -m course_lib.training projected cats-128 --data cats.zip --out runs/cats-128
        --start-from course_lib/assets/cats-128.safetensors

Source: Sauer et al., "Projected GANs Converge Faster", NeurIPS 2021: section 3.2 (mixing), eq. 4
(heads), section 4.1 (hinge loss, no penalty).
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.generators.base import Generator, select_prefix
from course_lib.generators.biggan import BigGAN
from course_lib.generators.biggan_networks import BigGANConfig
from course_lib.generators.dcgan import DCGAN, DCGANConfig
from course_lib.generators.stylegan2 import StyleGAN2
from course_lib.generators.stylegan2_networks import StyleGAN2Config, official_channels
from course_lib.metrics import frechet_distance
from course_lib.training.adversarial import AdversarialTraining, adam_with_mapping
from course_lib.training.base import Losses
from course_lib.training.codes import center_mean, mixed_codes
from course_lib.training.data import Dataset, read_pictures, take_batch
from course_lib.training.dcgan import settle_statistics
from course_lib.training.measuring import Report, draw_classes, report_generator
from course_lib.training.objective import frozen_precision, synchronized_step, take_over
from course_lib.training.projected_networks import ProjectedDiscriminator, hinge
from course_lib.training.questions import read_classes
from course_lib.training.stylegan2 import NEW_WEIGHTS, StyleRecipe
from course_lib.training.widen import widen_generator
from course_lib.weights import StoredWeights


@dataclass(frozen=True)
class Recipe(StyleRecipe):
    """As for every StyleGAN2; pictures count anew from the weights it starts from. Besides:

    Attributes:
        family: of the generator, "stylegan2", "dcgan" or "biggan".
        critic_thousands: of pictures, before the generator moves: a new discriminator knows
            nothing.
        width: of a DCGAN.
        seen_at: the size at which the frozen network is shown the pictures.
        hidden: layers of each head before it halves its scale.
        classes: the values of the labels' "type" that are told apart, several to a class if they
            are given as one; empty to learn without labels.
        critic_rate, mapping_rate: of the heads, and of the mapping network.
    """

    family: str = "stylegan2"
    _: KW_ONLY
    thousands: float = 200
    critic_thousands: float = 1
    batch: int = 32
    channel_base: int = 3072
    width: int = 32
    seen_at: int = 128
    hidden: int = 0
    classes: tuple[tuple[str, ...], ...] = ()
    flip: bool = True
    learning_rate: float = 0.002
    mapping_rate: float = 0.008
    critic_rate: float = 0.002
    steady: float = 0.5
    recoloring: float = 0.2
    cutout: float = 0.4
    ema_thousands: float = 5


GARMENTS = (("t-shirt",), ("longsleeve",), ("shirt",), ("jacket",), ("dress",), ("skirt",),
            ("trousers",), ("shorts",), ("shoes",), ("hat",), ("top", "body"))

RECIPES = {
    "cats-128": Recipe(resolution=128, channel_base=4096, channel_max=112),
    "cats": Recipe(channel_base=1536),
    "clothes": Recipe(hidden=1),
    "cats-dcgan": Recipe("dcgan", z_dim=100),
    "clothes-biggan": Recipe("biggan", thousands=60, hidden=1, learning_rate=0.001,
                             critic_rate=0.001, classes=GARMENTS),
    "clothes-dcgan": Recipe("dcgan", thousands=400, z_dim=100),
}


class ProjectedTraining(AdversarialTraining):
    """A generator, against heads that look through a frozen network.

    Args:
        labels: the class of each picture, where the recipe has any.

    Attributes:
        critic: mixing and heads.
        discriminator: of the weights it started from, kept as it is for losses that look through
            it; empty for a new model.
    """

    family = "projected"
    recipes = RECIPES
    parts = ("generator", "average", "critic", "g_optimizer", "d_optimizer")
    counts = (*AdversarialTraining.counts, "discriminator")

    def __init__(self, recipe: Recipe, data: Dataset, labels: Tensor | None = None, **place):
        self.labels = torch.zeros(len(data), dtype=torch.long) if labels is None else labels
        super().__init__(recipe, data, **place)

    @classmethod
    def build(cls, recipe: Recipe, options: argparse.Namespace, **place) -> "ProjectedTraining":
        """With the labels, where the recipe asks for them."""
        data = read_pictures(options.data, recipe.resolution)
        return cls(recipe, data, read_classes(options.data, recipe.classes), **place)

    def build_players(self) -> None:
        """With no discriminator of former weights, yet."""
        self.discriminator: dict[str, Tensor] = {}
        super().build_players()

    def players(self) -> dict[str, nn.Module]:
        """The same in every process."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(NEW_WEIGHTS + self.recipe.seed)
            return {"generator": new_generator(self.recipe), "critic": self.new_critic()}

    def new_critic(self) -> ProjectedDiscriminator:
        """Heads that know nothing yet."""
        recipe = self.recipe
        return ProjectedDiscriminator(
            recipe.seen_at, classes=len(recipe.classes), hidden=recipe.hidden)

    def optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """Of the critic, the heads alone learn."""
        recipe = self.recipe
        return (adam_with_mapping(self.generator, recipe.learning_rate, recipe.mapping_rate),
                torch.optim.Adam(self.critic.heads.parameters(), lr=recipe.critic_rate,
                                 betas=(0.0, 0.99)))

    def learn(self) -> Losses:
        """Show one batch to both players, which look at the same features; their losses."""
        wanted = self.draw_labels()
        with frozen_precision(self.device):
            judged = self.critic.features(self.augmented(self.paint(wanted)))
            losses = self._critic_step([one.detach() for one in judged], wanted)
            if self.moves:
                losses |= self._generator_step(judged, wanted)
        return losses

    @torch.no_grad()
    def samples(self, n: int, *, truncation_psi: float | None = None,
                seed: int = 0) -> Tensor:
        """Pictures (n, 3, r, r) in [0, 1] from the averaged weights, class by class."""
        rng, recipe = torch.Generator().manual_seed(seed), self.recipe
        if recipe.family == "stylegan2":
            center_mean(self.average, rng)
            space, psi = "w", 0.7
        else:
            settle_statistics(self.average, rng, classes=len(recipe.classes))
            space, psi = "z", 1.0
        psi = psi if truncation_psi is None else truncation_psi
        counts = [n]
        if recipe.classes:
            drawn = self.labels[torch.randint(len(self.labels), (n,), generator=rng)]
            counts = drawn.bincount(minlength=len(recipe.classes)).tolist()
        return draw_classes(self.average, counts, rng=rng, space=space, truncation_psi=psi)

    def distance(self, n: int = 500) -> float:
        """The Fréchet distance of `n` samples, untruncated, from as many pictures of the set."""
        chosen = torch.randperm(len(self.pictures), generator=torch.Generator().manual_seed(0))
        real = self.pictures[chosen[:n].to(self.device)].float() / 255
        return frechet_distance(real, self.samples(n, truncation_psi=1),
                                seen_at=self.recipe.seen_at)

    def start_from(self, weights: StoredWeights) -> None:
        """Go on from shipped weights, or a checkpoint, with new heads; G may have grown."""
        own = (select_prefix(weights.tensors, "G_ema.")
               or select_prefix(weights.tensors, "average."))
        if self.recipe.family == "stylegan2":
            own = widen_generator(own, self.generator)
        for module in (self.generator, self.average):
            take_over(module, own, "generator", "take weights that this recipe made")
        self.discriminator = select_prefix(weights.tensors, "D.")
        self.seen = self.begun = int(weights.settings.get("pictures", weights.settings.get("seen")))

    @classmethod
    def settings(cls, state: dict) -> dict[str, object]:
        """Of whichever family the generator is."""
        keys = [key.split(".")[0] for key in state["average"]]
        family = next((name for part, name in (("mapping", "stylegan2"), ("shared", "biggan"))
                       if part in keys), "dcgan")
        config = {"config": state["config"]} if family == "biggan" else {}
        return config | {"family": family, "pictures": state["seen"]}

    def facts(self) -> dict:
        """The generator's shape, and the classes of the set."""
        return {"config": asdict(self.generator.config),
                "labels": self.labels if self.recipe.classes else None}

    @classmethod
    def report(cls, path: Path, state: dict, pictures: Callable[[int], Dataset], run: Path,
               recognized: int | None) -> Report:
        """As of every generator, class by class where there are any."""
        return report_generator(path, cls.settings(state), pictures, run, recognized,
                                state.get("labels"))

    @property
    def moves(self) -> bool:
        """Whether the generator learns: new heads are first given time to know anything."""
        return self.seen - self.begun >= 1000 * self.recipe.critic_thousands

    def draw_labels(self) -> Tensor | None:
        """The classes of a batch, drawn as often as the set has them."""
        if not self.recipe.classes:
            return None
        chosen = torch.randint(len(self.labels), (self.recipe.batch,), generator=self.rng)
        return self.labels[chosen].to(self.device)

    def paint(self, wanted: Tensor | None = None) -> Tensor:
        """A batch of generated pictures in [-1, 1], of the classes that are wanted."""
        recipe = self.recipe
        if recipe.family != "stylegan2":
            z = torch.randn(recipe.batch, self.generator.z_dim, generator=self.rng)
            told = () if wanted is None else (wanted,)
            return self.generator(z.to(self.device), *told).float()
        classes = None if wanted is None else F.one_hot(wanted, len(recipe.classes)).float()
        w_plus = mixed_codes(self.generator, recipe.batch, recipe.mixing, self.rng, classes)
        return self.generator.synthesis(w_plus, noise="none").float()

    def _critic_step(self, fake: Sequence[Tensor], wanted: Tensor | None) -> Losses:
        """One step of the heads, on a batch of real pictures and on features of generated ones."""
        chosen = torch.randint(len(self.pictures), (self.batch,), generator=self.rng)
        real = take_batch(self.pictures, chosen, flip=self.recipe.flip, rng=self.rng,
                          device=self.device)
        known = self.labels[chosen].to(self.device) if self.recipe.classes else None
        with torch.no_grad():
            true = self.critic.features(self.augmented(real))
        of_real, of_fake = self.critic(true, known), self.critic(fake, wanted)
        loss = hinge(of_real, 1) + hinge(of_fake, -1)
        self.d_optimizer.zero_grad()
        loss.backward()
        synchronized_step(self.d_optimizer)
        return {"discriminator": loss, "real": _mean(of_real), "fake": _mean(of_fake)}

    def _generator_step(self, judged: Sequence[Tensor], wanted: Tensor | None) -> Losses:
        """One step of G, through the features that its pictures were judged by."""
        self.critic.heads.requires_grad_(False)
        loss = -torch.stack([one.mean() for one in self.critic(judged, wanted)]).sum()
        self.g_optimizer.zero_grad()
        loss.backward()
        self.critic.heads.requires_grad_(True)
        synchronized_step(self.g_optimizer)
        return {"generator": loss}


def _mean(logits: Sequence[Tensor]) -> Tensor:
    return torch.stack([one.detach().float().mean() for one in logits]).mean()


def new_generator(recipe: Recipe) -> Generator:
    """A generator of the recipe's family, before it has seen a picture."""
    if recipe.family == "dcgan":
        return DCGAN(DCGANConfig(recipe.resolution, recipe.width, recipe.z_dim))
    if recipe.family == "biggan":
        return BigGAN.new(BigGANConfig(tuple(names[0] for names in recipe.classes)))
    channels = official_channels(recipe.resolution, recipe.channel_base, recipe.channel_max)
    return StyleGAN2(StyleGAN2Config(
        channels, recipe.z_dim, recipe.z_dim, len(recipe.classes),
        mapping_layers=recipe.mapping_layers, class_means=bool(recipe.classes)))
