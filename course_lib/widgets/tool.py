"""What the tools share: a frozen state, an answer by the library, and a canvas that shows it."""

import base64
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from numbers import Real
from pathlib import Path

import ipywidgets
import torch
from jaxtyping import Float
from torch import Tensor
from traitlets import TraitError

from course_lib.checks import require_number
from course_lib.images import save_image
from course_lib.plotting import tile
from course_lib.shapes import Image
from course_lib.thrift import give_back_soon
from course_lib.widgets.canvas import Canvas, Stroke, encode, paint

ROOM = 384 * 384  # pixels that an uploaded photo may have, or as many as the one before
Reader = Callable[[int | None], Image]
"""Reads an uploaded photo at a size, its longer side in pixels; as it is if None."""


@dataclass(frozen=True)
class Answer:
    """A tool's picture, the terms of its energy by name, and what else is to be said.

    Attributes:
        seconds: how long it took, where another run than `solve`'s found it.
    """

    image: Image
    terms: Mapping[str, float] = field(default_factory=dict)
    said: str = ""
    seconds: float | None = None


class Tool:
    """What all tools share: controls, reset, save, upload, time, energy, errors.

    A subclass has `solve`, from a state to an `Answer`.

    Args:
        state: a frozen dataclass; what the tool shows first, and after a reset.
        canvas: where the answer is shown.
        controls: ipywidgets by the names of the state's fields, each with a `description`.
        inputs: further canvases, left of the answer's.

    Attributes:
        sliders: of the field `strengths`, one for each direction, of tools that have them.
    """

    sliders: Sequence[ipywidgets.Widget] = ()

    def __init__(
        self, state: object, canvas: Canvas, controls: dict[str, ipywidgets.Widget],
        inputs: Sequence[Canvas] = (),
    ) -> None:
        self.state = self._first = state
        self.canvas, self.controls, self._held = canvas, controls, False
        self._make_room()
        for name, control in controls.items():
            switch = isinstance(control, ipywidgets.Checkbox)
            control.layout.width = "auto" if switch else "25em"
            control.style.description_width = "initial" if switch else "7em"
            control.observe(lambda change, name=name: self._moved(name, change["new"]), "value")
        canvas.on_action("reset", self.reset)
        canvas.on_action("save", self._send)
        for where in (canvas, *inputs):
            where.layout.width, where.layout.max_width = f"{where.max_width}px", "100%"
        rows = ipywidgets.HBox(list(controls.values()), layout={"flex_flow": "wrap"})
        rows.layout.align_items = "center"
        pictures = ipywidgets.HBox([*inputs, canvas], layout={"flex_flow": "wrap"})
        rows.layout.align_items = "center"
        pictures.layout.grid_gap = "16px"
        self.widget = ipywidgets.VBox([rows, pictures])
        self.redraw()

    def solve(self, state: object) -> Answer:
        """The answer to a state, by the library."""
        raise NotImplementedError("solve: call the library with the state's fields")

    def set(self, **changes: object) -> None:
        """Change the state, as a user would by controls and drawing, and solve anew.

        Raises:
            ValueError: there is nothing of a name, or its control can't show a value.
        """
        unknown = sorted(changes.keys() - self.values().keys())
        if unknown:
            raise ValueError(
                f"this tool knows no {', '.join(unknown)}, so nothing would change: name one of "
                f"{', '.join(self.values())}."
            )
        self._require_shown(changes)
        before, self.state = self.state, replace(self.state, **changes)
        try:
            self.redraw()
        except TraitError as failure:  # a control's own, of a choice that a menu lacks
            self.state = before
            self.redraw()
            raise ValueError(
                f"{' or '.join(changes)} can't be shown ({failure}), so nothing was changed: take "
                f"what the controls offer."
            ) from failure

    def reset(self) -> None:
        """Return to the first state, photos included."""
        self.state = self._first
        self._restart()
        self.redraw()

    def redraw(self) -> None:
        """Solve and show; a failure is shown below the picture, then raised."""
        start = time.perf_counter()
        try:
            answer = self.solve(self.state)
            seconds = answer.seconds or time.perf_counter() - start
            terms = [f"{name} {_short(value)}" for name, value in answer.terms.items()]
            energy = f"Energy: {' + '.join(terms)}" if terms else ""
            words = filter(None, [energy, answer.said, f"solved in {_duration(seconds)}"])
            with self.canvas.hold_sync():  # all in one message
                self._sync()
                self.canvas.show(answer.image, note=" · ".join(words))
        except Exception as failure:
            self._sync()
            self.canvas.error = sentence(failure)
            raise
        finally:
            give_back_soon()

    def save(self, path: str | Path) -> None:
        """Write the answer into a file, as `images.save_image` does."""
        save_image(self.solve(self.state).image, path)

    def values(self) -> dict:
        """All that `set` can change, as it is now."""
        return {field.name: getattr(self.state, field.name) for field in fields(self.state)}

    def stops(self) -> list[dict]:
        """Changes that a drawing hand might make; `sweep` tries them all."""
        return []

    def stored(self) -> Image:
        """What those see who read the notebook without running it: the picture as it is now."""
        return self.solve(self.state).image

    def _make_room(self) -> None:
        """Let sliders reach what the tool begins with, which they would show clipped."""
        for name, control, value in self._sliders_of(self.values()):
            least, most = _span(control)
            if not least <= value <= most:
                end = value
                if isinstance(control, ipywidgets.FloatLogSlider):
                    require_number(value, name, above=0)
                    end = math.log(value, control.base)
                control.min, control.max = min(control.min, end), max(control.max, end)
                control.value = value

    def _require_shown(self, values: Mapping[str, object]) -> None:
        """Raise a `ValueError` at a value that its slider would show clipped."""
        for name, control, value in self._sliders_of(values):
            least, most = _span(control)
            if not least <= value <= most:
                raise ValueError(
                    f"{name} is {value:g}, but its slider goes from {least:g} to {most:g} and "
                    f"would show another value: choose one of these, or call the library itself."
                )

    def _sliders_of(
        self, values: Mapping[str, object]
    ) -> Iterator[tuple[str, ipywidgets.Widget, float]]:
        """The sliders that are to show these values: name, slider, number."""
        strengths = values.get("strengths", ())
        if self.sliders and "strengths" in values and len(strengths) != len(self.sliders):
            raise ValueError(
                f"strengths holds {len(strengths)} numbers for {len(self.sliders)} sliders, so it "
                f"is open which moves: pass one for each."
            )
        found = [(name, control, values[name]) for name, control in self.controls.items()
                 if name in values and _span(control)]
        found += [("a strength", *pair) for pair in zip(self.sliders, strengths, strict=False)]
        for name, control, value in found:
            if not isinstance(value, Real):
                raise ValueError(
                    f"{name} is a {type(value).__name__}, but a slider shows numbers: pass one."
                )
            yield name, control, value

    def _sync(self) -> None:
        """Let controls and canvases say what the state says."""
        with self._holding():
            for name, control in self.controls.items():
                control.value = getattr(self.state, name)

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """While controls are set from here, they are not taken for a hand's doing."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _restart(self) -> None:
        """Show the state's own photos."""
        self.canvas.restart(self.state.image)

    def _moved(self, name: str, value: object) -> None:
        if not self._held:
            self.set(**{name: value})

    def _send(self) -> None:
        self.canvas.send_file(self.solve(self.state).image, f"{type(self).__name__.lower()}.png")

    def _load(self, canvas: Canvas, name: str, read: Reader, **changes: object) -> None:
        """Put a photo into the state; one that can't be read leaves everything as it was."""
        old = getattr(self.state, name)
        try:
            image = _in_channels(_read_fitting(read, old).to(old), len(old))
        except (OSError, ValueError) as failure:
            canvas.note, canvas.error = "", sentence(failure)
            return
        canvas.note, canvas.error = "", ""
        self.state = replace(self.state, **{name: image}, **changes)
        self._restart()
        self.redraw()

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        bundle = dict(self.widget._repr_mimebundle_(**kwargs))
        bundle["image/jpeg"] = base64.b64encode(encode(self.stored(), quality=82)).decode()
        return bundle, {"image/jpeg": {"alt": self.canvas.alt}}


