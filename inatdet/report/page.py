"""The report as a single HTML file that needs no network: everything it shows is inside it."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

from inatdet.data.granularity import Granularity
from inatdet.evaluation.average_precision import METRICS, OVERALL
from inatdet.evaluation.granularities import Table6Row
from inatdet.evaluation.plausibility import DataWarning
from inatdet.evaluation.results import Results
from inatdet.report.figures import Figure, margin
from inatdet.report.gallery import Choose, Picture
from inatdet.report.label_pictures import LabelPicture
from inatdet.report.sections import Section, filled
from inatdet.report.table import Table, printed
from inatdet.report.text import one_line

_ASSETS = "assets"


def page(
    results: Results,
    protocol: Sequence[tuple[str, str]],
    gallery: Sequence[Picture] = (),
    warnings: Sequence[DataWarning] = (),
    wrong_labels: Sequence[LabelPicture] = (),
) -> str:
    """The page.

    Args:
        results: the numbers.
        protocol: what was measured and how, as names and values.
        gallery: pictures to show.
        warnings: what looks wrong with the files.
        wrong_labels: pictures of likely wrong labels, for the section that lists them.
    """
    import jinja2  # not loaded for --help

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        # What is marked as safe, the style and the script, is of another type.
        finalize=lambda value: one_line(value) if type(value) is str else value,
    )
    parts = [_section(section, results) for section, _ in filled(results) if section.link]
    contents = []
    for part in parts:
        contents.append((part["name"], part["link"]))
        if part["figure"] and part["figure"]["link"]:
            contents.append((part["figure"]["name"], part["figure"]["link"]))
    contents += [("gallery", "Gallery")] if gallery else []
    contents.append(("protocol", "Protocol"))
    counts = results.counts
    return environment.get_template("report.html").render(
        css=_asset("report.css"),
        js=_asset("report.js"),
        summary=(
            f"{counts.images_kept:,} images with {counts.boxes_kept:,} boxes; "
            f"{counts.classes_with_truth[Granularity.SPECIES]:,} species; "
            f"models: {', '.join(map(str, results.used))}."
        ),
        warnings=[warning.message for warning in warnings],
        contents=contents,
        sections=parts,
        measures=METRICS,
        pictures={"likely_wrong_labels": [_label_picture(picture) for picture in wrong_labels]},
        gallery=[_picture(picture) for picture in gallery],
        choices=[str(c) for c in Choose if any(picture.chosen is c for picture in gallery)],
        protocol=protocol,
    )


def _asset(name: str) -> str:
    return (resources.files(__package__) / _ASSETS / name).read_text(encoding="utf-8")


def _section(section: Section, results: Results) -> dict[str, Any]:
    table = section.shown(results)
    figure = section.drawn(results)
    return {
        "name": section.name,
        "heading": section.heading,
        "link": section.link,
        "note": section.note,
        "columns": [
            {"name": name, "number": not text}
            for name, text in zip(table.columns, table.text_columns())
        ],
        "rows": list(_rows(table)),
        "answer": section.answer(results),
        "figure": _figure(figure, results) if figure else None,
        "heat": _heat(results.table6) if section.heat_map else None,
        "chart": _chart(results.table6) if section.heat_map else None,
    }


def _figure(figure: Figure, results: Results) -> dict[str, Any]:
    return {
        "name": figure.name,
        "heading": figure.heading,
        "link": figure.link,
        "note": figure.note,
        "part": figure.page_part,
        **figure.on_page(results),
    }


def _rows(table: Table[Any]) -> Iterable[dict[str, Any]]:
    for row in table.rows:
        cells = []
        for cell in row:
            number = not isinstance(cell, str)
            known = not isinstance(cell, str) and not math.isnan(cell)
            share = isinstance(cell, float) and known and 0 <= cell <= 100
            cells.append(
                {
                    "number": number,
                    "text": printed(cell),
                    "value": repr(float(cell)) if known else "",
                    "part": f"{cell:.1f}" if share else None,
                }
            )
        yield {"cells": cells, "overall": OVERALL in row[:3]}


def _heat(rows: Sequence[Table6Row]) -> dict[str, Any]:
    """One row per model and merge rule, one column per granularity of evaluation."""
    columns = list(dict.fromkeys(row.evaluated_on for row in rows))
    lines = dict.fromkeys((row.trained_on, row.merge) for row in rows)
    by_key = {row.key: row.values for row in rows}
    best = [max((v for v in column if v > 0), default=1.0) for column in zip(*by_key.values())]
    return {
        "columns": columns,
        "rows": [
            {
                "name": f"{trained_on}, {merge}",
                "cells": [_heat_cell(by_key.get((trained_on, c, merge)), best) for c in columns],
            }
            for trained_on, merge in lines
        ],
    }


def _heat_cell(values: Sequence[float] | None, best: Sequence[float]) -> dict[str, Any] | None:
    """Each measure as text with the depth of its color, which is .9 for the best number."""
    if values is None:
        return None
    shown = {
        name: (f"{value:.1f}", round(0.9 * value / top, 3)) if not math.isnan(value) else ("-", 0.0)
        for name, value, top in zip(METRICS, values, best)
    }
    text, depth = shown[METRICS[0]]
    return {"text": text, "depth": depth, "measures": shown}


def _chart(rows: Sequence[Table6Row]) -> dict[str, Any]:
    """A dot per row at its AP, with the interval."""
    left, right = 240, 620
    values = [row.values[0] for row in rows]
    highs = [v + margin(v) for v in values if not math.isnan(v)] or [0.0]
    # Rounded up to a multiple of ten, so that the axis ends on a tick.
    end = min(100, max(10, 10 * math.ceil(max(highs) / 10)))

    def x(value: float) -> float:
        return round(left + (right - left) * min(max(value, 0.0), end) / end, 1)

    bars = [
        {
            "name": f"{row.trained_on} on {row.evaluated_on}, {row.merge}",
            "y": 20 + 22 * index,
            "x": x(value),
            "low": x(value - margin(value)) if margin(value) else None,
            "high": x(value + margin(value)),
            "text": printed(value),
        }
        for index, (row, value) in enumerate(zip(rows, values))
        if not math.isnan(value)
    ]
    step = 10 if end <= 60 else 20
    return {
        "height": 46 + 22 * len(rows),
        "bars": bars,
        "margins": any(margin(value) for value in values),
        "ticks": [{"x": x(tick), "text": str(tick)} for tick in range(0, end + 1, step)],
    }


def _picture(picture: Picture) -> dict[str, str]:
    return {
        "chosen": str(picture.chosen),
        "data": base64.b64encode(picture.jpeg).decode(),
        "truth": " and ".join(picture.truth),
        "answer": picture.answer,
        "score": f"{picture.score:.2f}",
        "verdict": "right" if picture.right else "wrong",
        "remark": "" if picture.right or picture.answer not in picture.truth else " place",
        "image": str(picture.image.id),
    }


def _label_picture(picture: LabelPicture) -> dict[str, str]:
    row = picture.row
    return {
        "data": base64.b64encode(picture.jpeg).decode(),
        "annotated": row.annotated,
        "named": row.named,
        "score": f"{row.named_score:.2f}",
        "shared": str(row.shared),
        "image": str(row.image.id),
        "annotation": str(row.box_id),
    }
