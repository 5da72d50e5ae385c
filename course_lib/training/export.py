"""From a training run to what ships: weights in half precision, and a card of what was measured.

    python -m course_lib.training.export cats --run runs/cats --data cats64.zip

writes weights and card, and two sheets into the run's folder. Open the sheet, count the samples
that you recognise at a glance, and run it again with --recognized 93. What learnt from other
pictures than the shipped ones says so with --source and --license.
"""

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from course_lib.generators import load_generator
from course_lib.generators.base import Card, Generator
from course_lib.metrics import frechet_distance, sliced_wasserstein
from course_lib.training.data import Dataset, read_pictures
from course_lib.training.loop import save_sheet
from course_lib.weights import save_weights

AFHQ = ("AFHQ v1, train/cat: 4,897 centred cat faces (NAVER Corp.; Choi et al., StarGAN v2, CVPR "
        "2020)")
SOURCES = {  # data and licence of the shipped weights, by the first word of a model's name
    "cats": (AFHQ, "CC BY-NC 4.0"),
    "shoes": (
        "8,686 thumbnails of shoes on white from the public set Fashion Product Images (Small), "
        "a shop's catalogue, whose licence could not be verified", "unverified data",
    ),
    "bags": (
        "2,811 thumbnails of bags on white from the public set Fashion Product Images (Small), "
        "a shop's catalogue, whose licence could not be verified", "unverified data",
    ),
    "clothes": (
        "4,768 garments and shoes, cut out of their photographs (github.com/alexeygrigorev/"
        "clothing-dataset, by Alexey Grigorev and its contributors, free for any purpose)", "MIT",
    ),
    "shirts": (
        "3,107 photographs of garments, laid or hung (github.com/alexeygrigorev/clothing-dataset, "
        f"CC0 1.0); the weights that it began with: {AFHQ}", "CC BY-NC 4.0",
    ),
}


def export(
    state: dict, name: str, family: str, data: Dataset, folder: Path, run: Path, *,
    recognized: int | None = None, faults: str = "", source: tuple[str, str] | None = None,
) -> Card:
    """Write `name`.safetensors and its card into `folder`; sheets to look at into `run`.

    Args:
        state: of a training: averaged generator, discriminator, pictures seen.
        data: the set it learnt from, at its resolution.
        recognized: how many of the sheet's 100 samples a person recognised.
        source: what it learnt from, and its licence; that of the shipped model if None.
    """
    (source, license), history = source or source_of(name), trained(run)
    tensors = {f"G_ema.{key}": value for key, value in state["average"].items()}
    tensors |= {f"D.{key}": value for key, value in state["discriminator"].items()}
    path = folder / f"{name}.safetensors"
    previous = Card.read(path.with_suffix(".json")) if path.with_suffix(".json").exists() else None
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(path, rounded(tensors), settings={"family": family, "pictures": state["seen"]})
    generator = load_generator(path, device="cpu")
    measured = measure(generator, data)
    sheet(generator, data, run)
    measured |= {"pictures seen": state["seen"], "recognized of 100": recognized}
    if previous is not None:
        older = previous.measured["pictures seen"] < state["seen"]  # or the same, now counted
        before = previous.measured.get("distance" if older else "previous distance")
        measured |= {} if before is None else {"previous distance": before}
    counted = "not counted" if recognized is None else f"{recognized} of 100 recognised"
    quality = (f"{counted}, distance {measured['distance']} (floor {measured['floor']}), "
               f"Fréchet {measured['frechet']} ({measured['frechet floor']})")
    card = Card(name, family, generator.resolution, path.stat().st_size, license, quality,
                source, history, measured, faults)
    card.write(path.with_suffix(".json"))
    return card


