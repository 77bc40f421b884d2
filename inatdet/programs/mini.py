"""TODO."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from inatdet.datasets.mini.dataset import make


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string("output_dir", None, "The folder to make.", required=True)
    flags.DEFINE_integer("seed", 0, "Decides on every image.")


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    made = make(flags.FLAGS.output_dir, flags.FLAGS.seed)
    state = "generated" if made else "is there already"
    print(f"{flags.FLAGS.output_dir}: the mini dataset {state}", file=sys.stderr)
