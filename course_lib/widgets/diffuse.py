"""Edits by a diffusion model under your hands: paint, choose how much noise, and watch it clear."""

from dataclasses import dataclass

import ipywidgets
import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.generators.base import Generator
from course_lib.guidance.strokes import grow_mask
from course_lib.images import crop_square
from course_lib.plotting import tile
from course_lib.sdedit import Denoised, sdedit
from course_lib.shapes import Image
from course_lib.widgets.canvas import Canvas, Marks, Stroke, paint
from course_lib.widgets.tool import Answer, Reader, Tool, painted_beside
from course_lib.widgets.wishes import wishes

ANY = "any"
STOPS, COLUMNS = 10, 5  # of the guesses on the page
SEEDS = 100
PAINTED, PULLING = "paint them on", "pull towards them"


@dataclass(frozen=True)
class DiffuseState:
    """The picture, what was painted on it, and how it is led back.

    Attributes:
        picture: (3, r, r).
        strokes: as on the canvas; they become part of the picture, or pull at it.
        use: "paint them on" or "pull towards them".
        noise: how far the picture is drowned, in %.
        kind, color: what the model is told; "any" for nothing.
        guidance: how far it leans that way.
        steps: of the whole way; seed: of the noise.
        local: whether what is far from the strokes stays as it was.
    """

    picture: Image
    strokes: tuple[Stroke, ...] = ()
    use: str = PAINTED
    noise: int = 50
    kind: str = ANY
    color: str = ANY
    guidance: float = 2.0
    steps: int = 20
    seed: int = 0
    local: bool = False


