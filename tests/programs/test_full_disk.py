"""A training process whose disk is full for a while."""

import contextlib
import os
import resource
import signal
import subprocess

import pytest

from inatdet.networks import checkpoints
from tests import records
from tests.programs.small_training import running
from tests.programs.test_ending_training import command

pytestmark = pytest.mark.slow


class LargestFile:
    """No file of the process can grow beyond a size."""

    def __init__(self, model_dir):
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self, process):
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, self.before[1]))

    def free(self, process):
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, self.before)

    def close(self):
        pass


class SmallDisk:
    """The model's folder is a disk of its own, which can be filled to the last byte."""

    def __init__(self, model_dir):
        mount = ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(model_dir)]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("file systems cannot be mounted here")
        self.folder, self.filler = model_dir, model_dir / "filler"

    def fill(self, process):
        with contextlib.suppress(OSError), open(self.filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def free(self, process):
        self.filler.unlink()

    def close(self):
        subprocess.run(["umount", str(self.folder)], check=True)


@pytest.mark.parametrize("kind", [LargestFile, SmallDisk])
def test_training_waits_for_room_and_goes_on(tmp_path, kind):
    data, model_dir = records.write(tmp_path / "records"), tmp_path / "model"
    model_dir.mkdir()
    with contextlib.closing(kind(model_dir)) as disk:
        with running(command(data, model_dir, 100_000)) as process:
            lines = lines_until(process, lambda line: line.startswith("step     20/"))
            disk.fill(process)
            lines += lines_until(process, lambda line: "cannot be saved" in line)
            whole = checkpoints.newest_whole(str(model_dir))
            assert whole, "the older checkpoint stays"
            disk.free(process)
            lines += lines_until(process, lambda line: "training goes on" in line)
            lines += lines_until(process, lambda line: line.startswith("step "))
            process.send_signal(signal.SIGTERM)
            lines += process.stderr.read().splitlines()
            assert process.wait() == 143
        newest = checkpoints.newest_whole(str(model_dir))
        assert step_of(newest) > step_of(whole) >= 10
        assert newest == checkpoints.latest(str(model_dir))
        assert lines[-1] == f"interrupted; the same command goes on from {newest}"
        warnings = [line for line in lines if line.startswith("warning: ")]
        assert sum("cannot be saved" in line for line in warnings) == 1, "it warns once"
        assert not any("Traceback" in line for line in lines)
        assert not [name for name in os.listdir(model_dir) if "temp" in name]


def lines_until(process, is_last):
    """What a process says up to a line; it must not end before."""
    lines = []
    for line in process.stderr:
        lines.append(line.rstrip())
        if is_last(line):
            return lines
    pytest.fail("\n".join(["the process ended:", *lines]))


def step_of(checkpoint):
    return int(checkpoint.rpartition("-")[2])
