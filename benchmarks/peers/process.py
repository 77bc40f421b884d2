"""A detector in a process of its own, which does one step each time that it is asked.

Several such processes can take turns, so that whatever else the machine does affects all of them.
"""

from __future__ import annotations

import json
import os
import selectors
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from benchmarks import measuring


def serve(step: Callable[[], object], parameters: int = 0) -> None:
    """The child's side: a first step, then one for each line of standard input.

    After each step it prints a line of JSON with the seconds taken and the peak memory so far.

    Args:
        step: what is timed.
        parameters: how many weights are trained, which is said as well.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer

    def answer() -> None:
        took = measuring.seconds(step)
        said = {"seconds": took, "peak_gib": measuring.peak_gib(), "parameters": parameters}
        json.dump(said, answers)
        print(file=answers, flush=True)

    answer()
    for _ in sys.stdin:
        answer()


class Peer:
    """The parent's side; ends the process on leaving a `with` block.

    Args:
        module: a program that calls `serve`.
        flags: its flags.
        limit: seconds that the first step may take from the start of the process.

    Attributes:
        first_step: seconds from the start of the process to the end of the first step; None if
            that is not reached within `limit`.
        times: the seconds of each later step.
        peak_gib: the most memory that the process has held.
        parameters: how many weights are trained, if the process says so.
    """

    def __init__(self, module: str, *flags: str, limit: float = 300.0):
        start = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.times: list[float] = []
        self.peak_gib = 0.0
        self.parameters = 0
        self.first_step = None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if selector.select(limit):
                self._read()
                self.first_step = time.perf_counter() - start

    def _read(self) -> float:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._process.args[1:])} ended; its error is above")
        answer = json.loads(line)
        self.peak_gib = answer["peak_gib"]
        self.parameters = answer["parameters"]
        return answer["seconds"]

    def step(self) -> None:
        """Runs one more step."""
        print(file=self._process.stdin, flush=True)
        self.times.append(self._read())

    @property
    def median(self) -> float:
        """The median time of a step after the first."""
        return statistics.median(self.times)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()


def take_turns(peers: Mapping[str, Peer], rounds: int) -> None:
    """A step of each peer, `rounds` times, after one that does not count."""
    for number in range(rounds + 1):
        for peer in peers.values():
            peer.step()
            if not number:
                peer.times.clear()
