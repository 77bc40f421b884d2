r"""Makes a dataset in iNat2017's layout from observations, by the paper's rule.

    inatdet construct --observations=inaturalist-open-data-20261127 --output_dir=dataset
    inatdet construct --observations=dwca --test_images=183000 --seed=1 --output_dir=dataset
    inatdet construct --observations=mine.parquet --taxa=taxa.csv --output_dir=dataset

--observations is the folder of iNaturalist's Open Data (photos, observations, observers and taxa,
.csv.gz), the folder of its Darwin Core archive, unpacked, or one table, .parquet or .csv, with the
columns photo, observation, observer and taxon.

Taxa with at least 20 observations by at least 20 observers become classes. Of each, the 40% of
observers with the fewest observations go to test, the next ones to val until it has more than 30
photographs or 33% of what is left, and the others to train. What the paper leaves open is a flag
with a stated default. docs/construction.md explains all of it.

Writes train.json and val.json, test_public.json and test_private.json without labels and with them
(..._labels.json), unseen.json with the taxa below the thresholds, classes.csv and summary.json. The
images are not fetched. Archives are first made into Parquet files in --work_dir, which a second run
reads again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from absl import flags

from inatdet.datasets.construction import OUTPUT_FILES, Construction, construct
from inatdet.datasets.database import open_database
from inatdet.datasets.lineages import LEVELS, Subspecies
from inatdet.datasets.observations import gather
from inatdet.datasets.splits import (
    FilterLicenses,
    PrivateBy,
    Rounding,
    Rule,
    Shared,
    Ties,
)
from inatdet.errors import InputError
from inatdet.outputs import check_folder
from inatdet.programs.flags import writing_to
from inatdet.programs.running import command, progress
from inatdet.report.table import Table
from inatdet.result_folder import files_of_one_run

_DEFAULTS = Rule()
_WORK_DIR = "observations"


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string(
        "observations", None, "A folder or table of observations, see above.", required=True
    )
    flags.DEFINE_string(
        "taxa", None, "For observations in a table: a table of taxa, with taxon, name, kingdom, ..."
    )
    flags.DEFINE_string("output_dir", None, "The folder to write to.", required=True)
    _define_rule()
    flags.DEFINE_float(
        "memory_gib", 4.0, "The most memory for the database; more goes to disk.", lower_bound=0.1
    )
    flags.DEFINE_integer("threads", 0, "Threads to use; 0 for one per core.", lower_bound=0)
    flags.DEFINE_string(
        "temp_dir", None, "Where the database lies meanwhile; by default in --work_dir."
    )
    flags.DEFINE_string(
        "work_dir", None, f"Where Parquet files are kept; by default OUTPUT_DIR/{_WORK_DIR}."
    )


def _define_rule() -> None:
    rule = _DEFAULTS
    flags.DEFINE_integer(
        "min_observations", rule.min_observations, "Observations that a class has at least."
    )
    flags.DEFINE_integer(
        "min_observers", rule.min_observers, "Observers that a class has at least."
    )
    flags.DEFINE_float("test_share", rule.test_share, "The share of observers who go to test.")
    flags.DEFINE_enum_class(
        "rounding", rule.rounding, Rounding, "How the number of test observers is rounded."
    )
    flags.DEFINE_enum_class(
        "ties", rule.ties, Ties, "Who of two observers with equally many observations is first."
    )
    flags.DEFINE_integer(
        "max_val_photographs",
        rule.max_val_photographs,
        "Observers go to val until a class has more photographs there ...",
    )
    flags.DEFINE_float(
        "val_share", rule.val_share, "... or at least this share of those outside of test."
    )
    flags.DEFINE_list(
        "quality_grades", list(rule.quality_grades), "Quality grades that count; empty for all."
    )
    flags.DEFINE_list(
        "licenses", list(rule.licenses), "Licenses that count, as cc0,cc-by; empty for all."
    )
    flags.DEFINE_enum_class(
        "filter_licenses",
        rule.filter_licenses,
        FilterLicenses,
        "Whether photographs of other licenses count before they are left out.",
    )
    flags.DEFINE_enum_class(
        "subspecies",
        rule.subspecies,
        Subspecies,
        "Whether subspecies are classes, belong to their species, or are left out.",
    )
    flags.DEFINE_enum(
        "coarsest_rank", rule.coarsest_rank, list(LEVELS), "The coarsest rank of a class."
    )
    flags.DEFINE_bool("hybrids", rule.hybrids, "Whether hybrids may be classes.")
    flags.DEFINE_bool(
        "inactive_taxa", rule.inactive_taxa, "Whether taxa no longer in use may be classes."
    )
    flags.DEFINE_enum_class(
        "shared_photographs",
        rule.shared_photographs,
        Shared,
        "Photographs of several taxa or observers: one of them is drawn, or they are left out.",
    )
    flags.DEFINE_integer(
        "test_images", None, "Test images to draw, the paper's about 183000; by default all."
    )
    flags.DEFINE_float(
        "private_share", rule.private_share, "The share of test that is private; 0 for one file."
    )
    flags.DEFINE_enum_class(
        "private_by", rule.private_by, PrivateBy, "What is drawn to be private."
    )
    flags.DEFINE_bool("unseen", rule.unseen, "Whether to write unseen.json.")
    flags.DEFINE_integer("seed", rule.seed, "The seed of all draws.")


def main(argv: Sequence[str]) -> None:
    """Runs the program; see the module's docstring."""
    del argv
    values = flags.FLAGS
    rule = _rule(values)
    work_dir = values.work_dir or os.path.join(values.output_dir, _WORK_DIR)
    check_folder(work_dir)
    with (
        writing_to(values.output_dir),
        open_database(
            values.memory_gib, values.threads or None, values.temp_dir or work_dir, progress
        ) as database,
    ):
        source = gather(database, values.observations, work_dir, values.taxa, progress)
        if values["quality_grades"].present and rule.quality_grades:
            _check_quality_grades(source.has_quality_grades, values)
        with files_of_one_run(values.output_dir, OUTPUT_FILES) as folder:
            done = construct(database, source, rule, folder, command(), progress)
    _print(done, values.output_dir)


def _rule(values: flags.FlagValues) -> Rule:
    arguments = {name: getattr(values, name) for name in _DEFAULTS.as_record()}
    for name in ("quality_grades", "licenses"):
        arguments[name] = tuple(part.strip() for part in arguments[name] if part.strip())
    return Rule(**arguments)


def _check_quality_grades(are_known: bool, values: flags.FlagValues) -> None:
    if not are_known:
        raise InputError(
            f"--quality_grades={','.join(values.quality_grades)}: {values.observations} says "
            "nothing of quality grades; leave the flag out, or add a column quality_grade"
        )


def _print(done: Construction, output_dir: str) -> None:
    columns = ("", "taxa", "observers", "observations", "photographs")
    print(
        Table(
            columns,
            tuple(
                (step.name, step.taxa, step.observers, step.observations, step.photographs)
                for step in done.steps
            ),
        )
    )
    if done.left_out:
        print()
        print(Table(("left out because", "photographs"), tuple(done.left_out.items())))
    for note in done.notes:
        progress(f"note: {note}")
    written = ", ".join(f"{name} ({images:,})" for name, images in done.files.items())
    progress(f"{output_dir}: {written} images")
