"""Training an inverting network E through a frozen generator: G(E(x)) ≈ x.

On real photos it learns to reconstruct; on the generator's own samples it also learns the code.

Sources: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016,
eq. 3; Richardson et al., "Encoding in Style" (pSp), CVPR 2021, section 3.2.
"""

from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from course_lib.encoders import Encoder, EncoderConfig
from course_lib.generators.base import Generator
from course_lib.losses import lite0_loss, pixel_loss
from course_lib.training.data import Dataset, draw_batch
from course_lib.training.objective import ema_decay, follow, frozen_precision
from course_lib.weights import StoredWeights


@dataclass(frozen=True)
class EncoderRecipe:
    """All that a run depends on, besides generator and data.

    Attributes:
        thousands: of real photos to show; as many samples are shown beside them.
        held_out: photos at the end of the (shuffled) set that training never sees.
        pixels, code: weights of squared pixel error and of the samples' code error; the photos'
            perceptual loss has weight 1.
    """

    thousands: float | int = 30
    batch: int = 16
    widths: tuple[int, ...] = (24, 48, 96, 128, 192)
    learning_rate: float | int = 1e-3
    pixels: float | int = 20
    code: float | int = 0.5
    flip: bool = False
    held_out: int = 200
    ema_thousands: float | int = 5
    seed: int = 0


RECIPES = {
    "cats": EncoderRecipe(flip=True), "shoes": EncoderRecipe(), "bags": EncoderRecipe(flip=True),
    "cats-128": EncoderRecipe(flip=True, batch=32, widths=(16, 32, 64, 96, 128, 128)),
    "shirts": EncoderRecipe(flip=True, batch=32, widths=(24, 48, 96, 128, 160)),
    "shoes-dcgan": EncoderRecipe(), "cats-dcgan": EncoderRecipe(flip=True),
}


def held_out(data: Dataset, photos: int = 200) -> tuple[Tensor, Tensor]:
    """The set without some photos, always the same; and those, which training never sees."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    return data[order[:-photos]], data[order[-photos:]]


def shortened(recipe: EncoderRecipe, share: float | int) -> EncoderRecipe:
    """The same recipe with fewer photos, for a trial."""
    return replace(recipe, thousands=recipe.thousands * share)


class EncoderTraining:
    """The inverting network, its optimiser, and how far it is.

    Attributes:
        average: the network with averaged weights, the one that is kept.
        seen: real photos shown so far.
    """

    def __init__(self, recipe: EncoderRecipe, generator: Generator, data: Dataset):
        self.recipe, self.generator, self.device = recipe, generator, generator.device
        torch.manual_seed(recipe.seed)
        self.rng = torch.Generator().manual_seed(recipe.seed)
        if len(data) <= recipe.held_out:
            raise ValueError(
                f"the set has {len(data)} pictures, of which {recipe.held_out} are kept out of "
                f"training, so nothing is left to learn from: pass a larger set."
            )
        self.data, self.held = held_out(data, recipe.held_out)
        self.data = self.data.to(self.device)
        space = "w_plus" if "w_plus" in generator.spaces else "z"
        shape = generator.latent_shape(space)
        rows = shape[0] if len(shape) == 2 else 1
        config = EncoderConfig(generator.resolution, space, rows, shape[-1], recipe.widths)
        place = {"device": self.device, "memory_format": torch.channels_last}
        self.encoder, self.average = Encoder(config).to(**place), Encoder(config).to(**place)
        if space == "w_plus":
            self.encoder.mean.copy_(generator.latent_mean("w"))
        self.average.load_state_dict(self.encoder.state_dict())
        self.std = generator.latent_std(space)
        self.perceptual = lite0_loss()
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), lr=recipe.learning_rate)
        self.seen = 0

    @property
    def done(self) -> bool:
        """Whether the recipe's photos have been shown."""
        return self.seen >= 1000 * self.recipe.thousands

    def step(self) -> dict[str, Tensor]:
        """Learn from a batch of photos and a batch of samples; the losses."""
        recipe, space = self.recipe, self.encoder.space
        real = draw_batch(self.data, recipe.batch, flip=recipe.flip, rng=self.rng,
                          device=self.device).add(1).div(2)
        with torch.no_grad():
            code = self.generator.sample_latent(recipe.batch, space=space, rng=self.rng)
            sampled = self.generator.decode(code, space=space).clamp(0, 1)
        images = torch.cat([real, sampled]).contiguous(memory_format=torch.channels_last)
        with frozen_precision(self.device):
            found = self.encoder(images)
            rebuilt = self.generator.decode(found, space=space).float()
            losses = {
                "perceptual": self.perceptual(rebuilt[: recipe.batch], real).mean(),
                "pixels": pixel_loss(rebuilt, images).mean(),
                "code": ((found[recipe.batch :] - code) / self.std).square().mean(),
            }
        weights = {"perceptual": 1, "pixels": recipe.pixels, "code": recipe.code}
        self.optimizer.zero_grad()
        sum(weights[name] * value for name, value in losses.items()).backward()
        self.optimizer.param_groups[0]["lr"] = recipe.learning_rate * self._ramp()
        self.optimizer.step()
        self.seen += recipe.batch
        decay = ema_decay(recipe.batch, self.seen, recipe.ema_thousands)
        follow(self.average, self.encoder, decay)
        return {name: value.detach() for name, value in losses.items()}

    @torch.no_grad()
    def samples(self, n: int) -> Tensor:
        """Photos that training never saw, each beside what the generator makes of its code."""
        photos = (self.held[: n // 2].float() / 255).to(self.device)
        rebuilt = self.generator.decode(self.average(photos), space=self.average.space)
        return torch.stack([photos, rebuilt.clamp(0, 1)], dim=1).flatten(0, 1)

    @torch.no_grad()
    def held_out_loss(self) -> dict[str, float]:
        """Mean reconstruction losses of the photos that training never saw."""
        found = {"perceptual": [], "pixels": []}
        for part in self.held.split(50):
            photos = (part.float() / 255).to(self.device)
            rebuilt = self.generator.decode(self.average(photos), space=self.average.space)
            found["perceptual"].append(self.perceptual(rebuilt, photos))
            found["pixels"].append(pixel_loss(rebuilt, photos))
        return {name: float(torch.cat(values).mean()) for name, values in found.items()}

    def state(self) -> dict:
        """All that training goes on from."""
        return {
            "encoder": self.encoder.state_dict(), "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(), "seen": self.seen,
            "rng": self.rng.get_state(), "config": asdict(self.encoder.config),
            "held out": self.held_out_loss(),
        }

    def load(self, state: dict) -> None:
        """Go on from a stored `state`."""
        self.encoder.load_state_dict(state["encoder"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.seen = state["seen"]
        self.rng.set_state(state["rng"].cpu())

    def start_from(self, weights: StoredWeights) -> None:
        """Go on from a shipped network, as after its generator has changed a little."""
        for network in (self.encoder, self.average):
            network.load_state_dict(weights.tensors)

    def _ramp(self) -> float:
        """Down to a tenth over the second half."""
        progress = self.seen / (1000 * self.recipe.thousands)
        return 1.0 if progress < 0.5 else 0.1 ** min(1.0, 2 * progress - 1)
