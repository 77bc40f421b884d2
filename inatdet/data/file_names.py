"""Files that are not found under their name: is there one of almost the same name?"""

from __future__ import annotations

import collections
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from inatdet.choices import Choice

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
"""How the names of image files end, in lower case."""

_NAMED_FILES = 5


class Difference(Choice):
    """How the name of a file differs from the one that is looked for, as people read it."""

    CASE = "in other upper and lower case"
    UNICODE = "with accents in another Unicode form"
    SUFFIX = "with another suffix"
    FOLDER = "in another folder"


_REMEDIES = {
    Difference.CASE: "rename the files, or correct file_name in the annotations",
    Difference.UNICODE: "give the files and the annotations' file_name one form, such as NFC",
    Difference.SUFFIX: "correct file_name in the annotations",
    Difference.FOLDER: "correct --images_dir, or file_name in the annotations",
}


@dataclass(frozen=True)
class Near:
    """A file of almost the same name.

    Attributes:
        name: the file, relative to its folder.
        difference: how its name differs.
        remedy: what to do.
    """

    name: str
    difference: Difference
    remedy: str


class FilesBelow:
    """The image files in a folder and its subfolders.

    Args:
        folder: is searched at once, which takes a while if it has many files.

    Attributes:
        names: relative to the folder, with forward slashes.
    """

    def __init__(self, folder: str):
        self.folder = folder
        self.names: set[str] = set()
        for parent, _, files in os.walk(folder):
            prefix = os.path.relpath(parent, folder).replace(os.sep, "/") + "/"
            prefix = "" if prefix == "./" else prefix
            self.names.update(
                prefix + name for name in files if name.lower().endswith(IMAGE_SUFFIXES)
            )
        self._folded = {without_case(name): name for name in self.names}
        self._stems = {os.path.splitext(folded)[0]: name for folded, name in self._folded.items()}
        self._bases: dict[str, list[str]] = collections.defaultdict(list)
        for name in self.names:
            self._bases[name.rpartition("/")[2]].append(name)

    def near(self, wanted: str) -> Near | None:
        """The file whose name is almost the one that is wanted, if there is one."""
        folded = without_case(wanted)
        if name := self._folded.get(folded):
            difference = Difference.CASE if _nfc(name) != _nfc(wanted) else Difference.UNICODE
            return Near(name, difference, _REMEDIES[difference])
        if name := self._stems.get(os.path.splitext(folded)[0]):
            return Near(name, Difference.SUFFIX, _REMEDIES[Difference.SUFFIX])
        elsewhere = self._bases.get(wanted.rpartition("/")[2], [])
        if len(elsewhere) == 1:
            return Near(elsewhere[0], Difference.FOLDER, self._other_folder(wanted, elsewhere[0]))
        return None

    def _other_folder(self, wanted: str, name: str) -> str:
        """What to do about a file in another folder: often --images_dir is too high or too low."""
        folder = os.path.abspath(self.folder)
        if name.endswith(f"/{wanted}"):
            return f"give --images_dir={os.path.join(self.folder, name[: -len(wanted) - 1])}"
        extra = wanted[: -len(name) - 1] if wanted.endswith(f"/{name}") else None
        if extra and folder.replace(os.sep, "/").endswith(f"/{extra}"):
            return f"give --images_dir={folder[: -len(extra) - 1]}"
        return _REMEDIES[Difference.FOLDER]


def explain_missing(folder: str, missing: Sequence[str], sought: int) -> tuple[str, str]:
    """Says which files are missing, and whether files of almost the same name are there.

    Args:
        folder: where they are looked for.
        missing: their names, at least one.
        sought: how many files are looked for, the missing ones among them.

    Returns:
        What is wrong, and what to do, both for one sentence.
    """
    files = FilesBelow(folder)
    kinds: dict[Difference, list[tuple[str, Near]]] = collections.defaultdict(list)
    lost = []
    for name in missing:
        if near := files.near(name):
            kinds[near.difference].append((name, near))
        else:
            lost.append(name)
    parts, remedies = [], []
    for difference, found in kinds.items():
        name, near = found[0]
        parts.append(f"{_are(len(found))} there {difference}, such as {near.name} for {name}")
        remedies.append(near.remedy)
    if lost:
        more = ", ..." if len(lost) > _NAMED_FILES else ""
        words = f"{_are(len(lost))} not there at all, " if kinds else ""
        parts.append(f"{words}such as {', '.join(lost[:_NAMED_FILES])}{more}")
        remedies.append("check --images_dir" if len(missing) == sought else "fetch what is missing")
    what = f"{len(missing):,} of {sought:,} images are not in {folder}: {'; '.join(parts)}"
    return what, "; ".join(dict.fromkeys(remedies))


def _are(count: int) -> str:
    return f"{count:,} {'is' if count == 1 else 'are'}"


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def without_case(name: str) -> str:
    """The name without differences of case and of composed and decomposed letters."""
    return _nfc(_nfc(name).casefold())
