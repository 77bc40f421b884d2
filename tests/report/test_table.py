import csv

import numpy as np

from inatdet.evaluation.average_precision import OVERALL
from inatdet.evaluation.resampling import Estimate
from inatdet.report.table import Table

TABLE = Table(
    ("super_class", "classes", "AP"),
    (
        ("Aves & Co_1", 1234, Estimate(50.04, 1.0)),
        ("100%", 2, float("nan")),
        (OVERALL, 3, 7.25),
    ),
)


def test_on_a_screen():
    assert str(TABLE).splitlines() == [
        "super_class  classes          AP",
        "Aves & Co_1    1,234  50.0 ± 2.0",
        "100%               2           -",
        "Overall            3         7.2",
    ]


def test_in_latex():
    assert TABLE.latex().splitlines() == [
        r"% needs \usepackage{booktabs}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"super\_class & classes & AP \\",
        r"\midrule",
        r"Aves \& Co\_1 & 1,234 & 50.0 $\pm$ 2.0 \\",
        r"100\% & 2 & - \\",
        r"\midrule",
        r"Overall & 3 & 7.2 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_saved_in_full_precision(tmp_path):
    TABLE.to_csv(tmp_path / "t.csv")
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [
        ["Aves & Co_1", "1234", "50.04"],
        ["100%", "2", ""],
        ["Overall", "3", "7.25"],
    ]


def test_an_estimate_without_a_known_error_is_a_number():
    table = Table(("a",), ((Estimate(1.0, np.nan),),))
    assert str(table).splitlines()[1].strip() == "1.0"
