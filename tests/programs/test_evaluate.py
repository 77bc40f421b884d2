import argparse
import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from absl import flags

import inatdet
from inatdet.data.formats.detections import DetectionsWriter
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation.average_precision import Engine
from inatdet.locks import only_writer
from inatdet.programs import evaluate
from inatdet.report.report import Report
from tests.detection_files import (
    RIGHT,
    SPECIES,
    read_csv,
    report_of,
    write_annotations,
    write_results,
)


@pytest.fixture
def truth(tmp_path):
    return write_annotations(tmp_path / "val.json")


def run(truth, tmp_path, *detections, **options):
    report = report_of(truth, detections, **options)
    report.save(tmp_path / "report")
    return report


@pytest.mark.usefixtures("undrawn")
def test_species_by_hand(truth, tmp_path):
    found = write_results(tmp_path / "species.json", SPECIES)
    run(truth, tmp_path, f"species={found}")
    table5 = read_csv(tmp_path / "report" / "table5.csv")
    # Aves: Corvus is found (100), Pica only under another name and elsewhere (0).
    assert [(row["super_class"], row["classes"], float(row["AP"])) for row in table5] == [
        ("Insecta", "1", pytest.approx(100.0)),
        ("Aves", "2", pytest.approx(50.0)),
        ("Overall", "3", pytest.approx(200 / 3)),
    ]
    table6 = {
        (row["evaluated_on"], row["merge"]): float(row["AP"])
        for row in read_csv(tmp_path / "report" / "table6.csv")
    }
    # Birds: two true boxes, both found with .9; the duplicate (.8) comes after them.
    # Animals: three, all found with .9 before the duplicate.
    assert table6 == {
        ("species", "none"): pytest.approx(200 / 3),
        ("super", "none"): pytest.approx(100),
        ("super", "nms"): pytest.approx(100),
        ("generic", "none"): pytest.approx(100),
        ("generic", "nms"): pytest.approx(100),
    }
    curve = read_csv(tmp_path / "report" / "pr_curves.csv")
    assert len(curve) == 2 * 101
    assert {row["super_class"] for row in curve} == {"Insecta", "Aves"}


@pytest.mark.usefixtures("undrawn")
def test_duplicates_cost_precision_until_they_are_merged(truth, tmp_path):
    # In image 1 the duplicate comes before the box of image 3: precision 1, 2/3 without merging.
    rows = [(1, 5, RIGHT, 0.9), (1, 9, RIGHT, 0.8), (3, 9, RIGHT, 0.7)]
    run(truth, tmp_path, f"species={write_results(tmp_path / 's.json', rows)}")
    aves = 51 / 101 + 50 / 101 * 2 / 3
    table6 = {
        (row["evaluated_on"], row["merge"]): float(row["AP"])
        for row in read_csv(tmp_path / "report" / "table6.csv")
    }
    assert table6["super", "none"] == pytest.approx(100 * aves / 2)  # the insect is not found: 0
    assert table6["super", "nms"] == pytest.approx(100 / 2)


@pytest.mark.usefixtures("undrawn")
def test_every_species_has_a_row(truth, tmp_path):
    found = write_results(tmp_path / "species.json", SPECIES)
    run(truth, tmp_path, f"species={found}", train=truth)
    rows = read_csv(tmp_path / "report" / "per_class.csv")
    # Training's file is the same here: Corvus and Apis have a second box, in image 4.
    assert [tuple(row.values())[:5] for row in rows] == [
        ("0", "Apis", "Insecta", "2", "1"),
        ("5", "Corvus", "Aves", "2", "1"),
        ("9", "Pica", "Aves", "1", "1"),
    ]
    assert [float(row["AP"]) for row in rows] == pytest.approx([100, 100, 0])
    run(truth, tmp_path, f"species={found}")
    assert read_csv(tmp_path / "report" / "per_class.csv")[0]["train_boxes"] == ""


