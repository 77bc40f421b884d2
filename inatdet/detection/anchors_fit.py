"""A remark in training when the images leave no room for anchors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

_IMAGES = 16  # so many in a row without a positive anchor are no accident


class AnchorsFit:
    """An Orbit train action that remarks, once, that no anchor has been positive so far.

    Each true box makes its best anchor positive, whatever the overlap. But only anchors inside the
    image count, and in a panorama there may be none. A few such images among others do no harm.

    Args:
        images_per_loop: that training shows between two calls.
        notify: receives the remark.
    """

    def __init__(self, images_per_loop: int, notify: Callable[[str], None]):
        self._images_per_loop = images_per_loop
        self._notify = notify
        self._images = 0
        self._decided = False

    def __call__(self, output: Mapping[str, tf.Tensor]) -> None:
        """Looks at a loop's mean of `sampled/rpn_positives`."""
        if self._decided:
            return
        if float(output["sampled/rpn_positives"]) > 0:
            self._decided = True
            return
        self._images += self._images_per_loop
        if self._images >= _IMAGES:
            self._decided = True
            self._notify(
                f"warning: none of the first {self._images} images has a box and an anchor for it, "
                "so nothing is learned of where animals are; very long or very high images have no "
                "room for anchors: crop them, raise task.long_edge, or lower "
                "task.model.anchors.base"
            )
