"""Fair clocks: the contestants take turns, and memory is counted at its peak."""

import ctypes
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

Contestant = Callable[[], object]


def synchronize() -> None:
    """Wait until the accelerator has done what it was asked for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()


def median_seconds(
    *contestants: Contestant, rounds: int = 5, warm_ups: int = 1, budget: float = 60.0,
    clock: Callable[[], float] | None = None,
) -> list[float]:
    """The median duration of each contestant's call, in seconds.

    They take turns (A B A B …), so that a busy machine slows them all.

    Args:
        contestants: called without arguments.
        rounds: turns that count, an odd number.
        warm_ups: turns before these that do not count.
        budget: no new round starts later than this, in seconds; one always counts.
        clock: whose time counts, `time.perf_counter` if None; `time.process_time` is that of all
            processors together.
    """
    clock = clock or time.perf_counter
    begin = time.perf_counter()
    seconds: list[list[float]] = [[] for _ in contestants]
    for turn in range(warm_ups + rounds):
        late = time.perf_counter() - begin > budget
        if late and turn > warm_ups:
            break
        if late and turn < warm_ups:
            continue
        for contestant, own in zip(contestants, seconds, strict=True):
            synchronize()
            start = clock()
            contestant()
            synchronize()
            if turn >= warm_ups:
                own.append(clock() - start)
    return [statistics.median(own) for own in seconds]


def peak_megabytes(function: Contestant, device: torch.device | str = "cpu") -> float | None:
    """By how much memory rises above its present level during a call, in MB (10⁶ bytes).

    On cuda it is what torch allocates there; on the CPU the resident memory of the process,
    which only Linux tells. None elsewhere.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        torch.cuda.synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    if device.type != "cpu" or not sys.platform.startswith("linux"):
        return None
    try:
        ctypes.CDLL(None).malloc_trim(0)  # hand back what was freed: reusing it would not show
        Path("/proc/self/clear_refs").write_text("5")  # forget the former peak
        before = min(_status("VmRSS"), _status("VmHWM"))
    except (OSError, AttributeError):
        return None
    function()
    return max(0.0, _status("VmHWM") - before)


def _status(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(f"this Linux does not tell {field}")
