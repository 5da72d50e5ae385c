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

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from course_lib.generators.base import Generator, part
from course_lib.generators.dcgan import DCGAN, DCGANConfig
from course_lib.generators.stylegan2 import StyleGAN2
from course_lib.generators.stylegan2_networks import StyleGAN2Config, official_channels
from course_lib.lite0 import TAPS, load_lite0, shown
from course_lib.metrics import frechet_distance
from course_lib.training.augment import augment
from course_lib.training.data import Dataset, draw_batch, halved
from course_lib.training.dcgan import settle_statistics
from course_lib.training.objective import (
    ema_decay,
    follow,
    frozen_precision,
    improve,
    lower_rates,
    rates_of,
    take_over,
)
from course_lib.training.stylegan2 import NEW_WEIGHTS, center_mean, mixed_codes
from course_lib.training.widen import widened
from course_lib.weights import StoredWeights


@dataclass(frozen=True)
class Recipe:
    """All that one training run depends on, besides its data.

    Attributes:
        family: of the generator, "stylegan2" or "dcgan".
        thousands: how many thousand pictures to show, in batches of `batch`, besides those that
            weights to start from have seen.
        critic_thousands: of them, before the generator moves: a new discriminator knows nothing.
        channel_base, channel_max, z_dim, mapping_layers: of a StyleGAN2; width: of a DCGAN.
        seen_at: the size at which the frozen network is shown the pictures.
        flip: whether a mirrored picture of the set is a picture of the set.
        learning_rate, critic_rate: of G and of the heads; mapping_rate: of the mapping network.
        steady: share of the pictures before the rates fall, linearly, to a twentieth.
        translation, recoloring, cutout: augmentation, as a fraction of the size and of the range.
        mixing: share of pictures that two codes style.
        ema_thousands: horizon of the averaged weights, shorter in the beginning.
    """

    family: str = "stylegan2"
    thousands: float | int = 200
    critic_thousands: float | int = 1
    batch: int = 32
    resolution: int = 64
    channel_base: int = 3072
    channel_max: int = 96
    z_dim: int = 128
    mapping_layers: int = 4
    width: int = 32
    seen_at: int = 128
    flip: bool = True
    learning_rate: float | int = 0.002
    mapping_rate: float | int = 0.008
    critic_rate: float | int = 0.002
    steady: float | int = 0.5
    translation: float | int = 1 / 8
    recoloring: float | int = 0.2
    cutout: float | int = 0.4
    mixing: float | int = 0.5
    ema_thousands: float | int = 5
    seed: int = 0


RECIPES = {
    "cats-128": Recipe(resolution=128, channel_base=4096, channel_max=112),
    "cats": Recipe(channel_base=1536),
    "shirts": Recipe(),
    "clothes": Recipe(thousands=400),
    "cats-dcgan": Recipe("dcgan", z_dim=100),
    "clothes-dcgan": Recipe("dcgan", thousands=400, z_dim=100),
}


class FeatureMixing(nn.Module):
    """Random, fixed weights that spread what the frozen network says over channels and scales.

    So no head can rest on a few channels of its own scale, and miss the rest.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        self.channels = nn.ModuleList(nn.Conv2d(n, width, 1, bias=False) for n in TAPS.values())
        self.scales = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in TAPS)
        for conv in [*self.channels, *self.scales]:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
        self.requires_grad_(False)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """From coarse to fine, each scale gets what the coarser ones know."""
        found: list[Tensor] = []
        for conv, mix, one in reversed(list(zip(self.channels, self.scales, features,
                                                strict=True))):
            x = conv(one)
            if found:
                x = x + F.interpolate(found[0], scale_factor=2, mode="bilinear")
            found.insert(0, mix(x))
        return found


class Head(nn.Sequential):
    """Judges one scale: halves it down to at most 8², then one logit for each 4² of places."""

    def __init__(self, size: int, width: int = 64):
        layers: list[nn.Module] = []
        while size > 8:
            layers += [spectral_norm(nn.Conv2d(width, width, 4, 2, 1, bias=False)),
                       nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
            size //= 2
        super().__init__(*layers, spectral_norm(nn.Conv2d(width, 1, min(4, size), bias=False)))


class ProjectedDiscriminator(nn.Module):
    """The frozen eye, the fixed mixing, and the heads that learn."""

    def __init__(self, seen_at: int, width: int = 64):
        super().__init__()
        self.seen_at, self.mixing = seen_at, FeatureMixing(width)
        self.heads = nn.ModuleList(Head(seen_at // 4 >> level, width) for level in range(len(TAPS)))

    def features(self, images: Tensor) -> list[Tensor]:
        """What there is to judge, of pictures (batch, 3, r, r) in [-1, 1]."""
        images = shown((images + 1) / 2, self.seen_at)
        return self.mixing(load_lite0(images.device)(images))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Logits of each head, (batch, 1, places, places)."""
        return [head(one) for head, one in zip(self.heads, features, strict=True)]


