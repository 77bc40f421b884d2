import json

import pytest

from inatdet.data.categories import Category
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.tfrecords import contents
from inatdet.tfrecords.contents import Contents, check_categories, check_complete, check_labels
from inatdet.tfrecords.journal import count_images
from inatdet.tfrecords.reading import find_files

SPECIES = (Category(1, "Passer", "Aves"), Category(2, "Apis", "Insecta"))
TAXONOMY = Taxonomy.from_categories(SPECIES, {1, 2})
OTHER_ORDER = Taxonomy.from_categories(SPECIES, {1, 2}, ["Aves", "Insecta"])
FEWER = Taxonomy.from_categories(SPECIES, {1})
FOREIGN = Taxonomy.from_categories([Category(1, "Alia", "Aves"), SPECIES[1]], {1, 2})


def write(folder, shards=("abc", "defg"), images=2, taxonomy=TAXONOMY, **settings):
    """Shards of a split, and the files beside them; the pattern of the shards."""
    folder.mkdir(exist_ok=True)
    names = [f"train-{i:05}-of-{len(shards):05}.tfrecord" for i in range(len(shards))]
    for name, content in zip(names, shards):
        (folder / name).write_text(content)
    settings = {"labels_sha256": contents.labels_sha256(taxonomy), **settings}
    files = [{"file": name, "bytes": len(text)} for name, text in zip(names, shards)]
    summary = {"images": images, "boxes": 3, "settings": settings, "files": files}
    (folder / "train.json").write_text(json.dumps(summary))
    taxonomy.save(folder / "taxonomy.json")
    return str(folder / "train-*")


def test_moved_and_sharded_otherwise_they_are_the_same(tmp_path):
    one = Contents.of(write(tmp_path / "a", annotations_sha256="x"))
    moved = Contents.of(write(tmp_path / "b", ["abcdefg"], annotations_sha256="x"))
    assert one.are_those_of(moved)
    assert str(one) == "2 images with 3 boxes"


@pytest.mark.parametrize("other", [{"annotations_sha256": "y"}, {"images": 1}])
def test_others_of_the_same_size(tmp_path, other):
    one = Contents.of(write(tmp_path / "a", annotations_sha256="x"))
    assert not one.are_those_of(
        Contents.of(write(tmp_path / "b", **{"annotations_sha256": "x"} | other))
    )


def test_without_a_summary_the_size_decides(tmp_path):
    pattern = write(tmp_path / "a", annotations_sha256="x")
    whole, part = Contents.of(pattern), Contents.of(pattern.replace("-*", "-00000-*"))
    assert not whole.are_those_of(part)
    assert str(part) == "3 bytes of records"
    (tmp_path / "a" / "train.json").unlink()
    assert whole.are_those_of(Contents.of(pattern))


def test_labels_must_be_those_of_the_model_in_training(tmp_path):
    pattern = write(tmp_path)
    check_labels(pattern, TAXONOMY, "t.json")
    for other in (OTHER_ORDER, FEWER, FOREIGN):
        with pytest.raises(InputError, match=r"are not those of t\.json; use the taxonomy\.json"):
            check_labels(pattern, other, "t.json")
    (tmp_path / "train.json").unlink()
    with pytest.raises(InputError):
        check_labels(pattern, FOREIGN, "t.json")
    (tmp_path / "taxonomy.json").unlink()
    check_labels(pattern, FOREIGN, "t.json")


def test_categories_must_be_those_of_the_model_in_detection(tmp_path):
    pattern = write(tmp_path)
    for model in (TAXONOMY, OTHER_ORDER, FEWER):
        check_categories(pattern, model)
    with pytest.raises(InputError, match=r"\(1 of 2, such as 1 \(Passer\)\); .*--any_labels"):
        check_categories(pattern, FOREIGN)
    (tmp_path / "taxonomy.json").unlink()
    with pytest.raises(InputError, match="other categories than the model; use"):
        check_categories(pattern, FOREIGN)


def test_a_shard_that_was_not_copied_completely_is_named(tmp_path):
    pattern = write(tmp_path)
    check_complete(pattern)
    (tmp_path / "train-00001-of-00002.tfrecord").write_text("d")
    with pytest.raises(InputError, match=r"00001-of-00002.tfrecord: has 1 bytes, but 4 were"):
        check_complete(pattern)


@pytest.mark.parametrize(
    "summary",
    ["", "{", "[]", "null", '{"images": "12"}', '{"images": -1}', '{"images": true}', "9" * 5000]
    + ['{"version": 99, "images": 2}', "[" * 100_000, '{"files": 3, "settings": []}']
    + ['{"files": [3, {}], "settings": {"labels_sha256": null}}'],
)
def test_a_broken_summary_is_as_none(tmp_path, summary):
    """It is a help, not needed."""
    pattern = write(tmp_path)
    (tmp_path / "train.json").write_text(summary)
    assert count_images(pattern) is None
    check_complete(pattern)
    check_labels(pattern, TAXONOMY, "t.json")
    assert Contents.of(pattern).bytes == 7


def test_a_summary_that_is_no_text_is_as_none(tmp_path):
    pattern = write(tmp_path)
    (tmp_path / "train.json").write_bytes(b"\xff\xfe\x00")
    assert count_images(pattern) is None


def test_files_without_a_record_hold_no_image(tmp_path):
    with pytest.raises(InputError, match=r"holds no image \(2 empty files\)"):
        find_files(write(tmp_path / "a", ["", ""]))
    assert len(find_files(write(tmp_path / "b", ["", "x"]))) == 2  # a shard may be empty


@pytest.mark.parametrize("name", ["a [2017]", "g[1]", "c,d=e", "[x", "Käfer"])
def test_folders_with_brackets_and_commas(tmp_path, name):
    pattern = write(tmp_path / name)
    assert len(find_files(pattern)) == 2
    assert count_images(pattern) == 2
