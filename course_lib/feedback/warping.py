"""Checks of a2: other moving least squares; a morph, and strain: `morphs`; lines: `segments`.

Expected answers are the paper's formulas in float64, one dense solve a place.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.feedback.core import Feedback, Part
from course_lib.feedback.diagnosis import Check, Demand, Mistake
from course_lib.feedback.morphs import morph_checks, strain_checks
from course_lib.feedback.recipes import find_fault_in_warp
from course_lib.feedback.segments import segment_checks


def _weight_checks(rng: torch.Generator) -> list[Check]:
    handles, places = 10 * torch.rand(5, 2, generator=rng), 10 * torch.rand(7, 2, generator=rng)
    on_handles = torch.cat([handles[1:3], places])
    mistakes = [
        Mistake("Distances are not taken round the panorama, as on an ordinary picture: along x "
                "it is the shorter way, at most half the width.",
                lambda v, p, a, width: _weights(v, p, a, None)),
        Mistake("Distances go round along y as well; only left and right meet.",
                lambda v, p, a, width: _weights(v, p, a, width, both=True)),
        Mistake("It is the longer way round: take the shorter one, |dx| or width − |dx|.",
                lambda v, p, a, width: _weights(v, p, a, width, longer=True)),
        Mistake("The way to the left is lost: dx modulo width is between 0 and width, and half of "
                "those ways have a shorter one back.",
                lambda v, p, a, width: _weights(v, p, a, width, forward=True)),
        Mistake("The distance enters with the power α; it is 2α: |p - v|^(2α).",
                lambda v, p, a, width: _weights(v, p, a / 2, width)),
        Mistake("The squared distance enters with the power 2α, so the distance with 4α.",
                lambda v, p, a, width: _weights(v, p, 2 * a, width)),
        Mistake("Far handles weigh most: take the reciprocal.",
                lambda v, p, a, width: _weights(v, p, -a, width)),
        Mistake("The weights of all places at a handle sum to 1; those of all handles at a place "
                "should: sum over the other axis.",
                lambda v, p, a, width: _raw(v, p, a, width) / _raw(v, p, a, width).sum(0)),
        Mistake("The weights at a place don't sum to 1: divide by their sum over the handles.",
                _raw),
        Mistake("Something like 1 is added to the distances to avoid a division by 0, which "
                "blunts them all: add as little as 1e-20 to the squared distance.",
                lambda v, p, a, width: _normal(_raw(v, p, a, width, least=1))),
    ]
    return [
        Check(law, question, _weights(*question), mistakes, kind="curve")
        for law, question in (
            ("weights fall with |p - v| the shorter way round", (places, handles, 1.0, 10)),
            ("a larger α favours near handles more", (places, handles, 1.7, 10)),
            ("on a handle its weight is 1, the others are 0", (on_handles, handles, 1.0, 10)))
    ]


def _raw(v: Tensor, p: Tensor, falloff: float, width: float | None, *, both: bool = False,
         longer: bool = False, forward: bool = False, least: float = 1e-20) -> Tensor:
    way = v.double()[:, None] - p.double()
    if width is not None:
        ahead = way.remainder(width)
        near, far = torch.minimum(ahead, width - ahead), torch.maximum(ahead, width - ahead)
        turned = ahead if forward else far if longer else near
        way = turned if both else torch.stack([turned[..., 0], way[..., 1]], dim=-1)
    return (way.square().sum(-1) + least) ** -falloff


def _normal(weights: Tensor) -> Tensor:
    return weights / weights.sum(1, keepdim=True)


def _weights(v: Tensor, p: Tensor, falloff: float, width: float | None, **slip: bool) -> Tensor:
    return _normal(_raw(v, p, falloff, width, **slip))


def _slip(kind: str, **switches: object) -> Callable:
    return lambda *question: _mls(*question, kind=kind, **switches)


def _stretch_checks(rng: torch.Generator) -> list[Check]:
    mistakes = [
        Mistake("That is the affine map, which also turns and shears: here x depends on x alone, "
                "and y on y.", _slip("affine")),
        Mistake("Both axes have one factor: sum over the handles only, not over x and y.",
                _slip("one factor")),
        Mistake("The spread of the targets is divided by the spread of the handles, which has no "
                "sign: it is Σ w p̂ q̂ / Σ w p̂².", _slip("spreads")),
        Mistake("It is divided by Σ w q̂²: derive it from the derivative in s, which leaves "
                "Σ w p̂².", _slip("by q")),
        Mistake("The weights are not used, so one map is fitted for all places: each place has "
                "its own row of weights.", _slip("stretch", weigh=False)),
        Mistake("The weights are applied twice: least squares squares its rows, so multiply them "
                "with the root of the weights.",
                lambda v, p, q, w: _mls(v, p, q, _normal(w**2), kind="stretch")),
        Mistake("The maps have no shift of their own: they stretch around (0, 0). Subtract p* and "
                "q*.", _slip("stretch", centre="none")),
        Mistake("p* and q* are plain means of the handles; they are weighted ones, other at "
                "each place.", _slip("stretch", centre="mean")),
        Mistake("The map runs backwards, from the targets to the handles.",
                lambda v, p, q, w: _mls(v, q, p, w, kind="stretch")),
        Mistake("q* is not added at the end: f(v) = s ⊙ (v - p*) + q*.",
                _slip("stretch", end="none")),
        Mistake("p* is added at the end; it is q*: f(v) = s ⊙ (v - p*) + q*.",
                _slip("stretch", end="p")),
    ]
    return _map_checks(rng, "stretch", mistakes, [
        ("a stretch of the handles stretches everything alike",
         lambda p: p * torch.tensor([1.4, 0.7]) + 7, ()),
    ])


def _bounded_checks(rng: torch.Generator) -> list[Check]:
    mistakes = [
        Mistake("Your map never grows: that is the rigid one. Between 1 / k and k it may.",
                lambda *question: _mls(*question[:-1], 1.0, kind="bounded")),
        Mistake("Your map grows as it likes: that is the similarity. Clamp the growth.",
                lambda *question: _mls(*question[:-1], 1e9, kind="bounded")),
        Mistake("The growth is held below k, but may shrink to nothing: not below 1 / k.",
                _slip("bounded", floor=False)),
        Mistake("The growth is held above 1 / k, but not below k.", _slip("bounded", top=False)),
        Mistake("The growth is divided by the handles' targets, Σ w |q̂|²: derive it, and it is "
                "|m| / Σ w |p̂|².", _slip("bounded", measure="q")),
        Mistake("|m| itself is clamped, which is no growth yet: divide it by Σ w |p̂|² first.",
                _slip("bounded", measure="none")),
        Mistake("The picture turns the wrong way: conjugate the handles p, not the targets q.",
                _slip("bounded", conjugate="q")),
        Mistake("Nothing is conjugated: m = Σ w p̂ conjugate times q̂.",
                _slip("bounded", conjugate="none")),
        Mistake("p* and q* are plain means of the handles; they are weighted ones, other at "
                "each place.", _slip("bounded", centre="mean")),
        Mistake("The weights are not used, so one map is used for all places: each place has its "
                "own row of weights.", _slip("bounded", weigh=False)),
        Mistake("q* is not added at the end: f(v) = r a (v - p*) + q*.",
                _slip("bounded", end="none")),
        Mistake("p* is added at the end; it is q*: f(v) = r a (v - p*) + q*.",
                _slip("bounded", end="p")),
        Mistake("The map runs backwards, from the targets to the handles.",
                lambda v, p, q, w, k: _mls(v, q, p, w, k, kind="bounded")),
    ]
    turn = torch.tensor([[0.6, 0.8], [-0.8, 0.6]])
    return _map_checks(rng, "bounded", mistakes, [
        ("k = 1 is the rigid map", lambda p: 1.6 * p @ turn - 5, (1.0,)),
        ("a growth within the bounds stays as it is", lambda p: 1.2 * p @ turn + 7, (1.3,)),
        ("where all shrinks by more, it shrinks by k", lambda p: 0.4 * p @ turn + 7, (1.3,)),
    ], (1.3,))


def _map_checks(rng: torch.Generator, kind: str, mistakes: list[Mistake],
                motions: list[tuple[str, Callable, tuple]], more: tuple = ()) -> list[Check]:
    v, places = 40 * torch.rand(24, 2, generator=rng), torch.rand(8, 2, generator=rng)
    p = 18 * places + torch.tensor([[0.0, 0.0]] * 4 + [[22.0, 22.0]] * 4)  # two groups of handles:
    size = torch.tensor([0.2] * 4 + [2.5] * 4)[:, None]  # one comes together, one spreads out
    centre = torch.tensor([[9.0, 9.0]] * 4 + [[31.0, 31.0]] * 4)
    q = size * (p - centre) + 1.2 * centre.flip(0) + torch.randn(8, 2, generator=rng)
    w = _weights(v, p, 2.0, None).float()
    questions = [("near handles lead", (v, p, q, w, *more))]  # it tells most mistakes apart
    questions += [(law, (v, p, motion(p), w, *limit)) for law, motion, limit in motions]
    return [Check(law, question, _mls(*question, kind=kind), mistakes, 0.02, kind="points")
            for law, question in questions]


def _mls(
    v: Tensor, p: Tensor, q: Tensor, w: Tensor, limit: float = 1.0, *, kind: str,
    weigh: bool = True, centre: str = "weighted", end: str = "q", **slips: object,
) -> Tensor:
    """A map of a class at each place, moved by its weighted means; the switches are mistakes."""
    v, p, q, w = v.double(), p.double(), q.double(), w.double()
    alike = torch.full_like(w, 1 / len(p))
    w = w if weigh else alike
    shares = {"weighted": w, "mean": alike, "none": 0 * w}[centre]
    p_star, q_star = shares @ p, shares @ q
    p_hat, q_hat, arm = p - p_star[:, None], q - q_star[:, None], v - p_star
    if kind == "affine":
        moments = [torch.einsum("vh,vhi,vhj->vij", w, p_hat, one) for one in (p_hat, q_hat)]
        moved = torch.einsum("vi,vij->vj", arm, torch.linalg.solve(*moments))
    elif kind == "bounded":
        moved = _turned(arm, p_hat, q_hat, w, limit, **slips)
    else:
        moved = arm * _factors(p_hat, q_hat, w[..., None], kind)
    return moved + {"q": q_star, "p": p_star, "none": 0 * q_star}[end]


def _factors(p_hat: Tensor, q_hat: Tensor, w: Tensor, kind: str) -> Tensor:
    """The stretch along x and y at each place, and what is taken for it."""
    both, ours, theirs = ((w * one).sum(1) for one in (p_hat * q_hat, p_hat**2, q_hat**2))
    return {"stretch": both / ours, "by q": both / theirs, "spreads": (theirs / ours).sqrt(),
            "one factor": both.sum(1, True) / ours.sum(1, True)}[kind]


def _turned(arm: Tensor, p_hat: Tensor, q_hat: Tensor, w: Tensor, limit: float, *,
            conjugate: str = "p", measure: str = "p", floor: bool = True,
            top: bool = True) -> Tensor:
    """The arms, turned and grown within the limit; the switches are mistakes."""
    a, b, arm = (torch.view_as_complex(one.contiguous()) for one in (p_hat, q_hat, arm))
    sizes = {"p": (w * a.abs() ** 2).sum(1), "q": (w * b.abs() ** 2).sum(1), "none": 1}
    a, b = (a.conj() if conjugate == "p" else a), (b.conj() if conjugate == "q" else b)
    m = (w * a * b).sum(1)
    growth = m.abs() / sizes[measure]
    growth = growth.clamp(min=1 / limit) if floor else growth
    growth = growth.clamp(max=limit) if top else growth
    return torch.view_as_real(arm * m / m.abs() * growth)


def _own_checks(rng: torch.Generator) -> list[Demand]:
    return [Demand("your handles lie in the photo, drag something, and fold little of it",
                   find_fault_in_warp)]


check = Feedback("a2_warping", {
    1: Part("weights on a panorama", 10, _weight_checks),
    2: Part("only stretch", 25, _stretch_checks, by_hand=("deform_points", "warp_mls")),
    3: Part("rigid, within reason", 25, _bounded_checks, by_hand=("deform_points", "warp_mls")),
    4: Part("from one face to another", 10, morph_checks),
    5: Part("how far from rigid", 15, strain_checks),
    6: Part("a warp of your own", 5, _own_checks),
    7: Part("stiff or soft?", 10),
    "E1": Part("line segments", 10, segment_checks, extra=True),
})
