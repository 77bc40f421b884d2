"""The report: tables, figure and protocol, for people and for programs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass

import inatdet
from inatdet.data.annotations import Annotations
from inatdet.data.taxonomy import Granularity
from inatdet.evaluation import curves, tables
from inatdet.evaluation.benchmark import Results, as_record
from inatdet.evaluation.coco import MAX_DETECTIONS, Engine
from inatdet.evaluation.detections import Detections
from inatdet.evaluation.granularity import MERGE_IOU
from inatdet.files import atomic_path

TABLE5_FILE = "table5.csv"
TABLE6_FILE = "table6.csv"
PER_CLASS_FILE = "per_class.csv"
CURVES_FILE = "pr_curves.csv"
FIGURE_FILE = "pr_curves.png"
REPORT_FILE = "report.md"
RECORD_FILE = "report.json"


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
    """

    results: Results
    annotations: Annotations
    taxonomy_source: str
    models: Mapping[Granularity, Detections]
    marginals: Mapping[tuple[Granularity, Granularity], Detections]
    all_images: bool
    engine: Engine

    def __str__(self) -> str:
        """The tables as they are printed on a screen."""
        parts = []
        if self.results.table5:
            parts += ["Table 5: the species model on species, by super-class (percent)"]
            parts += [str(tables.table5(self.results.table5)), ""]
        parts += ["Table 6: models trained and evaluated at each granularity (percent)"]
        parts += [str(tables.table6(self.results.table6))]
        return "\n".join(parts)

    def save(self, output_dir: str | os.PathLike[str]) -> None:
        """Writes every file of the report; without a species model there is no Table 5."""
        os.makedirs(output_dir, exist_ok=True)

        def path(name: str) -> str:
            return os.path.join(output_dir, name)

        tables.table6(self.results.table6).save(path(TABLE6_FILE))
        if self.results.table5:
            tables.table5(self.results.table5).save(path(TABLE5_FILE))
            tables.per_class_table(self.results.per_class).save(path(PER_CLASS_FILE))
            curves.save_csv(self.results.curves, path(CURVES_FILE))
            curves.save_png(self.results.curves, path(FIGURE_FILE))
        else:
            # Nothing of an earlier report may be taken for a part of this one.
            for name in (TABLE5_FILE, PER_CLASS_FILE, CURVES_FILE, FIGURE_FILE):
                if os.path.exists(path(name)):
                    os.remove(path(name))
        record = {"protocol": dict(self.protocol()), "results": as_record(self.results)}
        for name, text in (
            (RECORD_FILE, json.dumps(record, indent=1, ensure_ascii=False) + "\n"),
            (REPORT_FILE, self.markdown()),
        ):
            with atomic_path(path(name)) as temporary, open(temporary, "w", encoding="utf-8") as f:
                f.write(text)

    def markdown(self) -> str:
        """The whole report as Markdown."""
        results = self.results
        parts = ["# Detection results", ""]
        if results.table5:
            parts += [
                "## Table 5: the species model, by super-class",
                "",
                "Percent. A super-class' row is the mean over its fine classes with ground truth; "
                f"{tables.OVERALL} is the mean over all of them, not over the rows.",
                "",
                tables.table5(results.table5).markdown(),
                "",
                f"Every species: [{PER_CLASS_FILE}]({PER_CLASS_FILE}).",
                "",
                "## Figure 6: precision and recall at IoU 0.5",
                "",
                f"![One curve for each super-class]({FIGURE_FILE})",
                "",
            ]
        else:
            parts += ["Table 5 and Figure 6 need the detections of a species model.", ""]
        parts += [
            "## Table 6: training and evaluating at different granularities",
            "",
            "Percent. `merge` says what became of a finer model's detections when their labels "
            "were made coarser: `none`, nothing; `nms`, class-wise suppression again at IoU "
            f"{MERGE_IOU}; `marginal`, the detector summed the probabilities of each super-class' "
            "species on its proposals and suppressed once, at the coarse level.",
            "",
            tables.table6(results.table6).markdown(),
            "",
            *self._gap(),
            "## Protocol",
            "",
            *(f"- **{name}**: {value}" for name, value in self.protocol()),
            "",
        ]
        return "\n".join(parts)

    def _gap(self) -> list[str]:
        table = tables.gap_table(self.results.table6)
        if not table.rows:
            return []
        return [
            "How much of the gap between the model trained at the coarse level and the finer model "
            "each way of merging closes, in percent of the gap in AP (one run; no interval):",
            "",
            table.markdown(),
            "",
        ]

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
            ("engine", self.engine.version()),
            (
                "versions",
                f"inatdet {inatdet.__version__}, Python {platform.python_version()}, "
                f"numpy {importlib.metadata.version('numpy')}",
            ),
        ]
        return lines

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
