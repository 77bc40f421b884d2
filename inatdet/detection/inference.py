"""Runs a trained detector over TFRecords and writes its detections as Parquet."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from inatdet import locks, outputs
from inatdet.data.best_of_classes import BestOfClasses
from inatdet.data.detections import PROPOSALS
from inatdet.data.formats.detections import DetectionsWriter
from inatdet.data.granularity import Granularity
from inatdet.detection.boxes import to_original
from inatdet.detection.config import DetectionExperiment, FasterRCNNTask
from inatdet.detection.detector_config import MarginalBoxes
from inatdet.detection.marginals import marginals
from inatdet.detection.per_class import ClassLimits, lift_limits
from inatdet.detection.postprocess import BatchDetections
from inatdet.detection.task import DetectionTask
from inatdet.errors import InputError
from inatdet.networks import checkpoints
from inatdet.parts import Parts, Values, joined
from inatdet.tfrecords.contents import summary_sha256
from inatdet.tfrecords.damage import reading_errors
from inatdet.tfrecords.journal import count_boxed_images, count_images
from inatdet.tfrecords.unboxed import any_boxed
from inatdet.training import applying, averaging, devices, experiment, feeding


def detect(
    params: DetectionExperiment,
    checkpoint: str,
    model_dir: str,
    input_pattern: str,
    output: str,
    coarser: Sequence[Granularity] = (),
    strategy: tf.distribute.Strategy | None = None,
    command: str = "",
    any_labels: bool = False,
    most_per_class: int = 0,
    most_per_image: int = 0,
    proposals: bool = False,
    notify: Callable[[str], None] = lambda message: None,
) -> int:
    """Detects in every image of some TFRecords.

    Images that have only a label are skipped, unless all images are such.

    Args:
        params: the settings that the model was trained with.
        checkpoint: the path of its weights, without extension.
        model_dir: the folder with its taxonomy.
        input_pattern: a pattern of TFRecord files.
        output: the Parquet file to write; it appears only when complete. What is done until then is
            beside it, in `inatdet.parts`, and a run that was interrupted is gone on with.
        coarser: granularities at which to write detections by summed probabilities as well
            (`marginals.marginals`), each to `applying.marginal_path(output, granularity)`.
        strategy: the devices, instead of those of `params.runtime`.
        command: the command line that is running, which the file records.
        any_labels: whether the TFRecords may have other categories than the model, as those of
            another dataset do.
        most_per_class: the best so many detections of each species over all images are written,
            whatever their scores; of a coarser label, so many for each of its species. 0 means the
            best of each image, as the settings say.
        most_per_image: how many detections an image may have; 0 for what `per_class.lift_limits`
            says.
        proposals: whether the proposals of the first stage are written instead, as generic
            detections with their objectness as scores; `coarser` and `most_per_class` are for
            detections.
        notify: called with a note where no image is annotated with boxes, where an earlier run is
            gone on with, and where classes have fewer detections than they may.

    Returns:
        How many images were detected in.

    Raises:
        InputError: if the checkpoint does not fit the settings, there are no TFRecords, they are
            damaged or do not fit the model, a granularity is not coarser than the model's, or the
            output cannot be written.
        KeyboardInterrupt: when interrupted, with the words for what is left.
    """
    lift_limits(params.task.model.detections, most_per_class, most_per_image)
    devices.set_precision(params.runtime)
    strategy = strategy or devices.strategy_of(params.runtime)
    taxonomy = experiment.label_spaces(params, model_dir)
    granularity = Granularity(params.task.granularity)
    applying.check_coarser(taxonomy, granularity, coarser)
    targets = [Granularity.GENERIC] if proposals else [granularity, *coarser]
    paths = [output, *(applying.marginal_path(output, target) for target in coarser)]
    for path in paths:
        outputs.check_file(path)
    applying.check_records(input_pattern, taxonomy, any_labels)
    groups = [applying.groups(taxonomy, granularity, target) for target in coarser]
    params.task.validation_data.override({"input_path": input_pattern, "is_training": False})
    with reading_errors(input_pattern):
        unboxed = not any_boxed(input_pattern)
    if unboxed:
        notify(
            f"note: {input_pattern}: no image is annotated with boxes, so there is nothing to "
            "evaluate these detections with"
        )
    made_with = applying.made_with(
        params,
        taxonomy,
        checkpoint,
        model_dir,
        strategy,
        records=applying.stamp_of(input_pattern),
        flags={
            "levels": list(map(str, targets)),
            "most_per_class": most_per_class,
            **({PROPOSALS: True} if proposals else {}),
        },
    )
    checkpoint_sha256 = checkpoints.sha256_of(checkpoint)
    records_sha256 = summary_sha256(input_pattern)
    with contextlib.ExitStack() as stack:
        for path in paths:
            stack.enter_context(locks.only_writer_of(path))
        done = stack.enter_context(Parts(paths, made_with, "images", notify))
        writers = [
            stack.enter_context(
                DetectionsWriter(
                    path,
                    target,
                    taxonomy,
                    model=checkpoints.short_name(checkpoint),
                    settings=(
                        _settings_of_proposals(params.task)
                        if proposals
                        else _settings(params.task, target, most_per_class)
                    ),
                    checkpoint_sha256=checkpoint_sha256,
                    command=command,
                    records_sha256=records_sha256,
                )
            )
            for path, target in zip(paths, targets)
        ]
        total = (count_images if unboxed else count_boxed_images)(input_pattern)
        sinks: Sequence[DetectionsWriter | BestOfClasses] = writers
        if most_per_class:
            limits = ClassLimits(params.task.model, taxonomy, targets, most_per_class, total)
            sinks = limits.best
        for values in done.saved():
            _append(sinks, targets, values)
        bar = stack.enter_context(
            tqdm(total=total, initial=done.counts["images"], unit=" images", disable=None)
        )
        stack.enter_context(reading_errors(input_pattern))
        for replicas in _found(
            params,
            checkpoint,
            model_dir,
            None if proposals else groups,
            strategy,
            done.steps,
            unboxed,
        ):
            values = joined([_values(targets, *one) for one in replicas])
            _append(sinks, targets, values)
            if most_per_class:
                values = limits.still_possible(values)
            done.add(values, _counts(params.task, replicas))
            bar.update(done.counts["images"] - bar.n)
        if not done.counts["images"]:
            raise InputError(f"{input_pattern}: holds no image; write TFRecords again")
        if most_per_class:
            bar.close()
            limits.write(writers)
    if most_per_class and (note := limits.shortfall(done.counts["at_limit"])):
        notify(note)
    return done.counts["images"]


_Replica = tuple[dict[str, tf.Tensor], list[BatchDetections]]
"""A replica's batch, and its detections at each level."""


