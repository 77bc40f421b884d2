"""Reading annotations, detections and predictions of any kind, for Python and the programs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad
from inatdet.data.detections import Detections
from inatdet.data.formats import annotations as annotation_formats
from inatdet.data.formats import detections as detection_formats
from inatdet.data.formats import predictions as prediction_formats
from inatdet.data.formats.names import read_names
from inatdet.data.formats.parquet_arrays import MAGIC
from inatdet.data.formats.ranks import with_ranks
from inatdet.data.formats.text import files_in, is_aside
from inatdet.data.formats.voc import Corners, is_voc_detections
from inatdet.data.formats.yolo import SUFFIX
from inatdet.data.granularity import Granularity
from inatdet.data.image_labels import ImageLabels
from inatdet.data.predictions import Predictions
from inatdet.data.ranking import KEPT
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.files import sha256_of

Path = str | os.PathLike[str]


def read_annotations(
    path: Path,
    *,
    taxonomy: Taxonomy | Path | None = None,
    names: Path | None = None,
    super_categories: Path | None = None,
    images_dir: Path | None = None,
    corners: Corners | str = Corners.INCLUSIVE,
    on_bad: OnBad | str = OnBad.ERROR,
    number_ids: bool = False,
    ranks: Path | None = None,
    genus_from_names: bool = False,
) -> Annotations:
    """Reads and checks annotations, whatever their format.

    Args:
        path: a COCO-style or LVIS JSON file, a folder of Pascal VOC's XML files, or a folder of
            YOLO's labels.
        taxonomy: the label spaces, or the taxonomy.json that holds them, such as the one written
            beside the TFRecords; by default they are derived from the annotations.
        names: the names of the classes, a data.yaml or a text file with one name per line; YOLO's
            labels need it.
        super_categories: a JSON file, `{"category": "super-class", ...}`, for annotations that do
            not name super-classes: VOC, YOLO, LVIS.
        images_dir: the images; YOLO's labels need it, for their sizes, and so does JSON without
            sizes. File names must then lead to files inside of it.
        corners: whether VOC's corners are the first and last pixel, counted from 1 (`inclusive`),
            or edges, counted from 0 (`edges`).
        ranks: a CSV file with one row per category, its `id` or `name` and its names at ranks such
            as `genus` and `family`, for annotations whose categories do not name them; see
            `inatdet.data.formats.ranks.read_ranks`.
        genus_from_names: takes the genus from categories' names that are binomials; `ranks` takes
            precedence.
        on_bad: `error` stops at bad entries; `skip` leaves them out, and the images of bad boxes
            with all their boxes, and counts all of that in `skipped`.
        number_ids: whether ids of images and categories that are text, as in COCO Camera Traps,
            become numbers 1, 2, ...; by default they are bad.

    Returns:
        The annotations, which carry their label spaces, `taxonomy`.

    Raises:
        InputError: a file is missing, damaged or of another format, an option is missing, or an
            entry is bad and `on_bad` is `error`.

    Example:
        >>> truth = inatdet.read_annotations("val.json")
        >>> truth
        Annotations('val.json': 5 images, 5 boxes, 5 categories)
        >>> truth.taxonomy.super_classes
        ('Insecta', 'Aves')
        >>> ranked = inatdet.read_annotations("val.json", ranks="ranks.csv")
        >>> [str(level) for level in ranked.taxonomy.levels]
        ['species', 'family', 'super', 'generic']
        >>> ranked.taxonomy.names("family")
        ('Apidae', 'Corvidae')
    """
    options = annotation_formats.Options(
        _text(names),
        _text(super_categories),
        _text(images_dir),
        Corners(corners),
        OnBad(on_bad),
        number_ids,
    )
    annotations = annotation_formats.read_annotations(path, options)
    annotations = replace(annotations, sha256=sha256_of(path))
    if taxonomy is not None:
        annotations = annotations.with_taxonomy(taxonomy)
    return with_ranks(annotations, ranks, genus_from_names)


def read_detections(
    path: Path,
    truth: Annotations,
    *,
    granularity: Granularity | str | None = None,
    names: Sequence[str] | Path | None = None,
    corners: Corners | str = Corners.INCLUSIVE,
    summed_from: Granularity | str | None = None,
) -> Detections:
    """Reads and checks detections, whatever their format.

    Args:
        path: a Parquet file of `inatdet detect`; a JSON file of COCO or LVIS results, in which
            `category_id` is the dataset's category id for species and the label of
            `truth.taxonomy` for coarser granularities; a folder of YOLO's .txt files with
            confidences; or a folder of the VOC devkit's results.
        truth: the annotations of the same images; labels are expressed in its `taxonomy`.
        granularity: that of the labels. Parquet files know it; for the others it is needed.
        names: the names of a YOLO model's classes 0, 1, ..., or the file that has them, as for
            `read_annotations`; by default class i is label i + 1.
        corners: as for `read_annotations`, in VOC's results.
        summed_from: the granularity of the finer model that made these detections by summing its
            probabilities; by default they are a model's detections of its own labels.

    Returns:
        The detections, in the order of the file, or of the files' names.

    Raises:
        InputError: a file is missing, damaged or of another format, its labels do not fit, a score
            or box is not finite, or the granularity is not known.

    Example:
        >>> inatdet.read_detections("species.json", truth, granularity="species")
        Detections('species.json': 5 species detections)
    """
    level = None if granularity is None else Granularity(granularity)
    if level is not None:
        _check_level(path, truth, level)
    found = detection_formats.read_detections(
        path,
        level,
        truth.taxonomy,
        truth.images + truth.left_out,
        names=read_names(names) if isinstance(names, (str, os.PathLike)) else names,
        corners=Corners(corners),
    )
    return replace(
        found,
        sha256=sha256_of(path),
        summed_from=None if summed_from is None else Granularity(summed_from),
        taxonomy=truth.taxonomy,
        numbered=names is None and _are_numbered(path, found.trained_on),
    )


def read_predictions(
    path: Path,
    truth: ImageLabels,
    *,
    taxonomy: Taxonomy | Path | None = None,
    keep: int = KEPT,
) -> Predictions:
    """Reads and checks the predictions of a classifier, whatever their format.

    Args:
        path: a Parquet file of `inatdet classify`; a table, text or Parquet, with the ids of the
            best categories of each image, as Kaggle's `id,predicted`, with one row per guess
            (`image_id`, `category_id` and `probability` or `score`), or with one column per
            category; or an .npz file with `image_ids` and `logits` or `probabilities`.
        truth: the labels of the same images.
        taxonomy: the label spaces to express the labels in, or the file that holds them; by default
            those of all categories of `truth`.
        keep: how many of the best labels of an image are kept where a file of another program has
            more.

    Returns:
        The predictions, in the order of the file.

    Raises:
        InputError: the file is missing, damaged or of another format, its labels do not fit, or an
            image comes twice, or has no label or probabilities that are none.

    Example:
        >>> labels = inatdet.read_image_labels("train2017.json")
        >>> found = inatdet.read_predictions("kaggle.csv", labels)
        >>> found
        Predictions('kaggle.csv': 3 images, the best 2 of 5 species labels)
        >>> found.missing(labels.image_ids)
        array([], dtype=int64)
    """
    if isinstance(taxonomy, (str, os.PathLike)):
        taxonomy = Taxonomy.load(taxonomy)
    found = prediction_formats.read_predictions(
        path, taxonomy or truth.full_taxonomy, truth.images, keep=keep
    )
    return replace(found, sha256=sha256_of(path))


def _check_level(path: Path, truth: Annotations, level: Granularity) -> None:
    try:
        truth.taxonomy.check(level)
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: is given as {level}, but {error}") from error


def _are_numbered(path: Path, granularity: Granularity) -> bool:
    """Whether the classes of detections without names are bare numbers."""
    if os.path.isdir(path):
        files = files_in(os.fspath(path), SUFFIX)
        return not all(is_voc_detections(f) for f in files if not is_aside(os.path.basename(f)))
    with open(path, "rb") as file:
        is_parquet = file.read(len(MAGIC)) == MAGIC  # which has the names of its labels
    return granularity is not Granularity.SPECIES and not is_parquet


def _text(path: Path | None) -> str | None:
    return None if path is None else os.fspath(path)
