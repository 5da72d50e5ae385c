"""What judges in a projected GAN: frozen features, mixed at random, and small heads that learn.

Source: Sauer et al., "Projected GANs Converge Faster", NeurIPS 2021: section 3.2 (mixing), eq. 4
(heads), section 4.1 (hinge loss).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from course_lib.lite0 import TAPS, arrange_pictures, load_lite0


class FeatureMixing(nn.Module):
    """Random, fixed weights that spread what the frozen network says over channels and scales.

    So no head can rest on a few channels of its own scale, and miss the rest.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        self.channels = nn.ModuleList(nn.Conv2d(n, width, 1, bias=False) for n in TAPS.values())
        self.scales = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in TAPS)
        for conv in [*self.channels, *self.scales]:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
        self.requires_grad_(False)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """From coarse to fine, each scale gets what the coarser ones know."""
        found: list[Tensor] = []
        for conv, mix, one in reversed(list(zip(self.channels, self.scales, features,
                                                strict=True))):
            x = conv(one)
            if found:
                x = x + F.interpolate(found[0], scale_factor=2, mode="bilinear")
            found.insert(0, mix(x))
        return found


class Head(nn.Sequential):
    """Judges one scale: halves it down to at most 8², then one answer for each 4² of places.

    Args:
        answers: how many numbers each of them is, 1 for a logit.
        hidden: layers before it is halved. A head of small scales has no others; without, it is
            linear, and all that a generator must meet is the mean of the features.
    """

    def __init__(self, size: int, width: int = 64, answers: int = 1, hidden: int = 0):
        layers: list[nn.Module] = []
        for _ in range(hidden):
            layers += _layer(nn.Conv2d(width, width, 3, padding=1, bias=False))
        while size > 8:
            layers += _layer(nn.Conv2d(width, width, 4, 2, 1, bias=False))
            size //= 2
        super().__init__(*layers,
                         spectral_norm(nn.Conv2d(width, answers, min(4, size), bias=False)))


def _layer(conv: nn.Conv2d) -> list[nn.Module]:
    return [spectral_norm(conv), nn.BatchNorm2d(conv.out_channels), nn.LeakyReLU(0.2)]


class ClassHead(nn.Module):
    """A head that knows which class the picture should be of.

    Source: Miyato and Koyama, "cGANs with Projection Discriminator", ICLR 2018, eq. 3: the logit
    is ψ(φ(x)) + ⟨e(c), φ(x)⟩, e(c) a vector that each class learns.
    """

    def __init__(self, size: int, classes: int, width: int = 64, hidden: int = 0):
        super().__init__()
        self.head = Head(size, width, 1 + width, hidden)
        self.classes = spectral_norm(nn.Embedding(classes, width))

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Features (batch, width, size, size), labels (batch,) -> logits (batch, 1, h, w)."""
        answers = self.head(features)
        wanted = self.classes(labels)[:, :, None, None]
        return answers[:, :1] + (wanted * answers[:, 1:]).sum(dim=1, keepdim=True)


class ProjectedDiscriminator(nn.Module):
    """The frozen eye, the fixed mixing, and the heads that learn; of `classes`, if there are any.
    """

    def __init__(self, seen_at: int, width: int = 64, classes: int = 0, hidden: int = 0):
        super().__init__()
        self.seen_at, self.mixing = seen_at, FeatureMixing(width)
        sizes = [seen_at // 4 >> level for level in range(len(TAPS))]
        self.heads = nn.ModuleList(
            ClassHead(size, classes, width, hidden) if classes else Head(size, width, 1, hidden)
            for size in sizes)

    def features(self, images: Tensor) -> list[Tensor]:
        """What there is to judge, of pictures (batch, 3, r, r) in [-1, 1]."""
        images = arrange_pictures((images + 1) / 2, self.seen_at)
        return self.mixing(load_lite0(images.device)(images))

    def forward(self, features: Sequence[Tensor], labels: Tensor | None = None) -> list[Tensor]:
        """Logits of each head, (batch, 1, places, places), for pictures of `labels`, if any."""
        known = () if labels is None else (labels,)
        return [head(one, *known) for head, one in zip(self.heads, features, strict=True)]


def hinge(logits: Sequence[Tensor], sign: int) -> Tensor:
    """The discriminator's loss on real (sign 1) or generated (-1) pictures, summed over heads."""
    return torch.stack([F.relu(1 - sign * one).mean() for one in logits]).sum()
