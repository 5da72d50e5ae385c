"""Noise and the way back: how much of it there is at a time, and how to get to another.

    x_t = α(t) x + σ(t) ε,    α = cos(πt/2),  σ = sin(πt/2),  t from 0 (the picture) to 1 (noise)

Sources: as in `generators.diffusion`.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

LATEST = 0.999  # where the way back begins: at 1 nothing of a picture is left to be read

Noisy = Float[Tensor, "batch 3 r r"]


def alpha(t: Tensor) -> Tensor:
    """How much of the picture is left at time t."""
    return torch.cos(math.pi / 2 * t)


def sigma(t: Tensor) -> Tensor:
    """How much noise there is at time t; α² + σ² = 1."""
    return torch.sin(math.pi / 2 * t)


def add_noise(x0: Noisy, noise: Noisy, t: Tensor) -> Noisy:
    """x_t = α x0 + σ ε, of a picture and its noise; one time for all, or (batch, 1, 1, 1)."""
    return alpha(t) * x0 + sigma(t) * noise


@dataclass(frozen=True)
class Prediction:
    """What a noisy picture x_t tells of the clean one, in three views of one guess.

    Attributes:
        x0: the clean picture, in [-1, 1] and a little beyond.
        noise: ε = (x_t − α x0) / σ.
        v: α ε − σ x0: where the circle of x0 and ε leads next.
    """

    x0: Noisy
    noise: Noisy
    v: Noisy

    @classmethod
    def of_x0(cls, x0: Noisy, x_t: Noisy, t: Tensor) -> "Prediction":
        """From a guess of the clean picture; t (batch, 1, 1, 1), above 0."""
        noise = (x_t - alpha(t) * x0) / sigma(t)
        return cls(x0, noise, alpha(t) * noise - sigma(t) * x0)

    @classmethod
    def of_v(cls, v: Noisy, x_t: Noisy, t: Tensor) -> "Prediction":
        """From a guess of v."""
        return cls(alpha(t) * x_t - sigma(t) * v, sigma(t) * x_t + alpha(t) * v, v)

    @classmethod
    def of_noise(cls, noise: Noisy, x_t: Noisy, t: Tensor) -> "Prediction":
        """From a guess of the noise; t below 1."""
        x0 = (x_t - sigma(t) * noise) / alpha(t)
        return cls(x0, noise, alpha(t) * noise - sigma(t) * x0)


def ddim_step(found: Prediction, s: Tensor) -> Noisy:
    """x_s = α_s x0 + σ_s ε: the same picture and the same noise at another time (eq. 12, η = 0)."""
    return add_noise(found.x0, found.noise, s)


def ddpm_step(
    x_t: Noisy, found: Prediction, t: Tensor, s: Tensor, fresh: Noisy
) -> Noisy:
    """A draw of x_s, s < t, from the posterior q(x_s | x_t, x0) with x0 as it is guessed.

    Source: DDPM, eq. 6 and 7, for any two times: α_ts = α_t / α_s, β = 1 − α_ts² σ_s²-weighted.

    Args:
        fresh: normal noise, of x_t's shape.
    """
    kept = alpha(t) / alpha(s)
    added = sigma(t).square() - kept.square() * sigma(s).square()  # variance of x_t given x_s
    mean = (kept * sigma(s).square() * x_t + alpha(s) * added * found.x0) / sigma(t).square()
    return mean + (added.sqrt() * sigma(s) / sigma(t)) * fresh


def step_out(x: Noisy, s: Tensor, t: Tensor, fresh: Noisy) -> Noisy:
    """A draw of x_t from x_s, s < t: what is left of it, and as much noise as is missing.

    Args:
        fresh: normal noise, of x's shape.
    """
    kept = alpha(t) / alpha(s)
    return kept * x + (sigma(t).square() - (kept * sigma(s)).square()).sqrt() * fresh


def way_back(steps: int, start: float = LATEST) -> Float[Tensor, " times"]:
    """`steps` + 1 times from `start` down to 0, both included; closest where nearly all is noise.

    There the share of the picture grows most from one time to the next, and even times would make
    the first step too long for `invert` to go back (22 dB instead of 41 at 20 steps).
    """
    return start * (1 - torch.linspace(0, 1, steps + 1).pow(1.5))
