"""Reads predictions, whatever kind of file they are in."""

from __future__ import annotations

import os
from collections.abc import Iterable

from inatdet.data.annotations import Image
from inatdet.data.formats.parquet_arrays import MAGIC
from inatdet.data.formats.predictions_numpy import WRITE_NPZ, read_numpy_predictions
from inatdet.data.formats.predictions_parquet import is_ours, read_parquet_predictions
from inatdet.data.formats.predictions_table import FORMS, read_table_predictions
from inatdet.data.formats.predictions_writer import PredictionsWriter
from inatdet.data.formats.signatures import check_is_text
from inatdet.data.predictions import Predictions
from inatdet.data.ranking import KEPT
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError, cannot_read
from inatdet.files import open_regular

__all__ = ["PredictionsWriter", "read_predictions"]

_ARCHIVE = b"PK\x03\x04"
_OTHERS = (
    (b"PK\x05\x06", f"is an empty archive; {WRITE_NPZ}"),
    (b"\x93NUMPY", f"is one array, which does not say whose scores these are; {WRITE_NPZ}"),
    (b"\x80", f"is a pickle, which can run any program when it is loaded; {WRITE_NPZ}"),
    (b"\x89HDF", f"is HDF5; {WRITE_NPZ}"),
    (b"[", f"is JSON, as detections are, which are given as --detections; {FORMS}"),
    (b"{", f"is JSON, as annotations are, which are given as --labels; {FORMS}"),
    (b"<", f"is XML or a web page; {FORMS}"),
)


def read_predictions(
    path: str | os.PathLike[str],
    taxonomy: Taxonomy,
    images: Iterable[Image] = (),
    *,
    keep: int = KEPT,
) -> Predictions:
    """Reads and checks predictions of whatever kind.

    Args:
        path: one of
            a Parquet file of `PredictionsWriter`;
            a table, text or Parquet, of one of these kinds: an image and the ids of its best
            categories separated by spaces, as Kaggle's `id,predicted`; one row per guess with
            `image_id`, `category_id` and `probability` or `score`; or a column for each category,
            called by its id or name, beside `image_id`;
            an .npz file with `image_ids` and `logits` or `probabilities` `[images, labels]`, and
            with `category_ids` if the columns are not the labels 1, 2, ... of `taxonomy`.
        taxonomy: the label spaces to express the labels in.
        images: the images of the truth, by whose file names images that are called so are found.
        keep: how many of the best labels of an image are kept at each level where a file has more.
            Our own files are read whole.

    Returns:
        The predictions, in the order of the file. Where it has probabilities of all labels, so that
        they sum to one, their sums at all coarser levels are among them.

    Raises:
        InputError: the file is missing, empty, truncated or of another format; its labels do not
            fit; or an image comes twice, or has no label or probabilities that are none.
    """
    path, images = os.fspath(path), tuple(images)
    start = _start(path)
    if start.startswith(MAGIC):
        if is_ours(path):
            return read_parquet_predictions(path, taxonomy)
        return read_table_predictions(path, taxonomy, images, keep)
    if start.startswith(_ARCHIVE):
        return read_numpy_predictions(path, taxonomy, images, keep)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    for beginning, what in _OTHERS:
        if start.startswith(beginning) or text.startswith(beginning):
            raise InputError(f"{path}: {what}")
    check_is_text(path, start)
    return read_table_predictions(path, taxonomy, images, keep)


def _start(path: str) -> bytes:
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder; give the file of predictions in it")
    try:
        with open_regular(path) as file:
            start = file.read(64)
    except OSError as error:
        raise cannot_read(path, error) from error
    if not start.strip():
        raise InputError(f"{path}: is empty; write the predictions again")
    return start
