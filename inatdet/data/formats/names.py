"""Names that stand in files of their own: of classes, and of the super-classes they belong to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping

import yaml

from inatdet.data.annotations import Image
from inatdet.errors import InputError, cannot_read

_LONGEST = 4 << 20  # bytes; a hundred thousand names take half


def read_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Reads a list of class names.

    Args:
        path: a YAML file whose `names` are a list or numbered from 0 (YOLO's data.yaml), or a text
            file with one name a line (classes.txt).

    Returns:
        The name of class 0, of class 1 and so on.

    Raises:
        InputError: the file is neither, or names one class twice.
    """
    path = os.fspath(path)
    text = _text(path)
    if path.lower().endswith((".yaml", ".yml")):
        names = _of_yaml(path, text)
    else:
        names = [line.strip() for line in text.rstrip().splitlines()]
    seen: set[str] = set()
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{path}: class {number} has no name; each needs one of its own")
        if name in seen:
            raise InputError(f"{path}: names {name!r} twice; each class needs a name of its own")
        seen.add(name)
    if not names:
        raise InputError(f"{path}: has no names; write one a line, class 0 first")
    return tuple(names)


def _of_yaml(path: str, text: str) -> list[object]:
    try:
        # BaseLoader makes strings of everything: a class may be called `no` or `1`.
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: is no YAML ({reason}); mend the file") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        numbered = [names.get(str(number)) for number in range(len(names))]
        if None in numbered:
            raise InputError(
                f"{path}: its names do not go from 0 to {len(names) - 1}; number them without gaps"
            )
        return numbered
    if not isinstance(names, list):
        raise InputError(f"{path}: has no list of `names`; a data.yaml of YOLO has one")
    return names


def read_super_categories(path: str | os.PathLike[str]) -> dict[str, str]:
    """Reads which super-class each category belongs to.

    Args:
        path: a JSON object, `{"Corvus corax": "Aves", ...}`.

    Raises:
        InputError: the file is none.
    """
    path = os.fspath(path)
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({error}); mend the file") from error
    if not isinstance(content, dict):
        raise InputError(f'{path}: must be one JSON object, {{"category": "super-class", ...}}')
    for name, super_category in content.items():
        if not isinstance(super_category, str) or not super_category.strip():
            raise InputError(
                f"{path}: the super-class of {name[:80]!r} is no name; write it in quotes"
            )
    return content


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(_LONGEST + 1)
    except OSError as error:
        raise cannot_read(path, error) from error
    if len(data) > _LONGEST:
        raise InputError(f"{path}: is longer than {_LONGEST:,} bytes; this is no file of names")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not text in UTF-8; save it as such") from error


class ImagesByName:
    """Finds images by their file names without ending, as files of detections name them.

    `train/Aves/1.jpg` is found as `1`, and where folders repeat such names, as newer programs write
    it: `Aves_1` or `train_Aves_1`.

    Args:
        images: the dataset's.
    """

    def __init__(self, images: Iterable[Image]):
        self._found: dict[str, Image | None] = {}
        for image in images:
            parts = os.path.splitext(image.file_name)[0].split("/")
            for start in range(len(parts)):
                name = "_".join(parts[start:])
                self._found[name] = None if name in self._found else image

    def find(self, name: str, where: str) -> Image:
        """The image of that name.

        Raises:
            InputError: there is none, or several; `where` begins the sentence.
        """
        image = self._found.get(name)
        if image is None:
            number = "several images" if name in self._found else "no image"
            raise InputError(
                f"{where}: the annotations have {number} of the name {name[:80]!r}; check that "
                "both are of the same split"
            )
        return image


def with_super_category(
    name: str, super_categories: Mapping[str, str] | None, path: str
) -> dict[str, str]:
    """The `name` and `supercategory` of a category.

    Raises:
        InputError: it has no super-class.
    """
    if not super_categories or name not in super_categories:
        raise InputError(
            f"{path}: nothing says which super-class {name[:80]!r} belongs to; give "
            '--super_categories=FILE with {"category": "super-class", ...}'
        )
    return {"name": name, "supercategory": super_categories[name]}
