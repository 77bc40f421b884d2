"""Hand-made numbers of ladders, without an evaluation behind them."""

from types import SimpleNamespace

from inatdet.data.granularity import Granularity
from inatdet.evaluation.granularities import Merge, Table6Row, gap_rows
from inatdet.evaluation.resampling import Estimate

LABELS = {"species": 40, "genus": 20, "family": 10, "super": 3, "generic": 1}


def row(trained_on, evaluated_on, merge, value, std_err=None):
    """A row with an AP; the other measures are 1."""
    value = float(value) if std_err is None else Estimate(value, std_err)
    levels = Granularity(trained_on), Granularity(evaluated_on)
    return Table6Row(*levels, Merge(merge), (value, 1.0, 1.0, 1.0, 1.0))


def model(trained_on, merge, values, std_err=None):
    """The rows of one model and merge rule, from values by level."""
    return [row(trained_on, level, merge, value, std_err) for level, value in values.items()]


def results_of(rows, labels=None, gaps=None):
    """What figures and sentences read of results."""
    labels = LABELS if labels is None else labels
    counts = SimpleNamespace(classes={Granularity(k): v for k, v in labels.items()})
    gaps = gap_rows(rows) if gaps is None else gaps
    return SimpleNamespace(ladder=tuple(rows), gaps=gaps, counts=counts, curves=(), table6=())
