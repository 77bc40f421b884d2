r"""Downloads iNat2017, or the photographs of a dataset made with `inatdet construct`.

    inatdet download --output_dir=inat2017                   # shows sizes and terms
    inatdet download --output_dir=inat2017 --accept_terms    # downloads and unpacks
    inatdet download --images=built/train.json --size=large --output_dir=photographs

To resume an interrupted run, give the same command again: nothing is downloaded or unpacked twice.

The archives of iNat2017 are checked by their MD5 and unpacked; then `counts.csv` compares what they
hold with the published counts, and the exit code is 1 if a count differs. An archive that you have
already may lie in --output_dir. Archives are deleted when they are unpacked, unless --keep_archives
is given. Nothing is downloaded without --accept_terms, and no question is asked, so that scripts
never wait for an answer.

--images gets photographs from iNaturalist's Open Data by their ids, --connections at a time, and
shrinks them to 800 pixels as iNat2017's. The list of images is written anew to --output_dir under
its own name, with the sizes of the pictures on disk and without those that could not be had; beside
it are NAME.missing.csv, which says why, and NAME.attribution.csv with licenses and rights holders.
The exit code is 1 if another run may get what is missing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from absl import flags
from tqdm import tqdm

from inatdet.datasets import (
    archives,
    fetching,
    photograph_requests,
    photographs,
    published,
    shrinking,
)
from inatdet.datasets.inat2017 import BOXES, PAPER_BOXES
from inatdet.errors import InputError
from inatdet.outputs import check_folder, free_space, gigabytes
from inatdet.programs.running import EXIT_FAILED, progress
from inatdet.report.table import Table

COUNTS_FILE = "counts.csv"


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string("output_dir", None, "Folder to download to.", required=True)
    flags.DEFINE_list(
        "parts",
        list(archives.DEFAULT_PARTS),
        f"What to download of iNat2017: {', '.join(archives.PARTS)}.",
    )
    flags.DEFINE_bool("accept_terms", False, "Agree to the terms of iNat2017, and download it.")
    flags.DEFINE_bool("keep_archives", False, "Keep the archives when they are unpacked.")
    flags.DEFINE_string(
        "base_url", None, "Address of a mirror of the archives, or of the photographs."
    )
    flags.DEFINE_list(
        "images", [], "Lists of images of `inatdet construct`, whose photographs to get instead."
    )
    flags.DEFINE_enum_class(
        "size",
        photograph_requests.Size.LARGE,
        photograph_requests.Size,
        "Size of the photographs: at most 2048, 1024, 500, 240 or 100 pixels.",
    )
    flags.DEFINE_integer(
        "long_edge",
        shrinking.LONG_EDGE,
        "Pixels of the longer side that photographs are shrunk to; 0 for no shrinking.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "connections",
        8,
        "Number of photographs to ask for at the same time.",
        lower_bound=1,
        upper_bound=64,
    )


def main(argv: Sequence[str]) -> int | None:
    """Runs the program; see the module's docstring."""
    del argv
    values = flags.FLAGS
    check_folder(values.output_dir)
    return _get_photographs(values) if values.images else _get_archives(values)


def _get_archives(values: flags.FlagValues) -> int | None:
    wanted = archives.archives_of(values.parts)
    todo = fetching.plan(values.output_dir, wanted, values.keep_archives)
    if not todo.is_done:
        print(_table_of(todo))
        print()
        print(archives.TERMS)
        print()
        print(_needs(todo), flush=True)
        if not values.accept_terms:
            raise InputError(
                "nothing was downloaded; give the same command with --accept_terms if you agree to "
                "the terms above"
            )
        fetching.fetch(todo, values.base_url or archives.BASE_URL)
    return _compare(values.output_dir, wanted)


def _table_of(todo: fetching.Plan) -> Table:
    return Table(
        ("archive", "content", "size", "state"),
        tuple(
            (archive.name, archive.content, gigabytes(archive.size), str(state))
            for archive, state in zip(todo.archives, todo.states)
        ),
    )


