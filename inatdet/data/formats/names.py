"""Names from files of their own: of classes, of their super-classes, and of images."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping

import yaml

from inatdet.data.annotations import Image
from inatdet.errors import InputError, cannot_read
from inatdet.files import open_regular

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
    text = _text(path)
    if path.lower().endswith((".yaml", ".yml")):
        names: list[object] = _of_yaml(path, text)
    else:
        names = [line.strip() for line in text.rstrip().splitlines()]
    seen: dict[str, None] = {}
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{path}: class {number} has no name; each needs its own")
        if name in seen:
            raise InputError(f"{path}: names {name!r} twice; each class needs its own name")
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
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({error}); fix the file") from error
    if not isinstance(content, dict):
        raise InputError(f'{path}: must be one JSON object, {{"category": "super-class", ...}}')
    for name, super_category in content.items():
        if not isinstance(super_category, str) or not super_category.strip():
            raise InputError(
                f"{path}: the super-class of {name[:80]!r} is not a name; write it in quotes"
            )
    return content


class ImagesByName:
    """Finds images by their file names without suffix, as files of detections name them.

    `train/Aves/1.jpg` is found as `1`, and also as `Aves_1` and `train_Aves_1`, as newer programs
    call it where several folders have a `1.jpg`.

    Args:
        images: the dataset's images.
    """

    def __init__(self, images: Iterable[Image]):
        self._found: dict[str, Image | None] = {}
        for image in images:
            parts = os.path.splitext(image.file_name)[0].split("/")
            for start in range(len(parts)):
                name = "_".join(parts[start:])
                self._found[name] = None if name in self._found else image

    def find(self, name: str, where: str) -> Image:
        """The image with a name.

        Args:
            name: as the file of detections has it.
            where: the file, for the message.

        Raises:
            InputError: there is no such image, or several.
        """
        image = self._found.get(name)
        if image is None:
            number = "several images" if name in self._found else "no image"
            raise InputError(
                f"{where}: the annotations have {number} named {name[:80]!r}; check that "
                "both belong to the same split"
            )
        return image


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
    if not super_categories or name not in super_categories:
        raise InputError(
            f"{path}: the super-class of {name[:80]!r} is unknown; give "
            '--super_categories=FILE with {"category": "super-class", ...}'
        )
    return {"name": name, "supercategory": super_categories[name]}


def _of_yaml(path: str, text: str) -> list[object]:
    try:
        # BaseLoader leaves everything a string: a class may be called `no` or `1`.
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
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


def _text(path: str) -> str:
    try:
        with open_regular(path) as file:
            data = file.read(_LONGEST + 1)
    except OSError as error:
        raise cannot_read(path, error) from error
    if len(data) > _LONGEST:
        raise InputError(f"{path}: is longer than {_LONGEST:,} bytes; it is not a list of names")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not text in UTF-8; save it as UTF-8") from error
