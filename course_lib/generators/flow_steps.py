"""Steps of a flow: maps of numbers to as many numbers, with an inverse and a determinant.

Each gives y and ln |det ∂y/∂x| of x, and by `inverse` x of y. Sources and deviations: see `flow`.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

LIMIT = 2.0  # of |ln s| in each coupling

Features = Float[Tensor, "batch _ _ _"]  # (batch, channels, height, width)
LogDet = Float[Tensor, " batch"]


class CouplingNet(nn.Module):
    """What one half of the numbers says of the other: ln s and t. It need not be invertible."""

    def __init__(self, inputs: int, width: int, outputs: int):
        super().__init__()
        self.first = nn.Conv2d(inputs, width, 3, padding=1)
        self.middle = nn.Conv2d(width, width, 1)
        self.last = nn.Conv2d(width, 2 * outputs, 3, padding=1)
        nn.init.zeros_(self.last.weight)  # a new flow changes nothing
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Features) -> tuple[Features, Features]:
        """ln s, between -LIMIT and LIMIT, and t."""
        read = F.relu(self.middle(F.relu(self.first(x)))).to(x.dtype)
        read = read * torch.rsqrt(1 + read.square().mean(dim=1, keepdim=True))
        log_scale, shift = self.last(read).to(x.dtype).chunk(2, dim=1)
        return LIMIT * torch.tanh(log_scale / LIMIT), shift


class ActNorm(nn.Module):
    """y = (x + b) · s by channel; the first batch of training makes mean 0 and deviation 1."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))
        self.register_buffer("begun", torch.zeros(()))  # kept with the weights: it begins once

    def forward(self, x: Features) -> tuple[Features, LogDet]:
        """y, and ln |det ∂y/∂x| = height · width · Σ ln s."""
        if self.training and not self.begun:
            self._begin(x.detach())
        log_det = x[0, 0].numel() * self.log_scale.sum()
        return (x + self.bias) * self.log_scale.exp(), log_det.expand(len(x))

    def inverse(self, y: Features) -> Features:
        """x of y."""
        return y * (-self.log_scale).exp() - self.bias

    @torch.no_grad()
    def _begin(self, x: Features) -> None:
        deviation = x.std(dim=(0, 2, 3)) + 1e-3  # a channel of plain white varies by its noise only
        self.bias.copy_(-x.mean(dim=(0, 2, 3))[:, None, None])
        self.log_scale.copy_(-deviation.log()[:, None, None])
        self.begun.fill_(1)


class Mix(nn.Module):
    """y = W x at every pixel: the invertible 1x1 convolution, which deals the channels anew."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.linalg.qr(torch.randn(channels, channels)).Q)

    def forward(self, x: Features) -> tuple[Features, LogDet]:
        """y, and ln |det ∂y/∂x| = height · width · ln |det W|."""
        log_det = x[0, 0].numel() * torch.linalg.slogdet(self.weight).logabsdet
        return self._mixed(x, self.weight), log_det.expand(len(x))

    def inverse(self, y: Features) -> Features:
        """x of y."""
        return self._mixed(y, torch.linalg.inv(self.weight.double().cpu()).to(y))

    def _mixed(self, x: Features, weight: Tensor) -> Features:
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 would have no inverse
            return F.conv2d(x, weight[:, :, None, None])


class GlowStep(nn.Module):
    """Act-norm, mix, and a coupling by which half of the channels moves the other half."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.norm, self.mix = ActNorm(channels), Mix(channels)
        self.net = CouplingNet(channels - channels // 2, width, channels // 2)

    def forward(self, x: Features) -> tuple[Features, LogDet]:
        """a stays, and b becomes (b + t(a)) · s(a)."""
        x, norm_det = self.norm(x)
        x, mix_det = self.mix(x)
        a, b = self._halves(x)
        log_scale, shift = self.net(a)
        y = torch.cat([a, (b + shift) * log_scale.exp()], dim=1)
        return y, norm_det + mix_det + log_scale.flatten(1).sum(dim=1)

    def inverse(self, y: Features) -> Features:
        """x of y."""
        a, b = self._halves(y)
        log_scale, shift = self.net(a)
        x = torch.cat([a, b * (-log_scale).exp() - shift], dim=1)
        return self.norm.inverse(self.mix.inverse(x))

    @staticmethod
    def _halves(x: Features) -> tuple[Features, Features]:
        kept = x.shape[1] - x.shape[1] // 2
        return x[:, :kept], x[:, kept:]


class RealNVPStep(nn.Module):
    """Act-norm, and a coupling by which the numbers under a mask move the others (eq. 9)."""

    def __init__(self, channels: int, width: int, *, checkered: bool, odd: bool):
        super().__init__()
        self.norm = ActNorm(channels)
        self.net = CouplingNet(channels, width, channels)
        self.checkered, self.odd = checkered, odd

    def forward(self, x: Features) -> tuple[Features, LogDet]:
        """Where the mask b is 0, x becomes (x + t(b x)) · s(b x)."""
        x, norm_det = self.norm(x)
        log_scale, shift = self._coefficients(x)
        return (x + shift) * log_scale.exp(), norm_det + log_scale.flatten(1).sum(dim=1)

    def inverse(self, y: Features) -> Features:
        """x of y: under the mask they are equal, so that the net reads the same."""
        log_scale, shift = self._coefficients(y)
        return self.norm.inverse(y * (-log_scale).exp() - shift)

    def _coefficients(self, x: Features) -> tuple[Features, Features]:
        mask = self._mask(x)
        log_scale, shift = self.net(x * mask)
        return log_scale * (1 - mask), shift * (1 - mask)

    def _mask(self, x: Features) -> Tensor:
        """1 on the black squares of a checkerboard, or for the first half of the channels."""
        _, channels, height, width = x.shape
        if self.checkered:
            row, column = (torch.arange(n, device=x.device) for n in (height, width))
            mask = (row[:, None] + column) % 2 == self.odd
        else:
            mask = (torch.arange(channels, device=x.device)[:, None, None] < channels // 2)
            mask = mask != self.odd
        return mask.to(x.dtype)
