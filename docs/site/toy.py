"""The first page's toy: cats on sliders, drawn in the reader's browser.

One graph takes the noise z and how far each slider stands, and gives the picture:
z -> w -> w_plus, a step along each direction, G. It is exported to ONNX, and ONNX Runtime runs it.
All of it is written as scripts, since a page opened from a folder may load nothing else.
"""

import base64
import json
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.directions import ganspace
from course_lib.directions.naming import shipped_directions
from course_lib.generators import load_generator
from course_lib.generators.base import chosen_rows

NAME, TRUNCATION = "cats", 0.6
COARSE = range(4)  # rows of w_plus
# Principal components that somebody has looked at, with the end that the name means.
COMPONENTS = {"white face": 5, "white muzzle": 2, "head turned": 1}
RUNTIME = "ort.wasm.bundle.min.mjs"
BINARY = "ort-wasm-simd-threaded.wasm"


class Toy(nn.Module):
    """(z, strengths) -> one picture in [0, 1].

    Attributes:
        names: of the directions; `steps`, (directions, num_ws, w_dim), is what a strength of 1
            adds to w_plus.
    """

    def __init__(self) -> None:
        super().__init__()
        self.generator = load_generator(NAME, device="cpu")
        steps = _steps(self.generator)
        self.names = list(steps)
        self.register_buffer("steps", torch.stack(list(steps.values())))

    def forward(
        self, z: Float[Tensor, "1 z_dim"], strengths: Float[Tensor, " directions"]
    ) -> Float[Tensor, "3 r r"]:
        """The picture of this code, moved so far along each direction."""
        average = self.generator.w_avg
        w = average + TRUNCATION * (self.generator.mapping(z) - average)
        w_plus = w[:, None] + (strengths[:, None, None] * self.steps).sum(dim=0)
        return (self.generator.synthesis(w_plus, noise="const")[0] / 2 + 0.5).clamp(0, 1)


def _steps(generator) -> dict[str, Tensor]:
    """By name, what the farthest end of a slider adds to w_plus, (num_ws, w_dim)."""
    found = {}
    for name, one in shipped_directions(generator).items():
        found[name] = _on_rows(generator, one.layers, one.reach * one.vector(generator.w_avg))
    principal = ganspace(generator, n_samples=20_000, n_components=8,
                         rng=torch.Generator().manual_seed(0))
    for name, index in COMPONENTS.items():
        step = 2 * principal.stdev[index] * principal.components[index]
        found[name] = _on_rows(generator, COARSE, step)
    return found


def _on_rows(generator, rows, step: Tensor) -> Tensor:
    """The step on these rows of w_plus, and none on the others."""
    step = step.expand(generator.num_ws, -1)
    return step * chosen_rows(step[None], rows)


def export(toy: Toy, path: Path) -> None:
    """Write the graph as ONNX."""
    example = (torch.zeros(1, toy.generator.z_dim), torch.zeros(len(toy.names)))
    torch.onnx.export(toy.eval(), example, str(path), input_names=["z", "strengths"],
                      output_names=["picture"], dynamo=True, external_data=False, verbose=False)


def write_toy(static: Path, runtime: Path) -> None:
    """Write what the first page loads: the runtime's script and machine code, the generator.

    Args:
        static: the folder of the site's scripts.
        runtime: ONNX Runtime's, as npm hands it out.
    """
    toy = Toy()
    export(toy, static / "toy.onnx")
    parts = {
        "runtime": (runtime / RUNTIME).read_bytes(),
        "machine": (runtime / BINARY).read_bytes(),
        "graph": (static / "toy.onnx").read_bytes(),
    }
    (static / "toy.onnx").unlink()
    about = {"names": toy.names, "resolution": toy.generator.resolution,
             "z_dim": toy.generator.z_dim}
    lines = [f"window.TOY = {json.dumps(about)};"]
    lines += [f'TOY.{name} = "{base64.b64encode(data).decode()}";' for name, data in parts.items()]
    (static / "toy-data.js").write_text("\n".join(lines) + "\n", encoding="utf-8")
