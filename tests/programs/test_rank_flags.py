"""Ranks in the programs that read annotations: where they come from, and what is said of them."""

import json
import subprocess
import sys

import pytest

import inatdet
from inatdet.data.granularity import Granularity
from tests.detection_files import RIGHT, read_csv, write_annotations, write_results

GENUS = Granularity("genus")
CATEGORIES = [
    {"id": 5, "name": "Corvus corax", "supercategory": "Aves"},
    {"id": 0, "name": "Apis mellifera", "supercategory": "Insecta"},
    {"id": 9, "name": "Corvus corone", "supercategory": "Aves"},
    {"id": 2, "name": "hybrid oak", "supercategory": "Plantae"},
]
RANKS = "name,family,tribe\nCorvus corax,Corvidae,x\nCorvus corone,Corvidae,x\nApis mellifera,,y\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with annotations, ranks and the detections of two models."""
    write_annotations(tmp_path / "val.json", categories=CATEGORIES)
    (tmp_path / "ranks.csv").write_text(RANKS)
    rows = [(1, 9, RIGHT, 0.9), (2, 0, RIGHT, 0.8), (3, 9, RIGHT, 0.7)]
    write_results(tmp_path / "species.json", rows)  # one crow is taken for the other
    write_results(tmp_path / "genus.json", [(1, 2, RIGHT, 0.9), (2, 1, RIGHT, 0.8)])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(program, *flags):
    command = [sys.executable, "-m", "inatdet", program, *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def evaluate(*flags):
    return run("evaluate", "--annotations=val.json", "--output_dir=report", *flags)


def test_levels_that_are_asked_for_are_in_the_tables(folder):
    ended = evaluate(
        "--genus_from_names", "--ranks=ranks.csv", "--levels=genus,family",
        "--detections=species=species.json", "--detections=genus=genus.json",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    rows = read_csv(folder / "report" / "table6.csv")
    ap = {
        (r["trained_on"], r["evaluated_on"]): float(r["AP"]) for r in rows if r["merge"] == "none"
    }
    assert set(ap) == {
        ("species", "species"), ("species", "genus"), ("species", "family"),
        ("genus", "genus"), ("genus", "family"),
    }  # fmt: skip
    assert ap["species", "species"] < ap["species", "genus"] == pytest.approx(100)
    assert "note: val.json: 1 of 4 names are no binomials and give no genus ('hybrid oak')" in (
        ended.stderr
    )


def test_by_default_there_are_three_levels(folder):
    ended = evaluate("--genus_from_names", "--detections=species=species.json")
    assert ended.returncode == 0, ended.stderr
    rows = read_csv(folder / "report" / "table6.csv")
    assert {r["evaluated_on"] for r in rows} == {"species", "super", "generic"}


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--levels=genus"], "val.json: there is no level genus, as no category names it"),
        (["--levels=genus"], "give --ranks, or --genus_from_names"),
        (["--levels=Genus!"], "--levels: 'Genus!' cannot name a granularity"),
        (["--ranks=none.csv"], "none.csv: cannot be read"),
        (["--ranks=val.json"], "val.json: "),
        (["--detections=genus=genus.json"], "--detections=genus=genus.json: there is no level"),
    ],
)
def test_mistakes_end_with_a_sentence(folder, flags, sentence):
    ended = evaluate("--detections=species=species.json", *flags)
    assert ended.returncode == 2
    last = ended.stderr.strip().splitlines()[-1]
    assert sentence in last and "Traceback" not in ended.stderr


def test_converted_annotations_keep_their_ranks(folder):
    ended = run(
        "convert", "--annotations=val.json", "--ranks=ranks.csv", "--genus_from_names",
        "--output=ranked.json",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    taxonomy = inatdet.read_annotations("ranked.json").taxonomy
    assert taxonomy.levels == ("species", "genus", "tribe", "family", "super", "generic")
    assert taxonomy.names(GENUS) == ("Apis", "Corvus")
    assert taxonomy.without_value(Granularity("family")) == 1


def test_detections_are_converted_at_a_rank(folder):
    flags = ["--annotations=val.json", "--genus_from_names", "--detections=species=species.json"]
    ended = run("convert", *flags, "--granularity=genus", "--output=genus.parquet")
    assert ended.returncode == 0, ended.stderr
    assert "3 genus detections" in ended.stderr
    truth = inatdet.read_annotations("val.json", genus_from_names=True)
    found = inatdet.read_detections("genus.parquet", truth)
    assert found.labels[GENUS].tolist() == [2, 1, 2]
    ended = run("convert", *flags, "--granularity=tribe", "--output=tribe.parquet")
    assert ended.returncode == 2
    assert "val.json: there is no level tribe" in ended.stderr


def test_a_genus_model_is_compared_with_a_species_model(folder):
    ended = run(
        "compare", "--annotations=val.json", "--genus_from_names", "--output_dir=compared",
        "--resamples=20", "species=species.json", "genus=genus.json",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    (row,) = [r for r in read_csv(folder / "compared" / "comparison.csv") if r["measure"] == "AR1"]
    # Of the two crows, the genus model finds one.
    assert (float(row["first"]), float(row["second"])) == pytest.approx((100, 75))
    assert "genus" in ended.stdout
    ended = run(
        "compare", "--annotations=val.json", "--output_dir=compared",
        "species=species.json", "genus=genus.json",
    )  # fmt: skip
    assert ended.returncode == 2
    assert "genus.json: is given as genus, but there is no level genus" in ended.stderr


def held_out(folder, *flags):
    return run("holdout", "--annotations=val.json", "--output=known.json", *flags)


def test_whole_genera_are_held_out(folder):
    ended = held_out(folder, "--genus_from_names", "--by=genus", "--share=0.5", "--seed=1")
    assert ended.returncode == 0, ended.stderr
    listed = read_csv(folder / "known.held_out.csv")
    names = {row["name"] for row in listed}
    assert names in ({"Apis mellifera"}, {"Corvus corax", "Corvus corone"})
    known = inatdet.read_annotations("known.json")
    boxed = {c.name for c in known.taxonomy.species}
    assert boxed and not boxed & names
    # Their genera are known still, so that records are written with the same levels.
    assert {c.rank("genus") for c in known.categories} == {"Corvus", "Apis", None}
    first = (folder / "known.json").read_text()
    assert held_out(folder, "--genus_from_names", "--by=genus", "--share=0.5", "--seed=1")
    assert (folder / "known.json").read_text() == first
    assert json.loads(first)["categories"][0]["genus"] == "Corvus"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--by=genus"], "val.json: there is no level genus, as no category names it"),
        (["--by=generic"], "--by=generic: has a single label"),
        (["--share=0"], "--share=0.0 must be above 0 and below 1"),
        (["--share=1.5"], "--share=1.5 must be above 0 and below 1"),
        (["--by=species", "--output=known.csv"], "known.csv: must end in .json"),
        (["--by=No"], "'No' cannot name a granularity"),
    ],
)
def test_what_cannot_be_held_out(folder, flags, sentence):
    ended = held_out(folder, *flags)
    assert ended.returncode == 2, ended.stderr
    assert sentence in ended.stderr and "Traceback" not in ended.stderr
    assert not (folder / "known.json").exists() and not (folder / "known.held_out.csv").exists()
