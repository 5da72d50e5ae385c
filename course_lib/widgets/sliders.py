"""A picture that is computed anew whenever a control moves.

The picture is one `ipywidgets.Image` that holds a JPEG: drawing it takes a millisecond,
a matplotlib figure would take 300.
"""

import io
import itertools
import time
from collections.abc import Callable, Sequence

import ipywidgets
import numpy as np
import PIL.Image

from course_lib.images import to_uint8
from course_lib.shapes import Image

Render = Callable[..., tuple[Sequence[Image], str]]


class LiveImage:
    """Controls above, the pictures that they make below, and a caption under these.

    Args:
        render: called with the controls' values by name; returns the pictures to show
            side by side, and a caption (energies, counts).
        alt: what a reader who can't see the picture should know.
        height: at which all pictures are shown, in pixels.
        controls: ipywidgets by the names of `render`'s arguments, each with a `description`.
    """

    def __init__(
        self, render: Render, *, alt: str, height: int = 256, **controls: ipywidgets.Widget
    ) -> None:
        self._render, self.controls, self._height = render, controls, height
        self._initial = {name: control.value for name, control in controls.items()}
        self.view = ipywidgets.Image(format="jpeg", tooltip=alt)
        self.caption, self.error = ipywidgets.HTML(), ipywidgets.HTML()
        self._reset = ipywidgets.Button(description="Reset", icon="undo")
        self._reset.on_click(lambda _: self.set(**self._initial))
        for control in controls.values():
            control.layout.width = "26em"
            control.style.description_width = "9em"
            control.observe(lambda _: self.redraw(), "value")
        rows = ipywidgets.HBox([*controls.values(), self._reset], layout={"flex_flow": "wrap"})
        self.widget = ipywidgets.VBox([rows, self.view, self.caption, self.error])
        self.redraw()

    def set(self, **values: object) -> None:
        """Move controls by name, as a user would."""
        for name, value in values.items():
            self.controls[name].value = value

    def redraw(self) -> None:
        """Compute and show the pictures; a failure is shown under them, then raised."""
        start = time.perf_counter()
        try:
            images, caption = self._render(**{n: c.value for n, c in self.controls.items()})
            self.view.value = _jpeg(images, self._height)
        except Exception as failure:
            self.error.value = f"<b style='color:#D55E00'>{failure}</b>"
            raise
        milliseconds = (time.perf_counter() - start) * 1000
        self.caption.value = f"{caption} &nbsp; <i>{milliseconds:.0f} ms</i>"
        self.error.value = ""

    def _repr_mimebundle_(self, **kwargs: object) -> dict:
        return self.widget._repr_mimebundle_(**kwargs)


def sweep(tool: LiveImage) -> int:
    """Move every control through its least, middle and largest value; raise on any failure.

    A fault at one slider value is seen only so: a notebook's run shows the first value alone.

    Returns:
        how many pictures were made.
    """
    before = {name: control.value for name, control in tool.controls.items()}
    count = 0
    for name, control in tool.controls.items():
        for value in _stops(control):
            tool.set(**{name: value})
            if tool.error.value:
                raise RuntimeError(f"{name} = {value!r}: {tool.error.value}")
            count += 1
        tool.set(**before)
    return count


def _stops(control: ipywidgets.Widget) -> list:
    if isinstance(control, ipywidgets.FloatLogSlider):
        return [control.base**power for power in (control.min, (control.min + control.max) / 2,
                                                  control.max)]
    if isinstance(control, ipywidgets.Checkbox | ipywidgets.ToggleButton):
        return [False, True]
    if hasattr(control, "options"):
        return [value for _, value in control._options_full]
    middle = control.min + (control.max - control.min) / 2
    return [control.min, type(control.value)(middle), control.max]


def _jpeg(images: Sequence[Image], height: int) -> bytes:
    pictures = [PIL.Image.fromarray(to_uint8(image)) for image in images]
    pictures = [
        picture.resize((max(1, round(picture.width * height / picture.height)), height))
        for picture in pictures
    ]
    gap = np.full((height, 8, 3), 255, dtype=np.uint8)
    strips = itertools.chain.from_iterable((gap, np.asarray(picture)) for picture in pictures)
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.hstack(list(strips)[1:])).save(buffer, format="jpeg", quality=90)
    return buffer.getvalue()
