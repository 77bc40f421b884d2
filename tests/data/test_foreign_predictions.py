"""Predictions as other programs write them: tables of text, Parquet, NumPy's archives."""

import io
import subprocess
import sys
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.special

from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.formats import predictions_numpy, text_tables
from inatdet.data.formats.predictions import read_predictions
from inatdet.data.formats.writing import write_predictions
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

CATEGORIES = [
    Category(5, "Corvus", "Aves"),
    Category(0, "Apis", "Insecta"),
    Category(9, "Pica", "Aves"),
    Category(2, "Quercus", "Plantae"),
]
# Labels of species by id: Apis 0, Quercus 2, Corvus 5, Pica 9; super: Aves, Insecta, Plantae.
TAXONOMY = Taxonomy.from_categories(CATEGORIES, {5, 0, 9, 2})
SPECIES, SUPER, GENERIC = Granularity.SPECIES, Granularity.SUPER, Granularity.GENERIC
IMAGES = [Image(1, "a/x.jpg", 1, 1), Image(2, "b/0007.jpg", 1, 1), Image(3, "c/0008.jpg", 1, 1)]
LOGITS = np.array([[0.0, 1.0, 2.0, 3.0], [3.0, 1.0, 0.0, 0.0]])
# In the order of category ids: Apis, Quercus, Corvus, Pica.
PROBABILITIES = np.array([[0.0, 0.5, 0.25, 0.25], [0.875, 0.0, 0.125, 0.0]])


def read(path, content, images=(), **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_predictions(path, TAXONOMY, images, **options)


def wide(header="image_id,0,2,5,9"):
    rows = (",".join(map(str, [7 + i, *row])) for i, row in enumerate(PROBABILITIES.tolist()))
    return "\n".join([header, *rows]) + "\n"


def long(score="probability", zeros=True):
    rows = [
        f"{7 + i},{category},{PROBABILITIES[i, at]}"
        for i in range(2)
        for at, category in enumerate((0, 2, 5, 9))
        if zeros or PROBABILITIES[i, at]
    ]
    return "\n".join([f"image_id,category_id,{score}", *rows]) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        "id,predicted\n7,5 9\n8,0 2 5\n",
        "id,predicted\r\n7,5 9\r\n8,0 2 5\r\n",
        "\ufeffimage_id;categories\n7;5  9 \n8; 0 2 5",
        '"id"\t"predicted"\n"7"\t"5 9"\n"8"\t"0 2 5"\n',
    ],
)
def test_ranks(tmp_path, text):
    found = read(tmp_path / "p.csv", text)
    assert found.image_ids.tolist() == [7, 8]
    assert found.own.labels.tolist() == [[3, 4, 0], [1, 2, 3]]
    assert found.own.probabilities is None
    assert (found.trained_on, list(found.ranked), found.notes) == (SPECIES, [SPECIES], ())


def test_one_rank_only(tmp_path):
    found = read(tmp_path / "p.csv", "image_id,category_id\n7,5\n8,0\n")
    assert found.own.labels.tolist() == [[3], [1]]


def test_ranks_behind_the_last_one_kept_are_left_out(tmp_path):
    found = read(tmp_path / "p.csv", "id,predicted\n7,5 9\n8,0 2 5\n9,2\n", keep=2)
    assert found.own.labels.tolist() == [[3, 4], [1, 2], [2, 0]]


@pytest.mark.parametrize(
    "text",
    [
        long(zeros=False),
        "score,probability,image_id,category_id\n,.25,7,5\n,.125,8,5\n,.5,7,2\n,.25,7,9\n"
        ",.875,8,0\n",
        long(zeros=False).replace("7,5,0.25", "7,5.0,2.5e-1"),
    ],
)
def test_long_tables(tmp_path, text):
    found = read(tmp_path / "p.csv", text)
    assert found.image_ids.tolist() == [7, 8]
    assert found.own.labels.tolist() == [[2, 3, 4], [1, 3, 0]]
    np.testing.assert_array_equal(found.own.probabilities, [[0.5, 0.25, 0.25], [0.875, 0.125, 0]])
    assert found.own.probabilities.dtype == np.float32
    assert (list(found.ranked), found.notes) == ([SPECIES], ())