def test_marginal_detections_are_a_row_of_their_own(truth, tmp_path):
    # Summed, the bird of image 3 is found as well, and nothing twice.
    rows = [(1, 5, RIGHT, 0.9), (1, 9, RIGHT, 0.8), (2, 0, RIGHT, 0.9)]
    species = write_results(tmp_path / "species.json", rows)
    summed = [(1, 2, RIGHT, 0.95), (2, 1, RIGHT, 0.9), (3, 2, RIGHT, 0.3), (4, 1, RIGHT, 0.9)]
    marginal = write_results(tmp_path / "summed.json", summed)
    coarse = write_results(tmp_path / "super.json", summed[:3])
    report = run(
        truth, tmp_path, f"species={species}", f"species/super={marginal}", f"super={coarse}"
    )
    found = {
        (str(r.trained_on), str(r.evaluated_on), str(r.merge)): r.values[0]
        for r in report.results.table6
    }
    aves = 100 * 51 / 101  # one of two birds
    assert found["species", "super", "nms"] == pytest.approx((100 + aves) / 2)
    assert found["species", "super", "marginal"] == pytest.approx(100)
    gaps = {tuple(map(str, row.key)): row.closed for row in report.results.gaps}
    assert gaps == {
        ("species", "super", "nms"): pytest.approx(0),
        ("species", "super", "marginal"): pytest.approx(100),
    }
    assert "summed for super" in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.usefixtures("undrawn")
def test_all_images(truth, tmp_path):
    found = write_results(tmp_path / "species.json", SPECIES)
    report = run(truth, tmp_path, f"species={found}", all_images=True)
    assert report.results.counts.images_kept == 5
    assert report.results.used[Granularity.SPECIES] == 5
    assert "all 5, with 5 boxes" in (tmp_path / "report" / "report.md").read_text()


def test_the_report_says_what_was_measured(truth, tmp_path):
    taxonomy = Taxonomy.from_categories(inatdet.read_annotations(truth).categories, {0, 5, 9})
    parquet = tmp_path / "super.parquet"
    with DetectionsWriter(
        parquet, Granularity.SUPER, taxonomy, model="m/ckpt-3", settings={"nms_iou": 0.6}
    ) as writer:
        writer.append(np.array([1]), np.array([2]), np.array([0.5]), np.array([RIGHT]))
    generic = write_results(tmp_path / "generic.json", [(1, 1, RIGHT, 0.5)])
    species = write_results(tmp_path / "species.json", SPECIES)
    report = run(
        truth, tmp_path, f"generic={generic}", f"super={parquet}", f"species={species}"
    )  # fmt: skip
    rows = [(r.trained_on, r.evaluated_on, r.merge) for r in report.results.table6]
    assert [tuple(map(str, row)) for row in rows] == [
        ("species", "species", "none"),
        ("species", "super", "none"),
        ("species", "super", "nms"),
        ("species", "generic", "none"),
        ("species", "generic", "nms"),
        ("super", "super", "none"),
        ("super", "generic", "none"),
        ("super", "generic", "nms"),
        ("generic", "generic", "none"),
    ]
    text = (tmp_path / "report" / "report.md").read_text()
    for expected in (
        "3 of 5, those with exactly one box; left out: 1 without a box, 1 with several",
        "3 labels (1 Apis, 2 Corvus, 3 Pica), 3 of them with ground truth",
        "2 labels (1 Insecta, 2 Aves), 2 of them with ground truth",
        "5 detections read, 4 in the images evaluated",
        "model m/ckpt-3 (nms_iou 0.6)",
        f"**engine**: {Engine.INATDET.version()}",
        "at most 100 for AP",
        "![One curve per super-class](pr_curves.png)",
    ):
        assert expected in text
    assert (tmp_path / "report" / "pr_curves.png").stat().st_size > 10_000
    record = json.loads((tmp_path / "report" / "report.json").read_text())
    assert record["results"]["table5"][-1]["super_class"] == "Overall"
    assert "super_class" in str(report)


@pytest.mark.usefixtures("undrawn")
def test_without_a_species_model_there_is_no_table_5(truth, tmp_path):
    species = write_results(tmp_path / "species.json", SPECIES)
    run(truth, tmp_path, f"species={species}")
    generic = write_results(tmp_path / "generic.json", [(1, 1, RIGHT, 0.5)])
    run(truth, tmp_path, f"generic={generic}")
    # Nor is the one of the report before it left behind.
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == [
        "calibration.csv", "errors.csv", "reliability.csv", "reliability.png", "report.html",
        "report.json", "report.md", "sizes.csv", "table6.csv", "table6_ap.csv",
    ]  # fmt: skip
    assert (
        "need the detections of a species model" in (tmp_path / "report" / "report.md").read_text()
    )


