"""Names and paths as text: on one line, and taken literally by whatever reads it.

A name is data. It may hold line breaks, control characters, or what Markdown, LaTeX or a
spreadsheet takes for a command; each form of the report shows it as it is.
"""

from __future__ import annotations

import re
import unicodedata

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Control characters, and those that turn the direction of whatever follows them. Joiners, which
# emoji and several scripts need, are of the same category as the latter and stay.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_IN_MARKDOWN = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
_FORMULA = ("=", "+", "-", "@")
_IN_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    # At the beginning of a row these would belong to the line break before it.
    "[": "{[}",
    "*": "{*}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def as_utf8(text: str) -> str:
    """Text that can be encoded: what no Unicode text may hold is written as its number.

    Such are bytes of a file's name that are not UTF-8, and halves of surrogate pairs.
    """
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(text: str) -> str:
    """Text without line breaks, repeated blanks and characters that cannot be seen."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip(" ")
    return _UNSHOWN.sub(_REPLACEMENT, as_utf8(" ".join(text.split())))


def shortened(text: str, most: int) -> str:
    """Text of at most `most` characters, on one line; the end of a longer one is left out."""
    text = one_line(text)
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def width(text: str) -> int:
    """How many columns of a terminal text takes: Chinese and emoji take two for a character."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(character)
        else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def in_markdown(text: str) -> str:
    """Text for a cell or a line of Markdown."""
    text = one_line(text).replace("&", "&amp;").replace("<", "&lt;")
    return _IN_MARKDOWN.sub(lambda found: f"\\{found[0]}", text)


def in_latex(text: str) -> str:
    """Text for LaTeX."""
    return "".join(_IN_LATEX.get(character, character) for character in one_line(text))


def in_csv(text: str) -> str:
    """Text for a cell of CSV: a spreadsheet would run what begins like a formula."""
    text = one_line(text)
    return f"'{text}" if text.startswith(_FORMULA) else text
