r"""Looks at every image of a dataset, or at every record, and lists what is wrong.

    inatdet check --annotations=val_2017_bboxes.json --images_dir=inat2017
    inatdet check --annotations=val_2017_bboxes.json --images_dir=inat2017 --decode
    inatdet check --records='records/train-*.tfrecord' --records='records/val-*.tfrecord' --decode
    inatdet check --records='records/train-*.tfrecord' --images_dir=inat2017

Problems are files that are missing, empty, cut off, no JPEG or of another size than annotated, and
entries of the annotations that cannot be used. Remarks are about files that can be used as they
are: an EXIF orientation, which is ignored everywhere here, the same picture under two names, gray
and CMYK pictures. --decode also decodes every picture, because only that finds damage in the middle
of a file.

Records are read from end to end and compared with their checksums and with their split's manifest;
with --decode, so are the pictures in them, as above; with --images_dir, the files that they were
made from, which may have changed since.

All of them go to `problems.csv` in --output_dir. The exit code is 0 without a problem, whatever the
remarks, 1 with one, and 2 if the check could not be made.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Sequence

from absl import flags
from tqdm import tqdm

from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad
from inatdet.data.findings import Finding, Level
from inatdet.datasets.inspection import Inspection, inspect
from inatdet.errors import InputError
from inatdet.outputs import check_folder
from inatdet.programs.flags import define_images_dir, define_truth
from inatdet.programs.reading import read_truth
from inatdet.programs.running import EXIT_FAILED, progress
from inatdet.report.table import Table
from inatdet.tfrecords.verification import Verification, total_bytes, verify

OUTPUT_FILE = "problems.csv"
DEFAULT_OUTPUT_DIR = "checked"

_NAMED_FILES = 3


def define_flags() -> None:
    """Defines this program's flags."""
    define_truth(required=False)
    flags.FLAGS.set_default("on_bad", OnBad.SKIP)  # they are listed with all the rest
    define_images_dir("Folder that file names are relative to.")
    flags.DEFINE_multi_string(
        "records", [], "Pattern of the TFRecords of a split; several times for several splits."
    )
    flags.DEFINE_bool("decode", False, "Decode every picture, which finds holes in files.")
    flags.DEFINE_string("output_dir", DEFAULT_OUTPUT_DIR, f"Folder to write {OUTPUT_FILE} to.")
    flags.DEFINE_integer(
        "threads", 0, "Number of files to read at the same time; 0 for two per core.", lower_bound=0
    )


def main(argv: Sequence[str]) -> int | None:
    """Runs the program; see the module's docstring."""
    del argv
    values = flags.FLAGS
    path = os.path.join(values.output_dir, OUTPUT_FILE)
    check_folder(values.output_dir)
    if not values.annotations and not values.records:
        raise InputError("give --annotations and --images_dir, or --records; --help explains them")
    if values.annotations and not values.images_dir:
        raise InputError("--annotations needs --images_dir, the folder of the images")
    if values.images_dir and not os.path.isdir(values.images_dir):
        raise InputError(f"--images_dir={values.images_dir} is not a folder; check the path")
    findings: list[Finding] = []
    conclusions = []
    if values.annotations:
        annotations = read_truth(values)
        if not annotations.images:
            raise InputError(f"{annotations.path}: lists no image that could be looked at")
        found = _inspect(annotations, values)
        findings += found.findings
        conclusions.append(_conclusion(found))
    if values.records:
        verified = _verify(values)
        findings += verified.findings
        conclusions.append(
            f"{verified.shards:,} shards with {verified.records:,} records: {_levels(verified)}"
        )
    _table_of(findings, with_records=bool(values.records)).to_csv(path)
    if findings:
        print(_summary(findings))
        print()
    progress(f"all of them are in {path}" if findings else f"{path} lists nothing")
    print("\n".join(conclusions))
    return EXIT_FAILED if any(f.level is Level.PROBLEM for f in findings) else None


def _inspect(annotations: Annotations, values: flags.FlagValues) -> Inspection:
    images = len(annotations.images) + len(annotations.left_out)
    with tqdm(total=images, unit=" images", mininterval=1, disable=None) as bar:
        return inspect(
            annotations,
            values.images_dir,
            decode=values.decode,
            threads=values.threads or None,
            advance=bar.update,
        )


def _verify(values: flags.FlagValues) -> Verification:
    total = total_bytes(values.records)
    with tqdm(total=total, unit="B", unit_scale=True, mininterval=1, disable=None) as bar:
        return verify(
            values.records,
            decode=values.decode,
            images_dir=values.images_dir,
            threads=values.threads or None,
            advance=bar.update,
        )


def _table_of(findings: Sequence[Finding], with_records: bool) -> Table:
    columns = ("image_id", "file_name", "level", "kind", "what_is_wrong", "what_to_do")
    places = ("shard", "record", "offset") if with_records else ()
    return Table(
        (*columns, *places),
        tuple(
            (
                _cell(finding.image_id),
                finding.file_name,
                str(finding.level),
                str(finding.kind),
                finding.what,
                finding.remedy,
                *(_cell(getattr(finding, place)) for place in places),
            )
            for finding in findings
        ),
    )


def _cell(value: str | int | None) -> str | int:
    return "" if value is None else value


def _summary(findings: Sequence[Finding]) -> Table:
    """How many findings of each kind there are, problems first, with the first few files."""
    kinds: dict[tuple[Level, str], list[Finding]] = collections.defaultdict(list)
    for finding in findings:
        kinds[finding.level, finding.kind].append(finding)
    rows = []
    by_number = sorted(kinds.items(), key=lambda kind: -_count(kind[1]))
    for (level, kind), found in sorted(by_number, key=lambda kind: kind[0][0]):
        first = f"{_place(found[0])} {found[0].what}".strip()
        others = [_place(finding) for finding in found[1:_NAMED_FILES]]
        more = ["..."] if len(found) > _NAMED_FILES else []
        rows.append((str(level), kind, _count(found), ", ".join([first, *others, *more])))
    return Table(("level", "kind", "count", "such as"), tuple(rows))


def _place(finding: Finding) -> str:
    """What a finding is about."""
    if not finding.shard:
        return finding.file_name
    if finding.record is None:
        return finding.shard
    image = "" if finding.image_id is None else f", image {finding.image_id}"
    return f"{finding.shard} (record {finding.record} at byte {finding.offset}{image})"


def _count(findings: Sequence[Finding]) -> int:
    return sum(finding.count for finding in findings)


def _conclusion(found: Inspection) -> str:
    unlisted = f"; {found.unlisted:,} more files that no image lists" if found.unlisted else ""
    return f"{found.images:,} images: {_levels(found)}{unlisted}"


def _levels(found: Inspection | Verification) -> str:
    return f"{found.count(Level.PROBLEM):,} problems, {found.count(Level.REMARK):,} remarks"
