"""Generates the mini dataset: drawn animals in the layout of iNat2017.

    inatdet mini --output_dir=DIR

See `inatdet.datasets.mini.dataset`. Nothing happens if the same dataset is already there.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from inatdet.datasets.mini.dataset import make
from inatdet.programs.running import progress


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string("output_dir", None, "The folder to create.", required=True)
    flags.DEFINE_integer("seed", 0, "Determines every image.")


def main(argv: Sequence[str]) -> None:
    """Runs the program; see the module's docstring."""
    del argv
    made = make(flags.FLAGS.output_dir, flags.FLAGS.seed)
    state = "generated" if made else "is already there"
    progress(f"{flags.FLAGS.output_dir}: the mini dataset {state}")
