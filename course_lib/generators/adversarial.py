"""Generators that were trained against a discriminator, which may come along with them."""

from jaxtyping import Float
from torch import Tensor, nn

from course_lib.checks import require_image
from course_lib.generators.base import Generator
from course_lib.shapes import Image


class AdversarialGenerator(Generator):
    """A generator G, and the discriminator D that taught it, where D was kept.

    D has `features(x)`, a list from fine to coarse, and gives logits (batch, 1) when called;
    both read pictures in [-1, 1].
    """

    def __init__(self):
        super().__init__()
        self._discriminators: list[nn.Module] = []  # in a list, so that torch counts none as G's

    @property
    def discriminator(self) -> nn.Module | None:
        """D, or None where it is lost."""
        return self._discriminators[0] if self._discriminators else None

    def attach_discriminator(self, discriminator: nn.Module) -> None:
        """Let D come along, outside of G's own weights."""
        self._discriminators = [discriminator]

    def offers(self, capability: str) -> bool:
        """As of every generator; the discriminator may be lost."""
        if capability == "discriminator_features":
            return self.discriminator is not None
        return super().offers(capability)

    def discriminator_features(self, images: Image) -> list[Tensor] | None:
        """What the discriminator makes of pictures in [0, 1], fine to coarse; None if it is lost.

        Raises:
            ValueError: the pictures are not a batch of this generator's size.
        """
        self._require_pictures(images)
        if self.discriminator is None:
            return None
        return self.discriminator.to(images.device).features(images * 2 - 1)

    def discriminator_score(self, images: Image) -> Float[Tensor, " batch"] | None:
        """How real the discriminator takes pictures in [0, 1] for, as logits; None if it is lost.

        To be compared with the scores of other pictures. StyleGAN2's discriminator also looks at
        how much a group of four differs, so that a picture's company in the batch counts a little.

        Raises:
            ValueError: the pictures are not a batch of this generator's size, or which class
                they should be of is open.
        """
        self._require_pictures(images)
        if self.discriminator is None:
            return None
        judge = self.discriminator.to(images.device)
        return judge(images * 2 - 1, *self.condition(len(images)))[:, 0]

    def condition(self, batch: int) -> tuple[Tensor, ...]:
        """What the discriminator reads beside pictures: the class, where there are classes."""
        return ()

    def _require_pictures(self, images: Tensor) -> None:
        require_image(images, "images")
        size = (3, self.resolution, self.resolution)
        if images.ndim != 4 or tuple(images.shape[1:]) != size:
            raise ValueError(
                f"images have shape {tuple(images.shape)}, but the discriminator of {self.name} "
                f"learnt from (batch, {', '.join(map(str, size))}): resize them, for instance "
                f"with images.crop_square."
            )
