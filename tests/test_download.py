"""Downloads from a server on this machine that fails in every way that servers and networks do."""

import email.utils
import errno
import functools
import multiprocessing
import os
import socket
import time

import pytest

from inatdet import download as downloading
from inatdet import web
from inatdet.download import bytes_there, download
from inatdet.errors import InputError
from tests import web_server
from tests.web_server import cut_after, md5_of, send_part, send_status

CONTENT = bytes(range(256)) * 40
MD5 = md5_of(CONTENT)
OTHER = CONTENT[::-1]


@pytest.fixture
def get(server, tmp_path):
    """Downloads CONTENT, unless the test says otherwise, and returns what came."""
    server.files["data.bin"] = CONTENT

    def run(md5=MD5, name="data.bin", **options):
        path = tmp_path / "new" / "data.bin"
        download(server.base_url + name, path, what="data", md5=md5, **options)
        content = path.read_bytes()
        assert [file.name for file in path.parent.iterdir()] == ["data.bin"]
        return content

    run.part = tmp_path / "new" / "data.bin.part"
    run.folder = tmp_path / "new"
    return run


def ranges(server):
    return [asked for _, asked in server.requests]


def test_a_file_is_downloaded_once(server, get):
    assert get() == CONTENT
    assert get() == CONTENT
    assert server.requests == [("/data.bin", None)]
    assert server.headers["User-Agent"].startswith("inatdet/")


def test_a_cut_connection_is_taken_up_again(server, get, pauses):
    server.answers = [cut_after(1000), cut_after(5000), web_server.reset, cut_after(0)]
    assert get() == CONTENT
    assert ranges(server) == [None, "bytes=1000-", *["bytes=6000-"] * 3]
    # A pause grows only while nothing comes.
    assert pauses == [1, 1, 2, 4]


def test_ten_cuts_are_no_failure_if_each_brings_something(server, get):
    server.answers = [cut_after(1000)] * 10
    assert get(attempts=2) == CONTENT
    assert len(server.requests) == 11


def test_the_next_run_takes_up_what_the_last_one_left(server, get):
    server.answers = [cut_after(1000)] + [send_status(503)] * 2
    with pytest.raises(InputError, match="broke off after 1,000 of 10,240 bytes") as error:
        get(attempts=3, by_hand="or fetch it by hand")
    assert str(error.value).startswith(f"{server.base_url}data.bin: ")
    assert str(error.value).endswith("(503 Service Unavailable); try again, or fetch it by hand")
    assert get.part.read_bytes() == CONTENT[:1000]
    assert bytes_there(get.folder / "data.bin") == 1000
    server.requests.clear()
    assert get() == CONTENT
    assert ranges(server) == ["bytes=1000-"]
    assert bytes_there(get.folder / "data.bin") == len(CONTENT)


def leave_a_part(get, server, **options):
    server.answers.insert(0, cut_after(1000, **options))
    server.answers.insert(1, send_status(404))
    with pytest.raises(InputError):
        get()
    server.requests.clear()
    assert bytes_there(get.folder / "data.bin") == 1000


def test_a_server_that_sends_no_parts_sends_the_whole_file(server, get):
    leave_a_part(get, server)
    server.answers = [functools.partial(send_part, ranges=False)]
    assert get() == CONTENT
    assert ranges(server) == ["bytes=1000-"]


def test_another_version_is_not_put_behind_the_first(server, get):
    leave_a_part(get, server)
    server.files["data.bin"] = OTHER
    assert get(md5=md5_of(OTHER)) == OTHER
    assert ranges(server) == ["bytes=1000-"]


@pytest.mark.parametrize("md5", [None, md5_of(OTHER)])
def test_a_server_that_ignores_the_condition_is_found_out(server, get, md5):
    """It answers 206 with the rest of another version."""
    leave_a_part(get, server)
    server.files["data.bin"] = OTHER
    server.always = ignore_the_condition
    assert get(md5=md5) == OTHER
    assert ranges(server) == ["bytes=1000-", None]


def ignore_the_condition(handler):
    del handler.headers["If-Range"]
    send_part(handler)


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_without_a_strong_tag_the_hash_decides(server, get, tag):
    """The part is asked for without a condition; what does not fit is noticed by the MD5."""
    answer = functools.partial(send_part, tag=tag)
    leave_a_part(get, server, tag=tag)
    server.always = answer
    assert get() == CONTENT
    assert ranges(server) == ["bytes=1000-"]
    os.remove(get.folder / "data.bin")
    leave_a_part(get, server, tag=tag)
    server.files["data.bin"] = OTHER
    with pytest.raises(InputError, match=f"has the MD5 {md5_of(OTHER)}, not {MD5}"):
        get()
    assert ranges(server) == ["bytes=1000-", None]
    assert not list(get.folder.iterdir())


def test_without_tag_and_hash_nothing_is_resumed(server, get):
    server.always = functools.partial(send_part, tag="")
    server.answers = [cut_after(1000, tag="")]
    assert get(md5=None) == CONTENT
    assert ranges(server) == [None, None]


