"""Names from files of their own: of classes, of their super-classes, and of images."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from inatdet.data.annotations import Image
from inatdet.data.entries import folded, name_fault, short
from inatdet.data.formats.signatures import check_is_text
from inatdet.data.similar_names import similar_name
from inatdet.errors import InputError, cannot_read
from inatdet.files import open_regular

# Leaves everything a string: a class may be called `no` or `1`. In C, it is ten times as fast.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_DEEPEST = 50
_LONGEST = 4 << 20  # bytes; a hundred thousand names take half of it


def read_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Reads a list of class names.

    Args:
        path: a YAML file whose `names` are a list or numbered from 0 (YOLO's data.yaml), or a text
            file with one name per line (classes.txt).

    Returns:
        The names of class 0, class 1 and so on.

    Raises:
        InputError: the file is neither, or has a name twice.
    """
    path = os.fspath(path)
    text = read_text(path)
    if path.lower().endswith((".yaml", ".yml")):
        names: list[object] = _of_yaml(path, text)
    else:
        names = [line.strip() for line in text.rstrip().split("\n") if text.strip()]
    seen: dict[str, None] = {}
    for number, given in enumerate(names):
        if fault := name_fault(given):
            raise InputError(f"{path}: class {number} has {fault} name; each needs its own")
        name = folded(str(given))
        if name in seen:
            raise InputError(f"{path}: names {short(name)} twice; each class needs its own name")
        seen[name] = None
    if not seen:
        raise InputError(f"{path}: has no names; write one per line, class 0 first")
    return tuple(seen)


def read_super_categories(path: str | os.PathLike[str]) -> dict[str, str]:
    """Reads which super-class each category belongs to.

    Args:
        path: a JSON object, `{"Corvus corax": "Aves", ...}`.

    Raises:
        InputError: the file is not such JSON.
    """
    path = os.fspath(path)
    try:
        pairs = json.loads(read_text(path), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is not valid JSON ({error}); fix the file") from error
    if not isinstance(pairs, _Pairs):
        raise InputError(f'{path}: must be one JSON object, {{"category": "super-class", ...}}')
    content: dict[str, str] = {}
    for name, super_category in pairs:
        if name_fault(name) or name_fault(super_category):
            raise InputError(
                f"{path}: the super-class of {short(name)} is not a name; write both in quotes, "
                "without control characters"
            )
        earlier = content.setdefault(folded(name), folded(super_category))
        if earlier != folded(super_category):
            raise InputError(
                f"{path}: {short(name)} has two super-classes, {short(earlier)} and "
                f"{short(super_category)}; give each category one"
            )
    return content


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with repeated names kept, for all of them to be compared."""


class ImagesByName:
    """Finds images by their file names without suffix, as files of detections name them.

    `train/Aves/1.jpg` is found as `1`, and also as `Aves_1` and `train_Aves_1`, as newer programs
    call it where several folders have a `1.jpg`.

    Args:
        images: the dataset's images.
    """

    def __init__(self, images: Iterable[Image]):
        self._found: dict[str, Image | None] = {}
        self._whole: dict[str, Image | None] = {}  # by file name, with folders and suffix
        for image in images:
            parts = os.path.splitext(image.file_name)[0].split("/")
            for start in range(len(parts)):
                name = "_".join(parts[start:])
                self._found[name] = None if name in self._found else image
            self._whole[image.file_name] = None if image.file_name in self._whole else image

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def find(self, name: str, where: str) -> Image:
        """The image with a name.

        Args:
            name: as the file of detections has it, with or without folders and suffix.
            where: the file, for the message.

        Raises:
            InputError: there is no such image, or several.
        """
        image = self._found.get(name) or self._whole.get(name)
        if image is None:
            stem, suffix = os.path.splitext(name)
            image = self._found.get((stem if suffix[1:].isalpha() else name).replace("/", "_"))
        if image is None:
            raise InputError(f"{where}: {self._why_not(name)}")
        return image

    def _why_not(self, name: str) -> str:
        if name in self._found:
            files = [i for i in self._whole if f"_{_joined(i)}".endswith(f"_{name}")]
            return (
                f"the annotations have several images named {name[:80]!r}, "
                f"{', '.join(sorted(files)[:3])}; put the folder before the name, as in "
                f"{_joined(min(files))!r}"
            )
        hint = ""
        if similar := similar_name(name.replace("/", "_"), self._found):
            hint = f" but {similar[:80]!r}"
        return (
            f"the annotations have no image named {name[:80]!r}{hint}; check that both belong to "
            "the same split"
        )


def _joined(file_name: str) -> str:
    """A file name without suffix, its folders joined with underscores."""
    return os.path.splitext(file_name)[0].replace("/", "_")


def with_super_category(
    name: str, super_categories: Mapping[str, str] | None, path: str
) -> dict[str, str]:
    """The `name` and `supercategory` of a category.

    Args:
        name: of the category.
        super_categories: the super-class by category name, if given.
        path: the annotations, for the message.

    Raises:
        InputError: its super-class is not given.
    """
    name = folded(name)
    if not super_categories or name not in super_categories:
        raise InputError(
            f"{path}: the super-class of {name[:80]!r} is unknown; give "
            '--super_categories=FILE with {"category": "super-class", ...}'
        )
    return {"name": name, "supercategory": super_categories[name]}


def add_super_category(entry: Any, super_categories: Mapping[str, str]) -> None:
    """Writes the super-class of a category into its entry of a COCO-style file, where it is given.

    Args:
        entry: as the file has it, of any form.
        super_categories: the super-class by category name.
    """
    name = entry.get("name") if isinstance(entry, dict) else None
    if isinstance(name, str) and folded(name) in super_categories:
        entry["supercategory"] = super_categories[folded(name)]


def _of_yaml(path: str, text: str) -> list[object]:
    try:
        _check_depth(path, text)
        content = yaml.load(text, Loader=_LOADER)  # noqa: S506
    except InputError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: is not valid YAML ({reason}); fix the file") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        numbered = [names.get(str(number)) for number in range(len(names))]
        if None in numbered:
            raise InputError(
                f"{path}: its names do not go from 0 to {len(names) - 1}; number them without gaps"
            )
        return numbered
    if not isinstance(names, list):
        raise InputError(f"{path}: has no list `names`, which YOLO's data.yaml has; add it")
    return names


def _check_depth(path: str, text: str) -> None:
    """Refuses YAML nested so deeply that building it would overflow the stack, which kills."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise InputError(f"{path}: is YAML nested too deeply to be a list of names; fix it")


def read_text(path: str) -> str:
    """The text of a small file in UTF-8.

    Raises:
        InputError: it cannot be read, is too long, or is in another encoding.
    """
    try:
        with open_regular(path) as file:
            data = file.read(_LONGEST + 1)
    except OSError as error:
        raise cannot_read(path, error) from error
    if len(data) > _LONGEST:
        raise InputError(f"{path}: is longer than {_LONGEST:,} bytes; it is not a list of names")
    check_is_text(path, data)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not text in UTF-8; save it as UTF-8") from error
