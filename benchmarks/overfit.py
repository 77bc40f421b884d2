"""Does the detector learn? Trains on sixteen images until it has memorized them.

    python -m benchmarks.overfit

Takes 16 images with one box each of the mini dataset (generated images), of as many species as
possible, and trains the detector of `pipelines/mini_species.yaml` on them, changed only by
`OVERRIDES`; then it continues with batch norm frozen (`FROZEN`), as in the paper. Detects in the
same images every --interval steps. Writes the curve as CSV and PNG and prints its end; the exit
code is 1 if AP50 at species granularity ends below --target. This shows that gradients reach the
weights, and nothing about unseen images.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf
import tf_keras
from absl import app, flags

from inatdet.data.annotations import Annotations
from inatdet.data.detections import Detections
from inatdet.data.formats.coco import read_coco_annotations
from inatdet.data.granularity import Granularity
from inatdet.data.labels import Labels
from inatdet.data.taxonomy import Taxonomy
from inatdet.datasets.mini import dataset
from inatdet.detection.boxes import to_original
from inatdet.detection.config import DetectionExperiment
from inatdet.detection.experiments import read_experiment
from inatdet.detection.faster_rcnn import FasterRCNN
from inatdet.detection.postprocess import BatchDetections
from inatdet.detection.task import DetectionTask
from inatdet.evaluation.average_precision import METRICS, GroundTruth, evaluate, ground_truth_at
from inatdet.files import atomic_path
from inatdet.tfrecords.writing import Conversion, convert
from inatdet.training.accumulation import Batch

_STEPS = flags.DEFINE_integer("steps", 700, "Steps of 8 images, with batch norm trained.")
_FROZEN_STEPS = flags.DEFINE_integer("frozen_steps", 300, "Steps after them, with it frozen.")
_INTERVAL = flags.DEFINE_integer("interval", 100, "Steps between detections.")
_IMAGES = flags.DEFINE_integer("images", 16, "How many images.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the choice of images, the weights and the order.")
_TARGET = flags.DEFINE_float("target", 95.0, "AP50 to reach, in percent.")
_OVERRIDE = flags.DEFINE_string("params_override", "", "More settings: a.b=c,d.e=f.")
_CSV = flags.DEFINE_string("csv", "benchmarks/overfit.csv", "Where the curve goes.")
_PNG = flags.DEFINE_string("png", "docs/images/overfit.png", "Where its picture goes.")

PIPELINE = "pipelines/mini_species.yaml"
OVERRIDES = (
    "trainer.optimizer_config.learning_rate.cosine.decay_steps={steps},"
    "task.model.head.add_ground_truth=true"
)
# A batch has images of one shape, here as few as two different images. While batch norm is trained,
# these are normalized by statistics of their own, but in detection by those of all images, which do
# not fit them. Frozen statistics are the same in both. The weights are no longer random, hence a
# third of the learning rate and a short warm-up.
FROZEN = (
    ",task.model.backbone.batch_norm=frozen"
    ",trainer.optimizer_config.learning_rate.cosine.initial_learning_rate=0.001"
    ",trainer.optimizer_config.warmup.linear.warmup_steps=20"
)


@dataclasses.dataclass(frozen=True)
class Point:
    """One row of the CSV.

    Attributes:
        step: steps made.
        seconds: since the first step began, without the detections.
        loss: mean of the sum of the four losses over the steps since the last row.
        ap: AP in the training images, percent.
        ap50: AP50, percent.
    """

    step: int
    seconds: float
    loss: float
    ap: float
    ap50: float


def few_images(folder: str, count: int, seed: int) -> tuple[Annotations, Taxonomy, str]:
    """Some images with one box, of different species as far as possible.

    Args:
        folder: where the mini dataset and the TFRecords go.
        count: how many.
        seed: of the choice.

    Returns:
        The images with their boxes, the label spaces of just these, and the pattern of TFRecords.
    """
    source = os.path.join(folder, "mini")
    dataset.make(source)
    single = read_coco_annotations(os.path.join(source, "train_2017_bboxes.json")).single_instance()
    order = np.random.default_rng(seed).permutation(len(single.category_ids))
    _, first = np.unique(single.category_ids[order], return_index=True)
    rest = np.setdiff1d(np.arange(len(order)), first)
    rows = order[np.concatenate([np.sort(first), rest])[:count]]
    kept = set(single.image_ids[rows].tolist())
    with open(os.path.join(source, "train_2017_bboxes.json"), encoding="utf-8") as file:
        content = json.load(file)
    content["images"] = [image for image in content["images"] if image["id"] in kept]
    content["annotations"] = [box for box in content["annotations"] if box["image_id"] in kept]
    path = os.path.join(folder, "few.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)
    records = os.path.join(folder, "records")
    convert(Conversion(path, source, records, "few", num_shards=1))
    taxonomy = Taxonomy.load(os.path.join(records, "taxonomy.json"))
    return read_coco_annotations(path), taxonomy, os.path.join(records, "few-*")


def settings(records: str, steps: int, more: str = "") -> DetectionExperiment:
    """The pipeline's settings, with these records for training and detection.

    Args:
        records: a pattern of TFRecords.
        steps: of training.
        more: settings besides `OVERRIDES`, with a comma before each.
    """
    changed = OVERRIDES.format(steps=steps) + more
    changed += f",{_OVERRIDE.value}" if _OVERRIDE.value else ""
    params = read_experiment([PIPELINE], changed)
    params.task.taxonomy = os.path.join(os.path.dirname(records), "taxonomy.json")
    params.task.seed = _SEED.value
    params.trainer.train_steps = steps
    for data in (params.task.train_data, params.task.validation_data):
        data.input_path = records
    return params


def curve(
    phases: Sequence[DetectionExperiment], annotations: Annotations, taxonomy: Taxonomy
) -> Iterator[Point]:
    """Trains with each of the settings in turn.

    Args:
        phases: settings that differ in nothing that changes the model's weights in number or shape.
        annotations: the images.
        taxonomy: the label spaces.

    Yields:
        A point every `--interval` steps, and at the end of each phase.
    """
    tf_keras.utils.set_random_seed(_SEED.value)
    truth = ground_truth_at(annotations, taxonomy, Granularity.SPECIES)
    step, seconds, weights = 0, 0.0, None
    for params in phases:
        task = DetectionTask(params.task)
        model = task.build_model()
        if weights:
            model.set_weights(weights)
        optimizer = task.create_optimizer(params.trainer.optimizer_config)
        batches = task.build_inputs(params.task.train_data)
        images = list(task.build_inputs(params.task.validation_data))
        train_step, detect = functions(task, model, optimizer, batches.element_spec)
        losses, start = [], time.monotonic()
        last = step + params.trainer.train_steps
        for batch in batches.take(params.trainer.train_steps):
            step += 1
            losses.append(float(train_step(batch)))
            if len(losses) == _INTERVAL.value or step == last:
                seconds += time.monotonic() - start
                ap, ap50 = measures(detect, images, truth)
                yield Point(step, seconds, float(np.mean(losses)), ap, ap50)
                losses, start = [], time.monotonic()
        weights = model.get_weights()


def functions(
    task: DetectionTask,
    model: FasterRCNN,
    optimizer: tf_keras.optimizers.Optimizer,
    spec: dict[str, tf.TensorSpec],
) -> tuple[tf.types.experimental.PolymorphicFunction, tf.types.experimental.PolymorphicFunction]:
    """A training step, which returns the loss, and detection; both take a batch."""

    @tf.function(input_signature=[spec])
    def train_step(batch):
        return task.train_step(batch, model, optimizer)[task.loss]

    @tf.function(input_signature=[spec])
    def detect(batch):
        return model(batch, training=False)

    return train_step, detect


def measures(
    detect: Callable[[Batch], BatchDetections], images: Sequence[Batch], truth: GroundTruth
) -> tuple[float, float]:
    """AP and AP50 of the detections in batches of images, percent."""
    parts = []
    for batch in images:
        found = detect(batch)
        boxes = to_original(found.boxes, batch["image_size"], batch["original_size"]).numpy()
        real = found.scores.numpy() > 0
        ids = np.repeat(batch["image_id"].numpy(), real.sum(axis=1))
        parts.append((ids, found.labels.numpy()[real], found.scores.numpy()[real], boxes[real]))
    ids, labels, scores, boxes = (np.concatenate(column) for column in zip(*parts))
    every = np.arange(1, truth.num_labels + 1)
    found = Detections(
        "training images", Granularity.SPECIES, ids,
        Labels(labels - 1, {Granularity.SPECIES: every}),
        scores.astype(float), boxes.astype(float),
    )  # fmt: skip
    means = evaluate(truth, found, Granularity.SPECIES).mean() * 100
    return float(means[METRICS.index("AP")]), float(means[METRICS.index("AP50")])


def save_csv(points: Sequence[Point], path: str) -> None:
    """Writes the curve, one row per point."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in dataclasses.fields(Point))
        for point in points:
            writer.writerow(f"{value:.6g}" for value in dataclasses.astuple(point))


