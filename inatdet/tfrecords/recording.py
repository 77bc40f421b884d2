"""From an image's file and boxes to its record, or to why it has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Union

from inatdet.data.jpeg import BadFileError, Jpeg, check_size
from inatdet.data.jpeg_data import damage_in
from inatdet.tfrecords.conversion import Conversion, LeaveOut
from inatdet.tfrecords.encoding import Encoder
from inatdet.tfrecords.image_fields import ImageFields
from inatdet.tfrecords.plan import Plan
from inatdet.tfrecords.shards import LeftOut, Written
from inatdet.tfrecords.sources import Source
from inatdet.tfrecords.wire import Parts

Recorder = Callable[[int], Union[Written, LeftOut, BadFileError]]
"""What to write of an image, given by its position in the annotations, or why it is not written."""

NOT_WANTED = {
    LeaveOut.TURNED: "image has an EXIF orientation",
    LeaveOut.GRAY: "image is gray",
    LeaveOut.CMYK: "image is CMYK",
    LeaveOut.HOLE: "image file has damaged data",
}
"""What manifests call the pictures that can be used but are left out."""


def recorder(conversion: Conversion, plan: Plan, source: Source) -> Recorder:
    """A function that reads an image and encodes it with its boxes."""
    annotations = plan.annotations
    rows, starts = annotations.rows_by_image()
    taxonomy = plan.taxonomy or plan.image_taxonomy
    assert taxonomy
    encode = Encoder(taxonomy, conversion.granularity)
    fields_of = _image_fields(conversion, plan)

    def record_of(position: int) -> Written | LeftOut | BadFileError:
        image, boxes = annotations.images[position], rows[starts[position] : starts[position + 1]]
        try:
            jpeg = source.open(position)
            if image.width:
                check_size(jpeg, source.place, image)
        except BadFileError as error:
            return error
        if kind := next((kind for kind in conversion.leave_out if _is_of(kind, jpeg)), None):
            return LeftOut(NOT_WANTED[kind], image.id)
        if not image.width:  # nothing but the file says it
            image = replace(image, width=jpeg.width, height=jpeg.height)
        pieces = encode(
            image,
            jpeg.data,
            boxes=annotations.boxes[boxes],
            category_ids=annotations.category_ids[boxes],
            areas=annotations.areas[boxes],
            is_crowd=annotations.is_crowd[boxes],
            more=fields_of(position),
        )
        return Written(pieces, len(boxes), jpeg.is_turned)

    return record_of


def _image_fields(conversion: Conversion, plan: Plan) -> Callable[[int], Mapping[str, Parts]]:
    """A function that makes the fields of a whole image, given by its position."""
    if plan.shown is None or plan.image_taxonomy is None:
        return lambda position: {}
    make = ImageFields(plan.image_taxonomy, conversion.granularity)
    known, boxed = plan.shown.known.tolist(), plan.boxed.tolist()
    category_ids = plan.shown.category_ids.tolist()
    return lambda at: make(category_ids[at] if known[at] else None, boxed[at])


def _is_of(kind: LeaveOut, jpeg: Jpeg) -> bool:
    if kind == LeaveOut.TURNED:
        return jpeg.is_turned
    if kind == LeaveOut.HOLE:
        return bool(damage_in(jpeg.data))
    return jpeg.mode == {LeaveOut.GRAY: "L", LeaveOut.CMYK: "CMYK"}[kind]
