"""A few validation images in TensorBoard, with what the model finds in them as it learns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import orbit
import tensorflow as tf
from PIL import Image as PILImage

from inatdet.data.boxes import are_right
from inatdet.data.pictures import draw_detections
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.detection.boxes import to_file_order
from inatdet.detection.faster_rcnn import FasterRCNN
from inatdet.detection.postprocess import Detections
from inatdet.detection.task import DetectionTask


class ValidationPictures:
    """An Orbit evaluation action: detections drawn in green where they are right, in red elsewhere.

    Right is what has the label and the place (IoU .5) of a true box. The images are the first of
    the validation data, each time the same, so that they can be followed over the steps.

    Args:
        model: the detector that is trained.
        task: it has the validation data, the labels and how many images to show.
        strategy: the devices that the model is on.
        summaries: what writes the validation's summaries.
        global_step: the step counter.
    """

    def __init__(
        self,
        model: FasterRCNN,
        task: DetectionTask,
        strategy: tf.distribute.Strategy,
        summaries: orbit.utils.SummaryManager,
        global_step: tf.Variable,
    ):
        settings = task.task_config
        self._summaries = summaries
        self._global_step = global_step
        taxonomy = Taxonomy.load(settings.taxonomy)
        self._names = taxonomy.names(Granularity(settings.granularity))
        data = settings.validation_data.replace(batch_size=1, is_training=False, cache=False)
        images = task.build_inputs(data).take(settings.validation_pictures)
        self._images = images.cache()

        @tf.function(input_signature=[images.element_spec])
        def detect(batch: dict[str, tf.Tensor]) -> Detections:
            return strategy.run(lambda one: model(one, training=False), args=(batch,))

        self._strategy = strategy
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
                drawing = np.asarray(self._draw(batch, found))
                tf.summary.image(
                    f"detections/{position + 1}", drawing[np.newaxis], step=self._global_step
                )

    def _draw(self, batch: dict[str, tf.Tensor], found: Detections) -> PILImage.Image:
        boxes = to_file_order(found.boxes[0, : found.count[0]])
        labels = found.labels[0, : found.count[0]]
        true_boxes, true_labels = (
            to_file_order(batch["boxes"][0].numpy()),
            batch["labels"][0].numpy(),
        )
        picture = PILImage.fromarray(np.rint(batch["image"][0].numpy()).astype(np.uint8))
        return draw_detections(
            picture,
            boxes / ([picture.width, picture.height] * 2),
            [self._names[label - 1] for label in labels.tolist()],
            found.scores[0],
            are_right(boxes, labels, true_boxes, true_labels),
        )
