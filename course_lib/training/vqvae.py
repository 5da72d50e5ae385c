"""Training a VQ-VAE-2: first to rebuild pictures from words, then the prior of those words.

    python -m course_lib.training vqvae clothes --data clothes.zip --out runs/clothes-vqvae
    python -m course_lib.training prior clothes --data clothes.zip --out runs/clothes-prior
        --start-from course_lib/assets/clothes-vqvae.safetensors

The second run's export has both.

Sources: van den Oord et al., "Neural Discrete Representation Learning", NeurIPS 2017, eq. 3;
Razavi et al., "Generating Diverse High-Fidelity Images with VQ-VAE-2", NeurIPS 2019. Deviation:
absolute errors and features of EfficientNet-Lite0 where the papers take squared errors, which
leave pictures soft.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.generators.vqvae import LEVELS, VQVAE, VQVAEConfig
from course_lib.losses import lite0_loss
from course_lib.training.base import Losses, require_file
from course_lib.training.data import Dataset, read_pictures
from course_lib.training.descent import DescentRecipe, DescentTraining
from course_lib.training.measuring import Report, report_generator
from course_lib.training.objective import frozen_precision
from course_lib.weights import read_weights


@dataclass(frozen=True, kw_only=True)
class VQVAERecipe(DescentRecipe):
    """As for every descent, and besides:

    Attributes:
        width, inner, blocks, words, dim: of the networks, as in `VQVAEConfig`.
        commitment: weight of ‖z_e − sg(e)‖², which keeps the encoder near its words.
        perceptual: weight of the distance in features, beside the absolute error's 1.
    """

    thousands: float = 200
    batch: int = 32
    steady: float = 0.5
    ema_thousands: float = 3
    held_out: int = 200
    width: int = 64
    inner: int = 32
    blocks: int = 2
    words: int = 128
    dim: int = 32
    commitment: float = 0.25
    perceptual: float = 0.1


class VQVAETraining(DescentTraining):
    """Encoder, vocabularies and decoder."""

    family = architecture = "vqvae"
    suffix = "-vqvae"
    recipes: ClassVar = {"clothes": VQVAERecipe(flip=True)}
    forget = 0.01  # of the running statistics of codes, at each step

    def network(self) -> nn.Module:
        """Of the recipe's size, without a prior."""
        recipe = self.recipe
        self.perceptual = lite0_loss(seen_at=recipe.resolution)
        return VQVAE(VQVAEConfig(recipe.resolution, recipe.width, recipe.inner, recipe.blocks,
                                 recipe.words, recipe.dim))

    def loss(self, batch: Tensor) -> tuple[Tensor, Losses]:
        """Errors of pixels and features, and the distance of vectors from their words."""
        images = (batch + 1) / 2
        with frozen_precision(self.device):
            rebuilt, levels = self.model(images)
            features = self.perceptual(rebuilt, images).mean()
        terms = {"absolute error": (rebuilt - images).abs().mean(), "perceptual": features}
        for level, (vectors, words) in zip(LEVELS, levels, strict=True):
            terms[f"commitment, {level}"] = (vectors - words.detach()).square().mean()
        self._follow(torch.cat([vectors.detach().flatten(1) for vectors, _ in levels], dim=1))
        weights = {"absolute error": 1, "perceptual": self.recipe.perceptual}
        return sum(weights.get(name, self.recipe.commitment) * value
                   for name, value in terms.items()), terms

    def _follow(self, codes: Tensor) -> None:
        """Mean and deviation of codes, lately."""
        share, model = self.forget if self.steps else 1, self.model
        mean, variance = codes.mean(dim=0), codes.var(dim=0)
        model.code_mean.lerp_(mean, share)
        model.code_std.copy_(model.code_std.square().lerp(variance, share).sqrt().clamp(min=1e-3))

    @torch.no_grad()
    def samples(self, n: int, *, seed: int = 0) -> Tensor:
        """Photos that training never saw, each beside its rebuilt one."""
        photos = (self.held[: n // 2].float() / 255).to(self.device)
        rebuilt = self.kept.decode(self.kept.invert(photos), space="codes").clamp(0, 1)
        return torch.stack([photos, rebuilt], dim=1).flatten(0, 1)

    @torch.no_grad()
    def held_out_loss(self) -> dict[str, float]:
        """Of photos that training never saw: their error, and the words in use."""
        photos = (self.held.float() / 255).to(self.device)
        codes = self.kept.invert(photos)
        rebuilt = self.kept.decode(codes, space="codes")
        used = {f"words used, {level}": len(words.unique())
                for level, words in self.kept.words(codes).items()}
        return {"squared error": round(float((rebuilt - photos).square().mean()), 5),
                "perceptual": round(float(self.perceptual(rebuilt, photos).mean()), 4)} | used

    def facts(self) -> dict:
        """The networks' shape, and what photos that training never saw lose."""
        return {"config": asdict(self.kept.config), "held out": self.held_out_loss()}

    @classmethod
    def report(cls, path: Path, state: dict, pictures: Callable[[int], Dataset], run: Path,
               recognized: int | None) -> Report:
        """What photos lose that training never saw; without a prior there are no samples yet."""
        held = state["held out"]
        measured = {"held out": held, "bytes a picture": bytes_a_picture(state["config"]),
                    "pictures seen": state["seen"]}
        return Report(cls.architecture, state["config"]["resolution"],
                      f"squared error {held['squared error']}; no prior yet", measured)


@dataclass(frozen=True, kw_only=True)
class PriorRecipe(DescentRecipe):
    """As for every descent. Its rate falls; the held-out bits tell when it learns by heart."""

    thousands: float = 200
    batch: int = 32
    steady: float = 0.5
    ema_thousands: float = 3
    held_out: int = 200
    clip: float | None = 1


class PriorTraining(DescentTraining):
    """The prior of a VQ-VAE-2's words, whose other parts stay as they are."""

    family, architecture, suffix = "prior", "vqvae", "-vqvae"
    recipes: ClassVar = {"clothes": PriorRecipe(flip=True)}

    def __init__(self, recipe: PriorRecipe, data: Dataset, vqvae: VQVAE, **place):
        self.vqvae = vqvae
        super().__init__(recipe, data, **place)

    @classmethod
    def check_options(cls, options: argparse.Namespace, *, resumes: bool) -> None:
        """It needs the rest of the model."""
        super().check_options(options, resumes=resumes)
        if options.start_from is None:
            raise ValueError("--start-from is missing, and words come from a VQ-VAE-2 that is "
                             "trained: pass course_lib/assets/clothes-vqvae.safetensors, say")

    @classmethod
    def build(cls, recipe: PriorRecipe, options: argparse.Namespace, **place) -> "PriorTraining":
        """For the model that --start-from names."""
        require_file(options.start_from, "--start-from", "clothes-vqvae.safetensors")
        vqvae = VQVAE.from_weights(read_weights(options.start_from), options.start_from.stem)
        return cls(recipe, read_pictures(options.data, vqvae.resolution), vqvae, **place)

    def begin(self, options: argparse.Namespace) -> None:
        """From the start: what --start-from names has been taken."""

    def network(self) -> nn.Module:
        """The model, with a prior that learns, whatever it had before."""
        model = VQVAE(self.vqvae.config, self.vqvae.name, with_prior=True)
        model.load_state_dict(self.vqvae.state_dict(), strict=False)
        model.requires_grad_(False).prior.requires_grad_(True)
        return model

    def loss(self, batch: Tensor) -> tuple[Tensor, Losses]:
        """Nats a word of a batch."""
        words = self._spelled((batch + 1) / 2)
        with frozen_precision(self.device):
            logits = self.model.prior(words)
        nats = F.cross_entropy(logits.float().flatten(0, 1), words.flatten())
        return nats, {"bits a word": nats / math.log(2)}

    @torch.no_grad()
    def _spelled(self, images: Tensor) -> Tensor:
        """The words of pictures in [0, 1], by the network that stays."""
        average = self.average
        return average.spelled(average.invert(images))

    @torch.no_grad()
    def held_out_bits(self) -> float:
        """Bits a word of photos that training never saw."""
        words = self._spelled((self.held.float() / 255).to(self.device))
        nats = F.cross_entropy(self.kept.prior(words).flatten(0, 1), words.flatten())
        return round(float(nats) / math.log(2), 3)

    def facts(self) -> dict:
        """The networks' shape, and the bits of photos that training never saw."""
        return {"config": asdict(self.vqvae.config), "held out": self.held_out_bits()}

    @classmethod
    def report(cls, path: Path, state: dict, pictures: Callable[[int], Dataset], run: Path,
               recognized: int | None) -> Report:
        """As of every generator, beside the bits of photos that training never saw."""
        report = report_generator(path, cls.settings(state), pictures, run, recognized)
        report.measured["held-out bits a word"] = state["held out"]
        report.measured["bytes a picture"] = bytes_a_picture(state["config"])
        return report


def bytes_a_picture(config: dict) -> int:
    """What the words of a picture take, without a prior."""
    sizes = VQVAEConfig(**config).sizes.values()
    return math.ceil(sum(size**2 for size in sizes) * math.log2(config["words"]) / 8)
