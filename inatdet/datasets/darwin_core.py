"""iNaturalist's Darwin Core archive: tables of CSV whose columns `meta.xml` describes.

Files and terms change from archive to archive, so nothing but `meta.xml` is relied on. Terms are
known by the last part of their address: `scientificName` for
`http://rs.tdwg.org/dwc/terms/scientificName`.
"""

from __future__ import annotations

import os
from dataclasses import replace

from inatdet.data.formats.xml_elements import Element
from inatdet.datasets.common_table import Paths, Source, license_sql, write_taxa
from inatdet.datasets.database import Database, literal, name
from inatdet.datasets.delimited import Delimited, open_delimited, read_checked
from inatdet.errors import InputError

KIND = "a Darwin Core archive"
META = "meta.xml"
_SPACE = "{http://rs.tdwg.org/dwc/text/}"
_MULTIMEDIA = "http://rs.gbif.org/terms/1.0/Multimedia"
_ID = "id"  # the column that joins the tables
_LOGIN = "nick"  # http://xmlns.com/foaf/0.1/nick, which iNaturalist calls inaturalistLogin
_QUALITY = "identificationVerificationStatus"
_RANKS = ("kingdom", "phylum", "class", "order", "family", "genus")
_ESCAPES = {"\\t": "\t", "\\n": "\n", "\\r\\n": "\r\n"}


def gather(database: Database, folder: str, paths: Paths) -> Source:
    """Makes the common table.

    Observers are told apart by their login: `recordedBy` is a display name, which people share.

    Args:
        database: works.
        folder: that of the archive, unpacked.
        paths: the files to write.

    Raises:
        InputError: the archive is damaged, or has not what is needed.
    """
    meta = os.path.join(folder, META)
    archive = Element.parse(meta, f"{_SPACE}archive")
    observations = _table(folder, archive.child(f"{_SPACE}core"))
    media = [
        _table(folder, extension)
        for extension in archive.children(f"{_SPACE}extension")
        if extension.attribute("rowType") == _MULTIMEDIA
    ]
    if not media:
        raise InputError(
            f"{meta}: describes no table of media ({_MULTIMEDIA}), so no photographs; export the "
            "archive with media"
        )
    if _LOGIN not in observations.columns:
        raise InputError(
            f"{meta}: the observations have no inaturalistLogin (http://xmlns.com/foaf/0.1/nick); "
            "recordedBy is a display name, which several observers may share, so give an archive "
            "with logins"
        )
    observations.check((_ID, _LOGIN, "taxonID", "scientificName", "taxonRank", "kingdom"))
    media[0].check((_ID, "identifier"))
    _load(database, observations, "occurrences", _observation_columns(observations))
    _load(database, media[0], "media", _media_columns(media[0]))
    has_quality = _QUALITY in observations.columns
    database.run(
        f"""COPY (
            SELECT m.photo, o.observation, o.observer, o.taxon,
                {"o.quality_grade" if has_quality else "CAST(NULL AS VARCHAR) AS quality_grade"},
                m.license, m.rights_holder, CAST(NULL AS INTEGER) AS width,
                CAST(NULL AS INTEGER) AS height, m.extension
            FROM media AS m LEFT JOIN occurrences AS o ON o.observation = m.observation
            WHERE m.is_picture
        ) TO {literal(paths.photographs)} (FORMAT parquet, COMPRESSION zstd)""",
        "joining media and observations",
    )
    named = [rank for rank in _RANKS if rank in observations.columns]
    database.run(
        f"""CREATE TABLE named AS
        SELECT taxon, min(name) AS name, min(rank) AS rank,
            {", ".join(f"min({name(rank)}) AS {name(rank)}" for rank in named)}
        FROM occurrences WHERE taxon IS NOT NULL GROUP BY taxon"""
    )
    write_taxa(database, "named", named, paths)
    for table in ("named", "media", "occurrences"):
        database.run(f"DROP TABLE {table}")
    notes = () if has_quality else ("the archive says nothing of quality grades; all are taken",)
    return Source.at(paths, KIND, has_quality, notes)


def _table(folder: str, element: Element) -> Delimited:
    """The table that an element of `meta.xml` describes."""
    location = element.child(f"{_SPACE}files").child(f"{_SPACE}location").text()
    if os.path.basename(location) != location:
        raise element.fault(f"names the file {location[:80]!r} in another folder")
    columns: dict[int, str] = {}
    for tag in ("id", "coreid", "field"):
        for field in element.children(f"{_SPACE}{tag}"):
            index = field.attribute("index")
            if index is None:  # a constant for all rows
                continue
            if not index.isdecimal():
                raise field.fault(f"has the index {index[:40]!r}, which is no number")
            term = (field.attribute("term") or "").rstrip("/").rpartition("/")[2]
            columns.setdefault(int(index), _ID if tag != "field" else term)
    path = os.path.join(folder, location)
    delimiter = element.attribute("fieldsTerminatedBy") or ","
    delimiter = _ESCAPES.get(delimiter, delimiter)
    is_quoted = (element.attribute("fieldsEnclosedBy") or "") == '"'
    has_header = (element.attribute("ignoreHeaderLines") or "0") != "0"
    header = open_delimited(path, delimiter, is_quoted, has_header)
    if len(header.columns) <= max(columns, default=-1):
        raise InputError(
            f"{path}: has {len(header.columns)} columns, but {META} describes "
            f"{max(columns) + 1}; fetch the archive again"
        )
    named = [columns.get(index, f"column {index}") for index in range(len(header.columns))]
    # Terms of several vocabularies may have the same name; the first is meant.
    named = [title if title not in named[:i] else f"column {i}" for i, title in enumerate(named)]
    return replace(header, columns=tuple(named))


def _load(database: Database, table: Delimited, known_as: str, columns: str) -> None:
    read_checked(
        database,
        table,
        f"CREATE TABLE {known_as} AS SELECT {columns} FROM {table.source({_ID: 'BIGINT'})}",
        f"SELECT count(*) FROM {known_as}",
    )


def _observation_columns(table: Delimited) -> str:
    ranks = ", ".join(name(rank) for rank in _RANKS if rank in table.columns)
    quality = f", {_QUALITY} AS quality_grade" if _QUALITY in table.columns else ""
    # Some archives give the address of a taxon instead of its number.
    taxon = "TRY_CAST(regexp_extract(taxonID, '([0-9]+)/?$', 1) AS BIGINT)"
    return (
        f"{_ID} AS observation, {_LOGIN} AS observer, {taxon} AS taxon, scientificName AS name, "
        f"lower(taxonRank) AS rank, {ranks}{quality}"
    )


def _media_columns(table: Delimited) -> str:
    def number(column: str) -> str:
        if column not in table.columns:
            return "NULL"
        return f"TRY_CAST(regexp_extract({column}, '/photos/([0-9]+)', 1) AS BIGINT)"

    def text(column: str) -> str:
        return column if column in table.columns else "CAST(NULL AS VARCHAR)"

    is_picture = (
        "coalesce(type, 'StillImage') = 'StillImage'" if "type" in table.columns else "true"
    )
    holder = "rightsHolder" if "rightsHolder" in table.columns else "creator"
    return (
        f"{_ID} AS observation, coalesce({number('identifier')}, {number('references')}) AS photo, "
        "nullif(lower(regexp_extract(identifier, '\\.([A-Za-z]+)(\\?.*)?$', 1)), '') "
        f"AS extension, {license_sql(text('license'))} AS license, {text(holder)} AS rights_holder,"
        f" {is_picture} AS is_picture"
    )
