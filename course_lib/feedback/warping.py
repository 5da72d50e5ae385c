"""Checks of a2: moving least squares by hand, and drawing with it; with lines: `segments`.

Expected answers are the paper's formulas in float64, one dense solve a place.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.feedback.core import Feedback, Part
from course_lib.feedback.diagnosis import Check, Demand, Mistake
from course_lib.feedback.poisson import random_picture
from course_lib.feedback.recipes import find_fault_in_warp
from course_lib.feedback.segments import segment_checks
from course_lib.warping import deform_points, warp_mls


def _weight_checks(rng: torch.Generator) -> list[Check]:
    handles, places = 10 * torch.rand(5, 2, generator=rng), 10 * torch.rand(7, 2, generator=rng)
    on_handles = torch.cat([handles[1:3], places])
    mistakes = [
        Mistake("The distance enters with the power α; it is 2α: |p - v|^(2α).",
                lambda v, p, a: _weights(v, p, a / 2)),
        Mistake("The squared distance enters with the power 2α, so the distance with 4α.",
                lambda v, p, a: _weights(v, p, 2 * a)),
        Mistake("Far handles weigh most: take the reciprocal.",
                lambda v, p, a: _weights(v, p, -a)),
        Mistake("The weights of all places at a handle sum to 1; those of all handles at a place "
                "should: sum over the other axis.",
                lambda v, p, a: _raw(v, p, a) / _raw(v, p, a).sum(0)),
        Mistake("The weights at a place don't sum to 1: divide by their sum over the handles.",
                _raw),
        Mistake("The distance is |x| + |y|; it is the root of x² + y².",
                lambda v, p, a: _normal(torch.cdist(v.double(), p.double(), p=1) ** (-2 * a))),
        Mistake("Something like 1 is added to the distances to avoid a division by 0, which "
                "blunts them all: add as little as 1e-20 to the squared distance.",
                lambda v, p, a: _normal((torch.cdist(v.double(), p.double()) ** 2 + 1) ** -a)),
    ]
    return [
        Check(law, question, _weights(*question), mistakes, kind="curve")
        for law, question in (
            ("weights fall with |p - v| to the power 2α, and sum to 1", (places, handles, 1.0)),
            ("a larger α favours near handles more", (places, handles, 1.7)),
            ("on a handle its weight is 1, the others are 0", (on_handles, handles, 1.0)))
    ]


def _raw(v: Tensor, p: Tensor, falloff: float) -> Tensor:
    return (torch.cdist(v.double(), p.double()) ** 2 + 1e-20) ** -falloff


def _normal(weights: Tensor) -> Tensor:
    return weights / weights.sum(1, keepdim=True)


def _weights(v: Tensor, p: Tensor, falloff: float) -> Tensor:
    return _normal(_raw(v, p, falloff))


def _slip(kind: str, **switches: object) -> Callable:
    return lambda v, p, q, w: _mls(v, p, q, w, kind, **switches)


def _affine_checks(rng: torch.Generator) -> list[Check]:
    mistakes = [
        Mistake("The weights are not used, so one affine map is fitted for all places: each "
                "place has its own row of weights.", _slip("affine", weigh=False)),
        Mistake("The weights are applied twice: least squares squares its rows, so multiply them "
                "with the root of the weights.",
                lambda v, p, q, w: _mls(v, p, q, _normal(w**2), "affine")),
        Mistake("The maps have no translation: they only turn and stretch around (0, 0). Append "
                "a 1 to each point, or subtract p* and q*.", _slip("affine", centre="none")),
        Mistake("p* and q* are plain means of the handles; they are weighted ones, other at "
                "each place.", _slip("affine", centre="mean")),
        Mistake("M is transposed: points are rows here, so it is v @ M.",
                _slip("affine", transpose=True)),
        Mistake("The map runs backwards, from the targets to the handles.",
                lambda v, p, q, w: _mls(v, q, p, w, "affine")),
        Mistake("q* is not added at the end: f(v) = (v - p*) M + q*.", _slip("affine", end="none")),
        Mistake("p* is added at the end; it is q*: f(v) = (v - p*) M + q*.",
                _slip("affine", end="p")),
    ]
    return _map_checks(rng, "affine", mistakes, [
        ("an affine motion of the handles moves everything alike",
         lambda p: p @ torch.tensor([[1.3, 0.4], [-0.2, 0.8]]) + 7),
    ])


def _rigid_checks(rng: torch.Generator) -> list[Check]:
    mistakes = [
        Mistake("Your map scales: that is the similarity. Divide m by |m|.", _slip("similarity")),
        Mistake("Your map still stretches and shears: that is the affine one.", _slip("affine")),
        Mistake("The picture turns the wrong way: conjugate the handles p, not the targets q.",
                _slip("rigid", conjugate="q")),
        Mistake("Nothing is conjugated: m = Σ w p̂ conjugate times q̂.",
                _slip("rigid", conjugate="none")),
        Mistake("p* and q* are plain means of the handles; they are weighted ones, other at "
                "each place.", _slip("rigid", centre="mean")),
        Mistake("The maps turn around (0, 0): subtract p* and q* from the handles first.",
                _slip("rigid", centre="none")),
        Mistake("The weights are not used, so one map is used for all places: each place has its "
                "own row of weights.", _slip("rigid", weigh=False)),
        Mistake("The weights are missing in m = Σ w p̂ conjugate times q̂, where near handles "
                "should lead.", _slip("rigid", weigh_turn=False)),
        Mistake("q* is not added at the end: f(v) = m (v - p*) + q*.", _slip("rigid", end="none")),
        Mistake("p* is added at the end; it is q*: f(v) = m (v - p*) + q*.",
                _slip("rigid", end="p")),
        Mistake("The map runs backwards, from the targets to the handles.",
                lambda v, p, q, w: _mls(v, q, p, w, "rigid")),
    ]
    return _map_checks(rng, "rigid", mistakes, [
        ("a rotation of the handles turns everything alike",
         lambda p: p @ torch.tensor([[0.6, 0.8], [-0.8, 0.6]]) + 7),
        ("handles that grow apart stretch nothing between them", lambda p: 1.6 * p - 5),
    ])


def _map_checks(rng: torch.Generator, kind: str, mistakes: list[Mistake],
                motions: list[tuple[str, Callable]]) -> list[Check]:
    p, v = 40 * torch.rand(6, 2, generator=rng), 40 * torch.rand(12, 2, generator=rng)
    q, w = p + 9 * torch.randn(6, 2, generator=rng), _weights(v, p, 1.0).float()
    questions = [("near handles lead", (v, p, q, w))]  # first, as it tells most mistakes apart
    questions += [(law, (v, p, motion(p), w)) for law, motion in motions]
    return [Check(law, question, _mls(*question, kind), mistakes, 0.02, kind="points")
            for law, question in questions]


def _mls(
    v: Tensor, p: Tensor, q: Tensor, w: Tensor, kind: str, *, weigh: bool = True,
    weigh_turn: bool = True, centre: str = "weighted", transpose: bool = False, end: str = "q",
    conjugate: str = "p",
) -> Tensor:
    """The paper's maps for row vectors; the switches are mistakes."""
    v, p, q, w = v.double(), p.double(), q.double(), w.double()
    alike = torch.full_like(w, 1 / len(p))
    w = w if weigh else alike
    shares = {"weighted": w, "mean": alike, "none": 0 * w}[centre]
    p_star, q_star = shares @ p, shares @ q
    p_hat, q_hat = p - p_star[:, None], q - q_star[:, None]
    arm = v - p_star
    if kind == "affine":
        moments = [torch.einsum("vh,vhi,vhj->vij", w, p_hat, one) for one in (p_hat, q_hat)]
        M = torch.linalg.solve(*moments)
        moved = torch.einsum("vi,vji->vj" if transpose else "vi,vij->vj", arm, M)
    else:
        a, b = torch.view_as_complex(p_hat.contiguous()), torch.view_as_complex(q_hat.contiguous())
        a, b = (a.conj() if conjugate == "p" else a), (b.conj() if conjugate == "q" else b)
        m = ((w if weigh_turn else alike) * a * b).sum(1)
        m = m / (m.abs() if kind == "rigid" else (w * a.abs() ** 2).sum(1))
        moved = torch.view_as_real(torch.view_as_complex(arm.contiguous()) * m)
    return moved + {"q": q_star, "p": p_star, "none": 0 * q_star}[end]


