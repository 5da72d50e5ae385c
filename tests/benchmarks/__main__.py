"""Prints one table: method, size, ours, peer, ratio, peak memory.

    python -m tests.benchmarks [--device cpu|cuda|mps] [--only blending,smoothing,warping]

Each `bench_<name>.py` beside this file has a generator `rows(device)` of tuples
(method, size, our seconds, peer's name, peer's seconds, our peak memory in MB); what is
not known is None. It may have `notes(device)`, lines of other numbers. The peers are installed by

    pip install --no-deps -r tests/benchmarks/requirements.txt
"""

import argparse
import importlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import torch

from course_lib.images import default_device

Row = tuple[str, object, float | None, str, float | None, float | None]
WIDTHS = (26, 12, 11, 26, 11, 8, 10)
HEADER = ("method", "size", "ours", "peer", "peer", "ratio", "memory")
FILES = Path(__file__).parent.glob("bench_*.py")
NAMES = tuple(sorted(path.stem.removeprefix("bench_") for path in FILES))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--device", help="cpu, cuda or mps; the fastest if not given")
    parser.add_argument("--only", help=f"some of {','.join(NAMES)}; all if not given")
    asked = parser.parse_args(arguments)
    names = asked.only.split(",") if asked.only else NAMES
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}: take some of {', '.join(NAMES)}")
    if asked.device:
        os.environ["COURSE_DEVICE"] = asked.device
    try:
        device = default_device()
    except ValueError as error:
        parser.error(str(error))
    say(machine(device))
    say(line(HEADER))
    for name in names:
        for text in table(name, device):
            say(text)


def say(text: str) -> None:
    """Print at once, so that a long run can be watched."""
    print(text, flush=True)


def machine(device: torch.device) -> str:
    """What the numbers were measured on, in one line."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return (
        f"torch {torch.__version__}, device {name}, {torch.get_num_threads()} threads on "
        f"{os.cpu_count()} cores; ratio = peer / ours, memory = our peak"
    )


def table(name: str, device: torch.device) -> Iterator[str]:
    """The lines of one benchmark, each as soon as it is measured."""
    try:
        module: ModuleType = importlib.import_module(f"tests.benchmarks.bench_{name}")
        for row in module.rows(device):
            yield line(cells(row))
        if hasattr(module, "notes"):  # numbers that are no times
            yield from module.notes(device)
    except ImportError as error:
        yield (
            f"{name}: {error}, so there is nothing to compare with: "
            f"pip install --no-deps -r tests/benchmarks/requirements.txt"
        )


def cells(row: Row) -> tuple[str, ...]:
    """One row in words."""
    method, size, ours, peer, theirs, megabytes = row
    ratio = f"{theirs / ours:.1f}x" if ours and theirs else "–"
    memory = f"{megabytes:.0f} MB" if megabytes is not None else "–"
    return method, str(size), duration(ours), peer or "–", duration(theirs), ratio, memory


def duration(seconds: float | None) -> str:
    """Seconds, or milliseconds where these are easier to read."""
    if seconds is None:
        return "–"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def line(words: Sequence[str]) -> str:
    """Words in columns: names to the left, numbers to the right."""
    left = (0, 1, 3)
    columns = zip(range(len(WIDTHS)), words, WIDTHS, strict=True)
    return " ".join(
        word.ljust(width) if index in left else word.rjust(width) for index, word, width in columns
    ).rstrip()


if __name__ == "__main__":
    main()
