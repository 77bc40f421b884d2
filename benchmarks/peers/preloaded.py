"""Programs in copies of a process that has loaded TensorFlow, so that each starts at once.

Reads requests from standard input, one JSON object a line: the `arguments` of a program, and the
file for what it says, `said`. Answers with its process id, and then with its exit code.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf

from inatdet import __main__, parts
from inatdet.classification import box_inference
from inatdet.detection import inference
from inatdet.training import loop

LOADED = (tf, box_inference, inference, loop)
SECONDS_PER_PART = 0.05
"""Parts are saved every moment, because short work would otherwise have none."""


def run(arguments: Sequence[str], said: str) -> None:
    """Runs a program in this process, and ends it."""
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parts.SECONDS = SECONDS_PER_PART
    sys.argv = ["inatdet", *arguments]
    sys.exit(__main__.main())


def main() -> None:
    """Answers requests, one after another."""
    for line in sys.stdin:
        request = json.loads(line)
        process = os.fork()
        if not process:
            run(**request)
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
