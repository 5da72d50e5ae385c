"""The benchmarks' clock, scale and table; how fast anything is, they alone measure."""

import itertools
import sys

import pytest
import torch

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks import timing
from tests.benchmarks.timing import median_seconds, peak_megabytes


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves only when it is told to."""
    class Clock:
        now = 0.0

        def perf_counter(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def taking(clock, calls: list[str], name: str, durations):
    durations = iter(durations)

    def call():
        calls.append(name)
        clock.now += next(durations)
    return call


def test_contestants_take_turns_and_the_median_counts(clock):
    calls = []
    a = taking(clock, calls, "A", [100, 3, 1, 9])  # the first is the warm-up
    b = taking(clock, calls, "B", [100, 20, 40, 30])
    assert median_seconds(a, b, rounds=3, budget=1000) == [3, 30]
    assert "".join(calls) == "ABABABAB"


@pytest.mark.parametrize("budget, rounds", [(5, 1), (25, 2), (1000, 5)])
def test_the_budget_ends_the_rounds_but_one_always_counts(clock, budget, rounds):
    calls = []
    a = taking(clock, calls, "A", itertools.repeat(10.0))
    assert median_seconds(a, rounds=5, budget=budget) == [10]
    assert len(calls) == 1 + rounds


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells the peak")
@pytest.mark.parametrize("megabytes", [40, 120])
def test_the_peak_counts_what_is_freed_again(megabytes):
    def work() -> None:
        torch.ones(megabytes * 250_000).sum()

    work()
    peak = peak_megabytes(work)
    if peak is None:
        pytest.skip("this system does not let a process forget its peak")
    assert megabytes - 5 < peak < megabytes + 25
    assert peak_megabytes(lambda: None) < 5


def test_memory_is_unknown_where_nobody_tells(monkeypatch):
    monkeypatch.setattr(timing.sys, "platform", "darwin")
    assert peak_megabytes(lambda: 1 / 0) is None  # not even called


@pytest.fixture
def two_benchmarks(monkeypatch):
    """The command with one benchmark that runs and one whose peer is missing."""
    class Runs:
        @staticmethod
        def rows(device):
            yield "seamless_clone source", 1024, 0.2, "cv2.seamlessClone", 0.5, 12.4
            yield "warp_mls", "1000²", 1.5, "", None, None

    class Lacks:
        @staticmethod
        def rows(device):
            yield "first", 1, 1.0, "a", 2.0, 3.0
            raise ModuleNotFoundError("No module named 'cv2'", name="cv2")

    modules = {"tests.benchmarks.bench_runs": Runs, "tests.benchmarks.bench_lacks": Lacks}
    monkeypatch.setattr(benchmarks.importlib, "import_module", modules.__getitem__)
    monkeypatch.setattr(benchmarks, "NAMES", ("lacks", "runs"))
    monkeypatch.setenv("COURSE_DEVICE", "cpu")


def test_the_table_is_aligned_and_states_the_ratio(two_benchmarks, capsys):
    benchmarks.main(["--only", "runs"])
    machine, header, first, second = capsys.readouterr().out.splitlines()
    assert f"torch {torch.__version__}" in machine and "cpu" in machine and "threads" in machine
    assert header.split() == ["method", "size", "ours", "peer", "peer", "ratio", "memory"]
    assert first.split()[2:] == [
        "1024", "200", "ms", "cv2.seamlessClone", "500", "ms", "2.5x", "12", "MB"
    ]
    assert second.split() == ["warp_mls", "1000²", "1.50", "s", "–", "–", "–", "–"]
    assert first.index("1024") == second.index("1000²") == header.index("size")
    assert first.index("2.5x") + 4 == second.rindex("–", 0, -3) + 1 == header.index("ratio") + 5


def test_a_missing_peer_is_a_sentence_and_the_others_still_run(two_benchmarks, capsys):
    benchmarks.main([])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("first")
    assert "lacks: No module named 'cv2', so" in lines[3] and "requirements.txt" in lines[3]
    assert lines[4].startswith("seamless_clone")


@pytest.mark.parametrize("arguments, complaint", [
    (["--only", "cooking"], "no benchmark cooking: take some of lacks, runs"),
    (["--device", "gpu"], "COURSE_DEVICE is 'gpu'"),
])
def test_a_wrong_command_is_explained(arguments, complaint, two_benchmarks, capsys):
    with pytest.raises(SystemExit):
        benchmarks.main(arguments)
    assert complaint in capsys.readouterr().err
