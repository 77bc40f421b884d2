"""The sections of a report: one list, from which every form of the report is made.

The files, the page, the Markdown text, what is printed, and the tables of the Python API all follow
`SECTIONS`. To add a section, compute its rows in `inatdet.evaluation`, add them to `Results`, and
add an entry here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inatdet.evaluation.ancestors import AncestorRow
from inatdet.evaluation.average_precision import OVERALL
from inatdet.evaluation.breakdowns import SizeRow, TrainingRow
from inatdet.evaluation.calibration import SCORE_BINS, CalibrationRow
from inatdet.evaluation.confusions import Confusion, HierarchyRow
from inatdet.evaluation.error_kinds import ErrorRow
from inatdet.evaluation.fixed import FixedRow
from inatdet.evaluation.frequency import FrequencyRow
from inatdet.evaluation.granularities import MERGE_IOU, GapRow, Table6Row
from inatdet.evaluation.proposals import ProposalRow
from inatdet.evaluation.results import Results
from inatdet.evaluation.super_classes import PerClassRow, Table5Row
from inatdet.evaluation.unseen import RECALL, NamingRow, UnseenRow
from inatdet.report import calibration_in_words, label_errors, ladder_in_words
from inatdet.report.calibration import RELIABILITY
from inatdet.report.curves import CURVES
from inatdet.report.label_pictures import PICTURED
from inatdet.report.ladder import LADDER
from inatdet.report.layouts import (
    cost_table,
    frequency_table,
    interval_table,
    table6_matrix,
    unseen_table,
)
from inatdet.report.paper import beside_table5, beside_table6
from inatdet.report.section import Section, with_rows
from inatdet.report.table import Table

_SHOWN_CONFUSIONS = 20


SECTIONS: tuple[Section[Results], ...] = (
    Section(
        "table5",
        "Table 5: the species model, by super-class",
        lambda results: Table.of(Table5Row, results.table5),
        "Percent. A super-class's row is the mean over its fine classes with ground truth; "
        f"{OVERALL} is the mean over all of them, not over the rows.",
        link="Table 5",
        on_screen=True,
        figure=CURVES,
    ),
    Section(
        "table5_paper",
        "Table 5 beside the paper's",
        beside_table5,
        "Percent. Columns that begin with paper_ are from Table 5 of Van Horn et al., The "
        "iNaturalist Species Classification and Detection Dataset, 2018, as these annotations are "
        "of that dataset; the others are this report's.",
        link="Paper, 5",
    ),
    Section(
        "table6",
        "Table 6: training and evaluating at different granularities",
        lambda results: Table.of(Table6Row, results.table6),
        "Percent. merge says what happened to a finer model's detections when their labels were "
        "made coarser: none, nothing; nms, class-wise suppression was repeated at IoU "
        f"{MERGE_IOU}; marginal, the detector summed the probabilities of each coarse label's "
        "finer ones on its proposals and suppressed once, at the coarse level.",
        link="Table 6",
        on_screen=True,
        heat_map=True,
    ),
    Section(
        "table6_ap",
        "Table 6 in the paper's layout",
        lambda results: table6_matrix(results.table6),
        "AP in percent; one row per model and merge rule, one column per granularity.",
    ),
    Section(
        "table6_paper",
        "Table 6 beside the paper's",
        beside_table6,
        "Percent. paper_AP is from the paper's Table 6, which does not say what happened to "
        "duplicates, so each way of merging stands beside the same number.",
        link="Paper, 6",
    ),
    Section(
        "gap",
        "Gap recovered by merging",
        lambda results: Table.of(GapRow, results.gaps),
        "A fine model's AP at a coarser level, compared with that of the model trained there. "
        "gap_closed is the share of the gap between that model and the fine model with nothing "
        "merged, in percent.",
        link="Merging",
        on_screen=True,
    ),
    Section(
        "fixed",
        "AP-Fixed and AP-Pool: without a limit per image",
        lambda results: Table.of(FixedRow, results.fixed),
        "Percent. AP_fixed has no limit per image: it counts the best detections of each class "
        "over all images. AP_pool puts these of all classes into one ranking, and so asks whether "
        "scores of different classes can be compared (Dave et al., Evaluating Large-Vocabulary "
        "Object Detectors, 2021); with one class both are the same. detections is how many were "
        "counted, per_class the median over the classes, full_classes how many classes have as "
        "many as may count, which the protocol states. AP limits detections of each image and "
        "class alone. But if the file has only the best detections of each image, classes compete "
        "for places, in AP_fixed as in AP: inatdet detect --most_per_class writes one in which "
        "they do not.",
        link="AP-Fixed",
        on_screen=True,
    ),
    Section(
        "ladder",
        "The ladder: AP at every rank",
        lambda results: Table.of(Table6Row, results.ladder),
        "Percent. Every model at its own level and all coarser ones, as in Table 6, for all ranks "
        "that form a ladder: each label of a level lies in one label of the next. Where AP rises "
        "at a step, labels that the coarser level joins had been taken for each other; where it "
        "falls, animals found under several finer labels became duplicates, which merging drops. "
        "Besides, each level has a mean over other labels.",
        link="Ladder",
        answer=ladder_in_words.in_words,
        figure=LADDER,
    ),
    Section(
        "by_training",
        "The species model, by number of training images",
        lambda results: Table.of(TrainingRow, results.by_training),
        "Percent; means over the species with that many training images, as in the paper's "
        "Figure 5.",
        link="Training images",
    ),
    Section(
        "frequency",
        "Rare, common and frequent species",
        lambda results: Table.of(FrequencyRow, results.frequency),
        "Percent. The species model on species with few, more and many training images, by default "
        "in LVIS's bins: up to 10, up to 100, and more (Gupta et al., LVIS: A Dataset for Large "
        "Vocabulary Instance Segmentation, 2019). AP is the mean over these species. The last five "
        "columns are about all detections that are named as one of them; the next section explains "
        "them. The file has the other measures too.",
        link="Frequency",
        excerpt=lambda results: frequency_table(results.frequency),
    ),
    Section(
        "calibration",
        "Calibration: whether scores are probabilities",
        lambda results: Table.of(CalibrationRow, results.calibration),
        f"Percent. Detections in {SCORE_BINS} bins of scores of equal width, all classes together, "
        "the best 100 of each image and class. precision is the share that is right, "
        "matched with a true box of their class at IoU .5 as for AP50, so that a duplicate is "
        "wrong. In a calibrated model it is the mean score of every bin; in an over-confident one "
        "it is lower. ECE, the expected calibration error, is the distance between the two, "
        "averaged over bins by their number of detections; MCE, the maximum calibration error, is "
        "the largest in any bin, however few detections that has (Naeini et al., Obtaining Well "
        "Calibrated Probabilities Using Bayesian Binning, 2015). Most detections have low scores, "
        "and these decide ECE; the diagrams show those with higher scores as well. Animals that "
        "are not found play no part.",
        link="Calibration",
        answer=calibration_in_words.in_words,
        figure=RELIABILITY,
    ),
    Section(
        "sizes",
        "By size",
        lambda results: Table.of(SizeRow, results.sizes),
        "Percent; each model at its own granularity. COCO's sizes: small up to 32², medium up to "
        "96² square pixels, by the area in the annotations (in iNat2017, half the box).",
        link="Sizes",
    ),
    Section(
        "proposals",
        "Recall of proposals",
        lambda results: Table.of(ProposalRow, results.proposals),
        "Percent. The share of the true boxes, of whatever class, that are among the best "
        "proposals of their image; most says how many of these count. AR50 is recall at IoU .5, AR "
        "the mean over .5 to .95. What the first stage does not propose, the second cannot find. "
        "Sizes are COCO's.",
        link="Proposals",
        on_screen=True,
    ),
    Section(
        "errors",
        "Kinds of error",
        lambda results: Table.of(ErrorRow, results.errors),
        "Each model at each granularity, nothing merged, in the images with an animal of each "
        "super-class. AP50, and by how many points it would rise if all errors of one of TIDE's "
        "kinds were fixed; these do not add up. The file also has the number of errors of each "
        "kind.",
        link="Errors",
        excerpt=lambda results: cost_table(results.errors),
    ),
    Section(
        "hierarchy",
        "Severity of misclassifications",
        lambda results: Table.of(HierarchyRow, results.hierarchy),
        "For each true box, the best-scored detection at IoU .5 or more, whatever its label: the "
        "right species, another species of the right super-class, a species of another "
        "super-class, or no detection; in percent of the boxes. hierarchical_error is the mean, "
        "over the boxes found, of how many levels above the species the answer and the truth meet, "
        "in percent of all levels above the species: 0 the species, 100 any animal.",
        link="Severity",
    ),
    Section(
        "ancestors",
        "At which rank answers are right",
        lambda results: Table.of(AncestorRow, results.ancestors),
        "The same answers, by the finest level at which each has the label of its true box: where "
        "the lowest common ancestor of the named and the true species stands (Bertinetto et al., "
        "Making Better Mistakes, 2020). height is the number of levels that it stands above the "
        "species, boxes and share how many true boxes have such an answer, share in percent of all "
        "true boxes; right adds up the shares from the species to here, and what it lacks of 100 "
        "at the coarsest level was not found.",
        link="Ranks",
    ),
    Section(
        "confusions",
        "Most frequent confusions",
        lambda results: Table.of(Confusion, results.confusions),
        f"The {_SHOWN_CONFUSIONS} most frequent; share is in percent of the species' true boxes. "
        "shared_level is the finest level at which the two species have the same label.",
        link="Confusions",
        excerpt=lambda results: Table.of(Confusion, results.confusions[:_SHOWN_CONFUSIONS]),
    ),
    Section(
        "unseen",
        "Species never seen",
        lambda results: Table.of(UnseenRow, results.unseen),
        "What the species model does with animals of listed species that it has no label for. "
        "unseen_boxes is how many true boxes they have, unseen_found the share of these on which "
        "there is a detection at IoU .5 or more, "
        "whatever its label: recall of the unknown (U-Recall; Joseph et al., Towards Open World "
        "Object Detection, 2021); seen_found is the same for species with a label. AUROC is the "
        "probability, in percent, that the answer on a seen animal has a higher score than that on "
        "an unseen one: 100 means that a threshold tells them apart, 50 that the score says "
        "nothing. The rest counts detections from score on (0 to 1), the highest at which "
        f"{100 * RECALL:.0f}% of the seen boxes are answered with the right species, or as many as "
        "ever are: recall says how many. wilderness_impact is by how many percent "
        "detections on unseen animals lower precision there (Dhamija et al., The Overlooked "
        "Elephant of Object Detection: Open Set, 2020), and open_set_error how many unseen animals "
        "are called a species that was seen (absolute open-set error; Joseph et al., 2021).",
        link="Unseen",
        excerpt=lambda results: unseen_table(results.unseen),
    ),
    Section(
        "naming",
        "What species never seen are called",
        lambda results: Table.of(NamingRow, results.naming),
        "Whether the species model's answer is right at coarser levels, although it has no label "
        "for the species. unseen_boxes counts the true boxes of unseen species whose label at the "
        "level is known from a seen species; unseen_right is the share of them that are answered "
        "with it, in percent, and seen_right the same of the boxes of seen species.",
        link="Naming",
    ),
    Section(
        PICTURED,
        "Likely wrong labels",
        label_errors.wrong_labels,
        label_errors.WRONG_LABELS,
        link="Labels",
        excerpt=lambda results: label_errors.first_of(label_errors.wrong_labels(results)),
        answer=label_errors.wrong_labels_in_words,
    ),
    Section(
        "likely_misplaced_boxes",
        "Likely misplaced boxes",
        label_errors.misplaced_boxes,
        label_errors.MISPLACED_BOXES,
        link="Places",
        excerpt=lambda results: label_errors.first_of(label_errors.misplaced_boxes(results)),
        answer=label_errors.misplaced_boxes_in_words,
    ),
    Section(
        "likely_missing_boxes",
        "Likely missing boxes",
        label_errors.missing_boxes,
        label_errors.MISSING_BOXES,
        link="Missing",
        excerpt=lambda results: label_errors.first_of(label_errors.missing_boxes(results)),
        answer=label_errors.missing_boxes_in_words,
    ),
    Section(
        "per_class",
        "Every species",
        lambda results: Table.of(PerClassRow, results.per_class),
        "Percent.",
        link="Species",
        in_text=False,
    ),
    Section("intervals", "95% intervals", interval_table, in_text=False),
)
"""All sections, in the order in which reports show them. One without rows is left out."""


def filled(results: Results) -> Iterator[tuple[Section[Results], Table[Any]]]:
    """The sections that have rows in these results, each with its whole table."""
    return with_rows(SECTIONS, results)
