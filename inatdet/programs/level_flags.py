"""Flags for levels and ranks, apart from those whose libraries take time to load."""

from __future__ import annotations

from absl import flags

from inatdet.data.granularity import Granularity

# The flags defined here belong to the programs that ask for them, and so do their lines of help.
flags.disclaim_key_flags()


class _GranularityParser(flags.ArgumentParser):
    """Parses the name of a level; whether it exists, the label spaces say later."""

    syntactic_help = "species, super, generic or another level of the label spaces"

    def parse(self, argument: str) -> Granularity:
        return Granularity(argument)


def define_granularity(name: str, default: Granularity | None, text: str) -> None:
    """Defines a flag that names a level; `text` is its help."""
    flags.DEFINE(_GranularityParser(), name, default, text)


def define_ranks() -> None:
    """Defines the flags for ranks that the annotations do not name."""
    flags.DEFINE_string(
        "ranks", None, "A CSV file: a category's id or name, and its genus, family and so on."
    )
    flags.DEFINE_bool("genus_from_names", False, "Take genera from names that are binomials.")
