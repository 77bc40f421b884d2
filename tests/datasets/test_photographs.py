"""Photographs of a constructed dataset, from a server on this machine that has a part of them."""

import functools
import json
import threading

import PIL.Image
import pytest

from inatdet.data.jpeg import read_jpeg
from inatdet.data.records import image_of
from inatdet.datasets import photographs
from inatdet.datasets.photograph_lists import Photograph, PhotographList
from inatdet.datasets.photograph_requests import Missing, Size, Source
from inatdet.datasets.photographs import fetch_photographs
from inatdet.errors import InputError, RunError
from tests.data.odd_jpegs import picture, turned
from tests.datasets.full_disk import full_disk_at
from tests.web_server import cut_after, send_part, send_status

SPECIES = "train_val_images/Aves/Pica pica"


def entry(number, suffix="jpg", **fields):
    return {
        "id": number, "file_name": f"{SPECIES}/{number}.{suffix}", "width": 2048, "height": 1365,
        "license": 4, "rights_holder": f"observer {number}", "note": {"kept": [1, None, "ä"]},
    } | fields  # fmt: skip


def content_of(images, **lists):
    return {
        "info": {"year": 2026, "description": "mine"},
        "images": images,
        "licenses": [{"id": 4, "name": "CC BY-NC 4.0", "url": "https://example.org/by-nc"}],
        "categories": [{"id": 0, "name": "Pica pica", "supercategory": "Aves"}],
        "annotations": [
            {"id": i, "image_id": image["id"], "category_id": 0} for i, image in enumerate(images)
        ],
    } | lists


@pytest.fixture
def dataset(server, tmp_path):
    """Writes a list, puts photographs on the server, and gets them."""
    path, folder = tmp_path / "built" / "train.json", tmp_path / "pictures"
    path.parent.mkdir()

    def write(images, size="large", **lists):
        path.write_text(json.dumps(content_of(images, **lists)))
        for number, image in enumerate(images):
            suffix = image["file_name"].rpartition(".")[2]
            kind = {"jpg": "jpeg", "JPG": "jpeg"}.get(suffix, suffix)
            server.files[f"photos/{image['id']}/{size}.{suffix}"] = picture(kind, seed=number)

    def get(**options):
        source = Source(**{"base_url": server.base_url, "connections": 2} | options)
        (listed,) = photographs.lists_of([path], str(folder))
        return fetch_photographs(listed, str(folder), source)

    get.write, get.path, get.folder = write, path, folder
    get.result = lambda: json.loads((folder / "train.json").read_text())
    get.pictures = lambda: sorted(
        found.relative_to(folder).as_posix()
        for found in folder.rglob("*")
        if found.suffix in (".jpg", ".JPG")
    )
    return get


def test_photographs_are_written_and_listed(dataset, server):
    images = [entry(i) for i in range(10, 40)]
    dataset.write(images)
    fetched = dataset()
    assert dataset.pictures() == [image["file_name"] for image in images]
    assert sorted(path for path, _ in server.requests) == [
        f"/photos/{i}/large.jpg" for i in range(10, 40)
    ]
    assert fetched.sizes == dict.fromkeys(range(10, 40), (60, 40))
    assert (fetched.were_there, fetched.missing) == (0, [])
    expected = content_of([image | {"width": 60, "height": 40} for image in images])
    assert dataset.result() == expected
    assert list(dataset.result()) == list(expected)
    for image in dataset.result()["images"]:
        read_jpeg(
            str(dataset.folder), image_of(image, True)
        )  # the size of each is that of the file
    assert json.loads(dataset.path.read_text()) == content_of(images)


def test_a_second_run_asks_for_nothing(dataset, server):
    dataset.write([entry(i) for i in range(5)])
    dataset()
    before = {path: path.stat().st_mtime_ns for path in dataset.folder.rglob("*.jpg")}
    result = dataset.result()
    server.requests.clear()
    fetched = dataset()
    assert (fetched.were_there, len(fetched.sizes), server.requests) == (5, 5, [])
    assert {path: path.stat().st_mtime_ns for path in dataset.folder.rglob("*.jpg")} == before
    assert dataset.result() == result


