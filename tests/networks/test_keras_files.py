import inspect
import socket

import pytest
import tf_keras

from inatdet.errors import InputError
from inatdet.networks import keras_files
from inatdet.networks.keras_files import FILES, KerasFile
from tests.web_server import cut_after, md5_of, reset, send_status

CONTENT = bytes(range(256)) * 20
FILE = KerasFile("v3", "weights.h5", md5_of(CONTENT))


def find(server, cache):
    return keras_files.find("imagenet", FILE, str(cache), base_url=server.base_url)


@pytest.fixture
def weights_server(server):
    server.files[f"v3/{FILE.name}"] = CONTENT
    return server


def test_the_file_is_downloaded_once(weights_server, tmp_path):
    cache = tmp_path / "new" / "models"
    path = find(weights_server, cache)
    assert path == str(cache / FILE.name)
    with open(path, "rb") as file:
        assert file.read() == CONTENT
    assert find(weights_server, cache) == path
    assert weights_server.requests == [(f"/v3/{FILE.name}", None)]
    assert [file.name for file in cache.iterdir()] == [FILE.name]


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
    assert not (tmp_path / FILE.name).exists()
    weights_server.always = None
    weights_server.requests.clear()
    assert find(weights_server, tmp_path)
    assert weights_server.requests == [(f"/v3/{FILE.name}", f"bytes={left}-" if left else None)]


def test_other_weights_are_thrown_away(weights_server, tmp_path):
    weights_server.files[f"v3/{FILE.name}"] = CONTENT[:-1] + b"x"
    with pytest.raises(InputError, match=r"has the MD5 [0-9a-f]{32}, not"):
        find(weights_server, tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_network(tmp_path, pauses):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(InputError, match=r"cannot be downloaded .*check the network"):
            keras_files.find("imagenet", FILE, str(tmp_path), base_url=url)
    assert sum(pauses) < 10, "nobody waits for minutes for training to start"
    assert not list(tmp_path.iterdir())


def test_a_cached_file_with_another_hash_is_not_used(weights_server, tmp_path):
    (tmp_path / FILE.name).write_bytes(CONTENT[:50])
    with pytest.raises(InputError, match="damaged or another file; delete it"):
        find(weights_server, tmp_path)
    assert weights_server.requests == []


def test_the_cache_is_that_of_keras(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert keras_files.default_cache_dir() == str(tmp_path / "models")
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert keras_files.default_cache_dir() == "/home/somebody/.keras/models"


def test_a_path_is_taken_as_it_is(tmp_path):
    path = tmp_path / "mine.h5"
    with pytest.raises(InputError, match=r"mine\.h5: no such weights file"):
        keras_files.find(str(path), FILE)
    path.write_bytes(b"")
    assert keras_files.find(str(path), FILE) == str(path)


def test_a_file_without_a_hash_is_used_as_it_is(weights_server, tmp_path):
    file = KerasFile("v3", FILE.name, None)
    for _ in range(2):
        path = keras_files.find("imagenet", file, str(tmp_path), base_url=weights_server.base_url)
        assert path == str(tmp_path / FILE.name)
    assert len(weights_server.requests) == 1


@pytest.mark.parametrize("builder", FILES)
def test_addresses_and_hashes_are_keras_s(builder):
    # The constants are written down in two places; this notices when Keras' change.
    file = FILES[builder]
    source = inspect.getsource(inspect.getmodule(getattr(tf_keras.applications, builder)))
    assert f"{keras_files.BASE_URL}{file.folder}/" in source.replace('"\n    "', "")
    if file.md5:
        assert file.md5 in source
    # Keras puts the names together from these parts.
    for part in {"ResNet101": ["resnet101"], "MobileNet": ["_tf_no_top.h5"]}.get(builder, []):
        assert part in file.name
        assert part in source
