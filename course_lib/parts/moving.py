"""A part carried from one picture to another: by the styles of the channels that draw it.

Source: Collins et al., "Editing in Style: Uncovering the Local Semantics of GANs", CVPR 2020,
section 3.2; the rule for q as in its authors' code.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_number
from course_lib.generators.base import Generator
from course_lib.parts.finding import Part
from course_lib.shapes import Latent

LEAKAGE, LEAST = 10.0, 0.1  # ε, ρ


def choose_channels(
    contributions: Float[Tensor, " channels"], *, leakage: float = LEAKAGE, least: float = LEAST
) -> Float[Tensor, " channels"]:
    """q: 1 for the channels of one layer that may be exchanged for a part, 0 for the others.

    In falling order of M, as long as Σ (1 − M), the activity elsewhere that comes along, stays
    below the budget; and never one whose M does not exceed `least`.

    Args:
        contributions: M of each channel to the part, in [0, 1].
        leakage: ε, at least 0; least: ρ.
    """
    require_number(leakage, "leakage", least=0)
    require_number(least, "least", least=0, most=1)
    order = contributions.argsort(descending=True, stable=True)
    spent = (1 - contributions[order]).cumsum(dim=0)
    chosen = torch.zeros_like(contributions)
    chosen[order[spent < leakage]] = 1
    return chosen * (contributions > least)


def part_channels(
    generator: Generator, part: Part, *, leakage: float = LEAKAGE, least: float = LEAST,
    layers: tuple[str, ...] | None = None,
) -> Float[Tensor, " styles"]:
    """q of all layers, each with a budget of its own; only of `layers` if they are named."""
    slices = generator.style_slices()
    count = max(one.stop for one in slices.values())
    require_count(len(part.contributions), "number of contributions", least=count, most=count)
    chosen = torch.zeros_like(part.contributions)
    for layer, where in slices.items():
        if layers is None or layer in layers:
            chosen[where] = choose_channels(
                part.contributions[where], leakage=leakage, least=least)
    return chosen


def transfer_part(
    generator: Generator, latent: Latent, reference: Float[Tensor, "_ ..."], part: Part, *,
    space: str, strength: float = 1.0, leakage: float = LEAKAGE, least: float = LEAST,
    layers: tuple[str, ...] | None = None,
) -> Float[Tensor, "batch styles"]:
    """Codes in "s" with the part of the reference: s + strength · q ⊙ (s_ref − s).

    Args:
        latent, reference: codes of `space`, (batch, ...) and (batch or 1, ...).
        part: one of `find_parts`, by name.
        strength: 0 leaves the picture, 1 takes the part over; beyond, it is exaggerated.
        leakage, least: ε and ρ, as in `choose_channels`.
    Raises:
        ValueError: the generator has no styles, or the part is another generator's.
    """
    generator.require_capability("style_slices")
    require_number(strength, "strength")
    start, end = (generator.convert(one, space, "s") for one in (latent, reference))
    chosen = part_channels(generator, part, leakage=leakage, least=least, layers=layers)
    return start + strength * chosen * (end - start)


@torch.no_grad()
def coarse_layers(generator: Generator, latent: Latent, *, space: str) -> tuple[str, ...]:
    """The layers that draw at no more than a quarter of the picture's size: form, not finish."""
    inputs = generator.style_inputs(latent[:1], space=space)
    return tuple(layer for layer, values in inputs.items()
                 if 4 * values.shape[-1] <= generator.resolution)
