"""Which shards of a split are finished: a journal while it is incomplete, then a summary.

From the journal, an interrupted run is resumed. Both files have a format version, and those from
before there were versions are still read.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from inatdet.errors import InputError
from inatdet.files import atomic_path, check_version, matching, write_text

_FORMAT = "inatdet tfrecords"
_VERSION = 1
_REMEDY = "remove it and run `inatdet tfrecords` again"


@dataclass(frozen=True)
class Shard:
    """A finished shard.

    Attributes:
        file: its name in the output folder.
        images: the number of its images.
        boxes: the number of their boxes.
        bytes: the size of the file.
        left_out: the number of images that were left out, by problem.
        left_out_ids: the ids of those images.
        turned: the number of images with an EXIF orientation, which readers ignore; 0 in shards
            from before it was counted.
    """

    file: str
    images: int
    boxes: int
    bytes: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    left_out_ids: Sequence[int] = ()
    turned: int = 0


class Journal:
    """The finished shards of one split, in a hidden file while the split is incomplete.

    A shard counts as finished only if it was written with the same settings, that is, everything
    that its content depends on, and if its file still has the same size.

    Args:
        directory: the folder of the shards.
        split: the first part of their names.
        settings: what the content of the shards depends on; anything that JSON can hold.

    Attributes:
        summary_path: the file that is there once the split is complete.
    """

    def __init__(self, directory: str, split: str, settings: Mapping[str, Any]):
        self._directory, self._split = directory, split
        # As JSON returns them, to compare them with what is read.
        self._settings = json.loads(json.dumps(settings))
        self._path = os.path.join(directory, f".{split}.journal")
        self.summary_path = os.path.join(directory, f"{split}.json")

    def finished(self) -> dict[str, Shard]:
        """The shards that need not be written again, by file name.

        Raises:
            InputError: the journal or summary has a newer format version.
        """
        for read in (self._read_journal, self._read_summary):
            settings, shards = read()
            if settings == self._settings:
                return {shard.file: shard for shard in shards if self._is_known(shard)}
        return {}

    def begin(self, kept: Mapping[str, Shard]) -> None:
        """Starts a new journal with the shards in `kept`, and removes all others of the split.

        Shards from an earlier run with other settings would be read together with the new ones.
        """
        os.makedirs(self._directory, exist_ok=True)
        with atomic_path(self._path) as temporary, open(temporary, "w") as file:
            header = {"format": _FORMAT, "version": _VERSION, "settings": self._settings}
            for line in (header, *map(asdict, kept.values())):
                file.write(json.dumps(line) + "\n")
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.summary_path)
        escaped = os.path.join(glob.escape(self._directory), glob.escape(self._split))
        for path in glob.glob(f"{escaped}-*-of-*.tfrecord"):
            if os.path.basename(path) not in kept:
                os.remove(path)

    def add(self, shard: Shard) -> None:
        """Records that a shard is finished."""
        with open(self._path, "a") as file:
            file.write(json.dumps(asdict(shard)) + "\n")

    def end(self, summary: Mapping[str, Any], shards: list[Shard]) -> None:
        """Writes the summary, which marks the split as complete, and removes the journal.

        Args:
            summary: what to put into it besides settings and shards.
            shards: all of the split's.
        """
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            **summary,
            "settings": self._settings,
            "files": [asdict(shard) for shard in shards],
        }
        write_text(self.summary_path, json.dumps(content, indent=1) + "\n")
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._path)

    def _is_known(self, shard: Shard) -> bool:
        """Whether the file is as it was written, and it is known which images it contains."""
        if sum(shard.left_out.values()) != len(shard.left_out_ids):
            return False  # from before the ids of images that were left out were recorded
        try:
            return os.path.getsize(os.path.join(self._directory, shard.file)) == shard.bytes
        except OSError:
            return False

    def _read_journal(self) -> tuple[Any, list[Shard]]:
        try:
            with open(self._path, encoding="utf-8") as file:
                lines = file.read().split("\n")
            # After the last line break there is a line that was not written completely.
            header, *shards = (json.loads(line) for line in lines[:-1])
        except (OSError, ValueError):
            return None, []
        if isinstance(header, dict) and header.get("format") == _FORMAT:
            check_version(self._path, header.get("version"), _VERSION, _REMEDY)
            header = header.get("settings")  # all of the header before there were versions
        try:
            return header, [Shard(**shard) for shard in shards]
        except TypeError:
            return None, []

    def _read_summary(self) -> tuple[Any, list[Shard]]:
        content = _read_summary(self.summary_path)
        try:
            return content["settings"], [Shard(**shard) for shard in content["files"]]
        except (TypeError, KeyError):
            return None, []


def split_of(file_pattern: str) -> str | None:
    """The folder and name of the split whose shards a pattern matches.

    Args:
        file_pattern: a glob pattern.

    Returns:
        The path that the shards' names begin with; None if the pattern matches no shards, not all
        of a split, or those of several splits.
    """
    shards = matching(file_pattern)
    split = re.match(r"(.+)-\d{5}-of-(\d{5})", min(shards, default=""))
    if not split or len(shards) != int(split[2]):
        return None
    return split[1] if all(shard.startswith(f"{split[1]}-") for shard in shards) else None


def summary_of(file_pattern: str) -> dict[str, Any]:
    """What the summary beside a split's shards says, as far as it can be read.

    Args:
        file_pattern: matches all shards of one split.

    Returns:
        The summary; empty if the pattern matches other files, or there is no summary that this
        version can read. Readers of records can do without it.
    """
    split = split_of(file_pattern)
    with contextlib.suppress(InputError):
        return {} if split is None else _read_summary(f"{split}.json")
    return {}


def count_images(file_pattern: str) -> int | None:
    """The number of images in a split's shards, if `summary_of` says it."""
    images = summary_of(file_pattern).get("images")
    return images if type(images) is int and images >= 0 else None


def _read_summary(path: str) -> dict[str, Any]:
    """What a summary says; nothing if there is no summary.

    Raises:
        InputError: it has a newer format version.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    check_version(path, content.get("version"), _VERSION, _REMEDY)
    return content
