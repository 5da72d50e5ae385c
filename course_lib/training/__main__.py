"""Train one of the shipped models, or go on where it stopped.

    python -m course_lib.training stylegan2 cats --data cats64.zip --out runs/cats
    python -m course_lib.training dcgan shoes --data shoes.zip --out runs/shoes-dcgan
    python -m course_lib.training encoder cats --data cats64.zip --out runs/cats-encoder
    python -m course_lib.training polish cats --data cats64.zip --out runs/cats-polished
        --start-from course_lib/assets/cats.safetensors
        --critic course_lib/assets/cats-dcgan.safetensors
    python -m course_lib.training classifier cats --data cats64.zip --out runs/cats-classifier
    torchrun --nproc-per-node 2 -m course_lib.training stylegan2 cats --data ... --out ...
"""

import argparse
import os
from pathlib import Path

import torch

from course_lib.generators import load_generator
from course_lib.training import classifier, dcgan, encoder, polish, projected, stylegan2
from course_lib.training.data import read_pictures
from course_lib.training.loop import Training, train
from course_lib.weights import read_weights

FAMILIES = {
    "classifier": (classifier, classifier.ClassifierTraining),
    "dcgan": (dcgan, dcgan.DCGANTraining),
    "encoder": (encoder, encoder.EncoderTraining),
    "polish": (polish, polish.PolishTraining),
    "projected": (projected, projected.ProjectedTraining),
    "stylegan2": (stylegan2, stylegan2.StyleGAN2Training),
}


def main() -> None:
    """Read the command line, train, stop."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.training", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=sorted(FAMILIES))
    parser.add_argument("recipe", help=", ".join(
        f"{name}: {' '.join(sorted(module.RECIPES))}" for name, (module, _) in FAMILIES.items()))
    parser.add_argument("--data", required=True, help="zip or folder of square pictures")
    parser.add_argument("--out", required=True, type=Path, help="checkpoint, log and sheets")
    parser.add_argument("--start-from", type=Path, help="shipped weights to go on from")
    parser.add_argument("--critic", type=Path,
                        help="polish, at first: weights of a DCGAN of the same pictures")
    parser.add_argument("--minutes", type=float, help="stop after so long; run again to go on")
    parser.add_argument("--share", type=float, default=1, help="of the recipe's pictures")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen = parser.parse_args()
    module, _ = FAMILIES[chosen.family]
    if chosen.recipe not in module.RECIPES:
        parser.error(f"there is no recipe {chosen.recipe!r} for {chosen.family}: choose one of "
                     f"{', '.join(sorted(module.RECIPES))}")
    shipped = f"course_lib/assets/{chosen.recipe.split('-')[0]}.safetensors"
    for option, path in (("--start-from", chosen.start_from), ("--critic", chosen.critic)):
        if path and not path.exists():
            parser.error(f"{option} {path} does not exist: pass a file, such as {shipped}")
    if chosen.minutes is not None and not chosen.minutes >= 0:
        parser.error(f"--minutes {chosen.minutes:g} is no span of time: pass 0 or more")
    if chosen.start_from and not hasattr(FAMILIES[chosen.family][1], "start_from"):
        able = [name for name, (_, family) in FAMILIES.items() if hasattr(family, "start_from")]
        parser.error(f"--start-from is for {', '.join(able)}: leave it out, as a {chosen.family} "
                     "begins afresh")
    resumes = (chosen.out / "checkpoint.pt").exists()
    if chosen.critic and chosen.family != "polish":
        parser.error("--critic is for polish only: leave it out")
    if chosen.family == "polish" and not (chosen.start_from or resumes):
        parser.error("there is nothing to polish: pass the weights of a StyleGAN2, --start-from "
                     f"{shipped}, and, unless they were polished before, those of a DCGAN, "
                     "--critic")
    rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    try:
        device = torch.empty(0, device=chosen.device).device
    except (RuntimeError, AssertionError):
        parser.error(f"--device {chosen.device} can't be used on this machine: take cpu, cuda or "
                     "mps, whichever it has")
    if processes > 1:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
    try:
        training = _training(chosen, device, rank, processes)
        if chosen.start_from and resumes:
            print(f"{chosen.out} holds a run already: it goes on, and --start-from is not needed.")
        elif chosen.start_from:
            critic = [read_weights(chosen.critic)] if chosen.critic else []
            training.start_from(read_weights(chosen.start_from), *critic)
        if training.done:
            parser.error(f"the recipe ends before the {training.seen:,} pictures that these "
                         "weights have seen: raise --share")
        train(training, chosen.out, minutes=chosen.minutes, writer=rank == 0)
    except (ValueError, OSError) as error:  # of data, weights and folders: one sentence each
        parser.error(str(error))
    if training.done and rank == 0:
        print(f"The recipe is over, after {training.seen:,} pictures: export it, or raise --share.")


def _training(
    chosen: argparse.Namespace, device: torch.device, rank: int, processes: int
) -> Training:
    """The training asked for, before its first step."""
    module, family = FAMILIES[chosen.family]
    recipe = module.shortened(module.RECIPES[chosen.recipe], chosen.share)
    if chosen.family == "encoder":
        generator = load_generator(chosen.recipe, device=device)
        data = read_pictures(chosen.data, generator.resolution)
        return family(recipe, generator, data)
    if chosen.family == "classifier":
        data = read_pictures(chosen.data, recipe.resolution)
        labels = classifier.answer(recipe, classifier.read_labels(chosen.data), data)
        return family(recipe, data, labels, device=device)
    stages = getattr(recipe, "stages", (recipe,))  # of families that grow
    data = read_pictures(chosen.data, stages[-1].resolution)
    return family(recipe, data, device=device, rank=rank, processes=processes)


if __name__ == "__main__":
    main()
