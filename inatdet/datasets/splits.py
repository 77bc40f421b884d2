"""The paper's rule: which taxa are classes, and which observer's photographs go to which split.

The rule itself is `splits.sql`; here are its arguments, and what they are applied to.
"""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass, fields
from typing import Any

from inatdet.choices import Choice
from inatdet.datasets.common_table import Source
from inatdet.datasets.database import Database, literal
from inatdet.datasets.lineages import HYBRIDS, LEVELS, SPECIES_LEVEL, Subspecies
from inatdet.errors import InputError

RESEARCH = "research"


class Rounding(Choice):
    """How the number of a taxon's test observers is rounded; the nearest of a half is above it."""

    NEAREST = "nearest"
    DOWN = "down"
    UP = "up"


class Ties(Choice):
    """Who comes first of two observers with the same number of observations of a taxon."""

    RANDOM = "random"
    """Drawn for each taxon, by the seed."""
    OBSERVER = "observer"
    """The one whose id or login is smaller, as text."""
    PHOTOGRAPHS = "photographs"
    """The one with fewer photographs, then as for `RANDOM`."""


class Shared(Choice):
    """What becomes of a photograph in observations of several taxa or observers."""

    DRAW = "draw"
    """One of them is drawn, by the seed."""
    LEAVE_OUT = "leave_out"


class FilterLicenses(Choice):
    """When photographs without an accepted license are left out."""

    BEFORE = "before"
    """First of all, so that they do not count."""
    AFTER = "after"
    """Last of all: they count for thresholds, order and shares, but are not written."""


class PrivateBy(Choice):
    """What is drawn to divide the test images into public and private ones."""

    OBSERVER = "observer"
    """Observers: all test images of one are in the same file."""
    IMAGE = "image"


@dataclass(frozen=True)
class Rule:
    """The arguments of the rule; the defaults are the paper's, where it says something.

    Attributes:
        min_observations: the least of a taxon that is a class.
        min_observers: the same, of different observers.
        test_share: the share of a taxon's observers who go to test, those with the fewest
            observations first.
        rounding: of their number.
        ties: the order of observers with equally many observations.
        max_val_photographs: observers are added to val until it has more photographs.
        val_share: or at least this share of the photographs outside of test.
        quality_grades: of the observations that count; all if empty.
        licenses: of the photographs that count, as `cc-by-nc`; all if empty, also those without.
        filter_licenses: when.
        subspecies: what becomes of them.
        coarsest_rank: of a class; the paper's archive goes up to the genus.
        hybrids: whether they may be classes.
        inactive_taxa: whether taxa that iNaturalist no longer uses may be classes.
        shared_photographs: what becomes of photographs in several observations.
        test_images: how many are drawn for the test set; None for all. The paper took about
            183,000 and kept the others in reserve.
        private_share: of the test images in the private file; with 0 there is one file.
        private_by: what is drawn for it.
        unseen: whether photographs of other taxa are written too.
        seed: of everything that is drawn.
    """

    min_observations: int = 20
    min_observers: int = 20
    test_share: float = 0.4
    rounding: Rounding = Rounding.NEAREST
    ties: Ties = Ties.RANDOM
    max_val_photographs: int = 30
    val_share: float = 0.33
    quality_grades: tuple[str, ...] = (RESEARCH,)
    licenses: tuple[str, ...] = ()
    filter_licenses: FilterLicenses = FilterLicenses.BEFORE
    subspecies: Subspecies = Subspecies.KEEP
    coarsest_rank: str = "genus"
    hybrids: bool = True
    inactive_taxa: bool = False
    shared_photographs: Shared = Shared.DRAW
    test_images: int | None = None
    private_share: float = 0.5
    private_by: PrivateBy = PrivateBy.OBSERVER
    unseen: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks the arguments.

        Raises:
            InputError: one makes no sense.
        """
        for argument in ("test_share", "val_share", "private_share"):
            if not 0 <= getattr(self, argument) <= 1:
                raise InputError(
                    f"--{argument}={getattr(self, argument)} must be from 0 to 1, as .4 for 40%"
                )
        for argument in ("min_observations", "min_observers", "max_val_photographs"):
            if getattr(self, argument) < 0:
                raise InputError(f"--{argument}={getattr(self, argument)} must not be negative")
        if self.test_images is not None and self.test_images < 1:
            raise InputError(f"--test_images={self.test_images} must be at least 1, or left out")
        if self.coarsest_rank not in LEVELS:
            raise InputError(
                f"--coarsest_rank={self.coarsest_rank} must be one of {', '.join(LEVELS)}"
            )

    def as_record(self) -> dict[str, Any]:
        """The arguments as JSON has them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in values.items()
        }


