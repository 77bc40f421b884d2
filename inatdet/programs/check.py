r"""Looks at every image of a dataset and lists what is wrong.

    inatdet check --annotations=val_2017_bboxes.json --images_dir=inat2017
    inatdet check --annotations=val_2017_bboxes.json --images_dir=inat2017 --decode

Problems are files that are missing, empty, cut off, no JPEG or of another size than annotated, and
entries of the annotations that cannot be used. Remarks are about files that can be used as they
are: an EXIF orientation, which is ignored everywhere here, the same picture under two names, gray
and CMYK pictures. --decode also decodes every picture, because only that finds damage in the middle
of a file.

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
from inatdet.programs.flags import define_images_dir, define_truth, read_truth
from inatdet.programs.running import EXIT_FAILED, progress
from inatdet.report.table import Table

OUTPUT_FILE = "problems.csv"
DEFAULT_OUTPUT_DIR = "checked"

_NAMED_FILES = 3


def define_flags() -> None:
    """Defines this program's flags."""
    define_truth()
    flags.FLAGS.set_default("on_bad", OnBad.SKIP)  # they are listed with all the rest
    define_images_dir("Folder that the annotations' file names are relative to.", required=True)
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
    if not os.path.isdir(values.images_dir):
        raise InputError(f"--images_dir={values.images_dir} is not a folder; check the path")
    annotations = read_truth(values)
    if not annotations.images:
        raise InputError(f"{annotations.path}: lists no image that could be looked at")
    found = _inspect(annotations, values)
    _table_of(found.findings).to_csv(path)
    if found.findings:
        print(_summary(found.findings))
        print()
    print(_conclusion(found, path))
    return EXIT_FAILED if found.count(Level.PROBLEM) else None


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


def _table_of(findings: Sequence[Finding]) -> Table:
    columns = ("image_id", "file_name", "level", "kind", "what_is_wrong", "what_to_do")
    return Table(
        columns,
        tuple(
            (
                "" if finding.image_id is None else finding.image_id,
                finding.file_name,
                str(finding.level),
                finding.kind,
                finding.what,
                finding.remedy,
            )
            for finding in findings
        ),
    )


def _summary(findings: Sequence[Finding]) -> Table:
    """How many findings of each kind there are, problems first, with the first few files."""
    kinds: dict[tuple[Level, str], list[Finding]] = collections.defaultdict(list)
    for finding in findings:
        kinds[finding.level, finding.kind].append(finding)
    rows = []
    by_number = sorted(kinds.items(), key=lambda kind: -_count(kind[1]))
    for (level, kind), found in sorted(by_number, key=lambda kind: kind[0][0]):
        first = f"{found[0].file_name} {found[0].what}".strip()
        others = [finding.file_name for finding in found[1:_NAMED_FILES]]
        more = ["..."] if len(found) > _NAMED_FILES else []
        rows.append((str(level), kind, _count(found), ", ".join([first, *others, *more])))
    return Table(("level", "kind", "count", "such as"), tuple(rows))


def _count(findings: Sequence[Finding]) -> int:
    return sum(finding.count for finding in findings)


def _conclusion(found: Inspection, path: str) -> str:
    progress(f"all of them are in {path}" if found.findings else f"{path} lists nothing")
    unlisted = f"; {found.unlisted:,} more files that no image lists" if found.unlisted else ""
    return (
        f"{found.images:,} images: {found.count(Level.PROBLEM):,} problems, "
        f"{found.count(Level.REMARK):,} remarks{unlisted}"
    )