@pytest.mark.usefixtures("undrawn")
def test_a_given_taxonomy_sets_the_label_spaces(truth, tmp_path):
    categories = inatdet.read_annotations(truth).categories
    Taxonomy.from_categories(categories, {0, 3, 5}).save(tmp_path / "taxonomy.json")
    found = write_results(tmp_path / "species.json", SPECIES)
    report = run(truth, tmp_path, f"species={found}", taxonomy=tmp_path / "taxonomy.json")
    # Pica has no label there, Sitta has one but no box.
    assert [(row.super_class, row.classes) for row in report.results.table5] == [
        ("Insecta", 1), ("Aves", 1), ("Overall", 2),
    ]  # fmt: skip
    assert "1 true boxes have no label here" in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.usefixtures("undrawn")
def test_engines_agree(truth, tmp_path):
    found = write_results(tmp_path / "species.json", SPECIES)
    first, *others = (
        [row.values for row in run(truth, tmp_path, f"species={found}", engine=e).results.table6]
        for e in Engine
    )
    for values in others:
        np.testing.assert_allclose(values, first, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(77, 5, RIGHT, 0.5)], "detection 1 is in image 77, which .*val.json does not list"),
        ([(1, 5, RIGHT, 0.5), (1, 66, RIGHT, 0.5)], "detection 2 has category 66"),
        ([(1, 5, RIGHT, float("nan"))], "valid JSON"),
        ([(1, 5, [0, 0, -1, 4], 0.5)], "negative size"),
    ],
)
def test_bad_detections(truth, tmp_path, rows, message):
    found = write_results(tmp_path / "species.json", rows)
    with pytest.raises(InputError, match=message):
        report_of(truth, [f"species={found}"])


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "--detections is missing"),
        (["species"], "must be species=PATH"),
        (["genus=x"], "--detections=genus=x: there is no level genus, as no category names it"),
        (["Genus=x"], "--detections=Genus=x: 'Genus' cannot name a granularity"),
        (["super=a", "super=b"], "super is given twice"),
        (["species=a", "species/genus=b"], "there is no level genus"),
        (["super=a", "super/species=b"], "species is not coarser than super"),
        (["species/super=b"], "needs the model's own detections"),
        (["super=nowhere.json"], "nowhere.json: cannot be read"),
    ],
)
def test_bad_arguments(truth, items, message):
    with pytest.raises(InputError, match=message):
        report_of(truth, items)


def test_labels_of_the_wrong_granularity(truth, tmp_path):
    found = write_results(tmp_path / "x.json", [(1, 5, RIGHT, 0.5)])
    with pytest.raises(InputError, match="has label 5, but super labels go from 1 to 2"):
        report_of(truth, [f"super={found}"])


def test_no_image_is_left(tmp_path):
    truth = write_annotations(
        tmp_path / "val.json",
        annotations=[
            {"id": n, "image_id": 4, "category_id": 5, "bbox": RIGHT, "iscrowd": 0}
            for n in range(2)
        ],
    )
    found = write_results(tmp_path / "species.json", [])
    with pytest.raises(InputError, match=r"no image has exactly one box.*with --all_images"):
        report_of(truth, [f"species={found}"])


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "inatdet", "evaluate", *arguments],
        capture_output=True,
        text=True,
    )


def test_bad_input_ends_with_one_sentence_and_code_2(truth, tmp_path):
    empty = tmp_path / "empty.parquet"
    empty.touch()
    ended = command(
        f"--annotations={truth}", f"--detections=species={empty}", f"--output_dir={tmp_path}/r"
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1] == (
        f"error: {empty}: is empty; write the detections again"
    )
    assert not (tmp_path / "r").exists()


