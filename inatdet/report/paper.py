"""The paper's own numbers, beside those of a report on the same dataset.

Van Horn et al., "The iNaturalist Species Classification and Detection Dataset", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inatdet.data.granularity import Granularity
from inatdet.datasets.inat2017 import is_inat2017
from inatdet.evaluation.average_precision import METRICS, OVERALL
from inatdet.evaluation.results import Results
from inatdet.report.beside import beside_paper
from inatdet.report.table import Table

TABLE_5: Mapping[str, tuple[float, ...]] = {
    "Insecta": (49.4, 67.7, 59.3, 64.5, 64.9),
    "Aves": (49.5, 67.0, 59.1, 63.3, 63.6),
    "Reptilia": (21.3, 31.5, 24.9, 44.0, 44.8),
    "Mammalia": (33.3, 48.6, 39.1, 49.8, 50.6),
    "Amphibia": (28.7, 40.2, 35.0, 52.0, 52.3),
    "Mollusca": (34.8, 50.0, 41.6, 52.0, 53.0),
    "Animalia": (35.6, 55.7, 40.8, 48.3, 50.5),
    "Arachnida": (43.9, 66.4, 49.6, 57.3, 58.6),
    "Actinopterygii": (35.0, 52.1, 41.6, 49.1, 49.6),
    OVERALL: (43.5, 60.2, 51.8, 59.3, 59.8),
}
"""Its Table 5: the measures in the order of `METRICS`, in percent."""

_SPECIES, _SUPER, _GENERIC = Granularity.SPECIES, Granularity.SUPER, Granularity.GENERIC

TABLE_6: Mapping[tuple[Granularity, Granularity], float] = {
    (_SPECIES, _SPECIES): 43.5,
    (_SPECIES, _SUPER): 55.6,
    (_SPECIES, _GENERIC): 63.7,
    (_SUPER, _SUPER): 65.8,
    (_SUPER, _GENERIC): 76.7,
    (_GENERIC, _GENERIC): 78.5,
}
"""Its Table 6: AP in percent, by the levels of training and of evaluation."""


def beside_table5(results: Results) -> Table[Any]:
    """Each measure of Table 5 beside the paper's; no rows for other datasets than the paper's."""
    rows = results.table5 if _is_papers(results) else ()
    return beside_paper(
        ("super_class",),
        METRICS,
        (((row.super_class,), row.values, TABLE_5.get(row.super_class)) for row in rows),
    )


def beside_table6(results: Results) -> Table[Any]:
    """AP of Table 6 beside the paper's, at its levels; no rows for other datasets."""
    rows = results.table6 if _is_papers(results) else ()
    return beside_paper(
        ("trained_on", "evaluated_on", "merge"),
        METRICS[:1],
        (
            (tuple(map(str, row.key)), row.values[:1], (TABLE_6[levels],))
            for row in rows
            if (levels := (row.trained_on, row.evaluated_on)) in TABLE_6
        ),
    )


def _is_papers(results: Results) -> bool:
    """Whether the report is on iNat2017; its species are known where a species model is."""
    return is_inat2017(row.category for row in results.per_class)
