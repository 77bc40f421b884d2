"""Time of downloading and unpacking an archive, against the hash of it and `tarfile.extractall`.

    python -m benchmarks.downloading --rounds=5

The archive has 2,000 files of 200 KB of noise, which compress as little as JPEGs do; a server on
this machine sends it. All take turns, and medians are compared. Downloading includes the MD5 and
the sync of the file; hashing alone is what no download can be faster than that checks its hash.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import shutil
import statistics
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from absl import app, flags

from benchmarks import measuring
from benchmarks.measuring import Target
from inatdet.datasets.extraction import Limits, unpack
from inatdet.download import download

_ROUNDS = flags.DEFINE_integer("rounds", 5, "Runs of each; medians are compared.")
_FILES = flags.DEFINE_integer("files", 2000, "Files in the archive.")
_SIZE = 200_000  # bytes of a file


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    with tempfile.TemporaryDirectory(dir=".") as folder:
        archive = os.path.join(folder, "archive.tar.gz")
        _write(archive, _FILES.value)
        with open(archive, "rb") as file:
            md5 = hashlib.md5(file.read(), usedforsecurity=False).hexdigest()
        target = os.path.join(folder, "target")
        limits = Limits(2 * _FILES.value * _SIZE, 2 * _FILES.value)
        with _served(folder) as url:
            runs: dict[str, Callable[[], object]] = {
                "hash of the archive": lambda: _hash(archive),
                "download": lambda: download(f"{url}archive.tar.gz", target, what="", md5=md5),
                "tarfile.extractall": lambda: _extract_all(archive, target),
                "unpack": lambda: unpack(archive, target, limits),
                "unpack again": lambda: unpack(archive, target, limits),
            }
            seconds: dict[str, list[float]] = {name: [] for name in runs}
            for _ in range(_ROUNDS.value):
                for name, run in runs.items():
                    if name != "unpack again":
                        _remove(target)
                    start = time.perf_counter()
                    run()
                    seconds[name].append(time.perf_counter() - start)
        size = os.path.getsize(archive)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    measuring.print_table(
        ("what", "time", "rate"),
        [(name, f"{s:.2f} s", f"{size / s / 1e6:.0f} MB/s") for name, s in medians.items()],
    )
    measuring.print_targets(
        [
            Target(
                "unpacking, rate against tarfile.extractall",
                medians["tarfile.extractall"] / medians["unpack"],
                0.7,
            ),
            Target(
                "unpacking again, rate against unpacking",
                medians["unpack"] / medians["unpack again"],
                1.0,
            ),
            Target(
                "downloading, rate against hashing alone",
                medians["hash of the archive"] / medians["download"],
                0.3,
            ),
        ]
    )


def _write(path: str, files: int) -> None:
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for i in range(files):
            info = tarfile.TarInfo(f"train_val_images/Aves/Species {i % 40}/{i:032x}.jpg")
            info.size = _SIZE
            archive.addfile(info, io.BytesIO(rng.bytes(_SIZE)))


def _hash(path: str) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)


def _extract_all(path: str, folder: str) -> None:
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")


def _remove(path: str) -> None:
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.remove(path)


class _served:  # noqa: N801
    """A server of a folder on this machine, for a `with` block."""

    def __init__(self, folder: str):
        handler = functools.partial(_Quiet, directory=folder)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    app.run(main)