def test_the_program_prints_the_tables(truth, tmp_path):
    found = write_results(tmp_path / "species.json", SPECIES)
    ended = command(
        f"--annotations={truth}", f"--detections=species={found}", f"--output_dir={tmp_path}/r",
        "--label_errors=1", "--fiftyone",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[1].split() == ["super_class", "classes", "AP", "AP50", "AP75", "AR1", "AR10"]
    assert lines[4].split() == ["Overall", "3", "66.7", "66.7", "66.7", "66.7", "66.7"]
    # The crow in image 1, a magpie too, is right; the magpie in image 3 is not found as one.
    assert json.loads((tmp_path / "r/fiftyone.json").read_text())["samples"] == []


def test_nothing_to_write_for_fiftyone(truth, tmp_path):
    ended = command(
        f"--annotations={truth}", "--detections=species=missing.json", f"--output_dir={tmp_path}/r",
        "--label_errors=0", "--fiftyone",
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: --fiftyone writes the likely errors")


def test_the_program_writes_the_ladder(truth, tmp_path):
    found = write_results(tmp_path / "species.json", SPECIES)
    ranks = tmp_path / "ranks.csv"
    ranks.write_text("id,family\n5,Corvidae\n9,Corvidae\n3,Sittidae\n0,Apidae\n2,Fagaceae\n")
    ended = command(
        f"--annotations={truth}", f"--detections=species={found}", f"--output_dir={tmp_path}/r",
        f"--ranks={ranks}",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    rows = read_csv(tmp_path / "r" / "ladder.csv")
    assert [row["evaluated_on"] for row in rows if row["merge"] == "none"] == [
        "species", "family", "super", "generic",
    ]  # fmt: skip
    assert "family" not in {row["evaluated_on"] for row in read_csv(tmp_path / "r" / "table6.csv")}
    text = (tmp_path / "r" / "report.md").read_text()
    assert "With nothing merged, the species model gains most AP from species to family" in text
    # Each super-class has one family with boxes.
    assert "The step from family to super is degenerate" in text
    assert (tmp_path / "r" / "ladder.png").exists()


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        ("few,100", "--frequency_bins=few,100: must be whole numbers"),
        ("100,10", "frequency_bins=100,10: must be two rising whole numbers from 1 on"),
        ("5,50", "--frequency_bins needs the training boxes; give --train_annotations"),
    ],
)
def test_bad_frequency_bins_are_refused_before_files_are_read(tmp_path, bins, message):
    ended = command(
        "--annotations=nowhere.json", "--detections=species=nowhere.json",
        f"--output_dir={tmp_path}/r", f"--frequency_bins={bins}",
    )  # fmt: skip
    assert ended.returncode == 2
    assert message in ended.stderr.splitlines()[-1]


def test_the_program_takes_frequency_bins(truth, tmp_path):
    found = write_results(tmp_path / "species.json", SPECIES)
    ended = command(
        f"--annotations={truth}", f"--detections=species={found}", f"--output_dir={tmp_path}/r",
        f"--train_annotations={truth}", "--frequency_bins=1,2",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    rows = read_csv(tmp_path / "r" / "frequency.csv")
    # Crows and bees have two images each, magpies one.
    assert [(row["frequency"], row["train_images"], row["classes"]) for row in rows] == [
        ("rare", "1", "1"), ("common", "2", "2"),
    ]  # fmt: skip
    assert [float(row["precision"]) for row in rows] == [0, 100]


@pytest.mark.usefixtures("undrawn")
def test_intervals_beside_the_numbers(truth, tmp_path):
    found = write_results(tmp_path / "species.json", SPECIES)
    report = run(truth, tmp_path, f"species={found}", resamples=50)
    rows = read_csv(tmp_path / "report" / "intervals.csv")
    overall = {
        row["measure"]: row for row in rows if (row["table"], row["row"]) == ("table5", "Overall")
    }
    ap = {name: float(overall["AP"][name]) for name in ("value", "std_err", "lower", "upper")}
    assert ap["value"] == pytest.approx(200 / 3)
    assert ap["std_err"] > 0
    assert ap["upper"] - ap["value"] == pytest.approx(1.96 * ap["std_err"], rel=1e-4)
    assert ap["value"] - ap["lower"] == pytest.approx(1.96 * ap["std_err"], rel=1e-4)
    assert "66.7 ± " in str(report)
    record = json.loads((tmp_path / "report" / "report.json").read_text())
    assert record["results"]["table6"][0]["values"][0]["std_err"] == pytest.approx(ap["std_err"])
    assert "random halves" in (tmp_path / "report" / "report.md").read_text()
    run(truth, tmp_path, f"species={found}")
    assert not (tmp_path / "report" / "intervals.csv").exists()


@pytest.mark.usefixtures("undrawn")
def test_tables_for_latex(truth, tmp_path):
    found = write_results(tmp_path / "species.json", SPECIES)
    report = report_of(truth, [f"species={found}"])
    report.save(tmp_path / "report", latex=True)
    lines = (tmp_path / "report" / "table5.tex").read_text().splitlines()
    assert r"Aves & 2 & 50.0 & 50.0 & 50.0 & 50.0 & 50.0 \\" in lines
    assert (tmp_path / "report" / "table6.tex").exists()
    lines = (tmp_path / "report" / "table6_ap.tex").read_text().splitlines()
    assert r"trained\_on & merge & on\_species & on\_super & on\_generic \\" in lines
    assert r"species & nms & - & 100.0 & 100.0 \\" in lines
    lines = (tmp_path / "report" / "per_class.tex").read_text().splitlines()
    assert any("Corvus" in line for line in lines)
    report.save(tmp_path / "report")
    assert not list((tmp_path / "report").glob("*.tex"))


def test_stray_arguments_are_refused(truth, tmp_path):
    ended = command(
        f"--annotations={truth}", f"--output_dir={tmp_path}/r", "--detections=species=a", "stray"
    )
    assert ended.returncode == 2
    assert "unexpected argument 'stray'" in ended.stderr.splitlines()[-1]


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from inatdet.programs import running\n"
        "running.run(['inatdet', 'evaluate', '--help'])\n"
        "print('LOADED', [m for m in sys.modules if m.split('.')[0] in "
        "('tensorflow', 'tf_keras', 'official', 'matplotlib', 'pycocotools', 'hotcoco', 'jinja2', "
        "'pandas')])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "--annotations" in ended.stdout
    assert "LOADED []" in ended.stdout


def test_flags_are_defined_once():
    assert "annotations" not in flags.FLAGS  # importing the module defines none


@pytest.mark.parametrize(
    ("program", "output"),
    [
        ("evaluate", "--output_dir={file}"),
        ("evaluate", "--output_dir={file}/below"),
        ("compare", "--output_dir={file}"),
        ("gallery", "--output_dir={file}"),
        ("convert", "--output={file}/x.json"),
    ],
)
def test_an_output_that_cannot_be_written_is_noticed_first(truth, tmp_path, program, output):
    (tmp_path / "file").touch()
    given = {
        "compare": ["species=missing.json", "species=missing.json"],
        "gallery": ["--detections=species=missing.json", f"--images_dir={tmp_path}"],
    }.get(program, ["--detections=species=missing.json"])
    ended = subprocess.run(
        [sys.executable, "-m", "inatdet", program, f"--annotations={truth}", *given,
         output.format(file=tmp_path / "file")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {tmp_path}/file")
    assert "cannot be written" in ended.stderr
    assert ended.stderr.count("\n") == 1, "nothing was read"


def test_one_report_is_written_at_a_time(truth, tmp_path):
    found = write_results(tmp_path / "species.json", SPECIES)
    with only_writer(tmp_path / "report"):
        ended = command(f"--annotations={truth}", f"--detections=species={found}",
                        f"--output_dir={tmp_path}/report")  # fmt: skip
    assert ended.returncode == 2
    assert "report: process" in ended.stderr
    assert "is writing there" in ended.stderr


def test_a_full_disk_does_not_lose_the_tables(truth, tmp_path, monkeypatch, capsys):
    found = write_results(tmp_path / "species.json", SPECIES)

    def fail(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x.csv")

    monkeypatch.setattr(Report, "save", fail)
    values = argparse.Namespace(
        annotations=truth, detections=[f"species={found}"], output_dir=str(tmp_path / "report"),
        taxonomy=None, ranks=None, genus_from_names=False, levels=["species"],
        names=None, super_categories=None, images_dir=None, corners="inclusive",
        on_bad="error", train_annotations=None, frequency_bins=["10", "100"], all_images=False,
        engine="hotcoco", resamples=0, errors=False, most_per_class=0, strict=False, latex=False,
        label_errors=0, fiftyone=False, predictions=[], train_labels=None,
    )  # fmt: skip
    monkeypatch.setattr("inatdet.programs.evaluate.flags.FLAGS", values)
    with pytest.raises(OSError, match="No space left"):
        evaluate.main(["inatdet evaluate"])
    assert "Table 5" in capsys.readouterr().out


def test_images_in_a_folder_that_does_not_exist(truth, tmp_path):
    found = write_results(tmp_path / "species.json", SPECIES)
    ended = command(
        f"--annotations={truth}",
        f"--detections=species={found}",
        f"--output_dir={tmp_path}/report",
        f"--images_dir={tmp_path}/nowhere",
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        f"error: --images_dir={tmp_path}/nowhere: is not a folder; check the path\n"
    )
    assert not (tmp_path / "report").exists()
