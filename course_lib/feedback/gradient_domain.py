"""Checks of a1, and its second half: another smoothing's two subproblems, a blend, and extras."""

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.feedback.core import Feedback, Part
from course_lib.feedback.diagnosis import Check, Demand, Mistake
from course_lib.feedback.poisson import (
    blend_checks,
    random_picture,
    row_checks,
    suppression_checks,
    toy_checks,
)
from course_lib.feedback.recipes import find_fault_in_blend
from course_lib.gradients import gradient


def _shrink_checks(rng: torch.Generator) -> list[Check]:
    picture = torch.rand(3, 16, 21, generator=rng)
    right, mistakes = _shrunk(), _shrink_mistakes()
    return [
        Check(law, (picture, *numbers), right(picture, *numbers), mistakes, kind="maps")
        for law, numbers in (("short gradients go, long ones lose λ / 2β of their length",
                              (1.0, 1.2)),
                             ("a larger β takes less from each", (1.0, 3.1)))
    ]


def _shrink_mistakes() -> list[Mistake]:
    return [
        Mistake("Each loses λ / β of its length. Derive it: the derivative of β |g - d|² is "
                "2 β (g - d), so it is half of that.",
                _shrunk(loss=lambda smoothness, beta: smoothness / beta)),
        Mistake("Each loses λ · β / 2 of its length, so more, the larger β is: divide by β.",
                _shrunk(loss=lambda smoothness, beta: smoothness * beta / 2)),
        Mistake("Long ones stay as they are: that is L0's answer. Here each of them gets shorter.",
                _shrunk(shorten=lambda length, loss: (length > loss).double())),
        Mistake("L0's answer to the letter: kept or dropped at |∇S|² = λ / β. Here the price is "
                "the length: derive who gets how short.",
                _shrunk(shorten=lambda length, loss: (length**2 >= 2 * loss).double())),
        Mistake("Each channel decides for itself: the length is over all channels.",
                _shrunk(length=lambda f: f.square().sum(0, keepdim=True).sqrt())),
        Mistake("h and v are shortened apart: the length is over both.",
                _shrunk(length=lambda f: f.square().sum(1, keepdim=True).sqrt())),
        Mistake("Each number is shortened by itself: the length is over x, y and all channels.",
                _shrunk(length=torch.abs)),
        Mistake("Short gradients are turned round: a length is never below 0, so clamp it there.",
                _shrunk(shorten=lambda length, loss: 1 - loss / length.clamp(min=1e-9))),
        Mistake("λ / 2β is compared with the squared length: take the root.",
                _shrunk(length=lambda f: f.square().sum((0, 1), keepdim=True))),
        Mistake("The squares are averaged over the channels; they are summed.",
                _shrunk(length=lambda f: f.square().mean(1, keepdim=True).sum(0, keepdim=True)
                        .sqrt())),
        Mistake("That is the answer for the squared length, the same share of each: the price "
                "is the length itself.",
                _shrunk(shorten=lambda length, loss: 1 / (1 + 2 * loss) + 0 * length)),
        Mistake("The last column and row have no difference in yours: the border is periodic, so "
                "right of the last column comes the first.",
                _shrunk(lambda S: gradient(S))),
        Mistake("Those are differences to the neighbour before; take the one after, "
                "S[x + 1] - S[x]: roll by -1.",
                _shrunk(lambda S: torch.stack([S - S.roll(1, -1), S - S.roll(1, -2)]))),
        Mistake("No gradient gets shorter.", lambda S, smoothness, beta: _periodic(S)),
    ]


def _periodic(S: Tensor) -> Tensor:
    return torch.stack([S.roll(-1, -1) - S, S.roll(-1, -2) - S])


def _length(field: Tensor) -> Tensor:
    return field.square().sum((0, 1), keepdim=True).sqrt()


def _shorter(length: Tensor, loss: float) -> Tensor:
    return (1 - loss / length.clamp(min=1e-9)).clamp(min=0)


def _shrunk(differences: Callable = _periodic, length: Callable = _length,
            loss: Callable = lambda smoothness, beta: smoothness / beta / 2,
            shorten: Callable = _shorter) -> Callable:
    """The gradients, shortened; the switches are mistakes."""
    def answer(S: Tensor, smoothness: float, beta: float) -> Tensor:
        field = differences(S.double())
        return field * shorten(length(field), loss(smoothness, beta))
    return answer


