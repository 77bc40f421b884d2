"""Classifiers of boxes: what they learn from, and that they see it again where they are applied."""

import collections
import io
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image as PILImage

from inatdet.classification import experiments, inputs, serving
from inatdet.classification.box_crops import BoxesByImage, box_crops
from inatdet.classification.box_examples import BoxCopies, BoxExamples
from inatdet.classification.box_inference import classify_boxes
from inatdet.classification.config import AugmentationConfig
from inatdet.classification.inference import classify, middles
from inatdet.classification.sources import Records
from inatdet.classification.task import ClassifierTask
from inatdet.data.annotations import Image
from inatdet.data.box_choice import BoxChoice
from inatdet.data.counts import CategoryCounts
from inatdet.data.detections import Detections
from inatdet.data.formats.detections import read_detections
from inatdet.data.formats.predictions import read_predictions
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from inatdet.networks import classifiers
from inatdet.tfrecords import encoding, examples
from inatdet.tfrecords.label_counts import SplitCounts
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.streaming import TrainingStream
from inatdet.training.resuming import compare_settings
from tests import records, untrained
from tests.classification.conftest import tiny
from tests.classification.settings import training_on

LABEL_OF = records.taxonomy().label_of_category(Granularity.SPECIES)
SIZES = {0: (90, 120), 1: (333, 517), 2: (1201, 799), 3: (64, 64), 4: (50, 80)}  # height, width


class Box:
    """A box of the records, and whether a classifier learns from it."""

    def __init__(self, image_id, xywh, category_id, is_crowd=False, is_outside=False):
        self.image_id, self.xywh, self.category_id = image_id, xywh, category_id
        self.is_crowd = is_crowd
        self.is_learned = not is_crowd and not is_outside


def boxes_of_records():
    """Image 4 has none, image 3 only a crowd; the others several, some beyond their edges."""
    rng = np.random.default_rng(0)
    found = []
    for image_id, count in ((0, 3), (1, 12), (2, 9)):
        height, width = SIZES[image_id]
        for number in range(count):
            x, y = rng.uniform(-0.1, 0.8, 2) * (width, height)
            w, h = rng.uniform(0.15, 0.5, 2) * (width, height)
            decimals = number % 3  # pixels, tenths, hundredths
            xywh = np.round([x, y, w, h], decimals)
            found.append(Box(image_id, xywh, records.CATEGORIES[number % 3].id))
    found.append(Box(2, [100, 100, 300, 300], 0, is_crowd=True))
    found.append(Box(2, [799, 10, 40, 40], 0, is_outside=True))
    found.append(Box(3, [0, 0, 64, 64], 7, is_crowd=True))
    return found


BOXES = boxes_of_records()
LEARNED = [box for box in BOXES if box.is_learned]


@pytest.fixture(scope="module", autouse=True)
def _tiny_network():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifiers, "build", tiny)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    rng = np.random.default_rng(1)
    pictures = {}
    for image_id, (height, width) in SIZES.items():
        small = rng.integers(0, 256, (9, 9, 3)).astype(np.uint8)
        picture = PILImage.fromarray(small).resize((width, height), PILImage.BICUBIC)
        pictures[image_id] = np.asarray(picture)
    return write(folder, pictures, BOXES)


def write(folder, pictures, boxes):
    """Records with these boxes, and the counts of their labels; the pattern of the files."""
    records.taxonomy().save(folder / "taxonomy.json")
    with tf.io.TFRecordWriter(str(folder / "train-00000-of-00001.tfrecord")) as writer:
        for image_id, pixels in pictures.items():
            file = io.BytesIO()
            PILImage.fromarray(pixels).save(file, "JPEG", quality=97, subsampling=0)
            own = [box for box in boxes if box.image_id == image_id]
            height, width = pixels.shape[:2]
            record = encoding.encode(
                Image(image_id, f"{image_id}.jpg", width, height),
                file.getvalue(),
                np.array([box.xywh for box in own], np.float64),
                np.array([box.category_id for box in own]),
                np.ones(len(own)),
                np.array([box.is_crowd for box in own], bool),
                records.taxonomy(),
            )
            writer.write(record)
    counted = [box for box in boxes if box.is_learned]
    of_category = collections.Counter(box.category_id for box in counted)
    shown = collections.defaultdict(set)
    for box in counted:
        shown[box.image_id].add(box.category_id)
    images = collections.Counter(tuple(sorted(ids)) for ids in shown.values())
    counts = CategoryCounts(len(pictures), of_category, images)
    SplitCounts(counts, counts).save(str(folder), "train")
    return str(folder / "train-*")


