"""What nobody asked to change: it should look as it did."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.generators.base import Generator
from course_lib.guidance.drag import Drag
from course_lib.guidance.energy import require_constraints
from course_lib.guidance.strokes import Constraint, Energy, along_ways, grow_mask
from course_lib.shapes import Latent, Mask

NEAR, DRAG_NEAR = 0.1, 0.2  # how far around a wish a picture may change, in shares of its side
SEEN = 4  # pixels: details smaller than that may change anywhere


@dataclass(frozen=True)
class Rest:
    """Away from all wishes the picture should look as z0's does, but for fine detail.

    ‖(1 − near) ⊙ (G(z) − G(z0))‖² in blocks of 4 pixels, mean over the picture. On the manifold a
    coat does not end where the brush did; with this term a stroke stays near where it was painted.

    Attributes:
        wishes: the other constraints of the edit, of which each has a neighbourhood, a tenth of
            the picture's side wide, a fifth around drags; one without a place has the whole.
    """

    wishes: Sequence[Constraint]
    weight: float = 9.0

    def bind(self, generator: Generator, latent: Latent, space: str) -> Energy:
        """Its term of the energy."""
        require_constraints(self.wishes)
        for one in self.wishes:
            _require_size(getattr(one, "mask", None), generator)
        far = (~near(self.wishes, generator.resolution)).to(latent)
        with torch.no_grad():
            before = generator.decode(latent, space=space)

        def energy(_: Tensor, image: Tensor) -> Float[Tensor, " batch"]:
            change = F.avg_pool2d((image - before) * far, SEEN, ceil_mode=True)
            return change.square().sum(dim=1).mean(dim=(1, 2))

        return energy


def _require_size(mask: Mask | None, generator: Generator) -> None:
    side = generator.resolution
    if mask is not None and tuple(mask.shape) != (side, side):
        raise ValueError(
            f"a wish's mask has shape {tuple(mask.shape)}, but {generator.name} draws "
            f"{side}x{side} pixels, so nobody knows what lies around it: bring the mask to that "
            f"size."
        )


def near(wishes: Sequence[Constraint], resolution: int) -> Mask:
    """Where wishes may change a picture of this size: at them, and around."""
    found = torch.zeros(resolution, resolution, dtype=torch.bool)
    for one in wishes:
        mask = getattr(one, "mask", None)
        if isinstance(one, Drag):
            reach = DRAG_NEAR * resolution
            found |= along_ways(one.start, one.end, reach, resolution).to(found.device)
        elif mask is not None:
            found |= grow_mask(mask, round(NEAR * resolution)).to(found.device)
        else:
            found |= True
    return found
