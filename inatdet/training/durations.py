"""Times as people read them; known without TensorFlow."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """`75` is "1 min 15 s"; hours and days come with one smaller unit."""
    seconds = max(0, round(seconds))
    parts = []
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        parts.append((count, name))
    first = next((i for i, (count, _) in enumerate(parts) if count), len(parts) - 1)
    shown = [part for part in parts[first : first + 2] if part[0]] or parts[-1:]
    return " ".join(f"{count} {name}" for count, name in shown)
