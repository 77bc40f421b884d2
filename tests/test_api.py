"""The public names: what they are, what they cost to import, and that their examples are true."""

import doctest
import hashlib
import importlib
import json
import subprocess
import sys

import numpy as np
import pytest

import inatdet
from inatdet.data.formats.detections import DetectionsWriter
from inatdet.errors import InputError
from inatdet.evaluation.resampling import Estimate
from tests.detection_files import RIGHT, SPECIES, read_csv, write_annotations, write_results

WITH_EXAMPLES = (
    "inatdet.data.detections",
    "inatdet.data.granularity",
    "inatdet.data.predictions",
    "inatdet.data.formats.image_labels",
    "inatdet.data.formats.reading",
    "inatdet.data.formats.writing",
    "inatdet.report.classification.comparison",
    "inatdet.report.classification.evaluating",
    "inatdet.report.comparison",
    "inatdet.report.report",
    "inatdet.report.statistics",
    "inatdet.report.table",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with files as the examples name them."""
    write_annotations(tmp_path / "val.json")
    write_results(tmp_path / "species.json", SPECIES)
    write_results(tmp_path / "super.json", [(1, 2, RIGHT, 0.9), (2, 1, RIGHT, 0.8)])
    (tmp_path / "ranks.csv").write_text(
        "name,family,phylum\nCorvus,Corvidae,A\nPica,Corvidae,B\nApis,Apidae,A\n"
    )
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 9, "height": 9} for i in range(3)]
    labels = [{"id": i, "image_id": i, "category_id": c} for i, c in enumerate((5, 0, 5))]
    write_annotations(tmp_path / "train2017.json", images=images, annotations=labels)
    (tmp_path / "kaggle.csv").write_text("id,predicted\n0,5 9\n1,5 0\n2,0 9\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def truth(folder):
    return inatdet.read_annotations("val.json")


def found_in(truth, **options):
    return inatdet.read_detections("species.json", truth, granularity="species", **options)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name, truth):
    module = importlib.import_module(name)
    ran = doctest.testmod(module, extraglobs={"inatdet": inatdet, "truth": truth})
    assert ran.attempted > 0
    assert ran.failed == 0


def test_every_name_is_there_and_documented():
    assert set(inatdet.__all__) <= set(dir(inatdet))
    for name in inatdet.__all__:
        assert getattr(inatdet, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        inatdet.train  # noqa: B018


def test_importing_is_quick_and_evaluating_needs_no_heavy_library(folder):
    code = (
        "import sys, inatdet; first = set(sys.modules)\n"
        "truth = inatdet.read_annotations('val.json')\n"
        "found = inatdet.read_detections('species.json', truth, granularity='species')\n"
        "print(inatdet.evaluate(truth, [found]))\n"
        "heavy = {'tensorflow', 'tf_keras', 'official', 'matplotlib', 'pandas'}\n"
        "print('HEAVY', heavy & set(sys.modules), 'NUMPY', 'numpy' in first)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[-1] == "HEAVY set() NUMPY False"


def test_numbers_have_names(truth):
    results = inatdet.evaluate(truth, found_in(truth))
    row = results.table6["species", "super", "nms"]
    assert row.AP == row.values[0] == pytest.approx(100)
    assert np.isnan(row.AP.std_err)
    assert results.table6[tuple(row.key)] == row
    assert pytest.approx(50) == results.table5["Aves"].AR10
    with pytest.raises(KeyError, match=r"'species', 'super', 'marginal'.* is not a row"):
        results.table6["species", "super", "marginal"]
    with pytest.raises(AttributeError, match="no 'table7'"):
        results.table7  # noqa: B018


def test_ranks_are_levels(folder):
    truth = inatdet.read_annotations("val.json", ranks="ranks.csv")
    assert truth.taxonomy.levels == ("species", "family", "super", "generic")
    (misfit,) = truth.taxonomy.misfits
    assert misfit.granularity is inatdet.Granularity("phylum")
    assert "several labels of" in misfit.reason
    results = inatdet.evaluate(truth, found_in(truth), levels=["family"], errors=False)
    assert {row.evaluated_on for row in results.table6.records} == {"species", "family"}
    # The second crow is taken for a bird without a family: one of two is found.
    crows, bees = 100 * 51 / 101, 100
    assert (crows + bees) / 2 == pytest.approx(results.table6["species", "family", "nms"].AP)
    with pytest.raises(InputError, match="no level phylum, as it lies neither within"):
        inatdet.evaluate(truth, found_in(truth), levels=["phylum"])


def test_intervals_come_with_resamples(truth):
    results = inatdet.evaluate(truth, found_in(truth), resamples=20, errors=False)
    ap = results.table6["species", "species", "none"].AP
    assert isinstance(ap, Estimate)
    assert ap.margin == pytest.approx(1.96 * ap.std_err, rel=1e-4)
    assert len(results.errors) == 0
    assert results.errors.columns[0] == "trained_on"


def test_calibration_and_frequencies_by_key(truth):
    results = inatdet.evaluate(truth, found_in(truth), training=truth, frequency_bins=(1, 2))
    # The crow and the bee are right with scores of .9, the magpie is wrong with .8.
    found = results.calibration["species", "species", "none"]
    assert float(found.ECE) == pytest.approx((10 + 10 + 80) / 3)
    assert found.MCE == results.frequency["rare"].calibration.ece == pytest.approx(80)
    assert len(results.plot_calibration().axes) == 3
    with pytest.raises(InputError, match="frequency_bins=2,1"):
        inatdet.evaluate(truth, found_in(truth), frequency_bins=(2, 1))


def test_every_section_is_a_table(truth):
    results = inatdet.evaluate(truth, found_in(truth), training=truth)
    for section, table in results.filled:
        assert section.name in dir(results)
        shown = getattr(results, section.name)
        assert shown == table
        assert len(shown) == len(list(shown)) == len(table.rows)
        assert str(shown) == repr(shown)
        assert shown._repr_html_().count("<tr>") == len(table.rows) + 1
    assert "<h4>Table 5" in results._repr_html_()


def test_what_is_saved_is_what_the_program_writes(truth, folder):
    inatdet.evaluate(truth, found_in(truth)).save("ours")
    ended = subprocess.run(
        [sys.executable, "-m", "inatdet", "evaluate", "--annotations=val.json",
         "--detections=species=species.json", "--output_dir=theirs"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    ours, theirs = (sorted(p.name for p in (folder / d).iterdir()) for d in ("ours", "theirs"))
    assert ours == theirs
    for name in ours:
        if name.endswith(".csv"):
            assert (folder / "ours" / name).read_bytes() == (folder / "theirs" / name).read_bytes()


def test_a_figure_without_a_screen(truth, tmp_path):
    figure = inatdet.evaluate(truth, found_in(truth), errors=False).plot_curves()
    assert len(figure.axes[0].lines) == 2
    figure.savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_arrays_are_as_good_as_files(truth):
    images, categories, boxes, scores = zip(*SPECIES)
    arrays = inatdet.Detections.from_arrays(
        images, categories, scores, boxes, taxonomy=truth.taxonomy, are_category_ids=True
    )
    by_file, by_arrays = (inatdet.evaluate(truth, d).table6 for d in (found_in(truth), arrays))
    assert by_file == by_arrays
    # The fourth bird's species has no box, and therefore no label.
    known = truth.taxonomy.label_of_category("species")
    rows = [(i, known[c], s, b) for i, c, b, s in SPECIES if c in known]
    labelled = inatdet.Detections.from_arrays(*zip(*rows), "species", taxonomy=truth.taxonomy)
    assert inatdet.evaluate(truth, labelled).table5 == inatdet.evaluate(truth, arrays).table5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": [0.5]}, "2 image ids, 2 labels, 1 scores and 2 boxes"),
        ({"labels": [1, 4]}, r"detection 2 has label 4, but species labels go from 1 to 3"),
        ({"labels": [1.0, 2.0]}, "must be whole numbers"),
        ({"boxes": [[1, 2, 3]] * 2}, r"boxes have the shape \(2, 3\)"),
        ({"scores": [0.5, float("nan")]}, "detection 2 .* has the score nan"),
        ({"granularity": "super", "are_category_ids": True}, "only species have category ids"),
    ],
)
def test_bad_arrays(truth, changes, message):
    arrays = {"image_ids": [1, 2], "labels": [1, 2], "scores": [0.5, 0.6], "boxes": [RIGHT] * 2}
    with pytest.raises(InputError, match=message):
        inatdet.Detections.from_arrays(**arrays | changes, taxonomy=truth.taxonomy)


def test_no_detections_at_all(truth):
    none = inatdet.Detections.from_arrays([], [], [], [], taxonomy=truth.taxonomy)
    assert inatdet.evaluate(truth, none).table5["Overall"].AP == 0


def test_parquet_knows_its_granularity(truth, folder):
    with DetectionsWriter("super.parquet", inatdet.Granularity.SUPER, truth.taxonomy) as writer:
        writer.append(np.array([1]), np.array([2]), np.array([0.5]), np.array([RIGHT]))
    found = inatdet.read_detections("super.parquet", truth)
    assert found.trained_on is inatdet.Granularity.SUPER
    with pytest.raises(
        InputError,
        match=r"species\.json: only Parquet files",
    ):
        inatdet.read_detections("species.json", truth)
    with pytest.raises(InputError, match=r"nothing\.json: cannot be read"):
        inatdet.read_detections("nothing.json", truth)


def test_one_set_of_detections_per_model(truth):
    found = found_in(truth)
    with pytest.raises(InputError, match="are both species detections of a species model"):
        inatdet.evaluate(truth, [found, found])
    summed = inatdet.Detections.from_arrays(
        [1], [1], [0.5], [RIGHT], "generic", taxonomy=truth.taxonomy, summed_from="super"
    )
    with pytest.raises(InputError, match="the super model's own detections are missing"):
        inatdet.evaluate(truth, [found, summed])
    with pytest.raises(InputError, match="no detections"):
        inatdet.evaluate(truth, [])


def test_labels_must_mean_the_same(truth):
    found = found_in(truth)
    other = inatdet.Taxonomy.from_categories(truth.categories, {0, 3, 5})
    with pytest.raises(InputError, match=r"species\.json: was read with other label spaces"):
        inatdet.evaluate(truth.with_taxonomy(other), found)


def test_a_number_can_be_traced(truth, folder):
    given = truth.with_taxonomy(truth.taxonomy)
    assert given.taxonomy_source == "given"
    truth.taxonomy.save("taxonomy.json")
    truth = inatdet.read_annotations("val.json", taxonomy="taxonomy.json")
    found = found_in(truth)
    results = inatdet.evaluate(truth, found, command="inatdet evaluate 'a b'")
    results.save("report")

    def sha256(name):
        return hashlib.sha256((folder / name).read_bytes()).hexdigest()

    record = json.loads((folder / "report" / "report.json").read_text())
    assert record["format_version"] == record["protocol_version"] == 1
    assert record["command"] == "inatdet evaluate 'a b'"
    assert record["annotations"] == {"path": "val.json", "sha256": sha256("val.json")}
    assert record["taxonomy"] == {"source": "taxonomy.json", "sha256": sha256("taxonomy.json")}
    assert record["detections"] == [
        {"path": "species.json", "sha256": sha256("species.json"), "granularity": "species",
         "summed_from": None}
    ]  # fmt: skip
    assert sha256("species.json") in (folder / "report" / "report.md").read_text()


def test_a_selection_of_images_keeps_the_label_spaces(truth):
    assert truth.keep_images([1]).taxonomy == truth.taxonomy
    assert len(truth.keep_images([1]).derive_taxonomy().species) == 1


def test_tables_for_pandas(truth, monkeypatch):
    table = inatdet.evaluate(truth, found_in(truth)).table5
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pandas", None)
        with pytest.raises(ImportError, match="pip install pandas"):
            table.to_pandas()
    pytest.importorskip("pandas")
    frame = table.to_pandas().set_index("super_class")
    assert frame.loc["Overall", "AP"] == pytest.approx(200 / 3)
    assert frame["classes"].tolist() == [1, 2, 3]


def test_tables_as_csv(truth, folder):
    table = inatdet.evaluate(truth, found_in(truth)).table5
    assert table.to_csv("t.csv") is None
    assert (folder / "t.csv").read_text() == table.to_csv()
    assert [row["super_class"] for row in read_csv("t.csv")] == ["Insecta", "Aves", "Overall"]


def test_html_is_escaped():
    table = inatdet.Table(("a<b",), (("<script>",),))
    assert "&lt;script&gt;" in table._repr_html_()
    assert "a&lt;b" in table._repr_html_()
