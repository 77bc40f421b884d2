"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from inatdet.evaluation.plausibility import DataWarning
from inatdet.evaluation.results import Results
from inatdet.report.sections import filled
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
    if warnings:
        parts += ["## Warnings", "", *(f"- {in_markdown(str(w))}" for w in warnings), ""]
    if not results.table5:
        parts += ["Table 5 and Figure 6 need the detections of a species model.", ""]
    if results.resamples:
        parts += [
            "± is the margin of the 95% interval for other samples of as many images, from "
            f"{results.resamples} random halves of these. It does not cover training the "
            "models again, nor the upward bias of AP for classes with few images.",
            "",
        ]
    for section, _ in filled(results):
        link = f"[{section.name}.csv]({section.name}.csv)"
        if not section.in_text:
            parts += [f"{section.heading}: {link}.", ""]
            continue
        shown = section.shown(results)
        parts += [f"## {section.heading}", ""]
        if answer := section.answer(results):
            parts += [f"**{in_markdown(answer)}**", ""]
        parts += [section.note, "", shown.markdown(), ""]
        if section.excerpt:
            parts += [f"The whole table: {link}.", ""]
        if figure := section.drawn(results):
            image = f"![{figure.alt}]({figure.image_file})"
            parts += [f"## {figure.heading}", "", image, ""]
    parts += ["## Protocol", ""]
    parts += [*(f"- **{name}**: {in_markdown(value)}" for name, value in protocol)]
    parts.append("")
    return "\n".join(parts)
