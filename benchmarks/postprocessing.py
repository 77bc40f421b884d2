"""Post-processing compared with `tf.image.combined_non_max_suppression`: time and equality.

    python -m benchmarks.postprocessing --rounds=7

300 proposals, 2,854 species, scores with peaks like those of a trained classifier. All boxes lie
inside the image. TensorFlow's function gets them decoded, ours decodes them within the time that is
measured. The two take turns; medians are compared. Ours uses its default number of candidates.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from absl import app, flags

from benchmarks import measuring
from benchmarks.measuring import Target
from inatdet.detection import boxes as box_math
from inatdet.detection import postprocess
from inatdet.detection.detector_config import DetectionsConfig, FasterRCNNConfig
from inatdet.detection.postprocess import BatchDetections, ClassifiedProposals

_ROUNDS = flags.DEFINE_integer("rounds", 7, "How often each is timed.")
_PROPOSALS = flags.DEFINE_integer("proposals", 300, "Proposals of the image.")
_NUM_CLASSES = flags.DEFINE_integer("num_classes", 2854, "Labels without the background.")
_SIZE = (600, 800)


def invented(
    rng: np.random.Generator, proposals: int, num_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores `[n, classes]`, box codes `[n, classes, 4]` and proposals `[n, 4]` of one image."""
    logits = rng.normal(0, 2, (proposals, num_classes + 1))
    logits[np.arange(proposals), rng.integers(0, num_classes + 1, proposals)] += 8
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    center = rng.uniform(200, 400, (proposals, 2))
    half = rng.uniform(20, 90, (proposals, 2))
    boxes = np.concatenate([center - half, center + half], axis=1)
    codes = rng.normal(0, 0.3, (proposals, num_classes, 4))
    return (
        scores[:, 1:].astype(np.float32),
        codes.astype(np.float32),
        boxes.astype(np.float32),
    )


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    config = DetectionsConfig()
    scales = FasterRCNNConfig().box_code_scales
    scores, codes, proposals = (
        tf.constant(array[np.newaxis])
        for array in invented(np.random.default_rng(0), _PROPOSALS.value, _NUM_CLASSES.value)
    )
    size = tf.constant([_SIZE], tf.int32)
    decoded = box_math.decode(codes, proposals[:, :, tf.newaxis], scales)
    decoded = box_math.clip(tf.reshape(decoded, [1, -1, 4]), size)
    decoded = tf.reshape(decoded, [1, *codes.shape[1:]])

    # Passed as arguments, because constants could be folded.
    @tf.function
    def ours(scores, codes, proposals) -> BatchDetections:
        return postprocess.detections_of(
            ClassifiedProposals(
                scores,
                functools.partial(box_math.of_pairs, codes),
                proposals,
                tf.ones(proposals.shape[:2], tf.bool),
            ),
            size,
            config,
            scales,
        )

    @tf.function
    def combined(decoded, scores):
        return tf.image.combined_non_max_suppression(
            decoded,
            scores,
            config.max_per_class,
            config.max_detections,
            config.nms_iou,
            score_threshold=0.0,
            clip_boxes=False,
        )

    mine, theirs = ours(scores, codes, proposals), combined(decoded, scores)
    differing = np.flatnonzero(mine.labels[0].numpy() != theirs.nmsed_classes[0].numpy() + 1)
    furthest = np.abs(mine.boxes - theirs.nmsed_boxes).max()
    ways = {
        "inatdet": lambda: ours(scores, codes, proposals).count.numpy(),
        "combined_non_max_suppression": lambda: combined(decoded, scores).valid_detections.numpy(),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_ROUNDS.value):
        for name, way in ways.items():
            times[name].append(measuring.seconds(way))
    medians = {name: statistics.median(values) for name, values in times.items()}
    measuring.print_table(
        ("way", "one image"), ((name, f"{1000 * m:.1f} ms") for name, m in medians.items())
    )
    print(
        f"Of {int(mine.count[0])} detections, {len(differing)} have a different label; "
        f"boxes differ by at most {furthest:.1e} pixels.\n"
    )
    ratio = medians["combined_non_max_suppression"] / medians["inatdet"]
    measuring.print_targets([Target("post-processing, faster", ratio, 20.0)])


if __name__ == "__main__":
    app.run(main)
