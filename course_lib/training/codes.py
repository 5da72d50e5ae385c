"""Codes that a StyleGAN2 is trained on, and the mean that its samples are drawn towards."""

import torch
from torch import Tensor

from course_lib.generators.stylegan2 import StyleGAN2


def mixed_codes(
    generator: StyleGAN2, batch: int, mixing: float, rng: torch.Generator,
    classes: Tensor | None = None,
) -> Tensor:
    """w_plus (batch, num_ws, w_dim); a share `mixing` of them changes code at a random row.

    Args:
        classes: one-hot (batch, c_dim), of a generator that has them; both codes are of it.
    """
    rows, device = generator.config.num_ws, generator.device
    z = torch.randn(2 * batch, generator.config.z_dim, generator=rng).to(device)
    first, second = generator.mapping(z, None if classes is None else classes.repeat(2, 1)).chunk(2)
    crossover = torch.randint(1, rows, (batch,), generator=rng)
    mixed = torch.rand(batch, generator=rng) < mixing
    crossover = torch.where(mixed, crossover, rows).to(device)
    later = torch.arange(rows, device=device) >= crossover[:, None]
    return torch.where(later[..., None], second[:, None], first[:, None])


@torch.no_grad()
def center_mean(generator: StyleGAN2, rng: torch.Generator, n: int = 10_000) -> None:
    """Set w_avg, which truncation pulls towards, to the mean of `n` codes; so for each class."""
    mapping, z_dim = generator.mapping, generator.config.z_dim
    z = torch.randn(n, z_dim, generator=rng).to(generator.device)
    if not generator.config.c_dim:
        mapping.w_avg.copy_(torch.stack([mapping(some).mean(dim=0)
                                         for some in z.split(1000)]).mean(dim=0))
        return
    z = z[: max(1, n // generator.config.c_dim)]
    classes = torch.eye(generator.config.c_dim, device=z.device)
    means = torch.stack([mapping(z, one.expand(len(z), -1)).mean(dim=0) for one in classes])
    mapping.class_means.copy_(means)
    mapping.w_avg.copy_(means.mean(dim=0))
