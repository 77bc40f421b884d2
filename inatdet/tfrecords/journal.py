"""Which shards of a split are finished: a small file beside each, and in the end one manifest.

While a split is incomplete, every finished shard has a hidden file of its own, so that processes
that write other shards of the same split, on whatever machine, do not disturb one another. When all
are there, they are joined into `<split>.json`, the manifest, which marks the split as complete.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from inatdet.errors import InputError
from inatdet.files import check_version, matching, write_text

_FORMAT = "inatdet tfrecords"
_VERSION = 2  # shards have checksums; those of version 1 are not the same in every run
_SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})")
_REMEDY = "remove it and run `inatdet tfrecords` again"


@dataclass(frozen=True)
class Shard:
    """A finished shard.

    Attributes:
        file: its name in the output folder.
        images: the number of its images.
        boxes: the number of their boxes.
        bytes: the size of the file.
        crc32c: of the file, 8 hexadecimal digits.
        sources: a hash of what the image files were like from outside, their sizes and times.
        left_out: the number of images that were left out, by problem.
        left_out_ids: the ids of those images.
        turned: the number of images with an EXIF orientation, which readers ignore.
    """

    file: str
    images: int
    boxes: int
    bytes: int
    crc32c: str = ""
    sources: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    left_out_ids: Sequence[int] = ()
    turned: int = 0


class Journal:
    """The finished shards of one split.

    A shard counts as finished only if it was written with the same settings, that is, everything
    that its content depends on besides the image files, and if its file still has the same size.

    Args:
        directory: the folder of the shards.
        split: the first part of their names.
        settings: what the content of the shards depends on; anything that JSON can hold.
        names: of all shards of the split.

    Attributes:
        summary_path: the manifest, which is there once the split is complete.
    """

    def __init__(
        self, directory: str, split: str, settings: Mapping[str, Any], names: Sequence[str]
    ):
        self._directory, self._split, self._names = directory, split, tuple(names)
        # As JSON returns them, to compare them with what is read.
        self._settings = json.loads(json.dumps(settings))
        self.summary_path = os.path.join(directory, f"{split}.json")

    def finished(self, names: Iterable[str] | None = None) -> dict[str, Shard]:
        """The shards that need not be written again, by file name.

        Args:
            names: where to look; by default at all.

        Raises:
            InputError: what is known of a shard has a newer format version.
        """
        wanted = self._names if names is None else tuple(names)
        found: dict[str, Shard] = {}
        for name in wanted:
            record = _read(self._path_of(name))
            if record and record.get("settings") == self._settings:
                with contextlib.suppress(TypeError, KeyError):
                    found[name] = Shard(**record["shard"])
        # The manifest second, because it is there before the records about shards go.
        for shard in self._of_manifest():
            found.setdefault(shard.file, shard)
        return {
            name: found[name] for name in wanted if name in found and self._is_whole(found[name])
        }

    def is_of_earlier_version(self) -> bool:
        """Whether an earlier version of this program wrote the split, whose shards do not count."""
        hidden = os.path.join(self._directory, f".{self._split}.journal")
        manifest = _read(self.summary_path)
        return os.path.exists(hidden) or bool(manifest and manifest.get("version") in (None, 1))

    def begin(self, todo: Collection[str], alone: bool) -> None:
        """Makes the split an incomplete one, before shards are written.

        Args:
            todo: the shards to write; what there is of them is removed.
            alone: whether nobody writes other shards of the split. Then shards of earlier runs,
                which readers would take for those of this one, are removed too, which otherwise
                happens in the end.
        """
        os.makedirs(self._directory, exist_ok=True)
        for shard in self._of_manifest():
            if shard.file in self._names and not os.path.exists(self._path_of(shard.file)):
                self.add(shard)
        hidden = os.path.join(self._directory, f".{self._split}.journal")  # of version 1
        _remove(self.summary_path, hidden, *map(self._path_of, todo))
        _remove(*(os.path.join(self._directory, name) for name in todo))
        if alone:
            self._remove_all_but(set(self._names) - set(todo))

    def add(self, shard: Shard) -> None:
        """Records that a shard is finished."""
        record = {
            "format": _FORMAT,
            "version": _VERSION,
            "settings": self._settings,
            "shard": asdict(shard),
        }
        write_text(self._path_of(shard.file), json.dumps(record) + "\n")

    def end(self, summary: Mapping[str, Any], shards: Sequence[Shard]) -> None:
        """Writes the manifest, which marks the split as complete, and removes what it replaces.

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
        # Records about shards go last: whoever finds one gone finds the manifest.
        write_text(self.summary_path, json.dumps(content, indent=1) + "\n")
        self._remove_all_but(set(self._names))
        _remove(*map(self._path_of, self._names))

    def _path_of(self, name: str) -> str:
        return os.path.join(self._directory, f".{name}.finished")

    def _is_whole(self, shard: Shard) -> bool:
        try:
            return os.path.getsize(os.path.join(self._directory, shard.file)) == shard.bytes
        except OSError:
            return False

    def _of_manifest(self) -> list[Shard]:
        """The shards that the manifest lists, if it is of the same settings."""
        content = _read(self.summary_path)
        if not content or content.get("settings") != self._settings:
            return []
        try:
            return [Shard(**shard) for shard in content["files"]]
        except (TypeError, KeyError):
            return []

    def _remove_all_but(self, kept: set[str]) -> None:
        """Removes shards of the split and what is known about them."""
        folder, split = glob.escape(self._directory), glob.escape(self._split)
        for path in glob.glob(f"{folder}/{split}-*-of-*.tfrecord"):
            if os.path.basename(path) not in kept:
                _remove(path)
        for path in glob.glob(f"{folder}/.{split}-*-of-*.tfrecord.finished"):
            if os.path.basename(path)[1:].removesuffix(".finished") not in kept:
                _remove(path)


