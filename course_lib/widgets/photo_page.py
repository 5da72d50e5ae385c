"""What stands on `PhotoTool`'s page, and how it is laid out; what it does is in `photo`."""

from collections.abc import Sequence
from dataclasses import dataclass

import ipywidgets
import torch
from torch import Tensor

from course_lib.familiarity import Familiarity
from course_lib.generators.base import Generator
from course_lib.images import load_image
from course_lib.plotting import tile
from course_lib.shapes import Image
from course_lib.widgets.canvas import Canvas, Pair, Place, Stroke, encode
from course_lib.widgets.sliders import Picture

OWN = "my own photo"
SAMPLE = "the model's own"
LARGEST = 2048  # pixels along a photo's longer side; larger ones are read at this size
EYES = ((0.345, 0.496), (0.655, 0.496))  # where they lie in the cats' pictures, in shares
AIM = {"cats": EYES, "cats-128": EYES, "cats-dcgan": EYES}  # generators whose things have eyes
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


@dataclass(frozen=True)
class PhotoState:
    """The photo, where it was placed, and what is wished.

    Attributes:
        name: of a photo that ships, or `OWN`.
        image: (3, H, W) in [0, 1].
        points: two places in it, (x, y) in pixels, that belong at the eyes; none: the middle.
        placed: False while the points are being chosen.
        strokes, pairs: painted on the square, in its pixels, of which there are 512 along a side.
        strengths: of each named direction, in % of its reach.
    """

    name: str
    image: Image
    points: tuple[Place, ...] = ()
    placed: bool = True
    strokes: tuple[Stroke, ...] = ()
    pairs: tuple[Pair, ...] = ()
    strengths: tuple[float, ...] = ()

    def lies_like(self, other: "PhotoState | None") -> bool:
        """Whether the photo is the other's, placed where that was."""
        return (other is not None and other.image is self.image and other.placed == self.placed
                and (not self.placed or other.points == self.points))


def first_photo(generator: Generator, photo: Image | str | None) -> tuple[str, Image]:
    """The name and the picture of what is shown first: one that ships, if there is a choice."""
    if photo is None and generator.name not in AIM:
        rng = torch.Generator().manual_seed(0)
        space = generator.spaces[-1]
        psi = 1 if space == "z" else 0.7
        with torch.no_grad():
            latent = generator.sample_latent(1, space=space, rng=rng, truncation_psi=psi)
            image = generator.decode(latent, space=space)[0].clamp(0, 1)
        return SAMPLE, image.cpu()
    if photo is None or isinstance(photo, str):
        name = photo or "tabby"
        return name, load_image(name, device="cpu")
    return OWN, photo


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
