"""Checks of a1, and its second half: L0 smoothing's two subproblems, a blend, and extras."""

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.feedback.core import Feedback, Part
from course_lib.feedback.diagnosis import Check, Demand, Mistake
from course_lib.feedback.poisson import (
    blend_checks,
    mixed_checks,
    random_picture,
    row_checks,
    toy_checks,
)
from course_lib.feedback.recipes import find_fault_in_blend
from course_lib.gradients import gradient


def _edge_checks(rng: torch.Generator) -> list[Check]:
    picture = torch.rand(3, 16, 21, generator=rng)
    right, mistakes = _edges(), _edge_mistakes()
    return [
        Check(law, (picture, *numbers), right(picture, *numbers), mistakes, kind="maps")
        for law, numbers in (("weak gradients go, strong ones stay as they are", (1.8, 1.2)),
                             ("a larger β keeps more of them", (1.8, 3.1)))
    ]


def _edge_mistakes() -> list[Mistake]:
    return [
        Mistake("Each channel decides for itself, so an edge may stay in blue alone: sum the "
                "squares over the channels first.",
                _edges(strength=lambda f: f.square().sum(0, keepdim=True))),
        Mistake("h and v are judged apart: a pixel keeps both or none.",
                _edges(strength=lambda f: f.square().sum(1, keepdim=True))),
        Mistake("The threshold is λ · β; it is λ / β, so it falls while β grows.",
                _edges(threshold=lambda smoothness, beta: smoothness * beta)),
        Mistake("The squared gradient is compared with the root of λ / β: square both or none.",
                _edges(threshold=lambda smoothness, beta: (smoothness / beta) ** 0.5)),
        Mistake("The strong gradients are dropped and the weak ones kept: it is the other way.",
                _edges(keep=torch.lt)),
        Mistake("Sizes are added, not squares: |∂x|² + |∂y|² is what costs λ / β.",
                _edges(strength=lambda f: f.abs().sum((0, 1), keepdim=True))),
        Mistake("The squares are averaged over the channels; they are summed.",
                _edges(strength=lambda f: f.square().mean(1, keepdim=True).sum(0, keepdim=True))),
        Mistake("The last column and row have no difference in yours: the border is periodic, so "
                "right of the last column comes the first.",
                _edges(lambda S: gradient(S))),
        Mistake("Those are differences to the neighbour before; take the one after, "
                "S[x + 1] - S[x]: roll by -1.",
                _edges(lambda S: torch.stack([S - S.roll(1, -1), S - S.roll(1, -2)]))),
        Mistake("No gradient is dropped: set those below the threshold to 0.",
                lambda S, smoothness, beta: _periodic(S)),
    ]


def _periodic(S: Tensor) -> Tensor:
    return torch.stack([S.roll(-1, -1) - S, S.roll(-1, -2) - S])


def _strength(field: Tensor) -> Tensor:
    return field.square().sum((0, 1), keepdim=True)


def _edges(differences: Callable = _periodic, strength: Callable = _strength,
           threshold: Callable = lambda smoothness, beta: smoothness / beta,
           keep: Callable = torch.ge) -> Callable:
    """The gradients that are kept; the switches are mistakes."""
    def answer(S: Tensor, smoothness: float, beta: float) -> Tensor:
        field = differences(S)
        return field * keep(strength(field), threshold(smoothness, beta))
    return answer


