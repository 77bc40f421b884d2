"""The report on classifiers: its tables, its files and its page."""

import json
import math

import numpy as np
import pytest
from PIL import Image as PILImage

import inatdet
from inatdet.data.categories import Category
from inatdet.data.image_labels import ImageLabels
from inatdet.datasets.inat2017 import FINE_CLASSES, IMAGES, WITHOUT_BOXES
from inatdet.errors import InputError
from inatdet.evaluation.classification.guesses import Rule
from inatdet.report.classification.figures import FIGURE_5
from inatdet.report.classification.paper import SPLITS, TABLE_3, TABLE_4
from inatdet.report.classification.sections import SECTIONS
from inatdet.report.section import optional_files
from inatdet.report.sections import SECTIONS as OF_DETECTION
from tests.detection_files import read_csv
from tests.prediction_files import CATEGORIES, labels_of, predictions_of, ranks_of
from tests.report.test_page import read

STRANGE = "net <b>"


@pytest.fixture(scope="module")
def truths():
    rng = np.random.default_rng(0)
    return {
        "val": labels_of(rng.integers(0, 12, 90)),
        "public_test": labels_of(rng.integers(0, 12, 40), 1000, "public.json"),
    }


@pytest.fixture(scope="module")
def report(truths):
    """Two models, of which the second has predictions for one split only; with intervals."""
    rng = np.random.default_rng(1)
    val, test = truths.values()
    both = [predictions_of(rng, val, 2.5), predictions_of(rng, test, 2.5, name="b.parquet")]
    return inatdet.evaluate_predictions(
        truths,
        {"good": both, STRANGE: predictions_of(rng, val, 1.0, name="c.parquet")},
        training=labels_of(np.repeat(np.arange(12), np.arange(0, 60, 5))),
        resamples=20,
    )


def top(truth, found, k):
    """The share of images that have the true category among the best k, in percent."""
    names = found.taxonomy.species
    right = [
        category in [names[label - 1].id for label in row[:k]]
        for category, row in zip(truth.category_ids.tolist(), found.own.labels.tolist())
    ]
    return 100 * sum(right) / len(right)


def test_the_tables_are_attributes(report, truths):
    given = report.given.predictions
    for split, truth in truths.items():
        row = report.table3["good", split]
        assert row.top1 == pytest.approx(top(truth, given["good"][split], 1))
        assert row.top5 == pytest.approx(top(truth, given["good"][split], 5))
        assert row.top1.margin > 0
    assert report.table4["good", "Aves"].species == 4
    assert report.table4["good", "Overall"].mean_train_images == pytest.approx(27.5)
    assert report.ladder["good", "genus", "mapped"].top1 >= report.table3["good", "val"].top1
    assert report.figure5[STRANGE, "0"].species == 1
    assert report.frequency["good", "rare"].species == 2
    assert report.mistakes["good"].greatest_height == 3
    assert report.per_class["good", "3"].train_images == 5
    assert report.coverage["good", "public_test"].images == 40
    assert "no predictions" in report.left_out[STRANGE, "public_test", "all"].reason
    assert len(report.comparisons) == 5
    assert len(report.table4_paper) == 0
    assert {section.name for section in SECTIONS} <= set(dir(report))
    assert report.warnings == ()
    with pytest.raises(AttributeError, match="no 'table7'"):
        report.table7  # noqa: B018


def test_several_splits_in_the_papers_layout(report):
    table = report.table3_paper
    assert table.columns == (
        "model", "val_top1", "val_top5", "public_test_top1", "public_test_top5"
    )  # fmt: skip
    assert table.rows[0][3] == report.table3["good", "public_test"].top1
    assert table.rows[1][0] == STRANGE
    assert all(math.isnan(cell) for cell in table.rows[1][3:])


