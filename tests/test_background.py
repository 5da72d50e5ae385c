"""Background: one piece of work at a time, which can be ended."""

import pytest

from course_lib.widgets.background import Background


@pytest.fixture
def failures():
    return []


@pytest.fixture
def background(failures):
    return Background(failures.append)


def test_work_is_ended_by_the_next_one(background):
    done = []

    def forever():
        while not background.pause(0.01):
            pass
        done.append("first")

    background.start(forever)
    assert background.runs and not background.should_end
    background.start(lambda: done.append("second"))
    background.wait()
    assert done == ["first", "second"] and not background.runs


def test_work_may_wait_for_itself(background):
    done = []
    background.start(lambda: (background.wait(), done.append(True)))
    background.wait()
    assert done == [True]


def test_a_failure_is_told(background, failures, monkeypatch):
    monkeypatch.setattr("threading.excepthook", lambda arguments: None)
    background.start(lambda: {}["missing"])
    background.wait()
    assert [type(failure) for failure in failures] == [KeyError]
    assert not background.runs