def detections(boxes, level="generic"):
    return Detections.from_arrays(
        [box.image_id for box in boxes],
        [1] * len(boxes),
        [1.0] * len(boxes),
        [box.xywh for box in boxes],
        level,
        taxonomy=records.taxonomy(),
    )


def settings(data, more=""):
    return training_on(data, 1, ",".join(filter(None, ("task.view=box", more))))


def validation(params):
    """The images, labels and image ids that validation sees, in their order."""
    batches = list(ClassifierTask(params.task).build_inputs(params.task.validation_data))
    return tuple(
        np.concatenate([batch[name].numpy() for batch in batches])
        for name in ("image", "label", "image_id")
    )


@pytest.mark.parametrize(
    "more",
    [
        "",
        "task.box.context=.25,task.box.central_fraction=.875,task.shrink_while_decoding=false",
    ],
)
def test_validation_sees_the_pixels_that_classify_sees(data, more):
    params = settings(data, more)
    images, labels, image_ids = validation(params)
    assert image_ids.tolist() == [box.image_id for box in LEARNED]
    assert labels.tolist() == [LABEL_OF[box.category_id] for box in LEARNED]
    found = detections(LEARNED)
    crops = box_crops(
        Records(data),
        BoxesByImage(found, np.arange(len(found))),
        params.task.box.context,
        params.task,
    )
    seen = {}
    for batch in crops.as_numpy_iterator():
        assert batch["valid"].all()
        seen |= dict(zip(batch["row"].tolist(), batch["image"]))
    np.testing.assert_array_equal(images, [seen[row] for row in range(len(found))])
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


def test_a_category_without_a_label_is_left_out(data):
    class Known(LabelLookup):
        def __call__(self, category_ids):
            return tf.where(category_ids == 3, 0, super().__call__(category_ids))

    lookup = Known(records.taxonomy(), Granularity.SPECIES)
    batches = inputs.make_dataset(
        data,
        lookup,
        batch_size=5,
        image_size=8,
        is_training=False,
        augmentation=AugmentationConfig(),
        boxes=BoxExamples(lookup, 0.1),
    )
    labels = np.concatenate([batch["label"].numpy() for batch in batches])
    known = [box for box in LEARNED if box.category_id != 3]
    assert labels.tolist() == [LABEL_OF[box.category_id] for box in known]


def training_labels(params, batches):
    data = ClassifierTask(params.task).build_inputs(params.task.train_data).take(batches)
    return [
        (int(image_id), int(label))
        for batch in data
        for image_id, label in zip(batch["image_id"], batch["label"])
    ]


def test_training_shows_each_box_once_per_epoch_and_mixes_those_of_images(data):
    params = settings(data)  # 24 boxes in batches of 4
    expected = collections.Counter((b.image_id, LABEL_OF[b.category_id]) for b in LEARNED)
    assert len(LEARNED) == 24
    two_epochs = training_labels(params, 12)
    for epoch in (two_epochs[:24], two_epochs[24:]):
        assert collections.Counter(epoch) == expected
        ids = [image_id for image_id, _ in epoch]
        assert sum(one != other for one, other in itertools.pairwise(ids)) > 6  # not 2
    assert two_epochs[:24] != two_epochs[24:]
    assert training_labels(params, 12) == two_epochs  # by the seed of the settings


