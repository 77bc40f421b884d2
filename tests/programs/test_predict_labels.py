"""`inatdet predict` and `inatdet export` of classifiers."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from PIL import Image

from inatdet.classification import prediction, serving
from inatdet.classification.experiments import read_saved
from inatdet.classification.inference import classify
from inatdet.classification.prediction import Guess
from inatdet.classification.sources import ImageFiles
from inatdet.data import annotations
from inatdet.data.formats.predictions import read_predictions
from inatdet.errors import InputError
from inatdet.networks import classifiers
from inatdet.programs import predict
from inatdet.training import saved_models
from tests import records, untrained
from tests.classification.conftest import tiny

NAMES = np.array(records.taxonomy().names("species"))

ELSEWHERE = """
import json, sys
for name in ("inatdet", "official", "tf_keras"):
    sys.modules[name] = None  # cannot be imported
import tensorflow as tf
classifier = tf.saved_model.load(sys.argv[1])
encoded = tf.constant([open(path, "rb").read() for path in sys.argv[2:]])
found = classifier.classify(encoded)
by_signature = classifier.signatures["serving_default"](jpeg=encoded)
assert set(by_signature) == set(found), by_signature
for name in found:
    assert (by_signature[name].numpy() == found[name].numpy()).all(), name
found = {name: value.numpy().tolist() for name, value in found.items()}
found["names"] = [[name.decode() for name in names] for names in found["names"]]
print(json.dumps(found))
"""


@pytest.fixture(scope="module", autouse=True)
def _tiny_network():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifiers, "build", tiny)
        yield


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    data = records.write(tmp_path_factory.mktemp("records"), count=1)
    return untrained.save_classifier(data, tmp_path_factory.mktemp("model"), step=3)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two JPEGs, the second of which is large enough to shrink while it is decoded."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number, size in enumerate([(90, 60), (300, 400)]):
        small = rng.integers(0, 256, (4, 6, 3)).astype(np.uint8)
        Image.fromarray(small).resize(size, Image.BICUBIC).save(folder / f"{number}.jpg")
    return folder


@pytest.fixture(scope="module")
def predicted(model_dir, photos, tmp_path_factory):
    """What `inatdet classify` says of the photographs."""
    output = str(tmp_path_factory.mktemp("predictions") / "found.parquet")
    listed = [annotations.Image(i, f"{i}.jpg", 0, 0) for i in range(2)]
    source = ImageFiles(listed, str(photos))
    classify(read_saved(model_dir), f"{model_dir}/ckpt-3", model_dir, source, output)
    return read_predictions(output, records.taxonomy()).own


@pytest.fixture(scope="module")
def saved(model_dir, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("exported") / "saved")
    serving.export(read_saved(model_dir), f"{model_dir}/ckpt-3", model_dir, folder)
    return folder


def run(*arguments):
    before = set(flags.FLAGS)
    predict.define_flags()
    try:
        return predict.main(flags.FLAGS(["predict", *map(str, arguments)]))
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()


def check(line, expected, row, count):
    """Compares a line of JSON with the predictions of `inatdet classify`."""
    guesses = line["predictions"]
    labels = expected.labels[row][:count]
    assert [guess["label"] for guess in guesses] == labels.tolist()
    assert [guess["name"] for guess in guesses] == NAMES[labels - 1].tolist()
    np.testing.assert_allclose(
        [guess["probability"] for guess in guesses], expected.probabilities[row][:count], atol=2e-6
    )


def test_json_of_a_folder_and_of_a_saved_model(model_dir, saved, photos, predicted, capsys):
    for model in (f"--model_dir={model_dir}", f"--saved_model={saved}"):
        assert run(model, "--json", "--max_labels=2", photos) is None
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [line["file"] for line in lines] == [f"{photos}/0.jpg", f"{photos}/1.jpg"]
        assert [(line["width"], line["height"]) for line in lines] == [(90, 60), (300, 400)]
        for row, line in enumerate(lines):
            check(line, predicted, row, 2)


def test_lines_for_people_and_pictures(model_dir, photos, predicted, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(f"--model_dir={model_dir}", "--max_labels=1", f"{photos}/0.jpg") is None
    name, probability = NAMES[predicted.labels[0, 0] - 1], predicted.probabilities[0, 0]
    assert capsys.readouterr().out == f"{photos}/0.jpg: {name} {probability:.2f}\n"
    assert os.listdir(tmp_path) == []  # pictures only where they are asked for
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    arguments = [f"{photos}/1.jpg", tmp_path / "broken.jpg", "--output_dir=out"]
    assert run(f"--model_dir={model_dir}", *arguments) == 2
    assert os.listdir(tmp_path / "out") == ["1.jpg"]
    with Image.open(tmp_path / "out" / "1.jpg") as drawn, Image.open(photos / "1.jpg") as plain:
        differs = np.abs(np.asarray(drawn, int) - np.asarray(plain, int)).max(axis=2) > 60
    rows = np.flatnonzero(differs.any(axis=1))
    assert differs.any() and rows[-1] < 80  # three lines in the upper left corner


def test_labels_below_a_score_are_left_out(model_dir, photos, predicted):
    classifier = serving.trained_classifier(model_dir, None, "")
    limit = float(predicted.probabilities[0, 1])
    path = f"{photos}/0.jpg"
    _, some = prediction.classify_file(classifier, path, limit - 1e-5, 9, False)
    assert [guess.label for guess in some] == predicted.labels[0, :2].tolist()
    _, none = prediction.classify_file(classifier, path, 1.0, 9, False)
    assert prediction.as_text(path, none) == f"{path}: no label is probable enough"


def test_a_png_is_seen_like_a_jpeg(model_dir, photos, tmp_path):
    classifier = serving.trained_classifier(model_dir, None, "task.shrink_while_decoding=False")
    for number in range(2):
        with Image.open(photos / f"{number}.jpg") as picture:
            picture.save(tmp_path / "same.png")
        of_jpeg, of_png = (
            {
                g.label: g.probability
                for g in prediction.classify_file(classifier, p, 0, 9, False)[1]
            }
            for p in (str(photos / f"{number}.jpg"), str(tmp_path / "same.png"))
        )
        assert of_png == pytest.approx(of_jpeg, rel=0.02)


def test_json_is_plain():
    guesses = [Guess("Šárka", 2, np.float32(0.25).item())]
    line = prediction.as_json("é.jpg", Image.new("RGB", (7, 5)), guesses)
    assert json.loads(line) == {
        "file": "é.jpg", "width": 7, "height": 5,
        "predictions": [{"name": "Šárka", "label": 2, "probability": 0.25}],
    }  # fmt: skip


def test_saved_models_of_something_else(tmp_path):
    module = tf.Module()
    module.add = tf.function(lambda jpeg: {"sum": jpeg}, input_signature=[saved_models.JPEG])
    saved_models.export(lambda: (module, module.add), str(tmp_path / "saved"))
    with pytest.raises(InputError, match="SavedModel of something else, with the outputs sum"):
        run(f"--saved_model={tmp_path}/saved", "photo.jpg")


@pytest.mark.slow
def test_plain_tensorflow_says_what_classify_says(saved, photos, predicted):
    paths = [f"{photos}/0.jpg", f"{photos}/1.jpg"]
    ended = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, saved, *paths], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["labels"] == predicted.labels.tolist()
    assert found["names"] == NAMES[predicted.labels - 1].tolist()
    np.testing.assert_allclose(found["probabilities"], predicted.probabilities, rtol=1e-5)