class DiffuseTool(Tool):
    """A picture to paint on, the answer, and what the model guessed on the way.

    Args:
        generator: a diffusion model.
        picture: (3, height, width), brought to the model's size; a sample of it if None.
        alt: what a reader who can't see the pictures should know.
        height: of a picture on the screen, in pixels.
        state: fields of `DiffuseState` to begin with.
    Raises:
        ValueError: the generator is no diffusion model.
    """

    def __init__(
        self, generator: Generator, picture: Image | None = None, *, alt: str, height: int = 300,
        **state: object,
    ) -> None:
        generator.require_capability("predict")
        self.generator = generator
        if picture is None:
            picture = _sample(generator)
        first = DiffuseState(self._fitted(picture), **state)
        self._solved: tuple[DiffuseState, Denoised] | None = None
        side, screen = generator.resolution, {"max_size": (height, height)}
        self.pad = Canvas(first.picture, mode="brush", title="Paint here", alt=f"{alt} (the start)",
                          actions=["photo"], brush_size=(max(2, side // 8), side // 2), **screen)
        self.film = Canvas(torch.ones(3, 2 * side, COLUMNS * side),
                           title="What it guessed on the way", alt=f"{alt} (its guesses, in order)",
                           **screen)
        canvas = Canvas(first.picture, title="The answer", alt=alt,
                        actions=["before", "reset", "save"], **screen)
        self.pad.on_draw(self._drawn)
        self.pad.on_action("photo", lambda read: self._load(self.pad, "picture", self._square(read),
                                                            strokes=()))
        super().__init__(first, canvas, self._controls(first), [self.pad])
        pictures = self.widget.children[1]
        self.film.layout.width = f"{self.film.max_width}px"
        pictures.children = [self.pad, ipywidgets.VBox([canvas, self.film])]

    def solve(self, state: DiffuseState) -> Answer:
        """By `sdedit`."""
        found = self._found(state)
        terms = {name: float(value[-1, 0]) for name, value in found.energies.items()}
        said = f"noise of t = {float(found.times[0]):.2f}, {len(found.times)} steps back"
        return Answer(found.image[0].clamp(0, 1), terms, said)

    def redraw(self) -> None:
        """The answer, and the guesses that led to it."""
        super().redraw()
        guesses = self._found(self.state).guesses
        chosen = torch.linspace(0, len(guesses) - 1, STOPS).round().long()
        self.film.show(tile(guesses[chosen].clamp(0, 1), COLUMNS))

    def stops(self) -> list[dict]:
        """A dab that is painted on, that pulls, and that changes what is near it alone."""
        middle = self.generator.resolution / 2
        dab = Stroke(((middle - 4, middle), (middle + 4, middle)), "#0072B2", middle / 4)
        return [{"strokes": (dab,), "use": use, "local": local}
                for use, local in ((PAINTED, False), (PULLING, False), (PAINTED, True))]

    def _found(self, state: DiffuseState) -> Denoised:
        """What came of a state; of the last one it is known."""
        if self._solved is not None and self._solved[0] is state:
            return self._solved[1]
        side = self.generator.resolution
        shades, ink = paint(state.strokes, (side, side))
        picture, constraints = state.picture, []
        if state.use == PAINTED:
            picture = torch.where(ink, shades, picture)
        else:
            constraints = wishes(state.strokes, (), side)
        near = grow_mask(ink, side // 8) if state.local and ink.any() else None
        found = sdedit(
            self._told(state), picture[None].to(self.generator.device), constraints,
            noise=state.noise / 100, mask=near,
            rng=torch.Generator().manual_seed(state.seed), callback=self._watch)
        self._solved = state, found
        return found

    def _told(self, state: DiffuseState) -> Generator:
        """The generator, told what the state says."""
        chosen = self.generator.with_steps(state.steps)
        kind, color = (None if word == ANY else word for word in (state.kind, state.color))
        if kind or color:
            chosen = chosen.with_label(kind, color=color).with_guidance(state.guidance)
        return chosen

    def _watch(self, step: int, guess: Tensor) -> None:
        """Show the guess of the clean picture while it changes."""
        self.canvas.show(guess[0].clamp(0, 1), note=f"step {step + 1}")

    def _drawn(self, marks: Marks) -> None:
        if marks.strokes != self.state.strokes:
            self.set(strokes=marks.strokes)

    def _fitted(self, picture: Image) -> Float[Tensor, "3 r r"]:
        """Its middle square, at the model's size."""
        return crop_square(picture.cpu(), resolution=self.generator.resolution).clamp(0, 1)

    def _square(self, read: Reader) -> Reader:
        return lambda size: self._fitted(read(size))

    def stored(self) -> Image:
        """What was painted, and the answer beside it."""
        return painted_beside(self.state.strokes, self.state.picture, super().stored().cpu())

    def _sync(self) -> None:
        super()._sync()
        self.pad.marks = Marks(strokes=self.state.strokes)

    def _restart(self) -> None:
        self.pad.restart(self.state.picture)
        self.canvas.restart(self.state.picture)

    def _controls(self, state: DiffuseState) -> dict[str, ipywidgets.Widget]:
        menu, slider = ipywidgets.Dropdown, ipywidgets.IntSlider
        late = {"continuous_update": False}
        controls = {
            "use": menu(options=[PAINTED, PULLING], value=state.use, description="strokes"),
            "noise": slider(state.noise, 5, 100, description="noise in %", **late),
            "steps": slider(state.steps, 5, 50, description="steps", **late),
            "seed": slider(state.seed, 0, SEEDS - 1, description="seed", **late),
            "local": ipywidgets.Checkbox(
                state.local, description="only near the strokes", indent=False),
        }
        config = self.generator.config
        if config.kinds or config.colors:
            controls |= {
                "kind": menu(options=[ANY, *config.kinds], value=state.kind, description="kind"),
                "color": menu(options=[ANY, *config.colors], value=state.color,
                              description="colour"),
                "guidance": ipywidgets.FloatSlider(
                    value=state.guidance, min=0, max=6, step=0.5, description="guidance", **late),
            }
        return controls


@torch.no_grad()
def _sample(generator: Generator) -> Float[Tensor, "3 r r"]:
    """A picture to begin with, of the first kind where there are any."""
    told = generator.with_label(0) if generator.config.kinds else generator
    code = told.sample_latent(1, rng=torch.Generator().manual_seed(20))
    return told.decode(code)[0].clamp(0, 1).cpu()
