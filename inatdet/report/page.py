"""What only the page of detection has: the heat map, the chart, and its pictures."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

from inatdet.evaluation.average_precision import METRICS
from inatdet.evaluation.granularities import Table6Row
from inatdet.evaluation.results import Results
from inatdet.report.figures import margin
from inatdet.report.gallery import Choose, Picture
from inatdet.report.label_pictures import PICTURED, LabelPicture
from inatdet.report.rendering import Gallery, section_on_page
from inatdet.report.section import Section
from inatdet.report.table import printed

_GALLERY_NOTE = (
    "Green boxes have the right label and overlap the true box by IoU .5 or more; red ones do not. "
    "Best and worst are the images whose best-scored detection is right, or wrong, with the "
    "highest score."
)


def part_on_page(
    section: Section[Results], results: Results, wrong_labels: Sequence[LabelPicture]
) -> dict[str, Any]:
    """A section as plain values, with what only detection's sections have.

    Args:
        section: a section that has rows.
        results: the numbers.
        wrong_labels: pictures of likely wrong labels, for the section that lists them.
    """
    part = section_on_page(section, results)
    if section.heat_map:
        part |= {"heat": _heat(results.table6), "chart": _chart(results.table6)}
    if section.name == PICTURED:
        part["pictures"] = [_label_picture(picture) for picture in wrong_labels]
    return part


def gallery_of(pictures: Sequence[Picture]) -> Gallery | None:
    """The pictures as the page shows them; None without any."""
    if not pictures:
        return None
    return Gallery(
        "Figure 7: detections",
        _GALLERY_NOTE,
        [_picture(picture) for picture in pictures],
        [str(choice) for choice in Choose if any(p.chosen is choice for p in pictures)],
    )


def _heat(rows: Sequence[Table6Row]) -> dict[str, Any]:
    """One row per model and merge rule, one column per granularity of evaluation."""
    columns = list(dict.fromkeys(row.evaluated_on for row in rows))
    lines = dict.fromkeys((row.trained_on, row.merge) for row in rows)
    by_key = {row.key: row.values for row in rows}
    best = [max((v for v in column if v > 0), default=1.0) for column in zip(*by_key.values())]
    return {
        "measures": METRICS,
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
        "alt": f"{' and '.join(picture.truth)}, with the detections drawn on it",
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
