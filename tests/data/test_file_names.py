import unicodedata

import pytest

from inatdet.data.file_names import Difference, FilesBelow, explain_missing


def files(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return FilesBelow(str(folder))


@pytest.mark.parametrize(
    ("there", "wanted", "difference"),
    [
        ("a/X.JPG", "a/x.jpg", Difference.CASE),
        ("A/x.jpg", "a/x.jpg", Difference.CASE),
        ("Straße.jpg", "STRASSE.jpg", Difference.CASE),
        (unicodedata.normalize("NFC", "Käfer.jpg"), "Ka\u0308fer.jpg", Difference.UNICODE),
        (unicodedata.normalize("NFD", "Käfer.jpg"), "K\u00e4fer.jpg", Difference.UNICODE),
        ("a/x.jpeg", "a/x.jpg", Difference.SUFFIX),
        ("b/x.jpg", "a/x.jpg", Difference.FOLDER),
    ],
)
def test_files_of_almost_the_same_name(tmp_path, there, wanted, difference):
    near = files(tmp_path, there, "other.jpg").near(wanted)
    assert (near.name, near.difference) == (there, difference)
    assert near.remedy


def test_no_file_is_like_another(tmp_path):
    found = files(tmp_path, "a/x.jpg", "b/x.jpg", "x.txt")
    assert found.near("c/y.jpg") is None
    assert found.near("c/x.jpg") is None, "which of the two?"
    assert found.names == {"a/x.jpg", "b/x.jpg"}


def test_a_folder_too_high_or_too_low(tmp_path):
    deep = files(tmp_path, "data/train/1.jpg")
    assert deep.near("train/1.jpg").remedy == f"give --images_dir={tmp_path}/data"
    low = FilesBelow(str(tmp_path / "data" / "train"))
    assert low.near("train/1.jpg").remedy == f"give --images_dir={tmp_path}/data"


def test_each_kind_is_told_once_with_a_count_and_an_example(tmp_path):
    files(tmp_path, "A.JPG", "B.JPG", "c.png", "here.jpg")
    what, remedy = explain_missing(str(tmp_path), ["a.jpg", "b.jpg", "c.jpg", "lost.jpg"], 5)
    assert what == (
        f"4 of 5 images are not in {tmp_path}: 2 are there in other upper and lower case, such as "
        "A.JPG for a.jpg; 1 is there with another suffix, such as c.png for c.jpg; 1 is not "
        "there at all, such as lost.jpg"
    )
    assert remedy == (
        "rename the files, or correct file_name in the annotations; correct file_name in the "
        "annotations; fetch what is missing"
    )


def test_without_a_likeness_a_few_are_named(tmp_path):
    what, remedy = explain_missing(str(tmp_path), [f"{i}.jpg" for i in range(9)], 9)
    assert what.endswith(
        f"9 images are not in {tmp_path}: such as 0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, ..."
    )
    assert remedy == "check --images_dir"
