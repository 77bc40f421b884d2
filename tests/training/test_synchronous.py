"""Several processes that take each step together are one process with larger batches."""

import os
import subprocess
import sys

import numpy as np
import pytest

from inatdet.training.launch_plan import Plan
from inatdet.training.launching import Launch
from tests import records

REPLICAS = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The weights after ten steps of two processes, and of one."""
    folder = tmp_path_factory.mktemp("weights")
    records.taxonomy().save(folder / "taxonomy.json")
    command = [sys.executable, "-m", "tests.training.synchronous_member", folder, str(REPLICAS)]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    one = subprocess.Popen(command, env=environment)
    try:
        plan = Plan(command, "multi_worker_mirrored", REPLICAS, str(folder / "logs"))
        Launch(plan, lambda: None, print, max_restarts=0).run()
        assert one.wait(timeout=300) == 0
    finally:
        one.kill()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("task", ["detector", "classifier"])
def test_batches_of_one_on_two_machines_are_a_batch_of_two(folder, task):
    with np.load(folder / f"1-{task}.npz") as one, np.load(folder / f"2-{task}.npz") as two:
        assert set(one) == set(two)
        assert one["losses"][-1] < one["losses"][0]
        for name in one:
            # Ten steps add up rounding: sums over images are in another order.
            np.testing.assert_allclose(two[name], one[name], rtol=1e-4, atol=1e-5, err_msg=name)
