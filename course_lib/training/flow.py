"""Training a flow: the pictures' likelihood goes up, which is known exactly.

Sources: Dinh et al., "Density Estimation using Real NVP", ICLR 2017; Kingma and Dhariwal, "Glow:
Generative Flow with Invertible 1x1 Convolutions", NeurIPS 2018, section 2 (bits, dequantised).
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from course_lib.generators.flow import Flow, FlowConfig, dequantize
from course_lib.training.base import Losses
from course_lib.training.data import Dataset
from course_lib.training.descent import DescentRecipe, DescentTraining
from course_lib.training.measuring import Report, report_generator
from course_lib.training.objective import frozen_precision


@dataclass(frozen=True, kw_only=True)
class FlowRecipe(DescentRecipe):
    """As for every descent, and besides:

    Attributes:
        levels, steps, width, bits: of the flow, as in `FlowConfig`.
        ramp: share of the pictures during which the rate rises; without, a flow may diverge.
    """

    thousands: float = 300
    batch: int = 32
    resolution: int = 32
    steady: float = 0.7
    held_out: int = 200
    clip: float | None = 1
    levels: int = 3
    steps: int = 8
    width: int = 64
    bits: int = 5
    ramp: float = 0.01


class GlowTraining(DescentTraining):
    """A Glow."""

    family = architecture = "glow"
    suffix = "-glow"
    recipes: ClassVar = {"clothes": FlowRecipe(flip=True)}

    def network(self) -> nn.Module:
        """Of the recipe's size."""
        recipe = self.recipe
        return Flow(FlowConfig(self.family, recipe.resolution, recipe.levels, recipe.steps,
                               recipe.width, recipe.bits))

    def loss(self, batch: Tensor) -> tuple[Tensor, Losses]:
        """Bits a value, of dequantised pictures; bfloat16 inside the couplings' nets alone."""
        images = dequantize((batch + 1) / 2, self.recipe.bits, rng=self.rng)
        with frozen_precision(self.device):
            density = self.model.log_density(images).mean()
        bits = self.recipe.bits - density / (images[0].numel() * math.log(2))
        return bits, {"bits per dimension": bits}

    def rate(self, full: float, progress: float) -> float:
        """Up within `ramp`, down after `steady`."""
        up = min(1.0, progress / self.recipe.ramp) if self.recipe.ramp else 1.0
        return super().rate(full, progress) * up

    @torch.no_grad()
    def held_out_bits(self) -> float:
        """Bits a value of photos that training never saw."""
        rng = torch.Generator().manual_seed(0)
        bits = [self.kept.bits_per_dimension((some.float() / 255).to(self.device), rng=rng)
                for some in self.held.split(50)]
        return round(float(torch.cat(bits).mean()), 3)

    def facts(self) -> dict:
        """The flow's shape, and the bits of photos that training never saw."""
        return {"config": asdict(self.model.config), "held out": self.held_out_bits()}

    @classmethod
    def report(cls, path: Path, state: dict, pictures: Callable[[int], Dataset], run: Path,
               recognized: int | None) -> Report:
        """As of every generator, and the bits of photos that training never saw."""
        report = report_generator(path, cls.settings(state), pictures, run, recognized)
        report.measured["held-out bits per dimension"] = state["held out"]
        return report


class RealNVPTraining(GlowTraining):
    """A RealNVP."""

    family = architecture = "realnvp"
    suffix = "-realnvp"
    recipes: ClassVar = {"clothes": FlowRecipe(flip=True, steps=3)}
