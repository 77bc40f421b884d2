"""What applying a trained model to many images takes, whatever its task."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import tensorflow as tf

from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.networks import checkpoints
from inatdet.tfrecords import contents
from inatdet.tfrecords.reading import find_files
from inatdet.training import label_priors
from inatdet.training.config import Experiment
from inatdet.version import versions


def check_coarser(
    taxonomy: Taxonomy, granularity: Granularity, coarser: Collection[Granularity]
) -> None:
    """Raises `InputError` unless probabilities at a level can be summed at some others.

    Args:
        taxonomy: the model's label spaces.
        granularity: the model's level.
        coarser: the levels that --granularities asks for.
    """
    possible = taxonomy.coarser_or_equal(granularity)[1:]
    for target in coarser:
        if target not in possible:
            raise InputError(
                f"--granularities={target}: must be one of the levels coarser than the model's, "
                f"{granularity}: {', '.join(possible) or 'none'}"
            )


def check_records(file_pattern: str, taxonomy: Taxonomy, any_labels: bool) -> None:
    """Checks that records are there, whole, and of the categories of a model.

    Args:
        file_pattern: the records.
        taxonomy: the model's label spaces.
        any_labels: whether they may have other categories.

    Raises:
        InputError: they are not.
    """
    find_files(file_pattern)
    contents.check_complete(file_pattern)
    if not any_labels:
        contents.check_categories(file_pattern, taxonomy)


def stamp_of(file_pattern: str) -> str:
    """A hash that changes when records do, wherever they are, without reading them.

    It is of the names, sizes and checksums of their files; where no summary has the checksums, of
    when the files were last changed.

    Args:
        file_pattern: the records.
    """
    checksums = contents.checksums_of(file_pattern)
    digest = hashlib.sha256()
    for path in find_files(file_pattern):
        name, found = os.path.basename(path), tf.io.gfile.stat(path)
        checksum = checksums.get(name) or found.mtime_nsec
        digest.update(f"{name}\0{found.length} {checksum}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def marginal_path(output: str, granularity: Granularity) -> str:
    """The file for detections by summed probabilities: x.super.parquet for x.parquet."""
    stem, extension = os.path.splitext(output)
    return f"{stem}.{granularity}{extension}"


def groups(
    taxonomy: Taxonomy, granularity: Granularity, target: Granularity
) -> tuple[np.ndarray, int]:
    """The group of each class, from 0, at a coarser level, and how many groups there are."""
    labels = np.arange(1, taxonomy.num_labels(granularity) + 1)
    return taxonomy.coarsen(labels, granularity, target) - 1, taxonomy.num_labels(target)


def computed(
    strategy: tf.distribute.Strategy,
    compute: Callable[[dict[str, tf.Tensor]], Any],
    batch: dict[str, tf.Tensor],
) -> Any:
    """What is computed of a batch on every replica; nothing of no images, and then without results.

    A replica for which no images are left has an empty batch. Networks cannot be relied on with
    one: oneDNN's convolution of no images has its input's shape, on which the next layer fails.

    Args:
        strategy: the devices.
        compute: from a replica's part of a batch to a structure of tensors, whose first dimension
            is that of the images, and all of whose unknown dimensions may be 0.
        batch: of `feeding.distributed`; the first dimension of each tensor is that of the images.
    """
    if strategy.num_replicas_in_sync == 1:  # it has the last image in its last batch
        return strategy.run(compute, args=(batch,))

    def on_replica(one: dict[str, tf.Tensor]) -> Any:
        # Traced by itself, so that what it returns is known in the other branch.
        traced = tf.function(compute).get_concrete_function(
            tf.nest.map_structure(tf.TensorSpec.from_tensor, one)
        )

        def of_no_images() -> Any:
            return tf.nest.map_structure(
                lambda spec: tf.zeros([0, *(size or 0 for size in spec.shape[1:])], spec.dtype),
                traced.structured_outputs,
            )

        images = tf.shape(tf.nest.flatten(one)[0])[0]
        return tf.cond(images > 0, lambda: traced(one), of_no_images)

    return strategy.run(on_replica, args=(batch,))


def local_parts(strategy: tf.distribute.Strategy, values: object) -> list[Any]:
    """The replicas' parts of a structure, as one structure per replica."""
    parts = [strategy.experimental_local_results(value) for value in tf.nest.flatten(values)]
    return [tf.nest.pack_sequence_as(values, flat) for flat in zip(*parts)]


def made_with(
    params: Experiment,
    taxonomy: Taxonomy,
    checkpoint: str,
    model_dir: str,
    strategy: tf.distribute.Strategy,
    **more: object,
) -> dict[str, object]:
    """All that a model's results depend on, for `inatdet.parts`.

    Args:
        params: the settings.
        taxonomy: the model's label spaces.
        checkpoint: the path of its weights, without extension.
        model_dir: the folder that its other files are in.
        strategy: the devices.
        more: what the images are, and what is asked of the model.

    Raises:
        InputError: there is no such checkpoint.
    """
    task = params.task.as_dict()
    # Where things are does not matter: what they are is below, or in `more`.
    del task["taxonomy"], task["validation_data"]["input_path"]
    return {
        "checkpoint": checkpoints.sha256_of(checkpoint),
        "settings": {"task": task, "runtime": params.runtime.as_dict()},
        "labels": contents.labels_sha256(taxonomy),
        "label shares": label_priors.sha256_beside(model_dir),
        "devices": {
            "replicas": strategy.num_replicas_in_sync,
            "kinds": sorted({device.device_type for device in tf.config.list_logical_devices()}),
        },
        "versions": versions(),
        **more,
    }


def batches_of(steps: int, context: tf.distribute.InputContext | None) -> int:
    """How many of a worker's batches some steps take.

    Args:
        steps: of all replicas.
        context: which part of the images is this worker's.
    """
    if context is None:
        return steps
    return steps * context.num_replicas_in_sync // context.num_input_pipelines
