"""TFRecord files: records one after another, each with checksums, written and read.

A record is its length (8 bytes), a checksum of the length (4), its data, and a checksum of the
data (4), all little-endian; see tensorflow/core/lib/io/record_writer.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import google_crc32c

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_HEADER = _LENGTH.size + _CHECKSUM.size
LARGEST_RECORD = 1 << 31
"""Bytes; a protocol buffer, and so a `tf.train.Example`, has fewer."""


def masked_crc(*pieces: bytes) -> int:
    """The CRC32C of data, rotated and shifted: the CRC of data that contain CRCs would be weak."""
    crc = 0
    for piece in pieces:
        crc = google_crc32c.extend(crc, piece)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class FrameWriter:
    """Writes records to a file.

    Args:
        file: open for writing, in binary mode.

    Attributes:
        bytes: how many were written.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._checksum = google_crc32c.Checksum()
        self.bytes = 0

    def write(self, *pieces: bytes) -> None:
        """Appends a record, whose bytes may be given in pieces."""
        length = _LENGTH.pack(sum(map(len, pieces)))
        header = length + _CHECKSUM.pack(masked_crc(length))
        for part in (header, *pieces, _CHECKSUM.pack(masked_crc(*pieces))):
            self._file.write(part)
            self._checksum.update(part)
            self.bytes += len(part)

    @property
    def crc32c(self) -> str:
        """Of everything that was written, 8 hexadecimal digits."""
        return str(self._checksum.hexdigest().decode())


def lengths(file: BinaryIO, size: int) -> Iterator[int]:
    """The lengths of a file's records, without reading these.

    Args:
        file: open for reading, in binary mode.
        size: of the file.

    Yields:
        Bytes of a record's data; -1, and then nothing more, where its length is damaged or the file
        ends within it.
    """
    end = 0
    while end < size:
        file.seek(end)
        header = file.read(_HEADER)
        length = _length_in(header)
        end += _HEADER + length + _CHECKSUM.size
        if length < 0 or end > size:
            yield -1
            return
        yield length


def _length_in(header: bytes) -> int:
    """The length of a record, as its head says; -1 if that is damaged."""
    if len(header) < _HEADER:
        return -1
    (length,) = _LENGTH.unpack_from(header)
    (crc,) = _CHECKSUM.unpack_from(header, _LENGTH.size)
    if crc != masked_crc(header[: _LENGTH.size]) or length > LARGEST_RECORD:
        return -1
    return int(length)


class Frame(NamedTuple):
    """A record as it stands in a file.

    Attributes:
        number: from 1.
        offset: where it begins, in bytes.
        data: the record; empty where its length is damaged.
        fault: what is wrong with it; empty if nothing is.
    """

    number: int
    offset: int
    data: bytes
    fault: str


class FrameReader:
    """Reads the records of a file.

    Args:
        file: open for reading, in binary mode.

    Attributes:
        bytes: how many were read so far.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._checksum = google_crc32c.Checksum()
        self.bytes = 0

    def __iter__(self) -> Iterator[Frame]:
        """All records. After one whose length is damaged, none can be found."""
        number = 0
        while header := self._read(_HEADER):
            number += 1
            offset = self.bytes - len(header)
            if len(header) < _HEADER:
                yield Frame(number, offset, b"", "the file ends within it")
                break
            length = _length_in(header)
            if length < 0:
                yield Frame(number, offset, b"", "its length is damaged, or these are no TFRecords")
                break
            data, footer = self._read(length), self._read(_CHECKSUM.size)
            if len(footer) < _CHECKSUM.size:
                yield Frame(number, offset, data, "the file ends within it")
                break
            is_whole = _CHECKSUM.unpack(footer)[0] == masked_crc(data)
            yield Frame(number, offset, data, "" if is_whole else "its checksum does not match")
        while self._read(1 << 20):
            pass

    @property
    def crc32c(self) -> str:
        """Of the whole file, once all records were read; 8 hexadecimal digits."""
        return str(self._checksum.hexdigest().decode())

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._checksum.update(data)
        self.bytes += len(data)
        return data
