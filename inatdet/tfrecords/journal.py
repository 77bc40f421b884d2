"""What an interrupted writing of shards has finished, so that the next run goes on from there."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from inatdet.files import atomic_path


@dataclass(frozen=True)
class Shard:
    """A finished shard.

    Attributes:
        file: its name in the output folder.
        images: how many images it has.
        boxes: how many boxes they have together.
        bytes: the file's size.
        left_out: how many images were left out, by problem.
        left_out_ids: which images those were.
    """

    file: str
    images: int
    boxes: int
    bytes: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    left_out_ids: Sequence[int] = ()


class Journal:
    """The finished shards of one split, kept in a hidden file while the split is incomplete.

    A shard is taken over only if it was written with equal settings, where settings are everything
    that its content depends on, and if its file still has the size it had.
    """

    def __init__(self, directory: str, split: str, settings: Mapping[str, Any]):
        self._directory, self._split = directory, split
        # As they look after a turn through JSON, to compare with what is read.
        self._settings = json.loads(json.dumps(settings))
        self._path = os.path.join(directory, f".{split}.journal")
        self.summary_path = os.path.join(directory, f"{split}.json")

    def finished(self) -> dict[str, Shard]:
        """The shards that need not be written again, by file name."""
        for read in (self._read_journal, self._read_summary):
            settings, shards = read()
            if settings == self._settings:
                return {shard.file: shard for shard in shards if self._is_known(shard)}
        return {}

    def begin(self, keep: Mapping[str, Shard]) -> None:
        """Starts the journal anew with the shards in `keep`, and removes all others of the split.

        Shards of an earlier run with other settings would be read together with the new ones.
        """
        os.makedirs(self._directory, exist_ok=True)
        with atomic_path(self._path) as temporary, open(temporary, "w") as file:
            for record in (self._settings, *map(asdict, keep.values())):
                file.write(json.dumps(record) + "\n")
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.summary_path)
        escaped = os.path.join(glob.escape(self._directory), glob.escape(self._split))
        hidden = os.path.join(glob.escape(self._directory), f".{glob.escape(self._split)}")
        for path in glob.glob(f"{escaped}-*-of-*.tfrecord"):
            if os.path.basename(path) not in keep:
                os.remove(path)
        for path in glob.glob(f"{hidden}-*-of-*.tfrecord.*"):
            os.remove(path)  # What a killed run was writing.

    def add(self, shard: Shard) -> None:
        """Notes that a shard is finished."""
        with open(self._path, "a") as file:
            file.write(json.dumps(asdict(shard)) + "\n")

    def end(self, summary: Mapping[str, Any], shards: list[Shard]) -> None:
        """Writes the split's summary, which says that it is complete, and drops the journal."""
        record = {**summary, "settings": self._settings, "files": [asdict(s) for s in shards]}
        with atomic_path(self.summary_path) as temporary, open(temporary, "w") as file:
            json.dump(record, file, indent=1)
            file.write("\n")
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._path)

    def _is_known(self, shard: Shard) -> bool:
        """Whether the file is as it was written, and which images it holds can be told."""
        if sum(shard.left_out.values()) != len(shard.left_out_ids):
            return False  # of a version that did not note which images were left out
        try:
            return os.path.getsize(os.path.join(self._directory, shard.file)) == shard.bytes
        except OSError:
            return False

    def _read_journal(self) -> tuple[Any, list[Shard]]:
        try:
            with open(self._path, encoding="utf-8") as file:
                lines = file.read().split("\n")
            # What follows the last line break is a line that was not written to its end.
            settings, *shards = (json.loads(line) for line in lines[:-1])
            return settings, [Shard(**shard) for shard in shards]
        except (OSError, ValueError, TypeError):
            return None, []

    def _read_summary(self) -> tuple[Any, list[Shard]]:
        try:
            with open(self.summary_path, encoding="utf-8") as file:
                record = json.load(file)
            return record["settings"], [Shard(**shard) for shard in record["files"]]
        except (OSError, ValueError, TypeError, KeyError):
            return None, []


def split_of(file_pattern: str) -> str | None:
    """The folder and name of the split whose shards a pattern matches.

    Returns:
        The path that the shards' names begin with; None if the pattern matches no shards, not all
        of a split, or those of several.
    """
    shards = glob.glob(file_pattern)
    split = re.match(r"(.+)-\d{5}-of-(\d{5})", min(shards, default=""))
    if not split or len(shards) != int(split[2]):
        return None
    return split[1] if all(shard.startswith(f"{split[1]}-") for shard in shards) else None


def count_images(file_pattern: str) -> int | None:
    """How many images a split's shards hold, from the summary beside them.

    Args:
        file_pattern: matches all shards of one split.

    Returns:
        The count; None if the pattern matches other files, or there is no summary.
    """
    split = split_of(file_pattern)
    if split is None or not os.path.exists(f"{split}.json"):
        return None
    with open(f"{split}.json", encoding="utf-8") as summary:
        return json.load(summary).get("images")
