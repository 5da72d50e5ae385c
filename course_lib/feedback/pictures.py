"""What feedback looks like: cards, the table of points, and expected · yours · difference."""

import html
from dataclasses import dataclass

import IPython.display
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

from course_lib.plotting import COLORS, show_figure

BLUE, ORANGE, GREEN = COLORS[:3]


STATES = {"right": (GREEN, "✓"), "wrong": (ORANGE, "✗"), "to do": (BLUE, "○")}


@dataclass(frozen=True)
class Card:
    """A verdict on one part: a title, a few sentences, its state, and what law was tried."""

    title: str
    says: str
    state: str
    law: str = ""

    def show(self) -> None:
        """Display it, as text where no notebook is."""
        IPython.display.display(self)

    def __repr__(self) -> str:
        lines = [f"{STATES[self.state][1]} {self.title}", self.says, self.law]
        return "\n".join(filter(None, lines))

    def _repr_html_(self) -> str:
        color, sign = STATES[self.state]
        return (
            f"<div style='border-left: 5px solid {color}; padding: 0.3em 0.8em; "
            f"max-width: 50em'><b>{sign} {html.escape(self.title)}</b><br>"
            f"{html.escape(self.says)}<br><i style='opacity: 0.7'>{html.escape(self.law)}</i></div>"
        )


@dataclass(frozen=True)
class Board:
    """The table of points: rows (number, title, earned, points, state, extra)."""

    name: str
    rows: tuple[tuple[str, str, int, int, str, bool], ...]

    @property
    def _sums(self) -> str:
        earned = sum(row[2] for row in self.rows)
        whole = sum(row[3] for row in self.rows if not row[5])
        extra = sum(row[3] - row[2] for row in self.rows if row[5])
        more = f", and up to {extra} more for extras" if extra else ""
        return f"{earned} of {whole} points so far{more}"

    def __repr__(self) -> str:
        lines = [f"{number:>3}  {title:44} {earned:>3} / {points:<3} {state}"
                 for number, title, earned, points, state, _ in self.rows]
        return "\n".join([self.name, *lines, self._sums])

    def _repr_html_(self) -> str:
        colors = {"done": GREEN, "not there yet": ORANGE}
        cells = "".join(
            f"<tr><td>{html.escape(number)}</td><td style='text-align: left'>{html.escape(title)}"
            f"</td><td>{earned} / {points}</td><td style='text-align: left; "
            f"color: {colors.get(state, 'inherit')}'>{state}</td></tr>"
            for number, title, earned, points, state, _ in self.rows
        )
        return (
            f"<table><caption>{html.escape(self.name)}</caption><tr><th>Part</th><th></th>"
            f"<th>Points</th><th></th></tr>{cells}</table><b>{self._sums}</b>"
        )


def show_pictures(expected: Tensor, yours: Tensor, kind: str, law: str) -> None:
    """Draw expected, yours and the difference, as `kind` of `Check` says."""
    expected, yours = expected.detach().cpu().double(), yours.detach().cpu().double()
    worst = float((yours - expected).abs().max())
    alt = f"Expected and yours, if {law}: they differ by up to {worst:.2g}."
    if kind in ("curve", "points"):
        figure, axes = plt.subplots(figsize=(4.8, 2.2), layout="constrained")
        (_draw_curves if kind == "curve" else _draw_points)(axes, expected, yours)
        axes.legend(frameon=False, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    else:
        figure = _draw_panels(expected, yours, signed=kind == "maps")
    show_figure(figure, alt=alt)


def _draw_curves(axes: Axes, expected: Tensor, yours: Tensor) -> None:
    """The row that is most wrong, if there are several."""
    rows = [torch.atleast_1d(values) for values in (expected, yours)]
    rows = [values.reshape(-1, values.shape[-1]) for values in rows]
    row = int((rows[0] - rows[1]).abs().amax(dim=1).argmax())
    marks = ("o-", BLUE, "expected", 4), ("x--", ORANGE, "yours", 5)
    for values, (style, color, label, size) in zip(rows, marks, strict=True):
        axes.plot(values[row], style, color=color, label=label, markersize=size, linewidth=1)
    axes.bar(range(rows[0].shape[1]), (rows[1] - rows[0])[row], color=COLORS[3], alpha=0.4,
             label="difference")


def _draw_points(axes: Axes, expected: Tensor, yours: Tensor) -> None:
    expected, yours = expected.reshape(-1, 2), yours.reshape(-1, 2)
    for a, b in zip(expected, yours, strict=True):
        axes.plot([a[0], b[0]], [a[1], b[1]], color=COLORS[3], linewidth=1)
    axes.plot(*expected.T, "o", color=BLUE, label="expected", markersize=5)
    axes.plot(*yours.T, "x", color=ORANGE, label="yours", markersize=6)
    axes.set(xlabel="x", ylabel="y", aspect="equal", adjustable="datalim")
    axes.invert_yaxis()


def _draw_panels(expected: Tensor, yours: Tensor, *, signed: bool) -> plt.Figure:
    height, width = expected.shape[-2:]
    expected, yours = (values.reshape(-1, height, width) for values in (expected, yours))
    color = len(expected) == 3 and not signed
    if not color:  # the one plane that is most wrong
        plane = int((yours - expected).abs().flatten(1).amax(dim=1).argmax())
        expected, yours = expected[plane][None], yours[plane][None]
    difference = (yours - expected).mean(0)
    figure, grid = plt.subplots(1, 3, figsize=(6.6, 2.3), layout="constrained")
    limit = float(torch.cat([expected, yours]).abs().max()) or 1.0
    scale = ({"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} if signed else
             {"cmap": "gray", "vmin": 0, "vmax": 1})
    for axes, values, title in zip(grid, (expected, yours), ("expected", "yours"), strict=False):
        shown = values.clamp(0, 1) if not signed else values
        axes.imshow(shown.movedim(0, -1) if color else shown[0], **scale)
        axes.set_title(title, fontsize=10)
    limit = float(difference.abs().max()) or 1.0
    grid[2].imshow(difference, cmap="RdBu_r", vmin=-limit, vmax=limit)
    grid[2].set_title(f"yours - expected (±{limit:.2g})", fontsize=10)
    for axes in grid:
        axes.set(xticks=[], yticks=[])
    return figure