def hinge(logits: Sequence[Tensor], sign: int) -> Tensor:
    """The discriminator's loss on real (sign 1) or generated (-1) pictures, summed over heads."""
    return torch.stack([F.relu(1 - sign * one).mean() for one in logits]).sum()


class ProjectedTraining:
    """The two players, their optimisers, and how far they are.

    Attributes:
        average: the generator with averaged weights, the one that is kept.
        seen: real pictures shown so far, all processes together; begun: of them, those that the
            weights it started from had seen.
        discriminator: of the weights it started from, kept as it is for losses that look through
            it; empty for a new model.
    """

    def __init__(self, recipe: Recipe, data: Dataset, *, device: torch.device,
                 rank: int = 0, processes: int = 1):
        self.recipe, self.device, self.processes = recipe, device, processes
        self.pictures = halved(data, recipe.resolution).to(device)
        self.seen, self.steps, self.begun = 0, 0, 0
        self.discriminator: dict[str, Tensor] = {}
        with torch.random.fork_rng(devices=[]):  # the same new weights in every process
            torch.manual_seed(NEW_WEIGHTS + recipe.seed)
            generator, critic = new_generator(recipe), ProjectedDiscriminator(recipe.seen_at)
        place = {"device": device, "memory_format": torch.channels_last}
        self.generator = generator.to(**place)
        self.average = copy.deepcopy(self.generator).eval()
        self.critic = critic.to(**place)
        mapping = getattr(self.generator, "mapping", nn.Module())
        apart = {id(parameter) for parameter in mapping.parameters()}
        rest = [p for p in self.generator.parameters() if id(p) not in apart]
        self.g_optimizer = torch.optim.Adam([
            {"params": rest},
            {"params": list(mapping.parameters()), "lr": recipe.mapping_rate},
        ][: 1 + bool(apart)], lr=recipe.learning_rate, betas=(0.0, 0.99))
        self.d_optimizer = torch.optim.Adam(
            self.critic.heads.parameters(), lr=recipe.critic_rate, betas=(0.0, 0.99))
        self.full_rates = rates_of(self.g_optimizer, self.d_optimizer)
        self.rng = torch.Generator().manual_seed(recipe.seed + 1 + rank)

    @property
    def done(self) -> bool:
        """Whether all pictures were shown."""
        return self.seen - self.begun >= 1000 * self.recipe.thousands

    def step(self) -> dict[str, Tensor]:
        """Show one batch to both players; their losses."""
        self._set_rates()
        with frozen_precision(self.device):
            fake = self._paint()
            judged = self.critic.features(self._augmented(fake))
            losses = self._critic_step([one.detach() for one in judged])
            if self.seen >= self.begun + 1000 * self.recipe.critic_thousands:
                losses |= self._generator_step(judged)
        shown = self.recipe.batch * self.processes
        self.seen += shown
        self.steps += 1
        follow(self.average, self.generator,
               ema_decay(shown, self.seen - self.begun, self.recipe.ema_thousands))
        return losses

    @torch.no_grad()
    def samples(self, n: int, *, truncation_psi: float | int | None = None,
                seed: int = 0) -> Tensor:
        """Pictures (n, 3, r, r) in [0, 1] from the averaged weights."""
        rng = torch.Generator().manual_seed(seed)
        if self.recipe.family == "dcgan":
            settle_statistics(self.average, rng)
            space, psi = "z", 1
        else:
            center_mean(self.average, rng)
            space, psi = "w", 0.7
        latent = self.average.sample_latent(n, space=space, rng=rng, truncation_psi=(
            psi if truncation_psi is None else truncation_psi))
        return torch.cat([self.average.decode(some, space=space)
                          for some in latent.split(25)]).clamp(0, 1)

    def distance(self, n: int = 500) -> float:
        """The Fréchet distance of `n` samples, untruncated, from as many pictures of the set."""
        chosen = torch.randperm(len(self.pictures), generator=torch.Generator().manual_seed(0))
        real = self.pictures[chosen[:n].to(self.device)].float() / 255
        return frechet_distance(real, self.samples(n, truncation_psi=1),
                                seen_at=self.recipe.seen_at)

    def state(self) -> dict:
        """All that training goes on from; tensors and numbers only."""
        return {name: one.state_dict() for name, one in self._parts().items()} | {
            "seen": self.seen, "steps": self.steps, "begun": self.begun,
            "discriminator": self.discriminator, "rng": self.rng.get_state(),
        }

    def load(self, state: dict) -> None:
        """Go on from a stored `state`."""
        for name, one in self._parts().items():
            one.load_state_dict(state[name])
        self.seen, self.steps, self.begun = state["seen"], state["steps"], state["begun"]
        self.discriminator = state["discriminator"]
        self.rng.set_state(state["rng"].cpu())

    def start_from(self, weights: StoredWeights) -> None:
        """Go on from shipped weights, with new heads; the generator may have grown."""
        own = part(weights.tensors, "G_ema.")
        if self.recipe.family == "stylegan2":
            own = widened(own, self.generator)
        for module in (self.generator, self.average):
            take_over(module, own, "generator", "take weights that this recipe made")
        self.discriminator = part(weights.tensors, "D.")
        self.seen = self.begun = int(weights.settings["pictures"])

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {"generator": self.generator, "average": self.average, "critic": self.critic,
                "g_optimizer": self.g_optimizer, "d_optimizer": self.d_optimizer}

    def _set_rates(self) -> None:
        progress = (self.seen - self.begun) / (1000 * self.recipe.thousands)
        lower_rates(self.full_rates, progress, self.recipe.steady)

    def _paint(self) -> Tensor:
        """A batch of generated pictures in [-1, 1]."""
        recipe = self.recipe
        if recipe.family == "dcgan":
            z = torch.randn(recipe.batch, recipe.z_dim, generator=self.rng)
            return self.generator(z.to(self.device)).float()
        w_plus = mixed_codes(self.generator, recipe.batch, recipe.mixing, self.rng)
        return self.generator.synthesis(w_plus, noise="none").float()

    def _augmented(self, images: Tensor) -> Tensor:
        recipe = self.recipe
        return augment(images, recipe.translation, recipe.recoloring, self.rng, recipe.cutout)

    def _critic_step(self, fake: Sequence[Tensor]) -> dict[str, Tensor]:
        """One step of the heads, on a batch of real pictures and on features of generated ones."""
        real = draw_batch(self.pictures, self.recipe.batch, flip=self.recipe.flip,
                          rng=self.rng, device=self.device)
        with torch.no_grad():
            true = self.critic.features(self._augmented(real))
        of_real, of_fake = self.critic(true), self.critic(fake)
        loss = hinge(of_real, 1) + hinge(of_fake, -1)
        self.d_optimizer.zero_grad()
        loss.backward()
        improve(self.d_optimizer)
        return {"discriminator": loss.detach(), "real": _mean(of_real), "fake": _mean(of_fake)}

    def _generator_step(self, judged: Sequence[Tensor]) -> dict[str, Tensor]:
        """One step of G, through the features that its pictures were judged by."""
        self.critic.heads.requires_grad_(False)
        loss = -torch.stack([one.mean() for one in self.critic(judged)]).sum()
        self.g_optimizer.zero_grad()
        loss.backward()
        self.critic.heads.requires_grad_(True)
        improve(self.g_optimizer)
        return {"generator": loss.detach()}


def _mean(logits: Sequence[Tensor]) -> Tensor:
    return torch.stack([one.detach().float().mean() for one in logits]).mean()


def new_generator(recipe: Recipe) -> Generator:
    """A generator of the recipe's family, before it has seen a picture."""
    if recipe.family == "dcgan":
        return DCGAN(DCGANConfig(recipe.resolution, recipe.width, recipe.z_dim))
    channels = official_channels(recipe.resolution, recipe.channel_base, recipe.channel_max)
    return StyleGAN2(StyleGAN2Config(channels, recipe.z_dim, recipe.z_dim,
                                     mapping_layers=recipe.mapping_layers))


def shortened(recipe: Recipe, share: float | int) -> Recipe:
    """The same recipe with fewer pictures, for a trial."""
    return replace(recipe, thousands=recipe.thousands * share)
