"""Trains with several processes on this machine, and watches over them.

    inatdet launch --strategy=parameter_server --workers=2 -- \\
        train --config_file=pipelines/super.yaml --model_dir=MODEL --params_override=...

What follows `--` is the command of `inatdet train`. A process is started for each worker, and what
else the strategy takes; ports are found; the output of each goes to MODEL/logs, and that of the
first one here too. All end together. When one is lost, training goes on from the newest checkpoint.
See docs/distributed.md, also for several machines.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from absl import flags

from inatdet.errors import InputError
from inatdet.files import write_text
from inatdet.programs.running import progress
from inatdet.training.cluster import ASYNCHRONOUS, STRATEGIES
from inatdet.training.launch_plan import Plan
from inatdet.training.launching import Launch

MAX_ARGUMENTS = 1_000
_SETTINGS_FILE = "cluster.yaml"


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_enum("strategy", ASYNCHRONOUS, STRATEGIES, "How the workers train together.")
    flags.DEFINE_integer("workers", None, "How many; by default one for each GPU, or 2.", 1)
    flags.DEFINE_integer("servers", 1, "How many hold the weights for parameter_server.", 1)
    flags.DEFINE_integer("num_gpus", 0, "GPUs of all workers together; 0 is the CPU.", 0)
    flags.DEFINE_bool("evaluator", False, "Also validate each checkpoint, in a process of its own.")
    flags.DEFINE_integer(
        "max_restarts", 3, "How often to start again without a new checkpoint in between.", 0
    )
    flags.DEFINE_float("grace", 300, "Seconds to save in when this is interrupted.", 0)


def main(argv: Sequence[str]) -> None:
    """The program."""
    values = flags.FLAGS
    arguments = list(argv[1:])
    if not arguments or arguments[0] != "train":
        raise InputError(
            "the command to start is missing; give it behind two hyphens: inatdet launch "
            "--workers=2 -- train --config_file=..."
        )
    model_dir = _model_dir(arguments)
    log_dir = os.path.join(model_dir, "logs")
    gpus = _gpus(values.num_gpus)
    workers = values.workers or len(gpus) or 2
    plan = Plan(
        command=[
            *(sys.executable, "-m", "inatdet", *arguments),
            f"--config_file={os.path.join(log_dir, _SETTINGS_FILE)}",
        ],
        strategy=values.strategy,
        workers=workers,
        log_dir=log_dir,
        servers=values.servers,
        evaluator=values.evaluator,
        gpus=gpus,
    )
    os.makedirs(log_dir, exist_ok=True)
    write_text(
        os.path.join(log_dir, _SETTINGS_FILE),
        f"runtime: {{distribution_strategy: {plan.strategy}, num_gpus: {len(gpus) // workers}}}\n",
    )
    Launch(
        plan, lambda: _newest(model_dir), progress, values.max_restarts, grace=values.grace
    ).run()


def _model_dir(arguments: Sequence[str]) -> str:
    """The model's folder among the arguments of the command, which must be complete."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("config_file", "model_dir", "mode"):
        parser.add_argument(f"-{name}", f"--{name}", default="")
    given = parser.parse_known_args(arguments)[0]
    for name in ("config_file", "model_dir"):
        if not getattr(given, name):
            raise InputError(f"the command to start has no --{name}")
    if given.mode and "train" not in given.mode:
        raise InputError(f"--mode={given.mode} takes one process; run inatdet train without launch")
    return str(given.model_dir)


def _gpus(count: int) -> list[str]:
    """The names of the first GPUs that this process may use."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return [str(index) for index in range(count)]
    names = [name for name in given.split(",") if name]
    if len(names) < count:
        raise InputError(
            f"--num_gpus={count}, but CUDA_VISIBLE_DEVICES names {len(names)}; set "
            f"--num_gpus={len(names)}"
        )
    return names[:count]


def _newest(model_dir: str) -> str | None:
    """The newest checkpoint's name, without TensorFlow, which takes seconds to load."""
    try:
        steps = [
            int(name[len("ckpt-") : -len(".index")])
            for name in os.listdir(model_dir)
            if name.startswith("ckpt-") and name.endswith(".index")
        ]
    except (OSError, ValueError):
        return None
    return f"ckpt-{max(steps)}" if steps else None