@pytest.mark.parametrize(
    "text", [wide(), wide("id,Apis,Quercus,Corvus,Pica"), long(), long("score")]
)
@pytest.mark.parametrize("keep", [1, 2, 100])
def test_probabilities_of_all_labels_are_summed(tmp_path, text, keep):
    found = read(tmp_path / "p.csv", text, keep=keep)
    assert found.own.labels.tolist() == [row[:keep] for row in ([2, 3, 4, 1], [1, 3, 2, 4])]
    best = np.sort(PROBABILITIES)[:, ::-1][:, :keep]
    np.testing.assert_array_equal(found.own.probabilities, best)
    coarse = found.ranked[SUPER]
    # Aves and Plantae have one half each, and the first one comes first.
    assert coarse.labels.tolist() == [row[:keep] for row in ([1, 3, 2], [2, 1, 3])]
    expected = np.array([[0.5, 0.5, 0], [0.875, 0.125, 0]])[:, :keep]
    np.testing.assert_array_equal(coarse.probabilities, expected)
    np.testing.assert_array_equal(found.ranked[GENERIC].probabilities, [[1], [1]])


@pytest.mark.parametrize(
    "text",
    [
        "image_id,category_id,score\n7,5,1\n7,9,3.5\n8,0,-2\n",
        "image_id,9,5\n7,3.5,1\n8,-2,-3\n",
    ],
)
def test_scores_that_only_rank(tmp_path, text):
    found = read(tmp_path / "p.csv", text)
    assert found.own.labels[0].tolist() == [4, 3]
    assert found.own.probabilities is None
    assert list(found.ranked) == [SPECIES]
    (note,) = found.notes
    assert "they are no probabilities and only their order counts" in note


def test_long_tables_of_many_images_against_a_loop(tmp_path, monkeypatch):
    """In any order, in small pieces, more guesses than are kept."""
    monkeypatch.setattr(text_tables, "_BLOCK", 1 << 10)
    rng = np.random.default_rng(0)
    categories = [Category(7 * i, f"s{i}", "Aves") for i in range(30)]
    taxonomy = Taxonomy.from_categories(categories, [c.id for c in categories])
    by_image = {}
    for image in rng.permutation(50).tolist():
        chosen = rng.permutation(30)[: rng.integers(1, 31)]
        by_image[image] = dict(zip(chosen.tolist(), (rng.random(len(chosen)) / 30).tolist()))
    rows = [(i, 7 * c, p) for i, row in by_image.items() for c, p in row.items()]
    rng.shuffle(rows)
    text = "\n".join(f"{int(i)},{int(c)},{p!r}" for i, c, p in np.array(rows).tolist())
    (tmp_path / "p.csv").write_text(f"image_id,category_id,probability\n{text}\n")
    found = read_predictions(tmp_path / "p.csv", taxonomy, keep=10)
    assert sorted(found.image_ids.tolist()) == list(range(50))
    for image, labels, probabilities in zip(
        found.image_ids.tolist(), found.own.labels.tolist(), found.own.probabilities
    ):
        best = sorted(by_image[image].items(), key=lambda pair: -pair[1])[:10]
        assert [label for label in labels if label] == [c + 1 for c, _ in best]
        np.testing.assert_allclose(probabilities[: len(best)], [p for _, p in best], rtol=1e-6)
        assert not probabilities[len(best) :].any()


def parquet(path, columns, **options):
    pq.write_table(pa.table(columns), path, **options)
    return path


