"""Where the time of a training step and of a detection goes, compared with the machine's best.

    python -m benchmarks.profile_step --rounds=7

Each part of the detector runs alone, at 600x800, batch 1, on noise with random weights, as a graph
with free shapes. Parts take turns with one another, with the whole step and detection, and with a
large float32 matrix product; medians are compared. GFLOP are those of the convolutions and dense
layers, 2 for each multiplication and addition, and three times as many if gradients are computed
too (outputs, gradients for inputs, gradients for kernels). Within the whole, parts overlap and find
more data in the caches, so they need not add up to it.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tf_keras
from absl import app, flags, logging

from benchmarks import measuring
from benchmarks.peers import ours
from inatdet.detection import anchors as anchor_grid
from inatdet.detection import crops, losses, proposals, targets
from inatdet.detection.c4 import C4FasterRCNN
from inatdet.detection.detector_config import FasterRCNNConfig
from inatdet.detection.experiments import read_experiment
from inatdet.detection.postprocess import BatchDetections
from inatdet.detection.task import DetectionTask

_ROUNDS = flags.DEFINE_integer("rounds", 7, "How often each part is timed.")
_MATRIX = flags.DEFINE_integer("matrix", 3072, "Side of the matrices of the product.")


@dataclasses.dataclass(frozen=True)
class Part:
    """Something to time.

    Attributes:
        call: does it once and waits for the result.
        gflop: of its matrix products; 0 if they are negligible.
    """

    call: Callable[[], object]
    gflop: float = 0.0


def gflop_of(model: tf_keras.Model, shape: Sequence[int]) -> float:
    """GFLOP of a model's convolutions, on an input of this shape."""
    convs = [layer for layer in model.layers if isinstance(layer, tf_keras.layers.Conv2D)]
    outputs = tf_keras.Model(model.input, [layer.output for layer in convs])
    traced = tf.function(outputs).get_concrete_function(tf.TensorSpec(shape))
    return sum(
        2e-9 * np.prod(layer.kernel.shape[:3]) * np.prod(output.as_list())
        for layer, output in zip(convs, traced.output_shapes)
    )


def forward(function: Callable[..., object], *inputs: tf.Tensor) -> Callable[[], object]:
    """A call that computes a function's outputs."""
    # Sums, because the outputs themselves would be copied.
    traced = tf.function(
        lambda *given: [
            tf.reduce_sum(tf.cast(x, tf.float32)) for x in tf.nest.flatten(function(*given))
        ],
        [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in inputs],
    )
    return lambda: [x.numpy() for x in traced(*inputs)]


