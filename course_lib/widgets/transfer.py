"""An edit carried back to the photo, beside what one would try first: `TransferTool`."""

from collections.abc import Mapping
from dataclasses import dataclass

import ipywidgets
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count
from course_lib.metrics import detail_energy
from course_lib.shapes import Image
from course_lib.transfer import (
    Morph,
    add_change,
    apply_change,
    blend_change,
    enlarge_edit,
    follow_morph,
    trust_projection,
)
from course_lib.widgets.canvas import Canvas
from course_lib.widgets.tool import Answer, Tool

NAIVE = {
    "G(z1) enlarged": lambda photo, first, last: enlarge_edit(photo, last),
    "G(z1) − G(z0) added": add_change,
    "Poisson-blended": blend_change,
}


@dataclass(frozen=True)
class TransferState:
    """The photo, and what of which edit is carried to it.

    Attributes:
        photo: (3, H, W).
        edit: the name of a morph.
        strength: how far along it, in %.
        doubts: whether motion and colour are stiffer where G(z0) misses the photo.
    """

    photo: Image
    edit: str
    strength: int = 100
    doubts: bool = True


class TransferTool(Tool):
    """The photo, the edit carried to it by motion and colour, and three naive ways below.

    A morph is followed once; afterwards the slider only applies what was found.

    Args:
        photo: (3, H, W) in [0, 1]; 512² answers while the slider moves.
        morphs: frames (n, 3, r, r) from G(z0) to G(z1) by the edit's name, z0 the photo's code.
        alt: what a reader who can't see the pictures should know.
        strength, doubts: what to start with, as in `TransferState`.
        size: of a picture on the screen, in pixels.
    """

    def __init__(
        self, photo: Image, morphs: Mapping[str, Float[Tensor, "frames 3 r r"]], *, alt: str,
        strength: int = 100, doubts: bool = True, size: int = 300,
    ) -> None:
        if not morphs:
            raise ValueError("there is no morph, so nothing can be carried over: pass an edit's.")
        require_count(strength, "strength", least=0, most=100)
        self.morphs, self._found = dict(morphs), {}
        screen = {"max_size": (size, size)}
        self.photo = Canvas(photo, title="Photo", alt=f"{alt} (photo)", **screen)
        canvas = Canvas(photo, title="Edit transfer", alt=alt,
                        actions=["before", "reset", "save"], **screen)
        self.naive = {name: Canvas(photo, title=name, alt=f"{alt} ({name})", **screen)
                      for name in NAIVE}
        state = TransferState(photo, next(iter(self.morphs)), strength, doubts)
        controls = {
            "edit": ipywidgets.Dropdown(options=list(self.morphs), description="edit"),
            "strength": ipywidgets.IntSlider(strength, 0, 100, description="strength in %"),
            "doubts": ipywidgets.Checkbox(
                doubts, description="stiffer where G(z0) misses the photo", indent=False),
        }
        super().__init__(state, canvas, controls, [self.photo])
        below = ipywidgets.HBox(list(self.naive.values()), layout={"flex_flow": "wrap"})
        below.layout.grid_gap = "16px"
        below.add_class("sw-beside")  # on a slide, which is wide
        self.widget.children = [*self.widget.children, below]

    def morph(self, state: TransferState) -> Morph:
        """Motion and colour along the state's morph, found at the first call."""
        key = (state.edit, state.doubts)
        if key not in self._found:
            frames = self.morphs[state.edit]
            trust = trust_projection(state.photo, frames[0]) if state.doubts else None
            self._found[key] = follow_morph(frames, trust=trust)
        return self._found[key]

    def solve(self, state: TransferState) -> Answer:
        """By `transfer.apply_change`."""
        morph, place = self.morph(state), self._place(state)
        image = apply_change(state.photo, *morph.at(state.strength / 100))
        terms = {name: float(term[place - 1]) for name, term in morph.energies.items()}
        return Answer(image, terms if place else {}, self._kept(image))

    def redraw(self) -> None:
        """The answer, and the naive ways at the nearest frame."""
        super().redraw()
        frames = self.morphs[self.state.edit]
        last = frames[self._place(self.state)]
        for name, way in NAIVE.items():
            image = way(self.state.photo, frames[0], last)
            self.naive[name].show(image, note=self._kept(image))

    def _place(self, state: TransferState) -> int:
        """The number of the frame nearest to the state's strength."""
        return round(state.strength / 100 * (len(self.morphs[state.edit]) - 1))

    def _kept(self, image: Image) -> str:
        share = float(detail_energy(image) / detail_energy(self.state.photo))
        return f"{100 * share:.0f} % of the photo's detail"

    def _restart(self) -> None:
        self.canvas.restart(self.state.photo)

    def _sync(self) -> None:
        super()._sync()
        for where in (self.photo, *self.naive.values()):
            where.layout.width, where.layout.max_width = f"{where.max_width}px", "100%"
