"""What one would try first: three ways to carry an edit to the photo that lose something.

All take the photo, G(z0) and G(z1), and return a picture of the photo's size, unclamped.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.blending import seamless_clone
from course_lib.checks import require_image, require_number, require_same_shape
from course_lib.shapes import Image

Projected = Float[Tensor, "3 h w"]


def enlarge_edit(photo: Image, edited: Projected) -> Image:
    """G(z1) itself, enlarged: it never had the photo's detail."""
    return F.interpolate(edited[None], photo.shape[-2:], mode="bicubic")[0]


def add_change(photo: Image, projection: Projected, edited: Projected) -> Image:
    """photo + G(z1) − G(z0), enlarged: right for colour; what moves leaves a ghost."""
    require_same_shape(projection, edited, ("projection", "edited"))
    return photo + enlarge_edit(photo, edited - projection)


def blend_change(
    photo: Image, projection: Projected, edited: Projected, *, threshold: float = 0.1
) -> Image:
    """G(z1) enlarged, cloned into the photo by Poisson's equation where the edit changed it.

    Args:
        threshold: a change of G, in any channel, from where on a pixel is replaced.
    """
    require_image(photo, "photo", solvable=True)
    require_same_shape(projection, edited, ("projection", "edited"))
    require_number(threshold, "threshold", least=0, most=1)
    change = F.max_pool2d((edited - projection).abs().amax(dim=0)[None, None], 3, 1, 1)
    mask = F.interpolate(change, photo.shape[-2:], mode="bilinear")[0, 0] > threshold
    frame = torch.zeros_like(mask)
    frame[1:-1, 1:-1] = True  # the photo's rim stays, so that there is a boundary
    mask = mask & frame
    if not mask.any():
        return photo.clone()
    return seamless_clone(enlarge_edit(photo, edited), photo, mask).value
