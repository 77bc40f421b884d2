import io
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image as PILImage

from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.detection import inputs, pixels
from inatdet.errors import InputError
from inatdet.tfrecords import encoding
from inatdet.tfrecords.damage import find_damage, reading_errors
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.order import Start

TAXONOMY = Taxonomy.from_categories(
    (Category(5, "Avis rubra", "Aves"), Category(0, "Rana viridis", "Amphibia")), {0, 5}
)
# One box an image in x, y, width, height as fractions, well off the middle so that flips show.
BOX = np.array([0.1, 0.2, 0.3, 0.5])
INSIDE, OUTSIDE = 220, 30


def jpeg_of(height, width):
    pixels = np.full((height, width, 3), OUTSIDE, np.uint8)
    x, y, w, h = np.round(BOX * [width, height, width, height]).astype(int)
    pixels[y : y + h, x : x + w] = INSIDE
    noise = np.random.default_rng(height * 1000 + width).integers(-15, 15, pixels.shape)
    file = io.BytesIO()
    PILImage.fromarray((pixels + noise).astype(np.uint8)).save(file, "JPEG", quality=95)
    return file.getvalue()


def example_of(image_id, height, width, jpeg=None, boxes=(BOX,), categories=None, crowd=None):
    n = len(boxes)
    scaled = np.reshape(boxes, (n, 4)) * [width, height, width, height]
    return encoding.encode(
        Image(image_id, f"{image_id}.jpg", width, height),
        jpeg_of(height, width) if jpeg is None else jpeg,
        scaled,
        np.full(n, 5) if categories is None else np.array(categories),
        np.ones(n),
        np.zeros(n, bool) if crowd is None else np.array(crowd),
        TAXONOMY,
    )


def write(folder, records, shards=1):
    for shard in range(shards):
        name = folder / f"train-{shard:05}-of-{shards:05}.tfrecord"
        with tf.io.TFRecordWriter(str(name)) as writer:
            for record in records[shard::shards]:
                writer.write(record)
    return str(folder / "train-*")


def dataset(pattern, **kwargs):
    settings = {"batch_size": 1, "short_edge": 48, "long_edge": 82, "is_training": False}
    lookup = LabelLookup(TAXONOMY, Granularity.SPECIES)
    return inputs.make_dataset(pattern, lookup, **(settings | kwargs))


def ids(batches):
    return [int(image_id) for batch in batches for image_id in batch["image_id"]]


def numpy_resized_shape(height, width, short_edge, long_edge):
    """The OD API's rule in NumPy's float32, one rounding at a time."""
    f = np.float32
    size = np.array([height, width], f)
    large = np.rint(size * (f(short_edge) / size.min())).astype(int)
    if large.max() > long_edge:
        large = np.rint(size * (f(long_edge) / size.max())).astype(int)
    return tuple(np.maximum(large, 1).tolist())


def numpy_resize(image, height, width):
    """Bilinear with half-pixel centres, edges repeated."""
    source = image.astype(np.float64)
    for axis, size in ((0, height), (1, width)):
        length = source.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, length - 1)
        shape = [1, 1, 1]
        shape[axis] = size
        part = (at - low).reshape(shape)
        source = source.take(low, axis) * (1 - part) + source.take(high, axis) * part
    return source


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (600, 800, (600, 800)),
        (800, 600, (800, 600)),
        (533, 800, (600, 901)),  # 800 * 600 / 533 = 900.56
        (1200, 1600, (600, 800)),
        (450, 800, (576, 1024)),  # 800 * 600 / 450 = 1067 > 1024; 450 * 1024 / 800
        (300, 512, (600, 1024)),  # exactly 1024 is allowed
        (800, 200, (1024, 256)),
        (5, 5, (600, 600)),
        (1, 1, (600, 600)),
        (1, 5000, (1, 1024)),  # 0.2 pixels would be none
    ],
)
def test_resized_shape(height, width, expected):
    found = pixels.resized_shape(height, width, 600, 1024)
    assert tuple(int(side) for side in found) == expected


