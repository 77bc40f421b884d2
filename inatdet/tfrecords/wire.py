"""`tf.train.Example` as bytes and back, without TensorFlow.

An example is a map from names to lists of bytes, of 32-bit floats or of 64-bit integers. Protocol
buffers leave the order of a map's entries open; here they are sorted, so that the same example is
always the same bytes. The format: https://protobuf.dev/programming-guides/encoding and
tensorflow/core/example/example.proto.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator, Mapping, Sequence

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5  # how the wire says what follows
_BYTES, _FLOATS, _INTS = 1, 2, 3  # fields of a feature, of which it has one
_FIRST, _SECOND, _THIRD = (bytes([number << 3 | _DELIMITED]) for number in (1, 2, 3))  # their tags
_SMALL = [bytes([number]) for number in range(0x80)]

Parts = bytes | tuple[bytes, bytes]
"""A feature as bytes; in two pieces if the second is large, as a picture, which is not copied."""


def bytes_list(values: Sequence[bytes]) -> bytes:
    """A feature of bytes."""
    content = b"".join([part for value in values for part in (_FIRST, _varint(len(value)), value)])
    return _FIRST + _varint(len(content)) + content


def large_bytes(value: bytes) -> tuple[bytes, bytes]:
    """A feature of bytes with one value, which is large."""
    head = _FIRST + _varint(len(value))
    return _FIRST + _varint(len(head) + len(value)) + head, value


def float_list(values: Sequence[float]) -> bytes:
    """A feature of floats of 32 bits."""
    return _packed(_SECOND, struct.pack(f"<{len(values)}f", *values))


def int64_list(values: Sequence[int]) -> bytes:
    """A feature of integers of 64 bits."""
    return _packed(_THIRD, b"".join([_varint(value) for value in values]))


def encode_example(features: Mapping[str, Parts]) -> list[bytes]:
    """An example, its features sorted by name, as bytes in pieces: what is large is not copied.

    Args:
        features: by name, made by the functions above.
    """
    pieces: list[bytes] = []
    run: list[bytes] = []  # what stands between large values
    size = 0
    for name in sorted(features):
        feature = features[name]
        small, large = (feature, b"") if isinstance(feature, bytes) else feature
        entry = _key(name) + _varint(len(small) + len(large)) + small
        head = _FIRST + _varint(len(entry) + len(large))
        size += len(head) + len(entry) + len(large)
        run += (head, entry)
        if large:
            pieces += (b"".join(run), large)
            run = []
    first, *others = [*pieces, b"".join(run)]
    return [_FIRST + _varint(size) + first, *others]


@functools.lru_cache
def _key(name: str) -> bytes:
    """How the entry of a feature begins, but for the length of the feature."""
    key = name.encode()
    return _FIRST + _varint(len(key)) + key + _SECOND


def _packed(tag: bytes, packed: bytes) -> bytes:
    if not packed:
        return tag + _SMALL[0]
    content = _FIRST + _varint(len(packed)) + packed
    return tag + _varint(len(content)) + content


def decode_example(data: bytes) -> dict[str, list]:
    """The features of an example, by name: lists of bytes, floats or integers.

    Args:
        data: as TensorFlow writes it, or `encode_example`, whose pieces are joined.

    Raises:
        ValueError: it is no example.
    """
    features: dict[str, list] = {}
    try:
        for number, entries in _fields(memoryview(data)):
            for inner, entry in _fields(entries) if number == 1 else ():
                if inner == 1:
                    parts = dict(_fields(entry))
                    features[bytes(parts[1]).decode()] = _values(parts.get(2, memoryview(b"")))
    except (IndexError, KeyError, TypeError, struct.error, UnicodeDecodeError) as error:
        raise ValueError("not a tf.train.Example") from error
    return features


def _values(feature: memoryview) -> list:
    values: list = []
    for kind, items in _fields(feature):
        for _, item in _fields(items):
            if kind == _BYTES:
                values.append(bytes(item))
            elif kind == _FLOATS:
                values += struct.unpack(f"<{len(item) // 4}f", item)
            elif isinstance(item, int):  # integers that are not packed
                values.append(_signed(item))
            else:
                place = 0
                while place < len(item):
                    number, place = _read_varint(item, place)
                    values.append(_signed(number))
    return values


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of a message: their numbers and contents; varints come as integers.

    Raises:
        ValueError: the data are no message, or end too early.
    """
    place = 0
    while place < len(data):
        tag, place = _read_varint(data, place)
        kind = tag & 7
        if kind == _VARINT:
            content, place = _read_varint(data, place)
            yield tag >> 3, content  # type: ignore[misc]
            continue
        if kind == _DELIMITED:
            length, place = _read_varint(data, place)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError("not a protocol buffer")
        if place + length > len(data):
            raise ValueError("a protocol buffer that ends too early")
        yield tag >> 3, data[place : place + length]
        place += length


def _read_varint(data: memoryview, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[place]
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return number, place
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _signed(number: int) -> int:
    number &= 2**64 - 1
    return number - 2**64 if number >= 2**63 else number


def _varint(number: int) -> bytes:
    """A number in base 128, the lowest digits first; negative ones are those of 64 bits."""
    if 0 <= number < 0x80:
        return _SMALL[number]
    if 0 <= number < 0x4000:  # most numbers are lengths
        return bytes((number & 0x7F | 0x80, number >> 7))
    number &= 2**64 - 1
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)
