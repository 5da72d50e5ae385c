"""Several answers to one wish: where they start, and which of them are worth showing."""

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_number, require_rng
from course_lib.generators.base import Generator
from course_lib.guidance.axes import find_axes
from course_lib.shapes import Latent


def scatter(
    generator: Generator, latent: Latent, n: int, *, space: str | None = None,
    spread: float = 0.3, rng: torch.Generator,
) -> Float[Tensor, "starts ..."]:
    """`n` codes around one z0, itself first: starts that may end in different answers.

    Args:
        space: of the code; the generator's default space if None.
        spread: how far, in deviations along the principal axes of the space's codes.
    """
    space = space or generator.default_space
    generator.require_latent(latent, space)
    require_count(n, "n")
    require_number(spread, "spread", least=0)
    require_rng(rng)
    if len(latent) != 1:
        raise ValueError(
            f"latent holds {len(latent)} codes, so it is open around which to scatter: pass one."
        )
    rows = latent.shape[1:-1]
    noise = torch.randn(n, *[1] * len(rows), latent.shape[-1], generator=rng, device=rng.device)
    noise[0] = 0
    return latent + find_axes(generator, space).to_code(spread * noise.to(latent))


def worth_showing(cost: Float[Tensor, " starts"]) -> int:
    """How many of the answers, cheapest first, are worth showing.

    Of the best half those that cost less than twice its mean, as the paper's interface does.
    """
    best = cost.sort().values[: -(-len(cost) // 2)]
    return max(1, int((best < 2 * best.mean()).sum()))