def _step_checks(rng: torch.Generator) -> list[Check]:
    image, trust = random_picture(rng, 8, 11), torch.rand(8, 11, generator=rng)
    trust = trust * (trust > 0.3)
    h, v = 0.3 * torch.randn(2, 3, 8, 11, generator=rng) * (torch.rand(8, 11, generator=rng) < 0.4)
    mistakes = [
        Mistake("All pixels are trusted alike, as in the lesson: the trust stands on both sides.",
                lambda S, t, h, v, beta: _step(S, 1 + 0 * t, h, v, beta)),
        Mistake("The trust is missing on the right: lost pixels pull as well. It is T I + "
                "β ∇ᵀ(h, v).", lambda S, t, h, v, beta: _step(S, t, h, v, beta, pull=False)),
        Mistake("The trust is missing on the left: it is T + β ∇ᵀ∇, not 1 + β ∇ᵀ∇.",
                lambda S, t, h, v, beta: _step(S, t, h, v, beta, hold=False)),
        Mistake("The trust stands squared: derive t (S - I)² once more.",
                lambda S, t, h, v, beta: _step(S, t**2, h, v, beta)),
        Mistake("Trust counts as all or nothing: multiply by its values.",
                lambda S, t, h, v, beta: _step(S, (t > 0).float(), h, v, beta)),
        Mistake("Solved as if all were trusted, then the known pixels are put back: the lost "
                "ones have already pulled. Solve with the trust in the matrix.",
                lambda S, t, h, v, beta: torch.where(
                    t > 0, S, _step(S, 1 + 0 * t, h, v, beta))),
        Mistake("The gradients enter with the wrong sign: ∇ᵀ takes h[x - 1] - h[x].",
                lambda S, t, h, v, beta: _step(S, t, -h, -v, beta)),
        Mistake("β is missing on the right side: it is T I + β ∇ᵀ(h, v).",
                lambda S, t, h, v, beta: _step(S, t, h / beta, v / beta, beta)),
        Mistake("β is missing on the left side: it is T + β ∇ᵀ∇.",
                lambda S, t, h, v, beta: _step(S, t, beta * h, beta * v, 1.0)),
        Mistake("∇ᵀ looks at the neighbour after. It is the adjoint: h[x - 1] - h[x], roll by +1.",
                lambda S, t, h, v, beta: _step(S, t, h.roll(-1, -1), v.roll(-1, -2), beta)),
        Mistake("h and v are exchanged: h holds the differences along x, columns, the last axis.",
                lambda S, t, h, v, beta: _step(S, t, v, h, beta)),
        Mistake("The picture has a border in yours: right of the last column comes the first, "
                "below the last row the first.",
                lambda S, t, h, v, beta: _step(S, t, h, v, beta, around=False)),
        Mistake("The gradients are missing: that is a mere blur. The right side is "
                "T I + β ∇ᵀ(h, v).",
                lambda S, t, h, v, beta: _step(S, t, 0 * h, 0 * v, beta)),
    ]
    questions = (  # first the question which tells most mistakes apart
        ("the picture solves (T + β ∇ᵀ∇) S = T I + β ∇ᵀ(h, v)", (image, trust, h, v, 2.5)),
        ("a picture with its own gradients stays as it is",
         (image, trust, *_periodic(image), 2.5)))
    return [Check(law, question, _step(*question), mistakes) for law, question in questions]


def _step(S: Tensor, t: Tensor, h: Tensor, v: Tensor, beta: float, *, pull: bool = True,
          hold: bool = True, around: bool = True) -> Tensor:
    """argmin Σ t (S - I)² + β Σ |∇S - (h, v)|², dense; the switches are mistakes."""
    height, width = S.shape[1:]
    eyes = [torch.eye(n).double() for n in (height, width)]
    steps = [eye.roll(1, 1) - eye for eye in eyes]
    if not around:
        for one in steps:
            one[-1] = 0
    D = torch.cat([torch.kron(eyes[0], steps[1]), torch.kron(steps[0], eyes[1])])
    field = torch.cat([h.flatten(1), v.flatten(1)], dim=1).double()
    trust = t.double().flatten()
    left = (trust if hold else 1 + 0 * trust).diag() + beta * D.T @ D
    right = (trust if pull else 1) * S.double().flatten(1) + beta * field @ D
    return torch.linalg.solve(left, right.T).T.reshape(S.shape)


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


check = Feedback("a1_gradient_domain", {
    1: Part("a row whose wishes weigh more or less", 10, row_checks),
    2: Part("a panorama from its differences", 20, toy_checks),
    3: Part("blending with trust", 30, blend_checks, by_hand=("blend_poisson", "seamless_clone")),
    4: Part("one picture's edges, out of another", 10, suppression_checks),
    5: Part("another price on gradients", 8, _shrink_checks),
    6: Part("the picture, where pixels are missing", 12, _step_checks),
    7: Part("a blend of your own", 5, _own_checks),
    8: Part("why it looks as it does", 5),
    "E1": Part("colour to grey", 4, _gray_checks, extra=True, by_hand=("color_to_gray",)),
    "E2": Part("a claim, tried", 4, extra=True),
    "E3": Part("a failure, explained", 5, extra=True),
})
