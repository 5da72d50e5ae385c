"""Projecting a photo onto the manifold: z* = argmin L(G(z), x), in z, w or w_plus.

By optimisation (see `descent`), by an inverse (see `encoders`), or by both, one after the other:
the hybrid.

Sources: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016,
section 3.1 (the three ways); Karras et al., "Analyzing and Improving the Image Quality of
StyleGAN", CVPR 2020, appendix D.
"""

import time
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import (
    require_count,
    require_image,
    require_number,
    require_option,
    require_rng,
    require_slopes,
    require_unit_range,
)
from course_lib.descent import (
    Energy,
    Options,
    descend_adam,
    descend_lbfgs,
    noise_structure,
    ramp,
)
from course_lib.encoders import invert
from course_lib.generators.base import Generator
from course_lib.losses import Loss, lite0_loss, perceptual_loss, pixel_loss, weighted_sum
from course_lib.results import CLOSE_TO_PHOTO, Callback, allowed_steps
from course_lib.shapes import Image, Latent

__all__ = [
    "Projection", "as_batch", "default_loss", "initial_latent", "noise_structure", "project",
    "ramp",
]


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
    learning_rate: float = 0.1,
    prior: float = 0.0,
    latent_noise: float = 0.05,
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
    rng = torch.Generator().manual_seed(0) if rng is None else rng
    require_rng(rng)
    options = Options(steps, learning_rate, latent_noise, patience, rng, callback)
    options.require_sound()
    options = replace(options, steps=allowed_steps(steps))
    require_option(optimizer, ("adam", "lbfgs"), "optimizer")
    require_number(prior, "prior", least=0)
    require_count(starts, "starts")
    loss = loss or default_loss(generator)
    repeated = targets.repeat_interleave(starts, dim=0)
    latent = initial_latent(generator, repeated, space, init, rng)
    if optimizer == "lbfgs" and isinstance(init, str) and init == "mean":
        # Where z = 0 there is no slope; Adam's noise leads away from there, too.
        jitter = torch.randn(latent.shape, generator=rng).to(latent)
        latent = latent + latent_noise * generator.latent_std(space) * jitter
    noise = [torch.randn(len(repeated), *size, generator=rng).to(targets)
             for size in generator.noise_shapes] or None
    energy = Energy(generator, repeated, space, loss, prior)
    descend = descend_adam if optimizer == "adam" else descend_lbfgs
    latent, noise = descend(energy, latent, noise, options)
    return _keep_best(energy, latent, noise, starts, begin)


@torch.no_grad()
def _keep_best(
    energy: Energy, latent: Tensor, noise: list[Tensor] | None, starts: int, begin: float
) -> Projection:
    """Of each photo's tries, which stand side by side, the one that came closest."""
    image = energy.generator.decode(latent, space=energy.space, noise=noise)
    final = energy.distance_to_photo(image).unflatten(0, (-1, starts))
    best = final.argmin(dim=1) + torch.arange(len(final), device=final.device) * starts
    history = {name: (torch.stack(terms) if terms else torch.zeros(0, len(latent)))[:, best.cpu()]
               for name, terms in energy.history.items()}
    return Projection(
        latent[best], energy.space, [one[best] for one in noise] if noise else None, image[best],
        history[CLOSE_TO_PHOTO], {name: terms.mean(dim=1) for name, terms in history.items()},
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