def _draw_checks(rng: torch.Generator) -> list[Check]:
    image = random_picture(rng, 20, 26)
    p = torch.rand(4, 2, generator=rng) * torch.tensor([25.0, 19.0])
    q = p + 3 * torch.randn(4, 2, generator=rng)

    def look(places: Tensor, image: Tensor, **options: object) -> Tensor:
        return _sample(image, places.reshape(*image.shape[1:], 2), **options)

    def came_from(image: Tensor, p: Tensor, q: Tensor) -> Tensor:
        y, x = torch.meshgrid(*map(torch.arange, image.shape[1:]), indexing="ij")
        return deform_points(torch.stack([x, y], dim=-1).reshape(-1, 2).float(), q, p)

    def slip(**options: object) -> Callable:
        return lambda image, p, q: look(came_from(image, p, q), image, **options)

    mistakes = [
        Mistake("Everything moves the other way: each pixel must ask where it *came from*. Fit "
                "the map from q to p.", lambda image, p, q: look(came_from(image, q, p), image)),
        Mistake("x and y are exchanged when you look things up: grid_sample wants (x, y) last, "
                "x first.", lambda image, p, q: look(came_from(image, p, q).flip(1), image)),
        Mistake("Colours are taken from the nearest pixel: sample bilinearly.",
                slip(mode="nearest")),
        Mistake("Places are off by up to half a pixel: -1 and 1 are the centres of the outer "
                "pixels, so divide by (width - 1), (height - 1), with align_corners=True.",
                slip(align_corners=False)),
        Mistake("You divide by width and height; with align_corners=True it is width - 1 and "
                "height - 1.", slip(short=0)),
        Mistake('Beyond its border your picture is black: repeat it, padding_mode="border".',
                slip(padding_mode="zeros")),
        Mistake("The picture does not move: the places are not deformed.",
                lambda image, p, q: image),
        Mistake("Width and height are exchanged where you divide: x goes with the width.",
                slip(swap=True)),
    ]
    return [Check("what is at p comes to lie at q", (image, p, q),
                  warp_mls(image, p, q, grid_step=None), mistakes, 5e-3)]


