"""Deep Image Prior: a network that has learnt nothing holds a picture back from being noise.

    θ* = argmin ‖m ⊙ (f(θ; ζ) − x)‖²,    the answer is f(θ*; ζ), stopped early

with ζ fixed noise, x the damaged photo and m = 1 where it is known. No photograph but this one is
seen. Convolutions find smooth and repeating things first, in few steps, and noise late.

Source: Ulyanov, Vedaldi, Lempitsky, "Deep Image Prior", CVPR 2018, eq. 2 and 4, and figure 21.
Deviations: fewer channels and levels, Adam's rate falls at the end, and the answer is an average
over the last steps that forgets by 0.95 a step instead of 0.99, as it takes fewer of them.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.checks import (
    require_count,
    require_image,
    require_number,
    require_rng,
    require_slopes,
    require_unit_range,
)
from course_lib.results import Callback, allowed_steps, should_stop
from course_lib.shapes import Image, Mask

SKIPPED = 4  # channels that go around each level
FORGETS = 0.95  # what the average keeps of itself at a step


@dataclass(frozen=True)
class UntrainedFit:
    """What an untrained network makes of a photo.

    Attributes:
        image: its last picture, (3, height, width) in [0, 1].
        averaged: of its last pictures, smoother.
        losses: mean squared error where the photo is known, a step.
    """

    image: Float[Tensor, "3 height width"]
    averaged: Float[Tensor, "3 height width"]
    losses: Float[Tensor, " steps"]


class Hourglass(nn.Module):
    """Down by convolutions with stride 2, and up again, with a few channels around each level.

    Args:
        width: channels of every level; levels: how often the size is halved.
        rng: draws the weights.
    """

    def __init__(self, width: int, levels: int, rng: torch.Generator):
        super().__init__()
        self.skips, self.down, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for _ in range(levels):
            self.skips.append(_convolve(width, SKIPPED, 1))
            self.down.append(nn.Sequential(_convolve(width, width, 3, 2), _convolve(width, width)))
            self.up.append(nn.Sequential(
                nn.BatchNorm2d(width + SKIPPED), _convolve(width + SKIPPED, width),
                _convolve(width, width, 1)))
        self.colors = nn.Conv2d(width, 3, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, 0.2, generator=rng)
                nn.init.zeros_(module.bias)

    def forward(self, x: Float[Tensor, "1 width h w"]) -> Float[Tensor, "1 3 h w"]:
        """Noise -> a picture in [0, 1]."""
        around = []
        for skip, down in zip(self.skips, self.down, strict=True):
            around.append(skip(x))
            x = down(x)
        for kept, up in zip(around[::-1], self.up, strict=True):
            x = F.interpolate(x, kept.shape[-2:], mode="bilinear", align_corners=False)
            x = up(torch.cat([x, kept], dim=1))
        return self.colors(x).sigmoid()


@torch.enable_grad()
def fit_untrained(
    photo: Image, *, known: Mask | None = None, steps: int = 300, learning_rate: float = 0.01,
    width: int = 32, levels: int = 4, perturbation: float = 1 / 30, rng: torch.Generator,
    callback: Callback | None = None,
) -> UntrainedFit:
    """Fit a network that has learnt nothing to one damaged photo.

    Args:
        photo: (3, height, width) in [0, 1]; what lies where it is not known does not matter.
        known: True where the photo is to be kept (m); everywhere if None.
        steps: few keep noise out, many let it in.
        width, levels: of the `Hourglass`.
        perturbation: deviation of the noise that is added to ζ at each step, in ζ's range, which
            is 0 to 0.1.
        rng: draws weights and noise.
        callback: called with the step and the network's picture; it may raise `StopIteration` to
            end with what was found until then.
    Raises:
        ValueError: the photo is not one in colours in [0, 1], is too small for so many levels, or
            nothing of it is known.
    """
    require_slopes()
    require_rng(rng)
    for value, name in ((steps, "steps"), (width, "width"), (levels, "levels")):
        require_count(value, name)
    require_number(learning_rate, "learning_rate", above=0)
    require_number(perturbation, "perturbation", least=0)
    weight = _known(photo, known, levels).to(photo)
    with torch.random.fork_rng(devices=[]):  # torch's layers draw weights that are not used
        network = Hourglass(width, levels, rng).to(photo)
    zeta = 0.1 * torch.rand(1, width, *photo.shape[-2:], generator=rng).to(photo)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    averaged, losses, steps = None, [], allowed_steps(steps)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate * min(1.0, 4 * (1 - step / steps))
        jitter = torch.randn(zeta.shape, generator=rng).to(zeta)
        image = network(zeta + perturbation * jitter)[0]
        loss = (weight * (image - photo)).square().sum() / (3 * weight.sum())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach().cpu())
        image = image.detach()
        averaged = image if averaged is None else torch.lerp(image, averaged, FORGETS)
        if should_stop(callback, step, image):
            break
    return UntrainedFit(image, averaged, torch.stack(losses))


def _known(photo: Tensor, known: Mask | None, levels: int) -> Mask:
    """m, checked."""
    require_image(photo, "photo")
    require_unit_range(photo, "photo")
    if photo.ndim != 3 or len(photo) != 3:
        raise ValueError(
            f"photo has shape {tuple(photo.shape)}, but one network is fitted to one colour "
            f"picture: pass (3, height, width)."
        )
    if min(photo.shape[-2:]) < 4 << levels:
        raise ValueError(
            f"photo has {photo.shape[-1]}x{photo.shape[-2]} pixels, too few to be halved {levels} "
            f"times: lower levels, or enlarge it."
        )
    known = torch.ones_like(photo[0], dtype=torch.bool) if known is None else known
    if known.shape != photo.shape[-2:] or not known.any():
        raise ValueError(
            f"known has shape {tuple(known.shape)} and {int(known.sum())} pixels set, for a photo "
            f"of {tuple(photo.shape[-2:])}: pass a mask of its size that is True somewhere."
        )
    return known


def _convolve(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, padding_mode="reflect"),
        nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))
