import h5py
import numpy as np
import pytest
import tf_keras

from inatdet.errors import InputError
from inatdet.networks import pretrained

CONTENT = bytes(range(256)) * 20


@pytest.fixture(scope="module")
def weights_files(tmp_path_factory):
    """Two networks' weights in one process, so that the second's names start elsewhere."""
    folder = tmp_path_factory.mktemp("keras")
    networks = []
    for i in range(2):
        tf_keras.utils.set_random_seed(i)
        model = tf_keras.applications.InceptionV3(weights=None, include_top=False)
        rng = np.random.default_rng(i)
        model.set_weights([rng.random(w.shape, np.float32) for w in model.get_weights()])
        path = str(folder / f"{i}.h5")
        model.save_weights(path)
        networks.append((model, path))
    return networks


@pytest.mark.parametrize("which", [0, 1])
def test_weights_come_in_the_order_of_creation(weights_files, which):
    model, path = weights_files[which]
    convs = [layer for layer in model.layers if isinstance(layer, tf_keras.layers.Conv2D)]
    convs.sort(key=lambda layer: int(layer.name.rpartition("_")[2].replace("conv2d", "0")))
    found = pretrained.read_inception_v3(path)
    assert len(found) == len(convs) == 94
    for mine, conv in zip(found, convs):
        np.testing.assert_array_equal(mine.kernel, conv.kernel)
        # The batch norm of a convolution is the layer that takes its output.
        norm = conv.outbound_nodes[0].layer
        np.testing.assert_array_equal(mine.beta, norm.beta)
        np.testing.assert_array_equal(mine.moving_mean, norm.moving_mean)
        np.testing.assert_array_equal(mine.moving_variance, norm.moving_variance)
    assert [w.kernel.shape for w in found[:4]] == [
        (3, 3, 3, 32),
        (3, 3, 32, 32),
        (3, 3, 32, 64),
        (1, 1, 64, 80),
    ]
    assert found[93].kernel.shape == (1, 1, 2048, 192)  # the pooled branch of mixed10


def test_the_file_of_a_whole_model_is_read_too(weights_files, tmp_path):
    model, weights_path = weights_files[0]
    path = str(tmp_path / "model.h5")
    with pytest.warns(UserWarning, match="saving your model as an HDF5 file"):
        model.save(path, save_format="h5")
    whole, weights = (pretrained.read_inception_v3(p) for p in (path, weights_path))
    for a, b in zip(whole, weights):
        np.testing.assert_array_equal(a.kernel, b.kernel)


def truncated(path, out):
    with open(path, "rb") as file, open(out, "wb") as cut:
        cut.write(file.read()[: 40 << 20])


def no_hdf5(_, out):
    with open(out, "wb") as file:
        file.write(CONTENT)


def no_layers(_, out):
    with h5py.File(out, "w") as file:
        file["a"] = np.zeros(3)


def copied(path, out, change):
    with h5py.File(path, "r") as source, h5py.File(out, "w") as file:
        for name in source:
            source.copy(name, file)
        file.attrs.update(source.attrs)
        change(file)


def kernel_of(file):
    """Where some convolution's kernel is; its number depends on what Keras made before."""
    name = max(name for name in file if name.startswith("conv2d_"))
    return f"{name}/{name}/kernel:0"


def without_a_dataset(path, out):
    copied(path, out, lambda file: file.__delitem__(kernel_of(file)))


def without_a_layer(path, out):
    def change(file):
        left_out = kernel_of(file).partition("/")[0]
        names = [pretrained._text(name) for name in file.attrs["layer_names"]]
        file.attrs["layer_names"] = [name for name in names if name != left_out]

    copied(path, out, change)


def with_other_shapes(path, out):
    def change(file):
        name = kernel_of(file)
        kernel = file[name][:]
        del file[name]
        file[name] = kernel[..., :-1]

    copied(path, out, change)


def with_a_nan(path, out):
    def change(file):
        file[kernel_of(file)][0, 0, 0, 0] = np.nan

    copied(path, out, change)


def of_another_network(_, out):
    tf_keras.applications.MobileNet(weights=None, include_top=False).save_weights(str(out))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (truncated, "damaged, or not a Keras weights file .*truncated"),
        (no_hdf5, "damaged, or not a Keras weights file"),
        (no_layers, "damaged, or not a Keras weights file"),
        (without_a_dataset, "damaged, or not a Keras weights file"),
        (without_a_layer, "not the weights of Inception V3: 93 convolutions"),
        (with_other_shapes, "not the weights of Inception V3: .* parameters"),
        (with_a_nan, "are not finite"),
        (of_another_network, "not the weights of Inception V3"),
        (lambda *_: None, "no such weights file"),
    ],
)
def test_bad_files_are_named(weights_files, tmp_path, damage, sentence):
    path = tmp_path / "bad.h5"
    damage(weights_files[0][1], path)
    with pytest.raises(InputError, match=sentence) as error:
        pretrained.read_inception_v3(str(path))
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
