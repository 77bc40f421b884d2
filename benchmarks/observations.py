"""Invents observations, and writes them as iNaturalist's Open Data, as Darwin Core, or as a table.

The tests and `benchmarks.construction` use it. Names and numbers are invented, but for the ids of
super-classes. The traps of real archives are there: quotes and commas in names of people, people
of the same name, photographs in several observations, subspecies, genera, hybrids, taxa no longer
in use, and observations that are not of research grade.
"""

from __future__ import annotations

import csv
import gzip
import os
import random
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_LEVELS = {
    "stateofmatter": 100, "kingdom": 70, "phylum": 60, "class": 50, "family": 30, "genus": 20,
    "species": 10, "hybrid": 10, "subspecies": 5,
}  # fmt: skip
_ABOVE = (  # ids, names and ranks of what genera lie in; those of super-classes are iNaturalist's
    ((1, "Animalia", "kingdom"), (2, "Chordata", "phylum"), (3, "Aves", "class")),
    ((1, "Animalia", "kingdom"), (47120, "Arthropoda", "phylum"), (47158, "Insecta", "class")),
    ((1, "Animalia", "kingdom"), (47115, "Mollusca", "phylum"), (47114, "Gastropoda", "class")),
    ((1, "Animalia", "kingdom"), (47534, "Cnidaria", "phylum"), (47533, "Anthozoa", "class")),
    ((47126, "Plantae", "kingdom"), (211194, "Tracheophyta", "phylum"), (47124, "Magnoliopsida",
                                                                         "class")),
    ((47170, "Fungi", "kingdom"), (47169, "Basidiomycota", "phylum"), (50814, "Agaricomycetes",
                                                                      "class")),
    ((67333, "Bacteria", "kingdom"), (151817, "Cyanobacteria", "phylum"), (151818, "Cyanophyceae",
                                                                          "class")),
)  # fmt: skip
_LICENSES = ("CC-BY", "CC-BY-NC", "CC0", "CC-BY-NC-SA")
_NAMES = ('Ann "Bug" Lee', "O'Brien, Pat", "J. Smith", "J. Smith", "Øystein", "", '"', "\\N. N.")
_ARCHIVE_COLUMNS = ("kingdom", "phylum", "class", "order", "family", "genus")


@dataclass(frozen=True)
class Taxon:
    """A taxon; `line` is what it lies in, from coarse to fine."""

    id: int
    name: str
    rank: str
    line: tuple[Taxon, ...] = ()
    is_active: bool = True


@dataclass(frozen=True)
class Observer:
    """A person; names need not differ, logins do."""

    id: int
    login: str
    name: str


@dataclass(frozen=True)
class Photograph:
    """A picture; it may belong to several observations."""

    id: int
    license: str
    width: int
    height: int


@dataclass(frozen=True)
class Observation:
    """What somebody saw."""

    id: int
    observer: Observer
    taxon: Taxon
    grade: str
    photographs: tuple[Photograph, ...]

    @property
    def uuid(self) -> str:
        """Its identity in the Open Data."""
        return str(uuid.UUID(int=self.id * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))


@dataclass(frozen=True)
class World:
    """Everything there is."""

    taxa: tuple[Taxon, ...]
    observers: tuple[Observer, ...]
    observations: tuple[Observation, ...]


def invent(
    seed: int = 0, species: int = 14, observers: int = 60, observations: int = 1500
) -> World:
    """Invents a world.

    Args:
        seed: of all draws.
        species: how many; the kingdoms take turns, and every third one has subspecies.
        observers: how many.
        observations: how many; few species and few observers have most of them.
    """
    rng = random.Random(seed)
    taxa = _taxa(species)
    people = tuple(
        Observer(100 + 7 * i, f"user_{rng.randrange(10**9)}_{i}", rng.choice(_NAMES))
        for i in range(observers)
    )
    leaves = [taxon for taxon in taxa if _LEVELS[taxon.rank] <= 20]
    weights = [1 / (1 + i % 11) for i in range(len(leaves))]
    activities = [1 / (1 + i) ** 0.5 for i in range(observers)]
    chosen = zip(
        rng.choices(leaves, weights, k=observations),
        rng.choices(people, activities, k=observations),
    )
    found = []
    number = 1
    for i, (taxon, observer) in enumerate(chosen):
        count = rng.choice((1, 1, 1, 2, 3, 6))
        pictures = tuple(
            Photograph(number + j, rng.choice(_LICENSES), rng.randint(300, 2048),
                       rng.randint(300, 2048))
            for j in range(count)
        )  # fmt: skip
        number += count
        if found and rng.random() < 0.03:
            pictures += (rng.choice(rng.choice(found).photographs),)
        grade = rng.choices(("research", "needs_id", "casual"), (8, 1, 1))[0]
        found.append(Observation(5000 + i, observer, taxon, grade, pictures))
    return World(taxa, people, tuple(found))


