"""Detections of models that were trained at a rank, in every format that names their classes."""

import numpy as np
import pytest

import inatdet
from inatdet.data.formats.detections import DetectionsWriter
from inatdet.data.formats.ranks import with_ranks
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from inatdet.programs.detection_flags import detections_by_model, read_detections_of
from tests.detection_files import RIGHT, write_annotations, write_results

GENUS, FAMILY = Granularity("genus"), Granularity("family")

CATEGORIES = [
    {"id": 5, "name": "Prunella modularis", "supercategory": "Aves", "genus": "Prunella",
     "family": "Prunellidae"},
    {"id": 0, "name": "Apis mellifera", "supercategory": "Insecta", "genus": "Apis",
     "family": "Apidae"},
    {"id": 9, "name": "Prunella vulgaris", "supercategory": "Plantae", "genus": "Prunella",
     "family": "Lamiaceae"},
    {"id": 2, "name": "Bombus terrestris", "supercategory": "Insecta", "genus": "Bombus",
     "family": "Apidae"},  # no box, but its family has one
    {"id": 3, "name": "Sitta europaea", "supercategory": "Aves", "genus": "Sitta",
     "family": "Sittidae"},  # no box, nor has its family
]  # fmt: skip


@pytest.fixture
def truth(tmp_path):
    path = write_annotations(tmp_path / "val.json", categories=CATEGORIES)
    return inatdet.read_annotations(path)


def names(found, truth, level):
    labels = found.labels[Granularity(level)].tolist()
    return [truth.taxonomy.names(Granularity(level))[i - 1] if i else None for i in labels]


def test_the_label_spaces_themselves(truth):
    taxonomy = truth.taxonomy
    assert taxonomy.levels == ("species", "genus", "family", "super", "generic")
    assert taxonomy.names(GENUS) == ("Apis", "Prunella (Aves)", "Prunella (Plantae)")


def test_coco_results_have_labels_of_genera(truth, tmp_path):
    rows = [(1, 2, RIGHT, 0.9), (2, 1, RIGHT, 0.8), (3, 3, RIGHT, 0.7)]
    path = write_results(tmp_path / "genus.json", rows)
    found = inatdet.read_detections(path, truth, granularity="genus")
    assert names(found, truth, "genus") == ["Prunella (Aves)", "Apis", "Prunella (Plantae)"]
    assert names(found, truth, "family") == ["Prunellidae", "Apidae", "Lamiaceae"]
    assert Granularity.SPECIES not in found.labels and found.numbered
    results = inatdet.evaluate(truth, found, errors=False, levels=["genus", "family"])
    assert pytest.approx(100) == results.table6["genus", "genus", "none"].AP
    assert pytest.approx(100) == results.table6["genus", "family", "nms"].AP
    path = write_results(tmp_path / "bad.json", [(1, 4, RIGHT, 0.9)])
    with pytest.raises(InputError, match=r"bad\.json: .* label 4, but genus labels go from 1 to 3"):
        inatdet.read_detections(path, truth, granularity="genus")


def written(path, taxonomy, labels, level=GENUS):
    with DetectionsWriter(path, level, taxonomy) as writer:
        count = len(labels)
        writer.append(
            np.arange(count) % 5 + 1, np.array(labels), np.full(count, 0.5),
            np.array([RIGHT] * count),
        )  # fmt: skip
    return path


def test_parquet_is_matched_by_name_across_taxonomies(truth, tmp_path):
    # In training, Prunella vulgaris had no box, but Sitta and Bombus had: other labels throughout.
    other = inatdet.Taxonomy.from_categories(truth.categories, [0, 2, 3, 5])
    assert other.names(GENUS) == ("Apis", "Bombus", "Sitta", "Prunella (Aves)")
    path = written(tmp_path / "genus.parquet", other, [4, 1, 2, 3])
    found = inatdet.read_detections(path, truth)
    assert found.trained_on is GENUS
    assert names(found, truth, "genus") == ["Prunella (Aves)", "Apis", None, None]
    # Bombus has no label as a genus, but its family has; Sitta is still a bird.
    assert names(found, truth, "family") == ["Prunellidae", "Apidae", "Apidae", None]
    assert names(found, truth, "super") == ["Aves", "Insecta", "Insecta", "Aves"]
    assert names(found, truth, "generic") == ["animal"] * 4


@pytest.mark.parametrize("level", [GENUS, FAMILY])
def test_every_label_comes_back(truth, tmp_path, level):
    count = truth.taxonomy.num_labels(level)
    path = written(tmp_path / "d.parquet", truth.taxonomy, range(1, count + 1), level)
    found = inatdet.read_detections(path, truth)
    assert found.labels[level].tolist() == list(range(1, count + 1))
    back = tmp_path / "back.json"
    inatdet.write_detections(found, back)
    again = inatdet.read_detections(back, truth, granularity=level)
    for coarser in truth.taxonomy.coarser_or_equal(level):
        np.testing.assert_array_equal(again.labels[coarser], found.labels[coarser])


def yolo(folder, classes):
    folder.mkdir()
    for image, number in enumerate(classes, 1):
        (folder / f"{image}.txt").write_text(f"{number} 0.3 0.375 0.4 0.5 0.9\n")
    return str(folder)


