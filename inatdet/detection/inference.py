"""Runs a trained detector over TFRecords and writes its detections as Parquet."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from inatdet import locks, outputs
from inatdet.data.best_of_classes import BestOfClasses
from inatdet.data.formats.detections import DetectionsWriter
from inatdet.data.granularity import Granularity
from inatdet.detection.boxes import to_original
from inatdet.detection.config import DetectionExperiment, FasterRCNNTask
from inatdet.detection.marginals import marginal
from inatdet.detection.per_class import ClassLimits, lift_limits
from inatdet.detection.postprocess import BatchDetections
from inatdet.detection.task import DetectionTask
from inatdet.errors import InputError
from inatdet.networks import checkpoints
from inatdet.tfrecords.damage import reading_errors
from inatdet.tfrecords.journal import count_boxed_images, count_images
from inatdet.tfrecords.unboxed import any_boxed
from inatdet.training import applying, averaging, devices, experiment


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
    notify: Callable[[str], None] = lambda message: None,
) -> int:
    """Detects in every image of some TFRecords.

    Images that have only a label are skipped, unless all images are such.

    Args:
        params: the settings that the model was trained with.
        checkpoint: the path of its weights, without extension.
        model_dir: the folder with its taxonomy.
        input_pattern: a pattern of TFRecord files.
        output: the Parquet file to write; it appears only when complete.
        coarser: granularities at which to write detections by summed probabilities as well
            (`marginals.marginal`), each to `applying.marginal_path(output, granularity)`.
        strategy: the devices, instead of those of `params.runtime`.
        command: the command line that is running, which the file records.
        any_labels: whether the TFRecords may have other categories than the model, as those of
            another dataset do.
        most_per_class: the best so many detections of each species over all images are written,
            whatever their scores; of a coarser label, so many for each of its species. 0 means the
            best of each image, as the settings say.
        most_per_image: how many detections an image may have; 0 for what `per_class.lift_limits`
            says.
        notify: called with a note where no image is annotated with boxes, or classes have fewer
            detections than they may.

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
    targets = [granularity, *coarser]
    paths = [output, *(applying.marginal_path(output, target) for target in coarser)]
    for path in paths:
        outputs.check_file(path)
    applying.check_records(input_pattern, taxonomy, any_labels)
    groups = {target: applying.groups(taxonomy, granularity, target) for target in coarser}
    params.task.validation_data.override({"input_path": input_pattern, "is_training": False})
    with strategy.scope():
        task = DetectionTask(params.task, logging_dir=model_dir)
        model = task.build_model()
        averaging.restore(model, checkpoint)
    with reading_errors(input_pattern):
        unboxed = not any_boxed(input_pattern)
    if unboxed:
        notify(
            f"note: {input_pattern}: no image is annotated with boxes, so there is nothing to "
            "evaluate these detections with"
        )
    batches = strategy.distribute_datasets_from_function(
        lambda context: task.build_inputs(params.task.validation_data, context, unboxed)
    )

    # With the data's own signature, new shapes need no new graph.
    @tf.function(input_signature=[batches.element_spec])
    def step(batch: dict[str, tf.Tensor]) -> list[BatchDetections]:
        def on_replica(one: dict[str, tf.Tensor]) -> list[BatchDetections]:
            fine = model.classify(one, training=False)
            views = [fine, *(marginal(fine, *groups[target]) for target in coarser)]
            return [model.detections_of(view, one["image_size"]) for view in views]

        return strategy.run(on_replica, args=(batch,))

    checkpoint_sha256 = checkpoints.sha256_of(checkpoint)
    most_per_image = params.task.model.detections.max_detections
    images = at_limit = 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(applying.words_for_an_interruption())
        for path in paths:
            stack.enter_context(locks.only_writer_of(path))
        writers = [
            stack.enter_context(
                DetectionsWriter(
                    path,
                    target,
                    taxonomy,
                    model=checkpoints.short_name(checkpoint),
                    settings=_settings(params.task, target, most_per_class),
                    checkpoint_sha256=checkpoint_sha256,
                    command=command,
                )
            )
            for path, target in zip(paths, targets)
        ]
        total = (count_images if unboxed else count_boxed_images)(input_pattern)
        sinks: Sequence[DetectionsWriter | BestOfClasses] = writers
        if most_per_class:
            limits = ClassLimits(params.task.model, taxonomy, targets, most_per_class, total)
            sinks = limits.best
        bar = stack.enter_context(tqdm(total=total, unit=" images", disable=None))
        stack.enter_context(reading_errors(input_pattern))
        for batch in batches:
            parts = (applying.local_parts(strategy, part) for part in (batch, step(batch)))
            for inputs, views in zip(*parts):
                for sink, found in zip(sinks, views):
                    _write(sink, inputs, found)
                images += len(inputs["image_id"])
                at_limit += int((views[0].count.numpy() >= most_per_image).sum())
            bar.update(images - bar.n)
        if not images:
            raise InputError(f"{input_pattern}: holds no image; write TFRecords again")
        if most_per_class:
            bar.close()
            limits.write(writers)
    if most_per_class and (note := limits.shortfall(at_limit)):
        notify(note)
    return images


def _settings(
    task_config: FasterRCNNTask, target: Granularity, most_per_class: int
) -> dict[str, object]:
    """How detections were made, for the metadata of their file."""
    settings = task_config.model.detections.as_dict()
    settings |= {"short_edge": task_config.short_edge, "long_edge": task_config.long_edge}
    if most_per_class:
        settings |= {"most_per_class": most_per_class}
    if target != task_config.granularity:
        settings |= {"trained_on": task_config.granularity, "merge": "marginal"}
    return settings


def _write(
    sink: DetectionsWriter | BestOfClasses, batch: dict[str, tf.Tensor], found: BatchDetections
) -> None:
    image_ids = batch["image_id"].numpy()
    boxes = to_original(found.boxes, batch["image_size"], batch["original_size"]).numpy()
    real = found.scores.numpy() > 0
    sink.append(
        np.repeat(image_ids, real.sum(axis=1)),
        found.labels.numpy()[real],
        found.scores.numpy()[real],
        boxes[real],
    )
