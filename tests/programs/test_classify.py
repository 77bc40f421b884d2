import contextlib
import copy
import functools
import itertools
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from PIL import Image as PILImage

from inatdet import parts
from inatdet.classification import box_inference, experiments, inference
from inatdet.classification.box_inference import classify_boxes
from inatdet.classification.inference import classify
from inatdet.classification.restoring import restored
from inatdet.classification.sources import ImageFiles, Records
from inatdet.classification.task import ClassifierTask
from inatdet.data.annotations import Image
from inatdet.data.box_choice import BoxChoice
from inatdet.data.categories import Category
from inatdet.data.detections import Detections
from inatdet.data.formats.detections import DetectionsWriter, read_detections
from inatdet.data.formats.predictions import read_predictions
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.detection.experiments import read_saved as read_saved_detector
from inatdet.errors import InputError
from inatdet.networks import classifiers
from inatdet.programs import classify as program
from inatdet.tfrecords import examples
from inatdet.training import applying, experiment
from tests import devices, records, untrained
from tests.classification.conftest import tiny
from tests.interrupting import Killed, differing, ended_at, made_with_of
from tests.settings import small

SPECIES, SUPER, GENERIC = Granularity.SPECIES, Granularity.SUPER, Granularity.GENERIC


def of_super_classes(fine):
    """Insecta, then Aves, as the paper has them; the species are by id: 0, 3, 7."""
    return np.array([fine[1], fine[0] + fine[2]])


@pytest.fixture(scope="module", autouse=True)
def _tiny_network():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifiers, "build", tiny)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records.write(tmp_path_factory.mktemp("records"), count=11)


@pytest.fixture(scope="module")
def model_dir(data, tmp_path_factory):
    return untrained.save_classifier(data, tmp_path_factory.mktemp("model"), step=7)


@pytest.fixture(scope="module")
def images_dir(data, tmp_path_factory):
    """The images of the records as files, and a list of them."""
    folder = tmp_path_factory.mktemp("images")
    entries = []
    for serialized in tf.data.TFRecordDataset(tf.io.gfile.glob(data)):
        example = examples.decode(serialized)
        name = f"{example['image_id']}.jpg"
        (folder / name).write_bytes(example["encoded"].numpy())
        entries.append({"id": int(example["image_id"]), "file_name": name})
    (folder / "images.json").write_text(json.dumps({"images": entries}))
    return folder


@pytest.fixture(scope="module")
def probabilities(model_dir, data):
    """Of all labels in float64, by image: from the inputs of validation, by NumPy's own softmax."""
    params = settings(model_dir)
    params.task.validation_data.override({"input_path": data, "batch_size": 2})
    model = restored(params, f"{model_dir}/ckpt-7", model_dir)
    found = {}
    for batch in ClassifierTask(params.task).build_inputs(params.task.validation_data):
        of_batch = softmax(model(batch["image"], training=False).numpy())
        found |= dict(zip(batch["image_id"].numpy().tolist(), of_batch))
    return found


def softmax(logits):
    exponentials = np.exp(logits.astype(np.float64))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@functools.cache
def _settings(model_dir):
    return experiments.read_saved(model_dir)


def settings(model_dir, **changes):
    params = copy.deepcopy(_settings(model_dir))
    params.task.override(changes)
    return params


def run(model_dir, source, output, changes=None, **more):
    params = settings(model_dir, **(changes or {}))
    return classify(params, f"{model_dir}/ckpt-7", model_dir, source, str(output), **more)


def read(path):
    return read_predictions(path, records.taxonomy())


def files(images_dir, count=11):
    return ImageFiles([Image(i, f"{i}.jpg", 0, 0) for i in range(count)], str(images_dir))