@pytest.mark.usefixtures("undrawn")
def test_every_file(report, tmp_path):
    report.save(tmp_path, latex=True)
    names = {path.name for path in tmp_path.iterdir()}
    filled = {section.stem for section, _ in report.filled}
    assert filled == {section.stem for section in SECTIONS} - {"table4_paper"}
    assert names == {
        *(f"{name}{ending}" for name in filled for ending in (".csv", ".tex")),
        "figure5.png", "classification_ladder.png", "classification_reliability.png",
        "classification_reliability.csv", "classification.html", "classification.json",
        "classification.md",
    }  # fmt: skip
    rows = read_csv(tmp_path / "table3.csv")
    assert [(row["model"], row["split"]) for row in rows] == [
        ("good", "val"), (STRANGE, "val"), ("good", "public_test"),
    ]  # fmt: skip
    assert float(rows[0]["top1"]) == pytest.approx(report.table3["good", "val"].top1)
    assert (
        "\\midrule\nnet \\textless{}b\\textgreater{} & Overall"
        in (tmp_path / "table4.tex").read_text()
    )
    intervals = {
        (row["table"], row["measure"])
        for row in read_csv(tmp_path / "classification_intervals.csv")
    }
    assert {("table3", "top5"), ("ladder", "gain"), ("calibration", "ECE")} <= intervals
    record = json.loads((tmp_path / "classification.json").read_text())
    assert [one["splits"] for one in record["predictions"]] == [["val"], ["public_test"], ["val"]]
    assert record["results"]["table3"][0]["top1"]["margin_95"] > 0
    assert record["results"]["ladder"][0]["rule"] == str(Rule.OWN)
    assert "taxonomy" not in record["results"]


def test_no_file_has_the_name_of_one_of_the_report_on_detections():
    assert not optional_files(SECTIONS) & optional_files(OF_DETECTION)


@pytest.mark.usefixtures("undrawn")
def test_the_page(report, tmp_path):
    report.save(tmp_path, beside=[report])
    page = (tmp_path / "classification.html").read_text("utf-8")
    found = read(page)
    text = " ".join(" ".join(found.text).split())
    assert len(found.ids) == len(set(found.ids))
    inside = {link.removeprefix("#") for link in found.links if link.startswith("#")}
    assert inside <= set(found.ids)
    assert {"table3", "figure5_drawn", "calibration"} <= inside
    assert "classification.html" in found.links
    assert "<b>net" not in page.replace("net &lt;b&gt;", "")
    for section, _ in report.filled:
        if section.link:
            assert section.heading in text
            for column in section.shown(report.results).columns:
                assert column in text
    for name, value in report.protocol():
        assert f"{name} {value}" in text
    # The number of species stands on each box; counts are no percentages, so they have no bars.
    assert page.count('class="chart boxes"') == 2
    table4 = page[page.index('id="table4"') : page.index('id="figure5"')]
    assert '<td class="number" data-value="27.5">27.5</td>' in table4


def test_markdown(report):
    text = report.markdown()
    assert text.startswith(
        "# Classification results\n\n90 images of val and 40 images of public_test; models: good"
    )
    assert "On val, good is the most accurate species model, right about" in text
    assert "good is more accurate than" in text
    assert "![Box plots of top-1 accuracy per species" in text
    assert "from 20 random halves" in text
    assert "classification_per_class.csv" in text


def test_what_is_printed(report):
    text = str(report)
    assert text == repr(report)
    assert "Table 3: accuracy of each model (percent)\nmodel" in text
    assert "Table 4: accuracy by super-class (percent)\nmodel" in text


def test_figure_5_shows_the_numbers_of_its_table(report, tmp_path):
    figure = report.plot_figure5()
    assert [axes.get_title() for axes in figure.axes] == ["good", STRANGE]
    rows = [row for row in report.results.by_training if row.model == "good"]
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == [r.train_images for r in rows]
    assert [text.get_text() for text in axes.texts] == [str(row.species) for row in rows]
    heights = [patch.get_path().vertices[:5, 1] for patch in axes.patches]
    for row, corners in zip(rows, heights, strict=True):
        assert min(corners) == pytest.approx(row.lower_quartile)
        assert max(corners) == pytest.approx(row.upper_quartile)
    shown = FIGURE_5.on_page(report.results)
    low, high = (shown["ticks"][place]["y"] for place in (0, -1))
    for row, box in zip(rows, shown["charts"][0]["boxes"], strict=True):
        assert box["count"] == str(row.species)
        value = 100 * (low - box["median"]) / (low - high)
        assert value == pytest.approx(row.median, abs=0.1)
    FIGURE_5.save(report.results, tmp_path / "figure5.png")
    assert (tmp_path / "figure5.png").read_bytes().startswith(b"\x89PNG")
    assert report.plot_calibration().axes
    assert report.plot_ladder().axes[0].lines


