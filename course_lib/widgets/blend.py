"""BlendTool: a region of one photo, dragged over another, and blended into it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import ipywidgets

from course_lib.blending import Canvas as Background
from course_lib.blending import seamless_clone
from course_lib.energies import clone_energies, paste
from course_lib.shapes import Image
from course_lib.widgets.canvas import Canvas, Marks, Place, fill_lasso
from course_lib.widgets.tool import Answer, Tool

GRADIENTS = {"the source's": "source", "mixed": "mixed", "the average": "average"}


@dataclass(frozen=True)
class BlendState:
    """Two photos, a region of the first, and where it lands in the second.

    Attributes:
        source, target: the photos.
        lasso: the outline in the source, (x, y) in pixels.
        offset: (x, y), where the source's top left corner lands in the target.
        gradients: as in `blending.seamless_clone`.
        blends: False shows the crude paste.
        outlined: whether the region's outline is drawn, which lies on the seam.
    """

    source: Image
    target: Background
    lasso: tuple[Place, ...]
    offset: tuple[int, int] = (0, 0)
    gradients: str = "source"
    blends: bool = True
    outlined: bool = True


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
                options=GRADIENTS, value=gradients, description="gradients"),
            "blends": ipywidgets.Checkbox(True, description="blend (else paste)", indent=False),
            "outlined": ipywidgets.Checkbox(True, description="show the outline", indent=False),
        }
        self.source.on_draw(lambda marks: self.cut(marks.lasso))
        self.source.on_action("photo", self._load_source)
        canvas.on_draw(self._dragged)
        canvas.on_action("photo", lambda read: self._load(canvas, "target", read))
        lasso = tuple((x, y) for x, y in lasso)
        state = BlendState(source, target, lasso, tuple(offset), gradients)
        super().__init__(state, canvas, controls, [self.source])

    def cut(self, lasso: Sequence[Place]) -> None:
        """Take another region; it comes to lie where the last one was, or in the middle."""
        lasso = tuple((x, y) for x, y in lasso)
        before, offset = self.state.lasso, self.state.offset
        if lasso == before:
            return
        if lasso:
            height, width = self.state.target.shape[-2:]
            old, shift = (_centre(before), offset) if before else ((width / 2, height / 2), (0, 0))
            new = _centre(lasso)
            offset = (round(shift[0] + old[0] - new[0]), round(shift[1] + old[1] - new[1]))
        self.set(lasso=lasso, offset=offset)

    def solve(self, state: BlendState) -> Answer:
        """By `blending.seamless_clone`."""
        source, target = state.source, state.target
        if not state.lasso:
            return Answer(target, said="Nothing is cut out: draw around what should come here")
        mask = fill_lasso(state.lasso, source.shape[-2:]).to(target.device)
        wish = {"offset": state.offset, "gradients": state.gradients}
        crude = paste(source, target, mask, offset=state.offset)
        pasted = clone_energies(crude, source, target, mask, **wish)
        if not state.blends:
            return Answer(crude, pasted)
        image = seamless_clone(source, target, mask, **wish).value
        terms = clone_energies(image, source, target, mask, **wish)
        return Answer(image, terms, f"crude paste {sum(pasted.values()):.1f}")

    def stops(self) -> list[dict]:
        """The region at the corners of the target and in its middle, a part of it outside."""
        if not self.state.lasso:
            return []
        height, width = self.state.target.shape[-2:]
        x, y = _centre(self.state.lasso)
        places = ((0, 0), (width, 0), (0, height), (width, height), (width / 2, height / 2))
        return [{"offset": (round(u - x), round(v - y))} for u, v in places]

    def _dragged(self, marks: Marks) -> None:
        if marks.offset == self.state.offset:
            return
        offset = self._kept_inside(marks.offset)
        if offset != self.state.offset:
            self.set(offset=offset)
        else:  # the hand goes on beyond the border, the region does not
            self.canvas.marks = Marks(offset=offset)

    def _kept_inside(self, offset: tuple[int, int]) -> tuple[int, int]:
        """The nearest offset at which the region's centre lies in the target."""
        if not self.state.lasso:
            return offset
        size = self.state.target.shape[:-3:-1]
        return tuple(round(min(max(place + shift, 0), length - 1) - place) for place, shift, length
                     in zip(_centre(self.state.lasso), offset, size, strict=True))

    def _load_source(self, read: object) -> None:
        self._load(self.source, "source", read, lasso=())  # the outline was the other photo's

    def _sync(self) -> None:
        super()._sync()
        self.source.marks = Marks(lasso=self.state.lasso)
        shown = self.state.lasso if self.state.outlined else ()
        self.canvas.outline = [list(place) for place in shown]
        self.canvas.marks = Marks(offset=self.state.offset)

    def _restart(self) -> None:
        offset = self._kept_inside(self.state.offset)
        if offset != self.state.offset:  # of another target, which is smaller
            self.state = replace(self.state, offset=offset)
        self.source.restart(self.state.source)
        self.canvas.restart(self.state.target)


def _centre(lasso: Sequence[Place]) -> Place:
    """Of the outline's bounding box."""
    return tuple((min(line) + max(line)) / 2 for line in zip(*lasso, strict=True))
