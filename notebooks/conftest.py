"""How lessons are tried: with few steps of each descent, so that all are through in minutes."""

import os

import pytest

STEPS = "3"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    """Start a lesson's kernel, as its first cell does, with few steps, unless told how many."""
    asked = os.environ.get("COURSE_STEPS")
    os.environ["COURSE_STEPS"] = asked or STEPS
    try:
        return (yield)
    finally:
        if asked is None:
            del os.environ["COURSE_STEPS"]
