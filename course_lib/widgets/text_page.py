"""What stands on `TextTool`'s page, and how it is laid out; what it does is in `text`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import ipywidgets
import torch

from course_lib.generators.base import Generator
from course_lib.shapes import Image, Latent
from course_lib.widgets.canvas import Canvas

SAMPLE, CODE, PHOTO = "a sample", "the answer before", "my photo"
COLUMNS = 5  # of earlier answers on the page
SEEDS = 100
ICONS = {"Go on from here": "thumb-tack", "New start": "refresh", "Stop": "stop"}


@dataclass(frozen=True)
class TextState:
    """Where the edit begins, what is said, and what it may cost.

    Attributes:
        start: "a sample", "the answer before" or "my photo".
        seed: of the sample.
        photo: (3, H, W); fixed: a code (1, ...) that has become the start.
        prompt: what should be seen; nothing is changed while it is empty.
        l2, identity: λ_L2 and λ_ID.
        surroundings: whether of a photo what lies around the middle follows too.
    """

    start: str = SAMPLE
    seed: int = 0
    photo: Image | None = None
    fixed: Latent | None = None
    prompt: str = ""
    l2: float = 1.0
    identity: float = 0.5
    surroundings: bool = False

    def begins_like(self, other: "TextState | None") -> bool:
        """Whether it begins where the other does."""
        return (other is not None and other.photo is self.photo and other.fixed is self.fixed
                and other.start == self.start and other.seed == self.seed)


class TextPage:
    """The parts of the page.

    Args:
        generator: whose pictures are edited.
        state: what is shown first.
        alt: what a reader who can't see the pictures should know.
        height: of a picture on the screen, in pixels.

    Attributes:
        start: where the edit begins; answer: the edit; earlier: answers to earlier sentences.
        bar: how far a projection has come.
        controls: menus, sliders and the prompt, each named like the field of `TextState`.
    """

    def __init__(self, generator: Generator, state: TextState, alt: str, height: int) -> None:
        blank = torch.ones(3, generator.resolution, generator.resolution)
        screen = {"max_size": (height, height)}
        self.start = Canvas(blank, title="The start", alt=f"{alt} (the start)",
                            actions=["photo"], **screen)
        self.answer = Canvas(blank, title="The answer", alt=alt,
                             actions=["before", "reset", "save"], **screen)
        self.earlier = Canvas(blank, mode="pick", title="What you said before",
                              alt=f"{alt} (earlier answers)", **screen)
        self.earlier.columns = COLUMNS
        self.bar = ipywidgets.IntProgress(0, 0, 1, layout={"width": "12em"})
        self.controls = _controls(state)

    def arrange(self, widget: ipywidgets.VBox, acts: Mapping[str, Callable]) -> None:
        """The controls above, then a button for each of `acts`, then the pictures."""
        buttons = [ipywidgets.Button(description=name, icon=ICONS[name]) for name in acts]
        for button, act in zip(buttons, acts.values(), strict=True):
            button.on_click(lambda _, act=act: act())
        self.earlier.layout.width = f"{self.earlier.max_width}px"
        rows, pictures = widget.children
        pictures.children = [self.start, ipywidgets.VBox([self.answer, self.earlier])]
        widget.children = [rows, ipywidgets.HBox([*buttons, self.bar]), pictures]


def _controls(state: TextState) -> dict[str, ipywidgets.Widget]:
    starts = [SAMPLE, *[CODE] * (state.fixed is not None), *[PHOTO] * (state.photo is not None)]
    return {
        "prompt": ipywidgets.Combobox(
            value=state.prompt, placeholder="a ginger cat", continuous_update=False,
            description="prompt"),
        "start": ipywidgets.Dropdown(options=starts, value=state.start, description="start from"),
        "seed": ipywidgets.IntSlider(state.seed, 0, SEEDS - 1, description="seed",
                                     continuous_update=False),
        "l2": ipywidgets.FloatLogSlider(
            state.l2, min=-4, max=2, step=0.25, description="stay close λ",
            readout_format=".4f", continuous_update=False),
        "identity": ipywidgets.FloatSlider(
            state.identity, min=0, max=2, step=0.05, description="identity λ",
            continuous_update=False),
        "surroundings": ipywidgets.Checkbox(
            state.surroundings, description="change what is around, too", indent=False),
    }
