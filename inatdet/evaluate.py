r"""Evaluates detections: the paper's Tables 5 and 6 and its precision-recall curves.

    python -m inatdet.evaluate --annotations=val_2017_bboxes.json \
        --detections=species=SPECIES.parquet --detections=super=SUPER.parquet \
        --detections=generic=GENERIC.parquet --output_dir=REPORT

Each file may be Parquet, as `python -m inatdet.detect` writes it, or COCO results JSON from any
framework, in which `category_id` is the dataset's category id for species and the taxonomy's label
for super and generic. Any one of the three is enough. TensorFlow is not needed.

Coarse detections that a fine model made by summing its probabilities (`python -m inatdet.detect
--granularities=super,generic`) are given as --detections=species/super=PATH and so on.
"""

from __future__ import annotations

import collections
import sys
from collections.abc import Sequence

from absl import flags

from inatdet.data.annotations import OnBad, read_annotations
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError, run_main
from inatdet.evaluation import benchmark
from inatdet.evaluation.coco import Engine
from inatdet.evaluation.detection_files import read_detections
from inatdet.evaluation.report import Report


def evaluate(
    annotations_path: str,
    detections: Sequence[str],
    *,
    taxonomy_path: str | None = None,
    train_annotations_path: str | None = None,
    all_images: bool = False,
    engine: Engine = Engine.HOTCOCO,
    on_bad: OnBad = OnBad.ERROR,
) -> Report:
    """Reads the files and evaluates.

    Args:
        annotations_path: the ground truth, COCO-style JSON with super-categories.
        detections: `granularity=path`, or `granularity/coarser=path` for detections by summed
            probabilities; each at most once.
        taxonomy_path: a taxonomy.json with the label spaces, instead of deriving them from the
            annotations.
        train_annotations_path: the boxes that the model was trained on, to be counted by species.
        all_images: keeps images with several boxes or none, too.
        engine: which library counts.
        on_bad: what to do with bad records in the annotations.

    Raises:
        InputError: when a file is wrong.
    """
    paths = _parse(detections)
    _say(f"reading {annotations_path}")
    annotations = read_annotations(annotations_path, on_bad)
    taxonomy = Taxonomy.load(taxonomy_path) if taxonomy_path else annotations.taxonomy()
    models, marginals = {}, {}
    for (trained_on, granularity), path in paths.items():
        _say(f"reading {path}")
        found = read_detections(path, granularity, taxonomy)
        if trained_on is granularity:
            models[granularity] = found
        else:
            marginals[trained_on, granularity] = found
    train_boxes = None
    if train_annotations_path:
        _say(f"reading {train_annotations_path}")
        train_boxes = collections.Counter(
            read_annotations(train_annotations_path, on_bad).category_ids.tolist()
        )
    results = benchmark.run(
        annotations,
        taxonomy,
        models,
        marginals,
        all_images=all_images,
        engine=engine,
        train_boxes=train_boxes,
        say=_say,
    )
    return Report(
        results,
        annotations,
        taxonomy_path or "derived from the annotations",
        models,
        marginals,
        all_images,
        engine,
    )


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
    flags.DEFINE_string("annotations", None, "The ground truth: COCO-style JSON.", required=True)
    flags.DEFINE_multi_string(
        "detections", [], "GRANULARITY=PATH, Parquet or COCO results JSON; up to three times."
    )
    flags.DEFINE_string("output_dir", None, "Where the report goes.", required=True)
    flags.DEFINE_string("taxonomy", None, "A taxonomy.json, instead of deriving label spaces.")
    flags.DEFINE_string(
        "train_annotations", None, "The training boxes, to count them in per_class.csv."
    )
    flags.DEFINE_bool("all_images", False, "Keep images with several boxes or none, too.")
    flags.DEFINE_enum_class("engine", Engine.HOTCOCO, Engine, "Which library counts.")
    flags.DEFINE_enum_class(
        "on_bad", OnBad.ERROR, OnBad, "What to do with bad records in the annotations."
    )


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    report = evaluate(
        values.annotations,
        values.detections,
        taxonomy_path=values.taxonomy,
        train_annotations_path=values.train_annotations,
        all_images=values.all_images,
        engine=values.engine,
        on_bad=values.on_bad,
    )
    report.save(values.output_dir)
    print(report)
    _say(f"the report is in {values.output_dir}")


if __name__ == "__main__":
    define_flags()
    run_main(main)
