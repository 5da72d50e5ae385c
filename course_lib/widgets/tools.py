"""The classical edits under your hands: `BlendTool`, `SmoothTool` and `WarpTool`.

Each holds a frozen state, hands it to the library, and shows the answer on a canvas. Everything
that a mouse can do, `set` does from Python.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import ipywidgets

from course_lib.blending import Canvas as Background
from course_lib.blending import seamless_clone
from course_lib.energies import clone_energies, paste, warp_energies
from course_lib.results import CLOSE_TO_INPUT, FOLDED, GRADIENTS, HANDLES
from course_lib.shapes import Image, Points
from course_lib.smoothing import extract_edges, smooth_l0
from course_lib.warping import KINDS, deform_points, warp_mls
from course_lib.widgets.canvas import Canvas, Marks, Pair, Place, fill_lasso
from course_lib.widgets.tool import Answer, Tool

GRADIENTS_MENU = {"the source's": "source", "mixed": "mixed", "the average": "average"}
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
class BlendState:
    """Two photos, a region of the first, and where it lands in the second.

    Attributes:
        source, target: the photos.
        lasso: the outline in the source, (x, y) in pixels.
        offset: (x, y), where the source's top left corner lands in the target.
        gradients: as in `blending.seamless_clone`.
        blends: False shows the crude paste.
    """

    source: Image
    target: Background
    lasso: tuple[Place, ...]
    offset: tuple[int, int] = (0, 0)
    gradients: str = "source"
    blends: bool = True


class BlendTool(Tool):
    """Poisson blending: lasso a region of the source, drag it over the target.

    Args:
        source, target: (1 or 3, height, width), with equal channels.
        alt: what a reader who can't see the pictures should know.
        lasso, offset, gradients: what to start with, as in `BlendState`.
    """

    def __init__(
        self, source: Image, target: Background, *, alt: str, lasso: Sequence[Place],
        offset: tuple[int, int] = (0, 0), gradients: str = "source",
    ) -> None:
        self.source = Canvas(
            source, mode="lasso", title="1. Draw around it", alt="The photo to cut from",
            actions=["photo"], max_size=(300, 300),
        )
        canvas = Canvas(
            target, mode="move", title="2. Drag it to its place", alt=alt, photo_label="My own "
            "background", actions=["before", "reset", "save", "photo"], max_size=(500, 340),
        )
        controls = {
            "gradients": ipywidgets.Dropdown(
                options=GRADIENTS_MENU, value=gradients, description="gradients"),
            "blends": ipywidgets.Checkbox(True, description="blend (else paste)", indent=False),
        }
        self.source.on_draw(lambda marks: self.cut(marks.lasso))
        self.source.on_action("photo", self._load_source)
        canvas.on_draw(self._dragged)
        canvas.on_action("photo", lambda read: self._load(canvas, "target", read))
        lasso = tuple((x, y) for x, y in lasso)
        state = BlendState(source, target, lasso, tuple(offset), gradients)
        super().__init__(state, canvas, controls, [self.source])

    def cut(self, lasso: Sequence[Place]) -> None:
        """Take another region; it comes to lie where the last one was."""
        lasso = tuple((x, y) for x, y in lasso)
        offset, before = self.state.offset, self.state.lasso
        if lasso and before:
            old, new = _centre(before), _centre(lasso)
            offset = (round(offset[0] + old[0] - new[0]), round(offset[1] + old[1] - new[1]))
        if lasso != before:
            self.set(lasso=lasso, offset=offset)

    def solve(self, state: BlendState) -> Answer:
        """By `blending.seamless_clone`."""
        source, target = state.source, state.target
        mask = fill_lasso(state.lasso, source.shape[-2:]).to(target.device)
        where = {"offset": state.offset}
        crude = paste(source, target, mask, **where)
        pasted = clone_energies(crude, source, target, mask, **where)
        if not state.blends:
            return Answer(crude, pasted)
        image = seamless_clone(source, target, mask, gradients=state.gradients, **where).value
        terms = clone_energies(image, source, target, mask, **where)
        return Answer(image, terms, f"crude paste {sum(pasted.values()):.1f}")

    def stops(self) -> list[dict]:
        """The region at the corners of the target and in its middle, a part of it outside."""
        height, width = self.state.target.shape[-2:]
        x, y = _centre(self.state.lasso)
        places = ((0, 0), (width, 0), (0, height), (width, height), (width / 2, height / 2))
        return [{"offset": (round(u - x), round(v - y))} for u, v in places]

    def _dragged(self, marks: Marks) -> None:
        if marks.offset != self.state.offset:
            self.set(offset=marks.offset)

    def _load_source(self, read: object) -> None:
        self._load(self.source, "source", read)

    def _sync(self) -> None:
        super()._sync()
        self.source.marks = Marks(lasso=self.state.lasso)
        self.canvas.outline = [list(place) for place in self.state.lasso]
        self.canvas.marks = Marks(offset=self.state.offset)

    def _restart(self) -> None:
        self.source.restart(self.state.source)
        self.canvas.restart(self.state.target)


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


def _centre(lasso: Sequence[Place]) -> Place:
    """Of the outline's bounding box."""
    return tuple((min(line) + max(line)) / 2 for line in zip(*lasso, strict=True))
