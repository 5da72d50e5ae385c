"""Your photo, placed, projected, painted, and changed at its own size: `PhotoTool`."""

import torch
from torch import Tensor

from course_lib.checks import require_option
from course_lib.framing import Frame
from course_lib.generators import load_generator
from course_lib.generators.base import Generator
from course_lib.images import load_image, save_image
from course_lib.pixels import CATS
from course_lib.sessions import PhotoSession
from course_lib.shapes import Image
from course_lib.widgets.background import Background
from course_lib.widgets.canvas import Canvas, Marks, Pair, Stroke
from course_lib.widgets.photo_page import (
    AIM,
    ANY,
    FUR,
    LARGEST,
    OWN,
    PAD,
    PhotoPage,
    PhotoState,
    find_rewording,
    first_photo,
    photo_controls,
    require_words,
    told,
)
from course_lib.widgets.tool import Answer, Reader, Tool, sentence
from course_lib.widgets.wishes import wishes


class PhotoTool(Tool):
    """Edit a photo on the manifold: project, paint, drag, say a word, and the photo itself changes.

    `PhotoTool()` opens a cat of the course. A photo of one's own is placed by two clicks on the
    eyes. `wait` returns when all is done.

    Args:
        generator: a generator, or the name of one.
        photo: (3, H, W) in [0, 1], or the name of a sample; one that ships if None.
        words: a diffusion model, or the name of one, that draws the photo by other words; of
            generators of cats that of cats if None.
        alt: what a reader who can't see the pictures should know.
        size: of the pictures on the screen, in pixels, at most.
        steps: of each edit; projection_steps: of the projection.
    """

    def __init__(
        self, generator: Generator | str = "cats-128", photo: Image | str | None = None, *,
        words: Generator | str | None = None, alt: str = "A photograph, edited", size: int = 620,
        steps: int = 60, projection_steps: int = 100,
    ) -> None:
        if isinstance(generator, str):
            generator = load_generator(generator)
        self.generator, self.aim = generator, AIM.get(generator.name)
        name, image = first_photo(generator, photo)
        self.session = PhotoSession(
            generator, image, steps=steps, projection_steps=projection_steps,
            rewording=find_rewording(words, generator))
        self.background, self._projecting = Background(self._show_failure), False
        self._opened_state: PhotoState | None = None
        self._picture, self._failure = image, None
        self.page = PhotoPage(image, alt, size, list(self.session.directions),
                              drags=generator.offers("features"))
        self.placer, self.pad, self.answer = self.page.placer, self.page.pad, self.page.answer
        self.sliders = self.page.sliders
        state = PhotoState(name, image, strengths=self._still)
        controls = photo_controls(name, CATS if self.aim else [name], self.session.rewording)
        super().__init__(state, self.answer, controls, [self.placer, self.pad])
        self.page.arrange(self.widget)
        self._listen()

    # ---- what a hand may do, from Python

    def place(self) -> None:
        """Let the eyes be clicked anew."""
        self.set(placed=False, strokes=(), pairs=(), strengths=self._still, kind=ANY, color=ANY)

    def begin(self) -> None:
        """The photo is placed: project it."""
        self.set(placed=True)

    def move(self, name: str, percent: float) -> None:
        """Go along a named direction, in % of its reach; what is painted is met from there."""
        require_option(name, tuple(self.session.directions), "name")
        self._slid(list(self.session.directions).index(name), percent)

    def say(self, kind: str = ANY, color: str = ANY, loudness: float = 2.0) -> None:
        """Let the photo be drawn by other words, said so loud; without words as it is."""
        require_words(self.controls, kind=kind, color=color)
        self.set(kind=kind, color=color, loudness=loudness)

    def cancel(self) -> None:
        """End the projection with what was found until now."""
        self._cancelled = True

    def stop(self) -> None:
        """End what runs, where it is."""
        self.cancel()
        self.background.stop()

    def wait(self) -> None:
        """Until the projection, the edit and the whole photo are done."""
        self.background.wait()

    @property
    def photo(self) -> Image:
        """As it was opened, (3, H, W)."""
        return self.session.photo

    @property
    def edited(self) -> Image:
        """The photo at its own size, (3, H, W), once all is done; what failed is raised anew."""
        self.wait()
        if self._failure is not None:
            raise self._failure
        return self._picture

    def save(self, path: object) -> None:
        """Write the edited photo into a file, at its own size."""
        save_image(self.edited, path)

    # ---- the loop

    def redraw(self) -> None:
        """Take up what has changed, and follow it in the background."""
        if self._projecting and self.state.lies_like(self._opened_state):
            self._sync()  # what was painted meanwhile is taken up after the projection
            return
        self.stop()
        try:
            if not self.state.lies_like(self._opened_state):
                self._open(self.state)
            self._sync()
        except ValueError as failure:
            (self.pad if self.state.placed else self.placer).error = sentence(failure)
            return
        self._failure = None
        if self.state.placed:
            self.background.start(self._work)

    def solve(self, state: PhotoState) -> Answer:
        """The photo as far as it has come."""
        return Answer(self._picture)

    def stops(self) -> list[dict]:
        """A stroke of each brush."""
        way = tuple((PAD * t / 8, PAD / 2) for t in (3, 4, 5))
        return [{"strokes": (Stroke(way, FUR[0][0], PAD // 8),)},
                {"pairs": (Pair(way[0], way[1]),)}]

    def _open(self, state: PhotoState) -> None:
        """Take up a photo, or its new place."""
        frame = Frame.middle(state.image)
        if len(state.points) == 2 and self.aim:
            frame = Frame.by_points(state.points, self.aim)
        self._opened_state = state
        self.session.open(state.image, frame)
        self._picture = state.image
        self.placer.restart(state.image)
        self.pad.restart(frame.cut(state.image, PAD).clamp(0, 1))
        self.answer.restart(self.session.small)
        for canvas in (self.placer, self.pad, self.answer):
            canvas.note, canvas.error = "", ""
        self.page.warn(self.session.familiarity if state.placed else None, self.generator.name)
        self.page.show_model(self.session.square[None])

    def _work(self) -> None:
        """Project if need be; then the edit, with previews; then the whole photo."""
        if self.session.projection is None and not self._project():
            return
        state = self.state
        self.session.ask(wishes(
            state.strokes, state.pairs, self.generator.resolution, painted_at=PAD), dict(
            zip(self.session.directions, (s / 100 for s in state.strengths), strict=True)))
        self.session.say(state.words)
        self.session.follow(lambda: self.background.should_end, self._show)
        if self.background.should_end:
            return
        if state.words:
            self.answer.note = "Drawing it again by your words; that takes some seconds."
        whole = self.session.finish(lambda: self.background.should_end)
        if whole is not None:
            self._picture = whole
            self.answer.show(whole, note=told(self.session, whole, whole=True))

    def _project(self) -> bool:
        """Project under the progress bar; whether the photo is still the same afterwards."""
        self._projecting, self._cancelled = True, False
        self.page.bar.max, self.page.progress.layout.display = self.session.projection_steps, ""
        self.pad.note = "Looking for the photo on the manifold; you may paint already."

        def watch(step: int, image: Tensor) -> None:
            self.page.bar.value = step + 1
            if self._cancelled:
                raise StopIteration
            if step % 10 == 0:
                found = image[0].cpu().clamp(0, 1)
                self.page.show_model(torch.stack([self.session.square, found]))

        try:
            self.session.project(watch)
        finally:
            self._projecting, self.page.progress.layout.display = False, "none"
        self.pad.note = ""
        return not self.background.should_end

    def _show(self) -> None:
        """The photo, small, with the edit so far; and what the model makes of it."""
        self._picture = self.session.preview()
        self.answer.show(self._picture, note=told(self.session, self._picture))
        self.page.show_model(self.session.pictures)

    def _listen(self) -> None:
        """To buttons, hands and files."""
        page = self.page
        for button, act in ((page.go, self.begin), (page.again, self.place),
                            (page.halt, self.cancel)):
            button.on_click(lambda _, act=act: act())
        self.placer.on_draw(self._clicked)
        self.pad.on_draw(self._painted)
        for canvas in (self.placer, self.pad):
            canvas.on_action("photo", lambda read, canvas=canvas: self._load_photo(canvas, read))
        for index, slider in enumerate(self.sliders):
            slider.observe(lambda change, index=index: self._slid(index, change["new"]), "value")

    def _sync(self) -> None:
        super()._sync()
        state = self.state
        self.pad.marks = Marks(state.strokes, pairs=state.pairs)
        self.placer.marks = Marks(pairs=tuple(Pair(place, place) for place in state.points))
        complete = len(state.points) == 2
        self.placer.outline = (
            Frame.by_points(state.points, self.aim).corners().tolist() if complete else [])
        self.page.show_missing(state.points)
        self.page.show_step(state.placed, self.aim is not None)
        with self._holding():
            for slider, strength in zip(self.sliders, state.strengths, strict=True):
                slider.value = strength

    def _clicked(self, marks: Marks) -> None:
        """Two points at most: of three the newest two."""
        points = tuple(pair.end for pair in marks.pairs)[-2:]
        if points != self.state.points:
            self.set(points=points)

    def _painted(self, marks: Marks) -> None:
        if (marks.strokes, marks.pairs) != (self.state.strokes, self.state.pairs):
            self.set(strokes=marks.strokes, pairs=marks.pairs)

    def _slid(self, index: int, value: int) -> None:
        if not self._held:
            strengths = list(self.state.strengths)
            strengths[index] = value
            self.set(strengths=tuple(strengths))

    def _moved(self, name: str, value: object) -> None:
        """Another photo, or another word, was chosen."""
        if name != "name":
            super()._moved(name, value)
        elif not self._held and value != self.state.name:
            self._take(value, load_image(value, device="cpu"), placed=True)

    def _take(self, name: str, image: Image, *, placed: bool) -> None:
        """Begin with another photo."""
        menu = self.controls["name"]
        if name not in menu.options:
            with self._holding():
                menu.options = [*menu.options, name]
        self.state = PhotoState(name, image, placed=placed, strengths=self._still)
        self.redraw()

    def _load_photo(self, canvas: Canvas, read: Reader) -> None:
        try:
            image = read(None)
            if max(image.shape[-2:]) > LARGEST:
                image = read(LARGEST)
        except (OSError, ValueError) as failure:
            canvas.note, canvas.error = "", sentence(failure)
            return
        self._take(OWN, image.clamp(0, 1).cpu(), placed=self.aim is None)

    def _restart(self) -> None:
        """All begins anew in `redraw`."""
        self._opened_state = None

    def _send(self) -> None:
        """The photo at its own size, as soon as it is done."""
        self.answer.send_file(self.edited, "edited.png")

    def _show_failure(self, failure: Exception) -> None:
        self._failure = failure
        self.answer.error = sentence(failure)

    @property
    def _still(self) -> tuple[float, ...]:
        return (0.0,) * len(self.session.directions)