def test_what_is_missing_is_told_and_left_out(dataset, server):
    dataset.write([entry(i) for i in range(6)])
    del server.files["photos/1/large.jpg"]
    server.files["photos/2/large.jpg"] = b"<html>"
    server.files["photos/3/large.jpg"] = picture()[:-200]
    server.always = functools.partial(answer_for, "photos/4/large.jpg", send_status(403))
    fetched = dataset()
    reasons = {missing.photograph.id: missing.reason for missing in fetched.missing}
    assert reasons.keys() == {1, 2, 3, 4}
    assert reasons[1] == "404 Not Found"
    assert reasons[2] == "is no picture"
    assert reasons[3].startswith("is damaged")
    assert reasons[4] == "403 Forbidden"
    assert all(missing.is_lasting for missing in fetched.missing)
    assert fetched.missing[0].url == f"{server.base_url}photos/1/large.jpg"
    result = dataset.result()
    assert [image["id"] for image in result["images"]] == [0, 5]
    assert [annotation["image_id"] for annotation in result["annotations"]] == [0, 5]
    assert result["categories"] == content_of([])["categories"]


def answer_for(path, answer, handler):
    if handler.path == f"/{path}":
        answer(handler)
    else:
        send_part(handler)


def test_what_was_missing_may_come_later(dataset, server):
    dataset.write([entry(i) for i in range(3)])
    content = server.files.pop("photos/1/large.jpg")
    assert len(dataset().missing) == 1
    server.files["photos/1/large.jpg"] = content
    server.requests.clear()
    fetched = dataset()
    assert (len(fetched.sizes), fetched.missing) == (3, [])
    assert server.requests == [("/photos/1/large.jpg", None)]
    assert [image["id"] for image in dataset.result()["images"]] == [0, 1, 2]


def test_large_photographs_are_shrunk(dataset, server):
    dataset.write([entry(1), entry(2)], size="original")
    server.files["photos/1/original.jpg"] = picture(size=(1000, 500))
    server.files["photos/2/original.jpg"] = turned(6, size=(1000, 500))
    assert dataset(size=Size.ORIGINAL).sizes == {1: (800, 400), 2: (400, 800)}
    with PIL.Image.open(dataset.folder / SPECIES / "1.jpg") as image:
        assert image.size == (800, 400)
    assert [image["width"] for image in dataset.result()["images"]] == [800, 400]


def test_other_formats_become_jpeg_under_names_of_their_own(dataset):
    images = [entry(1, "png"), entry(2, "gif"), entry(3, "JPG"), entry(4, "jpg")]
    images[1]["file_name"] = f"{SPECIES}/4.gif"  # whose JPEG would have the name of another
    dataset.write(images)
    dataset()
    names = [f"{SPECIES}/{name}" for name in ("1.jpg", "4.gif.jpg", "3.JPG", "4.jpg")]
    assert [image["file_name"] for image in dataset.result()["images"]] == names
    assert dataset.pictures() == sorted(names)
    assert dataset().were_there == 4


def test_licenses_and_rights_holders_are_kept(dataset, server):
    images = [entry(1), entry(2, license=None), entry(3, license=77), entry(4)]
    del images[3]["license"], images[3]["rights_holder"]
    images.append(entry(5))
    dataset.write(images)
    del server.files["photos/5/large.jpg"]
    attributions = dataset().attributions()
    assert [
        (photograph.id, photograph.rights_holder, license_.name)
        for photograph, _, license_ in attributions
    ] == [
        (1, "observer 1", "CC BY-NC 4.0"), (2, "observer 2", None), (3, "observer 3", None),
        (4, None, None),
    ]  # fmt: skip
    assert attributions[0][2].url == "https://example.org/by-nc"


def test_files_without_annotations_sizes_and_licenses(dataset):
    images = [{"id": 7, "file_name": "test_images/7.jpg"}]
    dataset.write(images)
    dataset.path.write_text(json.dumps({"images": images}))
    dataset()
    assert dataset.result() == {"images": [images[0] | {"width": 60, "height": 40}]}