def painted_beside(
    strokes: Sequence[Stroke], before: Image, answer: Image
) -> Float[Tensor, "3 _ _"]:
    """What was painted on a picture, and the answer to it, side by side."""
    shades, ink = paint(strokes, before.shape[-2:])
    return tile(torch.stack([torch.where(ink, shades, before), answer]), 2, size=192)


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 10 else f"{seconds:.0f} s"


def _read_fitting(read: Reader, before: Tensor) -> Tensor:
    """A photo of about `ROOM` pixels, or as many as the one before it if that had more.

    Counted by area, so that a portrait keeps its detail and a panorama is more than a strip.
    """
    image = read(None)
    room = max(ROOM, before.shape[-1] * before.shape[-2])
    share = math.sqrt(room / (image.shape[-1] * image.shape[-2]))
    return image if share >= 1 else read(round(share * max(image.shape[-2:])))


def _short(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"


def sentence(failure: Exception) -> str:
    """A failure as it is told below a picture: our own as they are, others with their kind."""
    known = isinstance(failure, ValueError | FileNotFoundError)
    return str(failure) if known else f"{type(failure).__name__}: {failure}"


def _span(control: ipywidgets.Widget) -> tuple[float, float] | None:
    """From the least to the largest value that a slider shows; None for other controls."""
    if not hasattr(control, "min") or isinstance(control.value, tuple):
        return None
    if isinstance(control, ipywidgets.FloatLogSlider):
        low, high = (float(control.base**power) for power in (control.min, control.max))
        return low * (1 - 1e-9), high * (1 + 1e-9)
    return float(control.min), float(control.max)


def _in_channels(image: Tensor, channels: int) -> Tensor:
    """A photo beside a grey one becomes grey, too: Rec. 601's weights of red, green and blue."""
    if channels != 1 or len(image) == 1:
        return image
    return (image * image.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0, keepdim=True)
