"""Brush edits under your hands: paint what you wish, and the manifold follows: `PaintTool`."""

from dataclasses import replace

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
from course_lib.widgets.canvas import BRUSHES, Marks, Pair, Stroke
from course_lib.widgets.paint_page import (
    COLUMNS,
    NOTHING,
    PHOTO,
    SAMPLE,
    SEEDS,
    PaintPage,
    PaintState,
    told_shown,
)
from course_lib.widgets.tool import Answer, Reader, Tool, painted_beside
from course_lib.widgets.wishes import told_drags, wishes


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
        state = PaintState(**options)
        self.session = EditSession(generator, space=state.space, steps=steps)
        self.page = PaintPage(generator, state, alt, height)
        self.pad, self.thumbs, self.bar = self.page.pad, self.page.thumbs, self.page.bar
        self.pad.on_draw(self._painted)
        self.pad.on_action("photo", self._load_photo)
        self.thumbs.on_pick(self._picked)
        super().__init__(state, self.page.answer, self.page.controls, [self.pad])
        self.page.arrange(self.widget, {
            "Play": self.play, "Fix as z0": self.fix, "New start": self.new_start,
            "Stop": self.stop})

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
        if not wanted or not state.begins_like(self._begun):
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
        words = filter(None, [f"Energy: {terms}" if terms else "",
                              told_drags(self.editing, self._start()) if terms else "", answer.said,
                              f"{1000 * self.session.seconds:.0f} ms each" if terms else ""])
        self.canvas.show(answer.image, note=" · ".join(words))
        with self.thumbs.hold_sync():
            self.thumbs.choices = len(shown)
            self.thumbs.show(tile(self.editing.image[shown], COLUMNS),
                             note=told_shown(len(shown), self.state.candidates))
            self.thumbs.picked = shown.index(self._start()) if self._start() in shown else -1

    # ---- the page

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

    def stored(self) -> Image:
        """The strokes, and the answer beside them."""
        return painted_beside(self.state.strokes, self.session.before.cpu(), super().stored().cpu())
