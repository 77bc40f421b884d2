import errno
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inatdet.data.categories import Category
from inatdet.data.formats.coco_results import write_coco_detections
from inatdet.data.formats.detections import DetectionsWriter, read_detections
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

CATEGORIES = [
    Category(5, "Corvus", "Aves"),
    Category(0, "Apis", "Insecta"),
    Category(9, "Pica", "Aves"),
    Category(2, "Quercus", "Plantae"),
]
TAXONOMY = Taxonomy.from_categories(CATEGORIES, {5, 0, 9})  # species: Apis 0, Corvus 5, Pica 9

IMAGE_IDS = np.array([3, 3, 8])
LABELS = np.array([1, 3, 2])
SCORES = np.array([0.5, 0.25, 1.0])
BOXES = np.array([[0, 1, 2, 3], [4.5, 5, 6, 7], [0, 0, 0, 0]])


def write(path, granularity=Granularity.SPECIES, labels=LABELS, taxonomy=TAXONOMY, **columns):
    columns = {"image_ids": IMAGE_IDS, "scores": SCORES, "boxes": BOXES} | columns
    with DetectionsWriter(
        path, granularity, taxonomy, model="m/ckpt-7", settings={"nms_iou": 0.6}, rows_per_group=2
    ) as writer:
        for row in range(len(labels)):
            one = slice(row, row + 1)
            writer.append(
                columns["image_ids"][one], labels[one], columns["scores"][one],
                columns["boxes"][one],
            )  # fmt: skip
    return str(path)


def test_species_round_trip(tmp_path):
    found = read_detections(write(tmp_path / "d.parquet"), Granularity.SPECIES, TAXONOMY)
    assert found.trained_on is Granularity.SPECIES
    assert found.model == "m/ckpt-7"
    assert found.settings == {"nms_iou": 0.6}
    np.testing.assert_array_equal(found.image_ids, IMAGE_IDS)
    np.testing.assert_array_equal(found.scores, SCORES)
    np.testing.assert_array_equal(found.boxes, BOXES)
    assert {str(g): labels.tolist() for g, labels in found.labels.items()} == {
        "species": [1, 3, 2],
        "super": [1, 2, 2],  # Insecta, Aves: the paper's order
        "generic": [1, 1, 1],
    }
    assert os.listdir(tmp_path) == ["d.parquet"]


def test_labels_are_matched_by_category_id_and_name(tmp_path):
    # The model knew only Corvus and Pica; the ground truth has Apis before them.
    model_s = Taxonomy.from_categories(CATEGORIES, {5, 9})
    path = write(tmp_path / "d.parquet", labels=np.array([1, 2, 1]), taxonomy=model_s)
    found = read_detections(path, Granularity.SPECIES, TAXONOMY)
    assert found.labels[Granularity.SPECIES].tolist() == [2, 3, 2]

    path = write(tmp_path / "s.parquet", Granularity.SUPER, np.array([1, 1, 1]), model_s)
    found = read_detections(path, Granularity.SUPER, TAXONOMY)
    assert found.labels[Granularity.SUPER].tolist() == [2, 2, 2]  # Aves
    assert Granularity.SPECIES not in found.labels


def test_a_species_without_a_true_box_counts_at_coarser_granularities(tmp_path):
    path = write(tmp_path / "d.parquet")
    no_pica = Taxonomy.from_categories(CATEGORIES, {5, 0})
    found = read_detections(path, Granularity.SPECIES, no_pica)
    assert found.labels[Granularity.SPECIES].tolist() == [1, 0, 2]
    assert found.labels[Granularity.SUPER].tolist() == [1, 2, 2]
    no_birds = Taxonomy.from_categories(CATEGORIES, {0})
    found = read_detections(path, Granularity.SPECIES, no_birds)
    assert found.labels[Granularity.SUPER].tolist() == [1, 0, 0]
    assert found.labels[Granularity.GENERIC].tolist() == [1, 1, 1]
    path = write(tmp_path / "s.parquet", Granularity.SUPER, np.array([1, 2, 2]))
    found = read_detections(path, Granularity.SUPER, no_birds)
    assert found.labels[Granularity.SUPER].tolist() == [1, 0, 0]


