"""The same random weights and draws in every run of a test, alone or among others."""

import gc
import os
import sys

import pytest

# The same kernels on every CPU. Those of oneDNN, which TensorFlow takes by itself only on newer
# CPUs, lose pixels that are no numbers on their way to the loss, with which a test makes a step
# fail: then only the next step does. With TF_ENABLE_ONEDNN_OPTS=1 all other tests pass as well. To
# be set before TensorFlow is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

pytest_plugins = ["tests.web_server"]


@pytest.hookimpl(tryfirst=True)  # before the fixtures, which make models
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Seeds Python, NumPy and TensorFlow, the last only where a test module has imported it."""
    if "tf_keras" in sys.modules:
        sys.modules["tf_keras"].utils.set_random_seed(0)


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Takes what a test module leaves behind out of garbage collection.

    TensorFlow keeps millions of objects; to look through all of them again and again took an
    eighth of the time of all tests.
    """
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saves reports with empty files instead of figures, which take most of the time."""
    from inatdet.report.figures import Figure

    monkeypatch.setattr(Figure, "save", lambda figure, subject, path: path.touch())