def _sample(image: Tensor, places: Tensor, *, mode: str = "bilinear", align_corners: bool = True,
            padding_mode: str = "border", short: int = 1, swap: bool = False) -> Tensor:
    size = torch.tensor(image.shape[:0:-1] if not swap else image.shape[1:]) - short
    return torch.nn.functional.grid_sample(
        image[None], (2 * places / size - 1)[None], mode=mode, align_corners=align_corners,
        padding_mode=padding_mode,
    )[0]


def _area_checks(rng: torch.Generator) -> list[Check]:
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(12.0), indexing="ij")
    places = torch.stack([x, y], dim=-1)
    turned = places @ torch.tensor([[1.2, 0.9], [-0.5, 0.7]]) + 3
    moved = places + 0.7 * torch.randn(9, 12, 2, generator=rng)
    mistakes = [
        Mistake("Folded squares have lost their sign: leave out the absolute value.",
                lambda f: _areas(f).abs()),
        Mistake("The two products are added: a determinant subtracts them.",
                lambda f: _areas(f, sign=1)),
        Mistake("The lengths of the two sides are multiplied, which is the area of a rectangle "
                "only: take the determinant.", lambda f: _areas(f, lengths=True)),
        Mistake("That is 1 too little or the area of the motion: differentiate the places f "
                "themselves.", lambda f: _areas(f - places)),
        Mistake("The axes are exchanged, so all signs are: along x the *second* index grows.",
                lambda f: -_areas(f)),
        Mistake("Each difference spans two pixels: the area is four times too large, or a "
                "central difference is not halved.", lambda f: 4 * _areas(f)),
    ]
    return [Check(law, (f,), _areas(f), mistakes, kind="maps")
            for law, f in (("folded squares have negative areas", moved),
                           ("an affine map changes every area by its determinant", turned))]


def _areas(f: Tensor, *, sign: int = -1, lengths: bool = False) -> Tensor:
    f = f.double()
    dx, dy = f[:-1, 1:] - f[:-1, :-1], f[1:, :-1] - f[:-1, :-1]
    if lengths:
        return dx.norm(dim=-1) * dy.norm(dim=-1)
    return dx[..., 0] * dy[..., 1] + sign * dx[..., 1] * dy[..., 0]


def _own_checks(rng: torch.Generator) -> list[Demand]:
    return [Demand("your handles lie in the photo, drag something, and fold little of it",
                   find_fault_in_warp)]


check = Feedback("a2_warping", {
    1: Part("the weights of the handles", 10, _weight_checks),
    2: Part("the affine map", 25, _affine_checks, by_hand=("deform_points", "warp_mls")),
    3: Part("the rigid map", 25, _rigid_checks, by_hand=("deform_points", "warp_mls")),
    4: Part("drawing, backwards", 15, _draw_checks, by_hand=("warp_mls",)),
    5: Part("areas and folds", 10, _area_checks),
    6: Part("a warp of your own", 5, _own_checks),
    7: Part("stiff or soft?", 10),
    "E1": Part("line segments", 10, segment_checks, extra=True),
})
