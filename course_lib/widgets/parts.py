"""Parts under your hands: click one, pick the cat it comes from, and look how local it stays."""

from dataclasses import dataclass

import ipywidgets
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_option
from course_lib.encoders import has_inverse
from course_lib.generators.base import Generator
from course_lib.parts import (
    Parts,
    coarse_layers,
    measure_locality,
    part_channels,
    shipped_parts,
    transfer_part,
)
from course_lib.plotting import tile
from course_lib.projection import project
from course_lib.shapes import Image, Latent
from course_lib.tuning import tune_generator
from course_lib.widgets.canvas import Canvas
from course_lib.widgets.tool import Answer, Tool

COLUMNS, REFERENCES = 4, 8
DIMMED = 0.35  # how bright the start is shown around the part
PSI = 0.8
PRIOR = 0.3  # λ of a photo's projection: a code as likely as a sample's
NOWHERE = -1  # where nothing was clicked yet


@dataclass(frozen=True)
class PartsState:
    """What is carried over, from where, and how much of it.

    Attributes:
        part: its name.
        reference: number of the picture that it comes from.
        strength: in %.
        leakage: ε, the budget of each layer.
        coarse: whether only layers up to a quarter of the picture's size give channels away.
        seed: of the start; not used for a given code.
    """

    part: str
    reference: int = 0
    strength: int = 100
    leakage: float = 10.0
    coarse: bool = False
    seed: int = 0


