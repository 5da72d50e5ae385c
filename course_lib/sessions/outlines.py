"""What in a photo's square is not the thing itself: outlines of parts, as the generator sees them.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.generators.base import Generator
from course_lib.parts import named_mask
from course_lib.shapes import Image, Latent
from course_lib.transfer import guided_upsample, reached_from_rim


@torch.no_grad()
def find_outline(
    generator: Generator, latent: Latent, square: Image, names: Sequence[str], *, space: str
) -> Float[Tensor, "r r"]:
    """1 in the parts of these names, as far as they reach from the square's rim; 0 where none is.

    Args:
        latent: the square's code; square: the photo's, (3, r, r), whose edges the rims follow.
    """
    found = named_mask(generator, latent, names, space=space)
    if found is None:
        return torch.zeros(square.shape[-2:])
    square = square.to(generator.device)
    return guided_upsample(reached_from_rim(found)[None].to(square), square)[0].clamp(0, 1)