@pytest.mark.usefixtures("undrawn")
def test_what_predictions_do_not_say_is_left_out(truths, tmp_path):
    val = truths["val"]
    report = inatdet.evaluate_predictions(val, {"net": ranks_of(np.random.default_rng(2), val, 3)})
    report.save(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert not names & {
        "figure5.csv", "classification_calibration.csv", "classification_comparisons.csv",
        "classification_intervals.csv", "table3_paper.csv",
    }  # fmt: skip
    assert report.table3["net", "val"].top3 >= report.table3["net", "val"].top1
    assert report.table3["net", "val"].top5 is None
    assert read_csv(tmp_path / "table3.csv")[0]["top5"] == ""
    reasons = {row.what: row.reason for row in report.results.left_out}
    assert set(reasons) == {
        "top5", "distance5", "distance20", "calibration", "summed genus", "summed super",
    }  # fmt: skip
    assert "at most 3 labels" in reasons["top5"]
    text = (tmp_path / "classification.md").read_text()
    assert "without probabilities" in text
    assert "at most 3 labels" in text
    assert dict(report.protocol())["training images"].startswith("not known")
    assert not report.plot_figure5().axes[0].patches
    assert "among its best five" not in text


def test_a_super_class_model_has_no_table_4(truths):
    val = truths["val"]
    taxonomy = val.full_taxonomy
    best = [taxonomy.label_of_category("super")[c] for c in val.category_ids.tolist()]
    found = inatdet.Predictions.from_arrays(val.image_ids, best, None, "super", taxonomy=taxonomy)
    report = inatdet.evaluate_predictions(val, {"coarse": found}, training=val)
    assert len(report.table4) == len(report.figure5) == 0
    assert "trained on super labels" in report.left_out["coarse", "val", "table4"].reason
    assert "<h2" in report.page()


def test_examples_are_those_the_model_is_surest_about(truths, tmp_path):
    val = truths["val"]
    for image in val.images[1:]:
        PILImage.new("RGB", (60, 40), "gray").save(tmp_path / image.file_name)
    found = predictions_of(np.random.default_rng(3), val, 1.5)
    told = []
    report = inatdet.evaluate_predictions(
        val, {"net": found}, images_dir=tmp_path, notify=told.append
    )
    taxonomy = found.taxonomy
    by_choice = {}
    for picture in report.gallery:
        by_choice.setdefault(str(picture.chosen), []).append(picture)
    assert list(by_choice) == ["best", "worst", "random"]
    right = found.own.labels[:, 0] == [
        taxonomy.label_of_category("species")[c] for c in val.category_ids.tolist()
    ]
    sure = found.own.probabilities[:, 0].astype(float)
    for choice, wanted in (("best", right), ("worst", ~right)):
        expected = sorted(sure[1:][wanted[1:]], reverse=True)[:8]
        assert [p.confidence for p in by_choice[choice]] == pytest.approx(expected)
        assert all(picture.right == (choice == "best") for picture in by_choice[choice])
    page = read(report.page())
    assert len(page.sources) == len(report.gallery)
    assert "gallery" in page.ids
    with pytest.raises(InputError, match="nowhere: is not a folder"):
        inatdet.evaluate_predictions(val, {"net": found}, images_dir=tmp_path / "nowhere")


def test_missing_images_are_told_and_count_as_wrong(truths):
    val = truths["val"]
    found = predictions_of(np.random.default_rng(4), val).select(np.arange(80))
    told = []
    report = inatdet.evaluate_predictions(val, {"net": found}, notify=told.append)
    assert report.coverage["net", "val"].without_prediction == 10
    assert report.table3["net", "val"].images == 90
    message = "a.parquet: 10 of the 90 images of val have no prediction and count as wrong"
    assert told[0].startswith(f"warning: {message}")
    assert "10 images of val have no prediction" in dict(report.protocol())["net"]
    with pytest.raises(InputError, match=message):
        inatdet.evaluate_predictions(val, {"net": found}, strict=True)


@pytest.fixture(scope="module")
def papers():
    """A report on three images with the species of iNat2017."""
    numbers = {name: (FINE_CLASSES | WITHOUT_BOXES)[name] for name in IMAGES}
    names = [name for name, number in numbers.items() for _ in range(number)]
    categories = tuple(Category(i, f"Species {i}", name) for i, name in enumerate(names))
    first = labels_of([0, 1, 2])
    truth = ImageLabels("val2017.json", first.images, categories, np.array([0, 1, 2]))
    found = inatdet.Predictions.from_arrays(
        truth.image_ids, [[1, 2, 3, 4, 5]] * 3, taxonomy=truth.full_taxonomy
    )
    return inatdet.evaluate_predictions(truth, {"net": found})


def test_the_papers_rows_stand_beside_ours(papers):
    table = papers.table3_paper
    assert table.columns == ("model", *(f"{s}_{top}" for s in SPLITS for top in ("top1", "top5")))
    rows = {row[0]: row[1:] for row in table}
    assert rows["net"][0] == pytest.approx(100 / 3)
    assert rows["IncV3 (paper)"] == TABLE_3["IncV3"]
    assert len(rows) == 1 + len(TABLE_3)
    table4 = papers.table4_paper
    cells = {row[1]: dict(zip(table4.columns, row)) for row in table4}
    assert set(cells) == set(TABLE_4)
    assert cells["Plantae"]["top1"] == pytest.approx(100 / 3)
    assert cells["Plantae"]["paper_top1"] == 69.5
    assert cells["Protozoa"]["paper_top5"] == 96.0
    assert "Inception-ResNet-V2 with squeeze and excitation" in papers.markdown()


def test_the_papers_numbers_agree_with_its_other_tables():
    for name, (mean, *_) in TABLE_4.items():
        species = (FINE_CLASSES | WITHOUT_BOXES)[name]
        # Of Amphibia the paper prints the number of Animalia.
        if name != "Amphibia":
            assert mean == pytest.approx(IMAGES[name][0] / species, abs=0.051)
    # Table 4 is of the first row of Table 3, on the public test images; there are about as many of
    # each species.
    weights = np.array([(FINE_CLASSES | WITHOUT_BOXES)[name] for name in TABLE_4])
    top1, top5 = (np.array([row[i] for row in TABLE_4.values()]) for i in (1, 2))
    assert weights @ top1 / weights.sum() == pytest.approx(TABLE_3["IncResNetV2 SE"][2], abs=2)
    assert weights @ top5 / weights.sum() == pytest.approx(TABLE_3["IncResNetV2 SE"][3], abs=1)


def test_bad_ways_to_call(truths):
    val, test = truths.values()
    rng = np.random.default_rng(5)
    found = predictions_of(rng, val)
    for models, options, message in (
        ({}, {}, "there are no predictions"),
        ({"net": found}, {"split": "test"}, "there is no split 'test'"),
        ({"net": found}, {"frequency_bins": (9, 1)}, "frequency_bins=9,1"),
        ({"net": [found, found]}, {}, "both have images of the split val"),
        ({"net": [found, predictions_of(rng, labels_of([1], 7000), name="x")]}, {},
         "x: has none of the images of val.json, public.json"),
        ({"net": predictions_of(rng, labels_of([1], 7000), name="x")}, {}, "x: has none of the"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            inatdet.evaluate_predictions(truths, models, **options)
    assert len(CATEGORIES) == val.full_taxonomy.num_labels("species")
    with pytest.raises(ValueError, match="two models"):
        inatdet.compare_predictions(test, {"net": found})
