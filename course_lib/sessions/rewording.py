"""A photo by another word: brought into a diffusion model's noise, and drawn again as told."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_photo
from course_lib.framing import Frame, carry_back, place_region
from course_lib.generators.base import Generator
from course_lib.sdedit import reword
from course_lib.shapes import Ellipse, Image, Latent
from course_lib.transfer import changed_region, follow_morph, relative_change, soft_ellipses

LOUD = 3.0  # guidance at which words are said to find out what answers to them
DEAF, KEEN = 0.3, 0.5  # of a word's large changes: what changes less does not answer, more does


@dataclass(frozen=True)
class Words:
    """What a model is told of a picture.

    Attributes:
        kind, color: of the words that it knows; None for nothing.
        guidance: how loud, at least 1.
    """

    kind: str | None = None
    color: str | None = None
    guidance: float = 2.0

    def __bool__(self) -> bool:
        return self.kind is not None or self.color is not None


@dataclass(frozen=True)
class Inverted:
    """A photo's place in the model.

    Attributes:
        photo, frame: which photo, and where in it.
        code: the noise that it comes from; answering: where it answers to words.
    """

    photo: Image
    frame: Frame
    code: Latent
    answering: Float[Tensor, "r r"]


class Rewording:
    """Photos drawn again in other words, at their own size.

    Args:
        generator: a diffusion model that is told words.

    Attributes:
        kinds, colors: the words.
    Raises:
        ValueError: the generator is no diffusion model, or is told nothing.
    """

    def __init__(self, generator: Generator) -> None:
        generator.require_capability("predict")
        self.generator = generator
        self.kinds, self.colors = generator.config.kinds, generator.config.colors
        if not (self.kinds or self.colors):
            raise ValueError(
                f"{generator.name} was trained without words, so none can be said to it: take one "
                f"that was, such as cats-diffusion."
            )
        self._last: Inverted | None = None

    @torch.no_grad()
    def __call__(
        self, photo: Image, frame: Frame, words: Words, *, keeps: Sequence[Ellipse] = ()
    ) -> Image:
        """The photo (3, H, W), unclamped, as it would be if the words were true of it.

        It follows where the words change much, and where it answers to words at all.

        Args:
            photo: in [0, 1]; frame: where the model's square lies in it.
            keeps: what stays the photo's, in the square.
        """
        known = self.invert(photo, frame)
        morph = reword(self.generator, known.code, label=words.kind, color=words.color,
                       guidance=words.guidance)
        kept = 1 - soft_ellipses(keeps, self.generator.resolution).to(morph)
        region = changed_region(morph) * known.answering * kept
        change = follow_morph(morph).at(1).within(region)
        carried = carry_back(photo, frame, *(part.to(photo) for part in change))
        # Once more at the photo's size: enlarged fields spread beyond their region.
        return torch.lerp(photo, carried, place_region(region, frame, photo))

    @torch.no_grad()
    def invert(self, photo: Image, frame: Frame) -> Inverted:
        """The noise of what lies in the frame, and where it answers; the last one is remembered."""
        require_photo(photo)
        last = self._last
        if last is None or last.photo is not photo or last.frame != frame:
            square = frame.cut(photo, self.generator.resolution).clamp(0, 1)
            code = self.generator.invert(square[None].to(self.generator.device))
            self._last = Inverted(photo, frame, code, self._answering(code))
        return self._last

    def _answering(self, code: Latent) -> Float[Tensor, "r r"]:
        """1 where the picture answers to kinds or to colours, by the mean over all such words.

        The thing itself does; what lies behind it may change by one word or another, as it went
        with that in the photographs, but hardly by all.
        """
        plain, means = self.generator.decode(code), []
        loud = self.generator.with_guidance(LOUD)
        known = [words for words in (self.kinds, self.colors) if words]
        for column, words in enumerate(known):
            said = torch.zeros(len(words), len(known), dtype=torch.long, device=code.device)
            said[:, column] = torch.arange(len(words)) + 1
            drawn = loud.decode_said(code.expand(len(words), -1), said)
            means.append(relative_change(plain, drawn).mean(dim=0))
        return ((torch.stack(means).amax(dim=0) - DEAF) / (KEEN - DEAF)).clamp(0, 1)
