"""An edit by sentences: of a sample, of any code, or of a photo, to which it is carried back."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from course_lib.framing import Frame
from course_lib.generators.base import Generator
from course_lib.guidance import Constraint
from course_lib.results import CLOSE_TO_INPUT, Callback
from course_lib.sessions.editing import EditSession
from course_lib.sessions.photo import PhotoSession
from course_lib.shapes import Ellipse, Image, Latent
from course_lib.text import Clip, Identity, TextPrompt, lite0_identity

MIDDLE: Ellipse = (0.5, 0.46, 0.39, 0.42)
"""Where the thing stands in pictures that are framed as the sets' are: centred, filling them."""


@dataclass(frozen=True)
class Said:
    """A sentence, and what came of it.

    Attributes:
        picture: (3, r, r); code: (1, ...), which leads back to it.
    """

    prompt: str
    picture: Image
    code: Latent


class TextSession:
    """Begin at a code or `open` a photo, `say` something, `follow`, and look meanwhile.

    Args:
        generator: whose pictures are edited.
        clip: who tells whether a picture is as a sentence says.
        space: of the codes; the last one, the freest, if None.
        steps: of each edit.

    Attributes:
        edit: the edit under way.
        photo: the photo's session; None where the start is a code.
        history: what was said, oldest first.
    """

    def __init__(
        self, generator: Generator, clip: Clip, *, space: str | None = None, steps: int = 60
    ) -> None:
        self.generator, self.clip, self.steps = generator, clip, steps
        self.space = space or generator.spaces[-1]
        self.photo: PhotoSession | None = None
        self.edit = EditSession(generator, space=self.space, steps=steps)
        self.history: list[Said] = []
        self._prompt, self._names = "", []

    def begin(self, latent: Latent) -> None:
        """Start from a code (1, ...)."""
        self.photo, self._prompt = None, ""
        self.edit = EditSession(self.generator, space=self.space, steps=self.steps)
        self.edit.begin(latent)
        self._start = latent

    def open(
        self, photo: Image, frame: Frame | None = None, *, projection_steps: int = 100,
        callback: Callback | None = None,
    ) -> None:
        """Start from a photo (3, H, W): it is projected first.

        Args:
            frame: where the generator's square lies in it; the middle if None.
            callback: of the projection.
        """
        session = PhotoSession(self.generator, photo, frame=frame, steps=self.steps,
                               projection_steps=projection_steps, shared=True)
        session.keeps = tuple({place for one in session.directions.values()
                               for place in one.spares})  # which G draws badly
        session.project(callback)
        self.photo, self.edit, self._prompt = session, session.edit, ""
        self.space, self._start = session.space, session.projection.latent

    def say(
        self, prompt: str, *, l2: float = 1.0, identity: float = 0.0, surroundings: bool = False
    ) -> None:
        """Edit anew, from the start, as a sentence says; one step, for a first answer.

        Args:
            l2, identity: λ_L2 and λ_ID.
            surroundings: whether of a photo what lies behind and below the thing follows too;
                where its outline is not known, what lies around the middle.
        Raises:
            ValueError: the CLIP can't read it; then all stays as it was.
        """
        wishes: list[Constraint] = [TextPrompt(prompt, self.clip)]
        names = ["unlike the prompt"]
        wishes[0].bind(self.generator, self._start, self.space)  # or refuse it at once
        if identity:
            wishes.append(Identity(lite0_identity(), weight=identity))
            names.append("another individual")
        if self.photo is None:
            self.edit.begin(self._start, shared=True)
            self.edit.ask(wishes, smoothness=l2)
        else:
            self.photo.start_again()
            self.photo.still = not surroundings
            self.photo.within = () if surroundings or self.photo.beyond.any() else (MIDDLE,)
            self.photo.ask(wishes, smoothness=l2)
        self._prompt, self._names = prompt, names

    def forget(self) -> None:
        """Nothing is said: the picture is as it was at the start."""
        self._prompt = ""
        if self.photo is None:
            self.edit.begin(self._start)
        else:
            self.photo.start_again()

    def follow(
        self, should_end: Callable[[], bool], show: Callable[[], object], *, pause: float = 0.5
    ) -> None:
        """Step to the end, or until told to, and note what came of the sentence."""
        self.edit.follow(should_end, show, pause=pause)
        if self._prompt and not should_end():
            self.history.append(Said(self._prompt, self.picture, self.code))

    @property
    def code(self) -> Latent:
        """The code as it is now, (1, ...)."""
        return self.edit.code()

    @property
    def picture(self) -> Image:
        """The generator's picture as it is now, (3, r, r)."""
        return self.edit.picture().clamp(0, 1)

    @property
    def before(self) -> Image:
        """What a user began with: the photo (512 pixels long at most), or the start's picture."""
        first = self.edit.before if self.photo is None else self.photo.small
        return first.clamp(0, 1)

    @torch.no_grad()
    def shown(self) -> Image:
        """What a user wants to see meanwhile: of a photo the photo, else the picture."""
        return self.picture if self.photo is None else self.photo.preview()

    def finish(self, should_end: Callable[[], bool] = lambda: False) -> Image | None:
        """The photo at its own size, with the change carried to it; or the picture.

        Args:
            should_end: asked between the steps; once it says so, there is no answer.
        """
        return self.picture if self.photo is None else self.photo.finish(should_end)

    def terms(self) -> dict[str, float]:
        """The energy's terms at the last step; none before anything was said."""
        *values, close = self.edit.terms().values() or (None,)
        named = dict(zip(self._names, values, strict=False))
        return named | {CLOSE_TO_INPUT: close} if values else {}
