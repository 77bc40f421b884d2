import numpy as np
import pytest


@pytest.fixture
def rng():
    """A generator that draws the same numbers in every test."""
    return np.random.default_rng(0)