def test_the_date_of_the_last_change_does_where_there_is_no_tag(server, get):
    date = "Wed, 15 Feb 2017 00:00:00 GMT"
    server.answers = [cut_after(1000, tag="", extra=[("Last-Modified", date)])]
    assert get(md5=None) == CONTENT
    assert ranges(server) == [None, "bytes=1000-"]
    assert server.headers["If-Range"] == date


def test_a_mirror_may_finish_what_another_began(server, get):
    leave_a_part(get, server)
    server.files["mirror/data.bin"] = CONTENT
    assert get(name="mirror/data.bin") == CONTENT
    assert server.requests == [("/mirror/data.bin", "bytes=1000-")]
    assert "If-Range" not in server.headers


def test_without_a_hash_a_mirror_begins_anew(server, get):
    leave_a_part(get, server)
    server.files["mirror/data.bin"] = CONTENT
    assert get(md5=None, name="mirror/data.bin") == CONTENT
    assert ranges(server) == [None]


@pytest.mark.parametrize("damage", ["{", "{}", '{"version": 9}', '{"url": 3}'])
def test_a_part_whose_record_is_damaged_is_not_used(server, get, damage):
    leave_a_part(get, server)
    (get.folder / "data.bin.part.json").write_text(damage)
    assert get() == CONTENT
    assert ranges(server) == [None]


def test_a_damaged_part_is_thrown_away(server, get):
    leave_a_part(get, server)
    get.part.write_bytes(b"x" * 1000)
    assert get() == CONTENT
    assert ranges(server) == ["bytes=1000-", None]


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 5])
def test_a_part_may_be_the_whole(server, get, size):
    """A process may be killed between the last byte and the new name."""
    leave_a_part(get, server)
    get.part.write_bytes((CONTENT + b"extra")[:size])
    assert get() == CONTENT
    assert len(server.requests) == (0 if size == len(CONTENT) else 2)


def test_a_wrong_hash_leaves_nothing(server, get):
    server.files["data.bin"] = OTHER
    with pytest.raises(InputError, match=f"has the MD5 {md5_of(OTHER)}, not {MD5}, and was thrown"):
        get()
    assert len(server.requests) == 1
    assert not list(get.folder.iterdir())


def test_a_file_of_another_size_is_not_even_begun(server, get):
    with pytest.raises(InputError, match=r"has 10,240 bytes, not 7, so it is another file"):
        get(size=7)
    assert not list(get.folder.iterdir())


def test_another_file_does_not_cost_the_part_that_is_there(server, get):
    leave_a_part(get, server)
    server.files["data.bin"], server.always = b"something else", None
    with pytest.raises(InputError, match=r"has 14 bytes, not 10,240"):
        get(size=len(CONTENT))
    assert get.part.read_bytes() == CONTENT[:1000]
    server.files["data.bin"] = CONTENT
    assert get(size=len(CONTENT)) == CONTENT
    assert ranges(server) == ["bytes=1000-"] * 2


def test_a_length_that_is_too_long_is_a_cut(server, get):
    def claim_more(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "20000")
        handler.end_headers()
        handler.wfile.write(CONTENT)
        web_server.hang_up(handler)

    server.always = claim_more
    with pytest.raises(InputError, match="broke off after 10,240 of 20,000 bytes"):
        get(md5=None, attempts=3)
    assert len(server.requests) == 3


