import csv

import numpy as np
import pytest

from inatdet.data.categories import Category
from inatdet.data.granularity import Granularity
from inatdet.data.super_classes import PAPER_SUPER_CLASSES
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation import granularities, super_classes
from inatdet.evaluation.average_precision import METRICS, ClassResults
from inatdet.evaluation.granularities import Merge
from inatdet.report import curves, figures
from inatdet.report.table import Table

# Table 5 of the paper, and the numbers of classes of its Table 2.
PAPER_ROWS = {
    "Insecta": (1021, 49.4, 67.7, 59.3, 64.5, 64.9),
    "Aves": (964, 49.5, 67.0, 59.1, 63.3, 63.6),
    "Reptilia": (289, 21.3, 31.5, 24.9, 44.0, 44.8),
    "Mammalia": (186, 33.3, 48.6, 39.1, 49.8, 50.6),
    "Amphibia": (115, 28.7, 40.2, 35.0, 52.0, 52.3),
    "Mollusca": (93, 34.8, 50.0, 41.6, 52.0, 53.0),
    "Animalia": (77, 35.6, 55.7, 40.8, 48.3, 50.5),
    "Arachnida": (56, 43.9, 66.4, 49.6, 57.3, 58.6),
    "Actinopterygii": (53, 35.0, 52.1, 41.6, 49.1, 49.6),
}
PAPER_OVERALL = (43.5, 60.2, 51.8, 59.3, 59.8)


def paper_results(rng):
    """2,854 invented classes whose means are the paper's rows."""
    categories, values = [], []
    for name in rng.permutation(list(PAPER_ROWS)):
        count, *means = PAPER_ROWS[name]
        spread = rng.uniform(-0.1, 0.1, (count, len(means)))
        spread -= spread.mean(axis=0)
        for offset in spread:
            categories.append(Category(len(categories), f"{name} {len(categories)}", str(name)))
            values.append(np.array(means) / 100 + offset)
    taxonomy = Taxonomy.from_categories(categories, range(len(categories)))
    return taxonomy, ClassResults(np.array(values), np.zeros((len(values), 101)))


def test_overall_agrees_with_the_paper():
    taxonomy, results = paper_results(np.random.default_rng(0))
    rows = super_classes.table5_rows(results, taxonomy)
    assert [row.super_class for row in rows] == [*PAPER_SUPER_CLASSES, super_classes.OVERALL]
    for row in rows[:-1]:
        assert (row.classes, *np.round(row.values, 6)) == pytest.approx(PAPER_ROWS[row.super_class])
    assert rows[-1].classes == 2854
    # The printed rows are rounded to .05, so their weighted mean can be off by as much.
    np.testing.assert_allclose(rows[-1].values, PAPER_OVERALL, atol=0.0751)
    # The mean over the rows would be another number altogether.
    assert abs(np.mean([row.values[0] for row in rows[:-1]]) - PAPER_OVERALL[0]) > 6


def small():
    categories = [Category(i, f"s{i}", "Aves" if i < 3 else "Reptilia") for i in range(4)]
    taxonomy = Taxonomy.from_categories(categories, range(4))
    values = np.array([[0.1] * 5, [0.3] * 5, [np.nan] * 5, [np.nan] * 5])
    return taxonomy, ClassResults(values, np.where(np.isnan(values[:, :1]), np.nan, np.eye(4, 101)))


def test_only_classes_with_truth_count(tmp_path):
    taxonomy, results = small()
    table = Table.of(super_classes.Table5Row, super_classes.table5_rows(results, taxonomy))
    assert str(table) == (
        "super_class  classes    AP  AP50  AP75   AR1  AR10\n"
        "Aves               2  20.0  20.0  20.0  20.0  20.0\n"
        "Reptilia           0     -     -     -     -     -\n"
        "Overall            2  20.0  20.0  20.0  20.0  20.0"
    )
    table.to_csv(tmp_path / "table5.csv")
    with open(tmp_path / "table5.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["super_class", "classes", "AP", "AP50", "AP75", "AR1", "AR10"]
    assert rows[1][:2] == ["Aves", "2"]
    assert float(rows[1][2]) == 100 * results.mean()[0]  # full precision
    assert rows[2] == ["Reptilia", "0", "", "", "", "", ""]


def test_table6_columns(tmp_path):
    row = granularities.Table6Row(
        Granularity.SPECIES, Granularity.SUPER, Merge.NMS, (1.0, 2, 3, 4, 5.25)
    )
    table = Table.of(granularities.Table6Row, [row])
    table.to_csv(tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines == [
        "trained_on,evaluated_on,merge,AP,AP50,AP75,AR1,AR10",
        "species,super,nms,1.0,2,3,4,5.25",
    ]
    assert table.markdown().splitlines()[0] == (
        "| trained_on | evaluated_on | merge | AP | AP50 | AP75 | AR1 | AR10 |"
    )


def test_curves_are_means_over_fine_classes_and_their_area_is_ap50(tmp_path):
    rng = np.random.default_rng(0)
    taxonomy, results = small()
    precision = rng.uniform(size=(4, 101))
    precision[2:] = np.nan
    values = results.values.copy()
    values[:, METRICS.index("AP50")] = precision.mean(axis=1)
    results = ClassResults(values, precision)
    drawn = super_classes.curves_of(results, taxonomy)
    assert [curve.super_class for curve in drawn] == ["Aves"]  # Reptilia has no truth
    np.testing.assert_allclose(drawn[0].precision, precision[:2].mean(axis=0))
    row = super_classes.table5_rows(results, taxonomy)[0]
    assert drawn[0].auc * 100 == pytest.approx(row.values[METRICS.index("AP50")])

    curves.table_of(drawn).to_csv(tmp_path / "c.csv")
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert lines[0] == "super_class,recall,precision"
    assert len(lines) == 102
    assert lines[30].startswith("Aves,0.29,")
    figures.save_png(curves.draw(drawn), tmp_path / "c.png")
    figures.save_png(curves.draw(()), tmp_path / "empty.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
