"""A few validation images in TensorBoard, with what the model detects in them as it learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import orbit
import tensorflow as tf
from PIL import Image as PILImage

from inatdet.data.boxes import are_right
from inatdet.data.pictures import draw_detections
from inatdet.detection.boxes import to_file_order
from inatdet.detection.faster_rcnn import FasterRCNN
from inatdet.detection.postprocess import BatchDetections


class ValidationPictures:
    """An Orbit evaluation action: draws detections, the right ones in green, the others in red.

    A detection is right if a true box has its label and its place (IoU .5). The images are the same
    each time, so that they can be followed over the steps.

    Args:
        model: the detector that is trained.
        images: batches of one image each, of `inputs.make_dataset`.
        names: of the labels 1, 2, ...
        strategy: the devices that the model is on.
        summaries: writes the validation's summaries.
        global_step: the step counter.
    """

    def __init__(
        self,
        model: FasterRCNN,
        images: tf.data.Dataset,
        names: Sequence[str],
        strategy: tf.distribute.Strategy,
        summaries: orbit.utils.SummaryManager,
        global_step: tf.Variable,
    ):
        self._images = images.cache()
        self._names = names
        self._strategy = strategy
        self._summaries = summaries
        self._global_step = global_step

        @tf.function(input_signature=[images.element_spec])
        def detect(batch: dict[str, tf.Tensor]) -> BatchDetections:
            return strategy.run(lambda one: model(one, training=False), args=(batch,))

        self._detect = detect

    def __call__(self, output: Mapping[str, tf.Tensor]) -> None:
        """Writes the pictures of the model as it is now."""
        del output
        with self._summaries.summary_writer().as_default():
            for position, batch in enumerate(self._images):
                found = tf.nest.map_structure(
                    lambda value: self._strategy.experimental_local_results(value)[0].numpy(),
                    self._detect(batch),
                )
                picture = np.asarray(self._draw(batch, found))
                tf.summary.image(
                    f"detections/{position + 1}", picture[np.newaxis], step=self._global_step
                )

    def _draw(self, batch: dict[str, tf.Tensor], found: BatchDetections) -> PILImage.Image:
        boxes = to_file_order(found.boxes[0, : found.count[0]]).numpy()
        labels = found.labels[0, : found.count[0]]
        true_boxes = to_file_order(batch["boxes"][0]).numpy()
        true_labels = batch["labels"][0].numpy()
        picture = PILImage.fromarray(np.rint(batch["image"][0].numpy()).astype(np.uint8))
        return draw_detections(
            picture,
            boxes / ([picture.width, picture.height] * 2),
            [self._names[label - 1] for label in labels.tolist()],
            found.scores[0],
            are_right(boxes, labels, true_boxes, true_labels),
        )
