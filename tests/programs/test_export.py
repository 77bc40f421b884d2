import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from inatdet.data.formats.detections import read_detections
from inatdet.data.granularity import Granularity
from inatdet.detection import inference, prediction, serving
from inatdet.errors import InputError
from inatdet.tfrecords import examples
from inatdet.training import saved_models
from tests import records, untrained
from tests.settings import small

ELSEWHERE = """
import json, sys
for name in ("inatdet", "official", "tf_keras"):
    sys.modules[name] = None  # cannot be imported
import tensorflow as tf
detector = tf.saved_model.load(sys.argv[1])
encoded = tf.constant([open(path, "rb").read() for path in sys.argv[2:]])
found = detector.detect(encoded)
signature = detector.signatures["serving_default"]
(argument,) = signature.structured_input_signature[1].values()
assert (argument.name, argument.dtype, argument.shape.rank) == ("jpeg", tf.string, 1), argument
by_signature = signature(jpeg=encoded)
assert set(by_signature) == set(found), by_signature
for name in found:
    assert (by_signature[name].numpy() == found[name].numpy()).all(), name
found = {name: value.numpy().tolist() for name, value in found.items()}
found["names"] = [[name.decode() for name in names] for names in found["names"]]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records.write(tmp_path_factory.mktemp("records"), count=2)


@pytest.fixture(scope="module")
def model_dir(data, tmp_path_factory):
    return untrained.save(data, tmp_path_factory.mktemp("model"))


@pytest.mark.slow
def test_plain_tensorflow_finds_what_detect_finds(data, model_dir, tmp_path):
    saved = tmp_path / "saved"
    serving.export(small(), f"{model_dir}/ckpt-1", model_dir, str(saved))
    assert os.listdir(tmp_path) == ["saved"]
    photos = []
    for serialized in tf.data.TFRecordDataset(tf.io.gfile.glob(data)):
        photos.append(str(tmp_path / f"{len(photos)}.jpg"))
        with open(photos[-1], "wb") as file:
            file.write(examples.decode(serialized)["encoded"].numpy())
    ended = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(saved), *photos], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)

    params = small()
    params.task.validation_data.batch_size = 1
    output = tmp_path / "found.parquet"
    inference.detect(params, f"{model_dir}/ckpt-1", model_dir, data, str(output))
    expected = read_detections(output, Granularity.SPECIES, records.taxonomy())
    names = records.taxonomy().names(Granularity.SPECIES)
    for image in range(2):
        rows = expected.image_ids == image
        count = found["count"][image]
        assert count == rows.sum() > 0
        labels = expected.labels[Granularity.SPECIES][rows]
        assert found["labels"][image][:count] == labels.tolist()
        assert found["names"][image][:count] == [names[label - 1] for label in labels]
        np.testing.assert_allclose(found["scores"][image][:count], expected.scores[rows], 1e-5)
        np.testing.assert_allclose(found["boxes"][image][:count], expected.boxes[rows], atol=1e-2)

    detector, outputs = saved_models.load(str(saved))
    assert outputs == serving.OUTPUTS
    _, drawn = prediction.detect_in(detector, photos[0], 0.0, 4, upright=False)
    assert [one.name for one in drawn] == found["names"][0][:4]
    boxes = [[one.x, one.y, one.width, one.height] for one in drawn]
    np.testing.assert_allclose(boxes, np.array(found["boxes"][0])[:4], atol=0.01)


def test_an_existing_folder_is_not_touched(model_dir, tmp_path):
    with pytest.raises(InputError, match="already exists; name another folder"):
        serving.export(small(), f"{model_dir}/ckpt-1", model_dir, str(tmp_path))
