"""Training a VAE: it learns to rebuild pictures through codes that the prior could have drawn.

Sources: Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014; Rybkin et al., "Simple
and Effective VAE Training with Calibrated Decoders", ICML 2021, eq. 7.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from course_lib.generators.vae import VAE, VAEConfig, divergence_from_prior
from course_lib.training.base import Losses
from course_lib.training.data import Dataset
from course_lib.training.descent import DescentRecipe, DescentTraining
from course_lib.training.measuring import Report, report_generator
from course_lib.training.objective import frozen_precision


@dataclass(frozen=True, kw_only=True)
class VAERecipe(DescentRecipe):
    """As for every descent, and besides:

    Attributes:
        width, z_dim: of the networks, as in `VAEConfig`.
        beta: weight of KL. 1 descends the bound itself; of a few thousand pictures that makes codes
            so narrow that draws from the prior fall between them, and show nothing.
        warm_up: share of the pictures during which the weight of KL rises from 0, or codes
            would collapse onto the prior before they have come to mean anything.
    """

    thousands: float = 300
    batch: int = 64
    steady: float = 0.5
    ema_thousands: float = 5
    held_out: int = 200
    width: int = 24
    z_dim: int = 128
    beta: float = 40
    warm_up: float = 0.1


RECIPES = {"clothes": VAERecipe(flip=True)}


class VAETraining(DescentTraining):
    """A VAE, whose decoder's variance is the mean squared error of the batch."""

    family = architecture = "vae"
    suffix = "-vae"
    recipes = RECIPES
    forget = 0.01  # of the running mean of s², at each step

    def network(self) -> nn.Module:
        """Of the recipe's size."""
        recipe = self.recipe
        return VAE(VAEConfig(recipe.resolution, recipe.width, recipe.z_dim))

    def loss(self, batch: Tensor) -> tuple[Tensor, Losses]:
        """−ln p(x|z) at the best s² of the batch, D/2 ln s², and KL; nats per picture."""
        images = (batch + 1) / 2
        with frozen_precision(self.device):
            rebuilt, mu, logvar = self.model(images, rng=None)
        error = (rebuilt - images).square().mean()
        fit = images[0].numel() / 2 * error.log()
        kl = divergence_from_prior(mu, logvar).mean()
        with torch.no_grad():
            self.model.variance.lerp_(error, self.forget if self.steps else 1)
        progress = self.seen / (1000 * self.recipe.thousands)
        weight = min(1.0, progress / self.recipe.warm_up) if self.recipe.warm_up else 1.0
        return fit + self.recipe.beta * weight * kl, {"squared error": error, "kl": kl}

    @torch.no_grad()
    def samples(self, n: int, *, seed: int = 0) -> Tensor:
        """Draws from the prior; then photos that training never saw, each beside its rebuilt one.
        """
        drawn = super().samples(n // 2, seed=seed)
        photos = (self.held[: n // 4].float() / 255).to(self.device)
        rebuilt = self.kept.decode(self.kept.invert(photos))
        return torch.cat([drawn, torch.stack([photos, rebuilt], dim=1).flatten(0, 1)])

    @torch.no_grad()
    def held_out_loss(self) -> dict[str, float]:
        """Of photos that training never saw: their codes' error and KL, and the bound in bits."""
        rng = torch.Generator().manual_seed(0)
        photos = (self.held.float() / 255).to(self.device)
        mu, logvar = self.kept.encode(photos)
        error = (self.kept.decode(mu) - photos).square().mean()
        dequantized = (self.held + torch.rand(self.held.shape, generator=rng)).to(photos) / 256
        bound = self.kept.lower_bound(dequantized, rng=rng).mean() / photos[0].numel()
        return {"squared error": round(float(error), 5),
                "kl": round(float(divergence_from_prior(mu, logvar).mean()), 1),
                "bits per dimension, at most": round(8 - float(bound) / math.log(2), 2)}

    def facts(self) -> dict:
        """The networks' shape, and what photos that training never saw lose."""
        return {"config": asdict(self.model.config), "held out": self.held_out_loss()}

    @classmethod
    def report(cls, path: Path, state: dict, pictures: Callable[[int], Dataset], run: Path,
               recognized: int | None) -> Report:
        """As of every generator, and what photos lose that training never saw."""
        report = report_generator(path, cls.settings(state), pictures, run, recognized)
        report.measured["held out"] = state["held out"]
        return report