@pytest.mark.parametrize("count", [0, 1])
def test_few_detections(tmp_path, count):
    path = write(tmp_path / "d.parquet", labels=LABELS[:count])
    assert len(read_detections(path, Granularity.SPECIES, TAXONOMY)) == count


def test_failed_writing_leaves_nothing(tmp_path):
    def interrupted():
        with DetectionsWriter(tmp_path / "d.parquet", Granularity.SPECIES, TAXONOMY) as writer:
            writer.append(IMAGE_IDS, LABELS, SCORES, BOXES)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("rows_per_group", [1, 1000])
def test_a_piece_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch, rows_per_group):
    """Neither at once nor at the end, when the last rows are written."""

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)

    def write_one():
        with DetectionsWriter(
            tmp_path / "d.parquet", Granularity.SPECIES, TAXONOMY, rows_per_group=rows_per_group
        ) as writer:
            writer.append(IMAGE_IDS, LABELS, SCORES, BOXES)

    with pytest.raises(OSError, match="No space") as caught:
        write_one()
    assert caught.value.filename == str(tmp_path / "d.parquet")
    assert os.listdir(tmp_path) == []


def test_a_writer_that_cannot_start_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "ParquetWriter", full)
    with pytest.raises(OSError, match="No space"):
        DetectionsWriter(tmp_path / "d.parquet", Granularity.SPECIES, TAXONOMY).__enter__()
    assert os.listdir(tmp_path) == []


def test_parquet_needs_no_pandas(tmp_path):
    """Arrow would import it in C code, where Ctrl-C is lost."""
    write(tmp_path / "d.parquet")
    code = (
        "import sys; sys.modules['pandas'] = None\n"  # importing it fails
        "import numpy as np\n"
        "from inatdet.data.formats.detections import read_detections, DetectionsWriter\n"
        "from inatdet.data.taxonomy import Category, Granularity, Taxonomy\n"
        "del sys.modules['pandas']\n"
        "taxonomy = Taxonomy.from_categories([Category(i, f's{i}', 'Aves') for i in (0, 5, 9)],"
        " {0, 5, 9})\n"
        "with DetectionsWriter(sys.argv[2], Granularity.SPECIES, taxonomy) as writer:\n"
        "    writer.append(np.ones(1), np.ones(1), np.ones(1), np.ones((1, 4)))\n"
        "read_detections(sys.argv[1], None, taxonomy)\n"
        "assert 'pandas' not in sys.modules"
    )
    arguments = [sys.executable, "-c", code, tmp_path / "d.parquet", tmp_path / "e.parquet"]
    subprocess.run(arguments, check=True, timeout=120)


@pytest.mark.parametrize("column", ["image_id", "label"])
@pytest.mark.parametrize("value", [0.5, np.nan, 2.0**70])
def test_numbers_that_are_not_whole_are_not_written(tmp_path, column, value):
    columns = {"image_id": np.ones(1), "label": np.ones(1)} | {column: np.array([value])}
    with (
        pytest.raises(ValueError, match=f"{column} must be whole numbers"),
        DetectionsWriter(tmp_path / "d.parquet", Granularity.SPECIES, TAXONOMY) as writer,
    ):
        writer.append(columns["image_id"], columns["label"], np.ones(1), np.ones((1, 4)))
    assert os.listdir(tmp_path) == []


def test_unusual_layouts_of_parquet(tmp_path):
    """Empty groups of rows, columns in another order, other types, more columns."""
    before = read_detections(write(tmp_path / "d.parquet"), Granularity.SPECIES, TAXONOMY)
    table = pq.read_table(tmp_path / "d.parquet")
    schema = table.schema
    with pq.ParquetWriter(tmp_path / "a.parquet", schema) as writer:
        for part in (table[:0], table[:2], table[:0], table[2:], table[:0]):
            writer.write_table(part)
    names = table.schema.names[::-1]
    doubles = pa.schema([(name, pa.float64()) for name in names], schema.metadata)
    other = table.select(names).cast(doubles).append_column("note", pa.array(["a", None, "c"]))
    pq.write_table(other.replace_schema_metadata(schema.metadata), tmp_path / "b.parquet")
    pq.write_table(table[1:], tmp_path / "c.parquet", compression="none", data_page_version="2.0")
    for name, rows in (("a", slice(None)), ("b", slice(None)), ("c", slice(1, None))):
        after = read_detections(tmp_path / f"{name}.parquet", None, TAXONOMY)
        np.testing.assert_array_equal(after.image_ids, before.image_ids[rows])
        np.testing.assert_array_equal(after.boxes, before.boxes[rows])
        np.testing.assert_array_equal(after.scores, before.scores[rows])