def test_parquet_of_other_programs(tmp_path):
    path = tmp_path / "p.parquet"
    parquet(path, {"id": [7, 8], "predicted": ["5 9", "0 2 5"]})
    assert read_predictions(path, TAXONOMY).own.labels.tolist() == [[3, 4, 0], [1, 2, 3]]
    names = pa.array(["x", "b/0007.jpg"]).dictionary_encode()
    parquet(path, {"image_id": names, "category_id": pa.array([5.0, 0.0]), "score": [0.5, 0.25]})
    found = read_predictions(path, TAXONOMY, IMAGES)
    assert found.image_ids.tolist() == [1, 2]
    assert found.own.labels.tolist() == [[3], [1]]
    columns = {name: PROBABILITIES[:, i] for i, name in enumerate(("0", "2", "5", "9"))}
    parquet(path, {"image_id": [7.0, 8.0]} | columns, row_group_size=1)
    found = read_predictions(path, TAXONOMY)
    assert found.image_ids.tolist() == [7, 8]
    assert found.own.labels[:, 0].tolist() == [2, 1]
    assert found.ranked[SUPER].labels.tolist() == [[1, 3, 2], [2, 1, 3]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image_id": [7.5], "5": [0.5]}, "damaged or not a Parquet file of predictions"),
        ({"image_id": [7], "5": ["a"]}, "column '5' contains string, not numbers"),
        ({"image_id": [[7]], "5": [0.5]}, "column 'image_id' contains list<.*, not numbers or te"),
        ({"image_id": [None], "5": [0.5]}, "column 'image_id' contains null"),
        ({"id": [7, 8], "predicted": ["5", None]}, "column 'predicted' has empty cells; write at"),
        ({"image_id": [7], "labels": [[1, 2]]}, "column 'labels' contains list<.*, not numbers or"),
        ({"label": [7], "score": [0.5]}, "no column image_id: it has 'label', 'score'; write im"),
        ({"image_id": [7, None], "category_id": [5, 5], "score": [0.5, 0.5]}, "has empty cells"),
        ({"image_id": [7, 8], "category_id": [5, 5], "score": [0.5, None]}, "or more empty cells"),
    ],
)
def test_parquet_of_other_forms(tmp_path, columns, message):
    path = parquet(tmp_path / "p.parquet", columns)
    with pytest.raises(InputError, match=message) as caught:
        read_predictions(path, TAXONOMY)
    assert str(caught.value).startswith(f"{path}: ")


def test_images_by_name(tmp_path):
    found = read(tmp_path / "p.csv", "id,predicted\nx,5\nb/0007.jpg,0\n0008,9\n", IMAGES)
    assert found.image_ids.tolist() == [1, 2, 3]
    assert "3 images were matched by name" in found.notes[0]
    numbers = read(tmp_path / "p.csv", "id,predicted\n0007,5\n8,0\n", IMAGES)
    assert numbers.image_ids.tolist() == [2, 3]
    assert "2 images were matched by name" in numbers.notes[0]


def test_images_that_are_not_in_the_truth_are_kept(tmp_path):
    """A file may be about several splits."""
    found = read(tmp_path / "p.csv", "id,predicted\n1,5\n99,0\n", IMAGES)
    assert (found.image_ids.tolist(), found.notes) == ([1, 99], ())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_logits_of_numpy(tmp_path, monkeypatch, dtype, order, save):
    monkeypatch.setattr(predictions_numpy, "_BLOCK", 1)
    path = tmp_path / "p.npz"
    save(path, image_ids=np.array([7, 8], np.int32), logits=LOGITS.astype(dtype, order=order))
    found = read_predictions(path, TAXONOMY)
    assert found.image_ids.tolist() == [7, 8]
    assert found.own.labels.tolist() == [[4, 3, 2, 1], [1, 2, 3, 4]]
    expected = scipy.special.softmax(LOGITS, axis=1)
    np.testing.assert_allclose(
        found.own.probabilities, np.sort(expected)[:, ::-1].astype(np.float32), rtol=1e-6
    )
    aves = expected[:, 2] + expected[:, 3]
    np.testing.assert_allclose(found.ranked[SUPER].probabilities[0, 0], aves[0], rtol=1e-6)
    np.testing.assert_array_equal(found.ranked[GENERIC].probabilities, [[1], [1]])


