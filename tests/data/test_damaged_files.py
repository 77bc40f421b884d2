"""Foreign files, damaged by accident or on purpose: only an `InputError` may result."""

import io
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.checking import OnBad
from inatdet.data.formats.annotations import Options, read_annotations
from inatdet.data.formats.detections import DetectionsWriter, read_detections
from inatdet.data.formats.names import read_names
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from tests.data.damage import damaged
from tests.foreign import FOREIGN

CATEGORIES = [
    Category(1, "Corvus corax", "Aves"),
    Category(2, "Apis mellifera", "Insecta"),
    Category(3, "Pica pica", "Aves"),
    Category(7, "Quercus robur", "Plantae"),
]
TAXONOMY = Taxonomy.from_categories(CATEGORIES, {1, 2, 3})
IMAGES = [Image(1, "a.jpg", 120, 90), Image(2, "b.jpg", 64, 100), Image(3, "c.jpg", 50, 50)]


def read(path, granularity=Granularity.SPECIES):
    return read_detections(path, granularity, TAXONOMY, IMAGES)


def write(path, count, granularity=Granularity.SPECIES, constant=False):
    rng = np.random.default_rng(count)
    numbers = np.full((count, 5), 0.5) if constant else rng.uniform(0, 99, (count, 5))
    labels = np.ones(count, int)
    if not constant:
        labels = rng.integers(1, TAXONOMY.num_labels(granularity) + 1, count)
    with DetectionsWriter(path, granularity, TAXONOMY, rows_per_group=100) as writer:
        writer.append(labels, labels, numbers[:, 0], numbers[:, 1:])
    return path


def survives(read_it, path, contents, seed, count):
    """Damages and reads files; returns how many were invalid and how many still valid."""
    rng = np.random.default_rng(seed)
    results = []
    for _ in range(count):
        path.write_bytes(damaged(rng, contents[rng.integers(len(contents))]))
        try:
            read_it(path)
            results.append(True)
        except InputError as error:
            message = str(error)
            assert message.startswith(str(path.parent)) and "\n" not in message
            assert len(message) < 1500
            results.append(False)
    return results.count(False), results.count(True)


# Without checksums of pages, the damage reaches the decoders themselves.
WAYS = [
    {},
    {"compression": "none", "use_dictionary": False},
    {"compression": "none", "store_schema": False, "data_page_version": "2.0"},
    {"compression": "snappy", "data_page_size": 64},
    {
        "compression": "gzip",
        "use_dictionary": False,
        "column_encoding": {"image_id": "DELTA_BINARY_PACKED", "score": "BYTE_STREAM_SPLIT"},
    },
]


def test_parquet(tmp_path):
    contents = []
    table = pq.read_table(write(tmp_path / "d.parquet", 250))
    for way in WAYS:
        buffer = io.BytesIO()
        pq.write_table(table, buffer, **way)
        contents.append(buffer.getvalue())
    contents.append((tmp_path / "d.parquet").read_bytes())
    wrong, right = survives(read, tmp_path / "d.parquet", contents, seed=1, count=1000)
    assert wrong > 500 and right > 5  # a bit of a coordinate may flip where there is no checksum


def test_flipped_bits_in_our_pages_are_always_found(tmp_path):
    """Pages have checksums; the rest are parts of the footer that do not concern the rows."""
    path = write(tmp_path / "d.parquet", 2000)
    whole, before = path.read_bytes(), read(path)
    pages = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    rng = np.random.default_rng(0)
    for place in rng.integers(4, pages, 150).tolist():
        bits = bytearray(whole)
        bits[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bits)
        try:
            after = read(path)
        except InputError:
            continue
        np.testing.assert_array_equal(after.boxes, before.boxes)
        np.testing.assert_array_equal(after.image_ids, before.image_ids)


RESULTS = [
    {"image_id": i, "category_id": c, "bbox": [1.5, 2, 30.25, 4e1], "score": 0.5,
     "segmentation": {"size": [9, 9], "counts": "a,}{\\\"é"}}
    for i in (1, 2, 3) for c in (1, 2, 3)
]  # fmt: skip


def test_coco_results(tmp_path):
    contents = [json.dumps(RESULTS, indent=indent).encode() for indent in (None, 1)]
    wrong, right = survives(read, tmp_path / "d.json", contents, seed=2, count=1000)
    assert wrong > 500 and right > 20


