"""What a person draws on a canvas, as frozen values."""

from dataclasses import dataclass

Place = tuple[float, float]
"""(x, y) in pixels, (0, 0) being the centre of the top left pixel."""


@dataclass(frozen=True)
class Stroke:
    """What a brush drew.

    Attributes:
        points: where it went, (x, y) in pixels.
        color: as in CSS, "#D55E00".
        width: of the brush, in pixels.
        erases: whether it took ink away.
        kind: which of the canvas's `brushes` drew it.
    """

    points: tuple[Place, ...]
    color: str = "#D55E00"
    width: float = 10
    erases: bool = False
    kind: str = "color"


@dataclass(frozen=True)
class Pair:
    """A handle: where it was set, and where it was dragged to.

    Attributes:
        start, end: (x, y) in pixels.
        fresh: `start` is a place of the picture as shown, not yet of the input.
        kind: which of the canvas's `brushes` set it; width: of that brush, in pixels.
    """

    start: Place
    end: Place
    fresh: bool = False
    kind: str = "drag"
    width: float = 10


@dataclass(frozen=True)
class Marks:
    """All that was drawn on a canvas.

    Attributes:
        strokes: the brush's, in the order they were drawn.
        lasso: the corners of the region, (x, y) in pixels.
        offset: how far the canvas's `outline` was moved, (x, y) in pixels.
        pairs: the handles.
    """

    strokes: tuple[Stroke, ...] = ()
    lasso: tuple[Place, ...] = ()
    offset: tuple[int, int] = (0, 0)
    pairs: tuple[Pair, ...] = ()