def _remove(*paths: str) -> None:
    """Removes files, some of which may not be there."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def split_of(file_pattern: str) -> str | None:
    """The folder and name of the split whose shards a pattern matches.

    Args:
        file_pattern: a glob pattern.

    Returns:
        The path that the shards' names begin with; None if the pattern matches no shards, not all
        of a split, or those of several splits.
    """
    shards = matching(file_pattern)
    split = _SHARD.match(min(shards, default=""))
    if not split or len(shards) != int(split[2]):
        return None
    return split[1] if all(shard.startswith(f"{split[1]}-") for shard in shards) else None


def shard_of(path: str) -> str | None:
    """The folder and name of the split that a shard is of, by its name; None of another file."""
    shard = _SHARD.match(path)
    return shard[1] if shard else None


def summary_of(file_pattern: str) -> dict[str, Any]:
    """What the manifest beside a split's shards says, as far as it can be read.

    Args:
        file_pattern: matches all shards of one split.

    Returns:
        The manifest; empty if the pattern matches other files, or there is no manifest that this
        version can read. Readers of records can do without it.
    """
    split = split_of(file_pattern)
    with contextlib.suppress(InputError):
        return {} if split is None else manifest_of(split)
    return {}


def manifest_of(split: str) -> dict[str, Any]:
    """What a manifest says; nothing if there is none.

    Args:
        split: the path that the shards' names begin with.

    Raises:
        InputError: it has a newer format version.
    """
    return _read(f"{split}.json")


def count_images(file_pattern: str) -> int | None:
    """The number of images in a split's shards, if `summary_of` says it."""
    images = summary_of(file_pattern).get("images")
    return images if type(images) is int and images >= 0 else None


def count_boxed_images(file_pattern: str) -> int | None:
    """The number of images in a split's shards whose boxes somebody drew, if it is known."""
    images = summary_of(file_pattern).get("boxed_images")
    return images if type(images) is int and images >= 0 else count_images(file_pattern)


def _read(path: str) -> dict[str, Any]:
    """What a manifest, or the record of a shard, says; nothing if there is none.

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