def test_annotations(tmp_path):
    text = (FOREIGN / "lvis.json").read_bytes().replace(b'"synset"', b'"supercategory"')
    (tmp_path / "super.json").write_text("{}")
    options = Options(str(tmp_path / "super.json"))
    wrong, right = survives(
        lambda path: read_annotations(path, options),
        tmp_path / "a.json",
        [text.replace(b"coco_url", b"file_name").replace(b"http://", b""), text],
        seed=3,
        count=500,
    )
    assert wrong > 200 and right > 5
    supers = {category.name: category.supercategory for category in CATEGORIES}
    (tmp_path / "names.json").write_text(json.dumps(supers))
    nameless = tmp_path / "nameless.json"
    nameless.write_bytes((FOREIGN / "lvis.json").read_bytes().replace(b"coco_url", b"url"))
    with pytest.raises(InputError, match=r"3 bad entries .*has no file_name"):
        read_annotations(
            nameless, Options(super_categories_path=str(tmp_path / "names.json"), on_bad=OnBad.SKIP)
        )


@pytest.mark.parametrize("kind", ["yolo_results/labels", "voc_results"])
def test_text_results(tmp_path, kind):
    folder = shutil.copytree(FOREIGN / kind, tmp_path / "results")
    file = sorted(folder.iterdir())[0]
    wrong, right = survives(
        lambda path: read(path.parent), file, [file.read_bytes() * 20], seed=4, count=250
    )
    assert wrong > 100 and right > 0


@pytest.mark.parametrize("kind", ["yolo_labels/labels", "voc_annotations"])
def test_text_and_xml_annotations(tmp_path, kind):
    from PIL import Image as Picture

    folder = shutil.copytree(FOREIGN / kind, tmp_path / "annotations")
    (tmp_path / "images").mkdir()
    for image in IMAGES:
        picture = Picture.new("RGB", (image.width, image.height))
        picture.save(tmp_path / "images" / image.file_name)
    names = {category.name: category.supercategory for category in CATEGORIES}
    (tmp_path / "super.json").write_text(json.dumps(names))
    options = Options(
        str(FOREIGN / "yolo_labels" / "data.yaml"),
        str(tmp_path / "super.json"),
        str(tmp_path / "images"),
    )
    file = sorted(folder.iterdir())[0]
    wrong, right = survives(
        lambda path: read_annotations(path.parent, options),
        file,
        [file.read_bytes()],
        seed=5,
        count=250,
    )
    assert wrong > 100 and right > 0


def test_lists_of_names(tmp_path):
    content = (FOREIGN / "yolo_labels" / "data.yaml").read_bytes()
    wrong, right = survives(read_names, tmp_path / "data.yaml", [content], seed=6, count=200)
    assert wrong > 30 and right > 10


def _varint(number):
    """A whole number as in Parquet's footer: zigzag, seven bits per byte."""
    number, out = number << 1, bytearray()
    while True:
        out.append(number & 127 | (128 if number > 127 else 0))
        number >>= 7
        if not number:
            return bytes(out)


def claiming(whole, rows, count):
    """A Parquet file with a different number of rows in its footer."""
    length = int.from_bytes(whole[-8:-4], "little")
    footer = whole[-8 - length : -8]
    assert _varint(rows) in footer
    footer = footer.replace(_varint(rows), _varint(count))
    return whole[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (20_000, "is damaged|contains .* as it claims"),
        (1 << 20, "is damaged|contains .* as it claims"),
        (1 << 24, "claims to contain 16,777,216 detections, more than it has bytes"),
        (1 << 27, "more than it has bytes"),
        (1 << 33, "has 8,589,934,592 detections, more than the 134,217,728 allowed"),
        ((1 << 62) - 1, "allowed; keep the best 100"),
    ],
)
def test_parquet_that_claims_more_rows(tmp_path, count, message):
    path = tmp_path / "d.parquet"
    with DetectionsWriter(path, Granularity.SPECIES, TAXONOMY) as writer:
        ones = np.ones(12_345)
        writer.append(ones, ones, ones, np.ones((12_345, 4)))
    assert len(read(path)) == 12_345
    path.write_bytes(claiming(path.read_bytes(), 12_345, count))
    with pytest.raises(InputError, match=message):
        read(path)


def test_a_small_parquet_file_that_would_fill_the_memory(tmp_path):
    """Runs of equal values take almost no space: three million rows, a tenth of a megabyte."""
    path = tmp_path / "d.parquet"
    with DetectionsWriter(path, Granularity.SPECIES, TAXONOMY) as writer:
        for _ in range(3):
            ones = np.ones(1_000_000)
            writer.append(ones, ones, ones, np.ones((1_000_000, 4)))
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match="claims to contain 3,000,000 detections, more than"):
        read(path)


GOOD = {
    "version": 1,
    "granularity": "species",
    "labels": [{"name": "a", "category_id": 1}, {"name": "b", "category_id": 2}],
    "model": "m",
    "settings": {"a": 1},
}


