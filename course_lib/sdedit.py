"""Editing by a diffusion model: drown a picture in noise, and let the model lead it back.

    x_t = α(t) x + σ(t) ε,    then DDIM's steps from t down to 0

The more noise, the less is left of the input, and the more of the answer is the model's own: t is
the lecture's "stay close to the input" as one slider. Where a mask says so, the input stays as it
is; and constraints, such as strokes, pull at every step. Words, lastly, need no noise but the
picture's own: it is inverted, and drawn again by a model that is told something else (`reword`).

Sources: Meng et al., "SDEdit: Guided Image Synthesis and Editing with Stochastic Differential
Equations", ICLR 2022, algorithms 1 and 2; Lugmayr et al., "RePaint: Inpainting using Denoising
Diffusion Probabilistic Models", CVPR 2022, algorithm 1; Chung et al., "Diffusion Posterior
Sampling for General Noisy Inverse Problems", ICLR 2023, algorithm 1 (the pull).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from course_lib.checks import (
    require_count,
    require_mask,
    require_number,
    require_rng,
    require_slopes,
)
from course_lib.denoising import Noisy, Prediction, add_noise, ddim_step, sigma, step_out
from course_lib.generators.base import Generator
from course_lib.guidance import Constraint, Drag
from course_lib.guidance.energy import Terms, bind, require_constraints
from course_lib.results import Callback, should_stop
from course_lib.shapes import Image, Latent


@dataclass(frozen=True)
class Denoised:
    """What came of a picture that was noised, and led back.

    Attributes:
        image: (batch, 3, r, r), about [0, 1].
        noised: how the way back began, (batch, 3, r, r), in the model's own [-1, 1] and beyond.
        guesses: the clean picture as it was guessed at each step, of the first of the batch,
            (steps, 3, r, r), about [0, 1].
        times: at which they were guessed, (steps,).
        energies: each constraint's weighted term, (steps, batch).
    """

    image: Image
    noised: Noisy
    guesses: Float[Tensor, "steps 3 r r"]
    times: Float[Tensor, " steps"]
    energies: dict[str, Float[Tensor, "steps batch"]]


def sdedit(
    generator: Generator,
    image: Image,
    constraints: Sequence[Constraint] = (),
    *,
    noise: float = 0.5,
    mask: Bool[Tensor, "r r"] | None = None,
    pull: float = 0.5,
    rounds: int = 1,
    rng: torch.Generator,
    callback: Callback | None = None,
) -> Denoised:
    """Noise a picture, and lead it back to one that the model knows.

    Args:
        generator: with the label, guidance and steps (of the whole way, from 1 to 0) that are set.
        image: (batch, 3, r, r) in [0, 1]; strokes of colour may be painted on it.
        constraints: what the answer should be like, besides; all but drags.
        noise: t where the way back begins, in (0, 1]: about 0.3 keeps to the input, 0.7 is free,
            1 knows nothing of it but what mask and constraints say.
        mask: where the answer may differ from the input, (r, r); everywhere if None.
        pull: how far constraints move the picture at each step, beside the noise that is left and
            the error that is: 0 for not at all, at most 1, since larger steps overshoot.
        rounds: how often each step is gone. After each but the last as much noise as it took away
            is added anew, so that what is inside the mask and what is outside grow together.
        rng: of the noise.
        callback: called with the step and the guess of the clean pictures; may raise
            `StopIteration` to end with that guess.
    Raises:
        ValueError: the pictures are not in [0, 1] or of another size, the mask does not fit, or a
            constraint is a drag.
    """
    generator.require_capability("predict")
    generator.require_pictures(image)
    require_number(noise, "noise", above=0, most=1)
    require_number(pull, "pull", least=0, most=1)
    require_count(rounds, "rounds")
    require_rng(rng)
    if mask is not None:
        require_mask(mask, (generator.resolution, generator.resolution))
        mask = mask.to(image.device)
    x0 = image * 2 - 1
    energies = _bind(generator, image, constraints)
    start = noise * generator.latest
    times = torch.tensor([start, *(t for t in generator.times().tolist() if t < start)])
    fixed = _normal(x0, rng)  # of what stays outside the mask
    x = noised = add_noise(x0, fixed, times[0])
    guesses, values = [], {name: [] for name in energies}
    for step, (t, s) in enumerate(itertools.pairwise(times)):
        for again in range(rounds):
            found, terms, slope = _look(generator, x, float(t), energies)
            x = ddim_step(found, s) - pull * slope * sigma(t)
            if mask is not None:
                x = torch.where(mask, x, add_noise(x0, fixed, s))
            if again < rounds - 1:
                x = step_out(x, s, t, _normal(x0, rng))
        guess = (found.x0 + 1) / 2
        guesses.append(guess[0])
        for name, value in terms.items():
            values[name].append(value)
        if should_stop(callback, step, guess):
            x = found.x0 if mask is None else torch.where(mask, found.x0, x0)
            break
    return Denoised((x + 1) / 2, noised, torch.stack(guesses), times[:len(guesses)],
                    {name: torch.stack(value) for name, value in values.items()})


def inpaint(
    generator: Generator,
    image: Image,
    mask: Bool[Tensor, "r r"],
    constraints: Sequence[Constraint] = (),
    *,
    pull: float = 0.5,
    rounds: int = 4,
    rng: torch.Generator,
    callback: Callback | None = None,
) -> Denoised:
    """Fill what the mask covers with what the model finds likely beside the rest.

    RePaint: `sdedit` from noise alone, in several rounds a step.

    Args:
        image: (batch, 3, r, r) in [0, 1]; what it holds inside the mask is never looked at.
        mask: (r, r), True where the picture is to be filled.
        constraints, pull, rounds, rng, callback: as in `sdedit`.
    """
    generator.require_capability("predict")
    generator.require_pictures(image)
    require_mask(mask, (generator.resolution, generator.resolution))
    covered = torch.where(mask.to(image.device), 0.5, image)
    return sdedit(generator, covered, constraints, noise=1.0, mask=mask, pull=pull, rounds=rounds,
                  rng=rng, callback=callback)


@torch.no_grad()
def reword(
    generator: Generator,
    latent: Latent,
    *,
    label: int | str | None = None,
    color: int | str | None = None,
    guidance: float = 2.0,
    frames: int = 2,
) -> Float[Tensor, "frames 3 r r"]:
    """The morph from the picture of a code to the one that words make of it.

    The noise stays, and what the model is told is said ever louder, by a guidance from 0, which
    is told nothing. Of a photo's code (`generator.invert`) the first frame is the photo; and what
    the words do not speak of stays in all of them.

    Source: Song et al., DDIM, 2021, section 4.3 (the code of a picture); Ho and Salimans,
    "Classifier-Free Diffusion Guidance", 2022, eq. 6.

    Args:
        generator: a diffusion model that is told words, with the steps that are set.
        latent: one code, (1, z_dim).
        label, color: the words, by name or number; at least one of them.
        guidance: of the last frame, at least 1.
        frames: of the morph, for `transfer.transfer_edit`; in [0, 1].
    Raises:
        ValueError: nothing is said, a word is not known, or there are several codes.
    """
    generator.require_capability("predict")
    generator.require_latent(latent, "z")
    if len(latent) != 1:
        raise ValueError(
            f"latent holds {len(latent)} codes, but a morph is of one picture: pass one at a "
            f"time, (1, {generator.z_dim})."
        )
    require_count(frames, "frames", least=2)
    require_number(guidance, "guidance", least=1)
    if label is None and color is None:
        raise ValueError(
            f"nothing is said, so the picture would stay as it is: pass a label, a color, or both, "
            f"of the words that {generator.name} knows."
        )
    told = generator.with_label(label, color=color)
    shares = torch.linspace(0, 1, frames).tolist()
    return torch.cat([
        told.with_guidance(share * guidance).decode(latent) for share in shares]).clamp(0, 1)


def _bind(generator: Generator, image: Image, constraints: Sequence[Constraint]) -> Terms:
    """The constraints' weights and terms by name."""
    require_constraints(constraints)
    if any(isinstance(one, Drag) for one in constraints):
        raise ValueError(
            "sdedit can't follow a Drag, since a noisy picture has no features to track: take a "
            "WarpStroke, or edit the code by guidance.edit."
        )
    if not constraints:
        return {}
    require_slopes()
    with torch.no_grad():
        code = generator.invert(image)  # for those that compare with the input
    return bind(constraints, generator, code, "z")


def _look(
    generator: Generator, x: Noisy, t: float, energies: Terms
) -> tuple[Prediction, dict[str, Tensor], Noisy]:
    """What is guessed of x_t, the constraints' terms of that guess, and where x_t should not go.

    The direction is the terms' slope, of length √energy: the less is missing, the gentler.
    """
    if not energies:
        with torch.no_grad():
            return generator.predict(x, t), {}, torch.zeros_like(x)
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        found = generator.predict(x, t)
        terms = {name: weight * energy(x, (found.x0 + 1) / 2)
                 for name, (weight, energy) in energies.items()}
        cost = sum(terms.values())
        slope, = torch.autograd.grad(cost.sum(), x)
    length = slope.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-12)
    missing = cost.detach().clamp(min=0).sqrt()[:, None, None, None]
    still = Prediction(*(one.detach() for one in (found.x0, found.noise, found.v)))
    return still, {name: value.detach() for name, value in terms.items()}, slope / length * missing


def _normal(like: Tensor, rng: torch.Generator) -> Noisy:
    return torch.randn(like.shape, generator=rng, device=rng.device).to(like)