def with_gradients(
    function: Callable[..., object], variables: Sequence[tf.Variable], *inputs: tf.Tensor
) -> Callable[[], object]:
    """A call that computes a function's outputs and their gradients for inputs and variables."""

    def computed(*given: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(given)
            total = tf.add_n([tf.reduce_sum(x) for x in tf.nest.flatten(function(*given))])
        return tape.gradient(total, [*given, *variables])

    return forward(computed, *inputs)


def second_stage(
    model: C4FasterRCNN, config: FasterRCNNConfig, features: tf.Tensor, image_size: tf.Tensor
) -> dict[str, Part]:
    """Crops, head stage and dense layers: with gradients for a sample, without for detection."""
    rng = np.random.default_rng(0)
    head, stride = config.head, config.anchors.stride

    def cut(features: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        return crops.crop_and_pool(
            features,
            boxes,
            image_size,
            stride=stride,
            crop_size=head.crop_size,
            pool_size=head.pool_size,
        )

    dense = model.box_head.trainable_variables[-4:]

    def classify(pooled: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Both dense layers and their losses, every fourth proposal being positive."""
        logits = tf.matmul(pooled, dense[0]) + dense[1]
        codes = tf.reshape(tf.matmul(pooled, dense[2]) + dense[3], [-1, model.num_classes, 4])
        positive = (tf.range(tf.shape(pooled)[0]) % 4 == 0)[tf.newaxis]
        weight = tf.ones_like(positive, tf.float32)
        of_class = tf.gather(codes, tf.maximum(labels - 1, 0), batch_dims=1)
        delta = config.losses.smooth_l1_delta
        return losses.classification_loss(
            logits[tf.newaxis], labels[tf.newaxis], weight
        ) + losses.localization_loss(of_class[tf.newaxis], 0.0, positive, weight, delta=delta)

    def scores(pooled: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(tf.matmul(pooled, dense[0]) + dense[1])

    parts = {}
    for count, trains in ((head.sample_size, True), (config.rpn.max_proposals, False)):
        corners = np.sort(rng.uniform(0, 1, (1, count, 2, 2)), axis=2).reshape(1, count, 4)
        boxes = tf.constant(corners * np.tile(image_size, 2), tf.float32)
        crop = cut(features, boxes)
        pooled = tf.reduce_mean(model.head_stage(crop), axis=[1, 2])
        stage_gflop = gflop_of(model.head_stage, crop.shape)
        used = dense[::2] if trains else dense[:1]  # detection uses few of the box codes
        dense_gflop = 2e-9 * count * sum(int(np.prod(v.shape)) for v in used)
        names = [f"{what}, {count}" for what in ("crops", "head stage", "dense layers")]
        if trains:
            labels = tf.constant(rng.integers(0, model.num_classes + 1, count), tf.int32)
            variables = model.head_stage.trainable_variables
            times = [
                Part(with_gradients(lambda f, boxes=boxes: cut(f, boxes), [], features)),
                Part(with_gradients(model.head_stage, variables, crop), 3 * stage_gflop),
                Part(
                    with_gradients(lambda x, y=labels: classify(x, y), dense, pooled),
                    3 * dense_gflop,
                ),
            ]
            names[-1] += ", losses"
        else:
            names[-1] = f"classes, {count}"
            times = [
                Part(forward(cut, features, boxes)),
                Part(forward(model.head_stage, crop), stage_gflop),
                Part(forward(scores, pooled), dense_gflop),
            ]
        kind = "training" if trains else "detection"
        parts.update({f"{kind}: {name}": time for name, time in zip(names, times)})
    return parts


def parts_of(
    detector: ours.Detector,
    config: FasterRCNNConfig,
    optimizer: tf_keras.optimizers.Optimizer,
    batch: dict[str, tf.Tensor],
) -> dict[str, Part]:
    """The parts, by name."""
    model = detector.model
    image_size, truth, labels = batch["image_size"], batch["boxes"], batch["labels"]
    image = batch["image"] / 127.5 - 1.0
    features = model.trunk(image)
    codes, objectness = model.rpn_head(features)
    anchor = config.anchors
    cell = anchor_grid.cell_anchors(anchor.base, anchor.scales, anchor.ratios)
    anchors = anchor_grid.grid_anchors(cell, tf.shape(features)[1:3], anchor.stride)
    inside = anchor_grid.inside_image(anchors, image_size)
    rpn = config.rpn

    def propose(codes: tf.Tensor, objectness: tf.Tensor) -> proposals.Proposals:
        return proposals.select_proposals(
            anchors,
            codes,
            objectness,
            inside,
            image_size,
            config=rpn,
            code_scales=config.box_code_scales,
        )

    def assign(boxes: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        truth = targets.GroundTruth(boxes, labels)
        matches = targets.match(
            anchors[tf.newaxis],
            inside,
            truth,
            positive_iou=rpn.positive_iou,
            negative_iou=rpn.negative_iou,
            force=True,
        )
        chosen = targets.sample(matches, rpn.sample_size, rpn.positive_fraction)
        sampled = tf.gather(anchors, chosen.indices)
        return targets.box_code_targets(sampled, truth, matches, chosen, config.box_code_scales)

    found = model.classify(batch)

    def detect(scores: tf.Tensor) -> BatchDetections:
        return model.detections_of(found._replace(scores=scores), image_size)

    variables = model.trainable_variables
    gradients = [tf.ones_like(v) * 1e-6 for v in variables]

    @tf.function
    def apply() -> None:
        optimizer.apply_gradients(zip(gradients, variables))

    trunk = gflop_of(model.trunk, image.shape)
    cells = float(np.prod(features.shape[1:3]))
    head = (
        2e-9
        * cells
        * sum(
            float(np.prod(v.shape)) for v in model.rpn_head.trainable_variables if len(v.shape) == 4
        )
    )
    trunk_variables = model.trunk.trainable_variables
    rpn_variables = model.rpn_head.trainable_variables
    return {
        "training: trunk": Part(with_gradients(model.trunk, trunk_variables, image), 3 * trunk),
        "training: RPN head": Part(
            with_gradients(model.rpn_head, rpn_variables, features), 3 * head
        ),
        "training: anchors' targets": Part(forward(assign, truth, labels)),
        "both: proposals": Part(forward(propose, codes, objectness)),
        "training: optimizer": Part(apply),
        "detection: trunk": Part(forward(model.trunk, image), trunk),
        "detection: RPN head": Part(forward(model.rpn_head, features), head),
        "detection: post-processing, its box codes": Part(forward(detect, found.scores)),
        **second_stage(model, config, features, image_size),
    }


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    logging.set_verbosity(
        logging.ERROR
    )  # silences the warning that many functions are traced, as intended
    params = read_experiment(flags.FLAGS.config_file, flags.FLAGS.params_override)
    num_classes = flags.FLAGS.num_classes
    detector = ours.build(params, num_classes)
    task = DetectionTask(params.task)
    optimizer = task.create_optimizer(params.trainer.optimizer_config, params.runtime)
    invented = measuring.invented_batch(1, 600, 800, num_classes)
    batch = {name: tf.constant(value) for name, value in invented.items()}
    side = _MATRIX.value
    matrix = tf.random.normal([side, side])
    product = "matrix product"
    parts = {
        product: Part(forward(tf.matmul, matrix, matrix), 2e-9 * side**3),
        **parts_of(detector, params.task.model, optimizer, batch),
        "training: whole step": Part(lambda: detector.train(batch)),
        "detection: whole": Part(lambda: detector.detect(batch)),
    }
    times: dict[str, list[float]] = {name: [] for name in parts}
    for number in range(_ROUNDS.value + 2):
        for name, part in parts.items():
            took = measuring.seconds(part.call)
            if number >= 2:  # the first traces, the second settles memory
                times[name].append(took)
    medians = {name: statistics.median(values) for name, values in times.items()}
    wholes = {
        "training": medians["training: whole step"],
        "detection": medians["detection: whole"],
    }
    best = parts[product].gflop / medians[product]

    def row(name: str) -> tuple[str, ...]:
        part, took = parts[name], medians[name]
        kind = name.partition(":")[0]
        shares = [took / whole for of, whole in wholes.items() if kind in (of, "both")]
        share = " / ".join(f"{100 * share:.1f}%" for share in shares)
        if not part.gflop:
            return name, f"{1000 * took:.1f}", share, "", "", ""
        rate = part.gflop / took
        return (
            name,
            f"{1000 * took:.1f}",
            share,
            f"{part.gflop:.1f}",
            f"{rate:.0f}",
            f"{rate / best:.2f}",
        )

    measuring.print_table(
        ("part", "ms", "of the whole", "GFLOP", "GFLOP/s", "of the matrix product's"),
        [row(name) for name in sorted(parts)],
    )


if __name__ == "__main__":
    app.run(main)