def test_probabilities_of_numpy_with_categories(tmp_path):
    path = tmp_path / "p.npz"
    ids = np.array([9, 5, 2, 0])
    np.savez(
        path,
        image_ids=np.array(["x", "0007"]),
        probabilities=PROBABILITIES[:, ::-1],
        category_ids=ids,
    )
    found = read_predictions(path, TAXONOMY, IMAGES)
    assert found.image_ids.tolist() == [1, 2]
    assert found.own.labels[:, 0].tolist() == [2, 1]
    np.testing.assert_array_equal(found.own.probabilities[:, 0], [0.5, 0.875])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"image_ids": None}, "holds 'logits', but not image_ids and one of logits and prob"),
        ({"logits": None}, "holds 'image_ids', but not"),
        ({"probabilities": LOGITS}, "holds 'image_ids', 'logits', 'probabilities', but not"),
        ({"image_ids": [7, 8, 9]}, "has 3 image_ids, but logits of 2 images"),
        ({"image_ids": [7, 7]}, "has image 7 twice"),
        ({"image_ids": [7, None]}, r"'image_ids.npy' has the shape \(2,\) and the type object"),
        ({"image_ids": [7.0, 8.0]}, "should have one axis of whole numbers or names"),
        ({"image_ids": ["x", "y"]}, "the annotations have no image named 'y'"),
        ({"logits": LOGITS[0]}, r"'logits.npy' has the shape \(4,\) .* two axes of numbers"),
        ({"logits": LOGITS.astype("U9")}, "two axes of numbers"),
        ({"logits": LOGITS[:, :3]}, "has scores for 3 classes, but there are 4 species labels"),
        ({"logits": LOGITS * np.nan}, "image 7 has a score that is not finite"),
        ({"logits": None, "probabilities": LOGITS}, "image 7 has probabilities outside of 0 to 1"),
        ({"category_ids": [0, 2, 5]}, "has scores for 4 classes, but 3 category ids"),
        ({"category_ids": [0, 2, 5, 5]}, "has 1 categories twice, such as 5"),
        ({"category_ids": [0, 2, 5, 6]}, "has 1 category id that is not among .*, namely 6"),
    ],
)
def test_bad_archives(tmp_path, arrays, message):
    arrays = {"image_ids": [7, 8], "logits": LOGITS} | arrays
    path = tmp_path / "p.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=message) as caught:
        read_predictions(path, TAXONOMY, IMAGES)
    assert str(caught.value).startswith(f"{path}: ")


