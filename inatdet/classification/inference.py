"""Runs a trained classifier over many images and writes its predictions as Parquet."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import tensorflow as tf
from tqdm import tqdm

from inatdet import locks, outputs
from inatdet.classification import crops
from inatdet.classification.config import ClassificationExperiment, ClassificationTask
from inatdet.classification.ranking import Best, Ranking
from inatdet.classification.restoring import restored
from inatdet.classification.sources import Source
from inatdet.data.formats.predictions import PredictionsWriter
from inatdet.data.granularity import Granularity
from inatdet.data.ranking import KEPT, Ranked
from inatdet.errors import InputError
from inatdet.networks import checkpoints
from inatdet.parts import Parts, Values, joined
from inatdet.tfrecords.streaming import made_ahead
from inatdet.training import applying, devices, experiment, feeding

Pixels = Callable[[tf.distribute.InputContext | None], tf.data.Dataset]
"""Batches for one replica: `image` float32 `[b, side, side, 3]`, 0..255, and what tells which."""

Replica = tuple[dict[str, tf.Tensor], dict[str, Best]]
"""A replica's batch, and its best labels by level."""


def classify(
    params: ClassificationExperiment,
    checkpoint: str,
    model_dir: str,
    source: Source,
    output: str,
    most: int = KEPT,
    strategy: tf.distribute.Strategy | None = None,
    command: str = "",
    any_labels: bool = False,
    notify: Callable[[str], None] = lambda message: None,
) -> int:
    """Names what every image shows as a whole; a classifier of boxes takes an image for one box.

    Besides the model's labels, the file has those of every coarser level of its label spaces, by
    summed probabilities; the generic one, which is certain, is left out.

    Args:
        params: the settings that the model was trained with.
        checkpoint: the path of its weights, without extension.
        model_dir: the folder with its taxonomy.
        source: the images.
        output: the Parquet file to write; it appears only when complete. What is done until then is
            beside it, in `inatdet.parts`, and a run that was interrupted is gone on with.
        most: the best so many labels of an image are written, at each level.
        strategy: the devices, instead of those of `params.runtime`.
        command: the command line that is running, which the file records.
        any_labels: whether the images may have other categories than the model.
        notify: called with a note where the classifier was trained on boxes, and where an earlier
            run is gone on with.

    Returns:
        How many images were classified.

    Raises:
        InputError: if the checkpoint does not fit the settings, images are missing or damaged or do
            not fit the model, or the output cannot be written.
        KeyboardInterrupt: when interrupted, with the words for what is left.
    """
    outputs.check_file(output)
    taxonomy = experiment.label_spaces(params, model_dir)
    source.check(taxonomy, any_labels)
    granularity = Granularity(params.task.granularity)
    coarser = [
        level
        for level in taxonomy.coarser_or_equal(granularity)[1:]
        if level is not Granularity.GENERIC
    ]
    ranking = Ranking(taxonomy, granularity, coarser, most)
    config = params.task
    if config.is_of_boxes():
        notify(
            "note: this classifier was trained on boxes and takes each whole image for one; "
            "--boxes=DETECTIONS names what is in boxes"
        )
    devices.set_precision(params.runtime)
    strategy = strategy or devices.strategy_of(params.runtime)
    made_with = applying.made_with(
        params,
        taxonomy,
        checkpoint,
        model_dir,
        strategy,
        images=source.stamp(),
        flags={"levels": list(map(str, ranking.levels)), "k": most},
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(locks.only_writer_of(output))
        done = stack.enter_context(Parts([output], made_with, "images", notify))
        writer = stack.enter_context(
            PredictionsWriter(
                output,
                granularity,
                taxonomy,
                levels=coarser,
                model=checkpoints.short_name(checkpoint),
                settings=settings_of(config) | {"central_fraction": config.fraction_seen()},
                checkpoint_sha256=checkpoints.sha256_of(checkpoint),
                command=command,
                records_sha256=source.summary_sha256(),
            )
        )
        for values in done.saved():
            _append(writer, values)
        bar = stack.enter_context(
            tqdm(
                total=source.count(),
                initial=done.counts["images"],
                unit=" images",
                disable=None,
            )
        )
        stack.enter_context(source.errors())
        runner = Runner(params, checkpoint, model_dir, ranking, strategy)
        for replicas in runner(
            lambda context: middles(
                source, config, context, applying.batches_of(done.steps, context)
            )
        ):
            values = joined([_values(*one) for one in replicas])
            _append(writer, values)
            done.add(values, {"images": len(values[_IDS][0])})
            bar.update(done.counts["images"] - bar.n)
        if not done.counts["images"]:
            raise InputError(f"{source.place}: holds no image; give one that does")
    return done.counts["images"]


_IDS = "image_ids"  # a name that no level has


def _values(inputs: dict[str, tf.Tensor], found: dict[str, Best]) -> Values:
    """A batch's columns: the ids of the images, and labels and probabilities by level."""
    ranked = {level: (labels.numpy(), best.numpy()) for level, (labels, best) in found.items()}
    return {_IDS: [inputs["image_id"].numpy()], **ranked}


def _append(writer: PredictionsWriter, values: Values) -> None:
    ranked = {Granularity(level): Ranked(*of) for level, of in values.items() if level != _IDS}
    writer.append(values[_IDS][0], ranked)


def middles(
    source: Source,
    config: ClassificationTask,
    context: tf.distribute.InputContext | None = None,
    skip: int = 0,
) -> tf.data.Dataset:
    """Batches of the part of each image that a classifier sees; with `image_id` int64 `[b]`.

    Args:
        source: the images.
        config: the size of the part, and of the batches.
        context: which part of the images is this worker's.
        skip: the first so many batches are left out.
    """
    size = config.validation_data.batch_size

    def middle(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        jpeg = example["encoded"]
        size = tf.image.extract_jpeg_shape(jpeg)[:2]
        window = crops.central_window(size, config.fraction_seen())
        image = crops.decode(jpeg, window, config.image_size, config.shrink_while_decoding)
        return {"image": image, "image_id": example["image_id"]}

    data = source.images(context, skip * size).map(middle, tf.data.AUTOTUNE, deterministic=True)
    return made_ahead(data.batch(size))


class Runner:
    """A trained classifier on every device.

    Args:
        params: the settings that the model was trained with.
        checkpoint: the path of its weights, without extension.
        model_dir: the folder with its taxonomy.
        ranking: of the labels.
        strategy: the devices, whose precision is set.

    Raises:
        InputError: if the checkpoint does not fit the settings.
    """

    def __init__(
        self,
        params: ClassificationExperiment,
        checkpoint: str,
        model_dir: str,
        ranking: Ranking,
        strategy: tf.distribute.Strategy,
    ):
        self._strategy = strategy
        with self._strategy.scope():
            self._model = restored(params, checkpoint, model_dir)
        self._ranking = ranking

    def __call__(self, pixels: Pixels) -> Iterator[list[Replica]]:
        """Yields, for each step, the replicas' batches with the best labels of their images.

        Args:
            pixels: gives the batches for a replica.
        """
        batches = feeding.distributed(self._strategy, pixels)

        # With the data's own signature, the last batch needs no new graph.
        @tf.function(input_signature=[batches.element_spec])
        def step(batch: dict[str, tf.Tensor]) -> dict[str, Best]:
            def on_replica(one: dict[str, tf.Tensor]) -> dict[str, Best]:
                logits = self._model(one["image"], training=False)
                return self._ranking(self._model.probabilities(logits))

            return applying.computed(self._strategy, on_replica, batch)

        for batch in batches:
            parts = (applying.local_parts(self._strategy, part) for part in (batch, step(batch)))
            yield list(zip(*parts))


def settings_of(config: ClassificationTask) -> dict[str, object]:
    """How a classifier looks at images, for the metadata of a file."""
    settings: dict[str, object] = {
        "network": config.model.network,
        "image_size": config.image_size,
    }
    if config.is_of_boxes():
        settings["view"] = config.view
    if config.model.logit_adjustment:
        settings["logit_adjustment"] = config.model.logit_adjustment
    return settings
