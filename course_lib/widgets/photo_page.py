"""What stands on `PhotoTool`'s page, and how it is laid out; what it does is in `photo`."""

from collections.abc import Sequence

import ipywidgets
import torch
from torch import Tensor

from course_lib.familiarity import Familiarity
from course_lib.plotting import tile
from course_lib.shapes import Image
from course_lib.widgets.canvas import Canvas, encode
from course_lib.widgets.sliders import Picture

PAD = 512  # pixels along the square that is painted on
MODEL = 128  # pixels, of the small pictures that the model sees
BRUSHES = ("color", "sketch", "drag")
FUR = (("#F4EFE6", "cream"), ("#1F1B1A", "black"), ("#C9772E", "ginger"), ("#6B5340", "brown"),
       ("#8A93A0", "blue-grey"), ("#4E8F3A", "green"), ("#3A7DBD", "blue"))
CLICK = ("Click the middle of one eye, then of the other, and drag a point to correct it. The "
         "outline shows what the model will see.")
INSIDE = "What the model sees: the square, its projection G(w0), and the edit G(w1)"
ALERT = ("border-left: 4px solid #D55E00; padding: 5px 9px; margin: 0; line-height: 1.35; "
         "background: var(--jp-layout-color2, #f3f3f3)")


class PhotoPage:
    """The parts of the page.

    Args:
        image: the photo, (3, H, W).
        alt: what a reader who can't see the pictures should know.
        size: of the pictures on the screen, in pixels, at most.
        directions: names, each of which gets a slider.
        drags: whether the generator has features that a drag could pull.

    Attributes:
        placer: where the eyes are clicked; pad: where one paints; answer: the photo, edited.
        go: projects what was placed; again: lets it be placed anew; halt: ends a projection.
        bar: how far it has come; progress: the bar and `halt`.
        warning: that the model does not know the photo.
        sliders: how far to go along each direction, in % of its reach.
    """

    def __init__(
        self, image: Image, alt: str, size: int, directions: Sequence[str], *, drags: bool
    ) -> None:
        screen = {"max_size": (size, size)}
        self.placer = Canvas(
            image, mode="points", title="Where are the eyes?", alt=f"{alt} (to be placed)",
            actions=["photo"], hint=CLICK, **screen)
        self.pad = Canvas(
            torch.ones(3, PAD, PAD), mode="brushes", title="Paint what you wish",
            alt=f"{alt} (to paint on)", actions=["photo"], inks=FUR,
            brushes=BRUSHES if drags else BRUSHES[:2],
            brush_size=(PAD // 10, PAD // 3), **screen)
        self.answer = Canvas(image, title="Your photo, edited", alt=alt,
                             actions=["before", "save"], **screen)
        self.sliders = [
            ipywidgets.IntSlider(0, -100, 100, description=name, continuous_update=False,
                                 layout={"width": "22em"}, style={"description_width": "10em"})
            for name in directions
        ]
        self.go = ipywidgets.Button(description="Project it", icon="play",
                                    button_style="primary")
        self.again = ipywidgets.Button(description="Place anew", icon="crosshairs")
        self.halt = ipywidgets.Button(description="Enough", icon="stop", layout={"width": "auto"})
        self.bar = ipywidgets.IntProgress(0, 0, 1, layout={"width": "14em"})
        self.progress = ipywidgets.HBox([self.bar, self.halt], layout={"display": "none"})
        self.warning = ipywidgets.HTML()
        self._model = Picture(f"{alt}: the square, its projection, and the projection edited")

    def arrange(self, widget: ipywidgets.VBox) -> None:
        """The photo's menu and the progress above, then the pictures, the sliders, the model."""
        for canvas in (self.placer, self.pad, self.answer):  # side by side as long as they can
            canvas.layout.flex, canvas.layout.min_width = "1 1 0", "320px"
        rows, pictures = widget.children
        pictures.layout.width = "100%"
        rows.children = [*rows.children, self.go, self.again, self.progress]
        sliders = ipywidgets.HBox(self.sliders, layout={"flex_flow": "wrap"})
        inside = ipywidgets.VBox([ipywidgets.HTML(INSIDE), self._model.widget])
        widget.children = [rows, self.warning, pictures, *[sliders] * bool(self.sliders), inside]

    def show_model(self, pictures: Tensor) -> None:
        """The square, G(w0) and G(w1), or those of them that there are, (n, 3, r, r)."""
        self._model.value = encode(tile(pictures, len(pictures), size=MODEL))

    def show_step(self, placed: bool, can_be_placed: bool) -> None:
        """Where the eyes are clicked, or where one paints; and the button that leads on."""
        for widget, seen in ((self.placer, not placed), (self.go, not placed),
                             (self.pad, placed), (self.again, placed and can_be_placed)):
            widget.layout.display = "" if seen else "none"

    def warn(self, familiarity: Familiarity | None, model: str) -> None:
        """Say that the model does not know a photo; nothing of one that it knows."""
        if familiarity is None or familiarity.is_known:
            self.warning.value = ""
            return
        self.warning.value = (
            f'<p role="alert" style="{ALERT}"><b>{model} does not know this</b>: its own picture '
            f"of it is {familiarity.ratio:.1f} times as far off as is usual, so an edit may "
            f"turn it into something else. Place the photo anew, or choose another.</p>"
        )