def test_an_archive_that_claims_too_much(tmp_path):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f8", "fortran_order": True, "shape": (2, 1 << 40)}
    )
    with zipfile.ZipFile(tmp_path / "p.npz", "w") as archive:
        archive.writestr("logits.npy", file.getvalue())
        ids = io.BytesIO()
        np.save(ids, np.array([7, 8]))
        archive.writestr("image_ids.npy", ids.getvalue())
    with pytest.raises(InputError, match=r"'logits\.npy' claims to be larger than it can be"):
        read_predictions(tmp_path / "p.npz", TAXONOMY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; write the predictions again"),
        ("\n\n", "is empty"),
        ("id,predicted\n", "has no predictions"),
        ("id,predicted\n7,5\n7,9\n", "has image 7 twice or more often; 1 image is like this"),
        ("id,predicted\n7,5\n8,\n", "image 8 has no label; 1 image is like this"),
        ("id,predicted\n7,5 9 5\n", "image 7 has category 5 twice"),
        ("id,predicted\n7,5 77\n8,78 79 80\n", r"4 category ids that are .* 79 \(image 7\)"),
        ("id,predicted\n7,5 Pica\n", r"row 1 \(image 7\) has 'Pica' in place of a category id"),
        ("id,predicted\n7,5 9.5\n", "has '9.5' in place of a category id"),
        ("id,predicted\n,5\n", "column 'id' has empty cells"),
        ("id,predicted\n7,5\n8\n", "cannot be read as a table of text .*Expected 2 columns, got 1"),
        ("id,predicted\nz,5\n", "the annotations have no image named 'z'"),
        ("id\n7\n", "is a table with only one column: it has 'id'"),
        ("a,b,c,d,e,f,g\n", "no column image_id: it has 'a', 'b', 'c', 'd', 'e' and 2 more; write"),
        ("id,5,5\n7,1,1\n", "names the column '5' twice"),
        ("id,5,9,x\n7,.5,.5,1\n", "1 of its columns, namely 'x', have no category's id or name"),
        ("id,5,77\n7,.5,.5\n", "has 1 category id that is not among .*, namely 77"),
        ("id,5,9\n7,.5,nan\n", "image 7 has a score that is not finite"),
        ("id,5,9\n7,.5,x\n", "cannot be read as a table of text .* invalid value 'x'"),
        ("id,5,9\n7,.5,\n", "column '9' has 1 or more empty cells"),
        ("id,category_id,score\n7,5,nan\n", r"row 1 \(image 7\) has the score nan; 1 row is like"),
        ("id,category_id,score\n7,5,inf\n", "has the score inf"),
        ("id,category_id,score\n7,5.5,1\n", "has the category_id 5.5"),
        ("id,category_id,score\n7,5,1\n7,5,2\n", "image 7 has category 5 twice"),
        ("id,category_id,score\n7,6,1\n", "1 category id that is not .* namely 6"),
        ("id,category_id,probability\n7,5,1.5\n", r"row 1 \(image 7\) has the probability 1.5"),
        (
            "id,category_id,probability\n7,5,.7\n7,9,.7\n",
            "image 7 has probabilities that sum to 1.4; 1 image is like this; call the column",
        ),
        ('[{"image_id": 1}]', "is JSON, as detections are, which are given as --detections"),
        ('{"images": []}', "is JSON, as annotations are, which are given as --labels"),
        ("<xml>", "is XML or a web page"),
        (b"\x80\x04\x95", "is a pickle, which can run any program"),
        (b"\x89HDF\r\n", "is HDF5"),
        (b"\x1f\x8b\x08\x00", "is compressed by gzip"),
        (b"\x93NUMPY\x01\x00", "is one array, which does not say whose scores these are"),
        (b"PK\x05\x06" + bytes(18), "is an empty archive"),
        (b"PK\x03\x04 torn", "is damaged or not an archive of NumPy's arrays"),
        (b"PAR1 torn", "is damaged or not a Parquet file of predictions"),
        ("id,predicted\n7,5\n".encode("utf-16"), "is text in UTF-16"),
        (b"id,predicted\n\xff,5\n", "cannot be read as a table of text .*can't decode byte"),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "p", text, IMAGES)
    assert str(caught.value).startswith(f"{tmp_path / 'p'}: ")


def test_no_kind_needs_pandas(tmp_path):
    """Arrow would import it in C code, where Ctrl-C is lost."""
    contents = {"ranks": "id,predicted\n7,5 9\n", "long": long(), "wide": wide()}
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    read_predictions(tmp_path / "ranks", TAXONOMY)
    write_predictions(read_predictions(tmp_path / "long", TAXONOMY), tmp_path / "ours.parquet")
    parquet(tmp_path / "foreign", {"image_id": [7], "category_id": [5], "score": [0.5]})
    code = (
        "import sys\n"
        "from inatdet.data.categories import Category\n"
        "from inatdet.data.formats.predictions import read_predictions\n"
        "from inatdet.data.taxonomy import Taxonomy\n"
        "taxonomy = Taxonomy.from_categories([Category(5, 'Corvus', 'Aves'), Category(0, 'Apis', "
        "'Insecta'), Category(9, 'Pica', 'Aves'), Category(2, 'Quercus', 'Plantae')], [0, 2, 5, 9])"
        "\nfor path in sys.argv[1:]:\n"
        "    read_predictions(path, taxonomy)\n"
        "    assert 'pandas' not in sys.modules, path"
    )
    paths = [tmp_path / name for name in (*contents, "ours.parquet", "foreign")]
    subprocess.run([sys.executable, "-c", code, *paths], check=True, timeout=120)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_predictions(tmp_path / "none", TAXONOMY)
    with pytest.raises(InputError, match="is a folder; give the file of predictions in it"):
        read_predictions(tmp_path, TAXONOMY)
