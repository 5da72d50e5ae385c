"""Train one of the shipped models, or go on where it stopped.

    python -m course_lib.training stylegan2 cats --data cats64.zip --out runs/cats
    python -m course_lib.training dcgan cats --data cats64.zip --out runs/cats-dcgan
    python -m course_lib.training encoder cats --data cats64.zip --out runs/cats-encoder
    python -m course_lib.training polish cats --data cats64.zip --out runs/cats-polished
        --start-from course_lib/assets/cats.safetensors
        --critic course_lib/assets/cats-dcgan.safetensors
    python -m course_lib.training classifier cats --data cats64.zip --out runs/cats-classifier
    torchrun --nproc-per-node 2 -m course_lib.training stylegan2 cats --data ... --out ...
"""

import argparse
import os

import torch

from course_lib.training.families import FAMILIES
from course_lib.training.loop import train


def main() -> None:
    """Read the command line, train, stop."""
    parser = _parser()
    options, unknown = parser.parse_known_args()
    if unknown:
        parser.error(f"{unknown[0]} is nothing that {options.family} takes: leave it out, or look "
                     f"at {options.family} --help")
    try:
        _run(options)
    except (ValueError, OSError) as error:  # of options, data, weights and folders: a sentence each
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    """With a command for each family, which may have options of its own."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.training", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="family", metavar="family", required=True)
    for name, family in sorted(FAMILIES.items()):
        family.add_options(commands.add_parser(name, help=family.__doc__.splitlines()[0]))
    return parser


def _run(options: argparse.Namespace) -> None:
    """Train what the command line asks for, or go on with it."""
    family, resumes = FAMILIES[options.family], (options.out / "checkpoint.pt").exists()
    family.check_options(options, resumes=resumes)
    device, rank, processes = _place(options.device)
    recipe = family.recipes[options.recipe].shortened(options.share)
    training = family.build(recipe, options, device=device, rank=rank, processes=processes)
    if not resumes:
        training.begin(options)
    elif options.start_from:
        print(f"{options.out} holds a run already: it goes on, and --start-from is not needed.")
    if training.done:
        raise ValueError(f"the recipe ends before the {training.seen:,} pictures that these "
                         "weights have seen: raise --share")
    train(training, options.out, minutes=options.minutes, writer=rank == 0)
    if training.done and rank == 0:
        print(f"The recipe is over, after {training.seen:,} pictures: export it, or raise --share.")


def _place(name: str) -> tuple[torch.device, int, int]:
    """Where this process computes; its rank, and how many there are (under torchrun)."""
    try:
        device = torch.empty(0, device=name).device
    except (RuntimeError, AssertionError):
        raise ValueError(f"--device {name} can't be used on this machine: take cpu, cuda or mps, "
                         "whichever it has") from None
    rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if processes > 1:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
    return device, rank, processes


if __name__ == "__main__":
    main()
