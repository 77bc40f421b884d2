"""The report of a dataset's statistics: its tables, its files and its page."""

import dataclasses
import json
import math

import numpy as np
import pytest

import inatdet
from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.image_labels import ImageLabels
from inatdet.data.rows import TOTAL
from inatdet.datasets.statistics.species import SpeciesRow
from inatdet.errors import InputError
from inatdet.report.statistics_figures import draw_species, images_per_species
from inatdet.report.statistics_paper import AREAS, TABLE_1, TABLE_2
from inatdet.report.statistics_sections import SECTIONS
from tests.dataset_files import report_of, write_dataset
from tests.detection_files import read_csv
from tests.report.test_page import read


@pytest.fixture
def folder(tmp_path):
    return write_dataset(tmp_path / "data")


@pytest.fixture
def report(folder):
    return report_of(folder)


def test_the_tables_are_attributes(report):
    assert report.table2["Aves"].train_images == 4
    assert report.table2["Plantae"].boxes == 0
    assert report.table2[TOTAL].boxes == 7
    assert report.table1.rows == (("this dataset", 6, 4, 3.0),)
    assert report.spread["val"].absent == 1
    assert report.boxes_per_image[TOTAL].more_than_one == pytest.approx(100 / 6)
    assert report.ranks["genus"].most == 2
    assert report.observers["train"].most == 3
    assert report.species["3"].train_images == 3
    assert len(report.table2_paper) == len(report.section3_paper) == 0
    assert {section.name for section in SECTIONS} <= set(dir(report))
    with pytest.raises(AttributeError, match="no 'table3'"):
        report.table3  # noqa: B018
    assert report.warnings == ()


def test_what_is_printed(report):
    text = str(report)
    assert text == repr(report)
    assert "Table 2: species, images and boxes, by super-class\nsuper_class" in text
    assert "Small, medium and large boxes (percent)\n" in text
    assert "Boxes per image\n" in text
    assert "<h4>Table 2" in report._repr_html_()


def test_every_file(report, tmp_path):
    report.save(tmp_path / "out", latex=True)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    filled = {section.name for section, _ in report.filled}
    assert filled == {section.name for section in SECTIONS} - {"table2_paper", "section3_paper"}
    assert names == {
        *(f"{name}{ending}" for name in filled for ending in (".csv", ".tex")),
        "images_per_species.png", "relative_sizes.png", "relative_sizes_histogram.csv",
        "statistics.html", "statistics.json", "statistics.md",
    }  # fmt: skip
    rows = read_csv(tmp_path / "out" / "table2.csv")
    assert [row["super_class"] for row in rows] == ["Aves", "Insecta", "Plantae", TOTAL]
    assert [row["train_images"] for row in rows] == ["4", "1", "1", "6"]
    histogram = read_csv(tmp_path / "out" / "relative_sizes_histogram.csv")
    assert sum(float(row["share"]) for row in histogram if row["super_class"] == TOTAL) == (
        pytest.approx(100)
    )
    for name in ("images_per_species", "relative_sizes"):
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "\\midrule\nTotal &" in (tmp_path / "out" / "table2.tex").read_text()


def test_the_record(report, folder, tmp_path):
    report.save(tmp_path / "out")
    record = json.loads((tmp_path / "out" / "statistics.json").read_text())
    assert [file["split"] for file in record["files"]] == ["train", "train", "val", "val"]
    assert record["files"][0]["path"] == str(folder / "train2017.json")
    assert all(len(file["sha256"]) == 64 for file in record["files"])
    assert record["results"]["super_classes"][-1]["boxes"] == 7
    assert record["results"]["species"][0]["category"]["name"] == "Pica pica"
    assert record["protocol"]["categories without an image or a box"] == "1, not counted"


def test_the_page(report, tmp_path):
    report.save(tmp_path / "out")
    page = (tmp_path / "out" / "statistics.html").read_text("utf-8")
    found = read(page)
    text = " ".join(" ".join(found.text).split())
    assert "<title>Dataset statistics</title>" in page
    assert "default-src 'none'" in page
    assert found.sources == []
    assert len(found.ids) == len(set(found.ids))
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    for section, table in report.filled:
        assert section.heading in text
        for column in table.columns:
            assert column in text
    assert report.summary() in text
    for name, value in report.protocol():
        assert f"{name} {value}" in text
    # Only percentages are drawn as bars; images per species are none.
    spread = page[page.index('id="spread"') : page.index('id="images_per_species"')]
    areas = page[page.index('id="areas"') : page.index('id="boxes_per_image"')]
    assert "--part" in areas
    assert "--part" not in spread
    assert page.count('<tr class="overall">') == 5


