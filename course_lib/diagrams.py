"""Diagrams: boxes of words and pictures, and arrows that say what leads from one to the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from torch import Tensor

from course_lib.images import to_uint8
from course_lib.plotting import COLORS, show_figure
from course_lib.shapes import Image

PICTURE = 1.0  # the side of a picture, in units of the drawing; one unit is one inch
SHARPEST = 100  # pixels: what a picture is shrunk to, the figure's own resolution
PADDING = 0.08  # around words
LABEL = 0.27  # of a picture's label
FONT = 11  # points: read from the last row at 1280x720


@dataclass(frozen=True)
class Node:
    """Something in a diagram, around its middle (x, y), y upwards.

    Attributes:
        content: words, or a picture (3, height, width).
        label: below a picture.
        color: of the words' frame, one of `plotting.COLORS` by its number.
        width, height: of a box of words.
    """

    x: float
    y: float
    content: str | Image
    label: str = ""
    color: int = 0
    width: float = 1.5
    height: float = 0.6

    @property
    def reach(self) -> tuple[float, float]:
        """Half of its width and of its height."""
        if isinstance(self.content, Tensor):
            return PICTURE / 2, PICTURE / 2
        return self.width / 2, self.height / 2


@dataclass(frozen=True)
class Arrow:
    """From one node to another, by their names, with a word beside it; bent by `curve`."""

    start: str
    end: str
    label: str = ""
    curve: float = 0.0


def show_diagram(nodes: Mapping[str, Node], arrows: Sequence[Arrow], *, alt: str) -> None:
    """Draw nodes and arrows; one unit is an inch, and the figure as large as they need.

    Raises:
        ValueError: an arrow names no node, or alt is empty.
    """
    for arrow in arrows:
        for name in (arrow.start, arrow.end):
            if name not in nodes:
                raise ValueError(
                    f"an arrow names {name!r}, but the nodes are {', '.join(nodes)}: correct it."
                )
    left = min(node.x - node.reach[0] for node in nodes.values()) - 0.1
    right = max(node.x + node.reach[0] for node in nodes.values()) + 0.1
    low = min(node.y - node.reach[1] - LABEL * bool(node.label) for node in nodes.values()) - 0.1
    high = max(node.y + node.reach[1] for node in nodes.values()) + 0.2
    figure, axes = plt.subplots(figsize=(right - left, high - low))
    figure.subplots_adjust(0, 0, 1, 1)
    axes.set(xlim=(left, right), ylim=(low, high))
    axes.axis("off")
    for arrow in arrows:
        _draw_arrow(axes, nodes[arrow.start], nodes[arrow.end], arrow)
    for node in nodes.values():
        _draw_node(axes, node)
    show_figure(figure, alt=alt)


def _draw_node(axes: Axes, node: Node) -> None:
    if isinstance(node.content, Tensor):
        factor = min(1.0, SHARPEST / max(node.content.shape[-2:]))
        small = F.interpolate(node.content[None], scale_factor=factor, mode="bilinear",
                              antialias=True)[0]
        pixels = to_uint8(small)
        zoom = 72 * PICTURE / max(pixels.shape[:2])  # points a pixel
        axes.add_artist(AnnotationBbox(
            OffsetImage(pixels, zoom=zoom, interpolation="antialiased"), (node.x, node.y),
            frameon=False, pad=0))
        axes.text(node.x, node.y - PICTURE / 2 - 0.05, node.label, ha="center", va="top",
                  fontsize=FONT)
        return
    width, height = node.reach
    axes.add_patch(plt.Rectangle(
        (node.x - width, node.y - height), 2 * width, 2 * height, facecolor="white",
        edgecolor=COLORS[node.color], linewidth=2))
    axes.text(node.x, node.y, node.content, ha="center", va="center", fontsize=FONT)


def _draw_arrow(axes: Axes, start: Node, end: Node, arrow: Arrow) -> None:
    """From border to border, along the line between the middles."""
    first, last = _border(start, end), _border(end, start)
    axes.annotate("", last, first, arrowprops={
        "arrowstyle": "-|>", "color": "black", "linewidth": 1.4, "shrinkA": 3, "shrinkB": 3,
        "connectionstyle": f"arc3,rad={arrow.curve}"})
    middle = [(a + b) / 2 for a, b in zip(first, last, strict=True)]
    along = [b - a for a, b in zip(first, last, strict=True)]
    middle = [middle[0] + arrow.curve * along[1] / 2, middle[1] - arrow.curve * along[0] / 2]
    slanted = abs(along[1]) > 0.1  # then the word stands to the right, where it crosses nothing
    axes.text(middle[0] + PADDING * slanted, middle[1] + PADDING * (along[1] < 0.1), arrow.label,
              ha="left" if slanted else "center", fontsize=FONT - 1,
              va="center" if abs(along[1]) > abs(along[0]) else "bottom")


def _border(node: Node, other: Node) -> tuple[float, float]:
    """Where the line towards another node's middle leaves this node's box."""
    across, up = other.x - node.x, other.y - node.y
    width, height = node.reach
    share = min(width / max(abs(across), 1e-9), height / max(abs(up), 1e-9))
    down = share * up < 1e-6 - height
    under = LABEL if node.label and down else 0  # an arrow downwards begins below the label
    return node.x + share * across, node.y + share * up - under