def _needs(todo: fetching.Plan) -> str:
    after = "kept" if todo.keep else "deleted, unless --keep_archives is given"
    return (
        f"{todo.folder}: {gigabytes(todo.to_download)} to download; about "
        f"{gigabytes(todo.needed)} of disk are needed at the most, and "
        f"{gigabytes(todo.free)} are free; once unpacked, archives are {after}"
    )


def _compare(folder: str, wanted: Sequence[archives.Archive]) -> int | None:
    """Prints the published counts beside those of the files."""
    progress("counting what the files hold ...")
    names = [name for archive in wanted for name in archive.holds]
    counts = published.compare(folder, names)
    columns = ("file", "count", "published", "found", "matches")
    rows = tuple(
        (count.file, count.what, count.published, count.found, "yes" if count.matches else "NO")
        for count in counts
    )
    table: Table = Table(columns, rows)
    path = os.path.join(folder, COUNTS_FILE)
    table.to_csv(path)
    print(table)
    print()
    if any("bboxes" in name for name in names):
        unpublished = PAPER_BOXES - sum(map(sum, BOXES.values()))
        print(
            f"The paper counts {PAPER_BOXES:,} boxes; {unpublished:,} of them, in validation "
            "images with several boxes, were never published."
        )
    matching = sum(count.matches for count in counts)
    print(f"{matching} of {len(counts)} counts match; they are in {path}")
    return EXIT_FAILED if matching < len(counts) else None


def _get_photographs(values: flags.FlagValues) -> int | None:
    source = photograph_requests.Source(
        values.base_url or photograph_requests.BASE_URL,
        values.size,
        values.long_edge,
        values.connections,
    )
    lists = photographs.lists_of(values.images, values.output_dir)
    count, size = photographs.expected_size(lists, values.output_dir, source)
    free = free_space(values.output_dir)
    progress(
        f"{values.output_dir}: {count:,} photographs to get, about {gigabytes(size)}, "
        f"{source.connections} at a time; {gigabytes(free)} are free"
    )
    if size > free:
        progress(
            f"warning: {count:,} photographs will probably not fit; free space, choose another "
            "disk, or give a smaller --size or --long_edge"
        )
    may_go_on = False
    for listed in lists:
        with tqdm(
            total=len(listed.photographs), unit=" photographs", mininterval=1, disable=None
        ) as bar:
            fetched = photographs.fetch_photographs(listed, values.output_dir, source, bar.update)
        may_go_on |= _write_lists(fetched)
    return EXIT_FAILED if may_go_on else None


def _write_lists(fetched: photographs.Fetched) -> bool:
    """Writes and prints what is there and what is missing; whether another run may get more."""
    stem = os.path.splitext(fetched.path)[0]
    Table(
        ("image_id", "file_name", "rights_holder", "license", "license_url", "page"),
        tuple(
            (
                photograph.id,
                name,
                _text(photograph.rights_holder),
                _text(license_.name),
                _text(license_.url),
                f"{photograph_requests.PAGE_URL}{photograph.id}",
            )
            for photograph, name, license_ in fetched.attributions()
        ),
    ).to_csv(f"{stem}.attribution.csv")
    Table(
        ("image_id", "file_name", "url", "reason", "try_again"),
        tuple(
            (
                missing.photograph.id,
                missing.photograph.file_name,
                missing.url,
                missing.reason,
                "no" if missing.is_lasting else "yes",
            )
            for missing in fetched.missing
        ),
    ).to_csv(f"{stem}.missing.csv")
    total = len(fetched.listed.photographs)
    print(
        f"{fetched.path}: {len(fetched.sizes):,} of {total:,} photographs are there, "
        f"{fetched.were_there:,} of them from before; licenses are in {stem}.attribution.csv"
    )
    again = sum(not missing.is_lasting for missing in fetched.missing)
    if fetched.missing:
        print(
            f"missing: {len(fetched.missing):,}, {again:,} of which the same command may get; "
            f"reasons are in {stem}.missing.csv"
        )
    return again > 0


def _text(value: object) -> str:
    return "" if value is None else str(value)
