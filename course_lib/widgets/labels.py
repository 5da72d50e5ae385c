"""Forty labels by hand, and the direction that they draw.

The browser shows the samples (browser/labels.js) and takes the answers; after each one
Python fits the boundary anew and shows what moving across it does.
"""

import base64
import html
import io
from collections.abc import Sequence

import anywidget
import ipywidgets
import PIL.Image
import torch
import traitlets
from jaxtyping import Bool, Float
from torch import Tensor

from course_lib.checks import require_count, require_option
from course_lib.directions import Direction, Directions, annotated, with_spread
from course_lib.directions.naming import contact_sheet
from course_lib.generators.base import Generator
from course_lib.images import to_uint8
from course_lib.plotting import tile
from course_lib.widgets.browser import read_script, read_style
from course_lib.widgets.canvas import encode
from course_lib.widgets.sliders import Picture

ANSWERS = ("yes", "no", "skip")
ENOUGH = 4  # answers of either kind before a direction is shown


class Questions(anywidget.AnyWidget):
    """One picture after the other, and buttons and keys that answer."""

    _esm = read_script("labels")
    _css = read_style("labels")
    question = traitlets.Unicode().tag(sync=True)
    pictures = traitlets.List().tag(sync=True)
    answers = traitlets.List(traitlets.Enum(ANSWERS)).tag(sync=True)


class LabelTool:
    """Answer yes, no or skip to samples; from the answers comes a direction.

    Args:
        generator: whose samples are shown.
        question: that is asked of each, "Is it a boot?".
        n: how many samples; forty take two minutes.
        seed: of the samples.
        space: of the codes; the generator's default space if None.
        condition_on: directions that should stay, as in `directions.annotated`.
        penalty: as in `directions.annotated`; large, since labels are few.
        truncation_psi: ψ of the samples, below 1 where rare ones would be hard to judge.
    """

    def __init__(
        self, generator: Generator, question: str, *, n: int = 40, seed: int = 0,
        space: str | None = None, condition_on: Sequence[Direction] = (),
        penalty: float = 1.0, truncation_psi: float = 1.0,
    ) -> None:
        require_count(n, "n", least=4)
        self.generator, self.condition_on, self.penalty = generator, tuple(condition_on), penalty
        self.space = space or generator.default_space
        rng = torch.Generator().manual_seed(seed)
        self.latents = generator.sample_latent(n, space=self.space, rng=rng,
                                               truncation_psi=truncation_psi)
        self._codes = generator.sample_latent(2000, space=self.space, rng=rng)
        with torch.no_grad():
            pictures = torch.cat([generator.decode(part, space=self.space)
                                  for part in self.latents.split(16)])
        self.questions = Questions(question=question, pictures=[_png(one) for one in pictures])
        self.preview = Picture(f"Samples moved along the direction of the answers to: {question}")
        self.said = ipywidgets.HTML()
        reset = ipywidgets.Button(description="Begin anew", icon="undo")
        reset.on_click(lambda _: self.reset())
        right = ipywidgets.VBox([self.said, self.preview.widget, reset])
        self.widget = ipywidgets.HBox([self.questions, right], layout={"flex_flow": "wrap"})
        self.questions.observe(lambda _: self._show(), "answers")
        self._show()

    @property
    def answers(self) -> tuple[str, ...]:
        """What was answered so far, in the order of the samples."""
        return tuple(self.questions.answers)

    @property
    def done(self) -> bool:
        """Whether every sample is answered."""
        return len(self.answers) == len(self.latents)

    def answer(self, *answers: str) -> None:
        """Answer the next samples, as a key does: "yes", "no" or "skip"."""
        for answer in answers:
            require_option(answer, ANSWERS, "an answer")
        room = len(self.latents) - len(self.answers)
        if len(answers) > room:
            raise ValueError(
                f"{len(answers)} answers are given, but {room} samples are left: undo some, or "
                f"begin anew with reset()."
            )
        self.questions.answers = [*self.answers, *answers]

    def undo(self) -> None:
        """Take the last answer back, if there is one."""
        self.questions.answers = list(self.answers[:-1])

    def reset(self) -> None:
        """Take all answers back."""
        self.questions.answers = []

    def labelled(self) -> tuple[Float[Tensor, "codes dim"], Bool[Tensor, " codes"]]:
        """The codes that were not skipped, and whether the answer was yes."""
        kept = [index for index, answer in enumerate(self.answers) if answer != "skip"]
        labels = torch.tensor([self.answers[index] == "yes" for index in kept], dtype=torch.bool)
        return self.latents[kept], labels.to(self.latents.device)

    def direction(self) -> Directions:
        """By `directions.annotated`, from the answers so far.

        Raises:
            ValueError: fewer than two of either kind.
        """
        latents, labels = self.labelled()
        found = annotated(latents, labels, space=self.space, condition_on=self.condition_on,
                          penalty=self.penalty)
        return with_spread(found, self._codes)

    def _show(self) -> None:
        """The direction so far, on three samples, from no to yes."""
        said = [self.answers.count(kind) for kind in ("yes", "no")]
        if min(said) < ENOUGH:
            self.said.value = (f"The direction shows here after {ENOUGH} of each kind: "
                               f"{said[0]} yes, {said[1]} no so far.")
            self.preview.widget.value = ""
            return
        try:
            found = self.direction()
        except ValueError as failure:
            self.said.value = f"<b style='color:#D55E00'>{html.escape(str(failure))}</b>"
            return
        reach = 3 * float(found.stdev[0])
        sheet = contact_sheet(self.generator, self._codes[:3], found.components[0],
                              [-reach, -reach / 2, 0, reach / 2, reach], space=self.space)
        self.preview.value = encode(tile(sheet.flatten(0, 1), 5, size=96), quality=85)
        held = (f", right for {100 * found.accuracy:.0f} % of those held out" if self.done else "")
        self.said.value = f"From no to yes, by {sum(said)} answers{held}:"

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        # What readers see who read the notebook without running it.
        bundle = dict(self.widget._repr_mimebundle_(**kwargs))
        shown = self.preview.value if self.preview.widget.value else _sheet(self.questions.pictures)
        bundle["image/jpeg"] = base64.b64encode(shown).decode()
        return bundle, {"image/jpeg": {"alt": self.preview.alt if self.preview.widget.value else
                                       f"Samples to be asked of: {self.questions.question}"}}


def _png(picture: Tensor) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(to_uint8(picture)).save(buffer, format="png")
    return buffer.getvalue()


def _sheet(pngs: Sequence[bytes], columns: int = 10) -> bytes:
    """All samples as one JPEG, each at most 64 pixels wide: a reader only wants to see them."""
    pictures = [PIL.Image.open(io.BytesIO(one)) for one in pngs]
    for picture in pictures:
        picture.thumbnail((64, 64))
    wide, high = pictures[0].size
    sheet = PIL.Image.new("RGB", (columns * wide, -(-len(pictures) // columns) * high), "white")
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (index % columns * wide, index // columns * high))
    buffer = io.BytesIO()
    sheet.save(buffer, format="jpeg", quality=85)
    return buffer.getvalue()