def _taxa(species: int) -> tuple[Taxon, ...]:
    known: dict[int, Taxon] = {}
    number = 300_000

    def add(taxon: Taxon) -> Taxon:
        return known.setdefault(taxon.id, taxon)

    root = add(Taxon(48460, "Life", "stateofmatter"))
    for i in range(species):
        line: tuple[Taxon, ...] = (root,)
        for taxon_id, name, rank in _ABOVE[i % len(_ABOVE)]:
            line += (add(Taxon(taxon_id, name, rank, line)),)
        for rank, word in (("family", f"Familia{i % 9}"), ("genus", f"Genus{i // 2}")):
            # Genera of different kingdoms share their names.
            key = 200_000 + 1000 * (i % len(_ABOVE)) + (0 if rank == "family" else 500) + i // 2
            line += (add(Taxon(key, word, rank, line)),)
        number += 10
        rank = "hybrid" if i % 13 == 12 else "species"
        own = add(Taxon(number, f"{line[-1].name} species{i}", rank, line, is_active=i % 17 != 16))
        if i % 3 == 0:
            for j in range(2):
                add(Taxon(number + 1 + j, f"{own.name} sub{j}", "subspecies", (*line, own)))
    return tuple(known.values())


def shuffled(world: World, seed: int) -> World:
    """The same world in another order."""
    rng = random.Random(seed)
    return World(
        *(tuple(rng.sample(rows, len(rows))) for rows in
          (world.taxa, world.observers, world.observations))
    )  # fmt: skip


def rows(world: World) -> Iterator[dict[str, object]]:
    """The world as one table: a dictionary for each photograph of an observation."""
    for seen in world.observations:
        above = {taxon.rank: taxon.name for taxon in (*seen.taxon.line, seen.taxon)}
        for picture in seen.photographs:
            yield {
                "photo": picture.id,
                "observation": seen.id,
                "observer": seen.observer.login,
                "taxon": seen.taxon.id,
                "name": seen.taxon.name,
                "rank": seen.taxon.rank,
                **{rank: above.get(rank, "") for rank in _ARCHIVE_COLUMNS},
                "quality_grade": seen.grade,
                "license": picture.license,
            }


