"""Archives: downloaded from a server on this machine, checked, unpacked, and counted."""

import collections
import dataclasses
import importlib.util
import json
import zipfile
from pathlib import Path

import pytest

from inatdet.datasets import archives, fetching, inat2017, published
from inatdet.datasets.extraction import Limits
from inatdet.datasets.fetching import State
from inatdet.errors import InputError
from tests.datasets.full_disk import full_disk_at
from tests.datasets.test_extraction import special, tar, tree
from tests.web_server import cut_after, md5_of, send_status

PICTURES = {f"train_val_images/Aves/Pica pica/{i}.jpg": bytes([i]) * 3000 for i in range(5)}


@pytest.fixture
def shop(server, tmp_path):
    """Two archives that a server has, and a function that fetches them."""
    target = tmp_path / "data" / "inat"
    tar(tmp_path / "images.tar.gz", PICTURES.items())
    with zipfile.ZipFile(tmp_path / "boxes.zip", "w") as archive:
        archive.writestr("boxes.json", '{"images": []}')
    wanted = []
    for name, holds in (("boxes.zip", "boxes.json"), ("images.tar.gz", "train_val_images")):
        content = server.files[f"2017/{name}"] = (tmp_path / name).read_bytes()
        wanted.append(
            archives.Archive(
                name, "what", len(content), True, md5_of(content), 20_000, Limits(20_000, 20),
                (holds,),
            )
        )  # fmt: skip

    def fetch(keep=False):
        fetching.fetch(fetching.plan(str(target), wanted, keep), f"{server.base_url}2017")
        return tree(target)

    fetch.wanted, fetch.target = wanted, target
    fetch.names = ["boxes.json", *PICTURES]
    fetch.states = lambda: list(fetching.plan(str(target), wanted).states)
    return fetch


def without_records(files):
    return {name: content for name, content in files.items() if not name.startswith(".")}


def test_archives_are_downloaded_unpacked_and_deleted(shop, server):
    assert shop.states() == [State.MISSING, State.MISSING]
    files = without_records(shop())
    assert files == {"boxes.json": b'{"images": []}', **PICTURES}
    assert shop.states() == [State.UNPACKED, State.UNPACKED]
    assert [path for path, _ in server.requests] == ["/2017/boxes.zip", "/2017/images.tar.gz"]
    assert fetching.plan(str(shop.target), shop.wanted).is_done
    assert fetching.plan(str(shop.target), shop.wanted).needed == 0


def test_nothing_is_done_twice(shop, server):
    before = shop()
    assert shop() == before
    assert len(server.requests) == 2


def test_archives_may_be_kept(shop, server):
    files = shop(keep=True)
    assert {"boxes.zip", "images.tar.gz"} < files.keys()
    # They are not deleted by a run that has nothing to do, nor downloaded once more.
    assert shop(keep=False) == files
    (shop.target / ".images.tar.gz.unpacked.json").unlink()
    assert shop.states() == [State.UNPACKED, State.DOWNLOADED]
    assert "images.tar.gz" not in shop()
    assert len(server.requests) == 2


def test_what_was_deleted_since_is_fetched_again(shop, server):
    shop()
    (shop.target / "boxes.json").unlink()
    assert shop.states() == [State.MISSING, State.UNPACKED]
    assert "boxes.json" in shop()
    assert len(server.requests) == 3


def test_an_archive_that_is_there_is_checked_and_used(shop, server):
    shop.target.mkdir(parents=True)
    for archive in shop.wanted:
        (shop.target / archive.name).write_bytes(server.files[f"2017/{archive.name}"])
    assert shop.states() == [State.DOWNLOADED] * 2
    assert without_records(shop()).keys() == set(shop.names)
    assert not server.requests


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_an_archive_that_is_there_and_damaged(shop, server, damage):
    shop.target.mkdir(parents=True)
    content = server.files["2017/boxes.zip"]
    content = content[:-9] if damage == "cut" else content[:-1] + b"x"
    (shop.target / "boxes.zip").write_bytes(content)
    words = "it has .* bytes, not" if damage == "cut" else "its MD5 is .*, not"
    with pytest.raises(InputError, match=rf"boxes\.zip: is damaged or another file \({words}"):
        shop()
    assert not server.requests


