"""A picture that is computed anew whenever a control moves.

The picture is a JPEG: drawing it takes a millisecond, a matplotlib figure would take 300.
"""

import base64
import html
import io
import itertools
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol, runtime_checkable

import anywidget
import ipywidgets
import numpy as np
import PIL.Image
from torch import Tensor

from course_lib.checks import require_count
from course_lib.images import to_uint8
from course_lib.results import allowed_steps
from course_lib.shapes import Image, Pictures
from course_lib.widgets.browser import read_script

Render = Callable[..., tuple[Pictures | Image, str]]


class Picture:
    """One JPEG on the page, with alt text, at its own size or narrower.

    `ipywidgets.Image` has no alt text, and its tooltip keeps JupyterLab from showing it at all.

    Args:
        alt: what a reader who can't see the picture should know.
    """

    def __init__(self, alt: str) -> None:
        self.alt, self.widget, self._value = alt, ipywidgets.HTML(), b""

    @property
    def value(self) -> bytes:
        """The JPEG; setting it shows the new one."""
        return self._value

    @value.setter
    def value(self, jpeg: bytes) -> None:
        """Show another."""
        with PIL.Image.open(io.BytesIO(jpeg)) as picture:
            width, height = picture.size
        self._value = jpeg
        # Its size is said and it is decoded at once, so that the page neither jumps nor flickers.
        self.widget.value = (
            f'<img alt="{html.escape(self.alt)}" width="{width}" height="{height}" '
            f'decoding="sync" style="max-width:100%;height:auto" '
            f'src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'
        )


class SliderNames(anywidget.AnyWidget):
    """Unseen; gives the sliders around it the names that screen readers say."""

    _esm = read_script("sliders")


class LiveImage:
    """Controls above, the pictures that they make below, and a caption under these.

    Args:
        render: called with the controls' values by name; returns the picture, or those to
            show side by side, and a caption (energies, counts).
        alt: what a reader who can't see the picture should know.
        height: at which all pictures are shown, in pixels.
        controls: ipywidgets by the names of `render`'s arguments, each with a `description`.
    """

    def __init__(
        self, render: Render, *, alt: str, height: int = 256, **controls: ipywidgets.Widget
    ) -> None:
        self._render, self.controls, self._height = render, controls, height
        self._held = False
        initial = self.values()
        self.view = Picture(alt)
        self.caption, self.error = ipywidgets.HTML(), ipywidgets.HTML()
        self.reset = ipywidgets.Button(description="Reset", icon="undo")
        self.reset.on_click(lambda _: self.set(**initial))
        for control in controls.values():
            # Toggle buttons stand side by side, so they need what room they need.
            buttons = isinstance(control, ipywidgets.ToggleButtons)
            control.layout.width = "auto" if buttons else "26em"
            control.style.description_width = "9em"
            control.observe(lambda _: self.redraw(), "value")
        rows = ipywidgets.HBox([*controls.values(), self.reset], layout={"flex_flow": "wrap"})
        self.widget = ipywidgets.VBox([rows, self.view.widget, self.caption, self.error,
                                    SliderNames()])
        self.redraw()

    def values(self) -> dict:
        """Where the controls stand."""
        return {name: control.value for name, control in self.controls.items()}

    def stops(self) -> list[dict]:
        """Nothing but controls can be moved."""
        return []

    def set(self, **values: object) -> None:
        """Move controls by name, as a user would, and redraw once.

        Raises:
            ValueError: a control is unknown or can't take its value; then none has moved.
        """
        unknown = sorted(values.keys() - self.controls.keys())
        if unknown:
            raise ValueError(
                f"no control is called {', '.join(unknown)}, so nothing would move: "
                f"name one of {', '.join(self.controls)}."
            )
        before, self._held = self.values(), True
        try:
            for name, value in values.items():
                self.controls[name].value = value
        except Exception as failure:  # widgets raise errors of their own
            for other, old in before.items():
                self.controls[other].value = old
            raise ValueError(
                f"{name} can't be {value!r} ({failure}), so nothing was moved: give it what its "
                f"control can show."
            ) from failure
        finally:
            self._held = False
        self.redraw()

    def redraw(self) -> None:
        """Compute and show the pictures; a failure is shown under them, then raised."""
        if self._held:
            return
        start = time.perf_counter()
        try:
            images, caption = self._render(**self.values())
            self.view.value = _jpeg(images, self._height)
        except Exception as failure:
            kind = "" if isinstance(failure, ValueError) else f"{type(failure).__name__}: "
            self.error.value = f"<b style='color:#D55E00'>{kind}{html.escape(str(failure))}</b>"
            raise
        milliseconds = (time.perf_counter() - start) * 1000
        self.caption.value = f"{caption} &nbsp; <i>{milliseconds:.0f} ms</i>"
        self.error.value = ""

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        # The picture as it is now goes along, for those who read the notebook without running it.
        bundle = dict(self.widget._repr_mimebundle_(**kwargs))
        bundle["image/jpeg"] = base64.b64encode(self.view.value).decode()
        return bundle, {"image/jpeg": {"alt": self.view.alt}}


