"""The same random weights and draws in every run of a test, alone or among others."""

import sys

import pytest


@pytest.hookimpl(tryfirst=True)  # before the fixtures, which make models
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Seeds Python, NumPy and TensorFlow, the last only where a test module has imported it."""
    if "tf_keras" in sys.modules:
        sys.modules["tf_keras"].utils.set_random_seed(0)