def _found(
    params: DetectionExperiment,
    checkpoint: str,
    model_dir: str,
    groups: Sequence[tuple[np.ndarray, int]] | None,
    strategy: tf.distribute.Strategy,
    done: int,
    unboxed: bool,
) -> Iterator[list[_Replica]]:
    """What each step finds, one after another, behind those that are done.

    Without `groups`, that is proposals.
    """
    with strategy.scope():
        task = DetectionTask(params.task, logging_dir=model_dir)
        model = task.build_model()
        averaging.restore(model, checkpoint)
    batches = feeding.distributed(
        strategy,
        lambda context: task.build_inputs(
            params.task.validation_data, context, unboxed, applying.batches_of(done, context)
        ),
    )

    boxes = MarginalBoxes(params.task.model.detections.marginal_boxes)

    # With the data's own signature, new shapes need no new graph.
    @tf.function(input_signature=[batches.element_spec])
    def step(batch: dict[str, tf.Tensor]) -> list[BatchDetections]:
        def on_replica(one: dict[str, tf.Tensor]) -> list[BatchDetections]:
            if groups is None:
                return [model.proposals_of(one, training=False)]
            fine = model.classify(one, training=False)
            views = [fine, *marginals(fine, groups, boxes)]
            return [model.detections_of(view, one["image_size"]) for view in views]

        return applying.computed(strategy, on_replica, batch)

    for batch in batches:
        parts = (applying.local_parts(strategy, part) for part in (batch, step(batch)))
        yield list(zip(*parts))


def _settings(
    task_config: FasterRCNNTask, target: Granularity, most_per_class: int
) -> dict[str, object]:
    """How detections were made, for the metadata of their file."""
    settings = task_config.model.detections.as_dict()
    boxes = settings.pop("marginal_boxes")
    settings |= {"short_edge": task_config.short_edge, "long_edge": task_config.long_edge}
    if most_per_class:
        settings |= {"most_per_class": most_per_class}
    if target != task_config.granularity:
        settings |= {"trained_on": task_config.granularity, "merge": "marginal"}
        settings |= {"marginal_boxes": boxes}
    return settings


def _settings_of_proposals(task_config: FasterRCNNTask) -> dict[str, object]:
    """How proposals were made, likewise."""
    settings = task_config.model.rpn.as_dict()
    settings |= {"short_edge": task_config.short_edge, "long_edge": task_config.long_edge}
    settings |= {"trained_on": task_config.granularity}
    return settings | {PROPOSALS: task_config.model.rpn.max_proposals}


def _values(
    targets: Sequence[Granularity], batch: dict[str, tf.Tensor], views: Sequence[BatchDetections]
) -> Values:
    """The columns of a batch's detections by level, as the writers take them."""
    values = {}
    for target, found in zip(targets, views):
        boxes = to_original(found.boxes, batch["image_size"], batch["original_size"]).numpy()
        real = found.scores.numpy() > 0
        values[str(target)] = (
            np.repeat(batch["image_id"].numpy(), real.sum(axis=1)),
            found.labels.numpy()[real],
            found.scores.numpy()[real],
            boxes[real],
        )
    return values


def _append(
    sinks: Sequence[DetectionsWriter | BestOfClasses],
    targets: Sequence[Granularity],
    values: Values,
) -> None:
    for sink, target in zip(sinks, targets):
        sink.append(*values[str(target)])


def _counts(task_config: FasterRCNNTask, replicas: Sequence[_Replica]) -> dict[str, int]:
    """How many images a step saw, and how many of them have all the detections that they may."""
    most = task_config.model.detections.max_detections
    return {
        "images": sum(len(batch["image_id"]) for batch, _ in replicas),
        "at_limit": sum(int((views[0].count.numpy() >= most).sum()) for _, views in replicas),
    }