def prepare(database: Database, source: Source, rule: Rule) -> None:
    """Makes the tables that the rule reads, `photographs` and `settings`, and two on the way.

    `kinds` says for each taxon of which class it is, or the reason why of none: taxon, class,
    reason. `given` is the photographs as they are, with the reason why one does not count.
    """
    database.run(f"CREATE TABLE kinds AS {_kinds_sql(source, rule)}", "looking at taxa")
    grades = _listed(rule.quality_grades) if source.has_quality_grades else ""
    licenses = _listed(tuple(name.lower() for name in rule.licenses))
    licensed = f"g.license IS NOT NULL AND g.license IN ({licenses})" if licenses else "true"
    before = rule.filter_licenses is FilterLicenses.BEFORE
    wrong_grade = f"g.quality_grade IS NULL OR g.quality_grade NOT IN ({grades})"
    database.run(
        f"""CREATE VIEW given AS
        SELECT g.* EXCLUDE (taxon), g.taxon AS given_taxon, k.class AS taxon,
            {licensed} AS is_licensed,
            CASE
                WHEN g.photo IS NULL THEN 'the photograph has no number'
                WHEN g.observation IS NULL THEN 'its observation is not listed'
                WHEN g.observer IS NULL THEN 'its observer is not known'
                {f"WHEN {wrong_grade} THEN 'other quality grade'" if grades else ""}
                WHEN g.taxon IS NULL THEN 'the observation has no taxon'
                WHEN k.taxon IS NULL THEN 'its taxon is not listed'
                WHEN k.reason IS NOT NULL THEN k.reason
                {"WHEN NOT (" + licensed + ") THEN 'other license'" if before else ""}
            END AS reason
        FROM {source.photographs} AS g
        LEFT JOIN kinds AS k ON k.taxon = g.taxon"""
    )
    database.run(
        "CREATE VIEW photographs AS SELECT * EXCLUDE (reason, given_taxon, quality_grade) "
        "FROM given WHERE reason IS NULL"
    )
    # Lots are twelve hexadecimal digits; a g comes after all of them.
    below = f"{int(rule.private_share * 16**12):012x}" if rule.private_share < 1 else "g"
    below = below if rule.private_share else ""
    test_images = "NULL" if rule.test_images is None else str(rule.test_images)
    database.run(
        f"""CREATE TABLE settings AS SELECT
            {rule.seed} AS seed,
            {rule.min_observations} AS min_observations,
            {rule.min_observers} AS min_observers,
            CAST({rule.test_share!r} AS DOUBLE) AS test_share,
            {literal(rule.rounding.value)} AS rounding,
            {literal(rule.ties.value)} AS ties,
            {rule.max_val_photographs} AS max_val_photographs,
            CAST({rule.val_share!r} AS DOUBLE) AS val_share,
            {literal(rule.shared_photographs.value)} AS shared,
            CAST({test_images} AS BIGINT) AS test_images,
            {literal(below)} AS private_below,
            {literal(rule.private_by.value)} AS private_by,
            {"true" if rule.unseen else "false"} AS with_unseen"""
    )


def apply(database: Database) -> None:
    """Runs the rule, which leaves the tables that `splits.sql` names."""
    for number, statement in enumerate(statements(), 1):
        table = statement.partition(" AS")[0].rpartition(" ")[2]
        database.run(statement, f"the rule, step {number} of {len(statements())}: {table}")


def statements() -> list[str]:
    """The statements of `splits.sql`, without comments."""
    file = importlib.resources.files("inatdet.datasets").joinpath("splits.sql")
    lines = file.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("--"))
    return [statement.strip() for statement in text.split(";") if statement.strip()]


def _kinds_sql(source: Source, rule: Rule) -> str:
    """SQL for the class of each taxon: itself, its species, or none."""
    levels = ", ".join(f"('{rank}', {level})" for rank, level in LEVELS.items())
    coarsest = LEVELS[rule.coarsest_rank]
    below = f"l.level < {SPECIES_LEVEL}"
    if rule.subspecies is Subspecies.ROLL_UP:
        # Where the species itself is not listed, its first subspecies gives it a number.
        has_species = f"{below} AND t.species IS NOT NULL"
        own = f"CASE WHEN {has_species} THEN coalesce(s.taxon, first) ELSE t.taxon END"
    else:
        own = "t.taxon"
    left_out = rule.subspecies is Subspecies.LEAVE_OUT
    return f"""
        SELECT t.taxon, {own} AS class, t.super_class,
            CASE
                WHEN t.super_class IS NULL THEN 'taxon without a super-class'
                WHEN l.level IS NULL OR l.level > {coarsest}
                    THEN 'taxon coarser than {rule.coarsest_rank}'
                {f"WHEN {below} THEN 'subspecies'" if left_out else ""}
                {"" if rule.hybrids else f"WHEN t.rank IN ({_listed(HYBRIDS)}) THEN 'hybrid'"}
                {"" if rule.inactive_taxa else "WHEN NOT t.is_active THEN 'inactive taxon'"}
            END AS reason
        FROM (
            SELECT *, min(taxon) OVER (PARTITION BY super_class, species) AS first
            FROM {source.taxa}
        ) AS t
        LEFT JOIN (VALUES {levels}) AS l(rank, level) ON l.rank = t.rank
        LEFT JOIN (
            SELECT super_class, name, min(taxon) AS taxon
            FROM {source.taxa} WHERE rank IN ('species', 'hybrid') GROUP BY super_class, name
        ) AS s ON s.super_class = t.super_class AND s.name = t.species"""


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(literal(word) for word in words)
