"""What tests of two models against each other have in common, for people and for programs."""

from __future__ import annotations

import abc
import os
from collections.abc import Mapping, Sequence
from typing import Any

from inatdet.evaluation.plausibility import DataWarning
from inatdet.report.provenance import provenance, write_json
from inatdet.report.table import Table
from inatdet.report.text import one_line
from inatdet.result_folder import files_of_one_run

NAME = "comparison"
"""The name of its files, without ending."""

_PRINTED = 4  # lines of the protocol


class PairedReport(abc.ABC):
    """Two models tested against each other. Printed, it gives the protocol and the table.

    Attributes:
        warnings: what looks wrong with the files.
        command: the command line; empty where the numbers were computed from Python.
    """

    warnings: Sequence[DataWarning]
    command: str

    @property
    @abc.abstractmethod
    def table(self) -> Table[Any]:
        """One row per measure, in full, as it is saved; `difference` is second minus first."""

    @abc.abstractmethod
    def short_table(self) -> Table[Any]:
        """The same for reading."""

    @abc.abstractmethod
    def protocol(self) -> list[tuple[str, str]]:
        """What was compared and how, as names and values, the most important ones first."""

    @abc.abstractmethod
    def sources(self) -> Mapping[str, object]:
        """The files that the numbers come from, with their hashes, for its JSON."""

    def __str__(self) -> str:
        lines = [f"{name}: {one_line(value)}" for name, value in self.protocol()[:_PRINTED]]
        return "\n".join([*lines, str(self.short_table())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The table as notebooks show it."""
        return self.short_table()._repr_html_()

    def save(self, output_dir: str | os.PathLike[str]) -> None:
        """Writes comparison.csv and comparison.json, both at once.

        Raises:
            InputError: another process is writing there.
            OSError: they cannot be written there; earlier ones stay as they were.
        """
        table = self.table
        with files_of_one_run(output_dir) as folder:
            table.to_csv(folder / f"{NAME}.csv")
            write_json(
                folder / f"{NAME}.json",
                {
                    **provenance(self.command),
                    **self.sources(),
                    "warnings": self.warnings,
                    "protocol": dict(self.protocol()),
                    "results": [dict(zip(table.columns, row)) for row in table.rows],
                },
            )
