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

from course_lib.training.families import FAMILIES
from course_lib.training.loop import train


def main() -> None:
    """Read the command line, train, stop."""
    parser = _parser()
    options = parser.parse_args()
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
        command = commands.add_parser(name, help=family.__doc__.splitlines()[0])
        command.add_argument("recipe", choices=sorted(family.recipes), metavar="recipe",
                             help=", ".join(sorted(family.recipes)))
        command.add_argument("--data", required=True, help="zip or folder of square pictures")
        command.add_argument("--out", required=True, type=Path, help="checkpoint, log and sheets")
        command.add_argument("--start-from", type=Path, help="shipped weights to go on from")
        command.add_argument("--minutes", type=float,
                             help="stop after so long; run again to go on")
        command.add_argument("--share", type=float, default=1, help="of the recipe's pictures")
        command.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
        family.add_options(command)
    return parser


def _run(options: argparse.Namespace) -> None:
    """Train what the command line asks for, or go on with it."""
    family, resumes = FAMILIES[options.family], (options.out / "checkpoint.pt").exists()
    _check(options)
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


def _check(options: argparse.Namespace) -> None:
    """Refuse what no family can work with."""
    if options.start_from and not options.start_from.exists():
        raise ValueError(
            f"--start-from {options.start_from} does not exist: pass a file, such as "
            f"course_lib/assets/{options.recipe}.safetensors")
    if options.minutes is not None and not options.minutes >= 0:
        raise ValueError(f"--minutes {options.minutes:g} is no span of time: pass 0 or more")


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
