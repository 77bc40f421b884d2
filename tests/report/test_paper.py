"""Where the dataset is the paper's, its numbers stand beside the report's."""

import dataclasses

import numpy as np
import pytest

import inatdet
from inatdet.data.categories import Category
from inatdet.data.super_classes import PAPER_SUPER_CLASSES
from inatdet.datasets.inat2017 import FINE_CLASSES, is_inat2017
from inatdet.evaluation.average_precision import METRICS
from inatdet.report.paper import TABLE_5, TABLE_6
from tests.detection_files import read_csv
from tests.evaluation.scenes import annotations_of

BOX = [10, 10, 40, 40]
FILES = {"table5_paper.csv", "table6_paper.csv"}


def categories_of(numbers):
    """Categories by super-class, ids from 0."""
    names = [name for name, number in numbers.items() for _ in range(number)]
    return tuple(Category(i, f"Genus species{i}", name) for i, name in enumerate(names))


def report_on(numbers, levels=("species", "super", "generic")):
    """A report on three images; one more, which does not count, has a box of every species."""
    categories = categories_of(numbers)
    rows = [(i, i, BOX) for i in range(3)] + [(3, c.id, BOX) for c in categories]
    truth = annotations_of(range(4), rows, categories)
    found = [
        inatdet.Detections.from_arrays(
            range(3), [1] * 3, [0.9] * 3, [BOX] * 3, taxonomy=truth.taxonomy, granularity=level
        )
        for level in levels
    ]
    return inatdet.evaluate(truth, found, errors=False)


@pytest.fixture(scope="module")
def papers():
    return report_on(FINE_CLASSES)


def test_the_numbers_of_the_paper_agree_with_each_other():
    assert sum(FINE_CLASSES.values()) == 2854
    assert tuple(TABLE_5) == (*PAPER_SUPER_CLASSES, "Overall")
    # Overall is the mean over all species.
    weights = np.array(list(FINE_CLASSES.values()))
    rows = np.array([TABLE_5[name] for name in PAPER_SUPER_CLASSES])
    assert weights @ rows / weights.sum() == pytest.approx(TABLE_5["Overall"], abs=0.07)
    assert TABLE_6["species", "species"] == TABLE_5["Overall"][METRICS.index("AP")]


@pytest.mark.usefixtures("undrawn")
def test_the_papers_rows_stand_beside_ours(papers, tmp_path):
    papers.save(tmp_path)
    table5 = read_csv(tmp_path / "table5_paper.csv")
    assert [row["super_class"] for row in table5] == [*PAPER_SUPER_CLASSES, "Overall"]
    assert (table5[2]["paper_AP"], table5[2]["paper_AR10"]) == ("21.3", "44.8")
    assert float(table5[-1]["AP"]) == pytest.approx(papers.table5["Overall"].AP)
    assert float(table5[-1]["AR1"]) == pytest.approx(papers.table5["Overall"].AR1)
    table6 = {
        (row["trained_on"], row["evaluated_on"], row["merge"]): row
        for row in read_csv(tmp_path / "table6_paper.csv")
    }
    assert len(table6) == len(papers.table6)
    for rule in ("none", "nms"):
        row = table6["species", "super", rule]
        assert row["paper_AP"] == "55.6"
        assert float(row["AP"]) == pytest.approx(papers.table6["species", "super", rule].AP)
    assert table6["super", "generic", "none"]["paper_AP"] == "76.7"
    assert "Van Horn" in papers.markdown()
    assert "Table 6 beside the paper's" in (tmp_path / "report.html").read_text().replace(
        "&#39;", "'"
    )


def test_each_measure_stands_beside_the_same_one_of_the_paper(papers):
    table = papers.table5_paper
    for row in table:
        cells = dict(zip(table.columns, row))
        ours = papers.table5[cells["super_class"]].values
        assert [cells[name] for name in METRICS] == pytest.approx(list(ours), nan_ok=True)
        paper = tuple(cells[f"paper_{name}"] for name in METRICS)
        assert paper == TABLE_5[cells["super_class"]]


@pytest.mark.parametrize(
    "numbers",
    [
        FINE_CLASSES | {"Aves": 963},
        FINE_CLASSES | {"Aves": 963, "Insecta": 1022},  # as many in all
        {("Pisces" if name == "Actinopterygii" else name): n for name, n in FINE_CLASSES.items()},
        FINE_CLASSES | {"Plantae": 1},
    ],
)
def test_other_datasets_are_told_apart(numbers):
    assert not is_inat2017(categories_of(numbers))
    assert is_inat2017(categories_of(FINE_CLASSES))


@pytest.mark.usefixtures("undrawn")
def test_other_reports_are_silent(tmp_path):
    found = report_on({"Aves": 3, "Insecta": 2})
    found.save(tmp_path)
    assert not {path.name for path in tmp_path.iterdir()} & FILES
    assert "paper_AP" not in found.markdown()
    assert len(found.table5_paper) == len(found.table6_paper) == 0


def test_without_a_species_model_the_species_are_not_known(papers):
    results = dataclasses.replace(papers.results, per_class=(), table5=())
    found = dataclasses.replace(papers, results=results)
    assert len(found.table5_paper) == len(found.table6_paper) == 0
