"""Reports of data with ranks between species and super-classes, and with species never seen."""

import json
import math

import numpy as np
import pytest
from PIL import Image

import inatdet
from inatdet.data.taxonomy import Taxonomy
from inatdet.report.sections import filled
from tests.detection_files import RIGHT, read_csv, report_of, write_annotations, write_results
from tests.report.test_page import page_of, read

NAMES = ("Corvus corax", "Corvus corone", "Pica pica", "Apis mellifera", "Apis cerana")
FAMILIES = ("Corvidae", "Corvidae", "Corvidae", "Apidae", "Apidae")
CATEGORIES = [
    {"id": i, "name": name, "supercategory": "Aves" if i < 3 else "Insecta",
     "genus": name.split()[0], "family": FAMILIES[i]}
    for i, name in enumerate(NAMES)
]  # fmt: skip
# Image i has a box of category i % 5; the last one is never seen where a test says so.
FOUND = [
    *((i, i % 5, RIGHT, 0.9) for i in range(1, 6)),
    *((i, (i + 1) % 3, RIGHT, 0.8) for i in range(6, 11)),
]
RANKS = {"ladder.csv", "ladder.png", "ancestors.csv"}
UNSEEN = {"unseen.csv", "naming.csv"}


def dataset(path, categories=CATEGORIES):
    return write_annotations(
        path,
        images=[
            {"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 80} for i in range(1, 11)
        ],
        categories=categories,
        annotations=[
            {"id": i, "image_id": i, "category_id": i % 5, "bbox": RIGHT, "area": 800, "iscrowd": 0}
            for i in range(1, 11)
        ],
    )


@pytest.fixture
def folder(tmp_path):
    dataset(tmp_path / "val.json")
    write_results(tmp_path / "species.json", FOUND)
    write_results(tmp_path / "super.json", [(i, 1 + (i % 5 > 2), RIGHT, 0.9) for i in range(1, 11)])
    return tmp_path


def report(folder, taxonomy=None, **options):
    items = [f"species={folder}/species.json", f"super={folder}/super.json"]
    return report_of(folder / "val.json", items, taxonomy=taxonomy, **options)


def names_of(folder):
    return {path.name for path in folder.iterdir()}


def without_last(folder):
    """The path of label spaces without the last species."""
    truth = inatdet.read_annotations(folder / "val.json")
    Taxonomy.from_categories(truth.categories, range(4)).save(folder / "taxonomy.json")
    found = [row for row in FOUND if row[1] != 4]
    write_results(folder / "species.json", found)
    return folder / "taxonomy.json"


def test_the_ladder_has_every_level(folder):
    found = report(folder)
    found.save(folder / "report")
    assert names_of(folder / "report") >= RANKS
    rows = read_csv(folder / "report" / "ladder.csv")
    assert [row["evaluated_on"] for row in rows if row["merge"] == "none"][:4] == [
        "species", "genus", "family", "super",
    ]  # fmt: skip
    for row in rows:
        key = row["trained_on"], row["evaluated_on"], row["merge"]
        assert float(row["AP"]) == pytest.approx(found.ladder[key].AP)
    shares = [float(row["share"]) for row in read_csv(folder / "report" / "ancestors.csv")]
    assert sum(shares) == pytest.approx(100)
    assert found.ancestors["species"].share == pytest.approx(shares[0])
    assert (folder / "report" / "ladder.png").read_bytes().startswith(b"\x89PNG")
    with Image.open(folder / "report" / "ladder.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 10
    assert len(found.plot_ladder().axes[0].lines) == 4  # two models, none and nms


def test_the_answer_stands_before_the_table(folder):
    found = report(folder)
    for text in (found.markdown(), " ".join(read(page_of(found, folder)).text)):
        heading, answer, table = (
            text.index(part)
            for part in (
                "The ladder: AP at every rank", "With nothing merged, the species", "evaluated_on",
            )
        )  # fmt: skip
        assert heading < answer
        assert answer < text.index("evaluated_on", heading) > table
    assert "![AP against level, one line per model and merge rule](ladder.png)" in found.markdown()
    # A genus of Pica alone, and one family in each super-class.
    assert "The step from family to super is degenerate" in found.markdown()


@pytest.mark.usefixtures("undrawn")
def test_intervals_are_listed_once(folder):
    report(folder, resamples=10, levels=["species", "genus", "super"]).save(folder / "report")
    rows = read_csv(folder / "report" / "intervals.csv")
    of_table = {
        name: {row["row"] for row in rows if row["table"] == name} for name in ("table6", "ladder")
    }
    assert "species genus nms" in of_table["table6"]
    assert of_table["ladder"] == {
        f"species {level} {merge}" for level in ("family", "generic") for merge in ("none", "nms")
    } | {"super generic none", "super generic nms"}
    assert not of_table["table6"] & of_table["ladder"]


@pytest.mark.usefixtures("undrawn")
def test_without_ranks_and_unseen_species_nothing_of_them_is_there(folder):
    taxonomy = without_last(folder)
    report(folder, taxonomy=taxonomy).save(folder / "report")
    assert names_of(folder / "report") >= RANKS | UNSEEN
    plain = [{k: v for k, v in c.items() if k not in ("genus", "family")} for c in CATEGORIES]
    dataset(folder / "val.json", plain)
    found = report(folder)
    found.save(folder / "report")
    assert not names_of(folder / "report") & (RANKS | UNSEEN)
    assert "ladder" not in found.markdown().lower()
    assert "ladder" not in read(page_of(found, folder)).ids
    for name in ("ladder", "ancestors", "unseen", "naming"):
        assert len(getattr(found, name)) == 0
    assert not found.plot_ladder().axes[0].lines


@pytest.mark.usefixtures("undrawn")
def test_species_never_seen(folder):
    found = report(folder, taxonomy=without_last(folder))
    found.save(folder / "report")
    (row,) = read_csv(folder / "report" / "unseen.csv")
    assert int(row["unseen_boxes"]) == 2
    assert float(row["score"]) == pytest.approx(found.unseen["unseen"].score)
    assert found.naming["genus"].unseen_boxes == 2
    text = found.markdown()
    section = text[text.index("## Species never seen") : text.index("## What species never seen")]
    assert f"{found.unseen['unseen'].score:.3f}" in section
    for name in found.unseen.columns:
        assert section.count(name) >= 2, f"the note does not say what {name} is"


def test_every_column_of_the_new_tables_is_explained(folder):
    found = report(folder, taxonomy=without_last(folder))
    notes = {section.name: section.note for section, _ in filled(found.results)}
    plain = {"level", "finest_right_level"}  # as the heading says
    for name in ("ancestors", "unseen", "naming"):
        for column in set(getattr(found, name).columns) - plain:
            assert column in notes[name]
    assert "shared_level" in notes["confusions"]
    for source in ("Bertinetto", "Joseph", "Dhamija"):
        assert source in found.markdown()


def test_the_page_of_all_of_it_is_well_formed(folder):
    found = report(folder, taxonomy=without_last(folder), resamples=5)
    page = page_of(found, folder)
    parsed = read(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {link.removeprefix("#") for link in parsed.links} <= set(parsed.ids)
    assert {"ladder", "ladder_figure", "ancestors", "unseen", "naming"} <= set(parsed.ids)
    text = " ".join(" ".join(parsed.text).split())
    for section, _ in filled(found.results):
        if section.link:
            assert section.heading in text
            assert " ".join(section.note.split()) in text


@pytest.mark.usefixtures("undrawn")
def test_a_score_that_does_not_exist(folder):
    taxonomy = without_last(folder)
    write_results(folder / "species.json", [])
    found = report(folder, taxonomy=taxonomy)
    assert math.isnan(found.unseen["unseen"].score)
    assert "| 2 | 0.0 | 0.0 | - | - | 0.0 |" in found.markdown()
    found.save(folder / "report")
    assert read_csv(folder / "report" / "unseen.csv")[0]["score"] == ""


def test_a_ladder_that_cannot_be_drawn_costs_nothing_else(folder, monkeypatch):
    def fail(figure, path):
        raise RuntimeError("broken font")

    monkeypatch.setattr("inatdet.report.figures.save_png", fail)
    told = []
    report(folder).save(folder / "report", notify=told.append)
    assert [message.split()[1] for message in told] == [
        "pr_curves.png", "ladder.png", "reliability.png",
    ]  # fmt: skip
    assert (folder / "report" / "ladder.csv").exists()
    assert json.loads((folder / "report" / "report.json").read_text())["results"]["ladder"]
