"""A dataset constructed from observations: files in iNat2017's layout, and what became of what."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inatdet.datasets import split_files, splits
from inatdet.datasets.common_table import Source
from inatdet.datasets.database import Database
from inatdet.datasets.splits import Rule
from inatdet.errors import InputError
from inatdet.files import write_text
from inatdet.version import VERSION

SUMMARY_FILE = "summary.json"
CLASSES_FILE = "classes.csv"
OUTPUT_FILES = (*(file.name for file in split_files.FILES), SUMMARY_FILE, CLASSES_FILE)
"""Every file that a construction may write."""

_PARTS = tuple(dict.fromkeys(file.part for file in split_files.FILES))
_CLASS_COLUMNS = (
    *("id", "taxon_id", "name", "supercategory", "rank"),
    *("observers", "observations", "photographs"),
)


@dataclass(frozen=True)
class Step:
    """What was there at some point of the construction.

    Attributes:
        name: of the point.
        taxa, observers, observations, photographs: how many.
    """

    name: str
    taxa: int
    observers: int
    observations: int
    photographs: int


@dataclass(frozen=True)
class Construction:
    """What was constructed.

    Attributes:
        source: the kind of the observations.
        rule: its arguments.
        steps: from the observations as they are to each file.
        left_out: how many photographs were left out, by reason.
        files: how many images each file has.
        notes: what is worth knowing, in sentences.
    """

    source: str
    rule: Rule
    steps: tuple[Step, ...]
    left_out: dict[str, int]
    files: dict[str, int]
    notes: tuple[str, ...]

    def as_record(self, command: str = "") -> dict[str, Any]:
        """The content of the summary's file."""
        return {
            "version": 1,
            "inatdet": VERSION,
            "command": command,
            "source": self.source,
            "rule": self.rule.as_record(),
            "steps": [vars(step) for step in self.steps],
            "photographs_left_out": self.left_out,
            "images_in_files": self.files,
            "notes": list(self.notes),
        }


def construct(
    database: Database,
    source: Source,
    rule: Rule,
    output_dir: str | os.PathLike[str],
    command: str = "",
    notify: Callable[[str], object] = lambda message: None,
) -> Construction:
    """Splits observations by the paper's rule and writes the files.

    Args:
        database: an empty one; see `inatdet.datasets.database.open_database`.
        source: the observations; see `inatdet.datasets.observations.gather`.
        rule: the arguments.
        output_dir: the folder to write to; see `OUTPUT_FILES`.
        command: noted in the summary.
        notify: called with what is done.

    Raises:
        InputError: no class is left, or the observations cannot be read.
        RunError: the memory is not enough.
    """
    splits.prepare(database, source, rule)
    left_out, given = _given(database)
    if sum(left_out.values()) == given.photographs:
        raise InputError(
            f"no photograph of {source.kind} is left to count: {_reasons(left_out)}; check the "
            "files, or change --quality_grades, --licenses or --coarsest_rank"
        )
    splits.apply(database)
    steps = [given, *_counted(database)]
    classes = steps[-1]
    if not classes.taxa:
        most = database.row(
            "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM efforts GROUP BY taxon)"
        )
        raise InputError(
            f"no taxon has at least {rule.min_observations} observations by at least "
            f"{rule.min_observers} observers (the most observers of a taxon are {most[0]:,}); "
            "lower --min_observations and --min_observers, or give more observations"
        )
    split_files.number_categories(database, source, rule)
    steps += _parts(database)
    by_part = {step.name: step.photographs for step in steps}
    notes = [*source.notes, *_notes(database, rule)]
    if rule.test_images and "test_reserve" not in by_part:
        notes.append(f"there are no more than --test_images={rule.test_images:,} test images")
    written = {}
    chosen = split_files.files_of(rule)
    total = sum(by_part.get(file.part, 0) * (2 if file.has_labels else 1) for file in chosen)
    notify("writing files")
    # Steps before need no order; here it costs no memory, as each file is sorted anyway.
    database.run("SET preserve_insertion_order = true")
    with split_files.progress_bar(total) as bar:
        for file in chosen:
            path = os.path.join(output_dir, file.name)
            written[file.name] = split_files.write(database, source, file, path, bar.update)
    write_text(os.path.join(output_dir, CLASSES_FILE), _classes_table(database))
    done = Construction(source.kind, rule, tuple(steps), left_out, written, tuple(notes))
    write_text(
        os.path.join(output_dir, SUMMARY_FILE),
        json.dumps(done.as_record(command), indent=1, ensure_ascii=False) + "\n",
    )
    return done


