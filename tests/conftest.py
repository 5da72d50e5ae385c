"""What all tests share."""

import jaxtyping
import pytest
import torch


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