@pytest.mark.parametrize("several", [False, True])
def test_every_image_once_with_its_best_labels(data, model_dir, probabilities, tmp_path, several):
    strategy = devices.mirrored() if several else None
    output = tmp_path / "found.parquet"
    assert run(model_dir, Records(data), output, most=2, strategy=strategy, command="a b") == 11
    assert os.listdir(tmp_path) == [output.name]
    found = read(output)
    assert sorted(found.image_ids.tolist()) == list(range(11))
    assert found.model == f"{os.path.basename(model_dir)}/ckpt-7"
    assert found.settings["network"] == "inception_v3"
    assert found.settings["central_fraction"] == 0.875
    assert set(found.ranked) == {SPECIES, SUPER}  # the only generic label is certain
    for row, image_id in enumerate(found.image_ids.tolist()):
        fine = probabilities[image_id]
        # Summed over all three labels, though only two are written.
        summed = of_super_classes(fine)
        for level, expected in ((SPECIES, fine), (SUPER, summed)):
            ranked = found.ranked[level]
            order = np.argsort(-expected, kind="stable")[:2]
            np.testing.assert_allclose(ranked.probabilities[row], expected[order], rtol=1e-4)
            np.testing.assert_allclose(expected[ranked.labels[row] - 1], expected[order], 1e-4)


def test_files_are_seen_as_records_are(images_dir, model_dir, probabilities, tmp_path):
    run(model_dir, files(images_dir), tmp_path / "files.parquet")
    found = read(tmp_path / "files.parquet")
    assert found.image_ids.tolist() == list(range(11))
    for row in range(11):
        of_labels = probabilities[row][found.own.labels[row] - 1]
        np.testing.assert_allclose(found.own.probabilities[row], of_labels, rtol=1e-4)
    run(model_dir, files(images_dir), tmp_path / "whole.parquet", {"central_fraction": 1.0})
    whole = read(tmp_path / "whole.parquet")
    assert whole.settings["central_fraction"] == 1
    assert (whole.own.probabilities != found.own.probabilities).any()


def test_files_that_are_missing_or_no_pictures(images_dir, model_dir, tmp_path):
    output = tmp_path / "x.parquet"
    with pytest.raises(InputError, match=r"1 of 12 images are not in .* such as 11\.jpg"):
        run(model_dir, files(images_dir, 12), output)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for name in ("0.jpg", "1.jpg", "2.jpg"):
        (damaged / name).write_bytes((images_dir / name).read_bytes())
    (damaged / "1.jpg").write_bytes(b"GIF89a")
    with pytest.raises(InputError, match=r"1\.jpg \(image 1\) is not an image; fetch it again"):
        run(model_dir, files(damaged, 3), output)
    whole = (images_dir / "1.jpg").read_bytes()
    at = whole.index(b"\xff\xc4")  # a table of codes, without which nothing can be decoded
    (damaged / "1.jpg").write_bytes(whole[: at + 5] + b"\xff" * 16 + whole[at + 21 :])
    with pytest.raises(InputError, match=r"1\.jpg \(image 1\) cannot be decoded as a JPEG"):
        run(model_dir, files(damaged, 3), output)
    assert os.listdir(tmp_path) == ["damaged"]


def test_a_damaged_shard_is_named(model_dir, tmp_path):
    pattern = records.write(tmp_path / "records", count=5)
    shard = pattern.replace("*", "00000-of-00001.tfrecord")
    with open(shard, "rb+") as file:
        file.truncate(os.path.getsize(shard) - 10)
    with pytest.raises(InputError, match=f"{os.path.basename(shard)}.*write it again"):
        run(model_dir, Records(pattern), tmp_path / "x.parquet")
    assert os.listdir(tmp_path) == ["records"]


def test_records_of_other_categories(model_dir, tmp_path):
    pattern = records.write(tmp_path / "records", count=4)
    other = Taxonomy.from_categories([Category(1, "Alia", "Aves")], {1})
    other.save(tmp_path / "records" / "taxonomy.json")
    with pytest.raises(InputError, match=r"other categories than the model \(1 of 1, such as 1"):
        run(model_dir, Records(pattern), tmp_path / "x.parquet")
    assert run(model_dir, Records(pattern), tmp_path / "x.parquet", any_labels=True) == 4