def test_a_length_that_is_too_short_is_found_out_by_the_hash(server, get):
    def claim_less(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(CONTENT[:100])

    server.always = claim_less
    with pytest.raises(InputError, match="has the MD5"):
        get()


def test_a_file_of_no_announced_length(server, get):
    def send_chunks(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for i in range(0, len(CONTENT), 1024):
            handler.wfile.write(b"400\r\n" + CONTENT[i : i + 1024] + b"\r\n")
            handler.wfile.flush()  # piece by piece, as a slow server does
        handler.wfile.write(b"0\r\n\r\n")

    server.always = send_chunks
    assert get(md5=None) == CONTENT


def test_an_empty_file(server, get):
    server.files["data.bin"] = b""
    assert get(md5=None) == b""


def test_what_is_compressed_stays_so(server, get):
    """Some servers call a .gz file compressed content, which clients like to unpack."""
    server.always = functools.partial(send_part, extra=[("Content-Encoding", "gzip")])
    assert get() == CONTENT
    assert server.headers["Accept-Encoding"] == "identity"


def test_redirects_are_followed_with_the_range(server, get):
    server.files["moved.bin"] = CONTENT
    server.answers = [send_status(302, [("Location", "/moved.bin")]), cut_after(3000)]
    assert get() == CONTENT
    assert server.requests == [
        ("/data.bin", None), ("/moved.bin", None), ("/data.bin", "bytes=3000-"),
    ]  # fmt: skip


def test_endless_redirects_end(server, get, pauses):
    server.always = send_status(302, [("Location", "/data.bin")])
    with pytest.raises(InputError, match=r"cannot be downloaded \(Exceeded 10 redirects"):
        get()
    assert not pauses


@pytest.mark.parametrize(
    ("status", "words"), [(404, "404 Not Found"), (403, "403 Forbidden"), (206, "206 instead")]
)
def test_what_is_not_there_is_asked_for_once(server, get, status, words):
    server.always = send_status(status)
    with pytest.raises(InputError, match=rf"cannot be downloaded \({words}") as error:
        get()
    assert "check the address" in str(error.value)
    assert len(server.requests) == 1
    assert not list(get.folder.iterdir())


def test_a_web_page_is_no_file(server, get):
    server.always = send_status(200, [("Content-Type", "text/html; charset=utf-8")])
    with pytest.raises(InputError, match="a web page came instead of the file"):
        get(md5=None)


def test_a_busy_server_is_asked_again_when_it_says(server, get, pauses):
    soon = email.utils.formatdate(time.time() + 500, usegmt=True)
    server.answers = [
        send_status(429, [("Retry-After", "7")]),
        send_status(503, [("Retry-After", soon)]),
        send_status(500, [("Retry-After", "what?")]),
        send_status(502, [("Retry-After", "Wed, 15 Feb 2017 00:00:00 GMT")]),
    ]
    assert get() == CONTENT
    assert pauses[0] == 7
    assert 2 < pauses[1] <= 501  # however long this machine took since
    assert pauses[2:] == [4, 8]


def test_a_server_that_asks_for_hours_is_not_waited_for(server, get, pauses):
    server.always = send_status(429, [("Retry-After", "99999")])
    with pytest.raises(InputError, match="429 Too Many Requests"):
        get()
    assert not pauses


def test_a_server_that_stays_silent_is_asked_again(server, get, monkeypatch):
    monkeypatch.setattr(web, "TIMEOUT", 0.1)
    server.answers = [lambda handler: handler.connection.recv(1)]  # until the client hangs up
    # However slow this machine is, one of the answers arrives in time.
    assert get(attempts=10_000) == CONTENT
    assert len(server.requests) > 1


def test_patience_ends(server, get, pauses):
    server.always = send_status(503)
    with pytest.raises(InputError, match=r"cannot be downloaded \(503 Service Unavailable\)"):
        get()
    assert pauses == [1, 2, 4, 8, 16, 32, 60]
    assert len(server.requests) == web.ATTEMPTS


def test_no_network(tmp_path, pauses, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/data.bin"
        with pytest.raises(InputError, match=r"\(Connection refused\); check the network$"):
            download(url, tmp_path / "data.bin", what="data", attempts=3)
    assert len(pauses) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["data.bin", "ftp://127.0.0.1/data.bin", "http://"])
def test_an_address_that_is_none(tmp_path, url, pauses):
    with pytest.raises(InputError, match=r"cannot be downloaded .*check the address"):
        download(url, tmp_path / "data.bin", what="data")
    assert not pauses


def test_an_interruption_keeps_what_came(server, get, monkeypatch):
    class Interrupted(downloading.tqdm):
        def update(self, n=1):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(downloading, "tqdm", Interrupted)
        with pytest.raises(KeyboardInterrupt, match="10,240 bytes are kept in "):
            get()
    assert get.part.read_bytes() == CONTENT
    assert get() == CONTENT
    assert len(server.requests) == 1


def test_an_interruption_before_anything_came(server, get, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    server.answers = [send_status(503)]
    monkeypatch.setattr(web, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt) as error:
        get()
    assert str(error.value) == ""


def test_a_full_disk_keeps_what_was_written(server, get, monkeypatch):
    real = web.pieces

    def until_full(answer):
        yield next(real(answer))[:4000]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(web, "pieces", until_full)
        with pytest.raises(InputError, match=r"data\.bin: cannot be written \(No space left") as e:
            get(folder_hint="make room")
    assert str(e.value).endswith("; make room")
    assert get.part.read_bytes() == CONTENT[:4000]
    assert get() == CONTENT
    assert ranges(server) == [None, "bytes=4000-"]


def test_a_folder_that_is_a_file(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/data\.bin: cannot be written"):
        download(server.base_url, tmp_path / "file" / "data.bin", what="data")
    assert not server.requests


def download_in_another_process(url, path):
    download(url, path, what="data", wait=True)


def test_processes_do_not_download_the_same_file_twice(server, get):
    """Whoever comes second waits, and finds the file."""
    processes = []

    def meet_the_other(handler):
        other = multiprocessing.get_context("spawn").Process(
            target=download_in_another_process,
            args=(server.base_url + "data.bin", get.folder / "data.bin"),
        )
        other.start()
        processes.append(other)
        with pytest.raises(InputError, match="is writing there"):
            download(server.base_url + "data.bin", get.folder / "data.bin", what="data")
        send_part(handler)

    server.answers = [meet_the_other]
    download(server.base_url + "data.bin", get.folder / "data.bin", what="data", md5=MD5)
    processes[0].join(60)
    assert processes[0].exitcode == 0
    assert len(server.requests) == 1