class PartsTool(Tool):
    """The start, on which a click chooses the part under it; references to pick from; the answer.

    Args:
        generator: whose pictures; one with styles.
        parts: those that ship for it if None.
        alt: what a reader who can't see the pictures should know.
        latent: the start's code instead of a sample, (1, ...); references: codes instead of
            eight samples; both in `space`.
        height: of the start and the answer on the screen, in pixels.
        state: fields of `PartsState` to begin with.
    """

    def __init__(
        self, generator: Generator, parts: Parts | None = None, *, alt: str,
        latent: Latent | None = None, references: Float[Tensor, "_ ..."] | None = None,
        space: str = "w", height: int = 320, **state: object,
    ) -> None:
        self.generator, self.space, self._given = generator, space, latent
        self.parts = parts or shipped_parts(generator)
        if references is None:
            references = self._sample(REFERENCES, seed=1000)
        self.references = references
        self._begun: int | None = None  # the seed whose start is shown
        with torch.no_grad():
            shown = generator.decode(references, space=space).clamp(0, 1)
        screen, blank = {"max_size": (height, height)}, torch.ones(3, 8, 8)
        self.start = Canvas(blank, mode="pick", title="The start", alt=f"{alt} (the start)",
                            hint="Click a part to choose it. Keys: arrows.", **screen)
        self.others = Canvas(tile(shown, COLUMNS), mode="pick", title="Where the part comes from",
                             alt=f"{alt} (references)", **screen)
        self.others.columns, self.others.choices = COLUMNS, len(references)
        canvas = Canvas(blank, title="The answer", alt=alt, actions=["before", "reset", "save"],
                        **screen)
        first = PartsState(**{"part": self.parts.names[0]} | state)
        self._require(first)
        self.start.on_pick(self._clicked)
        self.others.on_pick(lambda number: self._moved("reference", number))
        super().__init__(first, canvas, self._controls(first), [self.start, self.others])
        pictures = self.widget.children[1]
        pictures.children = [self.start, ipywidgets.VBox([canvas, self.others])]

    @classmethod
    def of_photo(
        cls, generator: Generator, photo: Float[Tensor, "3 r r"], *, alt: str, steps: int = 60,
        tuning_steps: int = 40, **options: object,
    ) -> "PartsTool":
        """The tool on a photograph: projected into w_plus, and the generator tuned to it.

        Args:
            generator: one with parts of its own; it stays as it is, its copy is tuned.
            photo: of the generator's size, in [0, 1].
            steps, tuning_steps: of the projection, and of the tuning that keeps other pictures.
            options: all that the tool itself takes, but latent and space.
        Raises:
            ValueError: the generator has no w_plus, or the photo is of another size.
        """
        generator.require_space("w_plus")
        shipped_parts(generator)  # or say at once that there are none
        init = "encoder" if has_inverse(generator, "w_plus") else "mean"
        code = project(generator, photo, space="w_plus", init=init, steps=steps,
                       prior=PRIOR).latent
        tuned = tune_generator(generator, photo, code, space="w_plus", regularizer="locality",
                               steps=tuning_steps).generator
        return cls(tuned, alt=alt, latent=code, space="w_plus", **options)

    def set(self, **changes: object) -> None:
        """As every tool's; a part or a reference that does not exist is refused at once."""
        known = {name: value for name, value in changes.items() if name in self.values()}
        self._require(PartsState(**self.values() | known))
        super().set(**changes)

    @torch.no_grad()
    def solve(self, state: PartsState) -> Answer:
        """By `parts.transfer_part`."""
        self._begin(state)
        reference = self.references[state.reference][None]
        part = self.parts[state.part]
        budget = {"leakage": state.leakage}
        if state.coarse:
            budget["layers"] = coarse_layers(self.generator, self._code, space=self.space)
        styles = transfer_part(self.generator, self._code, reference, part, space=self.space,
                               strength=state.strength / 100, **budget)
        answer = self.generator.decode(styles, space="s").clamp(0, 1)
        exchanged = int(part_channels(self.generator, part, **budget).sum())
        return Answer(answer[0], said=self._told(answer, state, exchanged))

    def redraw(self) -> None:
        """The answer; and on the start, where the part lies."""
        super().redraw()
        if self._under(self.start.picked) != self.state.part:  # else it could not be clicked again
            self.start.picked = NOWHERE
        there = F.interpolate(self._mask(self.state.part)[:, None],
                              self._before.shape[-2:])[0]
        self.start.show(self._before[0] * (DIMMED + (1 - DIMMED) * there),
                        note=f"{self.state.part}: {100 * float(there.mean()):.0f} % of the picture")

    def stops(self) -> list[dict]:
        """Each reference."""
        return [{"reference": number} for number in range(len(self.references))]

    def _told(self, answer: Image, state: PartsState, exchanged: int) -> str:
        found = measure_locality(self._before, answer, self._mask(state.part))
        return (f"changed by ΔE {found.inside:.1f} inside, {found.outside:.1f} outside: "
                f"{100 * found.share:.0f} % local · {exchanged} of "
                f"{self.generator.latent_shape('s')[0]} channels exchanged")

    def _mask(self, part: str) -> Float[Tensor, "1 height width"]:
        return self._masks[:, self.parts.names.index(part)]

    def _begin(self, state: PartsState) -> None:
        """Another start, where the seed says so."""
        if self._begun == state.seed:
            return
        self._code = self._sample(1, state.seed) if self._given is None else self._given
        self._masks = self.parts.masks(self.generator, self._code, space=self.space)
        self._before = self.generator.decode(self._code, space=self.space).clamp(0, 1)
        height, width = self._masks.shape[-2:]
        self.start.columns, self.start.choices = width, height * width
        owners = self._masks[0].argmax(dim=0).flatten().tolist()
        self.start.places = [self.parts.names[owner] for owner in owners]
        self.start.restart(self._before[0])
        self.canvas.restart(self._before[0])
        self._begun = state.seed

    def _clicked(self, place: int) -> None:
        """Choose the part under the place."""
        found = self._under(place)
        if found is not None:
            self.set(part=found)

    def _under(self, place: int) -> str | None:
        """The part under a place of the masks, counted row by row; None outside."""
        if not 0 <= place < self._masks[0, 0].numel():
            return None
        here = self._masks[0].flatten(1)[:, place]
        return self.parts.names[int(here.argmax())]

    def _sample(self, n: int, seed: int) -> Latent:
        rng = torch.Generator().manual_seed(seed)
        return self.generator.sample_latent(n, space=self.space, rng=rng, truncation_psi=PSI)

    def _require(self, state: PartsState) -> None:
        require_option(state.part, self.parts.names, "part")
        require_count(state.reference, "reference", least=0, most=len(self.references) - 1)

    def _controls(self, state: PartsState) -> dict[str, ipywidgets.Widget]:
        controls = {
            "part": ipywidgets.Dropdown(options=self.parts.names, value=state.part,
                                        description="part"),
            "strength": ipywidgets.IntSlider(state.strength, 0, 150,
                                             description="strength in %"),
            "leakage": ipywidgets.FloatSlider(state.leakage, min=0, max=100, step=1,
                                              description="leakage ε", readout_format=".0f"),
            "coarse": ipywidgets.Checkbox(state.coarse, description="coarse layers only"),
        }
        if self._given is None:
            controls["seed"] = ipywidgets.IntSlider(state.seed, 0, 99, description="seed")
        return controls

    def _sync(self) -> None:
        super()._sync()
        with self._holding():
            self.others.picked = self.state.reference

    def _restart(self) -> None:
        """All begins anew in `redraw`."""
        self._begun = None
