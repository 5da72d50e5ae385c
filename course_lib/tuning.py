"""Fine-tuning the generator to one photo: min over θ as well, without forgetting the manifold.

The lecture: z*, θ* = argmin L(G(z; θ), x) + λ R(θ), with R in weight space, ‖θ − θ0‖², or in
feature space; or local, as in pivotal tuning.

Sources: Bau et al., "Seeing What a GAN Cannot Generate", ICCV 2019 (feature space); Roich et
al., "Pivotal Tuning for Latent-based Editing of Real Images", 2021, eq. 5 (locality).
"""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import (
    require_count,
    require_number,
    require_option,
    require_rng,
    require_slopes,
)
from course_lib.generators.base import Generator
from course_lib.losses import Loss, fix_target, pixel_loss
from course_lib.projection import as_batch, default_loss
from course_lib.results import (
    CLOSE_TO_GENERATOR,
    CLOSE_TO_PHOTO,
    Callback,
    allowed_steps,
    should_stop,
)
from course_lib.shapes import Image, Latent

STRENGTHS = {"weight": 0.1, "feature": 1.0, "locality": 30.0, None: 0.0}


@dataclass(frozen=True)
class TunedGenerator:
    """A generator that has learnt one photo more.

    Attributes:
        generator: the tuned copy; the original is untouched.
        image: what it makes of the pivot, (batch, 3, r, r).
        energies: "close to the photo" and "close to the old generator", one number a step.
        seconds: how long it took.
    """

    generator: Generator
    image: Image
    energies: dict[str, Float[Tensor, " steps"]]
    seconds: float


@torch.enable_grad()
def tune_generator(
    generator: Generator,
    target: Image,
    latent: Latent,
    *,
    space: str,
    regularizer: str | None = "weight",
    strength: float | None = None,
    steps: int = 200,
    learning_rate: float = 1e-3,
    loss: Loss | None = None,
    rng: torch.Generator | None = None,
    callback: Callback | None = None,
) -> TunedGenerator:
    """Change the weights so that the code `latent`, the pivot, gives the photo `target`.

    Args:
        latent: of the photo's projection, in `space`; it stays as it is.
        regularizer: "weight" (‖θ − θ0‖²) | "feature" (features of the pivot in every layer
            stay) | "locality" (pictures of codes near the pivot stay) | None.
        strength: λ of the regulariser; its own `STRENGTHS` if None, which on the shipped models
            give up some closeness for a good part of the manifold.
        learning_rate: of Adam.
        rng: for the codes of "locality"; seeded with 0 if None.
        callback: called with the step and the picture so far; it may raise `StopIteration` to end
            with what was learnt until then.
    Raises:
        ValueError: an option is unknown, or the shapes don't fit the generator.
    """
    begin = time.perf_counter()
    require_slopes()
    rng = torch.Generator().manual_seed(0) if rng is None else rng
    require_rng(rng)
    require_option(regularizer, tuple(STRENGTHS), "regularizer")
    strength = STRENGTHS[regularizer] if strength is None else strength
    require_number(strength, "strength", least=0)
    require_number(learning_rate, "learning_rate", above=0)
    require_count(steps, "steps", least=0)
    generator.require_latent(latent, space)
    if regularizer == "feature":
        generator.require_capability("features")
    close = fix_target(loss or default_loss(generator), as_batch(target, generator))
    tuned = copy.deepcopy(generator).requires_grad_(True)
    penalty = _penalty(regularizer, generator, tuned, latent, space, rng)
    optimizer = torch.optim.Adam(tuned.parameters(), lr=learning_rate)
    energies = {CLOSE_TO_PHOTO: [], CLOSE_TO_GENERATOR: []}
    watched = _watched(tuned) if regularizer == "feature" else ()
    for step in range(allowed_steps(steps)):
        image, features = tuned.decode_with_features(latent, watched, space=space)
        terms = (close(image).mean(), strength * penalty(features))
        optimizer.zero_grad()
        sum(terms).backward()
        optimizer.step()
        for history, term in zip(energies.values(), terms, strict=True):
            history.append(term.detach().cpu())
        if should_stop(callback, step, image):
            break
    tuned.requires_grad_(False)
    with torch.no_grad():
        image = tuned.decode(latent, space=space)
    history = {name: torch.stack(terms) if terms else torch.zeros(0)
               for name, terms in energies.items()}
    return TunedGenerator(tuned, image, history, time.perf_counter() - begin)


def _penalty(
    regularizer: str | None, old: Generator, new: Generator, latent: Tensor, space: str,
    rng: torch.Generator,
) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """R(θ) as a function of the features that the pivot has now."""
    if regularizer == "weight":
        pairs = list(zip(old.parameters(), new.parameters(), strict=True))
        return lambda _: sum((after - before).square().sum() for before, after in pairs)
    if regularizer == "feature":
        with torch.no_grad():
            _, kept = old.decode_with_features(latent, _watched(old), space=space)
        return lambda features: _feature_change(kept, features)
    if regularizer == "locality":
        return lambda _: _local_change(old, new, latent, space, rng)
    return lambda _: latent.new_zeros(())


def _watched(generator: Generator) -> tuple[str, ...]:
    """Layers whose features should stay: all but the last, which is free to draw what was missing.
    """
    return generator.layers[:-1] or generator.layers


def _feature_change(before: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> Tensor:
    """How much the layers' features of the pivot changed, each relative to its own size."""
    changes = [(now[layer] - kept).square().mean() / kept.square().mean()
               for layer, kept in before.items()]
    return torch.stack(changes).mean()


def _local_change(
    old: Generator, new: Generator, latent: Tensor, space: str, rng: torch.Generator
) -> Tensor:
    """How much the picture of a code near the pivot changed: a step towards a random code."""
    other = old.sample_latent(len(latent), space=space, rng=rng)
    direction = (other - latent).flatten(1)
    length = direction.norm(dim=1, keepdim=True)
    if (length == 0).any():  # a pivot that was drawn by the same seed
        return _local_change(old, new, latent, space, rng)
    reach = old.latent_std(space).square().sum().sqrt() / 2
    near = latent + (reach * direction / length).reshape(latent.shape)
    with torch.no_grad():
        before = old.decode(near, space=space)
    return pixel_loss(new.decode(near, space=space), before).mean()
