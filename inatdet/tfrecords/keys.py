"""The names of a record's fields, named nowhere else.

Most are those that Model Garden and the Object Detection API read, so that they can use the files
too; they see the labels of one granularity. Under keys of our own are the version of this format
and the category of each box, from which the labels at every level are looked up when the records
are read: levels that a taxonomy gains later need no new records.

Version 1, which had no key for its version, held labels instead of categories; it is not read.
"""

from __future__ import annotations

ENCODED = "image/encoded"
FORMAT = "image/format"
FILE_NAME = "image/filename"
SOURCE_ID = "image/source_id"
SHA256 = "image/key/sha256"
HEIGHT = "image/height"
WIDTH = "image/width"
BOX = {side: f"image/object/bbox/{side}" for side in ("ymin", "xmin", "ymax", "xmax")}
LABEL = "image/object/class/label"
TEXT = "image/object/class/text"
AREA = "image/object/area"
IS_CROWD = "image/object/is_crowd"
CATEGORY = "image/object/category_id"
IMAGE_CATEGORY = "image/category_id"  # of the whole image, where it is known
IMAGE_LABEL = "image/class/label"
IMAGE_TEXT = "image/class/text"
UNBOXED = "image/unboxed"  # 1 where nobody drew boxes, which does not mean that there is no animal
VERSION_KEY = "inatdet/version"
FIRST_VERSION_KEY = "image/object/class/label_species"  # only version 1 has it

VERSION = 2
"""Of the format of records."""
