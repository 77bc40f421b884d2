"""Label maps, by which the Object Detection API names labels."""

from __future__ import annotations

from collections.abc import Iterable


def label_map(names: Iterable[str]) -> str:
    """A label map in protobuf's text format.

    Args:
        names: of the labels 1, 2, ...
    """
    items = (
        f"item {{\n  id: {label}\n  name: '{_escape(name)}'\n}}\n"
        for label, name in enumerate(names, start=1)
    )
    return "".join(items)


def _escape(name: str) -> str:
    """Escapes a string for protobuf's text format, in single quotes."""
    # The text format has octal codes for control characters; UTF-8 needs no escape.
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return "".join(c if c.isprintable() or ord(c) > 127 else f"\\{ord(c):03o}" for c in escaped)