def test_a_busy_server_makes_all_connections_wait(dataset, server, pauses):
    dataset.write([entry(i) for i in range(8)])
    server.answers = [send_status(429, [("Retry-After", "30")])]
    fetched = dataset()
    assert len(fetched.sizes) == 8
    assert len(server.requests) == 9
    # Every pause is a part of those 30 seconds.
    assert 30 in pauses
    assert all(0 < pause <= 30 for pause in pauses)


def test_no_more_connections_than_stated(dataset, server):
    dataset.write([entry(i) for i in range(12)])
    # Nobody is answered before three have asked; a fourth would wait in vain.
    together, lock, open_now, most = threading.Barrier(3, timeout=60), threading.Lock(), [], []

    def answer(handler):
        with lock:
            open_now.append(handler.path)
            most.append(len(open_now))
        together.wait()
        with lock:
            open_now.remove(handler.path)
        send_part(handler)

    server.always = answer
    assert len(dataset(connections=3).sizes) == 12
    assert max(most) == 3


def test_failures_that_pass(dataset, server, pauses):
    dataset.write([entry(i) for i in range(4)])
    server.answers = [
        send_status(500), cut_after(100), send_status(503), send_status(502), cut_after(0),
    ]  # fmt: skip
    fetched = dataset()
    assert (len(fetched.sizes), fetched.missing) == (4, [])
    assert len(server.requests) == 9
    assert sum(pauses) >= 5


def test_a_photograph_that_fails_each_time(dataset, server):
    dataset.write([entry(i) for i in range(3)])
    server.always = functools.partial(answer_for, "photos/1/large.jpg", send_status(500))
    (missing,) = dataset().missing
    assert missing == Missing(
        missing.photograph, f"{server.base_url}photos/1/large.jpg",
        "500 Internal Server Error, 6 times", is_lasting=False,
    )  # fmt: skip
    server.always = None
    assert dataset().missing == []


def test_a_server_that_has_nothing_is_given_up(dataset, server):
    dataset.write([entry(i) for i in range(100)])
    server.files.clear()
    with pytest.raises(InputError, match=r"has none of the first 50 photographs, such as .*/0/la"):
        dataset()
    assert len(server.requests) < 70
    assert not dataset.folder.exists()


def test_a_server_that_stops_answering_is_given_up(dataset, server):
    dataset.write([entry(i) for i in range(60)])
    lock, asked = threading.Lock(), set()

    def answer_ten(handler):
        with lock:
            asked.add(handler.path)
            answers = len(asked) <= 10
        (send_part if answers else send_status(503))(handler)

    server.always = answer_ten
    with pytest.raises(RunError, match="has failed for 20 photographs in a row") as error:
        dataset()
    assert "the same command goes on from there" in str(error.value)
    there = len(dataset.pictures())
    assert 0 < there <= 10
    server.always = None
    assert dataset().were_there == there
    assert len(dataset.pictures()) == 60


def test_an_interruption_keeps_what_is_there(dataset, server):
    dataset.write([entry(i) for i in range(30)])

    def interrupt_at_five(count):
        if len(dataset.pictures()) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="5 photographs are there; the same command goes"):
        fetch_photographs(
            PhotographList(dataset.path), str(dataset.folder),
            Source(server.base_url, connections=2), interrupt_at_five,
        )  # fmt: skip
    # What was asked for ahead is all that was asked for in vain.
    assert len(server.requests) < 5 + 2 * 4 + 4
    assert dataset().were_there == 5


def test_a_full_disk_leaves_whole_photographs(dataset, server, monkeypatch):
    dataset.write([entry(i) for i in range(6)])
    with full_disk_at(monkeypatch, "3.jpg"):
        dataset()
    assert len(dataset.pictures()) == 3
    assert dataset().were_there == 3


def test_photographs_of_two_sizes_are_not_mixed(dataset):
    dataset.write([entry(1)])
    dataset()
    with pytest.raises(InputError, match=r"has photographs of --size=large --long_edge=800; give"):
        dataset(size=Size.MEDIUM)
    with pytest.raises(InputError, match="give these, or another --output_dir"):
        dataset(long_edge=0)
    (dataset.folder / ".inatdet-photographs.json").write_text("{")
    with pytest.raises(InputError, match=r"\.inatdet-photographs\.json: is damaged"):
        dataset()


