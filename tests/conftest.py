"""What all tests share."""

import jaxtyping
import pytest
import torch
from hypothesis import HealthCheck, settings

# How many inputs each test with drawn inputs tries: at night `pytest --hypothesis-profile=night`.
for profile, examples in {"day": 60, "night": 300}.items():
    settings.register_profile(
        profile, max_examples=examples, deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
settings.load_profile("day")


@pytest.fixture
def rng() -> torch.Generator:
    """The one source of randomness of a test."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def as_users_run_it():
    """Switch the shape-checking hook off: users run without it, and see our own errors."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