def test_numbers_in_a_dictionary(tmp_path):
    """As pandas' categories are written."""
    table = pq.read_table(write(tmp_path / "d.parquet"))
    coded = table.set_column(1, "label", table["label"].dictionary_encode())
    pq.write_table(coded, tmp_path / "e.parquet")
    found = read_detections(tmp_path / "e.parquet", None, TAXONOMY)
    assert found.labels[Granularity.SPECIES].tolist() == LABELS.tolist()


def coco(path, **changes):
    results = [
        {"image_id": int(i), "category_id": c, "bbox": list(b), "score": float(s)}
        for i, c, b, s in zip(IMAGE_IDS, [0, 9, 5], BOXES, SCORES)
    ]
    results[1] |= {"segmentation": [], "id": 4} | changes
    path.write_text(json.dumps(results))
    return str(path)


def test_coco_json_is_read_by_category_id(tmp_path):
    found = read_detections(coco(tmp_path / "d.json"), Granularity.SPECIES, TAXONOMY)
    assert found.labels[Granularity.SPECIES].tolist() == [1, 3, 2]
    assert found.labels[Granularity.SUPER].tolist() == [1, 2, 2]
    np.testing.assert_array_equal(found.boxes, BOXES)
    unboxed = read_detections(
        coco(tmp_path / "e.json", category_id=2), Granularity.SPECIES, TAXONOMY
    )
    assert unboxed.labels[Granularity.SPECIES].tolist() == [1, 0, 2]
    assert unboxed.labels[Granularity.GENERIC].tolist() == [1, 1, 1]


def test_coarse_coco_json_is_read_by_label(tmp_path):
    path = tmp_path / "d.json"
    path.write_text(json.dumps([{"image_id": 1, "category_id": 2, "bbox": [0] * 4, "score": 1}]))
    found = read_detections(path, Granularity.SUPER, TAXONOMY)
    assert found.labels[Granularity.SUPER].tolist() == [2]
    assert found.labels[Granularity.GENERIC].tolist() == [1]


def test_an_empty_list_has_no_detections(tmp_path):
    (tmp_path / "d.json").write_text("[]")
    assert len(read_detections(tmp_path / "d.json", Granularity.GENERIC, TAXONOMY)) == 0


@pytest.mark.parametrize("granularity", ALWAYS)
def test_coco_json_round_trip(tmp_path, granularity):
    labels = TAXONOMY.coarsen(LABELS, Granularity.SPECIES, granularity)
    before = read_detections(write(tmp_path / "d", granularity, labels), granularity, TAXONOMY)
    write_coco_detections(tmp_path / "d.json", before, TAXONOMY)
    after = read_detections(tmp_path / "d.json", granularity, TAXONOMY)
    for name in ("image_ids", "scores", "boxes"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    for target, expected in before.labels.items():
        np.testing.assert_array_equal(after.labels[target], expected)


NAN = float("nan")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": np.array([0.5, NAN, 1])}, r"detection 2 \(image 3\) has the score nan"),
        ({"boxes": np.where(BOXES == 5, np.inf, BOXES)}, r"detection 2 .* has the box"),
        ({"boxes": -BOXES}, r"detection 1 .* negative size"),
        ({"labels": np.array([1, 4, 2])}, "detection 2 has label 4, .* go from 1 to 3"),
        ({"labels": np.array([0, 1, 2])}, "detection 1 has label 0"),
    ],
)
def test_bad_values_in_parquet(tmp_path, changes, message):
    path = write(tmp_path / "d.parquet", **changes)
    with pytest.raises(InputError, match=message):
        read_detections(path, Granularity.SPECIES, TAXONOMY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": NAN}, "valid JSON"),  # Python writes NaN, which JSON does not have
        (
            {"score": "high"},
            r"detection 2 has no number as its score, but 'high'; each needs .* score",
        ),
        ({"score": 1e308 * 10}, "valid JSON"),
        ({"bbox": [1, 2, 3]}, "detection 2 has no list of four numbers as its bbox"),
        ({"bbox": [1, 2, -3, 4]}, "negative size"),
        ({"category_id": 77}, "detection 2 has category 77, which is not among"),
        ({"category_id": 1.5}, "detection 2 has no whole number as its category_id"),
        ({"image_id": 2**70}, "detection 2 has no whole number and no file name as its image_id"),
    ],
)
def test_bad_values_in_json(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read_detections(coco(tmp_path / "d.json", **changes), Granularity.SPECIES, TAXONOMY)


@pytest.mark.parametrize("text", ["", "[", "{}", "[{}]", "null", '[{"image_id": 1', "hello", "\0"])
def test_other_texts(tmp_path, text):
    (tmp_path / "d.json").write_text(text)
    with pytest.raises(InputError, match=r"d\.json: "):
        read_detections(tmp_path / "d.json", Granularity.SPECIES, TAXONOMY)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.999])
