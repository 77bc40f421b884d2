"""Tests of what Parquet files of detections say about themselves."""

import hashlib
import json
import platform

import numpy as np
import pyarrow.parquet as pq
import pytest

from inatdet.data.categories import Category
from inatdet.data.formats.detections import DetectionsWriter, read_detections
from inatdet.data.formats.parquet import read_metadata
from inatdet.data.formats.parquet_metadata import Label
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.version import VERSION

CATEGORIES = [Category(5, "Corvus", "Aves"), Category(0, "Ápis", "Insecta")]
TAXONOMY = Taxonomy.from_categories(CATEGORIES, {5, 0})
# As documented; species are by category id.
SPACES = {
    Granularity.SPECIES: (
        r'[{"category_id":0,"name":"\u00c1pis","supercategory":"Insecta"},'
        r'{"category_id":5,"name":"Corvus","supercategory":"Aves"}]'
    ),
    Granularity.SUPER: '[{"name":"Insecta"},{"name":"Aves"}]',
    Granularity.GENERIC: '[{"name":"animal"}]',
}


def write(path, granularity=Granularity.SPECIES, **provenance):
    with DetectionsWriter(
        path, granularity, TAXONOMY, model="m/ckpt-7", settings={"nms_iou": 0.6}, **provenance
    ) as writer:
        writer.append(np.array([3]), np.array([1]), np.array([0.5]), np.ones((1, 4)))
    return path


def change(path, **fields):
    """Changes fields of a file's metadata; None removes one."""
    table = pq.read_table(path)
    metadata = json.loads(table.schema.metadata[b"inatdet"]) | fields
    metadata = {key: value for key, value in metadata.items() if value is not None}
    pq.write_table(table.replace_schema_metadata({b"inatdet": json.dumps(metadata)}), path)


@pytest.mark.parametrize("granularity", ALWAYS)
def test_provenance_is_stored(tmp_path, granularity):
    path = write(
        tmp_path / "d.parquet", granularity, checkpoint_sha256="ab12", command="inatdet detect",
        records_sha256="cd34",
    )  # fmt: skip
    metadata = read_metadata(path)
    assert metadata.version == 2
    assert metadata.granularity == str(granularity)
    assert (metadata.model, metadata.settings) == ("m/ckpt-7", {"nms_iou": 0.6})
    assert (metadata.checkpoint_sha256, metadata.command) == ("ab12", "inatdet detect")
    assert metadata.records_sha256 == "cd34"
    assert metadata.versions["inatdet"] == VERSION
    assert metadata.versions["numpy"] == np.__version__
    assert metadata.versions["python"] == platform.python_version()
    expected = hashlib.sha256(SPACES[granularity].encode()).hexdigest()
    assert metadata.label_space_sha256 == expected
    if granularity is Granularity.SPECIES:
        assert metadata.labels[1] == Label("Corvus", 5, "Aves")


def test_version_1_is_read(tmp_path):
    path = write(tmp_path / "d.parquet")
    now = read_detections(path, Granularity.SPECIES, TAXONOMY)
    change(
        path, version=1, label_space_sha256=None, checkpoint_sha256=None, command=None,
        records_sha256=None, versions=None,
    )  # fmt: skip
    before = read_detections(path, Granularity.SPECIES, TAXONOMY)
    assert read_metadata(path).label_space_sha256 == ""
    assert (before.model, before.settings) == (now.model, now.settings)
    np.testing.assert_array_equal(before.labels[Granularity.SUPER], now.labels[Granularity.SUPER])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"version": 3}, "version 3, but .* up to 2; .* again with `inatdet detect`"),
        ({"version": 0}, "has format version 0"),
        ({"labels": [{"name": "Corvus", "category_id": 5}]}, "does not match the hash"),
        ({"label_space_sha256": None}, "does not match the hash"),
    ],
)
def test_what_is_refused(tmp_path, fields, message):
    path = write(tmp_path / "d.parquet")
    change(path, **fields)
    for read in (read_metadata, lambda path: read_detections(path, None, TAXONOMY)):
        with pytest.raises(InputError, match=message) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("granularity", ALWAYS)
def test_the_granularity_is_that_of_the_file(tmp_path, granularity):
    path = write(tmp_path / "d.parquet", granularity)
    assert read_detections(path, None, TAXONOMY).trained_on is granularity


def test_other_kinds_need_a_granularity(tmp_path):
    (tmp_path / "d.json").write_text("[]")
    for path in (tmp_path / "d.json", tmp_path):
        with pytest.raises(InputError, match=r"only Parquet .* give it: species, super, generic"):
            read_detections(path, None, TAXONOMY)


def test_other_files_have_no_metadata(tmp_path):
    (tmp_path / "d.json").write_text("[]")
    with pytest.raises(InputError, match="is damaged or not a Parquet file"):
        read_metadata(tmp_path / "d.json")
    with pytest.raises(InputError, match="No such file"):
        read_metadata(tmp_path / "none.parquet")


def test_paths_that_are_not_utf_8(tmp_path):
    """Python keeps such bytes as halves of surrogate pairs, which JSON does not have."""
    path = write(tmp_path / "d.parquet", command="inatdet detect caf\udce9")
    assert read_metadata(path).command == "inatdet detect caf?"


def test_settings_that_could_not_be_read_again_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        DetectionsWriter(
            tmp_path / "d.parquet", Granularity.SPECIES, TAXONOMY, settings={"a": float("nan")}
        )
    assert list(tmp_path.iterdir()) == []
