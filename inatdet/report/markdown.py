"""The parts of a report as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from inatdet.evaluation.plausibility import DataWarning
from inatdet.report.figures import S
from inatdet.report.section import Section, with_rows
from inatdet.report.text import in_markdown


def warnings_in_markdown(warnings: Sequence[DataWarning]) -> list[str]:
    """The lines that list what looks wrong with the files; none if nothing does."""
    if not warnings:
        return []
    return ["## Warnings", "", *(f"- {in_markdown(str(w))}" for w in warnings), ""]


def sections_in_markdown(sections: Sequence[Section[S]], subject: S) -> list[str]:
    """The lines of all sections that have rows for a subject."""
    parts = []
    for section, _ in with_rows(sections, subject):
        link = f"[{section.stem}.csv]({section.stem}.csv)"
        if not section.in_text:
            parts += [f"{section.heading}: {link}.", ""]
            continue
        shown = section.shown(subject)
        parts += [f"## {section.heading}", ""]
        if answer := section.answer(subject):
            parts += [f"**{in_markdown(answer)}**", ""]
        parts += [section.note, "", shown.markdown(), ""]
        if section.excerpt:
            parts += [f"The whole table: {link}.", ""]
        if figure := section.drawn(subject):
            image = f"![{figure.alt}]({figure.image_file})"
            parts += [f"## {figure.heading}", "", image, ""]
    return parts


def protocol_in_markdown(protocol: Sequence[tuple[str, str]]) -> list[str]:
    """The lines that say what was measured and how."""
    lines = (f"- **{name}**: {in_markdown(value)}" for name, value in protocol)
    return ["## Protocol", "", *lines, ""]