@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"species"',
        b"[" * 100_000,
        json.dumps(GOOD).encode()[:-1],
        json.dumps(GOOD | {"settings": {"a": float("nan")}}).encode(),
        json.dumps(GOOD).encode().replace(b'{"a": 1}', b'{"a": ' + b"[" * 50_000),
        *(
            json.dumps(GOOD | change).encode()
            for change in (
                {"version": 2},  # without the hash of its label space
                {"version": 3},
                {"version": None},
                {"version": 10**30},
                {"granularity": "genus"},
                {"granularity": ["species"]},
                {"granularity": "super"},
                {"labels": None},
                {"labels": {"name": "a"}},
                {"labels": ["a", "b"]},
                {"labels": [{"name": "a"}, {"name": "b"}]},
                {"labels": [{"name": 1, "category_id": 1}] * 2},
                {"labels": [{"name": "a", "category_id": "1"}] * 2},
                {"labels": [{"name": "a", "category_id": 1.5}] * 2},
                {"labels": [{"name": "a", "category_id": 2**63}] * 2},
                {"labels": [{"name": "a", "category_id": 99}] * 2},
                {"labels": [{"name": "a", "category_id": 1}]},
                {"labels": []},
                {"model": 3},
                {"settings": [1]},
                {"settings": "s" * (17 << 20)},
            )
        ),
    ],
)
def test_metadata(tmp_path, metadata):
    path = write(tmp_path / "d.parquet", 50)
    table = pq.read_table(path)
    table = table.filter(pa.compute.less_equal(table["label"], 2))
    pq.write_table(table.replace_schema_metadata({b"inatdet": json.dumps(GOOD).encode()}), path)
    assert len(read(path)) == len(table)
    pq.write_table(table.replace_schema_metadata({b"inatdet": metadata}), path)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ") and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("score", ["a"] * 2),
        ("score", [[0.5]] * 2),
        ("score", [{"x": 0.5}] * 2),
        ("score", [None, 0.5]),
        ("score", [float("inf"), 0.5]),
        ("score", [True, False]),
        ("x", [1e300, 1.0]),
        ("width", [3e9, 1.0]),
        ("label", [0, 1]),
        ("label", [-(2**40), 1]),
        ("label", [1.5, 1.0]),
        ("image_id", pa.array([2**64 - 1, 1], pa.uint64())),
        ("image_id", [float("nan"), 1]),
    ],
)
def test_columns_of_other_types(tmp_path, column, values):
    path = write(tmp_path / "d.parquet", 2)
    table = pq.read_table(path)
    position = table.schema.names.index(column)
    pq.write_table(table.set_column(position, column, pa.array(values)), path)
    with pytest.raises(InputError):
        read(path)


def test_long_strings_are_not_read(tmp_path):
    """A dictionary page with one string of 16 MB, used a thousand times: 16 GB when decoded."""
    path = write(tmp_path / "d.parquet", 1000)
    table = pq.read_table(path)
    words = pa.DictionaryArray.from_arrays(np.zeros(1000, np.int32), ["x" * (16 << 20)])
    pq.write_table(table.set_column(2, "score", words), path, compression="zstd")
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="'score' contains dictionary"):
        read(path)


@pytest.mark.parametrize(
    "change",
    [
        {"bbox": [1e308, 0, 1e308, 1]},
        {"bbox": [0, 0, 2**31, 1]},
        {"bbox": [0, 0, 1]},
        {"bbox": [[0], 0, 1, 1]},
        {"bbox": {"x": 1}},
        {"bbox": "0011"},
        {"score": None},
        {"score": "half"},
        {"image_id": 1e30},
        {"image_id": 2**64},
        {"image_id": ["a"]},
        {"image_id": True},
        {"category_id": -(2**64)},
        {"category_id": None},
        {"category_id": 4},
    ],
)
def test_invalid_values_in_json(tmp_path, change):
    path = tmp_path / "d.json"
    path.write_text(json.dumps([RESULTS[0], RESULTS[1] | change]))
    with pytest.raises(InputError, match=r"detection (2|1 )"):
        read(path)


def test_unusual_but_valid_json(tmp_path):
    """The last of two equal keys counts, as in Python; long strings are skipped."""
    text = json.dumps(RESULTS[0]).replace('"score": 0.5', '"score": 9, "score": 0.25')
    text = text.replace('"image_id": 1', f'"x": "{"y" * (20 << 20)}", "image_id": 1')
    path = tmp_path / "d.json"
    path.write_text(f"[{text}]")
    assert read(path).scores.tolist() == [0.25] == [json.loads(text)["score"]]
