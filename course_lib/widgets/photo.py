"""Your photo, placed, projected, painted, and changed at its own size: `PhotoTool`."""

from dataclasses import dataclass, replace

import ipywidgets
import torch
from torch import Tensor

from course_lib.framing import Frame
from course_lib.generators import load_generator
from course_lib.generators.base import Generator
from course_lib.images import load_image, save_image
from course_lib.pixels import CATS
from course_lib.sessions import PhotoSession
from course_lib.shapes import Image
from course_lib.widgets.background import Background
from course_lib.widgets.canvas import Canvas, Marks, Pair, Place, Stroke
from course_lib.widgets.photo_page import FUR, PAD, PhotoPage
from course_lib.widgets.tool import Answer, Reader, Tool, sentence
from course_lib.widgets.wishes import wishes

OWN = "my own photo"
SAMPLE = "the model's own"
LARGEST = 2048  # pixels along a photo's longer side; larger ones are read at this size
READY = "Paint on the left, and the photo follows."
EYES = ((0.345, 0.496), (0.655, 0.496))  # where they lie in the cats' pictures, in shares
AIM = {"cats": EYES, "cats-128": EYES, "cats-dcgan": EYES}  # generators whose things have eyes


@dataclass(frozen=True)
class PhotoState:
    """The photo, where it was placed, and what is wished.

    Attributes:
        name: of a photo that ships, or `OWN`.
        image: (3, H, W) in [0, 1].
        points: two places in it, (x, y) in pixels, that belong at the eyes; none: the middle.
        placed: False while the points are being chosen.
        strokes, pairs: painted on the square, in its pixels, of which there are 512 along a side.
        strengths: of each named direction, in % of its reach.
    """

    name: str
    image: Image
    points: tuple[Place, ...] = ()
    placed: bool = True
    strokes: tuple[Stroke, ...] = ()
    pairs: tuple[Pair, ...] = ()
    strengths: tuple[float, ...] = ()


