"""Directions under your hands: a slider each, on samples or on a projected photo."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ipywidgets
import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count
from course_lib.directions import Direction, Directions, move, with_spread
from course_lib.directions.naming import NamedDirection, save_direction
from course_lib.generators.base import Generator
from course_lib.plotting import tile
from course_lib.shapes import Image, Latent
from course_lib.widgets.canvas import Canvas
from course_lib.widgets.tool import Answer, Tool

REACH = 4.0  # deviations to either side of a slider
MOST = 9  # pictures at once


@dataclass(frozen=True)
class DirectionState:
    """What the tool is asked to show.

    Attributes:
        strengths: of each direction, in deviations of the codes along it.
        layers: the first and the last row of w_plus that moves.
        truncation_psi: ψ, how far the codes are from the mean.
        seed, samples: of how many codes drawn from which seed; not used for given codes.
    """

    strengths: tuple[float, ...]
    layers: tuple[int, int] = (0, 0)
    truncation_psi: float = 0.7
    seed: int = 0
    samples: int = 4


class DirectionTool(Tool):
    """Move codes along directions, look, and name what you found.

    Args:
        generator: whose codes move.
        directions: from `ganspace`, `sefa`, `annotated`, …; the first `count` get a slider.
        alt: what a reader who can't see the pictures should know.
        names: what is written on the sliders; their numbers if not given.
        latent: codes to move instead of samples, of a projected photo for instance, in `space`
            (the generator's default space if None).
        noise: the noise maps that belong to `latent`, if its projection found any.
        state: fields of `DirectionState` to begin with.
        store: the JSON file into which named directions go.
    """

    def __init__(
        self, generator: Generator, directions: Directions, *, alt: str, count: int = 8,
        names: Sequence[str] = (), latent: Latent | None = None, space: str | None = None,
        noise: list[Tensor] | None = None, store: str | Path = "directions.json",
        **state: object,
    ) -> None:
        require_count(count, "count")
        if directions.stdev is None:  # SeFa's
            rng = torch.Generator().manual_seed(0)
            codes = generator.sample_latent(5000, space=directions.space, rng=rng)
            directions = with_spread(directions, codes)
        self.generator, self.directions, self.store = generator, directions, Path(store)
        self.space = "w_plus" if directions.space == "w" else directions.space
        self._noise, self._given = noise, None
        if latent is not None:
            source = space or generator.default_space
            self._given = generator.convert(latent, source, self.space).detach()
        self._mean = generator.latent_mean(self.space)
        count = min(count, len(directions.components))
        self.sliders = [
            ipywidgets.FloatSlider(0, min=-REACH, max=REACH, step=0.1, description=name,
                                   readout_format="+.1f", layout={"width": "24em"},
                                   style={"description_width": "9em" if names else "2em"})
            for name in [*names, *map(str, range(len(names), count))][:count]
        ]
        for index, slider in enumerate(self.sliders):
            slider.observe(lambda change, index=index: self._slid(index, change["new"]), "value")
        first = self._first_state(count, state)
        self._base = self._key = self._shown = None
        canvas = Canvas(torch.ones(3, 8, 8), alt=alt, actions=["before", "reset", "save"],
                        max_size=(420, 420))
        super().__init__(first, canvas, self._controls(first))
        self._arrange()

    def solve(self, state: DirectionState) -> Answer:
        """By `directions.move` along the sum of all directions."""
        codes, pictures = self._unmoved(state)
        step = self.step(state)
        rows = range(state.layers[0], state.layers[1] + 1) if codes.ndim == 3 else None
        moved = move(codes, step, 1, layers=rows)
        with torch.no_grad():
            edited = self.generator.decode(moved, space=self.space, noise=self._noise)
        said = f"close to the input: pixels changed by {(edited - pictures).abs().mean():.3f}"
        if any(state.strengths):
            said += (f" · on the manifold: {self._farthest(moved, state):.1f} deviations from the "
                     f"mean where the sliders lead; few samples lie beyond 3")
        return Answer(self._tiled(edited), said=said)

    def _farthest(self, moved: Latent, state: DirectionState) -> float:
        """The largest coordinate of these codes along a direction whose slider is moved."""
        used = [index for index, value in enumerate(state.strengths) if value]
        along = ((moved - self._mean) @ self.directions.components[used].T).abs()
        return float((along / self.directions.stdev[used]).max())

    def step(self, state: DirectionState | None = None) -> Direction:
        """What is added to the codes: Σ strength · deviation · direction."""
        strengths = (state or self.state).strengths
        used, scale = self.directions.components[: len(strengths)], self.directions.stdev
        return (used.new_tensor(strengths) * scale[: len(strengths)]) @ used

    def save_direction(self, name: str) -> NamedDirection:
        """Keep the sum of all sliders, with its layers and strength, under a name.

        Raises:
            ValueError: no slider is moved, or the name is empty.
        """
        step = self.step()
        length = float(step.norm())
        if length == 0:
            raise ValueError(
                "all sliders are at 0, so there is no direction to keep: move one until you see "
                "what it does."
            )
        if not name.strip():
            raise ValueError("the name is empty, so nobody could find it again: write one.")
        rows = range(self.state.layers[0], self.state.layers[1] + 1)
        whole = self.space != "w_plus" or len(rows) == len(self._mean)
        vector = tuple(round(value, 5) for value in (step / length).tolist())
        found = NamedDirection(name.strip(), self.generator.name, self.directions.space, vector,
                               None if whole else tuple(rows), round(length, 3))
        save_direction(found, self.store)
        return found

    def stops(self) -> list[dict]:
        """Each direction at both ends, and all of them at once."""
        still = (0.0,) * len(self.sliders)
        ends = [(*still[:i], end, *still[i + 1 :]) for i in range(len(still))
                for end in (-REACH, REACH)]
        return [{"strengths": place} for place in [*ends, (REACH,) * len(still)]]

    def _first_state(self, count: int, given: dict) -> DirectionState:
        options = {"strengths": (0.0,) * count}
        if self.space == "w_plus":
            options["layers"] = (0, len(self._mean) - 1)
        if self._given is not None or self.space == "z":
            options["truncation_psi"] = 1.0
        return DirectionState(**options | given)

    def _controls(self, state: DirectionState) -> dict[str, ipywidgets.Widget]:
        """Those that have a meaning for this family, and for samples or given codes."""
        slider, controls = ipywidgets.IntSlider, {}
        if self._given is None:
            controls["seed"] = slider(state.seed, 0, 99, description="seed")
            controls["samples"] = slider(state.samples, 1, MOST, description="samples")
        if self.space == "w_plus":
            controls["truncation_psi"] = ipywidgets.FloatSlider(
                state.truncation_psi, min=0, max=1.5, step=0.05, description="truncation ψ")
            controls["layers"] = ipywidgets.IntRangeSlider(
                value=state.layers, min=0, max=len(self._mean) - 1, description="layers")
        return controls

    def _arrange(self) -> None:
        """Sliders left of the pictures; below, a name and where to keep it."""
        self.name = ipywidgets.Text(placeholder="what does it do?", description="name")
        self.keep = ipywidgets.Button(description="Save direction", icon="bookmark")
        self.kept = ipywidgets.HTML()
        self.keep.on_click(lambda _: self._keep())
        controls, pictures = self.widget.children
        column = ipywidgets.VBox(self.sliders)
        middle = ipywidgets.HBox([column, *pictures.children], layout={"flex_flow": "wrap"})
        middle.layout.grid_gap = "16px"
        saving = ipywidgets.HBox([self.name, self.keep, self.kept], layout={"flex_flow": "wrap"})
        self.widget = ipywidgets.VBox([controls, middle, saving])

    def _keep(self) -> None:
        try:
            found = self.save_direction(self.name.value)
            self.kept.value = f"kept in {self.store.name}: {len(found.direction)} numbers"
        except (OSError, ValueError) as failure:
            self.kept.value = ""
            self.canvas.error = str(failure)

    def _unmoved(self, state: DirectionState) -> tuple[Latent, Image]:
        """The codes and pictures before any direction; kept until seed, samples or ψ change."""
        key = (state.seed, state.samples, state.truncation_psi)
        if key != self._key:
            codes = self._given
            if codes is None:
                rng = torch.Generator().manual_seed(state.seed)
                codes = self.generator.sample_latent(state.samples, space=self.space, rng=rng)
            codes = self._mean + state.truncation_psi * (codes - self._mean)
            with torch.no_grad():
                pictures = self.generator.decode(codes, space=self.space, noise=self._noise)
            self._base, self._key = (codes, pictures), key
        return self._base

    def _tiled(self, pictures: Image) -> Float[Tensor, "3 _ _"]:
        columns = min(len(pictures), 3 if len(pictures) > 4 else 2)
        return tile(pictures, columns, size=256 if len(pictures) == 1 else 128)

    def _slid(self, index: int, value: float) -> None:
        if not self._held:
            strengths = list(self.state.strengths)
            strengths[index] = value
            self.set(strengths=tuple(strengths))

    def _sync(self) -> None:
        if self._key != self._shown:
            self._restart()
        super()._sync()
        with self._holding():
            for slider, strength in zip(self.sliders, self.state.strengths, strict=True):
                slider.value = strength

    def _restart(self) -> None:
        """What "before" shows: the pictures of the unmoved codes."""
        self.canvas.restart(self._tiled(self._unmoved(self.state)[1]))
        self._shown = self._key
