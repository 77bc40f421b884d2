"""The project's own files of predictions: Parquet with one row per image.

The columns are `image_id`; `labels` and `probabilities`, lists with the best first, at the level
that the model was trained on; and for each coarser level that it summed probabilities for,
`labels_LEVEL` and `probabilities_LEVEL`. `probabilities` are absent where only the order is known.
Label 0 inside a list is a guess that the label spaces do not have. The label spaces are in the
metadata: see `parquet_metadata`.
"""

from __future__ import annotations

import pyarrow as pa

from inatdet.data.granularity import Granularity

IMAGE_ID = "image_id"
LABELS = pa.list_(pa.int32())
PROBABILITIES = pa.list_(pa.float32())


def columns_of(level: Granularity, own: Granularity) -> tuple[str, str]:
    """The names of the columns of a level's labels and probabilities."""
    suffix = "" if level == own else f"_{level}"
    return f"labels{suffix}", f"probabilities{suffix}"
