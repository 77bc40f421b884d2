"""XML read defensively: elements that know their place in the file, and errors that name it."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

from inatdet.errors import InputError, cannot_read
from inatdet.files import open_regular

_LONGEST = 4 << 20  # bytes; ten thousand boxes in one image


class Element:
    """An XML element that knows its place in the file.

    Attributes:
        where: the file and the path of elements, for messages.
    """

    def __init__(self, element: ElementTree.Element, where: str):
        self._element = element
        self.where = where

    @classmethod
    def parse(cls, path: str, root: str) -> Element:
        """The root element of a file.

        Args:
            path: the file.
            root: the tag that the root element must have.

        Raises:
            InputError: the file is not valid XML, too long, has a document type, or another root.
        """
        try:
            with open_regular(path) as file:
                data = file.read(_LONGEST + 1)
            if len(data) > _LONGEST:
                raise InputError(f"is longer than {_LONGEST:,} bytes; it is not an annotation")
            parser = ElementTree.XMLParser(target=_NoDoctype())  # noqa: S314
            parser.feed(data)
            element = parser.close()
        except OSError as error:
            raise cannot_read(path, error) from error
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            raise InputError(f"{path}: is not valid XML ({error}); fetch it again") from error
        if element.tag != root:
            raise InputError(
                f"{path}: its root element is <{element.tag[:40]}>, not <{root}>; give other files"
            )
        return cls(element, path)

    def fault(self, what: str) -> InputError:
        """An error about this element."""
        return InputError(f"{self.where}: {what}")

    def child(self, tag: str) -> Element:
        """The only child with a tag; `InputError` if there is none or several."""
        found = self._element.findall(tag)
        if len(found) != 1:
            raise self.fault(f"has {len(found)} elements <{tag}>; it must have one")
        return Element(found[0], f"{self.where}, <{tag}>")

    def children(self, tag: str) -> Iterator[Element]:
        """All children with a tag, in order."""
        for number, element in enumerate(self._element.findall(tag), 1):
            yield Element(element, f"{self.where}, <{tag}> number {number}")

    def text(self) -> str:
        """The text inside, without surrounding white space; `InputError` if it is empty."""
        text = (self._element.text or "").strip()
        if not text:
            raise self.fault("is empty")
        return text

    def attribute(self, name: str) -> str | None:
        """The value of an attribute, as it is written; None if there is none."""
        return self._element.get(name)

    def number(self) -> float:
        """The number inside; `InputError` if it is not finite."""
        text = self.text()
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.fault(f"is {text[:40]!r}, not a finite number")
        return value

    def whole_number(self) -> int:
        """The whole number inside; `InputError` if it is not one."""
        value = self.number()
        if value != int(value):
            raise self.fault(f"is {value:g}, not a whole number")
        return int(value)

    def flag(self, tag: str) -> bool:
        """Whether there is a child with a tag and it contains 1."""
        return bool(self._element.findall(tag)) and self.child(tag).number() == 1


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses document types: they define entities, which can expand a small file to gigabytes."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        """Called by the parser when a document type begins."""
        raise InputError("has a document type, which annotations do not need; remove it")