def test_only_images_with_one_box(tmp_path):
    picture = np.zeros((40, 40, 3), np.uint8)
    boxes = [Box(0, [0, 0, 9, 9], 0), Box(1, [0, 0, 9, 9], 7), Box(1, [9, 9, 9, 9], 7)]
    pattern = write(tmp_path, {0: picture, 1: picture}, boxes)
    params = settings(pattern, "task.train_data.single_instance=true")
    assert {image_id for image_id, _ in training_labels(params, 3)} == {0}
    assert validation(params)[2].tolist() == [0, 1, 1]


def test_crops_of_training_stay_within_the_box(tmp_path):
    """Boxes of one color on noise."""
    rng = np.random.default_rng(2)
    boxes = [
        Box(0, [16, 40, 64, 48], 0),
        Box(0, [104, 8, 80, 24], 7),  # too long for a crop that is as wide as it is high, or nearly
        Box(0, [112, 96, 48, 80], 3),
        Box(0, [0, 120, 1, 1], 3),
    ]
    pixels = rng.integers(0, 256, (192, 192, 3)).astype(np.uint8)
    for box in boxes:
        x, y, w, h = box.xywh
        pixels[y : y + h, x : x + w] = 50 * LABEL_OF[box.category_id]
    pattern = write(tmp_path, {0: pixels}, boxes)
    params = settings(pattern, "task.box.context=0,task.augmentation.color_share=0")
    for batch in ClassifierTask(params.task).build_inputs(params.task.train_data).take(20):
        for image, label in zip(batch["image"].numpy(), batch["label"].numpy()):
            np.testing.assert_allclose(image, 50.0 * label, atol=6)  # by JPEG's rounding


def test_the_long_tail_is_counted_in_boxes(tmp_path):
    picture = np.zeros((40, 40, 3), np.uint8)
    # One image of three boxes of a species, one of one box each of two others.
    boxes = [Box(0, [4 * i, 0, 9, 9], 0) for i in range(3)]
    boxes += [Box(1, [0, 0, 9, 9], 3), Box(1, [9, 9, 9, 9], 7)]
    pattern = write(tmp_path, {0: picture, 1: picture}, boxes)
    params = settings(
        pattern, "task.train_data.sampling=class_balanced,task.model.logit_adjustment=1"
    )
    task = ClassifierTask(params.task, logging_dir=str(tmp_path))
    counts = task.read_counts(params.task.train_data)
    assert (counts.total_images, counts.images, counts.boxes) == (5, (3, 1, 1), (3, 1, 1))
    shown = collections.Counter(label for _, label in training_labels(params, 100))
    np.testing.assert_allclose([shown[label] / 400 for label in (1, 2, 3)], [1 / 3] * 3, atol=0.07)
    task.prepare()
    np.testing.assert_allclose(task.priors(), [1 / 3] * 3)
    params.task.train_data.sampling = "none"
    (task := ClassifierTask(params.task, logging_dir=str(tmp_path))).prepare()
    np.testing.assert_allclose(task.priors(), [0.6, 0.2, 0.2])


@pytest.mark.slow
@pytest.mark.parametrize("factors", [(), (0.6, 1.0, 2.5)])
def test_training_on_boxes_goes_on_where_it_was(data, factors):
    """Also where some come more often: each as often as its label's factor in expectation."""
    copies = BoxCopies(
        BoxExamples(LabelLookup(records.taxonomy(), Granularity.SPECIES), 0.1), factors
    )

    def shown(after, count):
        stream = TrainingStream(data, seed=4, shuffle_buffer=2, resampler=copies)
        taken = stream.after(after).take(count).as_numpy_iterator()
        return [(examples.decode(record)["image_id"].numpy(), number) for record, number in taken]

    whole = shown(0, 120)
    for images in (1, 25, 60):
        assert shown(images, 120 - images) == whole[images:]
    own = collections.Counter(box.image_id for box in LEARNED)
    every = {(image_id, number) for image_id, count in own.items() for number in range(count)}
    if factors:
        assert set(whole) <= every
        per_epoch = sum(factors[LABEL_OF[box.category_id] - 1] for box in LEARNED)
        times = collections.Counter(shown(0, round(12 * per_epoch)))
        for image_id in own:
            boxes = [box for box in LEARNED if box.image_id == image_id]
            for number, box in enumerate(boxes):
                expected = 12 * factors[LABEL_OF[box.category_id] - 1]
                # In each epoch the whole part, or one more.
                low, high = 12 * np.floor(expected / 12), 12 * np.ceil(expected / 12)
                assert low - 3 <= times[image_id, number] <= high + 3
    else:
        assert sorted(whole[: len(every)]) == sorted(whole[len(every) : 2 * len(every)])
        assert set(whole[: len(every)]) == every


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    """The folder of a classifier of boxes, and its settings."""
    more = "task.view=box,task.box.context=.2,task.box.central_fraction=.9"
    folder = untrained.save_classifier(data, tmp_path_factory.mktemp("model"), more=more)
    return folder, experiments.read_saved(folder)


