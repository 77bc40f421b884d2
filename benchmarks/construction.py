"""The time, memory and disk that `inatdet construct` takes.

    python -m benchmarks.construction --output_dir=DIR
    python -m benchmarks.construction --output_dir=DIR --photographs=100000000 \
        --memory_gib=3 --archive_observations=0

Generates observations as a table of Parquet, in which few taxa and few observers have most, and
constructs a dataset from it in a process of its own. Then the same from an archive of Open Data
(.csv.gz), whose first run makes Parquet of it and whose second one does not. The files are removed
in the end. Memory is the peak of the process; disk is the peak of what it writes, results and
database together.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from absl import app, flags

from benchmarks import observations
from benchmarks.measuring import Target, print_table, print_targets
from inatdet.datasets.database import literal, open_database

_PAPER = 1_600_000  # photographs in the archive of October 3rd, 2016
_LARGE = 100_000_000


@dataclass(frozen=True)
class Run:
    """A measured run: seconds, those of processors, and GiB of memory and disk."""

    what: str
    seconds: float
    processor: float
    memory: float
    disk: float


def generate(folder: str, photographs: int) -> tuple[str, str]:
    """Writes a table of photographs and one of taxa; returns their paths.

    The paper's archive has 1.6 million photographs, 1.1 million observations and 54 thousand taxa;
    larger ones have more of everything, observers and taxa in slower growth.
    """
    taxa = int(54_000 * (photographs / _PAPER) ** 0.5)
    observers = int(60_000 * (photographs / _PAPER) ** 0.9)
    table = os.path.join(folder, "photographs.parquet")
    listed = os.path.join(folder, "taxa.parquet")
    with open_database(2.0, temp_dir=folder) as database:
        # Numbers that look drawn and are the same in every run: the fractions of multiples.
        database.run(
            f"""COPY (
                SELECT photo, observation,
                    CAST(1 + floor({observers} * pow(v, 2)) AS BIGINT) AS observer,
                    CAST(1 + floor({taxa} * pow(u, 3)) AS BIGINT) AS taxon
                FROM (
                    SELECT photo, observation,
                        (observation * 0.6180339887498949) % 1 AS u,
                        (observation * observation * 0.0000041421356237) % 1 AS v
                    FROM (SELECT range AS photo, CAST(range * 11 // 16 AS BIGINT) AS observation
                        FROM range({photographs}))
                )
            ) TO {literal(table)} (FORMAT parquet)"""
        )
        database.run(
            f"""COPY (
                SELECT range AS taxon, 'Genus' || range // 5 || ' species' || range AS name,
                    'species' AS rank, 'Animalia' AS kingdom, 'Chordata' AS phylum,
                    CASE WHEN range % 3 = 0 THEN 'Aves' ELSE 'Mammalia' END AS class,
                    'Genus' || range // 5 AS genus
                FROM range(1, {taxa + 1})
            ) TO {literal(listed)} (FORMAT parquet)"""
        )
    return table, listed


def measure(what: str, folder: str, memory_gib: float, threads: int, *arguments: str) -> Run:
    """Constructs a dataset in `folder`, which is left there."""
    command = [
        sys.executable, "-m", "inatdet", "construct", f"--output_dir={folder}",
        f"--memory_gib={memory_gib}", f"--threads={threads}", "--test_images=183000", *arguments,
    ]  # fmt: skip
    ended = threading.Event()
    peak = [0.0]

    def watch() -> None:
        while not ended.wait(0.5):
            peak[0] = max(peak[0], _size(folder))

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    ended.set()
    watcher.join()
    if process.returncode:
        sys.exit(f"{what}: ended with {process.returncode}")
    disk = max(peak[0], _size(folder)) / 2**30
    return Run(what, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20, disk)


def _size(folder: str) -> float:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(place, name)).st_blocks * 512
            except FileNotFoundError:  # it is the database's, which has just removed it
                continue
    return total


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    folder = os.path.join(values.output_dir, "construction")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    limits = values.memory_gib, values.threads
    try:
        table, taxa = generate(folder, values.photographs)
        size = os.path.getsize(table) / 2**20
        print(f"{values.photographs:,} photographs: {size:,.0f} MiB of Parquet", flush=True)
        runs = [
            measure(
                f"{values.photographs:,} photographs, Parquet",
                os.path.join(folder, "table"), *limits,
                f"--observations={table}", f"--taxa={taxa}",
            )
        ]  # fmt: skip
        if values.archive_observations:
            archive = os.path.join(folder, "archive")
            world = observations.invent(
                species=3000, observers=20_000, observations=values.archive_observations
            )
            observations.write_open_data(archive, world)
            count = sum(len(seen.photographs) for seen in world.observations)
            for what in ("Open Data, .csv.gz", "the same, made into Parquet before"):
                runs.append(
                    measure(f"{count:,} photographs, {what}", os.path.join(folder, "dataset"),
                            *limits, f"--observations={archive}")
                )  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print_table(
        ("what", "seconds", "processor, s", "memory, GiB", "disk, GiB"),
        (
            (
                run.what,
                f"{run.seconds:.1f}",
                f"{run.processor:.1f}",
                f"{run.memory:.2f}",
                f"{run.disk:.2f}",
            )
            for run in runs
        ),
    )
    if values.photographs == _PAPER:
        bounds = (10.0, 1.0)
    elif values.photographs == _LARGE:
        bounds = (1200.0, 4.0)
    else:
        return
    print_targets(
        [
            Target("time", runs[0].seconds, bounds[0], at_most=True, unit="s"),
            Target("memory", runs[0].memory, bounds[1], at_most=True, unit="GiB"),
        ]
    )


if __name__ == "__main__":
    flags.DEFINE_string("output_dir", None, "A folder with room for the files.", required=True)
    flags.DEFINE_integer("photographs", _PAPER, "How many to generate.", lower_bound=1000)
    flags.DEFINE_float("memory_gib", 0.7, "The limit that the database gets.")
    flags.DEFINE_integer("threads", 2, "Threads of the database.")
    flags.DEFINE_integer(
        "archive_observations", 500_000, "Observations of the archive; 0 for none.", lower_bound=0
    )
    app.run(main)
