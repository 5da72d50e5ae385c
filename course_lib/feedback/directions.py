"""Checks of a4: directions of a crowd, sliders, boundaries, a named edit; of steps: `reach`."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.feedback.core import Feedback, Part
from course_lib.feedback.diagnosis import Check, Demand, Mistake
from course_lib.feedback.reach import layer_checks, move_checks, natural_checks
from course_lib.feedback.recipes import find_fault_in_edit


def _principal_checks(rng: torch.Generator) -> list[Check]:
    turn = torch.linalg.qr(torch.randn(6, 6, generator=rng)).Q
    codes = torch.randn(400, 6, generator=rng) * torch.tensor([3.0, 2.2, 1.5, 1.0, 0.6, 0.3])
    codes = codes @ turn + 4 * torch.randn(6, generator=rng)
    tilt = codes @ torch.randn(6, generator=rng)
    shares = torch.rand(400, generator=rng) ** 3 * torch.sigmoid(tilt - tilt.mean()) * 5

    def slip(**options: object) -> Callable:
        return lambda *question: _principal(*question, **options)

    mistakes = [
        Mistake("All codes count alike: weigh each by its share.", slip(weigh="none")),
        Mistake("The mean is not subtracted first, so the first direction points at the mean.",
                slip(centre="none")),
        Mistake("The plain mean is subtracted; the crowd's own is weighed by the shares, too.",
                slip(centre="plain")),
        Mistake("The shares' sum is not 1: divide by it, or the mean lies elsewhere.",
                slip(centre="sum")),
        Mistake("Each code is multiplied by its share before products are taken, so that shares "
                "count twice: multiply by the root, or one factor only.", slip(weigh="twice")),
        Mistake("Each code is multiplied by its share and then centred: shares weigh codes, they "
                "don't move them.", slip(weigh="moved")),
        Mistake("The order is ascending, as eigh gives it: the least important directions come "
                "first. Turn it round.", lambda x, s, n: _principal(x, s, 6).flip(0)[:n]),
        Mistake("Your rows are columns of V: eigh has its vectors in columns, svd's Vh has them "
                "in rows.", lambda x, s, n: _principal(x, s, 6).T[:n]),
        Mistake("The rows have the length of the deviations; directions have length 1.",
                slip(scaled=True)),
        Mistake("Codes with a share below the mean are left out: all count, by their share.",
                slip(weigh="half")),
    ]
    return [Check("the rows are the directions of the crowd's largest variance, in order",
                  (codes, shares, 3), _principal(codes, shares, 3), mistakes, 5e-3, "curve", True)]


def _principal(x: Tensor, shares: Tensor, n: int, *, weigh: str = "", centre: str = "",
               scaled: bool = False) -> Tensor:
    """(n, dim) directions of codes that count by their shares; the switches are mistakes."""
    x, w = x.double(), shares.double()
    if weigh == "moved":
        x, w = x * w[:, None], torch.ones_like(w)
    w = {"none": torch.ones_like(w), "half": (w > w.mean()).double()}.get(weigh, w)
    mean = {"none": 0 * x[0], "plain": x.mean(0), "sum": w @ x}.get(centre, w @ x / w.sum())
    x = x - mean
    w = w.square() if weigh == "twice" else w
    values, vectors = torch.linalg.eigh((x * w[:, None]).T @ x / w.sum())
    rows = vectors.T.flip(0)[:n]
    return rows * values.flip(0)[:n, None].sqrt() if scaled else rows


def _slider_checks(rng: torch.Generator) -> list[Check]:
    codes, mean = torch.randn(4, 7, generator=rng), torch.randn(7, generator=rng)
    V = F.normalize(torch.randn(3, 7, generator=rng) + 0.5, dim=1)
    sigma, values = 0.5 + 2 * torch.rand(3, generator=rng), torch.tensor([2.5, -1.2, 0.4])

    def slip(**options: object) -> Callable:
        return lambda *question: _slid(*question, **options)

    mistakes = [
        Mistake("The sliders are set one after the other, and each shifts those before it, as they "
                "lean on each other: solve for all at once.", slip(solve="in turn")),
        Mistake("Each slider goes its own way as if it were alone; they lean on each other, so "
                "each moves the others, too.", slip(solve="as if alone")),
        Mistake("The coordinates are raised by the values; they should become them: subtract what "
                "they are now.", slip(start=0)),
        Mistake("Coordinates are counted from the mean: subtract it first.", slip(centre=0)),
        Mistake("The values are in deviations: multiply each with its sigma.", slip(scale="none")),
        Mistake("The values are divided by sigma; multiply.", slip(scale="divided")),
        Mistake("The present coordinates are added; subtract them.", slip(start=-1)),
        Mistake("The present coordinates are in deviations, the goal is not: bring both to one "
                "unit.", slip(scale="now")),
        Mistake("All that is not along the sliders is lost: change the code by the least step "
                "that sets them, keep the rest.", slip(solve="only")),
        Mistake("Only the first slider is set.", slip(solve="first")),
    ]
    question = codes, mean, V, sigma, values
    return [Check("all coordinates are at their values, and the code has moved the least way",
                  question, _slid(*question), mistakes, kind="curve")]


def _slid(
    x: Tensor, mean: Tensor, V: Tensor, sigma: Tensor, values: Tensor, *, solve: str = "",
    start: float = 1, centre: float = 1, scale: str = "",
) -> Tensor:
    """Codes whose coordinates are set; the switches are mistakes."""
    x, mean, V, sigma, values = (one.double() for one in (x, mean, V, sigma, values))
    goal = {"none": values, "divided": values / sigma}.get(scale, values * sigma)
    if solve == "in turn":
        for v, end in zip(V, goal, strict=True):
            x = x + (end - (x - mean) @ v)[:, None] * v
        return x
    if solve == "first":
        V, goal, sigma = V[:1], goal[:1], sigma[:1]
    now = start * (x - centre * mean) @ V.T
    now = now / sigma if scale == "now" else now
    if solve == "only":
        return (mean + torch.linalg.pinv(V) @ goal).expand_as(x)
    back = V if solve == "as if alone" else torch.linalg.pinv(V).T
    return x + (goal - now) @ back


def _boundary_checks(rng: torch.Generator) -> list[Check]:
    codes, labels, normal = labelled_codes(rng)
    means = codes[labels].mean(0) - codes[~labels].mean(0)
    mistakes = [
        Mistake("That is the difference of the two classes' means. Where numbers of the code go "
                "together it leans towards them: fit a boundary, and take its normal.",
                lambda x, y: F.normalize(means, dim=0)),
        Mistake("The normal leans towards the difference of the means: your classifier is held "
                "back by a strong pull on its weights, or stopped early. Let it fit.",
                lambda x, y: F.normalize(normal + F.normalize(means, dim=0), dim=0)),
        Mistake("The normal points away from the codes that have the label.",
                lambda x, y: -normal),
        Mistake("The direction of largest variance is no boundary: use the labels.",
                lambda x, y: torch.linalg.svd(x - x.mean(0)).Vh[0]),
        Mistake("The direction leads to the mean of the labelled codes, from 0; what matters is "
                "where the labels change.", lambda x, y: F.normalize(x[y].mean(0), dim=0)),
        Mistake("The weights belong to standardised codes: divide them by the deviations, then "
                "scale to length 1.", lambda x, y: F.normalize(normal * x.std(0), dim=0)),
    ]
    return [Check("the unit normal of the boundary between the labels is met within 10 degrees, "
                  "whichever classifier finds it", (codes, labels), normal, mistakes, 0.01,
                  "curve", degrees=10)]


def labelled_codes(rng: torch.Generator, count: int = 3000) -> tuple[Tensor, Tensor, Tensor]:
    """Codes (count, 5), labels (count,), and the unit normal of the plane that parts them.

    The numbers of a code go together, so that the difference of the classes' means is 49 degrees
    off, while discriminant analysis, least squares, and logistic regression come within 6.
    """
    fixed = torch.Generator().manual_seed(2)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=fixed)).Q
    sizes, scales = torch.tensor([[1.8, 1.5, 1.2, 1.0, 0.8], [1.6, 1.0, 0.6, 1.3, 0.8]])
    mixing = sizes[:, None] * turn * scales
    normal = F.normalize(turn.sum(0) / scales + 0.3 * torch.randn(5, generator=fixed), dim=0)
    codes = torch.randn(count, 5, generator=rng) @ mixing + 0.5
    order, signs = torch.randperm(5, generator=rng), torch.randn(5, generator=rng).sign()
    codes, normal = (codes * signs)[:, order], (normal * signs)[order]
    along = codes @ normal
    return codes, along > along.mean() + 0.3 * along.std(), normal


def _own_checks(rng: torch.Generator) -> list[Demand]:
    return [Demand("your edit has a name, moves some rows, and is seen but not too far",
                   find_fault_in_edit)]


check = Feedback("a4_directions", {
    1: Part("principal directions of a crowd", 20, _principal_checks,
            by_hand=("principal_components",)),
    2: Part("several sliders at once", 15, _slider_checks, by_hand=("set_coordinate",)),
    3: Part("these layers, and not those", 20, layer_checks, by_hand=("sefa",)),
    4: Part("as far as natural", 15, move_checks, by_hand=("move",)),
    5: Part("the least strange step", 15, natural_checks),
    6: Part("a named edit on a real photo", 5, _own_checks),
    7: Part("what the name hides", 10),
    "E1": Part("a boundary and its normal", 10, _boundary_checks, extra=True,
               by_hand=("annotated",)),
})
