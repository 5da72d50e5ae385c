"""How local an edit is: its change inside the part beside that outside."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_image, require_same_shape
from course_lib.parts.finding import resized
from course_lib.shapes import Image


class Locality(NamedTuple):
    """Mean colour difference ΔE*ab, in CIELAB, where 2 is just seen.

    Attributes:
        inside, outside: of the part.
    """

    inside: float
    outside: float

    @property
    def share(self) -> float:
        """Of all change a pixel sees, inside / (inside + outside): 0.5 is not local at all."""
        return self.inside / max(self.inside + self.outside, 1e-12)


def lab(images: Image) -> Image:
    """CIELAB of sRGB pictures in [0, 1] (D65): L* in [0, 100], a* and b* in about ±100."""
    from skimage.color import rgb2lab  # here, so that training runs where it is not installed

    found = rgb2lab(images.detach().clamp(0, 1).cpu().double().numpy(), channel_axis=-3)
    return torch.from_numpy(found).to(images)


def measure_locality(
    before: Image, after: Image, region: Float[Tensor, "batch _ _"]
) -> Locality:
    """How much pictures change inside a region and outside.

    Args:
        before, after: (batch, 3, h, w) in [0, 1].
        region: 1 inside, 0 outside, (batch, ...) of any size.
    Raises:
        ValueError: the pictures differ in shape, or the region covers nothing or all.
    """
    for image, name in ((before, "before"), (after, "after")):
        require_image(image, name)
    require_same_shape(before, after, ("before", "after"))
    inside = resized(region[:, None].to(before), before.shape[-2:])
    if not 0 < float(inside.mean()) < 1:
        raise ValueError(
            f"the region covers {100 * float(inside.mean()):.0f} % of the pictures, so inside and "
            f"outside can't be compared: pass one with both, such as Parts.masks gives."
        )
    change = (lab(after) - lab(before)).norm(dim=1, keepdim=True)
    return Locality(*(float((change * where).sum() / where.sum())
                      for where in (inside, 1 - inside)))
