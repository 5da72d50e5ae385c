"""Minimising the energy of an edit, all at once (`edit`) or step by step (`Editing`).

The change of a code is measured in deviations (see `axes`): in z that is the paper's formula.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_number, require_rng, require_slopes
from course_lib.generators.base import Generator, chosen_rows
from course_lib.guidance.axes import find_axes, principal_axes
from course_lib.guidance.drag import Pull
from course_lib.guidance.strokes import Constraint, Energy
from course_lib.projection import ramp
from course_lib.results import Callback
from course_lib.shapes import Image, Latent

__all__ = ["Edit", "Editing", "edit", "principal_axes", "scatter", "worth_showing"]

CLOSE = "close to the input"


@dataclass(frozen=True)
class Edit:
    """What an edit found; several starts are ranked by their cost, lowest first.

    Attributes:
        latent: (starts, ...) in `space`; image: their pictures.
        energies: each constraint's weighted term and "close to the input", (steps, starts).
        frames: G along the straight line from the first start's z0 to its answer.
        handles: where the drags' handles ended by the word of the tracker, which follows features
            from step to step, (starts, points, 2), one entry a drag.
        origin: z0 of each start, in the same order.
        cost: the whole energy of each answer.
        missed: how far each constraint is from being met: in pixels for drags, for others the
            root of the unweighted term (for colours and warps the rms error in [0, 1]).
        searched: where the answers look most like z0's picture around the drags' starts, shaped as
            `handles`: where both agree, a drag has arrived.
    """

    latent: Latent
    space: str
    image: Image
    energies: dict[str, Float[Tensor, "steps starts"]]
    frames: Float[Tensor, "steps_shown 3 r r"]
    handles: tuple[Tensor, ...]
    origin: Latent
    cost: Float[Tensor, " starts"]
    missed: dict[str, Float[Tensor, " starts"]]
    searched: tuple[Tensor, ...] = ()

    @property
    def shown(self) -> int:
        """How many of the starts, from the first, are worth showing (see `worth_showing`)."""
        return worth_showing(self.cost)


def edit(
    generator: Generator,
    latent: Latent,
    constraints: Sequence[Constraint],
    *,
    space: str | None = None,
    smoothness: float = 0.05,
    steps: int = 80,
    learning_rate: float = 0.1,
    begin: Float[Tensor, "starts ..."] | None = None,
    layers: Sequence[int] | None = None,
    frames: int = 8,
    callback: Callback | None = None,
) -> Edit:
    """Change codes until their pictures satisfy the constraints.

    Args:
        latent: z0 in `space`: a photo's code, a sample's, or several starts at once.
        space: where codes move; the generator's default space if None.
        smoothness: λ_s, weight of the mean squared change, along the principal axes of the
            space's codes in deviations; 0 to forget z0, as for random starts.
        learning_rate: of Adam at its highest, in deviations. A drag wants about 0.03: where
            the picture changes faster, tracking loses the handle.
        begin: codes to begin at, if not at z0: an earlier answer's `latent` (with its `origin`
            as z0) after a stroke was added, or several around one z0 (see `scatter`).
        layers: rows of w_plus that may change; all if None. The coarse ones, about the first
            third, hold pose and shape; the fine ones colour.
        frames: of the morph from z0 to the answer.
        callback: called with the step and the pictures so far.
    Raises:
        ValueError: there is no constraint, a mask does not fit, the codes are of another space, or
            a term or its slope is no number.
    """
    require_slopes()
    require_count(steps, "steps", least=0)
    require_count(frames, "frames", least=2)
    if isinstance(constraints, Sequence) and not constraints:
        raise ValueError("there is no constraint, so nothing would change: add a stroke.")
    editing = Editing(
        generator, latent, constraints, space=space, smoothness=smoothness, begin=begin,
        learning_rate=learning_rate, settle=steps, layers=layers,
    )
    for step in range(steps):
        image = editing.step(ramp(step / steps))
        if callback:
            callback(step, image)
    return editing.result(frames=frames)


class Editing:
    """An edit under way: take a step, look, change the strokes, step on.

    Args:
        generator, latent, space, smoothness, learning_rate, begin, layers: as in `edit`.
        constraints: may be none at first, which leaves the codes where they are.
        settle: after so many steps the candidates' order stays, until the strokes change.

    Attributes:
        origin: z0 of each start.
        age: steps since the strokes were last changed.
        image: the pictures that were looked at last, (starts, 3, r, r).
        energies: its terms by name, (starts,).
        order: the starts by their cost, lowest first; (starts,).
    """

    def __init__(
        self, generator: Generator, latent: Latent, constraints: Sequence[Constraint], *,
        space: str | None = None, smoothness: float = 0.05, learning_rate: float = 0.1,
        begin: Float[Tensor, "starts ..."] | None = None, settle: int = 40,
        layers: Sequence[int] | None = None,
    ) -> None:
        space = space or generator.default_space
        generator.require_latent(latent, space)
        begin = latent if begin is None else begin
        generator.require_latent(begin, space)
        require_number(learning_rate, "learning_rate", least=0)
        require_count(settle, "settle", least=0)
        if len(begin) % len(latent):
            raise ValueError(
                f"begin holds {len(begin)} codes for {len(latent)} codes z0, so it is open which "
                f"belongs to which: pass as many as there are z0, or several for a single one."
            )
        self.generator, self.space, self.settle = generator, space, settle
        self._terms: dict[str, tuple[float, Energy]] = {}
        self.learning_rate = learning_rate
        self.origin = latent.detach().repeat_interleave(len(begin) // len(latent), dim=0)
        self._axes = find_axes(generator, space)
        change = self._axes.to_deviations(begin.detach() - self.origin)
        self.change = change.detach().requires_grad_()
        self._moving = chosen_rows(self.change.detach(), layers)
        self.order = torch.arange(len(begin), device=latent.device)
        self.look()
        self.ask(constraints, smoothness=smoothness)

    def ask(
        self, constraints: Sequence[Constraint], *, smoothness: float | None = None
    ) -> None:
        """Change the strokes, or λ_s, and go on from the codes as they are now.

        Drags whose start is one of before go on from where their handles are.
        """
        smoothness = self.smoothness if smoothness is None else smoothness
        require_number(smoothness, "smoothness", least=0)
        _require_constraints(constraints)
        before = [term for _, term in self._terms.values() if isinstance(term, Pull)]
        terms = {}
        for index, constraint in enumerate(constraints):
            term = constraint.bind(self.generator, self.origin, self.space)
            if isinstance(term, Pull):
                term.continue_from(before)
            terms[f"{type(constraint).__name__} {index + 1}"] = constraint.weight, term
        self._terms, self.smoothness, self.age, self.energies = terms, smoothness, 0, {}
        self.history: dict[str, list[Tensor]] = {name: [] for name in [*terms, CLOSE]}
        self._optimizer = torch.optim.Adam([self.change], lr=self.learning_rate)

    @property
    def latent(self) -> Latent:
        """The codes as they are now, (starts, ...), in the order they were given."""
        return (self.origin + self._axes.to_code(self.change)).detach()

    @torch.enable_grad()
    def step(self, rate: float = 1.0) -> Image:
        """One step of Adam at this share of its rate; returns the pictures before it.

        Raises:
            ValueError: a term or its slope is no number; the codes stay as they were.
        """
        if not self._terms:
            return self.image
        code = self.origin + self._axes.to_code(self.change)
        image, energies = self._energies(code)
        for name, value in energies.items():
            if not value.isfinite().all():
                raise ValueError(
                    f"the term of {name} is {value[~value.isfinite()][0].item()}, so no slope "
                    f"leads on from there: look at what it divides by, or takes a root of."
                )
        cost = sum(energies.values())
        self._optimizer.param_groups[0]["lr"] = self.learning_rate * rate
        self._optimizer.zero_grad()
        cost.sum().backward()
        if not self.change.grad.isfinite().all():
            raise ValueError(
                f"the slope of {' + '.join(self._terms)} is no number, as that of a root or a "
                f"deviation is at 0, so no step could be taken: add a little below the root, "
                f"(x + 1e-8).sqrt()."
            )
        self.change.grad.mul_(self._moving)
        self._optimizer.step()
        self.energies = {name: value.detach() for name, value in energies.items()}
        for name, value in self.energies.items():
            self.history[name].append(value.cpu())
        if self.age <= self.settle:
            self.order = cost.detach().argsort(stable=True)
        self.age, self.image = self.age + 1, image.detach()
        return self.image

    @property
    def shown(self) -> list[int]:
        """The starts that are worth showing, the best one first."""
        if not self.energies:
            return self.order.tolist()
        return self.order[: worth_showing(sum(self.energies.values()))].tolist()

    @torch.no_grad()
    def look(self) -> Image:
        """The pictures of the codes as they are now."""
        self.image = self.generator.decode(self.latent, space=self.space)
        return self.image

    @torch.no_grad()
    def missed(self) -> dict[str, Float[Tensor, " starts"]]:
        """How far each constraint is from being met, as in `Edit`; in the order given."""
        code = self.latent
        image = self.generator.decode(code, space=self.space)
        return {name: self._missed(name, code, image) for name in self._terms}

    @torch.no_grad()
    def result(self, *, frames: int = 8) -> Edit:
        """What has been found so far."""
        code = self.latent
        image, energies = self._energies(code)
        cost = sum(energies.values())
        order = cost.argsort(stable=True) if 0 < self.age <= self.settle else self.order
        missed = {name: self._missed(name, code, image)[order].cpu() for name in self._terms}
        drags = [term for _, term in self._terms.values() if isinstance(term, Pull)]
        handles = tuple(drag.place[order].cpu() for drag in drags)
        searched = tuple(drag.searched(image)[order].cpu() for drag in drags)
        energies = {name: torch.stack(values)[:, order.cpu()] if values
                    else torch.zeros(0, len(code)) for name, values in self.history.items()}
        return Edit(
            code[order], self.space, image[order], energies, self.morph(int(order[0]), frames),
            handles, self.origin[order], cost[order].cpu(), missed, searched,
        )

    @torch.no_grad()
    def morph(self, start: int, frames: int) -> Float[Tensor, "frames 3 r r"]:
        """G along the straight line from z0 to the code of this start."""
        shares = torch.linspace(0, 1, frames).to(self.change)
        return self.at(start, shares)

    @torch.no_grad()
    def at(self, start: int, shares: Float[Tensor, " frames"]) -> Float[Tensor, "frames 3 r r"]:
        """G at these shares of the way from z0 (0) to the code of this start (1)."""
        shares = shares.to(self.change).reshape(-1, *[1] * (self.change.ndim - 1))
        change = self._axes.to_code(self.change[start])[None]
        return self.generator.decode(self.origin[start][None] + shares * change, space=self.space)

    def _energies(self, code: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The pictures of these codes, and their terms by name."""
        layers = {term.layer for _, term in self._terms.values() if isinstance(term, Pull)}
        image, features = self.generator.decode_with_features(
            code, sorted(layers), space=self.space)
        values = {
            name: weight * (term(code, image, features[term.layer]) if isinstance(term, Pull)
                            else term(code, image))
            for name, (weight, term) in self._terms.items()
        }
        close = self.smoothness * self.change.square().flatten(1).mean(dim=1)
        return image, values | {CLOSE: close}

    def _missed(self, name: str, code: Tensor, image: Tensor) -> Tensor:
        term = self._terms[name][1]
        return term.missed() if isinstance(term, Pull) else term(code, image).clamp(min=0).sqrt()


