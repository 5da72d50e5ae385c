"""A photo by another word: brought into a diffusion model's noise, and drawn again as told."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from course_lib.framing import Frame, carry_back
from course_lib.generators.base import Generator
from course_lib.sdedit import reword
from course_lib.shapes import Ellipse, Image, Latent
from course_lib.transfer import changed_region, follow_morph, soft_ellipses


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
        self._known: tuple[Image, Frame, Latent] | None = None

    @torch.no_grad()
    def __call__(
        self, photo: Image, frame: Frame, words: Words, *, keeps: Sequence[Ellipse] = ()
    ) -> Image:
        """The photo (3, H, W), unclamped, as it would be if the words were true of it.

        Args:
            photo: in [0, 1]; frame: where the model's square lies in it.
            keeps: what stays the photo's, in the square.
        """
        morph = reword(self.generator, self._code(photo, frame), label=words.kind,
                       color=words.color, guidance=words.guidance)
        kept = 1 - soft_ellipses(keeps, self.generator.resolution).to(morph)
        change = follow_morph(morph).at(1).within(changed_region(morph) * kept)
        return carry_back(photo, frame, *(part.to(photo) for part in change))

    def _code(self, photo: Image, frame: Frame) -> Latent:
        """The noise of what lies in the frame, which is remembered."""
        if self._known is None or self._known[0] is not photo or self._known[1] != frame:
            square = frame.cut(photo, self.generator.resolution).clamp(0, 1)
            code = self.generator.invert(square[None].to(self.generator.device))
            self._known = photo, frame, code
        return self._known[2]