def rounded(tensors: dict[str, Tensor], steps: int = 16) -> dict[str, Tensor]:
    """Weights on a grid, so that zip and git squeeze them: most bits of the mantissa are 0.

    The spacing is a power of two, so that half precision holds every value.

    Args:
        tensors: by name; counts, constants and single numbers stay as they are.
        steps: of the grid within a tensor's standard deviation, at least (and less than twice as
            many): 16 move the colours of a picture by about 4/255.
    """
    def on_grid(tensor: Tensor) -> Tensor:
        deviation = float(tensor.std(correction=0)) if tensor.is_floating_point() else 0
        if not deviation > 0:
            return tensor
        spacing = 2.0 ** math.floor(math.log2(deviation)) / steps
        return (tensor / spacing).round() * spacing

    return {name: on_grid(tensor) for name, tensor in tensors.items()}


def export_encoder(
    state: dict, name: str, folder: Path, run: Path, *, source: tuple[str, str] | None = None
) -> Card:
    """Write `name`-encoder.safetensors and its card into `folder`."""
    (source, license), history = source or source_of(name), trained(run)
    path = folder / f"{name}-encoder.safetensors"
    save_weights(path, rounded(state["average"], steps=8), settings={"config": state["config"]})
    losses = {key: round(value, 4) for key, value in state["held out"].items()}
    quality = f"held-out pixels {losses['pixels']}, perceptual {losses['perceptual']}"
    card = Card(f"{name}-encoder", "encoder", state["config"]["resolution"], path.stat().st_size,
                license, quality, source, history, {"held-out losses": losses})
    card.write(path.with_suffix(".json"))
    return card


def export_classifier(
    state: dict, name: str, folder: Path, run: Path, *, source: tuple[str, str] | None = None
) -> Card:
    """Write `name`-classifier.safetensors and its card into `folder`."""
    (source, license), found = source or source_of(name), state["held out"]
    path = folder / f"{name}-classifier.safetensors"
    save_weights(path, state["classifier"], settings={"config": state["config"]})
    quality = "held-out accuracy (commoner answer): " + ", ".join(
        f"{attribute} {100 * rates['accuracy']:.0f} ({100 * rates['commoner answer']:.0f}) %"
        for attribute, rates in found.items()
    )
    card = Card(f"{name}-classifier", "classifier", state["config"]["resolution"],
                path.stat().st_size, license, quality, source, trained(run),
                {"held-out": found}, state["faults"])
    card.write(path.with_suffix(".json"))
    return card


def source_of(name: str) -> tuple[str, str]:
    """What a model learnt from, and the licence of its weights.

    Raises:
        ValueError: nobody wrote it down.
    """
    kind = name.split("-")[0]
    if kind not in SOURCES:
        raise ValueError(
            f"what {name} learnt from is unknown, and its card must say so: pass --source and "
            f"--license."
        )
    return SOURCES[kind]