def test_no_list_is_overwritten(dataset, tmp_path):
    dataset.write([entry(1)])
    with pytest.raises(InputError, match=r"train\.json: would be replaced by the list"):
        photographs.lists_of([dataset.path], str(dataset.path.parent))
    (tmp_path / "train.json").write_text(dataset.path.read_text())
    with pytest.raises(InputError, match=r"train\.json: several lists have this name"):
        photographs.lists_of([dataset.path, tmp_path / "train.json"], str(dataset.folder))


def test_a_list_may_be_empty(dataset, server):
    """As `unseen.json` is, where every taxon is a class."""
    dataset.write([])
    fetched = dataset()
    assert (fetched.sizes, fetched.missing, server.requests) == ({}, [], [])
    assert dataset.result() == content_of([])


def test_the_space_that_is_needed(dataset):
    dataset.write([entry(i) for i in range(10)])
    (listed,) = lists = photographs.lists_of([dataset.path], str(dataset.folder))
    folder = str(dataset.folder)
    # iNat2017's 675,170 images of 800 pixels take 198.8 GB.
    assert photographs.expected_size(lists, folder, Source()) == (10, round(10 * 294_393.17))
    count, size = photographs.expected_size(lists * 2, folder, Source(size=Size.MEDIUM))
    assert (count, size) == (10, round(10 * 294_393.17 * 25 / 64))
    _, whole = photographs.expected_size(lists, folder, Source(size=Size.ORIGINAL, long_edge=0))
    assert whole == pytest.approx(10 * 294_393.17 * 2.56**2, rel=1e-6)
    dataset()
    assert photographs.expected_size([listed], folder, Source()) == (0, 0)


def test_a_file_in_the_way_that_is_no_picture(dataset):
    dataset.write([entry(1)])
    (dataset.folder / SPECIES).mkdir(parents=True)
    (dataset.folder / SPECIES / "1.jpg").write_text("mine")
    with pytest.raises(InputError, match=r"1\.jpg: is not an image that can be read"):
        dataset()
    assert (dataset.folder / SPECIES / "1.jpg").read_text() == "mine"


@pytest.mark.parametrize(
    ("images", "why"),
    [
        ([entry(1), entry(1, file_name="b.jpg")], "2 have the id of another, such as image 1 '"),
        ([entry(1), entry(2, file_name=entry(1)["file_name"])], "2 have the file_name of another"),
        ([entry(-1)], "1 have an id that no photograph has, such as image -1"),
        ([entry(1, file_name="../1.jpg")], "have a file_name that leads out of the folder"),
        ([entry(1, file_name="/1.jpg")], "have a file_name that is an absolute path"),
        ([entry(1, file_name="1.mp3")], r"have a file_name that ends in none of \.jpg, \.jpeg"),
        ([entry(1, file_name="1")], "have a file_name that ends in none of"),
        ([entry("a")], r"is not JSON with photographs \(Expected `int`, got `str`"),
        ([{"id": 1}], "missing required field `file_name`"),
        ({"a": 1}, "is not JSON with photographs"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, images, why):
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"images": images}))
    with pytest.raises(InputError, match=why) as error:
        PhotographList(path)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is not JSON with photographs"),
        (b'{"images": [', "is not JSON with photographs"),
        (b"[]", "is not JSON with photographs"),
        (b"{}", "it has no list of images"),
        (b'\xff\xfe{"images"', "is not JSON with photographs"),
    ],
)
def test_files_that_are_no_lists(tmp_path, content, why):
    path = tmp_path / "list.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=why):
        PhotographList(path)
    path.unlink()
    with pytest.raises(InputError, match=r"list\.json: cannot be read \(No such file"):
        PhotographList(path)


def test_addresses():
    photograph = Photograph(12345, "a/b c.d/12345.jpeg")
    assert Source().url_of(photograph) == (
        "https://inaturalist-open-data.s3.amazonaws.com/photos/12345/large.jpeg"
    )
    mirror = Source("http://mirror/inat", Size.ORIGINAL)
    assert mirror.url_of(photograph) == "http://mirror/inat/photos/12345/original.jpeg"
