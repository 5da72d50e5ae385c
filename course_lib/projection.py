"""Projecting a photo onto the manifold: z* = argmin L(G(z), x), in z, w or w_plus.

By optimisation, by an inverting network (see `encoders`), or by both, one after the other.

Sources: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016,
section 3.1 (the three ways); Karras et al., "Analyzing and Improving the Image Quality of
StyleGAN", CVPR 2020, appendix D (schedule, latent noise, noise maps).
"""

import math
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import (
    require_count,
    require_image,
    require_number,
    require_option,
    require_slopes,
    require_unit_range,
)
from course_lib.encoders import invert
from course_lib.generators.base import Generator
from course_lib.losses import (
    Loss,
    fix_target,
    lite0_loss,
    perceptual_loss,
    pixel_loss,
    weighted_sum,
)
from course_lib.results import Callback
from course_lib.shapes import Image, Latent
from course_lib.solvers import LBFGS


@dataclass(frozen=True)
class Projection:
    """What was found on the manifold for a photo, or for each of a batch.

    Attributes:
        latent: the codes, (batch, ...) in `space`.
        noise: one map a layer where the generator has noise maps that matter, else None.
        image: G(latent), (batch, 3, r, r).
        losses: L at each step for each picture, (steps, batch), without the prior.
        energies: the terms of the energy at each step, means over the batch.
        seconds: how long it took.
    """

    latent: Latent
    space: str
    noise: list[Tensor] | None
    image: Image
    losses: Float[Tensor, "steps batch"]
    energies: dict[str, Float[Tensor, " steps"]]
    seconds: float


@torch.enable_grad()
def project(
    generator: Generator,
    target: Image,
    *,
    space: str | None = None,
    init: str | Latent = "mean",
    steps: int = 300,
    loss: Loss | None = None,
    optimizer: str = "adam",
    learning_rate: float | int = 0.1,
    prior: float | int = 0.0,
    latent_noise: float | int = 0.05,
    starts: int = 1,
    patience: int | None = None,
    rng: torch.Generator | None = None,
    callback: Callback | None = None,
) -> Projection:
    """Find the codes whose pictures are closest to `target`.

    Args:
        target: a photo (3, r, r) or a batch (batch, 3, r, r) in [0, 1], of the generator's size.
        space: of the codes, one of the generator's; its default space if None.
        init: "mean" | "random" | "encoder" (what `encoders.invert` says: the generator's own
            inverse, or a network that was trained; steps=0 keeps it) | codes of `space`.
        loss: L(image, target) -> (batch,); the generator's perceptual loss plus the pixels' if
            None.
        optimizer: "adam" (with ramped rate and noisy codes) | "lbfgs" (a trial a step, no noise;
            faster where the start is good).
        learning_rate: of Adam at its highest.
        prior: weight λ of the mean squared distance from the mean code in deviations, which keeps
            codes where the generator is good.
        latent_noise: of the codes in the first steps (with L-BFGS, of the mean that it starts
            from), as a share of each coordinate's deviation. Karras et al.'s 0.05 is a share of
            all coordinates' deviation together, which is √dim times as much.
        starts: tries a photo, from random codes if `init` is "random"; the best one is kept.
        patience: stop when no photo has become 1 % better within so many steps; never if None.
        rng: for random codes and latent noise; seeded with 0 if None.
        callback: called with the step and the pictures so far; it may raise `StopIteration` to
            end with what was found until then.
    Raises:
        ValueError: the photo is not of the generator's size, or an option is unknown.
    """
    begin = time.perf_counter()
    require_slopes()
    targets = as_batch(target, generator)
    space = space or generator.default_space
    rng = rng or torch.Generator().manual_seed(0)
    require_option(optimizer, ("adam", "lbfgs"), "optimizer")
    for value, name in ((learning_rate, "learning_rate"), (prior, "prior"),
                        (latent_noise, "latent_noise")):
        require_number(value, name, least=0)
    require_count(steps, "steps", least=0)
    require_count(starts, "starts")
    if patience is not None:
        require_count(patience, "patience")
    loss = loss or default_loss(generator)
    repeated = targets.repeat_interleave(starts, dim=0)
    latent = initial_latent(generator, repeated, space, init, rng)
    if optimizer == "lbfgs" and isinstance(init, str) and init == "mean":
        # Where z = 0 there is no slope; Adam's noise leads away from there, too.
        deviation = generator.latent_std(space)
        latent = latent + latent_noise * deviation * torch.randn(latent.shape, generator=rng).to(
            latent)
    noise = [torch.randn(len(repeated), *size, generator=rng).to(targets)
             for size in generator.noise_shapes] or None
    energy = _Energy(generator, repeated, space, loss, prior)
    descend = _descend_adam if optimizer == "adam" else _descend_lbfgs
    options = _Options(steps, learning_rate, latent_noise, patience, rng, callback)
    latent, noise = descend(energy, latent, noise, options)
    with torch.no_grad():
        image = generator.decode(latent, space=space, noise=noise)
        final = energy.distance_to_photo(image).unflatten(0, (-1, starts))
    best = final.argmin(dim=1) + torch.arange(len(targets), device=final.device) * starts
    history = {name: torch.stack(terms) if terms else torch.zeros(0, len(repeated))
               for name, terms in energy.history.items()}
    return Projection(
        latent[best], space, [one[best] for one in noise] if noise else None, image[best],
        history["close to the photo"][:, best.cpu()],
        {name: terms[:, best.cpu()].mean(dim=1) for name, terms in history.items()},
        time.perf_counter() - begin,
    )


