"""How lessons are tried: with few steps of each descent, so that all are through in minutes.

A cell whose words hold only after all its steps has the tag "all-steps". With `COURSE_STEPS` set,
every cell takes so many.
"""

import os

import pytest

STEPS = os.environ.get("COURSE_STEPS") or "3"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    """Start a lesson's kernel, as its first cell does, with few steps."""
    before = os.environ.get("COURSE_STEPS", "")
    os.environ["COURSE_STEPS"] = STEPS
    try:
        return (yield)
    finally:
        os.environ["COURSE_STEPS"] = before


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Run a cell, with all its steps if its tag says so."""
    if "all-steps" not in item.cell.metadata.get("tags", []):
        return (yield)
    allow(item.parent.kernel, "")
    try:
        return (yield)
    finally:
        allow(item.parent.kernel, STEPS)


def allow(kernel, steps: str) -> None:
    """Let a running lesson take so many steps from here on."""
    said = kernel.execute_cell_input(f"import os; os.environ['COURSE_STEPS'] = {steps!r}")
    kernel.await_reply(said, timeout=60)
    kernel.await_idle(said, timeout=60)
