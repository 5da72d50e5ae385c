"""A picture to draw on: brush, lasso, pairs of points, a region to move about; or to pick from.

The browser draws (browser/canvas.js), so that ink shows at once even while Python
computes. Python hears of the marks when a stroke ends, or while a handle is dragged; of marks
that came while it was busy it sees the newest alone.
"""

import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import anywidget
import numpy as np
import PIL.Image
import PIL.ImageColor
import PIL.ImageDraw
import torch
import traitlets
from ipywidgets.widgets.trait_types import CByteMemoryView
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_option
from course_lib.images import load_image, to_uint8
from course_lib.shapes import Image, Mask
from course_lib.widgets.browser import read_script, read_style
from course_lib.widgets.marks import Marks, Pair, Place, Stroke

MODES = ("look", "brush", "lasso", "points", "move", "brushes", "pick")
BRUSHES = ("color", "sketch", "hold", "warp", "drag")
ACTIONS = ("before", "reset", "save", "photo")
INKS = (("#D55E00", "vermilion"), ("#0072B2", "blue"), ("#009E73", "green"), ("#E69F00", "orange"),
        ("#CC79A7", "pink"), ("#000000", "black"), ("#FFFFFF", "white"))
LEAST = 32  # pixels along a side of a photo
UNSENT = {"sync": True, "echo_update": False}  # else each stroke would come back to the browser


class Canvas(anywidget.AnyWidget):
    """A picture that a user draws on with mouse, pen, finger or keyboard.

    Args:
        image: (1 or 3, height, width), shown until `show` is given another.
        alt: what a reader who can't see the picture should know.
        mode: what a pointer does: "look", "brush", "lasso", "points" (pairs), "move" (the
            `outline`), "brushes" (what the chosen one of `brushes` does), or "pick" (one of
            `choices` pictures that stand in `columns`: `picked`).
        title: above the picture.
        actions: buttons below it: "before" (a switch to the first picture), "reset", "save",
            "photo" (upload).
        photo_label: what is written on the button for uploads.
        max_size: (width, height) of the picture on the screen, zoomed to fit.
        brushes: offered in mode "brushes": "color", "sketch" and "hold" draw strokes, "warp" and
            "drag" set pairs.
        brush_size: of the brush at first, and at most, in pixels.
        inks: colours to paint with, (as in CSS, name); those that the colour-blind can tell apart
            if none are given.
        hint: what to do here, in place of the mode's own advice.

    Attributes:
        places: what lies at each choice, where "pick" is of one picture's places, not of pictures.
    """

    _esm = read_script("canvas")
    _css = read_style("canvas")
    mode = traitlets.Unicode("look").tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    actions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    photo_label = traitlets.Unicode().tag(sync=True)
    max_width = traitlets.Int(560).tag(sync=True)
    max_height = traitlets.Int(400).tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    shows_before = traitlets.Bool(False).tag(**UNSENT)
    outline = traitlets.List().tag(sync=True)
    brushes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    brush_size = traitlets.List(traitlets.Int(), [10, 60]).tag(sync=True)
    inks = traitlets.List().tag(sync=True)
    hint = traitlets.Unicode().tag(sync=True)
    choices = traitlets.Int(1).tag(sync=True)
    columns = traitlets.Int(1).tag(sync=True)
    places = traitlets.List(traitlets.Unicode()).tag(sync=True)
    picked = traitlets.Int(0).tag(**UNSENT)
    _picture = CByteMemoryView(b"").tag(**UNSENT)
    _before = CByteMemoryView(b"").tag(**UNSENT)
    _marks = traitlets.Dict(asdict(Marks())).tag(**UNSENT)

    def __init__(
        self, image: Image, *, alt: str, mode: str = "look", title: str = "",
        actions: Sequence[str] = (), photo_label: str = "My own photo",
        max_size: tuple[int, int] = (560, 400), brushes: Sequence[str] = (),
        brush_size: tuple[int, int] = (10, 60), inks: Sequence[tuple[str, str]] = INKS,
        hint: str = "",
    ) -> None:
        require_option(mode, MODES, "mode")
        for brush in brushes:
            require_option(brush, BRUSHES, "a brush")
        for action in actions:
            require_option(action, ACTIONS, "an action")
        super().__init__(
            mode=mode, title=title, alt=alt, actions=list(actions), photo_label=photo_label,
            max_width=max_size[0], max_height=max_size[1],
            brushes=list(brushes), brush_size=list(brush_size), hint=hint,
            inks=[list(ink) for ink in inks],
        )
        self._parts: list[bytes] = []
        self._listeners: dict[str, Callable[..., object]] = {}
        self.on_msg(self._receive)
        self.restart(image)

    @property
    def marks(self) -> Marks:
        """What was drawn, as a frozen value; assign another to draw from Python."""
        raw = self._marks
        return Marks(
            tuple(
                Stroke(_places(s["points"]), s["color"], s["width"], s["erases"],
                       s.get("kind", "color"))
                for s in raw["strokes"]
            ),
            _places(raw["lasso"]),
            tuple(raw["offset"]),
            tuple(
                Pair(tuple(pair["start"]), tuple(pair["end"]), pair["fresh"],
                     pair.get("kind", "drag"), pair.get("width", 10))
                for pair in raw["pairs"]
            ),
        )

    @marks.setter
    def marks(self, marks: Marks) -> None:
        """Draw these instead."""
        self._marks = asdict(marks)

    @property
    def jpeg(self) -> bytes:
        """The picture as it is shown."""
        return bytes(self._before if self.shows_before else self._picture)

    def restart(self, image: Image) -> None:
        """Begin anew on another picture, which also is what "before" shows."""
        picture = encode(image)
        with self.hold_sync():
            self._picture, self._before, self.shows_before = picture, picture, False

    def show(self, image: Image, *, note: str = "") -> None:
        """Replace the picture and the note below it, in one message; an error goes."""
        with self.hold_sync():
            self._picture, self.note, self.error = encode(image), note, ""

    def on_draw(self, callback: Callable[[Marks], object]) -> None:
        """Call back with the marks whenever they change."""
        self.observe(lambda _: callback(self.marks), "_marks")

    def on_pick(self, callback: Callable[[int], object]) -> None:
        """Call back with the number of the picture that was picked."""
        self.observe(lambda change: callback(change["new"]), "picked")

    def on_action(self, action: str, callback: Callable[..., object]) -> None:
        """Call back when the button is pressed: "reset", "save", or "photo" with the picture's
        reader, a function of the `size` to load it at."""
        self._listeners[action] = callback

    def send_file(self, image: Image, name: str) -> None:
        """Let the browser save the picture, as PNG."""
        buffer = io.BytesIO()
        PIL.Image.fromarray(to_uint8(image)).save(buffer, format="png")
        self.send({"kind": "file", "name": name}, buffers=[buffer.getvalue()])

    def _receive(self, _: object, content: dict, buffers: list) -> None:
        kind = content.get("kind")
        if kind == "photo":
            if content["part"] == 0:
                self._parts = []
            self._parts.append(bytes(buffers[0]))
            if content["part"] + 1 == content["parts"]:
                self._read(content["name"])
        elif kind in ACTIONS:
            self._tell(kind)

    def _read(self, name: str) -> None:
        """Hand an upload on; what the page says meanwhile is taken back."""
        data, self._parts, reading = b"".join(self._parts), [], f"Reading {name} …"
        self.note, self.error = reading, ""
        self._tell("photo", lambda size: read_photo(name, data, size=size))
        if self.note == reading:
            self.note = ""

    def _tell(self, action: str, *values: object) -> None:
        if action in self._listeners:
            self._listeners[action](*values)