def _step_checks(rng: torch.Generator) -> list[Check]:
    image = random_picture(rng, 8, 11)
    h, v = 0.3 * torch.randn(2, 3, 8, 11, generator=rng) * (torch.rand(8, 11, generator=rng) < 0.4)
    mistakes = [
        Mistake("The gradients enter with the wrong sign: ∇ᵀ takes h[x - 1] - h[x].",
                lambda S, h, v, beta: _step(S, -h, -v, beta)),
        Mistake("β is missing on the right side: it is I + β ∇ᵀ(h, v).",
                lambda S, h, v, beta: _step(S, h / beta, v / beta, beta)),
        Mistake("β is missing in the denominator: it is 1 + β (4 sin² + 4 sin²).",
                lambda S, h, v, beta: _step(S, beta * h, beta * v, 1.0)),
        Mistake("∇ᵀ looks at the neighbour after. It is the adjoint: h[x - 1] - h[x], roll by +1.",
                lambda S, h, v, beta: _step(S, h.roll(-1, -1), v.roll(-1, -2), beta)),
        Mistake("h and v are exchanged: h holds the differences along x, columns, the last axis.",
                lambda S, h, v, beta: _step(S, v, h, beta)),
        Mistake("The denominator has only one of the two axes: add both sines.",
                lambda S, h, v, beta: _step(S, h, v, beta, axes=(1, 0))),
        Mistake("The denominator has only one of the two axes: add both sines.",
                lambda S, h, v, beta: _step(S, h, v, beta, axes=(0, 1))),
        Mistake("The sines lack their factor 4, or their square: 4 sin²(ω/2) = 2 - 2 cos ω.",
                lambda S, h, v, beta: _step(S, h, v, beta, axes=(0.25, 0.25))),
        Mistake("The input is missing: (h, v) alone fixes no brightness. The right side is "
                "I + β ∇ᵀ(h, v).", lambda S, h, v, beta: _step(0 * S, h, v, beta)),
        Mistake("The gradients are missing: that is a mere blur. The right side is "
                "I + β ∇ᵀ(h, v).", lambda S, h, v, beta: _step(S, 0 * h, 0 * v, beta)),
        Mistake("ω is not halved in the sine, or it counts to the wrong length: along x, the "
                "k-th frequency is ω = 2πk / width.",
                lambda S, h, v, beta: _step(S, h, v, beta, turn=2)),
    ]
    field = _periodic(image)
    return [
        Check(law, question, _step(*question), mistakes)
        for law, question in (
            ("a picture with its own gradients stays as it is", (image, *field, 2.5)),
            ("the picture solves (1 + β ∇ᵀ∇) S = I + β ∇ᵀ(h, v)", (image, h, v, 2.5)))
    ]


def _step(S: Tensor, h: Tensor, v: Tensor, beta: float, *, axes: tuple = (1, 1),
          turn: int = 1) -> Tensor:
    S, h, v = S.double(), h.double(), v.double()
    right = S + beta * (h.roll(1, -1) - h + v.roll(1, -2) - v)
    omega = [2 * torch.pi * torch.arange(n).double() / n for n in S.shape[-2:]]
    sines = [4 * (turn * w / 2).sin().square() for w in omega]
    below = 1 + beta * (axes[0] * sines[1] + axes[1] * sines[0][:, None])
    return torch.fft.ifft2(torch.fft.fft2(right) / below).real


def _own_checks(rng: torch.Generator) -> list[Demand]:
    return [Demand("your region lies in the source, lands in the target, and is your own",
                   find_fault_in_blend)]


def _gray_checks(rng: torch.Generator) -> list[Check]:
    image = random_picture(rng, 8, 11)

    def signed_maximum(field: Tensor) -> Tensor:
        return field.amax(1)

    mistakes = [
        Mistake("That is the mean of the channels: no difference has entered.",
                lambda image, closeness: image.mean(0)),
        Mistake("The largest difference is chosen with its sign, so falling edges lose: choose "
                "by absolute value.",
                lambda image, closeness: _gray(image, closeness, signed_maximum)),
        Mistake("The chosen differences have lost their signs: choose by absolute value, take the "
                "difference itself.",
                lambda image, closeness: _gray(image, closeness, lambda f: f.abs().amax(1))),
        Mistake("The smallest difference is chosen, where the largest should be.",
                lambda image, closeness: _gray(image, closeness, lambda f: _chosen(f, min))),
        Mistake("The differences have the wrong sign.",
                lambda image, closeness: _gray(image, closeness, lambda f: -_chosen(f))),
        Mistake("The wish for closeness is to the whole picture's mean brightness, not to each "
                "pixel's mean of channels.",
                lambda image, closeness: _gray(image, closeness, flat=True)),
        Mistake("λ enters squared: the energy is Σ |∇g - v|² + λ Σ (g - m)², so an equation of "
                "the second kind has the factor √λ.",
                lambda image, closeness: _gray(image, closeness**2)),
        Mistake("λ enters as its root: the normal equations carry λ itself.",
                lambda image, closeness: _gray(image, closeness**0.5)),
    ]
    return [
        Check(law, (image, closeness), _gray(image, closeness), mistakes)
        for law, closeness in (("the largest of the channels' differences survives", 0.05),
                               ("a large λ stays close to the mean of the channels", 20.0))
    ]