def test_yolo_classes_are_names_of_genera(truth, tmp_path):
    path = yolo(tmp_path / "labels", [2, 0, 1])
    given = ["Apis", "Sitta", "Prunella (Aves)", "Nobody"]
    found = inatdet.read_detections(path, truth, granularity="genus", names=given)
    assert names(found, truth, "genus") == ["Prunella (Aves)", "Apis", None]
    assert names(found, truth, "super") == ["Aves", "Insecta", "Aves"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Prunella", "perhaps 'Prunella (Aves)' or 'Prunella (Plantae)' is meant"),
        ("PRUNELLA (AVES)", "perhaps 'Prunella (Aves)' is meant"),
        ("Corvus", "not among the annotations' genus labels"),
        ("Prunella modularis", "not among the annotations' genus labels"),
    ],
)
def test_names_of_no_genus_are_refused(truth, tmp_path, name, words):
    path = yolo(tmp_path / "labels", [0])
    with pytest.raises(InputError) as caught:
        inatdet.read_detections(path, truth, granularity="genus", names=[name])
    assert words in str(caught.value) and str(path) in str(caught.value)


def of(truth, *items):
    return read_detections_of(detections_by_model(items), truth)


def test_summed_detections_at_a_rank(truth, tmp_path):
    genus = written(tmp_path / "genus.parquet", truth.taxonomy, [2, 1, 3])
    family = written(tmp_path / "genus.family.parquet", truth.taxonomy, [2, 1, 3], FAMILY)
    found = of(truth, f"genus/family={family}", f"genus={genus}")
    assert [(d.summed_from, d.trained_on) for d in found] == [(None, GENUS), (GENUS, FAMILY)]
    results = inatdet.evaluate(truth, found, errors=False)
    keys = [row.key for row in results.table6.records]
    assert [tuple(map(str, key)) for key in keys if key[1] is FAMILY] == [
        ("genus", "family", merge) for merge in ("none", "nms", "marginal")
    ]
    ladder = {tuple(map(str, row.key)): row.values[0] for row in results.results.ladder}
    assert ladder["genus", "family", "marginal"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (["tribe=D"], "--detections=tribe=D: there is no level tribe, as no category names it"),
        (["tribe=D"], "give --ranks, or --genus_from_names"),
        (["genus=D", "genus/tribe=D"], "--detections=genus/tribe=D: there is no level tribe"),
        (["family=D", "family/genus=D"], "family/genus=D: genus is not coarser than family"),
        (["genus/family=D"], "needs the model's own detections"),
        (["genus=D", "genus=E"], "genus is given twice"),
        (["Genus=D"], "'Genus' cannot name a granularity"),
        (["genus/=D"], "'' cannot name a granularity"),
    ],
)
def test_pairs_that_do_not_fit(truth, items, words):
    with pytest.raises(InputError) as caught:
        of(truth, *items)
    assert words in str(caught.value)


def test_a_level_that_the_truth_lacks(tmp_path):
    plain = [{k: c[k] for k in ("id", "name", "supercategory")} for c in CATEGORIES]
    path = write_annotations(tmp_path / "val.json", categories=plain)
    truth = inatdet.read_annotations(path)
    ranked = inatdet.read_annotations(path, genus_from_names=True)
    file = written(tmp_path / "genus.parquet", ranked.taxonomy, [1])
    results = write_results(tmp_path / "genus.json", [(1, 1, RIGHT, 0.9)])
    for read, name in (
        (lambda: inatdet.read_detections(file, truth), "genus.parquet"),
        (lambda: inatdet.read_detections(file, truth, granularity="genus"), "genus.parquet"),
        (lambda: inatdet.read_detections(results, truth, granularity="genus"), "genus.json"),
    ):
        with pytest.raises(InputError, match="there is no level genus") as caught:
            read()
        assert str(tmp_path / name) in str(caught.value)
        assert "--genus_from_names" in str(caught.value)
    found = inatdet.read_detections(results, ranked, granularity="genus")
    with pytest.raises(InputError, match=r"val\.json: there is no level tribe"):
        inatdet.evaluate(ranked, found, levels=["tribe"])
    with pytest.raises(InputError, match="was read with other label spaces"):
        inatdet.evaluate(truth, found)


def test_a_level_that_does_not_nest(truth, tmp_path):
    ranks = tmp_path / "ranks.csv"
    ranks.write_text("id,family\n5,X\n0,X\n9,Y\n", "utf-8")
    crossed = [c | {"genus": "G"} for c in CATEGORIES[:3]]
    crossed[2]["supercategory"] = crossed[0]["supercategory"]
    path = write_annotations(tmp_path / "crossed.json", categories=crossed)
    truth = with_ranks(inatdet.read_annotations(path), ranks)
    assert FAMILY in truth.taxonomy.levels
    (tmp_path / "order.csv").write_text("id,phylum\n5,A\n0,B\n9,B\n", "utf-8")
    truth = with_ranks(truth, tmp_path / "order.csv")
    (misfit,) = truth.taxonomy.misfits
    with pytest.raises(InputError, match=f"no level {misfit.granularity}, as it lies neither"):
        of(truth, f"{misfit.granularity}=D")