def default_loss(generator: Generator) -> Loss:
    """Features of the discriminator, or of Lite0 where it is lost, plus pixels."""
    features = perceptual_loss(generator) if generator.has_discriminator else lite0_loss()
    return weighted_sum({features: 1, pixel_loss: 5})


def initial_latent(
    generator: Generator, targets: Image, space: str, init: str | Latent, rng: torch.Generator
) -> Latent:
    """Codes (batch, ...) in `space` to start from."""
    batch = len(targets)
    generator.require_space(space)
    if isinstance(init, Tensor):
        generator.require_latent(init, space)
        if len(init) == 0 or batch % len(init):
            raise ValueError(
                f"init holds {len(init)} codes for {batch} starts, so some would have none: pass "
                f"one code, or one a photo."
            )
        return init.detach().repeat_interleave(batch // len(init), dim=0)
    require_option(init, ("mean", "random", "encoder"), "init")
    if init == "random":
        return generator.sample_latent(batch, space=space, rng=rng).detach()
    if init == "mean":
        return generator.latent_mean(space).detach().expand(batch, *generator.latent_shape(space))
    return invert(generator, targets, space=space)


@dataclass(frozen=True)
class _Options:
    steps: int
    learning_rate: float | int
    latent_noise: float | int
    patience: int | None
    rng: torch.Generator
    callback: Callback | None


class _Energy:
    """E(code) = L(G(code), x) + λ · prior(code) + 1e5 · structure of the noise maps."""

    def __init__(self, generator: Generator, targets: Tensor, space: str, loss: Loss,
                 prior: float | int):
        self.generator, self.space, self.prior = generator, space, prior
        self.distance_to_photo = fix_target(loss, targets)
        self.codes = generator.space(space)
        self.history = {"close to the photo": [], "on the manifold": []}

    def take_back(self, where: Tensor) -> None:
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
        self.history["close to the photo"].append(close.detach().cpu())
        self.history["on the manifold"].append((self.prior * distance).detach().cpu())
        energy = close + self.prior * distance
        if noise:
            energy = energy + 1e5 * noise_structure(noise)
        return energy, image


def _descend_adam(
    energy: _Energy, latent: Tensor, noise: list[Tensor] | None, options: _Options
) -> tuple[Tensor, list[Tensor] | None]:
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
        if _told_to_stop(options, step, image) or _stuck(energy, options):
            break
    return latent.detach(), [one.detach() for one in free] or None


def _descend_lbfgs(
    energy: _Energy, latent: Tensor, noise: list[Tensor] | None, options: _Options
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
        energy.take_back(~better)
        if _told_to_stop(options, step, image) or _stuck(energy, options):
            break
    found = unpack(search.point)
    return found[0], found[1:] or None


def ramp(progress: float | int) -> float:
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


def _told_to_stop(options: _Options, step: int, image: Tensor) -> bool:
    try:
        if options.callback:
            options.callback(step, image.detach())
    except StopIteration:
        return True
    return False


def _stuck(energy: _Energy, options: _Options) -> bool:
    losses, patience = energy.history["close to the photo"], options.patience
    if patience is None or len(losses) <= patience:
        return False
    before = torch.stack(losses[:-patience]).min(dim=0).values
    lately = torch.stack(losses[-patience:]).min(dim=0).values
    return bool((lately > 0.99 * before).all())


def as_batch(target: Image, generator: Generator) -> Float[Tensor, "_ 3 _ _"]:
    """Photos (batch, 3, r, r) on the generator's device; refused if of another size."""
    require_image(target, "target")
    require_unit_range(target, "target")
    size = (3, generator.resolution, generator.resolution)
    if target.ndim in (3, 4) and target.shape[-2:] == size[1:] and target.shape[-3] != 3:
        raise ValueError(
            f"target has {target.shape[-3]} channels, but {generator.name} draws red, green and "
            f"blue: repeat a grey one, photo.expand(3, -1, -1), and drop a fourth, photo[:3]."
        )
    if target.ndim > 4 or tuple(target.shape[-3:]) != size:
        raise ValueError(
            f"target has shape {tuple(target.shape)}, but {generator.name} draws {size} "
            f"(channels, height, width): crop the photo with images.crop_square(photo, "
            f"resolution={generator.resolution})."
        )
    return (target if target.ndim == 4 else target[None]).to(generator.device).float().detach()
