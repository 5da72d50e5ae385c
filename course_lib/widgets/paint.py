"""Brush edits under your hands: paint what you wish, and the manifold follows: `PaintTool`."""

import base64
from dataclasses import dataclass, replace

import ipywidgets
import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.encoders import has_inverse
from course_lib.generators.base import Generator
from course_lib.guidance import Editing
from course_lib.images import crop_square
from course_lib.plotting import tile
from course_lib.projection import project
from course_lib.sessions import EditSession
from course_lib.shapes import Image, Latent
from course_lib.widgets.background import Background
from course_lib.widgets.canvas import BRUSHES, Canvas, Marks, Pair, Stroke, encode, paint
from course_lib.widgets.tool import Answer, Reader, Tool
from course_lib.widgets.wishes import wishes

SAMPLE, NOTHING, PHOTO = "a sample", "nothing", "my photo"
COUNTS = (1, 2, 4, 8, 16)
COLUMNS = 4  # of candidates on the page
SEEDS = 100


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
    smoothness: float = 0.05
    candidates: int = 4
    picked: int | None = None
    morph: int = 100


class PaintTool(Tool):
    """z0 to paint on, the answer beside it, and further candidates to pick from.

    It follows while the optimisation runs in the background; a new stroke interrupts it and goes
    on from there. `wait` returns when it is done.

    Args:
        generator: whose pictures to edit.
        alt: what a reader who can't see the pictures should know.
        photo: to begin with, (3, height, width); its middle is projected first.
        height: of a picture on the screen, in pixels.
        steps: of each edit; projection_steps: of a photo's projection.
        options: fields of `PaintState` to begin with.
    """

    def __init__(
        self, generator: Generator, *, alt: str, photo: Image | None = None, height: int = 320,
        steps: int = 80, projection_steps: int = 150, **options: object,
    ) -> None:
        self.generator, self.projection_steps = generator, projection_steps
        self.background = Background(self._show_failure)
        self._projected: tuple[Image | None, dict[str, Latent]] = (None, {})
        self._begun: PaintState | None = None  # the state at whose start the edit began
        self._asked = None
        options = {"space": generator.default_space} | options
        if photo is not None:
            options |= {"photo": self._cropped(photo), "start": PHOTO}
        state, side = PaintState(**options), generator.resolution
        self.session = EditSession(generator, space=state.space, steps=steps)
        blank = torch.ones(3, side, side)
        self.pad = Canvas(
            blank, mode="brushes", title="z0: paint here what you wish", alt=f"{alt} (z0)",
            actions=["photo"], brushes=BRUSHES, brush_size=(max(2, side // 10), side // 2),
            max_size=(height, height))
        canvas = Canvas(blank, title="The answer", alt=alt, actions=["before", "reset", "save"],
                        max_size=(height, height))
        self.thumbs = Canvas(blank, mode="pick", title="Candidates", alt=f"{alt} (candidates)",
                             max_size=(height, height))
        self.thumbs.columns = COLUMNS
        self.bar = ipywidgets.IntProgress(0, 0, 1, layout={"width": "12em"})
        self.pad.on_draw(self._painted)
        self.pad.on_action("photo", self._load_photo)
        self.thumbs.on_pick(self._picked)
        super().__init__(state, canvas, self._controls(state), [self.pad])
        self.thumbs.layout.width = f"{self.thumbs.max_width}px"
        rows, pictures = self.widget.children
        pictures.children = [self.pad, ipywidgets.VBox([canvas, self.thumbs])]
        self.widget.children = [rows, ipywidgets.HBox([*self._buttons(), self.bar]), pictures]

    # ---- what a hand may do, from Python

    def fix(self) -> None:
        """Make the picture that is shown the new z0; the strokes go."""
        self.stop()
        code = self._code()
        self.set(fixed=code, fixed_space=self.state.space, strokes=(), pairs=(),
                 picked=None, morph=100)

    def new_start(self) -> None:
        """Begin anew with the next sample, or other random starts."""
        self.set(seed=(self.state.seed + 1) % SEEDS, fixed=None, strokes=(), pairs=(),
                 picked=None, morph=100)

    def play(self) -> None:
        """Show the morph from z0 to the answer, once."""
        self.background.start(self._play)

    def stop(self) -> None:
        """End the optimisation where it is."""
        self.background.stop()

    def wait(self) -> None:
        """Until the optimisation, or the morph, has come to its end."""
        self.background.wait()

    @property
    def editing(self) -> Editing:
        """The optimisation under way."""
        return self.session.editing

    # ---- the edit

    def redraw(self) -> None:
        """Take up what has changed, show the first answer, and follow it in the background."""
        self.stop()
        self._sync()
        try:
            self._prepare(self.state)
            self._show()
        except Exception as failure:
            self._begun = None
            self.canvas.error = str(failure)
            raise
        if self.session.is_under_way:
            self.background.start(self._follow)

    def solve(self, state: PaintState) -> Answer:
        """The picture at this place of the morph, as far as the edit under way has come."""
        session, start = self.session, self._start()
        terms = session.terms(start)
        said = (f"step {session.editing.age} of {session.steps}" if terms
                else "nothing painted yet")
        return Answer(session.picture(start, share=state.morph / 100), terms, said)

    def stops(self) -> list[dict]:
        """A stroke of each brush, all together, and one erased."""
        side = self.generator.resolution
        way = tuple((side * t / 8, side / 2) for t in (2, 4, 6))
        line = [Stroke(way, "#0072B2", side / 8, kind=kind) for kind in BRUSHES[:3]]
        pairs = [Pair(way[0], way[1], kind=kind, width=side / 8) for kind in BRUSHES[3:]]
        eraser = replace(line[0], erases=True)
        return [
            {"strokes": tuple(line[:1])}, {"strokes": tuple(line[1:2])},
            {"pairs": tuple(pairs[:1])}, {"pairs": tuple(pairs[1:]), "strokes": tuple(line[2:])},
            {"strokes": tuple(line), "pairs": tuple(pairs), "picked": 1},
            {"strokes": (line[0], eraser)},
        ]

    def _prepare(self, state: PaintState) -> None:
        """Begin at another z0, or ask for other strokes; then one step, for a first answer."""
        wanted = wishes(state.strokes, state.pairs, self.generator.resolution)
        asked = (state.strokes, state.pairs, state.smoothness)
        if not wanted or not _same_start(self._begun, state):
            self._begin(state)
            self._begun, self._asked = state, None
            self.pad.restart(self.session.before)
            self.canvas.restart(self.session.before)
        if wanted and asked != self._asked:
            self._asked = asked
            free = state.start == NOTHING and state.fixed is None
            self.session.ask(wanted, smoothness=0 if free else state.smoothness)

    def _begin(self, state: PaintState) -> None:
        """Candidates around z0, or random ones."""
        self.session.space = state.space
        rng = torch.Generator().manual_seed(state.seed)
        if state.start == NOTHING and state.fixed is None:
            self.session.begin_anywhere(state.candidates, rng)
        else:
            z0 = self._origin(state, rng)
            self.session.begin(z0, candidates=state.candidates, rng=rng)

    def _origin(self, state: PaintState, rng: torch.Generator) -> Latent:
        if state.fixed is not None:
            return self.generator.convert(state.fixed, state.fixed_space, state.space)
        if state.start == PHOTO:
            return self._project(state.photo, state.space)
        z = self.generator.sample_latent(1, rng=rng)
        return self.generator.convert(z, "z", state.space)

    def _project(self, photo: Image | None, space: str) -> Latent:
        """The photo's code, found once a space, under the progress bar."""
        if photo is None:
            raise ValueError('there is no photo yet: press "My own photo" below z0.')
        if photo is not self._projected[0]:
            self._projected = photo, {}
        codes = self._projected[1]
        if space not in codes:
            self.bar.max = self.projection_steps

            def watch(step: int, image: Tensor) -> None:
                self.bar.value = step + 1
                if step % 10 == 0:
                    self.pad.show(image[0], note=f"projecting: step {step + 1} of {self.bar.max}")

            init = "encoder" if has_inverse(self.generator, space) else "mean"
            codes[space] = project(
                self.generator, photo.to(self.generator.device), space=space, init=init,
                steps=self.projection_steps, callback=watch).latent
            self.bar.value, self.pad.note = 0, ""
        return codes[space]

    def _code(self) -> Latent:
        """The code of the picture that is shown, (1, ...)."""
        return self.session.code(self._start(), share=self.state.morph / 100)

    def _start(self) -> int:
        picked = self.state.picked
        return self.editing.shown[0] if picked is None else picked % len(self.editing.image)

    # ---- in the background

    def _follow(self) -> None:
        """Step by step to the end, with a picture now and then."""
        self.session.follow(lambda: self.background.should_end, self._show)

    def _show_failure(self, failure: Exception) -> None:
        self.canvas.error = f"{type(failure).__name__}: {failure}"

    def _play(self) -> None:
        for index, image in enumerate(self.editing.morph(self._start(), 16)):
            if self.background.pause(0.06):
                break
            self.canvas.show(image, note=f"the morph, {100 * index // 15} %")
        if not self.background.should_end:
            self._show()

    def _show(self) -> None:
        """The answer, its energy, and the candidates."""
        answer, shown = self.solve(self.state), self.editing.shown
        terms = " + ".join(f"{name} {value:.3f}" for name, value in answer.terms.items())
        words = filter(None, [f"Energy: {terms}" if terms else "", answer.said,
                              f"{1000 * self.session.seconds:.0f} ms each" if terms else ""])
        self.canvas.show(answer.image, note=" · ".join(words))
        with self.thumbs.hold_sync():
            self.thumbs.choices = len(shown)
            self.thumbs.show(tile(self.editing.image[shown], COLUMNS))
            self.thumbs.picked = shown.index(self._start()) if self._start() in shown else -1

    # ---- the page

    def _controls(self, state: PaintState) -> dict[str, ipywidgets.Widget]:
        menu, slider = ipywidgets.Dropdown, ipywidgets.IntSlider
        starts = [SAMPLE, NOTHING] + [PHOTO] * (state.photo is not None)
        return {
            "start": menu(options=starts, value=state.start, description="start from"),
            "seed": slider(state.seed, 0, SEEDS - 1, description="seed"),
            "space": menu(options=self.generator.spaces, value=state.space, description="space"),
            "smoothness": ipywidgets.FloatLogSlider(
                state.smoothness, min=-4, max=1, step=0.1, description="stay close λ",
                readout_format=".4f"),
            "candidates": menu(options=COUNTS, value=state.candidates, description="candidates"),
            "morph": slider(state.morph, 0, 100, description="morph in %"),
        }

    def _buttons(self) -> list[ipywidgets.Button]:
        made = []
        for name, icon, act in (("Play", "play", self.play), ("Fix as z0", "thumb-tack", self.fix),
                                ("New start", "refresh", self.new_start), ("Stop", "stop",
                                                                          self.stop)):
            button = ipywidgets.Button(description=name, icon=icon)
            button.on_click(lambda _, act=act: act())
            made.append(button)
        return made

    def _moved(self, name: str, value: object) -> None:
        """A control was moved; another start takes the place of what was fixed or picked."""
        if not self._held:
            again = {"picked": None} if name in ("start", "seed", "space", "candidates") else {}
            again |= {"fixed": None} if name in ("start", "seed") else {}
            self.set(**again | {name: value})

    def _picked(self, rank: int) -> None:
        shown = self.editing.shown
        if 0 <= rank < len(shown) and shown[rank] != self._start():
            self.set(picked=shown[rank])

    def _painted(self, marks: Marks) -> None:
        if (marks.strokes, marks.pairs) != (self.state.strokes, self.state.pairs):
            again = {} if marks.strokes or marks.pairs else {"picked": None}
            self.set(strokes=marks.strokes, pairs=marks.pairs, **again)

    def _cropped(self, photo: Image) -> Float[Tensor, "_ _ _"]:
        return crop_square(photo, resolution=self.generator.resolution).clamp(0, 1)

    def _load_photo(self, read: Reader) -> None:
        try:
            photo = self._cropped(read(4 * self.generator.resolution))
        except (OSError, ValueError) as failure:
            self.pad.note, self.pad.error = "", str(failure)
            return
        self.pad.note, self.pad.error = "", ""
        self.set(photo=photo, start=PHOTO, fixed=None, strokes=(), pairs=(), picked=None,
                 morph=100)

    def _sync(self) -> None:
        if self.state.photo is not None or self.state.start == PHOTO:
            with self._holding():
                self.controls["start"].options = [SAMPLE, NOTHING, PHOTO]
        super()._sync()
        self.pad.marks = Marks(self.state.strokes, pairs=self.state.pairs)

    def _restart(self) -> None:
        """All begins anew in `redraw`."""
        self._begun = None

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        bundle, metadata = super()._repr_mimebundle_(**kwargs)
        shades, ink = paint(self.state.strokes, self.session.before.shape[-2:])
        painted = torch.where(ink, shades, self.session.before.cpu())
        answer = self.solve(self.state).image.cpu()
        picture = encode(tile(torch.stack([painted, answer]), 2, size=192), quality=82)
        return bundle | {"image/jpeg": base64.b64encode(picture).decode()}, metadata


def _same_start(begun: PaintState | None, state: PaintState) -> bool:
    """Whether an edit that began at one state's z0 may go on at the other's."""
    return begun is not None and begun.photo is state.photo and begun.fixed is state.fixed and all(
        getattr(begun, name) == getattr(state, name)
        for name in ("start", "seed", "space", "candidates"))
