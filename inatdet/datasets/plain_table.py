"""Observations in one table of one's own, CSV or Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inatdet.datasets.common_table import (
    NEEDED,
    OPTIONAL,
    RANKS,
    Paths,
    Source,
    license_sql,
    write_taxa,
)
from inatdet.datasets.database import Database, literal, name
from inatdet.datasets.delimited import open_delimited, read_checked
from inatdet.errors import InputError

KIND = "a table"
_OF_TAXA = ("name", "rank", "super_class", *RANKS)
_OTHER_NAMES = {
    "photo_id": "photo",
    "observation_id": "observation",
    "observation_uuid": "observation",
    "observer_id": "observer",
    "taxon_id": "taxon",
    "supercategory": "super_class",
}


def gather(database: Database, path: str, taxa: str | None, paths: Paths) -> Source:
    """Makes the common table.

    Args:
        database: works.
        path: CSV, tab-separated or with semicolons, if it does not end in .parquet; the columns
            are `NEEDED`, and if they are there `OPTIONAL` and those of taxa.
        taxa: a table of taxa in the same formats, with taxon, name, rank and names at ranks; by
            default the observations say these things.
        paths: the files to write. Parquet is not copied, as far as its columns do.

    Raises:
        InputError: a column is missing, or a cell is not what it should be.
    """
    columns = _load(database, path, "read")
    _check(path, columns, NEEDED)
    (bad,) = database.row("SELECT count(*) FROM read WHERE TRY_CAST(photo AS BIGINT) IS NULL")
    if bad:
        (example,) = database.row(
            "SELECT CAST(photo AS VARCHAR) FROM read WHERE TRY_CAST(photo AS BIGINT) IS NULL "
            "ORDER BY photo LIMIT 1"
        )
        raise InputError(
            f"{path}: {bad:,} rows have no whole number as photo, such as {example!r}; number the "
            "photographs"
        )
    source_of_taxa, known = "read", columns
    if taxa is not None:
        source_of_taxa, known = "listed", _load(database, taxa, "listed")
        _check(taxa, known, ("taxon",))
    if "kingdom" not in known and "super_class" not in known:
        raise InputError(
            f"{taxa or path}: has neither kingdom nor supercategory, from which super-classes "
            "follow; add one of them (with kingdom, also phylum and class), or name a table of "
            "taxa with --taxa"
        )
    optional = ", ".join(
        (license_sql(name(column)) if column == "license" else f"CAST({name(column)} AS {kind})")
        + f" AS {name(column)}"
        if column in columns
        else f"CAST(NULL AS {kind}) AS {name(column)}"
        for column, kind in OPTIONAL.items()
    )
    table = f"SELECT CAST(photo AS BIGINT) AS photo, observation, observer, taxon, {optional}"
    if path.endswith(".parquet"):
        photographs = f"({table} FROM ({_parquet_sql(database, path)}))"
    else:
        database.run(
            f"COPY ({table} FROM read) TO {literal(paths.photographs)} "
            "(FORMAT parquet, COMPRESSION zstd)",
            f"copying {path}",
        )
        photographs = f"read_parquet({literal(paths.photographs)})"
    ranks = [column for column in _OF_TAXA if column in known and column not in ("name", "rank")]
    parts = [
        "coalesce(min(name), CAST(taxon AS VARCHAR)) AS name"
        if "name" in known
        else "CAST(taxon AS VARCHAR) AS name",
        "coalesce(lower(min(rank)), 'species') AS rank" if "rank" in known else "'species' AS rank",
        *(f"min({name(column)}) AS {name(column)}" for column in ranks),
    ]
    database.run(
        f"CREATE TABLE named AS SELECT taxon, {', '.join(parts)} FROM {source_of_taxa} "
        "WHERE taxon IS NOT NULL GROUP BY taxon",
        "listing taxa",
    )
    write_taxa(database, "named", ranks, paths)
    database.run("DROP TABLE named")
    notes = _contradictions(database, source_of_taxa, [c for c in _OF_TAXA if c in known])
    source = Source.at(paths, KIND, "quality_grade" in columns, notes)
    return replace(source, photographs=photographs)


def _contradictions(database: Database, table: str, columns: Sequence[str]) -> tuple[str, ...]:
    """A note on taxa of which rows say different things, if there are some."""
    differ = " OR ".join(f"min({name(column)}) <> max({name(column)})" for column in columns)
    (count,) = database.row(
        f"SELECT count(*) FROM (SELECT taxon FROM {table} GROUP BY taxon HAVING {differ})"
    )
    if not count:
        return ()
    return (
        f"{count:,} taxa have several names, ranks or super-classes in the table; of each, the "
        "first in the alphabet was taken",
    )


def _load(database: Database, path: str, known_as: str) -> tuple[str, ...]:
    """Makes a view or a table of a file, with our names for its columns, which are returned."""
    if path.endswith(".parquet"):
        database.run(f"CREATE VIEW {known_as} AS {_parquet_sql(database, path)}")
    else:
        table = open_delimited(path)
        read_checked(
            database,
            table,
            f"CREATE TABLE {known_as} AS SELECT {_renamed(table.columns)} FROM {table.source({})}",
            f"SELECT count(*) FROM {known_as}",
        )
    return tuple(row[0] for row in database.rows(f"DESCRIBE {known_as}"))


def _parquet_sql(database: Database, path: str) -> str:
    """SQL for the rows of a Parquet file, with our names for its columns."""
    source = f"read_parquet({literal(path)})"
    columns = [row[0] for row in database.rows(f"DESCRIBE SELECT * FROM {source}")]
    return f"SELECT {_renamed(columns)} FROM {source}"


def _renamed(columns: Sequence[str]) -> str:
    return ", ".join(
        f"{name(column)} AS {name(_OTHER_NAMES.get(column, column))}" for column in columns
    )


def _check(path: str, columns: tuple[str, ...], needed: tuple[str, ...]) -> None:
    missing = [column for column in needed if column not in columns]
    if missing:
        raise InputError(
            f"{path}: has no column {', '.join(missing)}, only {', '.join(columns)[:200]}; rename "
            "or add what is missing"
        )