def save_png(points: Sequence[Point], path: str, title: str) -> None:
    """Draws loss and precision over the steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    steps = [point.step for point in points]
    axes.plot(steps, [point.ap50 for point in points], color="#0072B2", label="AP50")
    axes.plot(steps, [point.ap for point in points], color="#009E73", label="AP")
    axes.set(xlabel="Step", ylabel="Percent, in the training images", ylim=(0, 102))
    axes.grid(color="0.9")
    other = axes.twinx()
    losses = [point.loss for point in points]
    other.plot(steps, losses, color="#D55E00", linestyle="--", label="Loss")
    other.set(ylabel="Loss", ylim=(0, max(losses) * 1.05))
    axes.legend(handles=[*axes.lines, *other.lines], frameon=False, loc="center right")
    axes.set_title(title, fontsize=9)
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)


def main(argv: Sequence[str]) -> int:
    """Trains, measures, writes."""
    del argv
    points = []
    with tempfile.TemporaryDirectory() as folder:
        annotations, taxonomy, records = few_images(folder, _IMAGES.value, _SEED.value)
        phases = [settings(records, _STEPS.value), settings(records, _FROZEN_STEPS.value, FROZEN)]
        for point in curve(phases, annotations, taxonomy):
            points.append(point)
            print(point, file=sys.stderr, flush=True)
    species = taxonomy.num_labels(Granularity.SPECIES)
    save_csv(points, _CSV.value)
    save_png(
        points,
        _PNG.value,
        f"{_IMAGES.value} generated images of {species} species, seen repeatedly",
    )
    last = points[-1]
    print("| images | species | steps | seconds | loss | AP | AP50 |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {_IMAGES.value} | {species} | {last.step} | {last.seconds:.0f} | {last.loss:.3f} "
        f"| {last.ap:.1f} | {last.ap50:.1f} |"
    )
    return 0 if last.ap50 >= _TARGET.value else 1


if __name__ == "__main__":
    app.run(main)