@runtime_checkable
class Sweepable(Protocol):
    """What `sweep` can drive: `LiveImage`, and the tools that are drawn on."""

    controls: dict[str, ipywidgets.Widget]
    widget: ipywidgets.Widget

    def values(self) -> dict:
        """All that `set` can change, as it is now."""

    def stops(self) -> list[dict]:
        """Changes that no control makes, but a drawing hand."""

    def set(self, **values: object) -> None:
        """Change values by name, and redraw once."""


def sweep(tool: Sweepable, *, stops: int = 5) -> int:
    """Move every control through its range, from the least to the largest value.

    A fault at one slider value is seen only so: a notebook's run shows the first value alone.

    Args:
        tool: what to drive; its controls return to where they were, also after a failure.
        stops: how many values a slider takes; menus and switches take all of theirs.
    Returns:
        how many pictures were made.
    Raises:
        RuntimeError: a picture failed; it says at which control and value.
    """
    require_count(stops, "stops", least=2)
    before, stops = tool.values(), max(2, allowed_steps(stops))
    changes = [
        {name: value} for name, control in tool.controls.items()
        for value in _stops(control, stops)
    ] + tool.stops()
    with ExitStack() as stack:  # the browser need not see it all, and its history stays empty
        for widget in _family(tool.widget):
            stack.enter_context(widget.hold_sync())
        try:
            for change in changes:
                try:
                    tool.set(**before | change)
                except Exception as failure:
                    said = ", ".join(f"{name} = {value!r}" for name, value in change.items())
                    raise RuntimeError(f"{said} fails: {failure}") from failure
        finally:
            tool.set(**before)
    return len(changes)


def _family(widget: ipywidgets.Widget) -> list[ipywidgets.Widget]:
    """The widget and all that it holds."""
    children = getattr(widget, "children", ())
    return [widget, *itertools.chain.from_iterable(map(_family, children))]


def _stops(control: ipywidgets.Widget, count: int) -> list:
    if isinstance(getattr(control, "index", None), int):  # menus, radio buttons
        return [value for _, value in control._options_full]
    if isinstance(control.value, bool):
        return [False, True]
    if not hasattr(control, "min"):  # free text, colours: no range to go through
        return [control.value]
    spread = [float(value) for value in np.linspace(control.min, control.max, count)]
    if isinstance(control, ipywidgets.FloatLogSlider):
        return [control.base**power for power in spread]
    if isinstance(control.value, tuple):
        kind = type(control.value[0])
        return [(kind(low), kind(high)) for low, high in itertools.combinations(spread, 2)]
    kind = type(control.value)
    return list(dict.fromkeys(map(kind, spread)))  # a short range has fewer whole numbers


def _jpeg(images: Pictures | Image, height: int) -> bytes:
    if isinstance(images, Tensor) and images.ndim == 3:
        images = [images]
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
