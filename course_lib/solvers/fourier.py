"""The Laplacian on a whole picture, inverted directly by the FFT."""

import torch
from jaxtyping import Float
from torch import Tensor


def solve_screened(b: Float[Tensor, "*shape"], closeness: float) -> Float[Tensor, "*shape"]:
    """Solve (λ - Δ) u = b directly on the whole picture, missing neighbours dropped (Neumann).

    The mirrored picture is periodic, and the FFT turns the Laplacian of a periodic picture
    into a product: Frankot and Chellappa, 1988. Lesson 02 divides so, for a picture that is
    periodic already, in "Part 2: the whole picture".

    Args:
        b: the right-hand side, (..., height, width).
        closeness: λ, above 0.
    """
    height, width = b.shape[-2:]
    mirrored = torch.cat([b, b.flip(-1)], -1)
    mirrored = torch.cat([mirrored, mirrored.flip(-2)], -2)
    like = {"dtype": b.dtype, "device": b.device}
    waves_y = 2 - 2 * torch.cos(2 * torch.pi * torch.fft.fftfreq(2 * height, **like))
    waves_x = 2 - 2 * torch.cos(2 * torch.pi * torch.fft.rfftfreq(2 * width, **like))
    spectrum = torch.fft.rfft2(mirrored) / (closeness + waves_y[:, None] + waves_x)
    return torch.fft.irfft2(spectrum, s=mirrored.shape[-2:])[..., :height, :width]