def test_a_detector_is_no_classifier_and_the_other_way_round(data, model_dir, tmp_path):
    records.taxonomy().save(tmp_path / "taxonomy.json")
    experiment.save(small(f"task.taxonomy={tmp_path}/taxonomy.json"), str(tmp_path / "detector"))
    with pytest.raises(InputError, match=r"'inatdet_faster_rcnn', which is not a classifier; give"):
        experiments.read_saved(str(tmp_path / "detector"))
    with pytest.raises(InputError, match="'image_classifier', which is not a detector; give"):
        read_saved_detector(model_dir)


def test_an_interruption_leaves_nothing_and_says_so(data, model_dir, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(inference, "_values", interrupt)
    with pytest.raises(KeyboardInterrupt, match="nothing was written, so the same command begins"):
        run(model_dir, Records(data), tmp_path / "x.parquet")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("of_files", [False, True])
def test_a_killed_run_is_gone_on_with(data, images_dir, model_dir, tmp_path, monkeypatch, of_files):
    monkeypatch.setattr(parts, "SECONDS", 0)
    source = files(images_dir) if of_files else Records(data)
    changes = {"validation_data": {"batch_size": 2}}
    expected, output = tmp_path / "expected.parquet", tmp_path / "found" / "x.parquet"
    run(model_dir, source, expected, changes)
    with monkeypatch.context() as patch:
        seen = ended_at(patch, inference, 2, Killed())
        with pytest.raises(Killed):
            run(model_dir, source, output, changes)
    told = []
    with monkeypatch.context() as patch:
        seen_then = ended_at(patch, inference)
        assert run(model_dir, source, output, changes, notify=told.append) == 11
    assert [*itertools.chain(*seen, *seen_then)] == list(range(11)), "no image is seen twice"
    assert told == [f"going on behind 4 images, from {output}.parts"]
    assert output.read_bytes() == expected.read_bytes()
    assert os.listdir(output.parent) == ["x.parquet"]


def test_parts_are_those_of_the_same_images_and_flags_alone(data, images_dir, model_dir, tmp_path):
    def made_with(source=None, changes=None, **more):
        source = source or files(folder)
        call = functools.partial(run, model_dir, source, tmp_path / "x", changes, **more)
        return made_with_of(inference, call)

    folder = tmp_path / "images"
    shutil.copytree(images_dir, folder)
    base = made_with()
    assert differing(base, made_with(any_labels=True, command="x")) == set()
    assert differing(base, made_with(most=2)) == {"flags"}
    assert differing(base, made_with(changes={"central_fraction": 0.5})) == {"settings"}
    assert differing(base, made_with(files(folder, 10))) == {"images"}
    assert differing(base, made_with(Records(data))) == {"images"}
    assert differing(base, made_with(files(images_dir))) == set(), "being elsewhere does not count"
    os.utime(folder / "3.jpg", ns=(0, 0))
    assert differing(base, made_with()) == {"images"}


def test_what_cannot_be_written_is_noticed_before_the_work(model_dir, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder"):
        run(model_dir, Records("nowhere"), tmp_path / "file" / "x.parquet")


# Of boxes.


def boxes(count=30, seed=3):
    """A detector's boxes in the images 0 to 12, of which there are 11: some empty or outside."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 240, (count, 4)) / 4  # exact, so that no edge is rounded
    found[:, 2:] += 8
    found[4, 2] = 0
    found[9, :2] = 500
    image_ids = rng.integers(0, 13, count)
    image_ids[[4, 9]] = 2, 3
    scores = rng.uniform(0.1, 1, count)
    return Detections.from_arrays(
        image_ids, [1] * count, scores, found, "generic", taxonomy=records.taxonomy(), model="eye"
    )


def name_boxes(model_dir, source, found, output, choice, coarser=(), **more):
    params = settings(model_dir, shrink_while_decoding=False)
    return classify_boxes(
        params, f"{model_dir}/ckpt-7", model_dir, source, found, str(output), choice, coarser,
        **more,
    )  # fmt: skip


def test_boxes_get_the_labels_of_their_crops(data, images_dir, model_dir, tmp_path):
    found, told = boxes(), []
    choice = BoxChoice(min_score=0.2, iou=1.0, context=0.0, labels=2)
    output = tmp_path / "named.parquet"
    count = name_boxes(
        model_dir, Records(data), found, output, choice, [SUPER, GENERIC], notify=told.append
    )
    good = (found.scores >= 0.2) & (found.image_ids < 11)
    good[[4, 9]] = False
    assert count == good.sum() < len(found) - 2
    strangers = ((found.scores >= 0.2) & (found.image_ids >= 11)).sum()
    assert told == [
        f"note: {strangers} boxes of arrays are left out, as {data} has not their images",
        "note: 2 boxes of arrays are left out, as they have no area inside their images",
    ]
    crops = {}
    model = restored(settings(model_dir), f"{model_dir}/ckpt-7", model_dir)
    for row in np.flatnonzero(good).tolist():
        x, y, width, height = found.boxes[row].astype(np.float32)
        with PILImage.open(images_dir / f"{found.image_ids[row]}.jpg") as picture:
            edges = (
                int(np.floor(x)), int(np.floor(y)),
                min(int(np.ceil(x + width)), picture.width),
                min(int(np.ceil(y + height)), picture.height),
            )  # fmt: skip
            crops[row] = np.asarray(picture.crop(edges), np.float32)
    of_row = {
        row: softmax(model(tf.image.resize(crop, (32, 32))[tf.newaxis], training=False).numpy())[0]
        for row, crop in crops.items()
    }
    for level, labels in ((SPECIES, 2), (SUPER, 2), (GENERIC, 1)):
        path = output if level is SPECIES else applying.marginal_path(str(output), level)
        named = read_detections(path, level, records.taxonomy())
        assert len(named) == labels * count
        assert named.model == f"eye + {os.path.basename(model_dir)}/ckpt-7"
        assert named.settings["labels_per_box"] == 2
        assert named.settings.get("merge") == (None if level is SPECIES else "marginal")
        for row, fine in of_row.items():
            same = (named.boxes == found.boxes[row].astype(np.float32)).all(axis=1)
            same &= named.image_ids == found.image_ids[row]
            assert same.sum() == labels
            of_level = {
                SPECIES: fine, SUPER: of_super_classes(fine), GENERIC: np.ones(1)
            }[level]  # fmt: skip
            expected = found.scores[row] * np.sort(of_level)[::-1][:labels]
            # TensorFlow and Pillow decode JPEGs alike but for rounding.
            np.testing.assert_allclose(named.scores[same], expected, rtol=0.02)


def test_boxes_of_no_image_and_boxes_that_score_too_low(data, model_dir, tmp_path):
    output = tmp_path / "x.parquet"
    strange = Detections.from_arrays(
        [99], [1], [0.5], [[0, 0, 9, 9]], "generic", taxonomy=records.taxonomy(), name="d.json"
    )
    with pytest.raises(InputError, match=r"d\.json: none of its boxes is in an image of"):
        name_boxes(model_dir, Records(data), strange, output, BoxChoice())
    with pytest.raises(InputError, match=r"none of its 1 boxes has a score of 0\.9 or more"):
        name_boxes(model_dir, Records(data), strange, output, BoxChoice(min_score=0.9))
    with pytest.raises(InputError, match="must be one of the levels coarser than the model's"):
        name_boxes(model_dir, Records(data), strange, output, BoxChoice(), [SPECIES])
    assert os.listdir(tmp_path) == []


# The program.


@contextlib.contextmanager
def flags_of(*arguments):
    before = set(flags.FLAGS)
    program.define_flags()
    try:
        yield flags.FLAGS(["classify", *arguments])
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()


def test_the_program_on_images_and_on_boxes(images_dir, model_dir, tmp_path, capsys):
    found = boxes()
    detector = tmp_path / "generic.parquet"
    with DetectionsWriter(detector, GENERIC, records.taxonomy(), model="eye") as writer:
        inside = found.image_ids < 11
        writer.append(*(
            column[inside]
            for column in (found.image_ids, found.labels[GENERIC], found.scores, found.boxes)
        ))  # fmt: skip
    common = [
        f"--model_dir={model_dir}", f"--annotations={images_dir}/images.json",
        f"--images_dir={images_dir}", "--params_override=task.validation_data.batch_size=3",
    ]  # fmt: skip
    with flags_of(*common, f"--output={tmp_path}/whole.parquet", "--k=1") as rest:
        program.main(rest)
    assert "whole.parquet: the best labels of 11 images, model" in capsys.readouterr().err
    assert read(tmp_path / "whole.parquet").own.k == 1
    with flags_of(
        *common, f"--output={tmp_path}/named.parquet", f"--boxes={detector}",
        "--labels_per_box=1", "--boxes_per_image=2", "--granularities=super",
    ) as rest:  # fmt: skip
        program.main(rest)
    named = read_detections(tmp_path / "named.parquet", SPECIES, records.taxonomy())
    assert np.bincount(named.image_ids).max() == 2
    assert f"named.parquet: detections in {len(named)} boxes" in capsys.readouterr().err
    assert os.path.exists(tmp_path / "named.super.parquet")
    assert named.settings["detector"]["model"] == "eye"
    assert len(named.settings["detector"]["sha256"]) == 64


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "one of --input and --images_dir"),
        (["--input=a", "--images_dir=b"], "one of --input and --images_dir"),
        (["--images_dir=."], "--annotations is missing"),
        (["--input=a", "--boxes=b", "--k=3"], "--k goes with whole images"),
        (["--input=a", "--labels_per_box=2"], "--labels_per_box goes with --boxes"),
    ],
)
def test_flags_that_do_not_go_together(given, words):
    with (
        flags_of("--model_dir=m", "--output=o", *given) as rest,
        pytest.raises(InputError, match=words),
    ):
        program.main(rest)


def test_killed_naming_of_boxes_is_gone_on_with(data, model_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "SECONDS", 0)
    found, choice = boxes(), BoxChoice(min_score=0.2, iou=1.0)
    changes = {"validation_data": {"batch_size": 4}}
    expected, output = tmp_path / "expected" / "x.parquet", tmp_path / "found" / "x.parquet"

    def name(output, told):
        return classify_boxes(
            settings(model_dir, **changes), f"{model_dir}/ckpt-7", model_dir, Records(data),
            found, str(output), choice, [SUPER], notify=told.append,
        )  # fmt: skip

    told, told_then = [], []
    count = name(expected, told)
    with monkeypatch.context() as patch:
        seen = ended_at(patch, box_inference, 3, Killed())
        with pytest.raises(Killed):
            name(output, [])
    with monkeypatch.context() as patch:
        seen_then = ended_at(patch, box_inference)
        assert name(output, told_then) == count
    rows = [*itertools.chain(*seen, *seen_then)]
    assert len(rows) == len(set(rows)) == count + 2, "no box is seen twice"
    assert told_then == [f"going on behind 12 boxes, from {output}.parts", *told]
    for file_name in ("x.parquet", "x.super.parquet"):
        assert (output.parent / file_name).read_bytes() == (
            expected.parent / file_name
        ).read_bytes()
    assert len(os.listdir(output.parent)) == 2


def test_parts_are_those_of_the_same_boxes(data, model_dir, tmp_path):
    def made_with(found, **choice):
        call = functools.partial(
            name_boxes, model_dir, Records(data), found, tmp_path / "x", BoxChoice(iou=1, **choice)
        )
        return made_with_of(box_inference, call)

    base = made_with(boxes())
    assert differing(base, made_with(boxes())) == set()
    assert differing(base, made_with(boxes(seed=4))) == {"boxes"}
    assert differing(base, made_with(boxes(), labels=2)) == {"flags"}
    assert differing(base, made_with(boxes(), context=0.5)) == {"flags"}
    assert differing(base, made_with(boxes(), min_score=0.5)) == {"boxes", "flags"}
