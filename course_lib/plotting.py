"""Figures for the lessons: compact, titled, on one scale, each with alt text.

Colours are Okabe and Ito's, which people with the common colour-blindnesses tell apart.
"""

import io
from collections.abc import Iterable, Mapping, Sequence

import IPython.display
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from course_lib.checks import require_count, require_finite, require_number
from course_lib.images import to_uint8
from course_lib.shapes import Image, Pictures

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

LARGEST = 40  # inches, of a figure's side: 4000 pixels
DPI = 100  # of figures; lectures, on a projector, set more

Curve = Float[Tensor, " _"] | Sequence[float] | np.ndarray
"""Numbers along one axis of a plot."""


def show_images(
    images: Pictures | Image,
    titles: Sequence[str] | None = None,
    *,
    alt: str,
    columns: int | None = None,
    height: float = 2.6,
) -> None:
    """Show pictures side by side, all at the same height and on the same scale [0, 1].

    Args:
        images: each (1 or 3, height, width), clamped to [0, 1] for display; a single one need
            not be put into a list.
        titles: one a picture.
        alt: what a reader who can't see the figure should know.
        columns: pictures a row; all in one row if None.
        height: of a row, in inches.
    Raises:
        ValueError: there is no picture, not one title a picture, or an option is out of range.
    """
    if getattr(images, "ndim", 0) == 3 or not isinstance(images, Iterable):
        images = [images]
    pictures = [to_uint8(image) for image in images]
    draw = [lambda axes, picture=picture: axes.imshow(picture) for picture in pictures]
    aspects = [picture.shape[1] / picture.shape[0] for picture in pictures]
    show_figure(_grid(draw, aspects, titles, columns, height), alt=alt)


def show_grid(
    images: Float[Tensor, "pictures channels height width"],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    alt: str,
    height: float = 0.8,
    gap: int = 4,
) -> None:
    """Show a table of pictures, each row and each column under its name, so that none is counted.

    Args:
        images: row by row, as many as the table has cells, clamped to [0, 1]; a white one leaves
            its cell empty.
        rows, columns: their names, beside and above; "" for none.
        alt: what a reader who can't see the figure should know.
        height: of a row, in inches.
        gap: of white, in pixels of the pictures.
    Raises:
        ValueError: the pictures are not one a cell, or an option is out of range.
    """
    require_number(height, "height", above=0, most=LARGEST / max(len(rows), len(columns), 1))
    require_count(gap, "gap", least=0)
    if not len(images) or len(images) != len(rows) * len(columns):
        raise ValueError(
            f"there are {len(images)} pictures for {len(rows)} rows and {len(columns)} columns, so "
            f"some would stand under the wrong name: pass one a cell, row by row."
        )
    sheet = to_uint8(tile(images, len(columns), size=1, gap=gap))
    high, wide = ((side + gap) / count for side, count in
                  zip(sheet.shape[:2], (len(rows), len(columns)), strict=True))
    size = height * wide / high * len(columns), height * len(rows)
    figure, axes = plt.subplots(figsize=[max(0.5, side) for side in size])
    axes.set_position([0, 0, 1, 1])  # names lie outside, and are cut out with the figure
    axes.imshow(sheet, interpolation="bicubic")  # smooth, and so a small file
    middle = (gap + 1) / 2  # pixels are counted by their centres
    axes.set_xticks([(index + 0.5) * wide - middle for index in range(len(columns))], columns)
    axes.set_yticks([(index + 0.5) * high - middle for index in range(len(rows))], rows)
    axes.tick_params(length=0, labelsize=8, top=True, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    show_figure(figure, alt=alt)


def show_maps(
    maps: Mapping[str, Float[Tensor, "_ _"]], *, alt: str, height: float = 2.6
) -> None:
    """Show signed maps (differences, fields) on one symmetric scale: blue below 0, red above.

    Raises:
        ValueError: there is no map, or one has other axes than (height, width).
    """
    for title, values in maps.items():
        require_finite(values, title)
        if values.ndim != 2:
            raise ValueError(
                f"{title} has shape {tuple(values.shape)}, but a map has one number a pixel: pass "
                f"(height, width), for instance one channel."
            )
    limit = max((float(values.abs().max()) for values in maps.values()), default=0) or 1.0
    draw = [
        lambda axes, values=values: axes.imshow(
            values.detach().cpu().numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit
        )
        for values in maps.values()
    ]
    aspects = [values.shape[-1] / values.shape[-2] for values in maps.values()]
    titles = [f"{title}\n(±{limit:.2g})" for title in maps]
    show_figure(_grid(draw, aspects, titles, None, height), alt=alt)


def show_curves(
    curves: Mapping[str, Curve | tuple[Curve, Curve]],
    *,
    x_label: str,
    y_label: str,
    alt: str,
    log: bool = False,
    first: int = 0,
    size: tuple[float, float] = (5.5, 2.8),
) -> None:
    """Plot named curves: values over their index, which starts at `first`, or pairs (x, y)."""
    figure, axes = plt.subplots(figsize=size)
    markers = "os^Dv*x"
    for index, (name, curve) in enumerate(curves.items()):
        x, y = curve if isinstance(curve, tuple) else (range(first, first + len(curve)), curve)
        axes.plot(
            _numbers(x), _numbers(y), label=name,
            color=COLORS[index % 7], marker=markers[index % 7], markersize=3,
        )
    axes.set(xlabel=x_label, ylabel=y_label, yscale="log" if log else "linear")
    if all((line.get_xdata() == np.round(line.get_xdata())).all() for line in axes.lines):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no step 2.5
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))  # over no curve
    show_figure(figure, alt=alt)