def encode(image: Image, *, quality: int = 92) -> bytes:
    """A picture as the browser shows it: a JPEG, which takes a millisecond."""
    buffer = io.BytesIO()
    sampling = 0 if quality > 90 else 2
    picture = PIL.Image.fromarray(to_uint8(image))
    picture.save(buffer, format="jpeg", quality=quality, subsampling=sampling)
    return buffer.getvalue()


def read_photo(
    name: str, data: bytes, *, size: int | None = None
) -> Float[Tensor, "3 height width"]:
    """An uploaded file, read as `images.load_image` does.

    Raises:
        ValueError: it is no picture, or has fewer than 32 pixels along a side.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / (Path(name).name or "photo")
        path.write_bytes(data)
        image = load_image(path, size=size)
        with PIL.Image.open(path) as file:
            width, height = file.size
    if min(width, height) < LEAST:
        raise ValueError(
            f"{name} has {width} × {height} pixels, too few to show anything: choose a photo of at "
            f"least {LEAST} along each side."
        )
    return image


def fill_lasso(lasso: Sequence[Place], size: tuple[int, int]) -> Mask:
    """The region inside an outline, its border included, for a picture of `size` (height, width).

    Raises:
        ValueError: the outline has fewer than three corners.
    """
    if len(lasso) < 3:
        raise ValueError(
            f"the outline has {len(lasso)} corners, so no region lies inside: draw around what "
            f"you want to select."
        )
    paper = PIL.Image.new("L", size[::-1])
    PIL.ImageDraw.Draw(paper).polygon([tuple(place) for place in lasso], fill=1)
    return torch.from_numpy(np.array(paper, dtype=bool))


def paint(
    strokes: Sequence[Stroke], size: tuple[int, int]
) -> tuple[Float[Tensor, "3 height width"], Mask]:
    """The strokes' colours, and where there is ink, for a picture of `size` (height, width)."""
    paper = PIL.Image.new("RGBA", size[::-1])
    pen = PIL.ImageDraw.Draw(paper)
    for stroke in strokes:
        ink = (0, 0, 0, 0) if stroke.erases else PIL.ImageColor.getcolor(stroke.color, "RGBA")
        places, radius = [tuple(place) for place in stroke.points], stroke.width / 2
        for start, end in itertools.pairwise(places):
            pen.line([start, end], fill=ink, width=max(1, round(stroke.width)))
        for x, y in places:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
    pixels = torch.from_numpy(np.array(paper)).movedim(-1, 0)
    return pixels[:3].float() / 255, pixels[3] > 0


def _places(points: Sequence[Sequence[float]]) -> tuple[Place, ...]:
    return tuple((x, y) for x, y in points)
