"""Minimising the energy of an edit, all at once (`edit`) or step by step (`Editing`).

The change of a code is measured in deviations (see `axes`): in z that is the paper's formula.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from course_lib.checks import require_count, require_number, require_slopes
from course_lib.generators.base import Generator, chosen_rows
from course_lib.guidance.axes import find_axes
from course_lib.guidance.candidates import worth_showing
from course_lib.guidance.energy import EditEnergy, require_finite_slope, require_finite_terms
from course_lib.guidance.strokes import Constraint
from course_lib.projection import ramp
from course_lib.results import Callback, allowed_steps, should_stop
from course_lib.shapes import Image, Latent


@dataclass(frozen=True)
class Edit:
    """What an edit found; several starts are ranked by their cost, lowest first.

    Attributes:
        latent: (starts, ...) in `space`; image: their pictures.
        energies: each constraint's weighted term and "close to the input", (steps, starts).
        frames: G along the straight line from the first start's z0 to its answer.
        handles: where the drags' handles ended by the word of the tracker, which follows features
            from step to step, (starts, points, 2), one entry a drag.
        origin: z0 of each start, in the same order; order: which of the starts that is, (starts,).
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
    order: Int64[Tensor, " starts"]
    searched: tuple[Tensor, ...] = ()

    @property
    def by_start(self) -> Image:
        """The pictures in the order in which the starts were given, unranked."""
        return self.image[self.order.argsort()]

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
    smoothness: float = 0.5,
    steps: int = 80,
    learning_rate: float = 0.1,
    init: Float[Tensor, "starts ..."] | None = None,
    layers: Sequence[int] | None = None,
    shared: bool = False,
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
        init: codes to start from, if not from z0: an earlier answer's `latent` (with its
            `origin` as z0) after a stroke was added, or several around one z0 (see `scatter`).
        layers: rows of w_plus that may change; all if None. The coarse ones, about the first
            third, hold pose and shape; the fine ones colour.
        shared: whether all rows of w_plus change alike, as they do in w. The picture has less to
            hide texture in, and stays nearer to the manifold. Codes of one row always do.
        frames: of the morph from z0 to the answer.
        callback: called with the step and the pictures so far; it may raise `StopIteration` to
            end with what was found until then.
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
        generator, latent, constraints, space=space, smoothness=smoothness, init=init,
        learning_rate=learning_rate, settle=steps, layers=layers, shared=shared,
    )
    steps = allowed_steps(steps)
    for step in range(steps):
        image = editing.step(ramp(step / steps))
        if should_stop(callback, step, image):
            break
    return editing.result(frames=frames)