@pytest.mark.parametrize(("short_edge", "long_edge"), [(600, 1024), (128, 224), (600, 600)])
def test_resized_shape_rounds_as_the_od_api_does(short_edge, long_edge):
    rng = np.random.default_rng(0)
    sizes = np.concatenate([rng.integers(1, 900, (3000, 2)), rng.integers(1, 9000, (500, 2))])
    # Every width at one height: halves (rounded to even) and the edge of the long side come up.
    sizes = np.concatenate([sizes, [[400, width] for width in range(1, 1300)]]).astype(np.int32)
    found = pixels.resized_shape(sizes[:, 0], sizes[:, 1], short_edge, long_edge)
    expected = [numpy_resized_shape(h, w, short_edge, long_edge) for h, w in sizes]
    np.testing.assert_array_equal(np.stack(found, axis=-1), expected)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("shapes", [[(60, 80)] * 3, [(60, 80), (61, 83), (30, 41)]])
def test_pixels_boxes_and_padding(tmp_path, batch_size, shapes):
    records = [example_of(7 + i, *shape) for i, shape in enumerate(shapes)]
    batches = list(dataset(write(tmp_path, records), batch_size=batch_size))
    assert [len(batch["image_id"]) for batch in batches] == [batch_size] * (3 // batch_size)
    for batch in batches:
        batch = {name: value.numpy() for name, value in batch.items()}
        sizes = [numpy_resized_shape(*shapes[i - 7], 48, 82) for i in batch["image_id"]]
        canvas = np.max(sizes, axis=0)
        assert batch["image"].shape == (batch_size, *canvas, 3)
        assert batch["image"].dtype == np.float32
        np.testing.assert_array_equal(batch["image_size"], sizes)
        for i, (height, width) in enumerate(sizes):
            shape = shapes[batch["image_id"][i] - 7]
            assert tuple(batch["original_size"][i]) == shape
            expected = numpy_resize(tf.io.decode_jpeg(jpeg_of(*shape)).numpy(), height, width)
            np.testing.assert_allclose(batch["image"][i, :height, :width], expected, atol=1e-3)
            assert not batch["image"][i, height:].any()
            assert not batch["image"][i, :, width:].any()
            np.testing.assert_allclose(
                batch["boxes"][i],
                [[0.2 * height, 0.1 * width, 0.7 * height, 0.4 * width]],
                rtol=1e-5,
            )
        np.testing.assert_array_equal(batch["labels"], np.full((batch_size, 1), 2))


def test_an_image_is_the_same_alone_and_in_a_batch(tmp_path):
    shapes = [(60, 80), (50, 67), (64, 83), (60, 80)]
    pattern = write(tmp_path, [example_of(i, *shape) for i, shape in enumerate(shapes)])
    (together,) = dataset(pattern, batch_size=4)
    for i, alone in enumerate(dataset(pattern)):
        height, width = alone["image_size"][0].numpy()
        np.testing.assert_array_equal(alone["image"][0], together["image"][i, :height, :width])
        np.testing.assert_array_equal(alone["boxes"][0], together["boxes"][i])


@pytest.mark.parametrize("granularity", ALWAYS)
def test_boxes_that_do_not_count_are_left_out(tmp_path, granularity):
    boxes = np.stack([BOX, BOX + 0.01, BOX + 0.02])
    pattern = write(
        tmp_path,
        [
            example_of(1, 60, 80, boxes=boxes, categories=[5, 0, 5], crowd=[False, False, True]),
            example_of(2, 60, 80, boxes=np.zeros((0, 4))),
        ],
    )
    # Species by id; super-classes in the paper's order, Aves before Amphibia.
    of_5, of_0 = {"species": (2, 1), "super": (1, 2), "generic": (1, 1)}[granularity]

    def labels_of(is_training):
        data = inputs.make_dataset(
            pattern,
            LabelLookup(TAXONOMY, granularity),
            batch_size=2,
            short_edge=48,
            long_edge=82,
            is_training=is_training,
            seed=1,
        )
        batch = next(iter(data))
        order = np.argsort(batch["image_id"])
        padding = batch["labels"].numpy() == 0
        assert not batch["boxes"].numpy()[padding].any()
        return batch["labels"].numpy()[order].tolist()

    assert labels_of(is_training=False) == [[of_5, of_0, of_5], [0, 0, 0]]
    assert labels_of(is_training=True) == [[of_5, of_0], [0, 0]]


def test_a_label_of_another_granularity_only_is_left_out(tmp_path):
    # Category 9 has no box in the taxonomy's own file, so it has no species label.
    taxonomy = Taxonomy.from_categories(
        (*TAXONOMY.species, Category(9, "Avis nova", "Aves")), {0, 5}
    )
    record = encoding.encode(
        Image(1, "1.jpg", 80, 60),
        jpeg_of(60, 80),
        np.array([[8, 12, 24, 30]]),
        np.array([9]),
        np.ones(1),
        np.zeros(1, bool),
        taxonomy,
    )
    pattern = write(tmp_path, [record])
    (batch,) = dataset(pattern)
    assert batch["labels"].shape == (1, 0)
    assert batch["boxes"].shape == (1, 0, 4)


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("shape", [(60, 80), (33, 41)])
def test_training_flips_half_of_the_images_with_their_boxes(tmp_path, batch_size, shape):
    pattern = write(tmp_path, [example_of(i, *shape) for i in range(20)])
    data = dataset(pattern, batch_size=batch_size, is_training=True, seed=3)
    flipped = 0
    for batch in data.take(120 // batch_size):
        for image, size, boxes in zip(batch["image"], batch["image_size"], batch["boxes"]):
            ymin, xmin, ymax, xmax = np.round(boxes[0]).astype(int)
            assert image[ymin + 2 : ymax - 2, xmin + 2 : xmax - 2].numpy().min() > 150
            assert image[:, : xmin - 2].numpy().max() < 100
            assert image[:, xmax + 2 : size[1]].numpy().max() < 100
            left = np.isclose(boxes[0, 1], 0.1 * float(size[1]), rtol=1e-5)
            right = np.isclose(boxes[0, 1], 0.6 * float(size[1]), rtol=1e-5)
            assert left != right
            flipped += right
    assert 40 <= flipped <= 80  # 60 expected; 3.65 standard deviations either way


def mixed_shapes(count):
    """Shapes of iNat2017's kind: the longer side 800, here a tenth of that."""
    rng = np.random.default_rng(2)
    common = [(60, 80), (53, 80), (80, 60), (45, 80), (80, 80), (80, 53)]
    odd = [rng.permutation([80, rng.integers(20, 80)]).tolist() for _ in range(count)]
    return [odd[i] if i % 3 == 0 else common[rng.integers(6)] for i in range(count)]


@pytest.mark.parametrize("is_training", [True, False])
def test_batches_of_mixed_shapes_are_padded_little(tmp_path, is_training):
    shapes = mixed_shapes(120)
    pattern = write(tmp_path, [example_of(i, *shape) for i, shape in enumerate(shapes)])
    data = dataset(
        pattern, batch_size=8, short_edge=60, long_edge=102, is_training=is_training, seed=0
    )
    ratios = []
    for batch in data.take(15):
        pixels = np.prod(batch["image_size"], axis=-1).sum()
        ratios.append(np.prod(batch["image"].shape[:3]) / pixels)
        assert not is_training or len(batch["image_id"]) == 8
    assert max(ratios) <= 1.15
    assert np.mean(ratios) <= 1.06


def test_training_batches_are_of_one_size_where_that_fills_them(tmp_path):
    # Three in four are 30x40; of the others, all 3:4 too, no two agree.
    shapes = [(33 + 3 * (i // 4), 44 + 4 * (i // 4)) if i % 4 == 3 else (30, 40) for i in range(64)]
    boxes = [(BOX,) * (1 + i % 3) for i in range(64)]
    records = [example_of(i, *shape, boxes=boxes[i]) for i, shape in enumerate(shapes)]
    data = dataset(write(tmp_path, records), batch_size=4, is_training=True, seed=0)
    batches = list(data.take(480))
    alike = [len({shapes[i] for i in batch["image_id"].numpy()}) == 1 for batch in batches]
    assert np.mean(alike) >= 5 / 8  # of 32 images at once about 24 are alike: 6 batches of 8
    for batch in batches:
        count = [len(boxes[i]) for i in batch["image_id"].numpy()]
        np.testing.assert_array_equal(np.sum(batch["labels"].numpy() > 0, axis=1), count)
        assert batch["boxes"].shape[1] == max(count)
    # 60 windows hold thirty epochs, whose images all come, but for those of the batches that wait.
    assert np.abs(np.bincount(ids(batches), minlength=64) - 30).max() <= 3


def test_training_batches_of_one_shape_do_not_come_in_a_row(tmp_path):
    # Eight of a shape are made at once; at random three in four are followed by another shape's.
    records = [example_of(i, *[(40, 30), (30, 40), (30, 30), (20, 40)][i % 4]) for i in range(64)]
    data = dataset(write(tmp_path, records), batch_size=2, is_training=True, seed=0)
    seen = [batch["image"].shape[1:3] for batch in data.take(400)]
    changes = np.mean([one != other for one, other in itertools.pairwise(seen)])
    assert 0.6 < changes < 0.9


@pytest.mark.parametrize(("batch_size", "shards"), [(1, 1), (8, 1), (8, 3)])
def test_evaluation_sees_each_image_once_in_the_files_order(tmp_path, batch_size, shards):
    shapes = mixed_shapes(50)
    records = [example_of(i, *shape) for i, shape in enumerate(shapes)]
    pattern = write(tmp_path, records, shards)
    in_files = [i for shard in range(shards) for i in range(50)[shard::shards]]
    seen = ids(dataset(pattern, batch_size=batch_size))
    assert sorted(seen) == list(range(50))
    if batch_size == 1:
        assert seen == in_files
    for shape in {tuple(shape) for shape in shapes}:
        of_shape = [i for i in in_files if tuple(shapes[i]) == shape]
        assert [i for i in seen if tuple(shapes[i]) == shape] == of_shape


@pytest.mark.parametrize(
    ("batch_size", "cache"),
    [
        (4, False),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in [(1, False), (1, True), (4, True)]),
    ],
)
def test_training_is_repeatable_by_its_seed(tmp_path, batch_size, cache):
    pattern = write(tmp_path, [example_of(i, 24, 32) for i in range(12)], shards=3)

    def run(seed):
        data = dataset(
            pattern, batch_size=batch_size, is_training=True, seed=seed, cache=cache, short_edge=24
        )
        batches = list(data.take(36 // batch_size))
        return ids(batches), np.concatenate([batch["boxes"] for batch in batches])

    (first, boxes), (again, boxes_again), (other, _) = run(1), run(1), run(2)
    assert first == again
    np.testing.assert_array_equal(boxes, boxes_again)
    assert first != other
    epochs = [first[:12], first[12:24], first[24:]]
    if batch_size == 1:  # else some batches wait for later ones
        assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    # Flips are drawn again each time.
    sides = {(image, side) for image, side in zip(first, boxes[:, 0, 1].round(3).tolist())}
    assert len(sides) > 12


def test_training_without_a_seed_differs(tmp_path):
    pattern = write(tmp_path, [example_of(i, 24, 32) for i in range(40)])
    runs = [ids(dataset(pattern, is_training=True).take(40)) for _ in range(2)]
    assert runs[0] != runs[1]


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize(("shards", "workers"), [(4, 2), (5, 2), (1, 3), (2, 3)])
def test_workers_share_the_images(tmp_path, is_training, shards, workers):
    pattern = write(tmp_path, [example_of(i, 24, 32) for i in range(30)], shards)
    seen = []
    for worker in range(workers):
        context = tf.distribute.InputContext(
            num_input_pipelines=workers, input_pipeline_id=worker, num_replicas_in_sync=workers
        )
        data = dataset(pattern, is_training=is_training, input_context=context)
        part = set(ids(data.take(90)))
        assert part
        seen.append(part)
    assert sum(len(part) for part in seen) == 30
    assert set().union(*seen) == set(range(30))


@pytest.mark.parametrize("pattern", ["nothing-*", ""])
def test_a_pattern_without_files(tmp_path, pattern):
    with pytest.raises(InputError, match=r"no file matches .*make tfrecords"):
        dataset(str(tmp_path / pattern) if pattern else "")


def good_records():
    return [example_of(30 + i, 24, 32) for i in range(6)]


def cut_image(folder):
    records = good_records()
    records[4] = example_of(34, 24, 32, jpeg=jpeg_of(24, 32)[:-200])
    write(folder, records)


def no_image(folder):
    records = good_records()
    records[4] = example_of(34, 24, 32, jpeg=b"not a picture")
    write(folder, records)


def cut_file(folder):
    write(folder, good_records())
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-100])


def flipped_bit(folder):
    write(folder, good_records())
    (path,) = folder.iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def no_tfrecord(folder):
    (folder / "train-a").write_text('{"images": 3}' * 20)


def foreign_records(folder):
    write(folder, [*good_records()[:2], tf.train.Example().SerializeToString()])


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (cut_image, r"image 34 \(record 5\) cannot be decoded"),
        (no_image, r"image 34 \(record 5\) cannot be decoded"),
        (cut_file, "damaged after 5 records"),
        (flipped_bit, "damaged after [23] records"),
        (no_tfrecord, "damaged after 0 records, or not a TFRecord file"),
        (foreign_records, "record 3 is not an example of inatdet"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, damage, sentence, batch_size):
    damage(tmp_path)
    pattern = str(tmp_path / "train-*")
    with pytest.raises(InputError, match=sentence) as error, reading_errors(pattern):
        list(dataset(pattern, batch_size=batch_size))
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)


def test_whole_files_have_no_damage(tmp_path):
    write(tmp_path, good_records())
    assert find_damage(str(next(tmp_path.iterdir()))) is None


def test_other_errors_pass_through(tmp_path):
    pattern = write(tmp_path, good_records())
    with pytest.raises(tf.errors.InvalidArgumentError), reading_errors(pattern):
        tf.debugging.assert_equal(1, 2)


def test_the_first_batches_are_left_out(tmp_path):
    sizes = [(40, 60), (60, 40), (40, 60), (50, 50), (60, 40), (40, 60), (60, 40)]
    pattern = write(tmp_path, [example_of(i, *size) for i, size in enumerate(sizes)], shards=2)
    every = list(dataset(pattern, batch_size=2).as_numpy_iterator())
    rest = list(dataset(pattern, batch_size=2, skip=2).as_numpy_iterator())
    assert len(rest) == len(every) - 2 > 0
    for batch, expected in zip(rest, every[2:]):
        assert batch.keys() == expected.keys()
        for name, value in batch.items():
            np.testing.assert_array_equal(value, expected[name])


def whole(batch):
    """Everything in a batch, to be compared."""
    return {name: value.numpy() for name, value in batch.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 1},
        {"batch_size": 4},
        {"batch_size": 4, "cache": True, "single_instance": True},
        {"batch_size": 2, "input_context": tf.distribute.InputContext(2, 1, 2)},
    ],
)
def test_training_goes_on_where_it_was(tmp_path, settings, monkeypatch):
    monkeypatch.setattr(inputs.grouping, "BATCHES_PER_CHUNK", 3)
    monkeypatch.setattr(inputs.grouping, "CHUNKS_PER_ROUND", 2)
    monkeypatch.setattr(inputs.grouping, "BATCHES_READ_PER_ROUND", 6)
    monkeypatch.setattr(inputs.grouping, "BATCHES_PER_ROUND", 4)
    shapes = [(24, 32), (32, 24), (24, 24), (20, 33)]
    pattern = write(tmp_path, [example_of(i, *shapes[i % 4]) for i in range(19)], shards=3)
    pipelines = settings["input_context"].num_input_pipelines if "input_context" in settings else 1
    settings = settings | {"is_training": True, "seed": 2, "short_edge": 24, "shuffle_buffer": 3}

    def batches(count, **more):
        return [whole(batch) for batch in dataset(pattern, **settings, **more).take(count)]

    expected = batches(16)
    for before in (6, 11):
        start = Start(0, before * settings["batch_size"] * pipelines)
        found = batches(16 - before, start=start)
        for one, other in zip(expected[before:], found, strict=True):
            assert one.keys() == other.keys()
            for name, value in one.items():
                np.testing.assert_array_equal(value, other[name], err_msg=name)


@pytest.mark.slow
def test_another_batch_size_goes_on_with_what_was_not_seen(tmp_path):
    pattern = write(tmp_path, [example_of(i, 24, 32) for i in range(20)])
    settings = {"is_training": True, "seed": 2, "short_edge": 24}
    one_by_one = ids(dataset(pattern, **settings).take(200))
    # All of one shape, so that a chunk of 128 comes as it is, but for the order of the batches.
    rest = ids(dataset(pattern, **settings, batch_size=4, start=Start(12, 0)).take(32))
    assert sorted(rest) == sorted(one_by_one[12:140])
