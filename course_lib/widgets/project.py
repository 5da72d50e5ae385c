"""A photo projected onto the manifold while you watch: `ProjectTool`."""

import time
from dataclasses import dataclass

import ipywidgets
import torch
from torch import Tensor

from course_lib.encoders import has_inverse
from course_lib.generators.base import Generator
from course_lib.images import crop_square
from course_lib.losses import pixel_loss
from course_lib.plotting import enlarge
from course_lib.projection import Projection, default_loss, project
from course_lib.shapes import Image
from course_lib.widgets.background import Background
from course_lib.widgets.canvas import Canvas, Marks
from course_lib.widgets.tool import Answer, Tool, sentence

LOSSES = ("features and pixels", "pixels")
PAUSE = 0.1  # seconds between two pictures, so that drawing them does not slow the steps


@dataclass(frozen=True)
class ProjectState:
    """A photo, the square that is projected, and how.

    Attributes:
        image: the photo, of any size.
        offset: of the square from the photo's middle, (x, y) in pixels.
        side: of the square, in % of the photo's shorter side.
        space, init, steps, prior: as in `projection.project`.
        loss: one of `LOSSES`.
    """

    image: Image
    offset: tuple[int, int] = (0, 0)
    side: int = 100
    space: str = "w_plus"
    init: str = "mean"
    loss: str = LOSSES[0]
    steps: int = 200
    prior: float = 0.0


