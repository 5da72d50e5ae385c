"""Two codes of a generator, mixed by hand: seeds, truncation, and who decides which layer."""

from dataclasses import dataclass, replace

import ipywidgets
import torch
from torch import Tensor

from course_lib.generators import Generator, interpolate
from course_lib.plotting import enlarge
from course_lib.widgets.sliders import LiveImage

SEEDS = 100


@dataclass(frozen=True)
class LatentState:
    """What the tool is asked to show.

    Attributes:
        seed, second_seed: of the two codes.
        truncation_psi: ψ, how far both are from the mean.
        crossover: the first row of w_plus that comes from the second code.
        blend: of families that have only z: how far from the first code to the second, in %.
    """

    seed: int = 0
    second_seed: int = 1
    truncation_psi: float = 0.7
    crossover: int = 4
    blend: int = 50


class LatentTool:
    """The pictures of two codes, and of a third that has something of both.

    Families with styles mix the rows of w_plus; those that have only z blend the two codes.

    Args:
        generator: whose pictures to show.
        state: what to show first, and again after a reset.
        height: of a picture on the screen, in pixels; small ones are enlarged without blur.
    """

    def __init__(
        self, generator: Generator, *, state: LatentState | None = None, height: int = 192
    ) -> None:
        self.generator, self._height = generator, height
        self._initial = state or LatentState()
        factor = max(1, height // generator.resolution)
        self.live = LiveImage(
            self._render, height=factor * generator.resolution, **self._controls(),
            alt=f"Two pictures of {generator.name}, and a third that has something of both",
        )

    @property
    def state(self) -> LatentState:
        """What the controls say now."""
        values = {name: control.value for name, control in self.live.controls.items()}
        return replace(self._initial, **values)

    def set(self, **values: object) -> None:
        """Move controls by name, as a user would."""
        self.live.set(**values)

    def reset(self) -> None:
        """Return to the first state."""
        self.live.reset.click()

    def pictures(self, state: LatentState) -> Tensor:
        """The first, the second and the mixed picture, (3, 3, r, r)."""
        with torch.no_grad():
            if not self.generator.offers("mix_styles"):
                first, second = self._sample(state, "z")
                walk = interpolate(first, second, 101, kind="spherical")
                return self.generator.decode(torch.cat([first, second, walk[state.blend]]))
            first, second = self._sample(state, "w_plus", truncation_psi=state.truncation_psi)
            mixed = self.generator.mix_styles(first, second, state.crossover)
            return self.generator.decode(torch.cat([first, second, mixed]), space="w_plus")

    def _sample(self, state: LatentState, space: str, **truncation: float) -> list[Tensor]:
        rngs = [torch.Generator().manual_seed(s) for s in (state.seed, state.second_seed)]
        return [self.generator.sample_latent(1, space=space, rng=rng, **truncation) for rng in rngs]

    def _controls(self) -> dict[str, ipywidgets.Widget]:
        """Sliders for the fields of the state that this family knows."""
        slider, initial = ipywidgets.IntSlider, self._initial
        controls = {
            name: slider(getattr(initial, name), 0, SEEDS - 1, description=name.replace("_", " "))
            for name in ("seed", "second_seed")
        }
        if not self.generator.offers("mix_styles"):
            return controls | {"blend": slider(initial.blend, 0, 100, description="blend in %")}
        rows = self.generator.num_ws
        return controls | {
            "truncation_psi": ipywidgets.FloatSlider(
                value=initial.truncation_psi, min=0, max=1.5, step=0.05, description="truncation ψ"
            ),
            "crossover": slider(min(initial.crossover, rows), 0, rows, description="crossover"),
        }

    def _render(self, **values: float) -> tuple[Tensor, str]:
        state = replace(self._initial, **values)
        caption = "first · second · "
        if "blend" in values:
            caption += f"{state.blend} % of the way from one to the other"
        else:
            caption += (f"mixed: {state.crossover} coarse rows of the first, "
                        f"{self.generator.num_ws - state.crossover} fine ones of the second")
        return enlarge(self.pictures(state), self._height), caption

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        return self.live._repr_mimebundle_(**kwargs)