class PhotoTool(Tool):
    """Edit a photo on the manifold: project, paint, drag, and see the photo itself change.

    `PhotoTool()` opens a cat of the course. A photo of one's own is placed by two clicks on the
    eyes. `wait` returns when all is done.

    Args:
        generator: a generator, or the name of one.
        photo: (3, H, W) in [0, 1], or the name of a sample; one that ships if None.
        alt: what a reader who can't see the pictures should know.
        size: of the pictures on the screen, in pixels, at most.
        steps: of each edit; projection_steps: of the projection.
    """

    def __init__(
        self, generator: Generator | str = "cats-128", photo: Image | str | None = None, *,
        alt: str = "A photograph, edited", size: int = 620, steps: int = 60,
        projection_steps: int = 100,
    ) -> None:
        if isinstance(generator, str):
            generator = load_generator(generator)
        self.generator, self.aim = generator, AIM.get(generator.name)
        name, image = self._opened(photo)
        self.session = PhotoSession(
            generator, image, steps=steps, projection_steps=projection_steps)
        self.background, self._projecting = Background(self._show_failure), False
        self._opened_state: PhotoState | None = None
        self._picture = image
        self.page = PhotoPage(image, alt, size, list(self.session.directions),
                              drags=generator.offers("features"))
        self.placer, self.pad, self.answer = self.page.placer, self.page.pad, self.page.answer
        state = PhotoState(name, image, strengths=self._still)
        names = list(CATS) if self.aim else [name]
        menu = ipywidgets.Dropdown(
            options=[*names, *(() if name in names else (name,))], value=name,
            description="photo")
        super().__init__(state, self.answer, {"name": menu}, [self.placer, self.pad])
        self.page.arrange(self.widget)
        self._listen()

    # ---- what a hand may do, from Python

    def place(self) -> None:
        """Let the eyes be clicked anew."""
        self.set(placed=False, strokes=(), pairs=(), strengths=self._still)

    def begin(self) -> None:
        """The photo is placed: project it."""
        self.set(placed=True)

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

    def save(self, path: object) -> None:
        """Write the edited photo into a file, at its own size."""
        self.wait()
        save_image(self._picture, path)

    # ---- the loop

    def redraw(self) -> None:
        """Take up what has changed, and follow it in the background."""
        if self._projecting and _same_place(self._opened_state, self.state):
            self._sync()  # what was painted meanwhile is taken up after the projection
            return
        self.stop()
        try:
            if not _same_place(self._opened_state, self.state):
                self._open(self.state)
            self._sync()
        except ValueError as failure:
            (self.pad if self.state.placed else self.placer).error = sentence(failure)
            return
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
        self.session.ask(self._wishes(state), dict(
            zip(self.session.directions, (s / 100 for s in state.strengths), strict=True)))
        self.session.follow(lambda: self.background.should_end, self._show)
        if self.background.should_end:
            return
        whole = self.session.finish(lambda: self.background.should_end)
        if whole is not None:
            self._picture = whole
            self.answer.show(whole, note=self._said("at its own size"))

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

    def _wishes(self, state: PhotoState) -> list:
        """What was painted, on pictures of the generator's size."""
        share = self.generator.resolution / PAD

        def small(place: Place) -> Place:
            return tuple((value + 0.5) * share - 0.5 for value in place)

        strokes = [replace(s, points=tuple(map(small, s.points)), width=s.width * share)
                   for s in state.strokes]
        pairs = [replace(p, start=small(p.start), end=small(p.end), width=p.width * share)
                 for p in state.pairs]
        return wishes(strokes, pairs, self.generator.resolution)

    # ---- the page

    def _show(self) -> None:
        """The photo, small, with the edit so far; and what the model makes of it."""
        self._picture = self.session.preview()
        self.answer.show(self._picture, note=self._said("preview"))
        self.page.show_model(self.session.pictures)

    def _said(self, which: str) -> str:
        """The energy's terms, how much has changed where, and at which size it is shown."""
        session, terms = self.session, self.session.terms()
        if not terms and not any(self.state.strengths):
            return READY
        energy = " + ".join(f"{name} {value:.3f}" for name, value in terms.items())
        changed = ", ".join(f"{value:.3f} {where}" for where, value in session.changes().items())
        return " · ".join(filter(None, [
            f"Energy: {energy}" if energy else "", f"changed by {changed}",
            f"step {session.edit.editing.age} of {session.edit.steps}" if terms else "",
            f"{which}, {self._picture.shape[-1]} × {self._picture.shape[-2]}"]))

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
        for index, slider in enumerate(page.sliders):
            slider.observe(lambda change, index=index: self._slid(index, change["new"]), "value")

    def _sync(self) -> None:
        super()._sync()
        state = self.state
        self.pad.marks = Marks(state.strokes, pairs=state.pairs)
        self.placer.marks = Marks(pairs=tuple(Pair(place, place) for place in state.points))
        complete = len(state.points) == 2
        self.placer.outline = self._outline() if complete else []
        self.page.go.disabled = not complete
        self.page.show_step(state.placed, self.aim is not None)
        with self._holding():
            for slider, strength in zip(self.page.sliders, state.strengths, strict=True):
                slider.value = strength

    def _outline(self) -> list[list[float]]:
        """The square that the two points ask for, in the photo."""
        return Frame.by_points(self.state.points, self.aim).corners().tolist()

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
        """Another photo was chosen from the menu."""
        if not self._held and value != self.state.name:
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

    def _opened(self, photo: Image | str | None) -> tuple[str, Image]:
        """The name and the picture of what is shown first."""
        if photo is None and self.aim is None:
            rng = torch.Generator().manual_seed(0)
            space = self.generator.spaces[-1]
            psi = 1 if space == "z" else 0.7
            with torch.no_grad():
                latent = self.generator.sample_latent(1, space=space, rng=rng, truncation_psi=psi)
                image = self.generator.decode(latent, space=space)[0].clamp(0, 1)
            return SAMPLE, image.cpu()
        if photo is None or isinstance(photo, str):
            name = photo or "tabby"
            return name, load_image(name, device="cpu")
        return OWN, photo

    def _restart(self) -> None:
        """All begins anew in `redraw`."""
        self._opened_state = None

    def _send(self) -> None:
        """The photo at its own size, as soon as it is done."""
        self.wait()
        self.answer.send_file(self._picture, "edited.png")

    def _show_failure(self, failure: Exception) -> None:
        self.answer.error = sentence(failure)

    @property
    def _still(self) -> tuple[float, ...]:
        return (0.0,) * len(self.session.directions)


def _same_place(opened: PhotoState | None, state: PhotoState) -> bool:
    """Whether a photo is still the same, placed where it was."""
    return (opened is not None and opened.image is state.image and opened.placed == state.placed
            and (not state.placed or opened.points == state.points))
