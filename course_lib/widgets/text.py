"""Edits by sentences: say what should be seen, and watch the picture become it: `TextTool`."""

import base64

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.generators.base import Generator
from course_lib.plotting import tile
from course_lib.sessions import TextSession
from course_lib.shapes import Image
from course_lib.text import Clip, load_clip
from course_lib.widgets.background import Background
from course_lib.widgets.canvas import encode
from course_lib.widgets.text_page import CODE, COLUMNS, PHOTO, SAMPLE, SEEDS, TextPage, TextState
from course_lib.widgets.tool import Answer, Reader, Tool, sentence

LARGEST = 2048  # pixels along a photo's longer side; larger ones are read at this size
SHOWN = 2 * COLUMNS  # earlier answers


class TextTool(Tool):
    """A start, a sentence, the answer beside it; and the answers to what was said before.

    It follows while the optimisation runs in the background; another sentence interrupts it and
    begins anew. Of a photo the photo itself is shown, with the change carried to it. `wait`
    returns when it is done.

    Args:
        generator: whose pictures to edit.
        clip: who tells whether a picture is as a sentence says; the one that ships if None.
        alt: what a reader who can't see the pictures should know.
        photo: to begin with, (3, height, width); its middle is projected first.
        height: of a picture on the screen, in pixels.
        steps: of each edit; projection_steps: of a photo's projection.
        options: fields of `TextState` to begin with.
    """

    def __init__(
        self, generator: Generator, clip: Clip | None = None, *, alt: str,
        photo: Image | None = None, height: int = 320, steps: int = 60,
        projection_steps: int = 100, **options: object,
    ) -> None:
        self.generator, self.projection_steps = generator, projection_steps
        clip = clip or load_clip("clip-small", device=generator.device)
        self.session = TextSession(generator, clip, steps=steps)
        self.background = Background(self._show_failure)
        self._begun: TextState | None = None  # the state at whose start the edit began
        self._picture = torch.ones(3, generator.resolution, generator.resolution)
        if photo is not None:
            options |= {"photo": photo, "start": PHOTO}
        state = TextState(**options)
        self.page = TextPage(generator, state, alt, height)
        self.start, self.earlier = self.page.start, self.page.earlier
        self.start.on_action("photo", self._load_photo)
        self.earlier.on_pick(self._picked)
        super().__init__(state, self.page.answer, self.page.controls, [self.start])
        self.page.arrange(self.widget, {
            "Go on from here": self.fix, "New start": self.new_start, "Stop": self.stop})

    # ---- what a hand may do, from Python

    def fix(self) -> None:
        """Make the generator's picture, as it is now, the start of the next sentence."""
        self.stop()
        self.set(fixed=self.session.code, start=CODE, prompt="")

    def new_start(self) -> None:
        """Begin anew with the next sample."""
        self.set(seed=(self.state.seed + 1) % SEEDS, start=SAMPLE)

    def stop(self) -> None:
        """End what runs, where it is."""
        self.background.stop()

    def wait(self) -> None:
        """Until the edit has come to its end."""
        self.background.wait()

    # ---- the edit

    def redraw(self) -> None:
        """Take up what has changed, show a first answer, and follow it in the background."""
        self.stop()
        self._sync()
        try:
            self._prepare(self.state)
        except Exception as failure:
            self.canvas.error = sentence(failure)
            raise
        self._show()
        if self.session.edit.is_under_way:
            self.background.start(self._follow)

    def solve(self, state: TextState) -> Answer:
        """The answer as far as it has come."""
        edit = self.session.edit
        terms = self.session.terms()
        said = f"step {edit.editing.age} of {edit.steps}" if terms else "nothing said yet"
        return Answer(self._picture, terms, said)

    def stops(self) -> list[dict]:
        """Two sentences, and none."""
        return [{"prompt": "a black cat"}, {"prompt": "from a cat to a black cat"}, {"prompt": ""}]

    def _prepare(self, state: TextState) -> None:
        """Begin at another start, or say something else; then one step, for a first answer."""
        if not state.begins_like(self._begun):
            self._begin(state)
            self._begun = state
            self.start.restart(self.session.shown())
            self.canvas.restart(self.session.shown())
        if state.prompt.strip():
            self.session.say(state.prompt, l2=state.l2, identity=state.identity,
                             surroundings=state.surroundings)
        else:
            self.session.forget()

    def _begin(self, state: TextState) -> None:
        if state.start == PHOTO:
            self._project(state.photo)
        elif state.start == CODE:
            self.session.begin(state.fixed)
        else:
            rng = torch.Generator().manual_seed(state.seed)
            self.session.begin(self.generator.sample_latent(
                1, space=self.session.space, rng=rng, truncation_psi=0.8))

    def _project(self, photo: Image | None) -> None:
        """Find the photo's code, under the progress bar."""
        if photo is None:
            raise ValueError('there is no photo yet: press "My own photo" below the start.')
        self.page.bar.max = self.projection_steps

        def watch(step: int, image: Tensor) -> None:
            self.page.bar.value = step + 1

        self.start.note = "Looking for the photo on the manifold."
        self.session.open(photo, projection_steps=self.projection_steps, callback=watch)
        self.page.bar.value, self.start.note = 0, ""

    # ---- in the background

    def _follow(self) -> None:
        """Step by step to the end, with a picture now and then; of a photo, then the whole."""
        self.session.follow(lambda: self.background.should_end, self._show)
        whole = self.session.finish(lambda: self.background.should_end)
        if whole is not None and not self.background.should_end:
            self._show(whole)
        self._show_earlier()

    def _show(self, picture: Image | None = None) -> None:
        """The answer and its energy."""
        self._picture = self.session.shown() if picture is None else picture
        answer, seconds = self.solve(self.state), self.session.edit.seconds
        terms = " + ".join(f"{name} {value:.3f}" for name, value in answer.terms.items())
        words = [f"Energy: {terms}", answer.said, f"{1000 * seconds:.0f} ms each"]
        self.canvas.show(self._picture, note=" · ".join(words) if terms else answer.said)

    def _show_earlier(self) -> None:
        """What was said before, and what came of it."""
        said = self.session.history[-SHOWN:]
        if not said:
            return
        prompts = dict.fromkeys(one.prompt for one in self.session.history)
        self.controls["prompt"].options = list(prompts)
        with self.earlier.hold_sync():
            self.earlier.choices = len(said)
            self.earlier.show(tile(torch.stack([one.picture.cpu() for one in said]), COLUMNS),
                              note=" · ".join(one.prompt for one in said))

    def _show_failure(self, failure: Exception) -> None:
        self.canvas.error = sentence(failure)

    # ---- the page

    def _picked(self, rank: int) -> None:
        """An earlier answer becomes the start."""
        said = self.session.history[-SHOWN:]
        if 0 <= rank < len(said):
            self.set(fixed=said[rank].code, start=CODE, prompt="")

    def _load_photo(self, read: Reader) -> None:
        try:
            photo = read(None)
            if max(photo.shape[-2:]) > LARGEST:
                photo = read(LARGEST)
        except (OSError, ValueError) as failure:
            self.start.note, self.start.error = "", sentence(failure)
            return
        self.start.note, self.start.error = "", ""
        self.set(photo=photo.clamp(0, 1).cpu(), start=PHOTO)

    def _moved(self, name: str, value: object) -> None:
        """A control was moved; what it asks for in vain is told below the answer alone."""
        if self._held:
            return
        try:
            self.set(**{name: value})
        except ValueError as failure:
            self.canvas.error = sentence(failure)

    def _sync(self) -> None:
        state = self.state
        with self._holding():
            self.controls["start"].options = [
                SAMPLE, *[CODE] * (state.fixed is not None), *[PHOTO] * (state.photo is not None)]
        super()._sync()

    def _restart(self) -> None:
        """All begins anew in `redraw`."""
        self._begun = None

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        bundle, metadata = super()._repr_mimebundle_(**kwargs)
        before = self.session.before.cpu()
        after = F.interpolate(self._picture[None].cpu(), before.shape[-2:], mode="area")[0]
        picture = encode(tile(torch.stack([before, after]), 2, size=192), quality=82)
        return bundle | {"image/jpeg": base64.b64encode(picture).decode()}, metadata
