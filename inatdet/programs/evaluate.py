r"""Evaluates detections: the paper's Tables 5 and 6 and its precision-recall curves.

    inatdet evaluate --annotations=val_2017_bboxes.json \
        --detections=species=SPECIES.parquet --detections=super=SUPER.parquet \
        --detections=generic=GENERIC.parquet --output_dir=REPORT

Each may be Parquet, as `inatdet detect` writes it; COCO or LVIS results JSON from any
framework, in which `category_id` is the dataset's category id for species and the taxonomy's label
for super and generic; a folder of YOLO's .txt files (with --names=data.yaml, unless class i is
label i + 1); or a folder of the Pascal VOC devkit's results. Any one of the three is enough.
TensorFlow is not needed.

With --resamples=200 every number of Tables 5 and 6 has a 95% interval; with --images_dir the page
report.html shows detections on images; --latex writes the tables for LaTeX as well. Two models of
one dataset are tested against each other, on the same images, with

    inatdet evaluate --annotations=val_2017_bboxes.json --output_dir=REPORT \
        --compare super=A.parquet super=B.json

Coarse detections that a fine model made by summing its probabilities (`inatdet detect
--granularities=super,generic`) are given as --detections=species/super=PATH and so on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad
from inatdet.data.counts import TrainingCounts
from inatdet.data.detections import Detections
from inatdet.data.formats.coco import read_annotations
from inatdet.data.formats.detections import read_detections
from inatdet.data.formats.names import read_names
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation import comparison, protocol
from inatdet.evaluation import results as benchmark
from inatdet.evaluation.average_precision import Engine
from inatdet.evaluation.comparison import Comparison
from inatdet.evaluation.granularities import Merge
from inatdet.report.gallery import Choose, Picture, pictures
from inatdet.report.report import Report

PICTURES = 8
"""Of each kind, on the page."""


def evaluate(
    annotations_path: str,
    detections: Sequence[str],
    *,
    taxonomy_path: str | None = None,
    names_path: str | None = None,
    train_annotations_path: str | None = None,
    images_dir: str | None = None,
    all_images: bool = False,
    engine: Engine = Engine.HOTCOCO,
    resamples: int = 0,
    errors: bool = True,
    on_bad: OnBad = OnBad.ERROR,
) -> Report:
    """Reads the files and evaluates.

    Args:
        annotations_path: the ground truth, COCO-style JSON with super-categories.
        detections: `granularity=path`, or `granularity/coarser=path` for detections by summed
            probabilities; each at most once.
        taxonomy_path: a taxonomy.json with the label spaces, instead of deriving them from the
            annotations.
        names_path: the names of a YOLO model's classes, see `read_names`.
        train_annotations_path: the boxes that the model was trained on, to be counted by species.
        images_dir: where the annotations' file names start from, to show some of the images.
        all_images: keeps images with several boxes or none, too.
        engine: which library counts.
        resamples: how many halves of the images standard errors are taken from; 0: no intervals.
        errors: whether to tell kinds of error apart.
        on_bad: what to do with bad records in the annotations.

    Raises:
        InputError: when a file is wrong.
    """
    paths = _parse(detections)
    annotations, taxonomy = _truth(annotations_path, taxonomy_path, on_bad)
    models, marginals = {}, {}
    for (trained_on, granularity), path in paths.items():
        found = _read_detections(path, granularity, annotations, taxonomy, names_path)
        if trained_on is granularity:
            models[granularity] = found
        else:
            marginals[trained_on, granularity] = found
    training = None
    if train_annotations_path:
        _say(f"reading {train_annotations_path}")
        training = TrainingCounts.of(read_annotations(train_annotations_path, on_bad))
    results = benchmark.run(
        annotations,
        taxonomy,
        models,
        marginals,
        all_images=all_images,
        engine=engine,
        training=training,
        resamples=resamples,
        errors=errors,
        say=_say,
    )
    shown: tuple[Picture, ...] = ()
    if images_dir and models:
        level = next(iter(models))  # the finest
        kept = protocol.images_to_evaluate(annotations, all_images)
        found = protocol.in_images(models[level], annotations, kept)
        for choose in Choose:
            _say(f"drawing on images: {choose}")
            shown += pictures(
                kept, taxonomy, found, images_dir, choose, PICTURES, granularity=level
            )
    return Report(
        results,
        annotations,
        taxonomy_path or "derived from the annotations",
        models,
        marginals,
        all_images,
        engine,
        shown,
    )


def compare(
    annotations_path: str,
    first: str,
    second: str,
    *,
    taxonomy_path: str | None = None,
    names_path: str | None = None,
    resamples: int = 1000,
    merge: Merge = Merge.NONE,
    all_images: bool = False,
    on_bad: OnBad = OnBad.ERROR,
) -> Comparison:
    """Reads two files of detections and tests one against the other.

    Args:
        annotations_path: the ground truth, COCO-style JSON with super-categories.
        first: `granularity=path`.
        second: `granularity=path`.
        taxonomy_path: a taxonomy.json, instead of deriving the label spaces.
        names_path: the names of a YOLO model's classes, see `read_names`.
        resamples: how many halves of the images standard errors are taken from.
        merge: `NONE` or `NMS`, for the finer one of two different granularities.
        all_images: keeps images with several boxes or none, too.
        on_bad: what to do with bad records in the annotations.

    Raises:
        InputError: when a file is wrong.
    """
    sides = [_granularity_and_path("--compare", item) for item in (first, second)]
    annotations, taxonomy = _truth(annotations_path, taxonomy_path, on_bad)
    found = [
        _read_detections(path, granularity, annotations, taxonomy, names_path)
        for granularity, path in sides
    ]
    return comparison.compare(
        annotations, taxonomy, *found, resamples=resamples, merge=merge, all_images=all_images
    )


def _truth(path: str, taxonomy_path: str | None, on_bad: OnBad) -> tuple[Annotations, Taxonomy]:
    _say(f"reading {path}")
    annotations = read_annotations(path, on_bad)
    return annotations, Taxonomy.load(taxonomy_path) if taxonomy_path else annotations.taxonomy


def _read_detections(
    path: str,
    granularity: Granularity,
    annotations: Annotations,
    taxonomy: Taxonomy,
    names_path: str | None,
) -> Detections:
    _say(f"reading {path}")
    names = read_names(names_path) if names_path else None
    return read_detections(path, granularity, taxonomy, annotations.images, names)


def _granularity_and_path(flag: str, item: str) -> tuple[Granularity, str]:
    name, _, path = item.partition("=")
    if name not in set(Granularity) or not path:
        raise InputError(f"{flag}={item}: must be species=PATH, super=PATH or generic=PATH")
    return Granularity(name), path


def _parse(detections: Sequence[str]) -> dict[tuple[Granularity, Granularity], str]:
    """The files by the granularity that the model was trained at and that of its detections."""
    paths: dict[tuple[Granularity, Granularity], str] = {}
    for item in detections:
        name, _, path = item.partition("=")
        trained_on, slash, target = name.partition("/")
        names = {trained_on, target} if slash else {trained_on}
        if not names <= set(Granularity) or not path:
            raise InputError(
                f"--detections={item}: must be species=PATH, super=PATH or generic=PATH, or "
                "species/super=PATH and so on for detections by summed probabilities"
            )
        key = Granularity(trained_on), Granularity(target if slash else trained_on)
        if slash and key[1] not in key[0].coarser_or_equal()[1:]:
            raise InputError(f"--detections={item}: {target} is not coarser than {trained_on}")
        if key in paths:
            raise InputError(f"--detections={item}: {name} is given twice; give it once")
        paths[key] = path
    trained = {trained_on for trained_on, target in paths if trained_on is target}
    for trained_on, target in paths:
        if trained_on not in trained:
            raise InputError(
                f"--detections={trained_on}/{target} needs the model's own detections beside it; "
                f"give --detections={trained_on}=PATH as well"
            )
    if not paths:
        raise InputError("--detections is missing; give species=PATH, super=PATH or generic=PATH")
    return dict(sorted(paths.items(), key=lambda item: _from_fine_to_coarse(item[0])))


def _from_fine_to_coarse(key: tuple[Granularity, Granularity]) -> tuple[int, ...]:
    return tuple(list(Granularity).index(granularity) for granularity in key)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def define_flags() -> None:
    """Defines this program's flags."""
    flags.FLAGS.set_gnu_getopt(True)  # flags may follow the second file of --compare
    flags.DEFINE_string("annotations", None, "The ground truth: COCO-style JSON.", required=True)
    flags.DEFINE_multi_string(
        "detections",
        [],
        "GRANULARITY=PATH: Parquet, COCO results JSON, or a folder of YOLO's or VOC's results.",
    )
    flags.DEFINE_string("output_dir", None, "Where the report goes.", required=True)
    flags.DEFINE_string("taxonomy", None, "A taxonomy.json, instead of deriving label spaces.")
    flags.DEFINE_string("names", None, "Names of the classes in YOLO's .txt files: a data.yaml.")
    flags.DEFINE_string(
        "train_annotations", None, "The training boxes, to count them in per_class.csv."
    )
    flags.DEFINE_string("images_dir", None, "Where file names start from, to show some images.")
    flags.DEFINE_bool("all_images", False, "Keep images with several boxes or none, too.")
    flags.DEFINE_integer(
        "resamples",
        None,
        "Halves of the images that 95% intervals are taken from; 0 for no intervals; by default 0 "
        "and, for --compare, 1000.",
        lower_bound=0,
    )
    flags.DEFINE_bool("errors", True, "Tell kinds of error apart, which takes most of the memory.")
    flags.DEFINE_bool("latex", False, "Write the tables for LaTeX as well.")
    flags.DEFINE_string(
        "compare", None, "GRANULARITY=PATH GRANULARITY=PATH: tests two models against each other."
    )
    flags.DEFINE_enum(
        "merge",
        str(Merge.NONE),
        [str(Merge.NONE), str(Merge.NMS)],
        "With --compare, what becomes of detections of the finer model.",
    )
    flags.DEFINE_enum_class("engine", Engine.HOTCOCO, Engine, "Which library counts.")
    flags.DEFINE_enum_class(
        "on_bad", OnBad.ERROR, OnBad, "What to do with bad records in the annotations."
    )


def main(argv: Sequence[str]) -> None:
    """The program."""
    values = flags.FLAGS
    read = {
        "taxonomy_path": values.taxonomy,
        "names_path": values.names,
        "all_images": values.all_images,
        "on_bad": values.on_bad,
    }
    if values.compare:
        if len(argv) != 2 or values.detections:
            raise InputError(
                "--compare takes two files and goes without --detections: "
                "--compare GRANULARITY=PATH GRANULARITY=PATH"
            )
        report = compare(
            values.annotations,
            values.compare,
            argv[1],
            resamples=1000 if values.resamples is None else values.resamples,
            merge=Merge(values.merge),
            **read,
        )
        report.save(values.output_dir)
    else:
        if len(argv) > 1:
            raise InputError(f"unknown argument {argv[1]!r}; every setting is a --flag")
        report = evaluate(
            values.annotations,
            values.detections,
            train_annotations_path=values.train_annotations,
            images_dir=values.images_dir,
            engine=values.engine,
            resamples=values.resamples or 0,
            errors=values.errors,
            **read,
        )
        report.save(values.output_dir, values.latex)
    print(report)
    _say(f"the report is in {values.output_dir}")
