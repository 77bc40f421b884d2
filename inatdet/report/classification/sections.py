"""The sections of a report on classifiers; see `sections`.

Their files have other names than those of detection's report, so that both can be in one folder:
tables and figures of the paper are called by their numbers, all else begins with classification_.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inatdet.evaluation.average_precision import OVERALL
from inatdet.evaluation.calibration import SCORE_BINS
from inatdet.evaluation.classification.accuracy import ClassRow, Table3Row
from inatdet.evaluation.classification.confidence import ConfidenceRow
from inatdet.evaluation.classification.confusions import ConfusionRow
from inatdet.evaluation.classification.coverage import CoverageRow, LeftOut
from inatdet.evaluation.classification.ladder import LadderRow
from inatdet.evaluation.classification.mistakes import MistakeRow
from inatdet.evaluation.classification.results import Results
from inatdet.evaluation.classification.super_classes import Table4Row
from inatdet.evaluation.classification.training import BoxRow, FrequencyAccuracyRow
from inatdet.report.classification import in_words
from inatdet.report.classification.figures import FIGURE_5, LADDER, RELIABILITY
from inatdet.report.classification.paper import beside_table4, table3_in_papers_layout
from inatdet.report.classification.tables import (
    SHOWN_CONFUSIONS,
    comparison_table,
    first_confusions,
    interval_table,
    mistake_table,
    short_comparison_table,
)
from inatdet.report.section import Section
from inatdet.report.table import Table


def _section(
    name: str, heading: str, table: Callable[[Results], Table[Any]], note: str = "", **more: Any
) -> Section[Results]:
    """A section whose files do not bear the name of one of detection's."""
    return Section(name, heading, table, note, file=f"classification_{name}", **more)