class Editing:
    """An edit under way: take a step, look, change the strokes, step on.

    Args:
        generator, latent, space, smoothness, learning_rate, init, layers, shared: as in `edit`.
        constraints: may be none at first, which leaves the codes where they are.
        settle: after so many steps the candidates' order stays, until the strokes change.

    Attributes:
        origin: z0 of each start.
        layers: the rows that may change, from the next `ask` on.
        age: steps since the strokes were last changed.
        image: the pictures that were looked at last, (starts, 3, r, r).
        energies: its terms by name, (starts,).
        order: the starts by their cost, lowest first; (starts,).
    """

    def __init__(
        self, generator: Generator, latent: Latent, constraints: Sequence[Constraint], *,
        space: str | None = None, smoothness: float = 0.5, learning_rate: float = 0.1,
        init: Float[Tensor, "starts ..."] | None = None, settle: int = 40,
        layers: Sequence[int] | None = None, shared: bool = False,
    ) -> None:
        space = space or generator.default_space
        generator.require_latent(latent, space)
        init = latent if init is None else init
        generator.require_latent(init, space)
        require_number(learning_rate, "learning_rate", least=0)
        require_count(settle, "settle", least=0)
        if len(init) % len(latent):
            raise ValueError(
                f"init holds {len(init)} codes for {len(latent)} codes z0, so it is open which "
                f"belongs to which: pass as many as there are z0, or several for a single one."
            )
        self.generator, self.space, self.settle = generator, space, settle
        self._shared = shared and latent.ndim == 3
        self._energy: EditEnergy | None = None
        self.learning_rate = learning_rate
        self.origin = latent.detach().repeat_interleave(len(init) // len(latent), dim=0)
        self._axes = find_axes(generator, space)
        change = self._axes.to_deviations(init.detach() - self.origin)
        self.change = change.detach().requires_grad_()
        self.layers = layers
        self.order = torch.arange(len(init), device=latent.device)
        self.look()
        self.ask(constraints, smoothness=smoothness)

    def ask(
        self, constraints: Sequence[Constraint], *, smoothness: float | None = None
    ) -> None:
        """Change the strokes, or λ_s, and go on from the codes as they are now.

        Drags whose start is one of before go on from where their handles are.
        """
        if smoothness is None:
            smoothness = self._energy.smoothness
        self._energy = EditEnergy(
            self.generator, self.origin, self.space, constraints, smoothness, self._energy)
        self._moving = chosen_rows(self.change.detach(), self.layers)
        self.age, self.energies = 0, {}
        self._history: list[dict[str, Tensor]] = []
        self._optimizer = torch.optim.Adam([self.change], lr=self.learning_rate)

    @property
    def latent(self) -> Latent:
        """The codes as they are now, (starts, ...), in the order they were given."""
        return self._code().detach()

    @torch.enable_grad()
    def step(self, rate: float = 1.0) -> Image:
        """One step of Adam at this share of its rate; returns the pictures before it.

        Raises:
            ValueError: a term or its slope is no number; the codes stay as they were.
        """
        if not self._energy.terms:
            return self.image
        image, energies = self._energy(self._code(), self.change)
        require_finite_terms(energies)
        cost = sum(energies.values())
        self._optimizer.param_groups[0]["lr"] = self.learning_rate * rate
        self._optimizer.zero_grad()
        cost.sum().backward()
        require_finite_slope(self.change.grad, list(self._energy.terms))
        self.change.grad.mul_(self._moving)
        if self._shared:
            self.change.grad.copy_(self._moving * self.change.grad.mean(dim=1, keepdim=True))
        self._optimizer.step()
        self.energies = {name: value.detach() for name, value in energies.items()}
        self._history.append({name: value.cpu() for name, value in self.energies.items()})
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
        return self._energy.missed(code, self.generator.decode(code, space=self.space))

    @torch.no_grad()
    def drags_missed(self, start: int) -> dict[str, float] | None:
        """How far the handles of a start's drags are from their targets, in pixels, on average.

        Returns:
            "tracked", by the word of the tracker; "searched", by where the picture that was looked
            at last is most like the first (see `Edit`); "whole", the way from start to target.
            None where nothing is dragged.
        """
        pulls = self._energy.pulls
        if not pulls:
            return None
        end = torch.cat([pull.end for pull in pulls])
        places = {"tracked": [pull.place[start] for pull in pulls],
                  "searched": [pull.searched(self.image)[start] for pull in pulls],
                  "whole": [pull.drag.start.to(end) for pull in pulls]}
        return {name: float((end - torch.cat(found)).norm(dim=-1).mean())
                for name, found in places.items()}

    @torch.no_grad()
    def result(self, *, frames: int = 8) -> Edit:
        """What has been found so far."""
        code = self.latent
        image, energies = self._energy(code, self.change)
        cost = sum(energies.values())
        order = cost.argsort(stable=True) if 0 < self.age <= self.settle else self.order
        missed = self._energy.missed(code, image)
        pulls = self._energy.pulls
        return Edit(
            code[order], self.space, image[order],
            {name: self._past(name)[:, order.cpu()] for name in energies},
            self.morph(int(order[0]), frames),
            tuple(pull.place[order].cpu() for pull in pulls), self.origin[order],
            cost[order].cpu(), {name: value[order].cpu() for name, value in missed.items()}, order,
            tuple(pull.searched(image)[order].cpu() for pull in pulls),
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

    def _code(self) -> Tensor:
        return self.origin + self._axes.to_code(self.change)

    def _past(self, name: str) -> Float[Tensor, "steps starts"]:
        """A term at each step since the strokes were last changed."""
        past = [energies[name] for energies in self._history]
        return torch.stack(past) if past else torch.zeros(0, len(self.order))
