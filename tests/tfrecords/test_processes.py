"""Shards in processes of their own: the same files, and no process outlives the first one."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from inatdet.data.checking import OnBad
from inatdet.errors import InputError, RunError
from inatdet.tfrecords import processes, shards
from inatdet.tfrecords.processes import CAN_FORK, in_processes
from inatdet.tfrecords.writing import convert
from tests.tfrecords.conversions import edit
from tests.tfrecords.test_failures import fail_after, files_of, undisturbed

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="processes cannot be copied here")


@pytest.fixture
def divided(dataset):
    return dataclasses.replace(dataset, processes=3)


def nothing(*arguments):
    """Called with what is of no interest."""


def run(work, names, at_once=2, advance=nothing, finished=nothing):
    return in_processes(work, names, at_once, advance, finished)


@pytest.mark.parametrize(("processes", "threads"), [(3, 3), (2, 5), (9, 9)])
def test_the_files_are_those_of_one_process(dataset, processes, threads):
    whole = undisturbed(dataset)
    convert(dataclasses.replace(dataset, processes=processes, threads=threads))
    assert files_of(dataset) == whole


def test_results_and_steps(monkeypatch):
    monkeypatch.setattr(processes, "_REPORT_EVERY", 0)
    steps, finished = [], []

    def work(name, advance):
        for _ in name:
            advance()
        return name.upper(), os.getpid()

    found = run(work, ["a", "bbb", "", "cc"], 3, steps.append, finished.append)
    assert [name for name, _ in found] == ["A", "BBB", "", "CC"]
    assert len({os.getpid(), *(process for _, process in found)}) == 5
    assert sum(steps) == 6 and len(steps) > 6, "steps are reported when they are done"
    assert sorted(finished) == ["", "a", "bbb", "cc"]
    assert run(work, []) == []


def test_an_error_ends_the_other_processes(tmp_path):
    def work(name, advance):
        if name == "bad":
            while not (tmp_path / "running").exists():
                time.sleep(0.001)
            raise FileNotFoundError(errno.ENOENT, "not there", "a.jpg")
        try:
            (tmp_path / "running").write_text(str(os.getpid()))
            while True:
                advance()
                time.sleep(0.001)
        finally:
            (tmp_path / "tidied").touch()

    with pytest.raises(FileNotFoundError) as caught:
        run(work, ["endless", "bad", "never"])
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, "a.jpg")
    assert "in work" in str(caught.value.__cause__), "where it comes from is told"
    assert (tmp_path / "tidied").exists()
    with pytest.raises(ChildProcessError):  # nothing is left of it; other tests may have children
        os.waitpid(int((tmp_path / "running").read_text()), os.WNOHANG)


def test_long_results_that_nobody_waits_for():
    def work(name, advance):
        if name == "bad":
            raise ValueError
        return [bytes(1 << 20)]

    with pytest.raises(ValueError, match=r"^$"):
        run(work, ["bad", "long", "long as well"], at_once=3)


def test_a_process_that_is_killed():
    def work(name, advance):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(
        RunError, match=r"a\.tfrecord: .* ended \(SIGKILL\), .*memory.*same command"
    ):
        run(work, ["a.tfrecord"])


def test_signals_for_all_processes_are_left_to_the_first():
    def work(name, advance):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        return name

    assert run(work, ["a"]) == ["a"]


def test_no_more_processes_can_be_started(monkeypatch):
    process = processes.multiprocessing.get_context("fork").Process
    monkeypatch.setattr(process, "start", fail_after(0, None, errno.EAGAIN))
    with pytest.raises(RunError, match=r"cannot be started \(.*unavailable\); .*--processes"):
        run(nothing, ["a"])


def test_a_full_disk(divided, monkeypatch):
    whole = undisturbed(divided)
    with monkeypatch.context() as full:
        full.setattr(shards.os, "fsync", fail_after(0, None, errno.ENOSPC))
        with pytest.raises(OSError, match="No space left") as caught:
            convert(divided)
    assert os.path.basename(caught.value.filename).startswith("train-0000")
    assert not any(name.endswith((".tfrecord", "unfinished")) for name in files_of(divided))
    convert(divided)
    assert files_of(divided) == whole


def test_a_bad_image(divided):
    edit(divided, lambda content: content["images"][6].update(width=7))
    with pytest.raises(InputError, match=r"6\.jpg \(image 106\) is 22 x 24 pixels, but .* 7 x 24"):
        convert(divided)
    summary = convert(dataclasses.replace(divided, on_bad=OnBad.SKIP))
    assert summary["left_out"]["image file has another size"] == 1


WAIT = r"""
import os, signal, sys, time
from inatdet.tfrecords.processes import in_processes

def work(name, advance):
    os.write(1, b"%d\n" % os.getpid())
    while True:
        advance()
        time.sleep(0.001)

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells' jobs in the background ignore it
try:
    in_processes(work, ["a", "b"], 2, id, id)
except KeyboardInterrupt:
    sys.exit(9)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 9), (signal.SIGKILL, -9)])
def test_processes_end_with_the_first(number, code):
    command = [sys.executable, "-c", WAIT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        copies = [int(process.stdout.readline()) for _ in range(2)]
        process.send_signal(number)
        assert process.stdout.read() == "", "whoever had the other end open is gone"
    assert process.returncode == code
    for copy in copies:
        while not has_ended(copy):
            time.sleep(0.001)


def has_ended(process):
    """Whether a process runs no more; the one that takes over orphans may be slow to bury them."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