def test_a_download_that_breaks_off_goes_on(shop, server):
    server.answers = [cut_after(50), send_status(404)]
    with pytest.raises(InputError, match=r"or put boxes\.zip into .* yourself"):
        shop()
    assert shop.states() == [State.BEGUN, State.MISSING]
    todo = fetching.plan(str(shop.target), shop.wanted)
    assert todo.to_download == sum(archive.size for archive in shop.wanted) - 50
    server.requests.clear()
    assert without_records(shop()).keys() == set(shop.names)
    assert server.requests[0] == ("/2017/boxes.zip", "bytes=50-")


def test_unpacking_that_breaks_off_goes_on(shop, server, monkeypatch):
    with full_disk_at(monkeypatch, "3.jpg"):
        shop()
    assert shop.states() == [State.UNPACKED, State.DOWNLOADED]
    assert without_records(shop()).keys() == set(shop.names)
    assert len(server.requests) == 2


def test_another_archive_under_the_name(shop, server):
    """Even with the right hash it is refused if it lacks what is needed."""
    shop.wanted[0] = dataclasses.replace(shop.wanted[0], holds=("other.json",))
    with pytest.raises(InputError, match=r"boxes\.zip: does not hold other\.json"):
        shop()


def test_a_hostile_archive_writes_nothing_outside(shop, server, tmp_path):
    path = tar(tmp_path / "evil.tar.gz", [special("../../evil", b"0"), ("../../evil2", b"x")])
    content = Path(path).read_bytes()
    server.files["2017/images.tar.gz"] = content
    shop.wanted[1] = dataclasses.replace(shop.wanted[1], size=len(content), md5=md5_of(content))
    with pytest.raises(InputError, match="leads out of the folder"):
        shop()
    assert not list(tmp_path.rglob("evil"))


def test_space_is_looked_at_first(shop, server, monkeypatch):
    sizes = [archive.size for archive in shop.wanted]
    # The archive and what it unpacks to, beside what the one before unpacked to.
    most = 20_000 + sizes[1] + 20_000
    assert fetching.plan(str(shop.target), shop.wanted).needed == most
    assert fetching.plan(str(shop.target), shop.wanted, keep=True).needed == most + sizes[0]
    monkeypatch.setattr(fetching, "free_space", lambda folder: most - 1)
    with pytest.raises(InputError, match=r"about 0 MB are needed, but only 0 MB are free; free sp"):
        shop()
    assert not server.requests
    assert not shop.target.exists()
    monkeypatch.setattr(fetching, "free_space", lambda folder: most)
    shop()


def test_a_second_run_at_the_same_time_is_refused(shop, server):
    def meet(handler):
        with pytest.raises(InputError, match="is writing there"):
            shop()
        send_status(404)(handler)

    server.answers = [meet]
    with pytest.raises(InputError, match="404"):
        shop()


def test_sizes_are_those_of_tensorflow_datasets():
    """Somebody else measured the same files."""
    found = importlib.util.find_spec("tensorflow_datasets")
    path = found and Path(found.origin).parent / "url_checksums" / "i_naturalist2017.txt"
    if not path or not path.exists():
        pytest.skip("this version of TensorFlow Datasets has no such list")
    theirs = {}
    for line in path.read_text().splitlines():
        url, size, _ = line.split()
        theirs[url.rpartition("/")[2]] = int(size)
    ours = {a.name: a.size for part in archives.PARTS.values() for a in part if a.is_exact}
    assert theirs == ours


def test_parts():
    assert set(archives.DEFAULT_PARTS) <= archives.PARTS.keys()
    found = archives.archives_of(["images", "boxes"])
    assert [archive.name for archive in found] == [
        "train_2017_bboxes.zip", "val_2017_bboxes.zip", "train_val_images.tar.gz",
    ]  # fmt: skip
    with pytest.raises(InputError, match="no part 'image' of iNat2017; its parts are boxes,"):
        archives.archives_of(["boxes", "image"])


