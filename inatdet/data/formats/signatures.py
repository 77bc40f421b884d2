"""What a file that should be text is, told by its first bytes."""

from __future__ import annotations

import os

from inatdet.errors import InputError, cannot_read
from inatdet.files import open_regular

_BEGINNING = 4096  # bytes of a JSON file in which its first bracket is sought

_SIGNATURES = (
    (b"\x1f\x8b", "is compressed by gzip: decompress it, as with gunzip"),
    (b"PK\x03\x04", "is a ZIP archive: unpack it"),
    (b"BZh", "is compressed by bzip2: decompress it, as with bunzip2"),
    (b"\xfd7zXZ", "is compressed by xz: decompress it, as with unxz"),
    (b"\x28\xb5\x2f\xfd", "is compressed by Zstandard: decompress it, as with unzstd"),
    (b"PAR1", "is a Parquet file, as detections are: check which file belongs to which flag"),
    (b"\x89HDF", "is an HDF5 file: give another file"),
    (b"\x80\x04", "is a Python pickle, which may run any program when read: save it as JSON"),
    (b"\x80\x05", "is a Python pickle, which may run any program when read: save it as JSON"),
    (b"\xff\xd8\xff", "is a JPEG image: give another file"),
    (b"\x89PNG", "is a PNG image: give another file"),
    (b"%PDF", "is a PDF document: give another file"),
    (b"SQLite", "is an SQLite database: export it"),
    (b"\xff\xfe", "is text in UTF-16: save it as UTF-8"),
    (b"\xfe\xff", "is text in UTF-16: save it as UTF-8"),
)


def check_is_text(path: str, start: bytes) -> None:
    """Refuses what is certainly no text in UTF-8, saying what it is.

    Args:
        path: the file, for the message.
        start: its first bytes, eight or more.

    Raises:
        InputError: it is a known kind of other file, or text in another encoding.
    """
    for signature, fault in _SIGNATURES:
        if start.startswith(signature):
            raise InputError(f"{path}: {fault}")
    if b"\0" in start[:4]:
        raise InputError(
            f"{path}: is no text, or text in UTF-16 or UTF-32: save it as UTF-8 if it is text"
        )


def start_of_text(path: str) -> bytes:
    """The first bytes of a file, in which the first bracket of JSON is found.

    Raises:
        InputError: the file cannot be read, or is certainly no text; see `check_is_text`.
    """
    try:
        with open_regular(path) as file:
            start = file.read(_BEGINNING)
    except OSError as error:
        raise cannot_read(path, error) from error
    check_is_text(path, start)
    return start


def check_is_annotations(path: str | os.PathLike[str]) -> None:
    """Refuses what is certainly no JSON object; see `check_is_text`.

    Raises:
        InputError: the file cannot be read, or is of another kind, such as a list of detections.
    """
    path = os.fspath(path)
    start = start_of_text(path)
    if start.lstrip().startswith(b"["):
        raise InputError(
            f"{path}: is not one JSON object but a list, as detections are; check which file "
            "belongs to which flag, or export the annotations as COCO"
        )
