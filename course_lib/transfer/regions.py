"""Where a photo may follow an edit: in ellipses, or wherever the edit changed much."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_image
from course_lib.shapes import Ellipse, Mask

LITTLE, MUCH = 0.25, 0.5  # of an edit's large changes: below the one none, above the other all
NEARBY = 12  # a change counts with its surroundings, 1 / 12 of a side wide


def soft_ellipses(
    ellipses: Sequence[Ellipse], side: int, *, sharpness: float = 4.0
) -> Float[Tensor, "side side"]:
    """1 in the ellipses, 0 away from them, a half on their rims: a region for `transfer_edit`.

    Args:
        ellipses: x, y and the two radii of each, in shares of the picture's side.
        sharpness: how fast it falls at the rim.
    """
    require_count(side, "side")
    y, x = torch.meshgrid(*2 * [(torch.arange(side) + 0.5) / side], indexing="ij")
    region = torch.zeros(side, side)
    for centre_x, centre_y, radius_x, radius_y in ellipses:
        away = ((x - centre_x) / radius_x).square() + ((y - centre_y) / radius_y).square()
        region = torch.maximum(region, torch.sigmoid(sharpness * (1 - away)))
    return region


def changed_region(
    frames: Float[Tensor, "frames 3 h w"], *, little: float = LITTLE, much: float = MUCH
) -> Float[Tensor, "h w"]:
    """1 where a morph ends up changed much, 0 where hardly: a region for `transfer_edit`.

    An edit of a whole picture, by a word say, tints a little what nobody spoke of. Beside what it
    changed in earnest that is small, and here it is told from it.

    Source: Couairon et al., "DiffEdit", ICLR 2023, section 3.2, which compares what a model says
    with a word and without; here the two pictures are compared.

    Args:
        frames: of which the first and the last are looked at.
        little, much: shares of the change that only a twentieth of the picture surpasses; between
            them the region rises from 0 to 1.
    Raises:
        ValueError: there are less than two frames, or `much` is not above `little`.
    """
    require_image(frames, "frames")
    if frames.ndim != 4:
        raise ValueError(
            f"frames has shape {tuple(frames.shape)}, but a region is of one morph, (frames, 3, "
            f"height, width): pass its first and its last picture, at least."
        )
    require_count(len(frames), "number of frames", least=2)
    if not 0 <= little < much:
        raise ValueError(
            f"little is {little:g} and much {much:g}, but the region rises between the two: pass "
            f"0 or more for little, and more than that for much."
        )
    change = relative_change(frames[:1], frames[-1:])
    return _nearby(((change - little) / (much - little)).clamp(0, 1))[0]


def reached_from_rim(mask: Mask) -> Mask:
    """What of a mask hangs together with the picture's rim: a background without its holes.

    Args:
        mask: (h, w), True where a background is taken to be.
    """
    found = mask & F.pad(torch.zeros_like(mask)[1:-1, 1:-1], (1, 1, 1, 1), value=True)
    while True:
        wider = F.max_pool2d(found[None].float(), 3, 1, 1)[0].bool() & mask
        if torch.equal(wider, found):
            return found
        found = wider


def relative_change(
    before: Float[Tensor, "#n 3 h w"], after: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, "n h w"]:
    """How much pictures change at each place, 1 where only a twentieth of a picture does more."""
    change = _nearby(after - before).norm(dim=1)
    large = torch.quantile(change.flatten(1), 0.95, dim=1).clamp(min=1e-3)
    return change / large[:, None, None]


def _nearby(fields: Float[Tensor, "*fields h w"]) -> Float[Tensor, "*fields h w"]:
    """The mean of each place's surroundings."""
    reach = max(1, min(fields.shape[-2:]) // (2 * NEARBY))
    across = F.avg_pool2d(fields, (1, 2 * reach + 1), 1, (0, reach), count_include_pad=False)
    return F.avg_pool2d(across, (2 * reach + 1, 1), 1, (reach, 0), count_include_pad=False)
