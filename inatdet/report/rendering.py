"""A page in a single HTML file that needs no network: everything it shows is inside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from inatdet.evaluation.plausibility import DataWarning
from inatdet.report.figures import Figure, S
from inatdet.report.section import Section
from inatdet.report.table import SUMMARIES, SUMMARIES_WITHIN, Table, printed
from inatdet.report.text import one_line

_ASSETS = "assets"


@dataclass(frozen=True)
class Gallery:
    """The pictures that a page ends with.

    Attributes:
        heading: the heading.
        note: what they show.
        pictures: each with its `data`, JPEG in base 64, and what is said about it.
        choices: the kinds of pictures.
    """

    heading: str
    note: str
    pictures: Sequence[Mapping[str, str]]
    choices: Sequence[str]


def rendered(
    title: str,
    summary: str,
    sections: Sequence[Mapping[str, Any]],
    protocol: Sequence[tuple[str, str]],
    warnings: Sequence[DataWarning] = (),
    *,
    gallery: Gallery | None = None,
    beside: Sequence[tuple[str, str]] = (),
) -> str:
    """The page.

    Args:
        title: its heading.
        summary: what stands below it.
        sections: of `section_on_page`; those without a link are left out.
        protocol: what was measured and how, as names and values.
        warnings: what looks wrong with the files.
        gallery: the pictures, if any.
        beside: the files and titles of other pages in the same folder.
    """
    import jinja2  # not loaded for --help

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        # What is marked as safe, the style and the script, is of another type.
        finalize=lambda value: one_line(value) if type(value) is str else value,
    )
    parts = [part for part in sections if part["link"]]
    contents = []
    for part in parts:
        contents.append((part["name"], part["link"]))
        if part["figure"] and part["figure"]["link"]:
            contents.append((part["figure"]["name"], part["figure"]["link"]))
    contents += [("gallery", "Gallery")] if gallery else []
    contents.append(("protocol", "Protocol"))
    return environment.get_template("report.html").render(
        css=asset("report.css"),
        js=asset("report.js"),
        title=title,
        summary=summary,
        warnings=[warning.message for warning in warnings],
        contents=contents,
        sections=parts,
        gallery=gallery,
        beside=beside,
        protocol=protocol,
    )


def asset(name: str) -> str:
    """The text of one of the files among the assets."""
    return (resources.files(__package__) / _ASSETS / name).read_text(encoding="utf-8")


def section_on_page(section: Section[S], subject: S) -> dict[str, Any]:
    """A section as plain values, for `rendered`."""
    table = section.shown(subject)
    figure = section.drawn(subject)
    return {
        "name": section.name,
        "heading": section.heading,
        "link": section.link,
        "note": section.note,
        "columns": [
            {"name": name, "number": not text}
            for name, text in zip(table.columns, table.text_columns())
        ],
        "rows": list(_rows(table, _percentages(section, table))),
        "answer": section.answer(subject),
        "figure": _figure(figure, subject) if figure else None,
        "heat": None,
        "chart": None,
        "pictures": [],
    }


def _figure(figure: Figure[S], subject: S) -> dict[str, Any]:
    return {
        "name": figure.name,
        "heading": figure.heading,
        "link": figure.link,
        "note": figure.note,
        "part": figure.page_part,
        **figure.on_page(subject),
    }


def _percentages(section: Section[Any], table: Table[Any]) -> list[bool]:
    """Which columns hold percentages, where they hold numbers with a decimal."""
    return [section.in_percent and name not in section.no_percent for name in table.columns]


def _rows(table: Table[Any], percentages: Sequence[bool]) -> Iterator[dict[str, Any]]:
    for row in table.rows:
        cells = []
        for cell, in_percent in zip(row, percentages):
            number = not isinstance(cell, str)
            known = not isinstance(cell, str) and not math.isnan(cell)
            share = in_percent and isinstance(cell, float) and known and 0 <= cell <= 100
            cells.append(
                {
                    "number": number,
                    "text": printed(cell),
                    "value": repr(float(cell)) if known else "",
                    "part": f"{cell:.1f}" if share else None,
                }
            )
        yield {"cells": cells, "overall": not SUMMARIES.isdisjoint(row[:SUMMARIES_WITHIN])}
