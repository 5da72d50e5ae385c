"""Checks of a2, its second half: one picture turns into another, and the strain of a warp."""

import torch
from torch import Tensor

from course_lib.feedback.diagnosis import Check, Mistake
from course_lib.feedback.poisson import random_picture
from course_lib.warping import warp_mls


def morph_checks(rng: torch.Generator) -> list[Check]:
    """Part 4: one picture turns into another."""
    first, second = random_picture(rng, 20, 26), random_picture(rng, 20, 26)
    p = torch.rand(4, 2, generator=rng) * torch.tensor([25.0, 19.0])
    q = p + 4 * torch.randn(4, 2, generator=rng)

    return [Check(law, (first, second, p, q, t), _morph(first, second, p, q, t),
                  _morph_mistakes(), 0.015)
            for law, t in (("at t both have gone their part of the way", 0.35),
                           ("at t = 0 there is the first alone", 0.0),
                           ("at t = 1 there is the second alone", 1.0))]


def _morph_mistakes() -> list[Mistake]:
    return [
        Mistake("Nothing is warped: that is a cross-fade, in which both are seen at once.",
                lambda a, b, p, q, t: (1 - t) * a + t * b),
        Mistake("Both are warped all the way, whatever t is: they meet at h.",
                lambda a, b, p, q, t: (1 - t) * _to(a, p, q) + t * _to(b, q, p)),
        Mistake("Only the first is warped; warp the second from q to h as well.",
                lambda a, b, p, q, t: (1 - t) * _to(a, p, _at(p, q, t)) + t * b),
        Mistake("Only the second is warped; warp the first from p to h as well.",
                lambda a, b, p, q, t: (1 - t) * a + t * _to(b, q, _at(p, q, t))),
        Mistake("The second is warped as the first, or they are mixed before they are warped: the "
                "second's handles are q, not p.",
                lambda a, b, p, q, t: (1 - t) * _to(a, p, _at(p, q, t))
                + t * _to(b, p, _at(p, q, t))),
        Mistake("The warps run backwards: what is at p comes to lie at h.",
                lambda a, b, p, q, t: (1 - t) * _to(a, _at(p, q, t), p)
                + t * _to(b, _at(p, q, t), q)),
        Mistake("The shares are exchanged: 1 - t of the first, t of the second.",
                lambda a, b, p, q, t: _morph(a, b, p, q, t, share=1 - t)),
        Mistake("The handles run the other way: at t they lie at (1 - t) p + t q.",
                lambda a, b, p, q, t: _morph(a, b, p, q, t, place=1 - t)),
        Mistake("The pictures are mixed half and half at all times.",
                lambda a, b, p, q, t: _morph(a, b, p, q, t, share=0.5)),
        Mistake("The warp is only worked out on a coarse grid: pass grid_step=None, for every "
                "pixel.", lambda a, b, p, q, t: (1 - t) * warp_mls(a, p, _at(p, q, t))
                + t * warp_mls(b, q, _at(p, q, t))),
        Mistake("Only the first is seen: mix in t of the second.",
                lambda a, b, p, q, t: _to(a, p, _at(p, q, t))),
    ]


def _at(p: Tensor, q: Tensor, t: float) -> Tensor:
    return (1 - t) * p + t * q


def _to(image: Tensor, handles: Tensor, moved: Tensor) -> Tensor:
    return warp_mls(image, handles, moved, grid_step=None)


def _morph(a: Tensor, b: Tensor, p: Tensor, q: Tensor, t: float, *, share: float | None = None,
           place: float | None = None) -> Tensor:
    share, h = t if share is None else share, _at(p, q, t if place is None else place)
    return (1 - share) * _to(a, p, h) + share * _to(b, q, h)


def strain_checks(rng: torch.Generator) -> list[Check]:
    """Part 5: how far a warp is from rigid."""
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(12.0), indexing="ij")
    places = torch.stack([x, y], dim=-1)
    turned = places @ torch.tensor([[1.2, 0.9], [-0.5, 0.7]]) + 3
    moved = places + 0.7 * torch.randn(9, 12, 2, generator=rng)
    mistakes = [
        Mistake("That is the distance from not moving, J - 1: a mere turn must cost nothing. Take "
                "the *nearest* rotation.", lambda f: _strain(f, still=True)),
        Mistake("That is the determinant, the area: it cannot see a shear.", _areas),
        Mistake("That is the distance from the nearest mirror image: check the signs in φ.",
                lambda f: _strain(f, mirror=True)),
        Mistake("A folded pixel counts as if it were not: singular values have no sign, but a "
                "rotation has determinant +1. Give the smaller one the sign of det J.",
                lambda f: _strain(f, unfold=True)),
        Mistake("The root is taken: the squared distance is asked for.",
                lambda f: _strain(f).clamp(min=0).sqrt()),
        Mistake("The 2 is missing: ‖R‖² is 2 for every rotation.", lambda f: _strain(f) - 2),
        Mistake("The 2 before the length is missing: -2 J · R.",
                lambda f: (_strain(f) + _square(f) + 2) / 2),
        Mistake("The motion f − (x, y) is differentiated, not the places f.",
                lambda f: _strain(f - places)),
        Mistake("Each difference spans two pixels: J is twice too large, or a central "
                "difference is not halved.", lambda f: _strain(2 * f)),
        Mistake("The rotation is left out: that is ‖J‖² alone.", _square),
    ]
    return [Check(law, (f,), _strain(f), mistakes, kind="maps")
            for law, f in (("strain is the distance from the nearest rotation", moved),
                           ("an affine map has the same strain everywhere", turned))]


def _sides(f: Tensor) -> tuple[Tensor, Tensor]:
    f = f.double()
    return f[:-1, 1:] - f[:-1, :-1], f[1:, :-1] - f[:-1, :-1]


def _areas(f: Tensor) -> Tensor:
    dx, dy = _sides(f)
    return dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]


def _square(f: Tensor) -> Tensor:
    dx, dy = _sides(f)
    return (dx**2 + dy**2).sum(-1)


def _strain(f: Tensor, *, still: bool = False, mirror: bool = False,
            unfold: bool = False) -> Tensor:
    J = torch.stack(_sides(f), dim=-1)
    U, S, V = torch.linalg.svd(J)
    sign = torch.det(U @ V).sign()  # of the nearest orthogonal matrix
    if still:
        return (J - torch.eye(2)).square().sum((-2, -1))
    sign = -sign if mirror else sign.abs() if unfold else sign
    return (S[..., 0] - 1) ** 2 + (sign * S[..., 1] - 1) ** 2