def scatter(
    generator: Generator, latent: Latent, n: int, *, space: str | None = None,
    spread: float = 0.3, rng: torch.Generator,
) -> Float[Tensor, "starts ..."]:
    """`n` codes around one z0, itself first: starts that may end in different answers.

    Args:
        space: of the code; the generator's default space if None.
        spread: how far, in deviations along the principal axes of the space's codes.
    """
    space = space or generator.default_space
    generator.require_latent(latent, space)
    require_count(n, "n")
    require_number(spread, "spread", least=0)
    require_rng(rng)
    if len(latent) != 1:
        raise ValueError(
            f"latent holds {len(latent)} codes, so it is open around which to scatter: pass one."
        )
    rows = latent.shape[1:-1]
    noise = torch.randn(n, *[1] * len(rows), latent.shape[-1], generator=rng, device=rng.device)
    noise[0] = 0
    return latent + find_axes(generator, space).to_code(spread * noise.to(latent))


def worth_showing(cost: Float[Tensor, " starts"]) -> int:
    """How many of the answers, cheapest first, are worth showing.

    Of the best half those that cost less than twice its mean, as the paper's interface does.
    """
    best = cost.sort().values[: -(-len(cost) // 2)]
    return max(1, int((best < 2 * best.mean()).sum()))


def _require_constraints(constraints: object) -> None:
    """Raise a `ValueError` unless these are constraints with weights, in a list."""
    if isinstance(constraints, Constraint):
        raise ValueError(
            f"constraints is a single {type(constraints).__name__}, but they add up, so a list "
            f"of them is needed: put it into [ ]."
        )
    if not isinstance(constraints, Sequence) or isinstance(constraints, str):
        raise ValueError(
            f"constraints is a {type(constraints).__name__}, but a list of strokes is needed."
        )
    for constraint in constraints:
        if not isinstance(constraint, Constraint):
            raise ValueError(
                f"constraints holds a {type(constraint).__name__}, which asks nothing of a "
                f"picture: take a stroke, or wrap a function in Anything(function)."
            )
        require_number(constraint.weight, "weight", least=0)
