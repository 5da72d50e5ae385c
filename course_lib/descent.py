"""Descending to the code whose picture is closest: the energy of a projection, and two ways down.

Sources: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020,
appendix D (Adam's schedule, noise on codes, noise maps); L-BFGS as in `solvers`.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_number
from course_lib.generators.base import Generator
from course_lib.losses import Loss, fix_target
from course_lib.results import CLOSE_TO_PHOTO, ON_MANIFOLD, Callback, should_stop
from course_lib.solvers import LBFGS


@dataclass(frozen=True)
class Options:
    """How to descend; each as in `projection.project`."""

    steps: int
    learning_rate: float
    latent_noise: float
    patience: int | None
    rng: torch.Generator
    callback: Callback | None

    def require_sound(self) -> None:
        """Raise a `ValueError` for a number out of its range."""
        for name in ("learning_rate", "latent_noise"):
            require_number(getattr(self, name), name, least=0)
        require_count(self.steps, "steps", least=0)
        if self.patience is not None:
            require_count(self.patience, "patience")


class Energy:
    """E(code) = L(G(code), x) + λ · prior(code) + 1e5 · structure of the noise maps."""

    def __init__(self, generator: Generator, targets: Tensor, space: str, loss: Loss,
                 prior: float):
        self.generator, self.space, self.prior = generator, space, prior
        self.distance_to_photo = fix_target(loss, targets)
        self.codes = generator.space(space)
        self.history = {CLOSE_TO_PHOTO: [], ON_MANIFOLD: []}

    def repeat_last(self, where: Tensor) -> None:
        """Let the last entry repeat the one before for the photos whose trial was refused."""
        for terms in self.history.values():
            if len(terms) > 1:
                terms[-1] = torch.where(where.cpu(), terms[-2], terms[-1])

    def __call__(self, latent: Tensor, noise: list[Tensor] | None) -> tuple[Tensor, Tensor]:
        """The energy of each code, and the pictures."""
        image = self.generator.decode(latent, space=self.space, noise=noise)
        close = self.distance_to_photo(image)
        if close.shape != (len(image),):
            raise ValueError(
                f"loss gave shape {tuple(close.shape)} for {len(image)} pictures: return one "
                f"number a picture, averaged over the other axes only."
            )
        distance = self.codes.to_deviations(latent).square().flatten(1).mean(dim=1)
        self.history[CLOSE_TO_PHOTO].append(close.detach().cpu())
        self.history[ON_MANIFOLD].append((self.prior * distance).detach().cpu())
        energy = close + self.prior * distance
        if noise:
            energy = energy + 1e5 * noise_structure(noise)
        return energy, image


def descend_adam(
    energy: Energy, latent: Tensor, noise: list[Tensor] | None, options: Options
) -> tuple[Tensor, list[Tensor] | None]:
    """All photos at once, at a rate that ramps up and down, with noise on the codes at first."""
    latent = latent.clone().requires_grad_()
    free = [one.requires_grad_() for one in noise or []]
    optimizer = torch.optim.Adam([latent, *free], betas=(0.9, 0.999))
    for step in range(options.steps):
        progress = step / options.steps
        optimizer.param_groups[0]["lr"] = options.learning_rate * ramp(progress)
        strength = options.latent_noise * max(0.0, 1 - progress / 0.75) ** 2
        jitter = torch.randn(latent.shape, generator=options.rng).to(latent)
        energies, image = energy(latent + strength * energy.codes.std * jitter, noise)
        if not energies.isfinite().all():
            raise ValueError(
                f"the energy is {energies[~energies.isfinite()][0].item()} at step {step}, so no "
                f"slope leads on from there: look at what loss returns, or lower learning_rate."
            )
        optimizer.zero_grad()
        energies.sum().backward()
        optimizer.step()
        _renormalize(free)
        if should_stop(options.callback, step, image) or _has_stalled(energy, options):
            break
    return latent.detach(), [one.detach() for one in free] or None


def descend_lbfgs(
    energy: Energy, latent: Tensor, noise: list[Tensor] | None, options: Options
) -> tuple[Tensor, list[Tensor] | None]:
    """All photos in step, each with a memory and a step length of its own."""
    parts = [latent, *(noise or [])]
    sizes = [part[0].numel() for part in parts]

    def pack(tensors: list[Tensor]) -> Tensor:
        return torch.cat([one.flatten(1) for one in tensors], dim=1)

    def unpack(vectors: Tensor) -> list[Tensor]:
        return [flat.unflatten(1, part.shape[1:]) if part.ndim > 2 else flat
                for flat, part in zip(vectors.split(sizes, dim=1), parts, strict=True)]

    search = LBFGS(pack(parts))
    for step in range(options.steps):
        trial = [part.requires_grad_() for part in unpack(search.trial.clone())]
        energies, image = energy(trial[0], trial[1:] or None)
        slopes = torch.autograd.grad(energies.sum(), trial)
        better = search.answer(energies.detach(), pack(list(slopes)))
        energy.repeat_last(~better)
        if should_stop(options.callback, step, image) or _has_stalled(energy, options):
            break
    found = unpack(search.point)
    return found[0], found[1:] or None


def ramp(progress: float) -> float:
    """The rate's factor: up over the first 5 %, down as a cosine over the last 25 %."""
    down = min(1.0, (1 - progress) / 0.25)
    return (0.5 - 0.5 * math.cos(math.pi * down)) * min(1.0, (progress + 1e-3) / 0.05)


def noise_structure(noise: list[Tensor]) -> Float[Tensor, " batch"]:
    """Correlation of neighbours in each picture's noise maps, at every scale: 0 for noise.

    Source: Karras et al. 2020, appendix D.
    """
    total = noise[0].new_zeros(len(noise[0]))
    for one in noise:
        x = one[:, None]
        while True:
            for axis in (2, 3):
                total = total + (x * x.roll(1, axis)).mean(dim=(1, 2, 3)) ** 2
            if x.shape[-1] <= 8:
                break
            x = F.avg_pool2d(x, 2)
    return total


@torch.no_grad()
def _renormalize(noise: list[Tensor]) -> None:
    """Mean 0 and variance 1 for every map, so that no picture hides in them."""
    for one in noise:
        one -= one.mean(dim=(1, 2), keepdim=True)
        one *= (one.square().mean(dim=(1, 2), keepdim=True) + 1e-8).rsqrt()


def _has_stalled(energy: Energy, options: Options) -> bool:
    losses, patience = energy.history[CLOSE_TO_PHOTO], options.patience
    if patience is None or len(losses) <= patience:
        return False
    before = torch.stack(losses[:-patience]).min(dim=0).values
    lately = torch.stack(losses[-patience:]).min(dim=0).values
    return bool((lately > 0.99 * before).all())
