"""The fields of a record that say what its image shows as a whole."""

from __future__ import annotations

from collections.abc import Mapping

from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.tfrecords import keys
from inatdet.tfrecords.wire import Parts, bytes_list, int64_list


class ImageFields:
    """Makes these fields.

    Args:
        taxonomy: the label spaces of whole images.
        granularity: which labels and names other readers see.
    """

    def __init__(self, taxonomy: Taxonomy, granularity: Granularity):
        self._labels = taxonomy.label_of_category(granularity)
        self._names = [b"", *(name.encode() for name in taxonomy.names(granularity))]

    def __call__(self, category_id: int | None, boxed: bool) -> Mapping[str, Parts]:
        """The fields of one image, by name.

        Args:
            category_id: what the image shows; None if that is not known.
            boxed: whether somebody drew its boxes, though it may have none.
        """
        label = 0 if category_id is None else self._labels.get(category_id, 0)
        fields = {
            keys.IMAGE_CATEGORY: int64_list([] if category_id is None else [category_id]),
            keys.IMAGE_LABEL: int64_list([label]),
            keys.IMAGE_TEXT: bytes_list([self._names[label]]),
        }
        return fields if boxed else fields | {keys.UNBOXED: int64_list([1])}
