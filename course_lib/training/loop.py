"""Steps until the time or the recipe is over: a progress bar, a log, sheets, checkpoints."""

import json
import math
import os
import shutil
import time
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from tqdm.auto import tqdm

from course_lib.training.base import Training
from course_lib.training.sheets import save_sheet


@runtime_checkable
class Measured(Protocol):
    """A training that can tell how good it is: the best state is kept beside the last."""

    def distance(self) -> float:
        """From the set's pictures to its own; less is better."""


def train(
    training: Training, folder: Path, *, minutes: float | None = None,
    save_every: float = 4, writer: bool = True,
) -> None:
    """Train until the recipe ends or `minutes` are over; then a later call goes on from there.

    Args:
        folder: where `checkpoint.pt`, `log.jsonl` and the sheets live; made if missing.
        save_every: minutes between two checkpoints (log line and sheet with each).
        writer: False in all processes but the first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        try:
            training.load(torch.load(checkpoint, weights_only=True, map_location="cpu"))
        except (KeyError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"{folder} holds a training run of another kind or size, or a broken one "
                f"({reason}), so this one can't go on from it: pass another folder with --out."
            ) from error
    begin = last = time.monotonic()
    total = {}
    with tqdm(initial=training.seen, unit=" pictures", disable=not writer, mininterval=5) as bar:
        while not training.done:
            if minutes is not None and time.monotonic() - begin > 60 * minutes:
                break
            losses = training.step()
            bar.update(training.seen - bar.n)
            for name, value in losses.items():
                total.setdefault(name, []).append(value)
            if time.monotonic() - last > 60 * save_every:
                _report(training, folder, total, time.monotonic() - begin, writer)
                total, last = {}, time.monotonic()
    _report(training, folder, total, time.monotonic() - begin, writer)


def _report(
    training: Training, folder: Path, total: dict, seconds: float, writer: bool
) -> None:
    if not writer:
        return
    means = {name: round(float(torch.stack(v).mean()), 4) for name, v in total.items()}
    line = {"pictures": training.seen, "seconds": round(seconds), **means,
            "device": device_name(training.device)}
    best = math.inf
    if isinstance(training, Measured):
        best = lowest_distance(folder)
        line["frechet"] = round(training.distance(), 1)
    with open(folder / "log.jsonl", "a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")
    save_sheet(training.samples(100), folder / f"sheet-{training.seen // 1000:05d}k.jpg")
    whole = folder / "checkpoint.part"
    torch.save(training.state(), whole)
    if line.get("frechet", math.inf) < best:
        shutil.copyfile(whole, folder / "best.part")
        os.replace(folder / "best.part", folder / "best.pt")
    os.replace(whole, folder / "checkpoint.pt")  # never half a checkpoint


def lowest_distance(folder: Path) -> float:
    """Of all that the log of a run tells; infinite before the first."""
    log = folder / "log.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return min((json.loads(line).get("frechet", math.inf) for line in lines), default=math.inf)


def device_name(device: torch.device) -> str:
    """As a card says it: "cpu", or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