def _given(database: Database) -> tuple[dict[str, int], Step]:
    """Why photographs do not count, and what is left."""
    rows = database.rows(
        "SELECT reason, count(*) FROM given GROUP BY reason ORDER BY count(*) DESC, reason",
        "counting what there is",
    )
    left_out = {reason: count for reason, count in rows if reason is not None}
    kept = sum(count for reason, count in rows if reason is None)
    taxa, observers = database.row(
        "SELECT count(DISTINCT given_taxon), count(DISTINCT observer) FROM given"
    )
    (observations,) = database.row(
        "SELECT count(*) FROM (SELECT observation FROM given WHERE observation IS NOT NULL "
        "GROUP BY observation)"
    )
    return left_out, Step("given", taxa, observers, observations, sum(left_out.values()) + kept)


def _counted(database: Database) -> list[Step]:
    """What counts, and what of it belongs to classes."""
    steps = []
    for name, table in (
        ("counted", "efforts"),
        ("classes", "efforts SEMI JOIN classes USING (taxon)"),
    ):
        found = database.row(
            "SELECT count(DISTINCT taxon), count(DISTINCT observer), "
            f"coalesce(sum(observations), 0), coalesce(sum(photographs), 0) FROM {table}"
        )
        steps.append(Step(name, *map(int, found)))
    return steps


def _parts(database: Database) -> list[Step]:
    """What goes into each file."""
    rows = database.rows(
        """SELECT part, count(DISTINCT taxon), count(DISTINCT observer),
            count(DISTINCT observation), count(*)
        FROM images SEMI JOIN categories USING (taxon) GROUP BY part""",
        "counting what is in each part",
    )
    return [Step(*row) for row in sorted(rows, key=lambda row: _PARTS.index(row[0]))]


def _notes(database: Database, rule: Rule) -> list[str]:
    notes = []
    (kept,) = database.row("SELECT count(*) FROM places WHERE is_kept_from_val")
    if kept:
        notes.append(
            f"of {kept:,} classes, the last observer stays in train, whom the rule taken literally "
            "would add to val, and train would be empty"
        )
    (shared, disputed) = database.row(
        "SELECT (SELECT count(*) FROM shared), (SELECT count(*) FROM disputed)"
    )
    if shared:
        notes.append(
            f"{shared:,} photographs are in several observations and count once; of {disputed:,}, "
            "which have several taxa or observers, "
            + ("one was drawn" if rule.shared_photographs is splits.Shared.DRAW else "none is used")
        )
    (empty,) = database.row(
        "SELECT count(*) FROM classes WHERE taxon NOT IN "
        "(SELECT taxon FROM images WHERE part = 'train')"
    )
    if empty:
        notes.append(
            f"{empty:,} classes have no image in train; lower --test_share, raise --min_observers, "
            "or filter licenses before counting"
        )
    if rule.unseen:
        (related,) = database.row(
            "SELECT count(*) FROM related WHERE taxon NOT IN (SELECT taxon FROM classes)"
        )
        if related:
            notes.append(
                f"{related:,} taxa below the thresholds are not among the unseen ones, because "
                "they contain a class or lie within the species of one"
            )
    (nested,) = database.row(
        "SELECT count(*) FROM candidates AS c WHERE is_class AND EXISTS (SELECT 1 FROM candidates "
        "AS o WHERE o.is_class AND o.taxon <> c.taxon AND o.super_class = c.super_class "
        "AND o.species = c.name)"
    )
    if nested:
        notes.append(
            f"{nested:,} classes are species of which a subspecies is a class too; "
            "--subspecies=roll_up puts them together"
        )
    return notes


def _reasons(left_out: dict[str, int]) -> str:
    return "; ".join(f"{reason} ({count:,})" for reason, count in left_out.items()) or "it is empty"


def _classes_table(database: Database) -> str:
    """One row per class, as CSV: what it has, and how many images each part got."""
    parts = [part for part in _PARTS if part != "unseen"]
    counts = ", ".join(f"count(*) FILTER (part = '{part}') AS {part}" for part in parts)
    named = ", ".join(f"coalesce(i.{part}, 0)" for part in parts)
    rows = database.rows(
        f"""SELECT g.id, g.taxon, g.name, g.super_class, g.rank, c.observers, c.observations,
            c.photographs, {named}
        FROM categories AS g
        JOIN classes AS c ON c.taxon = g.taxon
        LEFT JOIN (SELECT taxon, {counts} FROM images GROUP BY taxon) AS i ON i.taxon = g.taxon
        ORDER BY g.id"""
    )
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*_CLASS_COLUMNS, *parts])
    writer.writerows(rows)
    return file.getvalue()
