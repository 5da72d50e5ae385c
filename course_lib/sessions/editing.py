"""An edit that a person directs: begin somewhere, ask, follow, ask for something else."""

import time
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.generators.base import Generator
from course_lib.guidance import Constraint, Drag, Editing, scatter
from course_lib.projection import ramp
from course_lib.results import allowed_steps
from course_lib.shapes import Image, Latent

RATE, DRAG_RATE = 0.1, 0.03  # of Adam; a drag is tracked, so it must not outrun its handle
SETTLE = 15  # steps, after which the candidates stay where they are
PAUSE = 0.1  # seconds between two looks, so that drawing them does not slow the steps


class EditSession:
    """An edit that can be begun anew, asked for other things, and followed step by step.

    Args:
        generator: whose pictures are edited.
        steps: after each change of what is asked.

    Attributes:
        space: of the codes.
        editing: the optimisation under way.
        before: z0's picture, (3, r, r), or the average one where there is no z0.
        seconds: that the last step took.
    """

    editing: Editing
    before: Float[Tensor, "3 r r"]

    def __init__(self, generator: Generator, *, space: str, steps: int = 80) -> None:
        generator.require_space(space)
        self.generator, self.space, self.seconds = generator, space, 0.0
        self.steps = allowed_steps(steps)

    def begin(
        self, z0: Latent, *, candidates: int = 1, rng: torch.Generator | None = None,
        shared: bool = False,
    ) -> None:
        """Start from a code (1, ...) and from others near it; `shared` as in `edit`."""
        rng = torch.Generator().manual_seed(0) if rng is None else rng
        init = scatter(self.generator, z0, candidates, space=self.space, rng=rng)
        self.editing = Editing(self.generator, z0, [], space=self.space, init=init,
                               settle=SETTLE, shared=shared)
        self.before = self.editing.image[0]

    def begin_anywhere(self, candidates: int, rng: torch.Generator) -> None:
        """Start from random codes, with no z0 to stay close to."""
        starts = self.generator.sample_latent(candidates, space=self.space, rng=rng)
        self.editing = Editing(self.generator, starts, [], space=self.space, settle=SETTLE)
        many = self.generator.sample_latent(24, space=self.space, rng=rng)
        with torch.no_grad():
            self.before = self.generator.decode(many, space=self.space).mean(dim=0)

    def ask(self, constraints: Sequence[Constraint], *, smoothness: float,
            layers: Sequence[int] | None = None) -> None:
        """Take up other wishes, go on from what was found, and give a first answer: one step.

        Args:
            layers: rows of w_plus that may change from here on; all if None.
        """
        drags = any(isinstance(one, Drag) for one in constraints)
        self.editing.learning_rate, self.editing.layers = DRAG_RATE if drags else RATE, layers
        self.editing.ask(constraints, smoothness=smoothness)
        self._step(1)
        self.editing.look()

    @property
    def is_under_way(self) -> bool:
        """Whether something is asked for and steps are left."""
        return bool(self.editing.energies) and self.editing.age < self.steps

    def follow(
        self, should_end: Callable[[], bool], show: Callable[[], object], *,
        pause: float = PAUSE,
    ) -> None:
        """Step to the end, or until told to; show a picture now and then, and the last one."""
        shown = time.perf_counter()
        while self.is_under_way and not should_end():
            self._step(ramp(0.05 + 0.95 * self.editing.age / self.steps))
            if self.is_under_way and time.perf_counter() - shown > pause:
                show()
                shown = time.perf_counter()
        self.editing.look()
        show()

    def code(self, start: int = 0, *, share: float = 1) -> Latent:
        """The code of a candidate, (1, ...), so far on the way from its z0."""
        origin = self.editing.origin[start]
        return (origin + share * (self.editing.latent[start] - origin))[None]

    def picture(self, start: int = 0, *, share: float = 1) -> Image:
        """The picture of `code`, (3, r, r)."""
        if share == 1:
            return self.editing.image[start]
        return self.editing.at(start, torch.tensor([share]))[0]

    def terms(self, start: int = 0) -> dict[str, float]:
        """The energy's terms at the last step, by name; none if nothing is asked for."""
        return {name: float(value[start]) for name, value in self.editing.energies.items()}

    def _step(self, rate: float) -> None:
        begin = time.perf_counter()
        self.editing.step(rate)
        self.seconds = time.perf_counter() - begin
