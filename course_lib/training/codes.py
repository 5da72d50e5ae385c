"""Codes that a StyleGAN2 is trained on, and the mean that its samples are drawn towards."""

import torch
from torch import Tensor

from course_lib.generators.stylegan2 import StyleGAN2


def mixed_codes(
    generator: StyleGAN2, batch: int, mixing: float, rng: torch.Generator
) -> Tensor:
    """w_plus (batch, num_ws, w_dim); a share `mixing` of them changes code at a random row."""
    rows, device = generator.config.num_ws, generator.device
    z = torch.randn(2 * batch, generator.config.z_dim, generator=rng).to(device)
    first, second = generator.mapping(z).chunk(2)
    crossover = torch.randint(1, rows, (batch,), generator=rng)
    mixed = torch.rand(batch, generator=rng) < mixing
    crossover = torch.where(mixed, crossover, rows).to(device)
    later = torch.arange(rows, device=device) >= crossover[:, None]
    return torch.where(later[..., None], second[:, None], first[:, None])


@torch.no_grad()
def center_mean(generator: StyleGAN2, rng: torch.Generator, n: int = 10_000) -> None:
    """Set w_avg, which truncation pulls towards, to the mean of `n` codes."""
    mean = torch.zeros_like(generator.mapping.w_avg)
    for done in range(0, n, 1000):
        z = torch.randn(min(1000, n - done), generator.config.z_dim, generator=rng)
        mean += generator.mapping(z.to(mean.device)).sum(dim=0)
    generator.mapping.w_avg.copy_(mean / n)