def write_table(path: str, world: World) -> None:
    """Writes the world as one table of CSV."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        found = list(rows(world))
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)


def write_open_data(folder: str, world: World) -> None:
    """Writes the four tables of the Open Data."""
    os.makedirs(folder, exist_ok=True)
    photos = (
        (str(uuid.UUID(int=picture.id)), picture.id, seen.uuid, seen.observer.id, "jpg",
         picture.license, picture.width, picture.height, position)
        for seen in world.observations
        for position, picture in enumerate(seen.photographs)
    )  # fmt: skip
    _write_gzip(
        folder, "photos",
        "photo_uuid photo_id observation_uuid observer_id extension license width height position",
        photos,
    )  # fmt: skip
    _write_gzip(
        folder, "observations",
        "observation_uuid observer_id latitude longitude positional_accuracy taxon_id "
        "quality_grade observed_on anomaly_score",
        ((seen.uuid, seen.observer.id, 1.5, -2.5, "", seen.taxon.id, seen.grade, "2016-10-03", "")
         for seen in world.observations),
    )  # fmt: skip
    _write_gzip(
        folder, "observers", "observer_id login name",
        ((person.id, person.login, person.name) for person in world.observers),
    )  # fmt: skip
    _write_gzip(
        folder, "taxa", "taxon_id ancestry rank_level rank name active",
        ((taxon.id, "/".join(str(above.id) for above in taxon.line),
          _LEVELS[taxon.rank], taxon.rank, taxon.name, str(taxon.is_active).lower())
         for taxon in world.taxa),
    )  # fmt: skip


def _write_gzip(folder: str, table: str, header: str, lines: Iterable[Iterable[object]]) -> None:
    path = os.path.join(folder, f"{table}.csv.gz")
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8", newline="") as file:
        file.write("\t".join(header.split()) + "\n")
        file.writelines("\t".join(map(str, line)) + "\n" for line in lines)


_META = """<?xml version="1.0" encoding="UTF-8"?>
<archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="metadata.eml.xml">
{tables}
</archive>
"""
_TABLE = """  <{tag} encoding="UTF-8" linesTerminatedBy="\\n" fieldsTerminatedBy="," \
fieldsEnclosedBy="&quot;" ignoreHeaderLines="1" rowType="{row_type}">
    <files><location>{location}</location></files>
    <{id} index="0"/>
{fields}
  </{tag}>"""
_DWC = "http://rs.tdwg.org/dwc/terms/"
_DC = "http://purl.org/dc/terms/"
OCCURRENCE_TERMS = {
    "recordedBy": _DWC, "recordedByID": "http://rs.gbif.org/terms/1.0/",
    "occurrenceRemarks": _DWC, "taxonID": _DWC, "scientificName": _DWC, "taxonRank": _DWC,
    **dict.fromkeys(_ARCHIVE_COLUMNS, _DWC), "license": _DC, "inaturalistLogin": "",
}  # fmt: skip
MEDIA_TERMS = dict.fromkeys(("type", "format", "identifier", "license", "rightsHolder"), _DC)


def write_darwin_core(folder: str, world: World) -> None:
    """Writes the archive, which has observations of research grade only."""
    os.makedirs(folder, exist_ok=True)
    seen = [found for found in world.observations if found.grade == "research"]
    _write_csv(
        folder, "observations.csv", ("id", *OCCURRENCE_TERMS),
        ((found.id, found.observer.name, "", 'A "remark",\nin two lines', found.taxon.id,
          found.taxon.name, found.taxon.rank, *_named(found.taxon), "", found.observer.login)
         for found in seen),
    )  # fmt: skip
    _write_csv(
        folder, "media.csv", ("id", *MEDIA_TERMS),
        (line for found in seen for line in _media(found)),
    )  # fmt: skip
    terms = {**OCCURRENCE_TERMS}
    del terms["inaturalistLogin"]
    occurrence = [prefix + term for term, prefix in terms.items()]
    media = [prefix + term for term, prefix in MEDIA_TERMS.items()]
    tables = (
        ("core", "id", _DWC + "Occurrence", "observations.csv",
         [*occurrence, "http://xmlns.com/foaf/0.1/nick"]),
        ("extension", "coreid", "http://rs.gbif.org/terms/1.0/Multimedia", "media.csv", media),
    )  # fmt: skip
    text = _META.format(
        tables="\n".join(
            _TABLE.format(
                tag=tag, id=key, row_type=row_type, location=location,
                fields="\n".join(
                    f'    <field index="{i}" term="{term}"/>' for i, term in enumerate(fields, 1)
                ),
            )
            for tag, key, row_type, location, fields in tables
        )
    )  # fmt: skip
    with open(os.path.join(folder, "meta.xml"), "w", encoding="utf-8") as file:
        file.write(text)


def _named(taxon: Taxon) -> list[str]:
    above = {known.rank: known.name for known in (*taxon.line, taxon)}
    return [above.get(rank, "") for rank in _ARCHIVE_COLUMNS]


def _media(found: Observation) -> Iterator[tuple[object, ...]]:
    for picture in found.photographs:
        terms = picture.license.lower().removeprefix("cc-")
        address = (
            "http://creativecommons.org/publicdomain/zero/1.0/"
            if terms == "cc0"
            else f"http://creativecommons.org/licenses/{terms}/4.0/"
        )
        yield (
            found.id, "StillImage", "image/jpeg",
            f"https://inaturalist-open-data.s3.amazonaws.com/photos/{picture.id}/original.jpg",
            address, found.observer.name or found.observer.login,
        )  # fmt: skip
    if found.id % 10 == 0:
        yield (found.id, "Sound", "audio/mpeg", "https://static.inaturalist.org/sounds/1.mp3", "",
               "")  # fmt: skip


def _write_csv(
    folder: str, name: str, header: Iterable[str], lines: Iterable[Iterable[object]]
) -> None:
    with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)
