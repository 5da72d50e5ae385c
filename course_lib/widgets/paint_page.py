"""What stands on `PaintTool`'s page, and how it is laid out; what it does is in `paint`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import ipywidgets
import torch

from course_lib.generators.base import Generator
from course_lib.shapes import Image, Latent
from course_lib.widgets.canvas import BRUSHES, Canvas, Pair, Stroke

SAMPLE, NOTHING, PHOTO = "a sample", "nothing", "my photo"
COUNTS = (1, 2, 4, 8, 16)
COLUMNS = 4  # of candidates on the page
SEEDS = 100
ICONS = {"Play": "play", "Fix as z0": "thumb-tack", "New start": "refresh", "Stop": "stop"}


@dataclass(frozen=True)
class PaintState:
    """Where the edit begins, what was painted, and what of the answers is shown.

    Attributes:
        start: "a sample", "nothing" (many random starts, and no λ_s) or "my photo".
        seed: of the sample, and of the other starts around it.
        photo: (3, r, r); fixed: a code (1, ...) of `fixed_space` that has become the start.
        space: where the code moves.
        strokes, pairs: as on the canvas.
        smoothness: λ_s; candidates: how many starts; picked: the number of one, None for the
            cheapest.
        morph: how far from z0 to the answer, in %.
    """

    start: str = SAMPLE
    seed: int = 0
    photo: Image | None = None
    fixed: Latent | None = None
    fixed_space: str = "z"
    space: str = "w"
    strokes: tuple[Stroke, ...] = ()
    pairs: tuple[Pair, ...] = ()
    smoothness: float = 0.5
    candidates: int = 4
    picked: int | None = None
    morph: int = 100

    def begins_like(self, other: "PaintState | None") -> bool:
        """Whether an edit that began at the other's z0 may go on at this one's."""
        return (other is not None and other.photo is self.photo and other.fixed is self.fixed
                and all(getattr(other, name) == getattr(self, name)
                        for name in ("start", "seed", "space", "candidates")))


def told_shown(shown: int, candidates: int) -> str:
    """Why fewer candidates are shown than were asked for; nothing if all are."""
    return "" if shown == candidates else (
        f"Shown: {shown} of {candidates}; of the cheaper half, those that cost less than twice its "
        f"mean.")


class PaintPage:
    """The parts of the page.

    Args:
        generator: whose pictures are edited.
        state: what is shown first.
        alt: what a reader who can't see the pictures should know.
        height: of a picture on the screen, in pixels.

    Attributes:
        pad: z0, to paint on; answer: the edit; thumbs: further candidates, to pick from.
        bar: how far a projection has come.
        controls: menus and sliders, each named like the field of `PaintState` that it sets.
    """

    def __init__(self, generator: Generator, state: PaintState, alt: str, height: int) -> None:
        side, screen = generator.resolution, {"max_size": (height, height)}
        blank = torch.ones(3, side, side)
        self.pad = Canvas(
            blank, mode="brushes", title="z0: paint here what you wish", alt=f"{alt} (z0)",
            actions=["photo"], brushes=BRUSHES, brush_size=(max(2, side // 10), side // 2),
            **screen)
        self.answer = Canvas(blank, title="The answer", alt=alt,
                             actions=["before", "reset", "save"], **screen)
        self.thumbs = Canvas(blank, mode="pick", title="Candidates", alt=f"{alt} (candidates)",
                             **screen)
        self.thumbs.columns = COLUMNS
        self.bar = ipywidgets.IntProgress(0, 0, 1, layout={"width": "12em"})
        self.controls = _controls(state, generator.spaces)

    def arrange(self, widget: ipywidgets.VBox, acts: Mapping[str, Callable]) -> None:
        """The controls above, then a button for each of `acts`, then the pictures."""
        buttons = [ipywidgets.Button(description=name, icon=ICONS[name]) for name in acts]
        for button, act in zip(buttons, acts.values(), strict=True):
            button.on_click(lambda _, act=act: act())
        self.thumbs.layout.width = f"{self.thumbs.max_width}px"
        rows, pictures = widget.children
        pictures.children = [self.pad, ipywidgets.VBox([self.answer, self.thumbs])]
        widget.children = [rows, ipywidgets.HBox([*buttons, self.bar]), pictures]


def _controls(state: PaintState, spaces: tuple[str, ...]) -> dict[str, ipywidgets.Widget]:
    menu, slider = ipywidgets.Dropdown, ipywidgets.IntSlider
    starts = [SAMPLE, NOTHING] + [PHOTO] * (state.photo is not None)
    return {
        "start": menu(options=starts, value=state.start, description="start from"),
        "seed": slider(state.seed, 0, SEEDS - 1, description="seed"),
        "space": menu(options=spaces, value=state.space, description="space"),
        "smoothness": ipywidgets.FloatLogSlider(
            state.smoothness, min=-4, max=1, step=0.1, description="stay close λ",
            readout_format=".4f"),
        "candidates": menu(options=COUNTS, value=state.candidates, description="candidates"),
        "morph": slider(state.morph, 0, 100, description="morph in %"),
    }
