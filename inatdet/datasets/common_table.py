"""The one table that every kind of observations becomes, and what is checked of it.

It lies in three Parquet files, or in two of them and a file of the user's own:

`photographs`: one row for each photograph of an observation.

| column | type | |
|---|---|---|
| photo | int64 | the photograph |
| observation | any | the observation |
| observer | any | the observer's id or login |
| taxon | any | the taxon |
| quality_grade | text | `research`, `needs_id`, `casual`; NULL where it is not known |
| license | text | in small letters, as `cc-by-nc`; NULL for all rights reserved, or not known |
| rights_holder | text | the name to attribute it to; may be NULL |
| width, height | int32 | in pixels; may be NULL |
| extension | text | of its file, as `jpg`; may be NULL |

`taxa`: one row for each taxon: taxon, name, rank, super_class, species (the name of the species
that it is or lies in, NULL for coarser taxa), is_active. `ranks`: taxon, rank and name of what a
taxon lies in, and level, which is larger for coarser ranks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from inatdet.datasets.database import Database, literal, name
from inatdet.datasets.lineages import super_class_sql

OPTIONAL: Mapping[str, str] = {
    "quality_grade": "VARCHAR",
    "license": "VARCHAR",
    "rights_holder": "VARCHAR",
    "width": "INTEGER",
    "height": "INTEGER",
    "extension": "VARCHAR",
}
"""The columns of photographs that may be missing, with SQL's types."""

NEEDED = ("photo", "observation", "observer", "taxon")

RANKS: Mapping[str, int] = {
    "kingdom": 70,
    "phylum": 60,
    "subphylum": 57,
    "class": 50,
    "subclass": 47,
    "order": 40,
    "suborder": 37,
    "superfamily": 33,
    "family": 30,
    "subfamily": 27,
    "tribe": 25,
    "genus": 20,
}
"""Ranks that columns may name, and iNaturalist's levels of them."""


@dataclass(frozen=True)
class Paths:
    """The files of a common table in a folder."""

    folder: str

    @property
    def photographs(self) -> str:
        """One row for each photograph of an observation."""
        return os.path.join(self.folder, "photographs.parquet")

    @property
    def taxa(self) -> str:
        """One row for each taxon."""
        return os.path.join(self.folder, "taxa.parquet")

    @property
    def ranks(self) -> str:
        """What each taxon lies in."""
        return os.path.join(self.folder, "ranks.parquet")


@dataclass(frozen=True)
class Source:
    """Where the common table lies.

    Attributes:
        kind: of the observations, in words.
        photographs: the table, as SQL's FROM takes it.
        taxa: the same.
        ranks: the same.
        has_quality_grades: whether `quality_grade` says anything.
        notes: what a reader should know.
    """

    kind: str
    photographs: str
    taxa: str
    ranks: str
    has_quality_grades: bool
    notes: tuple[str, ...] = ()

    @classmethod
    def at(
        cls, paths: Paths, kind: str, has_quality_grades: bool, notes: tuple[str, ...] = ()
    ) -> Source:
        """The source whose tables lie in files."""
        photographs, taxa, ranks = (
            f"read_parquet({literal(path)})"
            for path in (paths.photographs, paths.taxa, paths.ranks)
        )
        return cls(kind, photographs, taxa, ranks, has_quality_grades, notes)


def license_sql(column: str) -> str:
    """SQL's expression for a short name of a license that is one, or an address of one."""
    address = f"regexp_extract(lower({column}), 'creativecommons\\.org/licenses/([a-z-]+)', 1)"
    return (
        f"CASE WHEN {address} <> '' THEN 'cc-' || {address} "
        f"WHEN lower({column}) LIKE '%creativecommons.org/publicdomain/zero%' "
        f"OR lower({column}) IN ('cc0', 'cc-0') THEN 'cc0' "
        f"WHEN lower({column}) LIKE '%creativecommons.org/publicdomain/mark%' "
        f"OR lower({column}) = 'pd' THEN 'pd' "
        f"ELSE lower({column}) END"
    )


def write_taxa(database: Database, table: str, columns: list[str], paths: Paths) -> None:
    """Writes `taxa` and `ranks` from a table of taxa that names their ranks in columns.

    Args:
        database: works.
        table: has the columns taxon, name, rank and those of `columns`.
        columns: the names of ranks; also `super_class`, if the table names it.
        paths: the files to write.
    """
    padded = ", ".join(
        f"CAST(NULL AS VARCHAR) AS {name(rank)}"
        for rank in ("kingdom", "phylum", "class")
        if rank not in columns
    )
    known = "super_class" if "super_class" in columns else super_class_sql()
    database.run(
        f"""COPY (
            SELECT taxon, name, rank, {known} AS super_class,
                {_species_of_name_sql()} AS species, true AS is_active
            FROM (SELECT *{", " + padded if padded else ""} FROM {table}) AS padded
        ) TO {literal(paths.taxa)} (FORMAT parquet)"""
    )
    database.run(
        f"COPY ({_ranks_of_columns_sql(table, tuple(columns))}) TO {literal(paths.ranks)} "
        "(FORMAT parquet)"
    )


def _ranks_of_columns_sql(table: str, columns: tuple[str, ...]) -> str:
    """SQL for the table `ranks`, of a table of taxa with a column for each of some ranks."""
    known = [rank for rank in RANKS if rank in columns]
    if not known:
        return f"SELECT taxon, '' AS rank, '' AS name, 0 AS level FROM {table} WHERE taxon IS NULL"
    return " UNION ALL ".join(
        f"SELECT taxon, '{rank}' AS rank, \"{rank}\" AS name, {RANKS[rank]} AS level "
        f'FROM {table} WHERE "{rank}" IS NOT NULL AND "{rank}" <> name'
        for rank in known
    )


def _species_of_name_sql() -> str:
    """SQL's expression for the species that a taxon is or lies in, given its name and its rank.

    Species and hybrids are their own; of what is finer, it is the first two words of the name.
    """
    return (
        "CASE WHEN rank IN ('species', 'hybrid') THEN name "
        "WHEN rank IN ('subspecies', 'variety', 'form', 'infrahybrid') "
        "THEN array_to_string(string_split(name, ' ')[1:2], ' ') END"
    )
