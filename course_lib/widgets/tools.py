"""The classical edits under your hands: `SmoothTool` and `WarpTool` (`BlendTool` is in `blend`).

Each holds a frozen state, hands it to the library, and shows the answer on a canvas. Everything
that a mouse can do, `set` does from Python.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import ipywidgets

from course_lib.energies import warp_energies
from course_lib.results import CLOSE_TO_INPUT, FOLDED, GRADIENTS, HANDLES
from course_lib.shapes import Image, Points
from course_lib.smoothing import extract_edges, smooth_l0
from course_lib.warping import KINDS, deform_points, warp_mls
from course_lib.widgets.canvas import Canvas, Marks, Pair
from course_lib.widgets.tool import Answer, Tool

VISIBLE = 0.01  # a gradient that an eye may notice, in intensity per pixel
LATTICE = 16  # pixels between the lines of a warp's grid


@dataclass(frozen=True)
class SmoothState:
    """The input, the price λ of a gradient, and the pace κ of the solver."""

    image: Image
    smoothness: float = 0.02
    growth: float = 8.0


class SmoothTool(Tool):
    """L0 smoothing: the input beside the output, λ and κ on sliders.

    Args:
        image: (1 or 3, height, width); 256 pixels answer while the slider moves.
        alt: what a reader who can't see the pictures should know.
        smoothness, growth: λ and κ of `smoothing.smooth_l0`.
    """

    def __init__(
        self, image: Image, *, alt: str, smoothness: float = 0.02, growth: float = 8.0
    ) -> None:
        self.input = Canvas(image, title="Input", alt=f"{alt} (input)", actions=["photo"],
                            max_size=(380, 320))
        canvas = Canvas(image, title="Smoothed", alt=alt, actions=["before", "reset", "save"],
                        max_size=(380, 320))
        self.input.on_action("photo", lambda read: self._load(self.input, "image", read))
        controls = {
            "smoothness": ipywidgets.FloatLogSlider(
                smoothness, min=-3, max=-0.5, step=0.05, description="smoothness λ",
                readout_format=".3f"),
            "growth": ipywidgets.FloatSlider(growth, min=1.5, max=10, step=0.5,
                                             description="haste κ", readout_format=".1f"),
        }
        state = SmoothState(image, smoothness, growth)
        super().__init__(state, canvas, controls, [self.input])

    def solve(self, state: SmoothState) -> Answer:
        """By `smoothing.smooth_l0`."""
        solution = smooth_l0(state.image, smoothness=state.smoothness, beta_growth=state.growth)
        terms = {name: float(term[-1]) for name, term in solution.energies.items()}
        seen = extract_edges(solution.value, smoothness=0.0) > VISIBLE
        said = f"{int(seen.sum())} of {seen.numel()} pixels with a gradient to see"
        return Answer(solution.value, {
            CLOSE_TO_INPUT: terms[CLOSE_TO_INPUT],
            "few gradients": terms[GRADIENTS],
        }, said)

    def _restart(self) -> None:
        self.input.restart(self.state.image)
        super()._restart()


@dataclass(frozen=True)
class WarpState:
    """A photo, its handles, and how the picture follows them.

    Attributes:
        image: the photo.
        pairs: the handles.
        kind, falloff: as in `warping.warp_mls`.
        grid: whether a lattice is painted on the photo first.
    """

    image: Image
    pairs: tuple[Pair, ...] = ()
    kind: str = "rigid"
    falloff: float = 1.0
    grid: bool = False


class WarpTool(Tool):
    """Moving least squares: set handles, drag them, and the picture follows.

    Args:
        image: (1 or 3, height, width).
        alt: what a reader who can't see the picture should know.
        handles, moved_handles: what to start with, (x, y) in pixels; none if not given.
        kind, falloff: as in `warping.warp_mls`.
    """

    def __init__(
        self, image: Image, *, alt: str, handles: Points | None = None,
        moved_handles: Points | None = None, kind: str = "rigid", falloff: float = 1.0,
    ) -> None:
        canvas = Canvas(
            image, mode="points", title="Drag the handles", alt=alt,
            actions=["before", "reset", "save", "photo"], max_size=(560, 400),
        )
        controls = {
            "kind": ipywidgets.Dropdown(options=KINDS, value=kind, description="kind"),
            "falloff": ipywidgets.FloatSlider(
                falloff, min=0.5, max=4, step=0.1, description="falloff α"),
            "grid": ipywidgets.Checkbox(False, description="show the grid", indent=False),
        }
        canvas.on_draw(self._dragged)
        canvas.on_action("photo", lambda read: self._load(canvas, "image", read, pairs=()))
        starts = [] if handles is None else handles.tolist()
        ends = starts if moved_handles is None else moved_handles.tolist()
        pairs = tuple(Pair(tuple(p), tuple(q)) for p, q in zip(starts, ends, strict=True))
        super().__init__(WarpState(image, pairs, kind, falloff), canvas, controls)

    def drag(self, index: int, x: float, y: float) -> None:
        """Drag the handle of this number to (x, y)."""
        pairs = list(self.state.pairs)
        pairs[index] = replace(pairs[index], end=(x, y))
        self.set(pairs=tuple(pairs))

    def solve(self, state: WarpState) -> Answer:
        """By `warping.warp_mls`."""
        image, options = state.image, {"kind": state.kind, "falloff": state.falloff}
        p, q = _ends(state.pairs, image)
        if state.grid:
            image = image.clone()
            image[:, ::LATTICE], image[:, :, ::LATTICE] = 1.0, 1.0
        terms = warp_energies(p, q, image.shape[-2:], **options)
        said = (
            f"Close to the input: {terms[CLOSE_TO_INPUT]:.1f} px of travel on average · "
            f"handles missed by {terms[HANDLES]:.1f} px · folded {terms[FOLDED]:.1f} %"
        )
        if len(state.pairs) == 1:
            said += " · one handle moves the whole picture: click to set others, which hold it"
        return Answer(warp_mls(image, p, q, **options), said=said)

    def stops(self) -> list[dict]:
        """The first handle at the corners and in the middle; and no handle at all."""
        height, width = self.state.image.shape[-2:]
        places = ((0, 0), (width, 0), (0, height), (width, height), (width / 2, height / 2))
        first, rest = self.state.pairs[:1], self.state.pairs[1:]
        return [{"pairs": ()}] + [
            {"pairs": (replace(pair, end=place), *rest)} for pair in first for place in places
        ]

    def _dragged(self, marks: Marks) -> None:
        if marks.pairs != self.state.pairs:
            self.set(pairs=self._settle(marks.pairs))

    def _settle(self, pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
        """A new handle is set on the warped picture: find where it came from in the photo."""
        p, q = _ends([pair for pair in pairs if not pair.fresh], self.state.image)
        places = p.new_tensor([pair.start for pair in pairs]).reshape(-1, 2)
        came_from = deform_points(
            places, q, p, kind=self.state.kind, falloff=self.state.falloff
        ).tolist()
        return tuple(
            Pair(tuple(origin), pair.end) if pair.fresh else pair
            for pair, origin in zip(pairs, came_from, strict=True)
        )

    def _sync(self) -> None:
        super()._sync()
        self.canvas.marks = Marks(pairs=self.state.pairs)


def _ends(pairs: Sequence[Pair], like: Image) -> tuple[Points, Points]:
    """Handles and their targets, as tensors (count, 2)."""
    p, q = ([getattr(pair, end) for pair in pairs] for end in ("start", "end"))
    return tuple(like.new_tensor(ends).reshape(-1, 2) for ends in (p, q))
