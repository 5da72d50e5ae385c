"""The first page's toys, as the reader's browser runs them: cats and clothes on sliders, a lasso.

One graph each for `cats` and `clothes-biggan` takes the noise z and how far each slider stands, and
gives the picture. Exported to ONNX, ONNX Runtime runs it. All of it is written as scripts, packed,
since a page opened from a folder may load nothing else; each tab brings its own.
"""

import base64
import gzip
import io
import json
from pathlib import Path

import PIL.Image
import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.directions import ganspace
from course_lib.directions.naming import load_directions, shipped_directions
from course_lib.generators import load_generator
from course_lib.generators.base import chosen_rows
from course_lib.images import load_image
from docs.site.garments import NAME as CLOTHES
from docs.site.garments import STORE

TRUNCATION = 0.6
COARSE = range(4)  # rows of w_plus
# Principal components that somebody has looked at, and the end that the name means.
COMPONENTS = {"white face": (5, 1), "white muzzle": (2, -1), "head turned": (1, 1)}
PHOTOS, LONGEST = ("chelsea", "coffee", "moon", "hubble", "page"), 480  # pixels of the longer side
RUNTIME = "ort.wasm.bundle.min.mjs"
BINARY = "ort-wasm-simd-threaded.wasm"


class Cats(nn.Module):
    """(z, strengths) -> one picture in [0, 1].

    Attributes:
        names: of the directions; `steps`, (directions, num_ws, w_dim), is what a strength of 1
            adds to w_plus.
    """

    kinds: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.generator = load_generator("cats", device="cpu")
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


class Clothes(nn.Module):
    """(z, strengths, mix) -> one picture in [0, 1], `mix` the share of each kind.

    Attributes:
        names: of the directions; `steps`, (directions, z_dim), is what a strength of 1 adds to z.
        kinds: their names.
    """

    def __init__(self) -> None:
        super().__init__()
        self.generator = load_generator(CLOTHES, device="cpu")
        named, self.kinds = load_directions(STORE, CLOTHES), tuple(self.generator.classes)
        self.names = [one.name for one in named]
        like = self.generator.shared.weight
        self.register_buffer("steps", torch.stack([one.reach * one.vector(like) for one in named]))

    def forward(
        self, z: Float[Tensor, "1 z_dim"], strengths: Float[Tensor, " directions"],
        mix: Float[Tensor, " kinds"],
    ) -> Float[Tensor, "3 r r"]:
        """The picture of this code and kind, moved so far along each direction."""
        moved = TRUNCATION * z.clamp(-2, 2) + (strengths[:, None] * self.steps).sum(dim=0)
        y = mix[None] @ self.generator.shared.weight
        return (self.generator.synthesis(moved, y)[0] / 2 + 0.5).clamp(0, 1)


def _steps(generator) -> dict[str, Tensor]:
    """By name, what the farthest end of a slider adds to w_plus, (num_ws, w_dim)."""
    found = {}
    for name, one in shipped_directions(generator).items():
        found[name] = _on_rows(generator, one.layers, one.reach * one.vector(generator.w_avg))
    principal = ganspace(generator, n_samples=20_000, n_components=8,
                         rng=torch.Generator().manual_seed(0))
    for name, (index, end) in COMPONENTS.items():
        step = 2 * end * principal.stdev[index] * principal.components[index]
        found[name] = _on_rows(generator, COARSE, step)
    return found


def _on_rows(generator, rows, step: Tensor) -> Tensor:
    """The step on these rows of w_plus, and none on the others."""
    step = step.expand(generator.num_ws, -1)
    return step * chosen_rows(step[None], rows)


def inputs(toy: Cats | Clothes, rng: torch.Generator) -> dict[str, Tensor]:
    """Some noise, strengths and, where there are kinds, one of them."""
    some = {"z": torch.randn(1, toy.generator.z_dim, generator=rng),
            "strengths": 2 * torch.rand(len(toy.names), generator=rng) - 1}
    if toy.kinds:
        kind = int(torch.randint(len(toy.kinds), (), generator=rng))
        some["mix"] = torch.eye(len(toy.kinds))[kind]
    return some


def export(toy: Cats | Clothes, path: Path) -> None:
    """Write the graph as ONNX."""
    example = inputs(toy, torch.Generator().manual_seed(0))
    torch.onnx.export(toy.eval(), tuple(example.values()), str(path), input_names=list(example),
                      output_names=["picture"], dynamo=True, external_data=False, verbose=False)


def write_toys(static: Path, runtime: Path) -> None:
    """Write what the first page loads: the runtime's script and machine code, graphs, photographs.

    Args:
        static: the folder of the site's scripts.
        runtime: ONNX Runtime's, as npm hands it out.
    """
    parts = {"code": runtime / RUNTIME, "machine": runtime / BINARY}
    _write(static / "toy-runtime.js", "window.TOY_RUNTIME",
           {name: pack(path.read_bytes()) for name, path in parts.items()})
    for name, toy in (("cats", Cats()), ("clothes", Clothes())):
        graph = static / f"{name}.onnx"
        export(toy, graph)
        about = {"names": toy.names, "kinds": toy.kinds or None, "z_dim": toy.generator.z_dim,
                 "resolution": toy.generator.resolution, "graph": pack(graph.read_bytes())}
        _write(static / f"toy-{name}.js", f"(window.TOYS ??= {{}}).{name}", about)
        graph.unlink()
    photos = {name: photo(name) for name in PHOTOS}
    _write(static / "lasso-photos.js", "window.LASSO_PHOTOS", photos)


def _write(path: Path, variable: str, value: object) -> None:
    path.write_text(f"{variable} = {json.dumps(value)};\n", encoding="utf-8")


def pack(data: bytes) -> str:
    """Bytes as text, compressed."""
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def photo(name: str) -> str:
    """A sample photograph as the address of a JPEG."""
    pixels = load_image(name, size=LONGEST, device="cpu").clamp(0, 1)
    pixels = (pixels * 255).round().byte().movedim(0, -1).numpy()
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
