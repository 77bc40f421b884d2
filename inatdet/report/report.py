"""The report: tables, figure and protocol, for people and for programs."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import os
import pathlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

import inatdet
from inatdet.data.annotations import Annotations
from inatdet.data.detections import Detections
from inatdet.data.taxonomy import Granularity
from inatdet.evaluation.average_precision import MAX_DETECTIONS, Engine
from inatdet.evaluation.granularities import Merge
from inatdet.evaluation.resampling import Estimate
from inatdet.evaluation.results import Results
from inatdet.files import atomic_path
from inatdet.report import figures
from inatdet.report.gallery import Picture
from inatdet.report.page import page
from inatdet.report.sections import NAMES, sections

CURVES_FILE = "pr_curves.csv"
FIGURE_FILE = "pr_curves.png"
REPORT_FILE = "report.md"
PAGE_FILE = "report.html"
RECORD_FILE = "report.json"
PRINTED = ("table5", "table6", "gap")
"""The tables that are short enough for a screen."""


@dataclass(frozen=True, eq=False)
class Report:
    """Results with all that is needed to judge them.

    Attributes:
        results: the numbers.
        annotations: the whole annotation file.
        taxonomy_source: where the label spaces come from.
        models: the detections read.
        marginals: coarse detections of fine models by summed probabilities.
        all_images: whether images with several boxes or none were kept.
        engine: which library counted.
        gallery: pictures for the page.
    """

    results: Results
    annotations: Annotations
    taxonomy_source: str
    models: Mapping[Granularity, Detections]
    marginals: Mapping[tuple[Granularity, Granularity], Detections]
    all_images: bool
    engine: Engine
    gallery: Sequence[Picture] = ()

    def __str__(self) -> str:
        """The tables as they are printed on a screen."""
        parts = []
        for section in sections(self.results):
            if section.name in PRINTED:
                parts += [f"{section.title} (percent)", str(section.table), ""]
        return "\n".join(parts[:-1])

    def save(self, output_dir: str | os.PathLike[str], latex: bool = False) -> None:
        """Writes every file of the report.

        Args:
            output_dir: where to; what an earlier report left there and this one does not have, is
                removed.
            latex: whether to write each table for LaTeX as well.
        """
        os.makedirs(output_dir, exist_ok=True)
        folder = pathlib.Path(output_dir)
        written = {RECORD_FILE, REPORT_FILE, PAGE_FILE}
        for section in sections(self.results):
            section.table.save(folder / f"{section.name}.csv")
            written.add(f"{section.name}.csv")
            if latex:
                table = section.shown or section.table
                _write(folder / f"{section.name}.tex", table.latex())
                written.add(f"{section.name}.tex")
        if self.results.curves:
            figures.save_csv(self.results.curves, folder / CURVES_FILE)
            figures.save_png(self.results.curves, folder / FIGURE_FILE)
            written |= {CURVES_FILE, FIGURE_FILE}
        record = {"protocol": dict(self.protocol()), "results": as_record(self.results)}
        # The standard library's encoder takes half a second for iNat2017's species.
        encoded = msgspec.json.format(msgspec.json.encode(record), indent=1)
        _write(folder / RECORD_FILE, encoded.decode() + "\n")
        _write(folder / REPORT_FILE, self.markdown())
        _write(folder / PAGE_FILE, page(self.results, self.protocol(), self.gallery))
        # Nothing of an earlier report may be taken for a part of this one.
        tables_of_old = {f"{name}{suffix}" for name in NAMES for suffix in (".csv", ".tex")}
        for name in (tables_of_old | {CURVES_FILE, FIGURE_FILE}) - written:
            (folder / name).unlink(missing_ok=True)

    def markdown(self) -> str:
        """The whole report as Markdown."""
        parts = ["# Detection results", ""]
        if not self.results.table5:
            parts += ["Table 5 and Figure 6 need the detections of a species model.", ""]
        if self.results.resamples:
            parts += [
                "± is the margin of the 95% interval over other samples of as many images, from "
                f"{self.results.resamples} random halves of these. It says nothing about training "
                "the models again, nor by how much AP is too high because classes have few images.",
                "",
            ]
        for section in sections(self.results):
            link = f"[{section.name}.csv]({section.name}.csv)"
            if section.shown is None:
                parts += [f"{section.title}: {link}.", ""]
                continue
            parts += [f"## {section.title}", "", section.note, "", section.shown.markdown(), ""]
            if section.shown is not section.table:
                parts += [f"All of it: {link}.", ""]
            if section.name == "table5":
                parts += [
                    "## Figure 6: precision and recall at IoU 0.5",
                    "",
                    f"![One curve for each super-class]({FIGURE_FILE})",
                    "",
                ]
        parts += ["## Protocol", ""]
        parts += [*(f"- **{name}**: {value}" for name, value in self.protocol()), ""]
        return "\n".join(parts)

    def protocol(self) -> list[tuple[str, str]]:
        """What was measured and how, as names and values."""
        counts = self.results.counts
        lines = [
            ("annotations", self.annotations.path),
            ("label spaces", self.taxonomy_source),
            ("images", self._images()),
            ("bad records left out", _listed(self.annotations.skipped) or "none"),
        ]
        for granularity in Granularity:
            line = (
                f"{counts.classes[granularity]:,} labels, "
                f"{counts.classes_with_truth[granularity]:,} of them with ground truth"
            )
            if counts.boxes_without_label[granularity]:
                line += (
                    f"; {counts.boxes_without_label[granularity]:,} true boxes have no label here "
                    "and were left out"
                )
            lines.append((str(granularity), line))
        for granularity, detections in self.models.items():
            line = (
                f"{detections.path}, {len(detections):,} detections read, "
                f"{self.results.used[granularity]:,} in the images evaluated"
            )
            if detections.model:
                line += f"; model {detections.model}"
            if detections.settings:
                line += f" ({_listed(detections.settings)})"
            lines.append((f"{granularity} model", line))
        for (trained_on, granularity), detections in self.marginals.items():
            line = f"{detections.path}, {len(detections):,} detections read"
            lines.append((f"{trained_on} model, summed for {granularity}", line))
        lines += [
            ("measures", "COCO: AP over IoU .50:.05:.95, 101 recalls; AP50; AP75; AR1 and AR10"),
            (
                "detections counted",
                f"at most {MAX_DETECTIONS[-1]} for AP, {MAX_DETECTIONS[0]} for AR1 and "
                f"{MAX_DETECTIONS[1]} for AR10, of each image and class, as COCO defines maxDets",
            ),
            ("intervals", self._intervals()),
            ("engine", self.engine.version()),
            (
                "versions",
                f"inatdet {inatdet.__version__}, Python {platform.python_version()}, "
                f"numpy {importlib.metadata.version('numpy')}",
            ),
        ]
        return lines

    def _intervals(self) -> str:
        if not self.results.resamples:
            return "none"
        return (
            f"1.96 standard errors from {self.results.resamples} random halves of the images "
            "(delete-half jackknife), paired between models"
        )

    def _images(self) -> str:
        counts = self.results.counts
        if self.all_images:
            return f"all {counts.images:,}, with {counts.boxes_kept:,} boxes"
        return (
            f"{counts.images_kept:,} of {counts.images:,}, those with exactly one box; left out: "
            f"{counts.images_without_box:,} without a box, {counts.images_with_several:,} with "
            "several"
        )


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _write(path: pathlib.Path, text: str) -> None:
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(text)


def as_record(results: Results) -> dict[str, object]:
    """The numbers as plain JSON values.

    NaN becomes null, and an estimate an object with its value, standard error and the margin of its
    95% interval.
    """

    def plain(value: object) -> object:
        if type(value) in (str, int):
            return value
        if type(value) is float:
            return None if math.isnan(value) else value
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            return {field.name: plain(getattr(value, field.name)) for field in fields}
        if isinstance(value, (list, tuple, np.ndarray)):
            return [plain(item) for item in value]
        if isinstance(value, Estimate) and not np.isnan(value.std_err):
            return {"value": float(value), "std_err": value.std_err, "margin_95": value.margin}
        if isinstance(value, float):
            return plain(float(value))
        return str(value) if isinstance(value, (Granularity, Merge)) else value

    return plain(results)