SECTIONS: tuple[Section[Results], ...] = (
    Section(
        "table3",
        "Table 3: accuracy of each model",
        lambda results: Table.of(Table3Row, results.table3),
        "Percent. top1 is the share of images whose best label is the true one, at the level of "
        "the model's own labels; in top5 it is among the best five. An image without a prediction "
        "is wrong. class_top1 and class_top5 are means over the labels with an image, which count "
        "the same however many images they have.",
        link="Table 3",
        on_screen=True,
        answer=in_words.accuracy,
    ),
    Section(
        "table3_paper",
        "Table 3 in the paper's layout",
        table3_in_papers_layout,
        "Percent of the images of each split. Rows that end in (paper), on iNat2017 alone, are "
        "from Table 3 of Van Horn et al., The iNaturalist Species Classification and Detection "
        "Dataset, 2018: networks trained on the training images and tested on one centred crop.",
        link="Splits",
    ),
    Section(
        "table4",
        "Table 4: accuracy by super-class",
        lambda results: Table.of(Table4Row, results.table4),
        "Percent. Accuracies are computed for each species and averaged over the species of each "
        f"super-class that have an image; {OVERALL} is the mean over all of them. "
        "mean_train_images is the mean number of training images of a species.",
        link="Table 4",
        on_screen=True,
        answer=in_words.super_classes,
        no_percent=frozenset({"mean_train_images"}),
    ),
    Section(
        "table4_paper",
        "Table 4 beside the paper's",
        beside_table4,
        "Columns that begin with paper_ are from Table 4 of the paper, as this is its dataset: of "
        "Inception-ResNet-V2 with squeeze and excitation, on the public test images.",
        link="Paper, 4",
        no_percent=frozenset({"mean_train_images", "paper_mean_train_images"}),
    ),
    Section(
        "figure5",
        "Figure 5: accuracy by number of training images",
        lambda results: Table.of(BoxRow, results.by_training),
        "Percent. Top-1 accuracy per species, over the species with that many training images and "
        "an image in the split. A quarter of them is not above lower_quartile, a quarter not below "
        "upper_quartile.",
        link="Training images",
        figure=FIGURE_5,
    ),
    _section(
        "frequency",
        "Rare, common and frequent species",
        lambda results: Table.of(FrequencyAccuracyRow, results.frequency),
        "Percent; means over the species of each frequency that have an image. By default rare is "
        "up to 10 training images, common up to 100 and frequent more, as in LVIS.",
        link="Frequency",
    ),
    _section(
        "ladder",
        "The ladder: accuracy at every rank",
        lambda results: Table.of(LadderRow, results.ladder),
        "Percent of the images whose category has a label at the level. rule says where the best "
        "label comes from: own, the model's; mapped, what its own best label lies in; summed, the "
        "best of the probabilities that the model summed over all labels that lie in each coarser "
        "one. gain is by how many percent points summing is better than mapping.",
        link="Ladder",
        answer=in_words.ladder,
        figure=LADDER,
        no_percent=frozenset({"gain"}),
    ),
    _section(
        "mistakes",
        "How far off mistakes are",
        lambda results: Table.of(MistakeRow, results.mistakes),
        "In levels. The height of two labels is how many levels above them the first one is that "
        "contains both: 0 the same label, greatest_height nothing in common but being alive. "
        "severity is the mean height over the images whose best label is wrong; distance1, "
        "distance5 and distance20 are means over the best 1, 5 and 20 labels of all images, right "
        "ones included (Bertinetto et al., Making Better Mistakes, 2020). A missing label has the "
        "greatest height.",
        link="Mistakes",
        excerpt=lambda results: mistake_table(results.mistakes),
        in_percent=False,
    ),
    _section(
        "confusions",
        "Most frequent confusions",
        lambda results: Table.of(ConfusionRow, results.confusions),
        f"The {SHOWN_CONFUSIONS} most frequent of each model; share is in percent of the images of "
        "the true label. shared_level is the finest level at which both have the same label.",
        link="Confusions",
        excerpt=lambda results: first_confusions(results.confusions),
    ),
    _section(
        "calibration",
        "Calibration: whether probabilities are what they say",
        lambda results: Table.of(ConfidenceRow, results.calibration),
        f"Percent. Images in {SCORE_BINS} bins by the probability of their best label, of equal "
        "width. In a calibrated model, top1 is the mean confidence in every bin; in an "
        "over-confident one it is lower. ECE, the expected calibration error, is the distance "
        "between the two, averaged over bins by their number of images; MCE is the largest in any "
        "bin, however few images that has. Images without a prediction play no part. At coarser "
        "levels only summed probabilities are judged: that of a species is not meant to be that of "
        "its genus.",
        link="Calibration",
        answer=in_words.calibration,
        figure=RELIABILITY,
    ),
    _section(
        "comparisons",
        "Models tested against each other",
        lambda results: comparison_table(results.comparisons),
        "Percent and percent points; second minus first, paired by image. first_alone and "
        "second_alone count the images about which only that model is right; their p-value is that "
        "of McNemar's exact test. Means over labels (class_top1, class_top5) have an interval and "
        "a p-value only with random halves of the images. Models of two levels are compared at the "
        "coarser one.",
        link="Tests",
        excerpt=lambda results: short_comparison_table(results.comparisons),
        answer=in_words.comparisons,
        no_percent=frozenset({"difference"}),
    ),
    _section(
        "coverage",
        "Images and predictions",
        lambda results: Table.of(CoverageRow, results.coverage),
        "images counts those of the split whose category has a label at the model's level. Of "
        "them, those without_prediction count as wrong. not_in_truth are predictions for images of "
        "no split, which are ignored; fewer_than_5 are images with fewer than five labels, "
        "although others have as many.",
        link="Images",
    ),
    _section(
        "left_out",
        "What is left out, and why",
        lambda results: Table.of(LeftOut, results.left_out),
        "Numbers that a model does not have here.",
        link="Left out",
    ),
    _section(
        "per_class",
        "Every class",
        lambda results: Table.of(ClassRow, results.per_class),
        "Percent.",
        link="Classes",
        in_text=False,
    ),
    _section("intervals", "95% intervals", interval_table, in_text=False),
)
"""All sections, in the order in which the report shows them. One without rows is left out."""
