"""iNaturalist's Open Data: four tables in a public bucket, monthly.

Columns as in the bucket's `structure.sql`, found by name. Cells are separated by tabs and never
quoted; names of people do contain quotes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from inatdet.datasets.common_table import Paths, Source, license_sql
from inatdet.datasets.database import Database, literal
from inatdet.datasets.delimited import Delimited, open_delimited, read_checked
from inatdet.datasets.lineages import SPECIES_LEVEL, SUPER_CLASSES
from inatdet.errors import InputError

KIND = "iNaturalist Open Data"
TABLES: Mapping[str, Mapping[str, str]] = {
    "photos": {
        "photo_id": "BIGINT",
        "observation_uuid": "UUID",
        "extension": "VARCHAR",
        "license": "VARCHAR",
        "width": "INTEGER",
        "height": "INTEGER",
    },
    "observations": {
        "observation_uuid": "UUID",
        "observer_id": "BIGINT",
        "taxon_id": "BIGINT",
        "quality_grade": "VARCHAR",
    },
    "observers": {"observer_id": "BIGINT", "login": "VARCHAR", "name": "VARCHAR"},
    "taxa": {
        "taxon_id": "BIGINT",
        "ancestry": "VARCHAR",
        "rank_level": "DOUBLE",
        "rank": "VARCHAR",
        "name": "VARCHAR",
        "active": "BOOLEAN",
    },
}
"""The columns that are read of each table, with SQL's types."""


def files_in(folder: str) -> dict[str, str]:
    """The tables in a folder, gzipped or not, by name."""
    found: dict[str, str] = {}
    for table in TABLES:
        for ending in (".csv.gz", ".csv"):
            path = os.path.join(folder, table + ending)
            if os.path.exists(path):
                found.setdefault(table, path)
    return found


def gather(database: Database, files: Mapping[str, str], paths: Paths) -> Source:
    """Makes the common table.

    Observers are told apart by their login, as in the Darwin Core archive.

    Args:
        database: works.
        files: of `files_in`.
        paths: the files to write.

    Raises:
        InputError: a table is missing, damaged or lacks a column.
    """
    missing = [table for table in TABLES if table not in files]
    if missing:
        raise InputError(
            f"{os.path.dirname(next(iter(files.values()))) or '.'}: has no {missing[0]}.csv.gz; "
            f"iNaturalist's Open Data are {', '.join(f'{table}.csv.gz' for table in TABLES)}"
        )
    tables = {}
    for table, types in TABLES.items():
        tables[table] = open_delimited(files[table], "\t", is_quoted=False)
        tables[table].check(tuple(types))
    for table in ("taxa", "observers", "observations"):
        _load(database, tables[table], table)
    _load(database, tables["photos"], "photos")
    database.run(
        f"""COPY (
            SELECT p.photo_id AS photo, o.observation_uuid AS observation,
                coalesce(u.login, CAST(o.observer_id AS VARCHAR)) AS observer,
                o.taxon_id AS taxon, o.quality_grade, {license_sql("p.license")} AS license,
                coalesce(u.name, u.login) AS rights_holder,
                p.width, p.height, lower(p.extension) AS extension
            FROM photos AS p
            LEFT JOIN observations AS o ON o.observation_uuid = p.observation_uuid
            LEFT JOIN observers AS u ON u.observer_id = o.observer_id
        ) TO {literal(paths.photographs)} (FORMAT parquet, COMPRESSION zstd)""",
        "joining photographs and observations",
    )
    for table in ("photos", "observations", "observers"):
        database.run(f"DROP TABLE {table}")
    _write_taxa(database, paths)
    database.run("DROP TABLE taxa")
    return Source.at(paths, KIND, has_quality_grades=True)


def _load(database: Database, table: Delimited, known_as: str) -> None:
    types = TABLES[known_as]
    read_checked(
        database,
        table,
        f"CREATE TABLE {known_as} AS SELECT {', '.join(types)} FROM {table.source(types)}",
        f"SELECT count(*) FROM {known_as}",
    )


def _write_taxa(database: Database, paths: Paths) -> None:
    """Writes the taxa that are observed, and the species that they lie in."""
    database.run(
        f"""CREATE TABLE lines AS
        SELECT taxon, CAST(unnest(string_split(line, '/')) AS BIGINT) AS ancestor
        FROM (
            SELECT t.taxon_id AS taxon, concat_ws('/', t.ancestry, t.taxon_id) AS line
            FROM taxa AS t
            SEMI JOIN (SELECT DISTINCT taxon FROM {literal(paths.photographs)}) AS p
                ON p.taxon = t.taxon_id
        )""",
        "reading the tree of taxa",
    )
    # A subspecies' species lies on its line, and all of the species' own line does too.
    database.run(
        f"""INSERT INTO lines
        SELECT DISTINCT s.taxon_id, CAST(unnest(
            string_split(concat_ws('/', s.ancestry, s.taxon_id), '/')) AS BIGINT)
        FROM lines AS l
        JOIN taxa AS s ON s.taxon_id = l.ancestor AND s.rank_level = {SPECIES_LEVEL}
        WHERE s.taxon_id NOT IN (SELECT taxon FROM lines)"""
    )
    named = ", ".join(f"({number}, '{known}')" for number, known in SUPER_CLASSES.items())
    database.run(
        f"""COPY (
            SELECT t.taxon_id AS taxon, t.name, t.rank, s.super_class, s.species,
                coalesce(t.active, true) AS is_active
            FROM taxa AS t
            JOIN (
                SELECT l.taxon,
                    min_by(i.name, a.rank_level) FILTER (i.name IS NOT NULL) AS super_class,
                    min_by(a.name, a.rank_level) FILTER (a.rank_level = {SPECIES_LEVEL}) AS species
                FROM lines AS l
                LEFT JOIN taxa AS a ON a.taxon_id = l.ancestor
                LEFT JOIN (VALUES {named}) AS i(taxon_id, name) ON i.taxon_id = l.ancestor
                GROUP BY l.taxon
            ) AS s ON s.taxon = t.taxon_id
        ) TO {literal(paths.taxa)} (FORMAT parquet)"""
    )
    database.run(
        f"""COPY (
            SELECT l.taxon, a.rank, a.name, a.rank_level AS level
            FROM lines AS l JOIN taxa AS a ON a.taxon_id = l.ancestor
            WHERE a.taxon_id <> l.taxon AND a.rank_level > {SPECIES_LEVEL}
                AND a.rank <> 'stateofmatter'
        ) TO {literal(paths.ranks)} (FORMAT parquet)"""
    )
    database.run("DROP TABLE lines")
