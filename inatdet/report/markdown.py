"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from inatdet.evaluation.plausibility import DataWarning
from inatdet.evaluation.results import Results
from inatdet.report.figures import S
from inatdet.report.section import Section, with_rows
from inatdet.report.sections import SECTIONS
from inatdet.report.text import in_markdown


def markdown(
    results: Results,
    protocol: Sequence[tuple[str, str]],
    warnings: Sequence[DataWarning] = (),
) -> str:
    """The whole report.

    Args:
        results: the numbers.
        protocol: what was measured and how, as names and values.
        warnings: what looks wrong with the files.
    """
    parts = ["# Detection results", ""]
    parts += warnings_in_markdown(warnings)
    if not results.table5:
        parts += ["Table 5 and Figure 6 need the detections of a species model.", ""]
    if results.resamples:
        parts += [
            "± is the margin of the 95% interval for other samples of as many images, from "
            f"{results.resamples} random halves of these. It does not cover training the "
            "models again, nor the upward bias of AP for classes with few images.",
            "",
        ]
    parts += sections_in_markdown(SECTIONS, results)
    parts += protocol_in_markdown(protocol)
    return "\n".join(parts)


def warnings_in_markdown(warnings: Sequence[DataWarning]) -> list[str]:
    """The lines that list what looks wrong with the files; none if nothing does."""
    if not warnings:
        return []
    return ["## Warnings", "", *(f"- {in_markdown(str(w))}" for w in warnings), ""]


def sections_in_markdown(sections: Sequence[Section[S]], subject: S) -> list[str]:
    """The lines of all sections that have rows for a subject."""
    parts = []
    for section, _ in with_rows(sections, subject):
        link = f"[{section.name}.csv]({section.name}.csv)"
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