def named_boxes(model, data, output, choice):
    folder, params = model
    classify_boxes(
        params, f"{folder}/ckpt-1", folder, Records(data), detections(LEARNED), str(output), choice
    )
    return read_detections(output, Granularity.SPECIES, records.taxonomy())


def test_boxes_are_classified_as_the_model_saw_them(model, data, tmp_path):
    choice = BoxChoice(iou=1.0, labels=1)
    named = named_boxes(model, data, tmp_path / "own.parquet", choice)
    assert named.settings["box_context"] == 0.2
    assert named.settings["box_central_fraction"] == 0.9
    assert named.settings["classifier"]["view"] == "box"
    folder, params = model
    task = ClassifierTask(params.task)
    network = task.build_model()
    tf.train.Checkpoint(model=network).restore(f"{folder}/ckpt-1").expect_partial()
    images, _, _ = validation(params)
    best = tf.reduce_max(network.probabilities(network(images, training=False)), axis=1)
    order = [box.xywh for box in LEARNED]
    for xywh, score in zip(order, best.numpy()):
        (row,) = np.flatnonzero((named.boxes == np.float32(xywh)).all(axis=1))
        np.testing.assert_allclose(named.scores[row], score, rtol=1e-5)
    other = named_boxes(
        model, data, tmp_path / "other.parquet", BoxChoice(iou=1.0, labels=1, context=0.0)
    )
    assert other.settings["box_context"] == 0
    assert np.abs(np.sort(other.scores) - np.sort(named.scores)).max() > 1e-4


def test_a_whole_image_is_taken_for_a_box(model, data, tmp_path):
    folder, params = model
    told = []
    count = classify(
        params, f"{folder}/ckpt-1", folder, Records(data), str(tmp_path / "x.parquet"),
        notify=told.append,
    )  # fmt: skip
    assert count == len(SIZES)
    (note,) = told
    assert note.startswith("note: this classifier was trained on boxes and takes each whole image")
    found = read_predictions(tmp_path / "x.parquet", records.taxonomy())
    assert found.settings["view"] == "box"
    assert found.settings["central_fraction"] == 0.9
    whole = [Box(image_id, [0, 0, width, height], 0) for image_id, (height, width) in SIZES.items()]
    batches = box_crops(
        Records(data), BoxesByImage(detections(whole), np.arange(5)), 0.2, params.task
    )
    as_boxes = np.concatenate([batch["image"] for batch in batches])
    as_images = np.concatenate([b["image"] for b in middles(Records(data), params.task)])
    np.testing.assert_array_equal(as_boxes, as_images)
    served = serving.trained_classifier(folder, None, "")
    record = next(iter(tf.data.TFRecordDataset(tf.io.gfile.glob(data))))
    jpeg = tf.train.Example.FromString(record.numpy()).features.feature["image/encoded"]
    alone = served(tf.constant(jpeg.bytes_list.value))
    np.testing.assert_allclose(alone["probabilities"][0], found.own.probabilities[0], rtol=1e-4)


def test_a_classifier_of_images_does_not_go_on_with_boxes(model, data):
    folder, _ = model
    assert compare_settings(training_on(data, 1, "task.view=box,task.box.context=.3"), folder)
    with pytest.raises(InputError, match=r"task\.view=box, not task\.view=image"):
        compare_settings(training_on(data, 1), folder)