def enlarge(images: Image, size: int) -> Float[Tensor, "*batch channels _ _"]:
    """Repeat each pixel of small pictures as often as fits into `size`, so that none is blurred."""
    factor = max(1, size // images.shape[-2])
    return images.repeat_interleave(factor, -1).repeat_interleave(factor, -2)


def tile(images: Float[Tensor, "batch channels height width"], columns: int, *, size: int = 96,
         gap: int = 4) -> Float[Tensor, "channels _ _"]:
    """Many pictures of one size as one, row by row on white, small ones enlarged to `size`.

    Raises:
        ValueError: `columns` is no count.
    """
    require_count(columns, "columns")
    images = F.pad(enlarge(images, size).clamp(0, 1), (0, gap, 0, gap), value=1)
    blank = images.new_ones(-len(images) % columns, *images.shape[1:])
    rows = torch.cat([images, blank]).unflatten(0, (-1, columns)).permute(2, 0, 3, 1, 4)
    return rows.flatten(3).flatten(1, 2)[:, :-gap or None, :-gap or None]


def show_figure(figure: Figure, *, alt: str) -> None:
    """Display a matplotlib figure as a small JPEG with alt text, and close it.

    Raises:
        ValueError: the alt text is empty.
    """
    plt.close(figure)
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(
            "alt is empty, so a reader who can't see the figure learns nothing from it: "
            "say in a sentence what it shows."
        )
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="jpeg", dpi=DPI, bbox_inches="tight",
        pil_kwargs={"quality": 82, "optimize": True, "progressive": True},
    )
    IPython.display.display(
        IPython.display.Image(data=buffer.getvalue(), format="jpeg", alt=alt)
    )


def _grid(
    draw: Sequence, aspects: Sequence[float], titles: Sequence[str] | None,
    columns: int | None, height: float,
) -> Figure:
    require_number(height, "height", above=0, most=LARGEST)
    if columns is not None:
        require_count(columns, "columns")
    if not draw:
        raise ValueError("there is no picture to show: pass at least one.")
    if titles is not None and len(titles) != len(draw):
        raise ValueError(
            f"there are {len(titles)} titles for {len(draw)} pictures, so some would carry the "
            f"wrong one: pass one title a picture."
        )
    columns = min(columns or len(draw), len(draw))
    rows = -(-len(draw) // columns)
    widths = [max(aspects[column::columns]) for column in range(columns)]
    lines = max((title.count("\n") + 1 for title in titles), default=0) if titles else 0
    # A very thin picture would make a figure that no memory holds.
    sides = (height * sum(widths), (height + 0.2 * lines) * rows)
    figure, grid = plt.subplots(
        rows, columns, squeeze=False, width_ratios=widths, layout="constrained",
        figsize=[min(max(side, 0.5), LARGEST) for side in sides],
    )
    for axes in grid.flat:
        axes.axis("off")
    for index, (axes, paint) in enumerate(zip(grid.flat, draw, strict=False)):
        paint(axes)
        axes.set_title(titles[index] if titles else "", fontsize=10)
    return figure


def _numbers(curve: Curve) -> np.ndarray:
    return curve.detach().cpu().numpy() if isinstance(curve, Tensor) else np.asarray(curve)
