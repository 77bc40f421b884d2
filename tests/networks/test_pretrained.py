import socket

import h5py
import numpy as np
import pytest
import tf_keras

from inatdet.errors import InputError
from inatdet.networks import pretrained
from tests.web_server import cut_after, md5_of, reset, send_status

CONTENT = bytes(range(256)) * 20
MD5 = md5_of(CONTENT)


def find(server, cache):
    return pretrained.find_weights(
        "imagenet", str(cache), base_url=f"{server.base_url}v3/", md5=MD5
    )


@pytest.fixture
def weights_server(server):
    server.files[f"v3/{pretrained.FILE_NAME}"] = CONTENT
    return server


def test_the_file_is_downloaded_once(weights_server, tmp_path):
    cache = tmp_path / "new" / "models"
    path = find(weights_server, cache)
    assert path == str(cache / pretrained.FILE_NAME)
    with open(path, "rb") as file:
        assert file.read() == CONTENT
    assert find(weights_server, cache) == path
    assert weights_server.requests == [(f"/v3/{pretrained.FILE_NAME}", None)]
    assert [file.name for file in cache.iterdir()] == [pretrained.FILE_NAME]


@pytest.mark.parametrize(
    ("answer", "sentence", "left"),
    [
        (cut_after(4000), r"broke off after 5,000 of 5,120 bytes", 5000),
        (reset, r"cannot be downloaded \(", 0),
        (send_status(404), r"cannot be downloaded \(404 Not Found\)", 0),
    ],
    ids=["short", "reset", "missing"],
)
def test_a_failed_download_is_taken_up_again(weights_server, tmp_path, answer, sentence, left):
    weights_server.answers = [answer, cut_after(1000)] if left else []
    weights_server.always = send_status(500) if left else answer
    with pytest.raises(InputError, match=sentence) as error:
        find(weights_server, tmp_path)
    assert "give its path instead of 'imagenet'" in str(error.value)
    assert not (tmp_path / pretrained.FILE_NAME).exists()
    weights_server.always = None
    weights_server.requests.clear()
    assert find(weights_server, tmp_path)
    assert weights_server.requests == [
        (f"/v3/{pretrained.FILE_NAME}", f"bytes={left}-" if left else None)
    ]


def test_other_weights_are_thrown_away(weights_server, tmp_path):
    weights_server.files[f"v3/{pretrained.FILE_NAME}"] = CONTENT[:-1] + b"x"
    with pytest.raises(InputError, match=r"has the MD5 [0-9a-f]{32}, not"):
        find(weights_server, tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_network(tmp_path, pauses):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(InputError, match=r"cannot be downloaded .*check the network"):
            pretrained.find_weights("imagenet", str(tmp_path), base_url=url)
    assert sum(pauses) < 10, "nobody waits for minutes for training to start"
    assert not list(tmp_path.iterdir())


def test_a_cached_file_with_another_hash_is_not_used(weights_server, tmp_path):
    (tmp_path / pretrained.FILE_NAME).write_bytes(CONTENT[:50])
    with pytest.raises(InputError, match="damaged or another file; delete it"):
        find(weights_server, tmp_path)
    assert weights_server.requests == []


def test_the_cache_is_that_of_keras(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert pretrained.default_cache_dir() == str(tmp_path / "models")
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert pretrained.default_cache_dir() == "/home/somebody/.keras/models"


def test_a_path_is_taken_as_it_is(tmp_path):
    path = tmp_path / "mine.h5"
    with pytest.raises(InputError, match=r"mine\.h5: no such weights file"):
        pretrained.find_weights(str(path))
    path.write_bytes(b"")
    assert pretrained.find_weights(str(path)) == str(path)


def test_address_and_hash_are_keras_s():
    # The constants are written down in two places; this notices when Keras' change.
    source = tf_keras.applications.inception_v3.InceptionV3.__globals__
    assert source["WEIGHTS_PATH_NO_TOP"] == pretrained.BASE_URL + pretrained.FILE_NAME
    with open(source["__file__"], encoding="utf-8") as file:
        assert pretrained.MD5 in file.read()


@pytest.fixture(scope="module")
def keras_files(tmp_path_factory):
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
def test_weights_come_in_the_order_of_creation(keras_files, which):
    model, path = keras_files[which]
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


def test_the_file_of_a_whole_model_is_read_too(keras_files, tmp_path):
    model, weights_path = keras_files[0]
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
def test_bad_files_are_named(keras_files, tmp_path, damage, sentence):
    path = tmp_path / "bad.h5"
    damage(keras_files[0][1], path)
    with pytest.raises(InputError, match=sentence) as error:
        pretrained.read_inception_v3(str(path))
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
