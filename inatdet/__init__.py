"""Detecting and naming thousands of species in photographs: the iNaturalist 2017 benchmark.

The public names, for notebooks and scripts; everything else may change between versions:

    truth = inatdet.read_annotations("val_2017_bboxes.json", taxonomy="taxonomy.json")
    found = inatdet.read_detections("species.parquet", truth)
    results = inatdet.evaluate(truth, [found], resamples=200)
    results.table5                                    # a table in a notebook
    results.table6["species", "super", "nms"].AP      # a number, with .std_err and .margin
    results.plot_curves()                             # a Matplotlib figure
    results.likely_wrong_labels                       # true boxes that the model contradicts
    results.save("report")                            # every file of `inatdet evaluate`

Ranks such as genus are levels like species, super and generic where categories name them:

    truth = inatdet.read_annotations("val_2017_bboxes.json", genus_from_names=True)
    truth.taxonomy.levels                             # from fine to coarse; `misfits` are not
    results = inatdet.evaluate(truth, [found], levels=["species", "genus", "super"])
    results.table6["species", "genus", "nms"].AP

A dataset, before anything is trained on it:

    train = inatdet.read_annotations("train_2017_bboxes.json")
    labels = inatdet.read_image_labels("train2017.json")
    inatdet.statistics(train, truth, train_labels=labels).table2["Aves"].train_images

Classifiers say what an image shows as a whole, ranked by probability:

    labels = inatdet.read_image_labels("val2017.json")
    predictions = inatdet.read_predictions("inception_v3.parquet", labels)
    predictions.own.labels                            # the best ones of each image
    results = inatdet.evaluate_predictions(labels, {"inception_v3": predictions})
    results.table3["inception_v3", "val"].top5        # a number
    results.plot_figure5()                            # a Matplotlib figure

Each name is loaded when it is first used, so that `import inatdet` takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from inatdet.version import VERSION

if TYPE_CHECKING:
    from inatdet.data.annotations import Annotations, Image
    from inatdet.data.categories import Category
    from inatdet.data.checking import OnBad
    from inatdet.data.detections import Detections
    from inatdet.data.formats.image_labels import read_image_labels
    from inatdet.data.formats.observers import read_observers
    from inatdet.data.formats.reading import read_annotations, read_detections, read_predictions
    from inatdet.data.formats.writing import (
        write_annotations,
        write_detections,
        write_predictions,
    )
    from inatdet.data.granularity import Granularity
    from inatdet.data.image_labels import ImageLabels
    from inatdet.data.predictions import Predictions
    from inatdet.data.taxonomy import Taxonomy
    from inatdet.errors import InputError
    from inatdet.evaluation.average_precision import Engine
    from inatdet.evaluation.granularities import Merge
    from inatdet.evaluation.resampling import Estimate
    from inatdet.report.classification.comparison import (
        ClassifierComparison,
        compare_predictions,
    )
    from inatdet.report.classification.evaluating import evaluate_predictions
    from inatdet.report.classification.report import ClassificationReport
    from inatdet.report.comparison import ComparisonReport, compare
    from inatdet.report.report import Report, evaluate
    from inatdet.report.statistics import StatisticsReport, statistics
    from inatdet.report.table import Table

__version__ = VERSION

__all__ = [
    "Annotations",
    "Category",
    "ClassificationReport",
    "ClassifierComparison",
    "ComparisonReport",
    "Detections",
    "Engine",
    "Estimate",
    "Granularity",
    "Image",
    "ImageLabels",
    "InputError",
    "Merge",
    "OnBad",
    "Predictions",
    "Report",
    "StatisticsReport",
    "Table",
    "Taxonomy",
    "__version__",
    "compare",
    "compare_predictions",
    "evaluate",
    "evaluate_predictions",
    "read_annotations",
    "read_detections",
    "read_image_labels",
    "read_observers",
    "read_predictions",
    "statistics",
    "write_annotations",
    "write_detections",
    "write_predictions",
]

_MODULES = {
    "Annotations": "inatdet.data.annotations",
    "Category": "inatdet.data.categories",
    "ClassificationReport": "inatdet.report.classification.report",
    "ClassifierComparison": "inatdet.report.classification.comparison",
    "ComparisonReport": "inatdet.report.comparison",
    "Detections": "inatdet.data.detections",
    "Engine": "inatdet.evaluation.average_precision",
    "Estimate": "inatdet.evaluation.resampling",
    "Granularity": "inatdet.data.granularity",
    "Image": "inatdet.data.annotations",
    "ImageLabels": "inatdet.data.image_labels",
    "InputError": "inatdet.errors",
    "Merge": "inatdet.evaluation.granularities",
    "OnBad": "inatdet.data.checking",
    "Predictions": "inatdet.data.predictions",
    "Report": "inatdet.report.report",
    "StatisticsReport": "inatdet.report.statistics",
    "Table": "inatdet.report.table",
    "Taxonomy": "inatdet.data.taxonomy",
    "compare": "inatdet.report.comparison",
    "compare_predictions": "inatdet.report.classification.comparison",
    "evaluate": "inatdet.report.report",
    "evaluate_predictions": "inatdet.report.classification.evaluating",
    "read_annotations": "inatdet.data.formats.reading",
    "read_detections": "inatdet.data.formats.reading",
    "read_image_labels": "inatdet.data.formats.image_labels",
    "read_observers": "inatdet.data.formats.observers",
    "read_predictions": "inatdet.data.formats.reading",
    "statistics": "inatdet.report.statistics",
    "write_annotations": "inatdet.data.formats.writing",
    "write_detections": "inatdet.data.formats.writing",
    "write_predictions": "inatdet.data.formats.writing",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'inatdet' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
