"""Projection where the class is unknown, too: which of the classes is it, and which code there?

A generator that is told a class has one manifold for each. So begin in all of them, a few steps
each, and go on from the best; there the class may become a mixture:

    z*, p* = argmin L(G(z, Σ p_k e_k), x),    p_k ≥ 0, Σ p_k = 1

with e_k the vector that stands for class k. The mixture stays convex since p = softmax(a).

Sources: Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", ICLR
2019 (the shared vectors, and that mixtures of them give pictures between classes); the search is
the course's own.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_number, require_slopes
from course_lib.descent import ramp
from course_lib.generators.base import Generator
from course_lib.losses import Loss, fix_target
from course_lib.projection import as_batch, default_loss, project
from course_lib.results import (
    CLOSE_TO_PHOTO,
    ON_MANIFOLD,
    Callback,
    allowed_steps,
    should_stop,
)
from course_lib.shapes import Image

TOGETHER = 16  # classes that are tried at once
SURE = 4.0  # how far the best class's logit is above the others at first


@dataclass(frozen=True)
class ClassProjection:
    """The code and the classes that were found for a photo.

    Attributes:
        latent: z, (1, z_dim).
        mix: the share of each class, (1, classes); they add up to 1.
        image: their picture, (1, 3, r, r).
        by_class: L after the first steps in each class, (classes,).
        energies: the terms of the energy while the best one went on.
        seconds: how long it took.
    """

    latent: Float[Tensor, "1 z_dim"]
    mix: Float[Tensor, "1 classes"]
    image: Float[Tensor, "1 3 r r"]
    by_class: Float[Tensor, " classes"]
    energies: dict[str, Float[Tensor, " steps"]]
    seconds: float

    @property
    def best(self) -> int:
        """The class that came closest in the first steps, by its number."""
        return int(self.by_class.argmin())


def project_over_classes(
    generator: Generator, target: Image, *, tries: int = 30, steps: int = 100,
    learning_rate: float = 0.1, prior: float = 0.05, mixes: bool = True, loss: Loss | None = None,
    rng: torch.Generator | None = None, callback: Callback | None = None,
) -> ClassProjection:
    """Find a photo's class and code: `tries` steps in each class, then `steps` in the best one.

    Args:
        target: a photo (3, r, r) in [0, 1], of the generator's size.
        learning_rate: of Adam on the codes, and on the classes' logits.
        prior: weight λ of the codes' mean square, which is 1 for a draw that is not cut off.
        mixes: whether the class may become a mixture; it stays the best one otherwise.
        loss: as in `projection.project`.
        callback: called with the step and the picture while the best one goes on; it may raise
            `StopIteration` to end with what was found until then.
    Raises:
        ValueError: the generator has no classes, or the photo is not one of its size.
    """
    begin = time.perf_counter()
    require_slopes()
    generator.require_capability("with_mix")
    for value, name, least in ((tries, "tries", 1), (steps, "steps", 0)):
        require_count(value, name, least=least)
    require_number(learning_rate, "learning_rate", above=0)
    require_number(prior, "prior", least=0)
    photo, loss = as_batch(target, generator)[:1], loss or default_loss(generator)
    codes, by_class = _try_all(generator, photo, tries, prior, loss, rng)
    best = by_class.argmin()
    alone = F.one_hot(best, len(by_class))[None].to(photo)
    start = codes[best][None], SURE * alone if mixes else None
    latent, logits, energies = _go_on(
        generator.with_mix(alone), fix_target(loss, photo), start, steps, learning_rate, prior,
        callback)
    mix = alone if logits is None else logits.softmax(dim=1)
    with torch.no_grad():
        image = generator.with_mix(mix).decode(latent)
    return ClassProjection(latent, mix, image, by_class.cpu(), energies,
                           time.perf_counter() - begin)


def _try_all(
    generator: Generator, photo: Tensor, tries: int, prior: float, loss: Loss,
    rng: torch.Generator | None,
) -> tuple[Float[Tensor, "classes z_dim"], Float[Tensor, " classes"]]:
    """The code that a few steps find in each class, and how far from the photo it stays."""
    alone, found = torch.eye(len(generator.classes), device=photo.device), []
    for some in alone.split(TOGETHER):
        found.append(project(generator.with_mix(some), photo.expand(len(some), -1, -1, -1),
                             space="z", steps=tries, prior=prior, loss=loss, rng=rng))
    with torch.no_grad():
        far = [loss(one.image, photo.expand_as(one.image)) for one in found]
    return torch.cat([one.latent for one in found]), torch.cat(far)


def _go_on(
    generator: Generator, close: Callable[[Tensor], Tensor],
    start: tuple[Tensor, Tensor | None], steps: int, learning_rate: float, prior: float,
    callback: Callback | None,
) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
    """Descend from z, and from the classes' logits if there are any."""
    free = [one.clone().requires_grad_() for one in start if one is not None]
    optimizer = torch.optim.Adam(free)
    energies, steps = {CLOSE_TO_PHOTO: [], ON_MANIFOLD: []}, allowed_steps(steps)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate * ramp(step / steps)
        chosen = generator.with_mix(free[1].softmax(dim=1)) if len(free) > 1 else generator
        image = chosen.decode(free[0])
        terms = close(image).mean(), prior * free[0].square().mean()
        optimizer.zero_grad()
        sum(terms).backward()
        optimizer.step()
        for history, term in zip(energies.values(), terms, strict=True):
            history.append(term.detach().cpu())
        if should_stop(callback, step, image):
            break
    latent, logits = (*[one.detach() for one in free], None)[:2]
    return latent, logits, {name: torch.stack(terms) if terms else torch.zeros(0)
                            for name, terms in energies.items()}
