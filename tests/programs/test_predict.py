import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from PIL import Image

from inatdet.data import image_files
from inatdet.detection import prediction, serving
from inatdet.errors import InputError
from inatdet.programs import predict
from inatdet.training import saved_models
from tests import records, untrained
from tests.data.odd_jpegs import with_damaged_exif

ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    data = records.write(tmp_path_factory.mktemp("records"), count=1)
    return untrained.save(data, tmp_path_factory.mktemp("model"), step=3)


@pytest.fixture(scope="module")
def detector(model_dir):
    return serving.trained_detector(model_dir, None, "")


def photo(path, size=(128, 96), seed=0, **options):
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1] // 8, size[0] // 8, 3))
    picture = Image.fromarray(pixels.astype(np.uint8)).resize(size, Image.BICUBIC)
    picture.save(path, **options)
    return str(path)


def found_in(detector, path, upright=False):
    return prediction.detect_in(detector, path, 0.0, 5, upright)


def test_the_program(model_dir, tmp_path):
    photo(tmp_path / "a.jpg")
    os.makedirs(tmp_path / "folder" / "deep")
    photo(tmp_path / "folder" / "deep" / "a.png", (60, 90), seed=1)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    run = subprocess.run(
        [sys.executable, "-m", "inatdet", "predict", f"--model_dir={model_dir}", "--json",
         "--min_score=0", "--max_boxes=3", f"--output_dir={tmp_path}/out",
         f"{tmp_path}/a.jpg", f"{tmp_path}/broken.jpg", f"{tmp_path}/nowhere.jpg",
         f"{tmp_path}/fold*"],
        capture_output=True, text=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert run.returncode == 2
    said = [line for line in run.stderr.splitlines() if line.startswith("error")]
    assert len(said) == 2
    assert "broken.jpg: cannot be read as an image" in said[0]
    assert "nowhere.jpg: cannot be read as an image (No such file or directory)" in said[1]
    assert "2 of 4 images; 2 could not be used, see above; pictures are in" in run.stderr

    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert [line["file"] for line in lines] == [
        f"{tmp_path}/a.jpg", f"{tmp_path}/folder/deep/a.png",
    ]  # fmt: skip
    for line, size in zip(lines, [(128, 96), (60, 90)]):
        assert (line["width"], line["height"]) == size
        assert len(line["detections"]) == 3
        scores = [found["score"] for found in line["detections"]]
        assert scores == sorted(scores, reverse=True)
        for found in line["detections"]:
            assert set(found) == {"x", "y", "width", "height", "name", "label", "score"}
            assert found["name"] == records.taxonomy().names("species")[found["label"] - 1]
            assert 0 <= found["x"] <= found["x"] + found["width"] <= size[0] + 0.02
            assert 0 <= found["y"] <= found["y"] + found["height"] <= size[1] + 0.02
    assert sorted(os.listdir(tmp_path / "out")) == ["a-2.jpg", "a.jpg"]
    with Image.open(tmp_path / "out" / "a.jpg") as picture:
        assert picture.size == (128, 96)
        drawn = np.asarray(picture.convert("RGB"), int)
    with Image.open(tmp_path / "a.jpg") as picture:
        changed = np.abs(drawn - np.asarray(picture, int)).max(axis=2) > 60
    box = lines[0]["detections"][0]
    x, y = round(box["x"] + box["width"] / 2), round(box["y"] + box["height"]) - 1
    assert changed[min(y, 94), min(x, 126)]


def test_an_output_that_cannot_be_written_is_noticed_before_the_model_is_read(tmp_path):
    photo(tmp_path / "a.jpg")
    run = subprocess.run(
        [sys.executable, "-m", "inatdet", "predict", "--model_dir=nowhere",
         f"--output_dir={tmp_path}/a.jpg/out", f"{tmp_path}/a.jpg"],
        capture_output=True, text=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert run.returncode == 2
    assert "a.jpg/out: cannot be written, because" in run.stderr.splitlines()[-1]


def test_what_is_not_a_saved_detector_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be loaded as a SavedModel"):
        saved_models.load(str(tmp_path))


def test_orientation_is_ignored_unless_upright(detector, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    plain = photo(tmp_path / "plain.png", (96, 64))
    turned = photo(tmp_path / "turned.png", (96, 64), exif=exif)
    with Image.open(plain) as picture:
        picture.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "upright.png")
    picture, found = found_in(detector, turned)
    assert picture.size == (96, 64)
    assert found == found_in(detector, plain)[1]
    picture, found = found_in(detector, turned, upright=True)
    assert picture.size == (64, 96)
    assert found == found_in(detector, str(tmp_path / "upright.png"))[1]
    assert found_in(detector, plain, upright=True)[1] == found_in(detector, plain)[1]


def test_damaged_metadata_is_no_orientation(detector, tmp_path):
    (tmp_path / "a.jpg").write_bytes(with_damaged_exif())
    _, found = found_in(detector, str(tmp_path / "a.jpg"), upright=True)
    assert found == found_in(detector, str(tmp_path / "a.jpg"))[1]


def test_other_formats_and_colours(detector, tmp_path):
    _, expected = found_in(detector, photo(tmp_path / "a.png"))
    assert found_in(detector, photo(tmp_path / "a.bmp"))[1] == expected
    with Image.open(tmp_path / "a.png") as picture:
        picture.convert("L").save(tmp_path / "grey.jpg")
        picture.convert("RGBA").save(tmp_path / "clear.png")
    assert found_in(detector, str(tmp_path / "clear.png"))[1] == expected
    assert len(found_in(detector, str(tmp_path / "grey.jpg"))[1]) == 5


def test_a_truncated_file(detector, tmp_path):
    path = photo(tmp_path / "a.jpg")
    os.truncate(path, os.path.getsize(path) // 2)
    with pytest.raises(InputError, match=r"a\.jpg: cannot be read as an image .*truncated"):
        found_in(detector, path)


def test_limits(detector, tmp_path):
    path = photo(tmp_path / "a.jpg")
    _, found = prediction.detect_in(detector, path, 0.0, 10, False)
    limit = found[3].score
    _, likely = prediction.detect_in(detector, path, limit, 10, False)
    assert likely == [one for one in found if one.score >= limit]
    assert prediction.detect_in(detector, path, 1.0, 10, False)[1] == []


def test_which_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b/2.JPG", "b/1.png", "b/notes.txt", "b/.x.jpg", "b/out/1.jpg", "a[1].jpg",
                 "c [d]/3.jpg"):  # fmt: skip
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        open(name, "w").close()
    assert image_files.find_images(["b", "a[1].jpg", "b/1.png"], "b/out") == [
        "b/1.png", "b/2.JPG", "a[1].jpg",
    ]  # fmt: skip
    assert image_files.find_images(["**/1.*", "none*"]) == ["b/1.png", "b/out/1.jpg", "none*"]
    assert image_files.picture_paths(["a/X.jpg", "b/x.png", "c/y.tar.gz"], "out") == [
        "out/X.jpg", "out/x-2.jpg", "out/y.tar.jpg",
    ]  # fmt: skip
    assert image_files.find_images(["c [d]/*.jpg"]) == ["c [d]/3.jpg"]
    with pytest.raises(InputError, match=r"b/1\.jpg: the picture would replace this image"):
        image_files.picture_paths(["b/1.png", "b/../b/1.jpg"], "b")


def test_names_that_would_be_too_long_are_cut():
    long = "ä" * 125 + ".jpg"  # 254 bytes
    paths = [f"a/{long}", f"b/{long}", f"c/{'x' * 250}.webp"]
    outputs = [os.path.basename(path) for path in image_files.picture_paths(paths, "out")]
    assert outputs == [long, "ä" * 124 + "-2.jpg", "x" * 250 + ".jpg"]
    assert max(len(os.fsencode(name)) for name in outputs) <= 255
    webp = image_files.picture_paths(["é" * 127 + "x"], "")  # a file without a suffix
    assert webp == ["é" * 125 + ".jpg"]


def test_names_that_are_not_utf_8_are_told_in_json():
    path = os.fsdecode(b"caf\xe9.jpg")
    line = prediction.as_json(path, Image.new("RGB", (7, 5)), [])
    assert line.isascii()
    assert os.fsencode(json.loads(line)["file"]) == b"caf\xe9.jpg"


def test_too_little_memory_is_told_of_the_image(detector, tmp_path):
    path = photo(tmp_path / "a.jpg")
    for error in (MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM")):

        def fails(_, error=error):
            raise error

        with pytest.raises(InputError, match=r"a\.jpg: needs more memory than there is"):
            found_in(fails, path)


def test_sixteen_bits_are_seen_as_the_model_sees_them(detector, tmp_path):
    with Image.open(photo(tmp_path / "a.png")) as picture:
        gray = np.asarray(picture.convert("L"))
    Image.fromarray(gray).save(tmp_path / "8.png")
    Image.fromarray(gray.astype(np.uint16) * 256).save(tmp_path / "16.png")
    Image.fromarray(gray.astype(np.uint16) * 256).save(tmp_path / "16.tif")
    _, expected = found_in(detector, str(tmp_path / "8.png"))
    for name in ("16.png", "16.tif"):
        picture, found = found_in(detector, str(tmp_path / name))
        assert found == expected
        assert (np.asarray(picture)[..., 0] == gray).all()


def test_json_is_plain():
    detections = [prediction.Detection(1.5, 2.0, 3.25, 4.0, "Šárka", 2, np.float32(0.25).item())]
    line = prediction.as_json("é.jpg", Image.new("RGB", (7, 5)), detections)
    assert json.loads(line) == {
        "file": "é.jpg", "width": 7, "height": 5,
        "detections": [{"x": 1.5, "y": 2.0, "width": 3.25, "height": 4.0, "name": "Šárka",
                        "label": 2, "score": 0.25}],
    }  # fmt: skip
    assert "Šárka" in line
    plain = prediction.as_json("é.jpg", Image.new("RGB", (7, 5)), detections, ascii_only=True)
    assert plain.isascii() and json.loads(plain) == json.loads(line)


def test_a_picture_is_whole_or_absent(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "as_jpeg", lambda _: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        prediction.draw(Image.new("RGB", (9, 9)), [], str(tmp_path / "a.jpg"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("score", ["nan", "-0.1", "1.5", "inf"])
def test_scores_are_from_0_to_1(score):
    before = set(flags.FLAGS)
    predict.define_flags()
    try:
        with pytest.raises(flags.IllegalFlagValueError, match=r"min_score=.* from 0 to 1"):
            flags.FLAGS(["predict", f"--min_score={score}"])
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()