class ProjectTool(Tool):
    """The photo with a square to move, and beside it the square and its projection.

    Changing anything shows the start; "Project" descends from there, "Stop" ends it at any time.

    Args:
        generator: onto whose manifold to project.
        image: a photo (3, height, width).
        alt: what a reader who can't see the pictures should know.
        height: of a picture on the screen, in pixels.
        options: fields of `ProjectState` to begin with.
    """

    def __init__(
        self, generator: Generator, image: Image, *, alt: str, height: int = 192,
        **options: object,
    ) -> None:
        self.generator, self.projection, self._height = generator, None, height
        self.background = Background(lambda failure: None)  # `_descend` shows it itself
        start = {"space": generator.spaces[-1], "init": self._starts()[-1]}
        state = ProjectState(image, **start | options)
        self.photo = Canvas(image, mode="move", title="The photo: move the square",
                            alt=f"{alt} (the photo)", actions=["photo"], max_size=(320, 260))
        canvas = Canvas(image, title="The square, and its projection", alt=alt,
                        actions=["reset", "save"], max_size=(2 * height + 16, height))
        self.photo.on_draw(self._moved_square)
        self.photo.on_action(
            "photo", lambda read: self._load(self.photo, "image", read, offset=(0, 0), side=100))
        super().__init__(state, canvas, self._controls(state), [self.photo])
        self.go = ipywidgets.Button(description="Project", icon="play", button_style="primary")
        self.halt = ipywidgets.Button(description="Stop", icon="stop", disabled=True)
        self.bar = ipywidgets.IntProgress(0, 0, state.steps, layout={"width": "20em"})
        self.go.on_click(lambda _: self.start())
        self.halt.on_click(lambda _: self.stop())
        buttons = ipywidgets.HBox([self.go, self.halt, self.bar])
        self.widget.children = [*self.widget.children[:1], buttons, *self.widget.children[1:]]

    @property
    def target(self) -> Image:
        """The square, as the generator would draw it: (3, r, r)."""
        return self._square(self.state)

    def start(self) -> None:
        """Project, in the background, from the start that is shown."""
        self.stop()
        self.go.disabled, self.halt.disabled = True, False
        state = self.state
        self.background.start(lambda: self._descend(state))

    def stop(self) -> None:
        """End with what was found until now."""
        self.background.stop()

    def wait(self) -> Projection | None:
        """Until the projection is done; the projection."""
        self.background.wait()
        return self.projection

    def set(self, **changes: object) -> None:
        """Change the state, which ends what runs, and show the start."""
        self.stop()
        self.projection = None
        super().set(**changes)

    def reset(self) -> None:
        """Return to the first state."""
        self.stop()
        self.projection = None
        super().reset()

    def solve(self, state: ProjectState) -> Answer:
        """What was found, or, before that, the start: by `projection.project`."""
        found = self.projection or self._project(state, steps=0)
        said = f"G({state.space}) after {len(found.losses)} steps from {self._start(state)}"
        terms = {name: float(term[-1]) for name, term in found.energies.items() if len(term)}
        close = float(pixel_loss(found.image, self._square(state)[None]))
        return Answer(self._pair(found.image), terms,
                      f"{said} · squared error {1000 * close:.1f} ‰", found.seconds or None)

    def stops(self) -> list[dict]:
        """The square in every corner of the photo."""
        reach = [length // 2 for length in self.state.image.shape[-2:]]
        return [{"offset": (x * reach[1], y * reach[0])} for x in (-1, 1) for y in (-1, 1)]

    def save(self, path: object) -> None:
        """Write the projection into a file."""
        from course_lib.images import save_image

        found = self.projection or self._project(self.state, steps=0)
        save_image(found.image[0], path)

    def _project(self, state: ProjectState, *, steps: int, callback: object = None) -> Projection:
        loss = pixel_loss if state.loss == "pixels" else default_loss(self.generator)
        return project(
            self.generator, self._square(state), space=state.space, init=self._start(state),
            loss=loss, steps=steps, prior=state.prior, callback=callback,
        )

    def _start(self, state: ProjectState) -> str:
        """The start that was asked for; the mean where no inverse leads."""
        stuck = state.init == "encoder" and not has_inverse(self.generator, state.space)
        return "mean" if stuck else state.init

    def _descend(self, state: ProjectState) -> None:
        shown, begin = 0.0, time.perf_counter()

        def watch(step: int, image: Image) -> None:
            nonlocal shown
            if self.background.should_end:
                raise StopIteration
            now = time.perf_counter()
            if now - shown > PAUSE:
                shown, self.bar.max, self.bar.value = now, state.steps, step + 1
                pace = 1000 * (now - begin) / (step + 1)
                self.canvas.show(self._pair(image), note=f"step {step + 1} of {state.steps} · "
                                                         f"{pace:.0f} ms each")

        try:
            self.projection = self._project(state, steps=state.steps, callback=watch)
            self.redraw()
        except Exception as failure:  # in a thread of its own nobody else would show it
            self.canvas.error = sentence(failure)
        finally:
            self.bar.value = 0
            self.go.disabled, self.halt.disabled = False, True

    def _pair(self, image: Tensor) -> Tensor:
        both = torch.cat([self._square(self.state)[None], image.detach().clamp(0, 1)])
        first, second = enlarge(both, self._height)
        gap = torch.ones(3, first.shape[-2], 16)
        return torch.cat([first, gap, second], dim=-1).cpu()

    def _square(self, state: ProjectState) -> Image:
        height, width = state.image.shape[-2:]
        x = min(max((width - 1) / 2 + state.offset[0], 0), width - 1)
        y = min(max((height - 1) / 2 + state.offset[1], 0), height - 1)
        side = max(8, round(min(height, width) * state.side / 100))
        return crop_square(state.image, centre=(x, y), size=side,
                           resolution=self.generator.resolution).clamp(0, 1)

    def _corners(self, state: ProjectState) -> list[list[float]]:
        height, width = state.image.shape[-2:]
        half = max(8, round(min(height, width) * state.side / 100)) / 2
        x, y = (width - 1) / 2, (height - 1) / 2
        return [[x - half, y - half], [x + half, y - half], [x + half, y + half],
                [x - half, y + half]]

    def _starts(self) -> list[str]:
        """What a projection can begin from; last the best one there is."""
        return ["random", "mean", *(["encoder"] if has_inverse(self.generator) else [])]

    def _controls(self, state: ProjectState) -> dict[str, ipywidgets.Widget]:
        menu, slider = ipywidgets.Dropdown, ipywidgets.IntSlider
        return {
            "side": slider(state.side, 20, 150, 5, description="square in %"),
            "space": menu(options=self.generator.spaces, value=state.space, description="space"),
            "init": menu(options=self._starts(), value=state.init, description="start"),
            "loss": menu(options=LOSSES, value=state.loss, description="loss"),
            "steps": slider(state.steps, 20, 500, 20, description="steps"),
            "prior": ipywidgets.FloatSlider(value=state.prior, min=0, max=1, step=0.01,
                                            description="prior λ"),
        }

    def _moved_square(self, marks: Marks) -> None:
        if marks.offset != self.state.offset:
            self.set(offset=marks.offset)

    def _sync(self) -> None:
        super()._sync()
        self.photo.outline = self._corners(self.state)
        self.photo.marks = Marks(offset=self.state.offset)

    def _restart(self) -> None:
        self.photo.restart(self.state.image)

    def _send(self) -> None:
        found = self.projection or self._project(self.state, steps=0)
        self.canvas.send_file(found.image[0].clamp(0, 1), "projection.png")