def trained(run: Path) -> str:
    """How long a run took, from its log."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    ends = [a["seconds"] for a, b in itertools.pairwise(lines)
            if b["seconds"] < a["seconds"]]
    minutes = (sum(ends) + lines[-1]["seconds"]) / 60
    devices = sorted({line.get("device", "cpu") for line in lines})
    return (f"{lines[-1]['pictures']:,} pictures in {minutes:.0f} minutes on "
            f"{' and '.join(devices)}, python -m course_lib.training")


@torch.no_grad()
def measure(generator: Generator, data: Dataset, *, pictures: int = 1000) -> dict[str, object]:
    """Distances to the real pictures, their floors (real against real), times on this machine."""
    rng = torch.Generator().manual_seed(0)
    pictures = min(pictures, len(data) // 2)
    order = torch.randperm(len(data), generator=rng)
    real, held = (data[part].float() / 255 for part in order[: 2 * pictures].chunk(2))
    parts = [generator.decode(generator.sample_latent(n, rng=rng))
             for n in [50] * (pictures // 50) + [pictures % 50] * (pictures % 50 > 0)]
    fake = torch.cat(parts).clamp(0, 1)
    distance = sliced_wasserstein(real, fake, rng=rng)
    floor = sliced_wasserstein(real, held, rng=rng)
    z = generator.sample_latent(16, rng=rng)
    return {
        "distance": round(float(distance.mean()), 1), "floor": round(float(floor.mean()), 1),
        "distance by level": [round(float(d), 1) for d in distance],
        "frechet": round(frechet_distance(real, fake), 1),
        "frechet floor": round(frechet_distance(real, held), 1),
        "ms for 1": round(_best(lambda: generator.decode(z[:1])), 1),
        "ms for 16": round(_best(lambda: generator.decode(z)), 1),
    }


def _best(call: Callable[[], object], rounds: int = 7) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begin))
    return min(times)


@torch.no_grad()
def sheet(generator: Generator, data: Dataset, run: Path, *, truncation_psi: float = 0.7) -> None:
    """100 samples; and eight of them, each above its nearest training picture: no copies?

    Truncated in w; families without w are shown as the prior draws them, since shorter z are
    less likely ones, not more typical ones.
    """
    rng = torch.Generator().manual_seed(1)
    space, psi = ("w", truncation_psi) if "w" in generator.spaces else ("z", 1)
    latent = generator.sample_latent(100, space=space, rng=rng, truncation_psi=psi)
    images = generator.decode(latent, space=space).clamp(0, 1)
    save_sheet(images, run / "samples.png")
    save_sheet(torch.cat([images[:8], nearest(images[:8], data)]), run / "nearest.png", columns=8)


def nearest(images: Tensor, data: Dataset) -> Tensor:
    """The training picture (or its mirror image) nearest to each picture, by squared error."""
    best = torch.full((len(images),), torch.inf)
    found = images.clone()
    for part in data.split(256):
        for candidates in (part.float() / 255, part.flip(-1).float() / 255):
            distances = torch.cdist(images.flatten(1), candidates.flatten(1))
            distance, index = distances.min(dim=1)
            closer = distance < best
            found[closer] = candidates[index[closer]]
            best = torch.minimum(best, distance)
    return found


def main() -> None:
    """Read the command line, write the model and its card."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.training.export",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the model: cats, shoes-dcgan, ...")
    parser.add_argument("--run", required=True, type=Path, help="folder of the training run")
    parser.add_argument("--data", required=True, help="zip or folder that it learnt from")
    parser.add_argument("--assets", type=Path, default=Path(__file__).parents[1] / "assets")
    parser.add_argument("--recognized", type=int, help="samples recognised, of 100")
    parser.add_argument("--faults", default="", help="what is known to be bad, for the card")
    parser.add_argument("--source", help="what it learnt from, if not from the shipped models' set")
    parser.add_argument("--license", help="of the weights, if --source is given")
    chosen = parser.parse_args()
    if bool(chosen.source) != bool(chosen.license):
        parser.error("--source and --license go together: what it learnt from decides who may use "
                     "the weights")
    best = chosen.run / "best.pt"
    checkpoint = best if best.is_file() else chosen.run / "checkpoint.pt"
    if not checkpoint.is_file():
        parser.error(f"{checkpoint} does not exist: pass the folder of a training run with --run")
    try:
        print(json.dumps(asdict(_export(chosen, checkpoint)), indent=2))
    except (ValueError, FileNotFoundError) as error:  # of names and data: one sentence each
        parser.error(str(error))


def _export(chosen: argparse.Namespace, checkpoint: Path) -> Card:
    """Write what the run's checkpoint holds; its card."""
    source = (chosen.source, chosen.license) if chosen.source else None
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    if "encoder" in state:
        of = chosen.name.removesuffix("-encoder")
        return export_encoder(state, of, chosen.assets, chosen.run, source=source)
    if "classifier" in state:
        return export_classifier(state, chosen.name, chosen.assets, chosen.run, source=source)
    grown = sum(key.endswith(".torgb.bias") for key in state["average"])
    family, resolution = ("stylegan2", 2 << grown) if grown else ("dcgan", 64)
    data = read_pictures(chosen.data, resolution)
    return export(state, chosen.name, family, data, chosen.assets, chosen.run,
                  recognized=chosen.recognized, faults=chosen.faults, source=source)


if __name__ == "__main__":
    main()