def test_truncated_files(tmp_path, share):
    for path in (write(tmp_path / "d.parquet"), coco(tmp_path / "d.json")):
        with open(path, "rb+") as file:
            file.truncate(max(1, int(os.path.getsize(path) * share)))
        with pytest.raises(InputError, match=r"d\.(parquet|json): "):
            read_detections(path, Granularity.SPECIES, TAXONOMY)


def test_the_wrong_granularity_is_noticed(tmp_path):
    path = write(tmp_path / "d.parquet")
    with pytest.raises(InputError, match="contains species detections but was given as super"):
        read_detections(path, Granularity.SUPER, TAXONOMY)


def test_other_parquet_files(tmp_path):
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="does not describe its label space"):
        read_detections(tmp_path / "a.parquet", Granularity.SPECIES, TAXONOMY)
    table = pq.read_table(write(tmp_path / "d.parquet"))
    pq.write_table(table.drop_columns(["score"]), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="has no column 'score'"):
        read_detections(tmp_path / "b.parquet", Granularity.SPECIES, TAXONOMY)
    empty_cell = table.set_column(2, "score", pa.array([0.1, None, 0.3], pa.float32()))
    pq.write_table(empty_cell, tmp_path / "c.parquet")
    with pytest.raises(InputError, match="'score' has empty cells"):
        read_detections(tmp_path / "c.parquet", Granularity.SPECIES, TAXONOMY)
    words = table.set_column(2, "score", pa.array(["a", "b", "c"]))
    pq.write_table(words, tmp_path / "e.parquet")
    with pytest.raises(InputError, match="'score' contains string, not numbers"):
        read_detections(tmp_path / "e.parquet", Granularity.SPECIES, TAXONOMY)
    twice = table.append_column("score", table["score"])
    pq.write_table(twice, tmp_path / "f.parquet")
    with pytest.raises(InputError, match="several columns 'score'"):
        read_detections(tmp_path / "f.parquet", Granularity.SPECIES, TAXONOMY)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_detections(tmp_path / "none.parquet", Granularity.SPECIES, TAXONOMY)


def test_a_file_is_the_same_however_its_rows_come(tmp_path):
    rng = np.random.default_rng(0)
    rows = 57
    columns = (rng.integers(0, 9, rows), rng.integers(1, 4, rows), rng.random(rows))
    boxes = rng.random((rows, 4))
    files = set()
    for case, pieces in enumerate([1, 2, 9, 57]):
        cuts = np.sort(rng.integers(0, rows + 1, pieces - 1))  # some pieces are empty
        path = tmp_path / f"{case}.parquet"
        with DetectionsWriter(path, Granularity.SPECIES, TAXONOMY, rows_per_group=10) as writer:
            for part in np.split(np.arange(rows), cuts):
                writer.append(*(column[part] for column in (*columns, boxes)))
        files.add(path.read_bytes())
        with pq.ParquetFile(path) as file:
            groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        assert groups == [10] * 5 + [7]
    assert len(files) == 1