def test_published_counts_add_up():
    """Totals as the authors and the paper state them."""
    assert [sum(counts) for counts in zip(*inat2017.IMAGES.values())] == [579_184, 95_986]
    assert [sum(counts) for counts in zip(*inat2017.BOXES.values())] == [496_164, 48_736]
    assert sum(inat2017.FINE_CLASSES.values()) == 2_854
    assert set(inat2017.BOXES) == set(inat2017.FINE_CLASSES) <= set(inat2017.IMAGES)
    assert len(inat2017.IMAGES) == 13


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A dataset of two super-classes, and published counts that fit it."""
    images = {"Aves": (4, 2), "Plantae": (3, 1)}
    boxes = {"Aves": (6, 2)}
    monkeypatch.setattr(published, "IMAGES", images)
    monkeypatch.setattr(published, "BOXES", boxes)
    monkeypatch.setattr(published, "CATEGORIES", 3)
    monkeypatch.setattr(published, "FINE_CLASSES", {"Aves": 2})
    monkeypatch.setattr(published, "_FOLDERS", {"train_val_images": 10, "test2017": 4})
    monkeypatch.setattr(published, "TEST_IMAGES", 4)
    categories = [
        {"id": 0, "name": "Pica pica", "supercategory": "Aves"},
        {"id": 1, "name": "Corvus corax", "supercategory": "Aves"},
        {"id": 2, "name": "Abies alba", "supercategory": "Plantae"},
    ]
    files = {
        "train2017.json": [0, 0, 0, 1, 2, 2, 2],
        "val2017.json": [0, 1, 2],
        "train_2017_bboxes.json": [0, 0, 0, 0, 1, 1],
        "val_2017_bboxes.json": [0, 1],
    }
    for name, labels in files.items():
        content = {
            "info": {"year": 2017},
            "images": [{"id": i} for i in range(len(labels))],
            "categories": categories,
            "annotations": [
                {"id": i, "image_id": i, "category_id": label} for i, label in enumerate(labels)
            ],
        }
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "test2017.json").write_text(json.dumps({"images": [{}] * 4}))
    for i in range(10):
        place = tmp_path / "train_val_images" / "Aves" / str(i % 3) / f"{i}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    (tmp_path / "train_val_images" / "README").touch()
    return tmp_path, files


def test_counts_that_match(small):
    folder, files = small
    counts = published.compare(
        str(folder), [*files, "test2017.json", "train_val_images", "unknown"]
    )
    assert all(count.matches for count in counts)
    told = collections.Counter(count.file for count in counts)
    assert told == {
        "train2017.json": 4, "val2017.json": 4, "train_2017_bboxes.json": 3,
        "val_2017_bboxes.json": 3, "test2017.json": 1, "train_val_images": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "change", "wrong"),
    [
        ("train2017.json", lambda c: c["images"].pop(), {"images": (7, 6)}),
        ("train2017.json", lambda c: c["categories"].pop(),
         {"categories": (3, 2), "images of Plantae": (3, 0)}),
        ("train2017.json", lambda c: c["annotations"][0].update(category_id=2),
         {"images of Aves": (4, 3), "images of Plantae": (3, 4)}),
        ("train_2017_bboxes.json", lambda c: c["annotations"].pop(),
         {"boxes": (6, 5), "boxes of Aves": (6, 5)}),
        ("train_2017_bboxes.json",
         lambda c: [entry.update(category_id=0) for entry in c["annotations"]],
         {"categories with boxes": (2, 1)}),
        ("val_2017_bboxes.json", lambda c: c["annotations"][1].update(image_id=0),
         {"images with boxes": (2, 1)}),
        ("val_2017_bboxes.json", lambda c: c["annotations"].__setitem__(0, 7),
         {"images with boxes": (2, 1), "boxes": (2, 1), "boxes of Aves": (2, 1)}),
        ("val_2017_bboxes.json", lambda c: c["annotations"][0].update(category_id=[1]),
         {"boxes of Aves": (2, 1)}),
    ],
)  # fmt: skip
def test_counts_that_do_not_match(small, name, change, wrong):
    folder, _ = small
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))
    counts = published.compare(str(folder), [name])
    found = {c.what: (c.published, c.found) for c in counts if not c.matches}
    assert found == wrong


def test_missing_pictures_are_counted(small):
    folder, _ = small
    next((folder / "train_val_images").rglob("*.jpg")).unlink()
    (count,) = published.compare(str(folder), ["train_val_images"])
    assert (count.published, count.found, count.matches) == (10, 9, False)
