"""Names what is in the boxes of a detector, and writes them as detections with these names."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from inatdet import locks, outputs
from inatdet.classification.box_crops import BoxesByImage, box_crops
from inatdet.classification.config import ClassificationExperiment
from inatdet.classification.inference import Runner, settings_of
from inatdet.classification.ranking import Best, Ranking
from inatdet.classification.sources import Source
from inatdet.data.box_choice import BoxChoice
from inatdet.data.detections import Detections
from inatdet.data.formats.detections import DetectionsWriter
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from inatdet.networks import checkpoints
from inatdet.parts import Parts, Values, joined, sha256_of_arrays
from inatdet.training import applying, devices, experiment


def classify_boxes(
    params: ClassificationExperiment,
    checkpoint: str,
    model_dir: str,
    source: Source,
    found: Detections,
    output: str,
    choice: BoxChoice,
    coarser: Sequence[Granularity] = (),
    strategy: tf.distribute.Strategy | None = None,
    command: str = "",
    any_labels: bool = False,
    notify: Callable[[str], None] = lambda message: None,
) -> int:
    """Classifies what is in the boxes of a detector.

    A box becomes a detection of each of its best labels. Its score is the detector's, how certain
    it is that there is an animal, times the probability of the label.

    Args:
        params: the settings that the classifier was trained with.
        checkpoint: the path of its weights, without extension.
        model_dir: the folder with its taxonomy.
        source: the images.
        found: the detector's boxes; their labels do not matter.
        output: the Parquet file to write; it appears only when complete. What is done until then is
            beside it, in `inatdet.parts`, and a run that was interrupted is gone on with.
        choice: which boxes are classified, what is seen of them, and how many labels are kept.
        coarser: granularities at which to write detections by summed probabilities as well, each to
            `applying.marginal_path(output, granularity)`.
        strategy: the devices, instead of those of `params.runtime`.
        command: the command line that is running, which the file records.
        any_labels: whether the images may have other categories than the classifier.
        notify: called with a note where an earlier run is gone on with, and where boxes were left
            out.

    Returns:
        How many boxes were classified.

    Raises:
        InputError: if the checkpoint does not fit the settings, images are missing or damaged or do
            not fit the model, no box is in them, a granularity is not coarser than the model's, or
            the output cannot be written.
        KeyboardInterrupt: when interrupted, with the words for what is left.
    """
    taxonomy = experiment.label_spaces(params, model_dir)
    granularity = Granularity(params.task.granularity)
    applying.check_coarser(taxonomy, granularity, coarser)
    ranking = Ranking(taxonomy, granularity, coarser, choice.labels)
    paths = [output, *(applying.marginal_path(output, target) for target in coarser)]
    for path in paths:
        outputs.check_file(path)
    source.check(taxonomy, any_labels)
    rows = choice.rows(found)
    if not len(rows):
        raise InputError(
            f"{found.path}: none of its {len(found):,} boxes has a score of {choice.min_score} or "
            "more; lower --min_score"
        )
    context = params.task.box.context if choice.context is None else choice.context
    devices.set_precision(params.runtime)
    strategy = strategy or devices.strategy_of(params.runtime)
    made_with = applying.made_with(
        params,
        taxonomy,
        checkpoint,
        model_dir,
        strategy,
        images=source.stamp(),
        boxes=sha256_of_arrays(found.image_ids[rows], found.scores[rows], found.boxes[rows]),
        flags={"levels": list(map(str, ranking.levels)), **dataclasses.asdict(choice)},
    )
    boxes = BoxesByImage(found, rows)
    checkpoint_sha256, records_sha256 = checkpoints.sha256_of(checkpoint), source.summary_sha256()
    with contextlib.ExitStack() as stack:
        for path in paths:
            stack.enter_context(locks.only_writer_of(path))
        done = stack.enter_context(Parts(paths, made_with, "boxes", notify))
        writers = {
            str(level): stack.enter_context(
                DetectionsWriter(
                    path,
                    level,
                    taxonomy,
                    model=_model(found, checkpoint),
                    settings=_settings(params, found, choice, context, level),
                    checkpoint_sha256=checkpoint_sha256,
                    command=command,
                    records_sha256=records_sha256,
                )
            )
            for path, level in zip(paths, ranking.levels)
        }
        for values in done.saved():
            _append(writers, values)
        bar = stack.enter_context(
            tqdm(total=len(rows), initial=done.counts["boxes"], unit=" boxes", disable=None)
        )
        stack.enter_context(source.errors())
        runner = Runner(params, checkpoint, model_dir, ranking, strategy)
        for replicas in runner(
            lambda worker: box_crops(
                source,
                boxes,
                context,
                params.task,
                worker,
                applying.batches_of(done.steps, worker),
            )
        ):
            values = joined([_values(found, *one) for one in replicas])
            _append(writers, values)
            valid = np.concatenate([inputs["valid"].numpy() for inputs, _ in replicas])
            done.add(values, {"boxes": len(valid), "empty": int((~valid).sum())})
            bar.update(done.counts["boxes"] - bar.n)
        seen, empty = done.counts["boxes"], done.counts["empty"]
        if seen == empty:
            raise InputError(
                f"{found.path}: none of its boxes is in an image of {source.place}; give the "
                "detections of these images"
            )
    for note in _notes(found, source, left_out=len(rows) - seen, empty=empty):
        notify(note)
    return seen - empty


def _values(found: Detections, inputs: dict[str, tf.Tensor], best: dict[str, Best]) -> Values:
    """The columns of a batch of boxes by level, each box under each of its labels."""
    valid = inputs["valid"].numpy()
    rows = inputs["row"].numpy()[valid]
    values = {}
    for level, (labels, probabilities) in best.items():
        k = labels.shape[1]
        scores = found.scores[rows, np.newaxis] * probabilities.numpy()[valid]
        values[level] = (
            np.repeat(found.image_ids[rows], k),
            labels.numpy()[valid].reshape(-1),
            scores.astype(np.float32).reshape(-1),
            np.repeat(found.boxes[rows].astype(np.float32), k, axis=0),
        )
    return values


def _append(writers: Mapping[str, DetectionsWriter], values: Values) -> None:
    for level, columns in values.items():
        writers[level].append(*columns)


def _model(found: Detections, checkpoint: str) -> str:
    """What the two networks are called together."""
    return f"{found.model or found.path} + {checkpoints.short_name(checkpoint)}"


def _settings(
    params: ClassificationExperiment,
    found: Detections,
    choice: BoxChoice,
    context: float,
    level: Granularity,
) -> Mapping[str, object]:
    """How detections were made, for the metadata of their file."""
    settings = {
        "score": "the detector's times the classifier's probability",
        "detector": {
            "detections": found.path,
            "sha256": found.sha256,
            "granularity": str(found.trained_on),
            "model": found.model,
            "settings": dict(found.settings),
        },
        "classifier": settings_of(params.task),
        "min_box_score": choice.min_score,
        "most_boxes": choice.most,
        "suppression_iou": choice.iou,
        "box_context": context,
        "box_central_fraction": params.task.box.central_fraction,
        "labels_per_box": choice.labels,
    }
    if level != params.task.granularity:
        settings |= {"trained_on": params.task.granularity, "merge": "marginal"}
    return settings


def _notes(found: Detections, source: Source, left_out: int, empty: int) -> list[str]:
    notes = []
    if left_out:
        notes.append(
            f"note: {left_out:,} boxes of {found.path} are left out, as {source.place} has not "
            "their images"
        )
    if empty:
        notes.append(
            f"note: {empty:,} boxes of {found.path} are left out, as they have no area inside "
            "their images"
        )
    return notes
