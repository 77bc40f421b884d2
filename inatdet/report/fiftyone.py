"""Likely errors of the annotations as a file that FiftyOne opens, to look at and to correct.

    import fiftyone as fo
    dataset = fo.Dataset.from_json("report/fiftyone.json", rel_dir="IMAGES")

The file is what FiftyOne's `Dataset.to_json` writes; nothing of FiftyOne is needed to write it. It
has the images in the lists, with all of their true boxes and the best detections. Paths are those
of the annotations; `rel_dir` is the folder that they start from.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from inatdet.data.annotations import Image
from inatdet.evaluation.label_errors import Box, LabelErrors
from inatdet.evaluation.overlaps import best_of_each_image
from inatdet.evaluation.protocol import Prepared
from inatdet.report.provenance import write_json

FIFTYONE_FILE = "fiftyone.json"

MOST_DETECTIONS = 10
"""How many detections of each image are written, besides those in the lists."""

WRONG_LABEL, MISPLACED, MISSING = (
    "likely wrong label",
    "likely misplaced box",
    "likely missing box",
)
"""The tags of boxes in the lists, and of the detections and images that they come from."""

_FIELDS = "fiftyone.core.fields."
_TEXT, _NUMBER, _WHOLE = (f"{_FIELDS}{kind}Field" for kind in ("String", "Float", "Int"))
_BOXES = f"{_FIELDS}EmbeddedDocumentField(fiftyone.core.labels.Detections)"
_SCHEMA = {
    "filepath": _TEXT,
    "tags": f"{_FIELDS}ListField({_TEXT})",
    "metadata": f"{_FIELDS}EmbeddedDocumentField(fiftyone.core.metadata.ImageMetadata)",
    "image_id": _WHOLE,
    "doubt": _NUMBER,
    "ground_truth": _BOXES,
    "ground_truth.detections.annotation_id": _WHOLE,
    "ground_truth.detections.iscrowd": f"{_FIELDS}BooleanField",
    "ground_truth.detections.doubt": _NUMBER,
    "ground_truth.detections.named": _TEXT,
    "ground_truth.detections.shared_level": _TEXT,
    "predictions": _BOXES,
}

_Named = tuple[str, float, Box]
"""A detection: the name of its label, its score and its box."""


def write_fiftyone(path: str | os.PathLike[str], prepared: Prepared, errors: LabelErrors) -> None:
    """Writes the file.

    Args:
        path: the file.
        prepared: the images with their true boxes, and the detections.
        errors: the lists.
    """
    notes = _Notes(errors)
    content = {
        "name": f"inatdet {errors.level} labels",
        "media_type": "image",
        "sample_fields": _SCHEMA,
        "default_classes": prepared.taxonomy.names(errors.level),
        "info": {"annotations": prepared.annotations.path, "level": str(errors.level)},
        "samples": list(_samples(prepared, errors, notes)),
    }
    write_json(path, content)


class _Notes:
    """What the lists say about images, boxes and detections.

    Attributes:
        images: those in the lists, in order.
        tags: of each image, by its id.
        doubt: the highest about each image, by its id.
        boxes: fields of true boxes, by the ids of image and annotation.
        detections: the tags of detections, by the image's id; what they are is the inner key.
    """

    def __init__(self, errors: LabelErrors):
        self.images: dict[int, Image] = {}
        self.tags: dict[int, list[str]] = defaultdict(list)
        self.doubt: dict[int, float] = {}
        self.boxes: dict[tuple[int, int], dict[str, Any]] = defaultdict(dict)
        self.detections: dict[int, dict[_Named, list[str]]] = defaultdict(dict)
        for wrong in errors.labels:
            self._note(wrong.image, WRONG_LABEL, (wrong.named, wrong.named_score, wrong.found))
            fields = {"named": wrong.named, "shared_level": str(wrong.shared)}
            self._doubt(wrong.image, wrong.box_id, WRONG_LABEL, wrong.doubt, fields)
        for place in errors.places:
            self._note(place.image, MISPLACED, (place.annotated, place.score, place.found))
            self._doubt(place.image, place.box_id, MISPLACED, place.doubt, {})
        for missing in errors.missing:
            self._note(missing.image, MISSING, (missing.named, missing.score, missing.found))

    def _note(self, image: Image, tag: str, detection: _Named) -> None:
        self.images.setdefault(image.id, image)
        if tag not in self.tags[image.id]:
            self.tags[image.id].append(tag)
        self.detections[image.id].setdefault(detection, []).append(tag)

    def _doubt(
        self, image: Image, box_id: int, tag: str, doubt: float, fields: dict[str, Any]
    ) -> None:
        self.doubt[image.id] = max(doubt, self.doubt.get(image.id, 0.0))
        noted = self.boxes[image.id, box_id]
        noted["tags"] = [*noted.get("tags", ()), tag]
        noted |= {"doubt": doubt, **fields}


def _samples(prepared: Prepared, errors: LabelErrors, notes: _Notes) -> Iterator[dict[str, Any]]:
    annotations, taxonomy = prepared.kept, prepared.taxonomy
    names = taxonomy.names(errors.level)
    label_of = taxonomy.label_of_category(errors.level)
    category_names = {category.id: category.name for category in annotations.categories}
    boxes: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in np.flatnonzero(np.isin(annotations.image_ids, list(notes.images))).tolist():
        image = notes.images[int(annotations.image_ids[row])]
        category = int(annotations.category_ids[row])
        label = label_of.get(category)
        box_id = int(annotations.box_ids[row])
        boxes[image.id].append(
            _detection(
                image,
                names[label - 1] if label else category_names[category],
                annotations.boxes[row].tolist(),
                annotation_id=box_id,
                iscrowd=bool(annotations.is_crowd[row]),
                **notes.boxes.get((image.id, box_id), {}),
            )
        )
    found = _best(prepared, errors, notes)
    for image in notes.images.values():
        listed = notes.detections[image.id]
        others = [detection for detection in found[image.id] if detection not in listed]
        yield {
            "filepath": image.file_name,
            "tags": notes.tags[image.id],
            "metadata": {"_cls": "ImageMetadata", "width": image.width, "height": image.height},
            "image_id": image.id,
            "doubt": notes.doubt.get(image.id),
            "ground_truth": _detections(boxes[image.id]),
            "predictions": _detections(
                [
                    _detection(image, name, box, confidence=score, tags=listed.get(key, []))
                    for key in (*listed, *others)
                    for name, score, box in (key,)
                ]
            ),
        }


def _best(prepared: Prepared, errors: LabelErrors, notes: _Notes) -> dict[int, list[_Named]]:
    """The best detections of each image in the lists, the best one first."""
    found = prepared.models[errors.level]
    found = found.select(np.isin(found.image_ids, list(notes.images)))
    found = found.select(found.labels[errors.level] > 0)
    found = found.select(best_of_each_image(found.image_ids, found.scores, MOST_DETECTIONS))
    found = found.select(np.argsort(-found.scores, kind="stable"))
    names = prepared.taxonomy.names(errors.level)
    best: dict[int, list[_Named]] = defaultdict(list)
    for image_id, label, score, box in zip(
        found.image_ids.tolist(),
        found.labels[errors.level].tolist(),
        found.scores.tolist(),
        found.boxes.tolist(),
    ):
        best[image_id].append((names[label - 1], score, tuple(box)))
    return best


def _detections(boxes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"_cls": "Detections", "detections": boxes}


def _detection(image: Image, label: str, box: Sequence[float], **fields: Any) -> dict[str, Any]:
    """A box in FiftyOne's terms: left, top, width and height in fractions of the image."""
    x, y, width, height = box
    return {
        "_cls": "Detection",
        "label": label,
        "bounding_box": [
            x / image.width,
            y / image.height,
            width / image.width,
            height / image.height,
        ],
        "tags": [],
        **fields,
    }
