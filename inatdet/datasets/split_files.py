"""Splits as files in iNat2017's layout, written as they come out of the database."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from tqdm import tqdm

from inatdet.datasets.common_table import Source
from inatdet.datasets.database import Database, literal
from inatdet.datasets.lineages import LEVELS, SPECIES_LEVEL, Subspecies
from inatdet.datasets.splits import Rule
from inatdet.files import atomic_path

_UNSAFE = r"'[^\p{L}\p{N} .×()-]|^[. ]+|[. ]+$'"  # what names of folders had better not have
_CATEGORIES_AT_ONCE = 10_000
_LICENSES = {
    "cc0": ("CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    "pd": ("Public domain", "https://creativecommons.org/publicdomain/mark/1.0/"),
    **{
        f"cc-{terms}": (f"CC {terms.upper()}", f"https://creativecommons.org/licenses/{terms}/4.0/")
        for terms in ("by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd")
    },
}


@dataclass(frozen=True)
class SplitFile:
    """A file to write.

    Attributes:
        name: of the file.
        part: of `images` that it has.
        has_labels: whether it has annotations; without them, the names of files must not give the
            species away either.
    """

    name: str
    part: str
    has_labels: bool = True


FILES = (
    SplitFile("train.json", "train"),
    SplitFile("val.json", "val"),
    SplitFile("test.json", "test", has_labels=False),
    SplitFile("test_labels.json", "test"),
    SplitFile("test_public.json", "test_public", has_labels=False),
    SplitFile("test_public_labels.json", "test_public"),
    SplitFile("test_private.json", "test_private", has_labels=False),
    SplitFile("test_private_labels.json", "test_private"),
    SplitFile("test_reserve.json", "test_reserve"),
    SplitFile("unseen.json", "unseen"),
)
"""All files that there may be; which of them, the rule says."""


def files_of(rule: Rule) -> list[SplitFile]:
    """The files that a rule leads to, even if one of them should have no image."""
    lacking = set()
    lacking |= {"test"} if rule.private_share else {"test_public", "test_private"}
    lacking |= set() if rule.test_images else {"test_reserve"}
    lacking |= set() if rule.unseen else {"unseen"}
    return [file for file in FILES if file.part not in lacking]


def number_categories(database: Database, source: Source, rule: Rule) -> None:
    """Makes `categories`: the classes from id 0, then the unseen taxa.

    They are sorted by super-class, name and taxon. An unseen taxon that contains a class, lies
    within one or within the species of one is left out: who knows *Parus major* has seen what is
    called *Parus*, and its subspecies.
    """
    rolled = rule.subspecies is Subspecies.ROLL_UP
    levels = ", ".join(f"('{rank}', {level})" for rank, level in LEVELS.items())
    becomes_species = (
        f"(l.level < {SPECIES_LEVEL} AND t.species IS NOT NULL AND {str(rolled).lower()})"
    )
    database.run(
        f"""CREATE TABLE candidates AS
        SELECT t.taxon, t.super_class, t.species,
            CASE WHEN {becomes_species} THEN t.species ELSE t.name END AS name,
            CASE WHEN {becomes_species} THEN 'species' ELSE t.rank END AS rank,
            t.taxon IN (SELECT taxon FROM classes) AS is_class
        FROM {source.taxa} AS t
        JOIN (VALUES {levels}) AS l(rank, level) ON l.rank = t.rank
        WHERE t.taxon IN (SELECT DISTINCT taxon FROM efforts)""",
        "numbering categories",
    )
    database.run(
        f"""CREATE TABLE around AS
        SELECT DISTINCT c.super_class, r.name
        FROM candidates AS c JOIN {source.ranks} AS r ON r.taxon = c.taxon WHERE c.is_class
        UNION SELECT super_class, name FROM candidates WHERE is_class
        UNION SELECT super_class, species FROM candidates WHERE is_class AND species IS NOT NULL"""
    )
    database.run(
        f"""CREATE TABLE related AS
        SELECT c.taxon FROM candidates AS c
        JOIN around AS a ON a.super_class = c.super_class AND a.name = c.name
        UNION
        SELECT c.taxon
        FROM (
            SELECT taxon, super_class, species AS name FROM candidates
            UNION ALL
            SELECT c.taxon, c.super_class, r.name
            FROM candidates AS c JOIN {source.ranks} AS r ON r.taxon = c.taxon
        ) AS c
        JOIN (
            SELECT super_class, name FROM candidates WHERE is_class
            UNION SELECT super_class, species FROM candidates WHERE is_class
        ) AS w ON w.super_class = c.super_class AND w.name = c.name"""
    )
    database.run(
        f"""CREATE TABLE categories AS
        SELECT *,
            row_number() OVER (
                ORDER BY is_class DESC, super_class, name, CAST(taxon AS VARCHAR)) - 1 AS id,
            concat(CASE WHEN is_class THEN 'train_val_images/' ELSE 'unseen_images/' END,
                regexp_replace(super_class, {_UNSAFE}, '_', 'g'), '/',
                regexp_replace(name, {_UNSAFE}, '_', 'g'), '/') AS folder
        FROM candidates
        WHERE is_class OR taxon IN (
            SELECT taxon FROM images WHERE part = 'unseen'
            EXCEPT SELECT taxon FROM related)"""
    )
    database.run(
        """CREATE TABLE licenses AS
        SELECT license, row_number() OVER (ORDER BY license) AS id
        FROM images WHERE license IS NOT NULL GROUP BY license"""
    )


def write(
    database: Database, source: Source, file: SplitFile, path: str, advance: Callable[[int], object]
) -> int:
    """Writes one file; see `FILES`.

    Returns:
        The number of its images.
    """
    entries = _entries_sql(file)
    count = 0
    with atomic_path(path) as temporary, open(temporary, "wb") as out:
        out.write(b'{"info": %b,\n"licenses": ' % _json(_info(source)))
        out.write(_json(_licenses(database)))
        out.write(b',\n"categories": [')
        _write_categories(database, source, out, file.part == "unseen")
        out.write(b'],\n"images": [')
        count = _write_rows(database, entries, _IMAGE, out, advance)
        if file.has_labels:
            out.write(b'],\n"annotations": [')
            _write_rows(database, entries, _ANNOTATION, out, advance)
        out.write(b"]}\n")
    return count


_IMAGE = (
    "concat('\n{\"id\": ', photo, ', \"file_name\": ', to_json(file_name), "
    "', \"width\": ' || width, ', \"height\": ' || height, ', \"license\": ' || license_id, "
    "', \"rights_holder\": ' || CAST(to_json(rights_holder) AS VARCHAR), "
    "', \"observer\": ', to_json(observer), '},')"
)
_ANNOTATION = (
    "concat('\n{\"id\": ', photo, ', \"image_id\": ', photo, ', \"category_id\": ', "
    "category_id, '},')"
)


def _entries_sql(file: SplitFile) -> str:
    """SQL for the rows of a file, by photograph."""
    folder = "'test_images/'" if file.part.startswith("test") else "c.folder"
    extension = (
        "CASE WHEN regexp_full_match(i.extension, '[a-z0-9]{1,5}') THEN i.extension ELSE 'jpg' END"
    )
    return (
        f"SELECT i.photo, {folder} || i.photo || '.' || {extension} AS file_name, i.width, "
        "i.height, l.id AS license_id, i.rights_holder, CAST(i.observer AS VARCHAR) AS observer, "
        "c.id AS category_id "
        "FROM images AS i JOIN categories AS c ON c.taxon = i.taxon "
        f"LEFT JOIN licenses AS l ON l.license = i.license WHERE i.part = {literal(file.part)} "
        "ORDER BY i.photo"
    )


def _write_rows(
    database: Database, entries: str, entry: str, out: BinaryIO, advance: Callable[[int], object]
) -> int:
    """Writes the entries of a list, each of which ends with a comma; returns their number."""
    count = 0
    for rows, text in database.text_batches(f"SELECT {entry} FROM ({entries})"):
        out.write(text)
        count += rows
        advance(rows)
    if count:
        out.seek(-1, os.SEEK_CUR)
        out.write(b"\n")
    return count


def _write_categories(database: Database, source: Source, out: BinaryIO, are_unseen: bool) -> None:
    before = b"\n"
    for category in categories(database, source, are_unseen):
        out.write(before + _json(category))
        before = b",\n"
    out.write(b"\n")


def categories(database: Database, source: Source, are_unseen: bool) -> Iterator[dict[str, Any]]:
    """The categories as files have them, by id.

    Args:
        database: after `number_categories`.
        source: the observations.
        are_unseen: whether to list the unseen taxa, or the classes.
    """
    chosen = f"FROM categories WHERE is_class = {str(not are_unseen).lower()}"
    query = f"""
        SELECT c.id, c.taxon, c.name, c.rank, c.super_class, r.ranks
        FROM (SELECT * {chosen}) AS c
        LEFT JOIN (
            SELECT taxon, list([rank, name] ORDER BY level) AS ranks
            FROM {source.ranks} WHERE taxon IN (SELECT taxon {chosen}) GROUP BY taxon
        ) AS r ON r.taxon = c.taxon
        ORDER BY c.id"""
    result = database.connection.execute(query)
    while rows := result.fetchmany(_CATEGORIES_AT_ONCE):
        for number, taxon, name, rank, super_class, ranks in rows:
            own = {rank: name} if LEVELS[rank] > SPECIES_LEVEL else {}
            yield {
                **own,
                **dict(ranks or ()),
                "id": number,
                "name": name,
                "supercategory": super_class,
                "rank": rank,
                "taxon_id": int(taxon) if str(taxon).isdecimal() else taxon,
            }


def _licenses(database: Database) -> list[dict[str, Any]]:
    rows = database.rows("SELECT id, license FROM licenses ORDER BY id")
    entries = []
    for number, license_name in rows:
        title, url = _LICENSES.get(license_name, (license_name, ""))
        entries.append({"id": number, "name": title, "url": url})
    return entries


def _info(source: Source) -> dict[str, str]:
    return {"description": f"Made by inatdet construct from {source.kind}; see summary.json"}


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def progress_bar(total: int) -> tqdm:
    """The bar for what `write` advances: images, and annotations where there are some."""
    return tqdm(total=total, unit=" entries", unit_scale=True, delay=2, disable=None)