def test_markdown(report):
    text = report.markdown()
    assert text.startswith(
        "# Dataset statistics\n\nImages: 6 of train and 3 of val; 7 boxes; 4 spec"
    )
    assert "| Aves | 2 | 2 | 4 | 1 | 4 | 1 | 5 |" in text
    assert "![Images per species" in text
    assert "## Protocol" in text


def test_boxes_alone_and_labels_alone(folder, tmp_path):
    boxes = inatdet.statistics(inatdet.read_annotations(folder / "train_2017_bboxes.json"))
    boxes.save(tmp_path / "out")
    assert boxes.table2[TOTAL].train_images == 4
    assert ("images of train that show no known species", "2, not counted") in boxes.protocol()
    labels = inatdet.statistics(
        val_labels=inatdet.read_image_labels(folder / "val2017.json"),
    )
    labels.save(tmp_path / "out")  # which takes away what only boxes have
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "areas.csv" not in names
    assert "relative_sizes.png" not in names
    assert "table1.csv" not in names
    assert math.isnan(labels.table2.rows[0][2])
    assert len(labels.plot_species().axes[0].lines) == 1
    assert labels.plot_sizes().axes[0].lines[:] == []
    assert "images of val" in labels.markdown()


def test_what_looks_wrong(folder, tmp_path):
    train, val = (
        inatdet.read_image_labels(folder / f"{split}2017.json") for split in ("train", "val")
    )
    heard = []
    found = inatdet.statistics(train_labels=val, val_labels=train, notify=heard.append)
    assert len(heard) == len(found.warnings) == 1
    assert "shows 1 species without an image in" in heard[0]
    assert "## Warnings" in found.markdown()
    assert heard[0].removeprefix("warning: ") in " ".join(read(found.page()).text)
    with pytest.raises(InputError, match="without --strict this is a warning"):
        inatdet.statistics(train_labels=val, val_labels=train, strict=True)


def test_figure_2_of_many_species(report):
    """The line has as many steps as can be told apart, and goes from the first to the last."""
    number = 2000
    counts = np.arange(number, 0, -1)
    species = tuple(
        SpeciesRow(Category(i, f"n{i}", "s"), int(count), None, None, None)
        for i, count in enumerate(counts)
    )
    results = dataclasses.replace(report.results, species=species)
    assert (images_per_species(results) == counts).all()
    points = draw_species(results).axes[0].lines[0].get_xydata()
    assert len(points) == 1200
    assert points[0].tolist() == [0, number]
    assert points[-1].tolist() == [number, 1]
    starts = points[::2].astype(int)
    assert (counts[starts[:, 0]] == starts[:, 1]).all()


def test_figure_4_has_a_line_per_super_class(report):
    axes = report.plot_sizes().axes[0]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [name.partition(" (")[0] for name in names] == ["all of them", "Aves", "Insecta"]
    assert all(sum(line.get_ydata()) == pytest.approx(100) for line in axes.lines)


@pytest.fixture(scope="module")
def inat2017():
    """Labels of iNat2017's species, one image each, and two of the first."""
    names = [name for name, row in list(TABLE_2.items())[:-1] for _ in range(row[0])]
    ids = np.array([*range(len(names)), 0])
    return ImageLabels(
        "train2017.json",
        tuple(Image(i, f"{i}.jpg", 1, 1) for i in range(len(ids))),
        tuple(Category(i, f"n{i}", name) for i, name in enumerate(names)),
        ids,
    )


def test_the_papers_rows_stand_beside_ours(inat2017):
    report = inatdet.statistics(train_labels=inat2017)
    plants, *_, total = report.table2_paper.rows
    assert plants[:5] == ("Plantae", 2101, 2101, 2102, 158_407)
    assert math.isnan(plants[5]) and plants[6] == 38_206
    assert math.isnan(plants[8])
    assert total[:5] == (TOTAL, 5089, 5089, 5090, 579_184)
    assert [row[0] for row in report.table2_paper.rows] == [
        row.super_class for row in report.results.super_classes
    ]
    assert report.table1.rows == (
        ("this dataset", 5090, 5089, 2.0),
        ("iNat2017, in the paper", 579_184, 5_089, 435.44),
    )
    numbers = {row[0]: row[1:] for row in report.section3_paper.rows}
    assert math.isnan(numbers["images with boxes"][0])
    assert numbers["images with boxes"][1] == 449_313
    assert numbers["small boxes, percent"][1] == 5.7


def test_the_papers_numbers_agree_with_each_other():
    *rows, total = TABLE_2.values()
    for column in range(3):
        assert sum(row[column] for row in rows) == total[column]
    assert sum(row[3] or 0 for row in rows) == total[3]
    assert TABLE_1[:2] == (total[1], total[0])
    assert sum(AREAS) == pytest.approx(100)