def _chosen(field: Tensor, which: Callable = max) -> Tensor:
    sizes = field.abs()
    index = sizes.argmax(1, True) if which is max else sizes.argmin(1, True)
    return field.gather(1, index)[:, 0]


def _gray(image: Tensor, closeness: float, choose: Callable = _chosen, *,
          flat: bool = False) -> Tensor:
    """argmin Σ |∇g - v|² + λ Σ (g - m)², dense."""
    height, width = image.shape[1:]
    mean = image.mean(0).double()
    eyes = [torch.eye(n).double() for n in (height, width)]
    A = torch.cat([torch.kron(eyes[0], eyes[1].diff(dim=0)),
                   torch.kron(eyes[0].diff(dim=0), eyes[1])])
    v = choose(gradient(image)).double()
    b = torch.cat([v[0, :, :-1].flatten(), v[1, :-1].flatten()])
    close = (mean.mean().expand_as(mean) if flat else mean).flatten()
    left = A.T @ A + closeness * torch.eye(height * width)
    return torch.linalg.solve(left, A.T @ b + closeness * close).reshape(height, width)


def _flat_checks(rng: torch.Generator) -> list[Check]:
    picture = torch.rand(3, 9, 12, generator=rng)
    edges = torch.rand(9, 12, generator=rng) < 0.3

    def keep(either: Callable = torch.logical_or, invert: bool = False) -> Callable:
        def answer(f: Tensor, edges: Tensor) -> Tensor:
            on = edges != invert
            kept = torch.zeros(2, *edges.shape)
            kept[0, :, :-1] = either(on[:, :-1], on[:, 1:])
            kept[1, :-1] = either(on[:-1], on[1:])
            return gradient(f) * kept[:, None]
        return answer

    mistakes = [
        Mistake("Gradients are kept where there is no edge, and dropped on edges: invert.",
                keep(torch.logical_and, invert=True)),
        Mistake("Gradients are kept off the edges: invert the mask.", keep(invert=True)),
        Mistake("A difference survives only if both its pixels are on an edge: one is enough.",
                keep(torch.logical_and)),
        Mistake("Only the first pixel of each pair is asked whether it is on an edge; the second "
                "one, to the right or below, counts too.", keep(lambda a, b: a)),
        Mistake("Only the second pixel of each pair is asked whether it is on an edge; the first "
                "one counts too.", keep(lambda a, b: b)),
        Mistake("The picture is multiplied with the edges before it is differentiated, which "
                "makes new edges: multiply its gradient.", lambda f, edges: gradient(f * edges)),
        Mistake("No gradient is dropped.", lambda f, edges: gradient(f)),
    ]
    return [Check("a difference survives if one of its two pixels is on an edge",
                  (picture, edges), keep()(picture, edges), mistakes, kind="maps")]


check = Feedback("a1_gradient_domain", {
    1: Part("a row from its differences", 10, row_checks),
    2: Part("a picture from its differences", 20, toy_checks),
    3: Part("Poisson blending", 30, blend_checks,
            by_hand=("blend_poisson", "seamless_clone")),
    4: Part("mixed gradients", 10, mixed_checks),
    5: Part("L0: which gradients stay", 8, _edge_checks),
    6: Part("L0: the picture for given gradients", 12, _step_checks),
    7: Part("a blend of your own", 5, _own_checks),
    8: Part("why it looks as it does", 5),
    "E1": Part("colour to grey", 4, _gray_checks, extra=True, by_hand=("color_to_gray",)),
    "E2": Part("texture flattening", 4, _flat_checks, extra=True),
    "E3": Part("a failure, explained", 5, extra=True),
})
