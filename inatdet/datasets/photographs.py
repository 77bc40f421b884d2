"""Gets the photographs of a constructed dataset, and lists those that are there.

They come from iNaturalist's Open Data, or a mirror of it; see `photograph_requests`.
"""

from __future__ import annotations

import concurrent.futures
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from inatdet import web
from inatdet.data.formats.image_sizes import size_of
from inatdet.data.reading_ahead import map_ahead
from inatdet.datasets.archives import PARTS
from inatdet.datasets.inat2017 import PICTURES
from inatdet.datasets.photograph_lists import License, Photograph, PhotographList
from inatdet.datasets.photograph_requests import PIXELS, Gate, Missing, Source, get
from inatdet.datasets.shrinking import Picture
from inatdet.errors import InputError, RunError
from inatdet.files import atomic_path, open_regular, write_text
from inatdet.locks import only_writer

_VERSION = 1
_RECORD = ".inatdet-photographs.json"
_AHEAD = 2  # photographs per connection that are asked for before they are written
_IN_A_ROW = 20  # photographs that the server fails for, each several times
_BYTES_AT_800 = PARTS["images"][0].size / PICTURES  # of iNat2017, which has 800 pixels
_FIRST = 50  # photographs of which at least one should be there


@dataclass
class Fetched:
    """What became of a list of photographs.

    Attributes:
        listed: the list.
        path: the file that lists what is there.
        were_there: how many photographs an earlier run had written.
        sizes: width and height of all that are there, by id.
        missing: all others.
    """

    listed: PhotographList
    path: str
    were_there: int = 0
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)

    def attributions(self) -> list[tuple[Photograph, str, License]]:
        """The photographs that are there, the names of their files, and their licenses."""
        return [
            (photograph, name, self.listed.license_of(photograph))
            for photograph, name in zip(self.listed.photographs, self.listed.names)
            if photograph.id in self.sizes
        ]


def lists_of(paths: Iterable[str | os.PathLike[str]], folder: str) -> list[PhotographList]:
    """Reads lists of photographs, and checks that what is there can be listed in another folder.

    Args:
        paths: files with `images`, each with an `id` of a photograph and a `file_name`.
        folder: where the photographs go.

    Raises:
        InputError: a list cannot be used, or would be replaced.
    """
    lists = [PhotographList(path) for path in paths]
    for listed in lists:
        if os.path.realpath(_new_path(listed, folder)) == os.path.realpath(listed.path):
            raise InputError(
                f"{listed.path}: would be replaced by the list of what is there; give another "
                "--output_dir"
            )
    names = Counter(os.path.basename(listed.path) for listed in lists)
    if repeated := [name for name, count in names.items() if count > 1]:
        raise InputError(
            f"{repeated[0]}: several lists have this name, and would replace one another in "
            f"{folder}; get them into folders of their own"
        )
    return lists


def expected_size(lists: Iterable[PhotographList], folder: str, source: Source) -> tuple[int, int]:
    """How many photographs are to be had, and how many bytes they will take, about.

    Args:
        lists: the lists.
        folder: where the photographs go; those that are there are not counted.
        source: where they come from. The estimate is iNat2017's average of 294 KB for 800 pixels,
            in proportion to the area.
    """
    places = {os.path.join(folder, name) for listed in lists for name in listed.names}
    count = sum(not os.path.lexists(place) for place in places)
    edge = min(PIXELS[source.size], source.long_edge or PIXELS[source.size])
    return count, round(count * _BYTES_AT_800 * (edge / 800) ** 2)


def _new_path(listed: PhotographList, folder: str) -> str:
    return os.path.join(folder, os.path.basename(listed.path))


def fetch_photographs(
    listed: PhotographList,
    folder: str,
    source: Source,
    advance: Callable[[int], object] = lambda count: None,
) -> Fetched:
    """Gets the photographs that are not there yet, and lists those that are there then.

    Each is written when it is whole, under the name that `PhotographList.names` says. The new list
    is the file of the same name in `folder`: with the sizes of the pictures on disk, and without
    photographs that could not be had.

    Args:
        listed: the list, from `lists_of`.
        folder: what file names are relative to.
        source: where they come from.
        advance: called with the number of photographs that were dealt with since the last call.

    Raises:
        InputError: the folder has photographs of other sizes, or none is found at all.
        RunError: the server stopped answering.
        KeyboardInterrupt: with words on how much is kept.
    """
    result = Fetched(listed, _new_path(listed, folder))
    with only_writer(folder):
        _check_record(folder, source)
        todo = []
        for photograph, name in zip(listed.photographs, listed.names):
            place = os.path.join(folder, name)
            if os.path.lexists(place):
                result.sizes[photograph.id] = size_of(place)
                result.were_there += 1
                advance(1)
            else:
                todo.append((photograph, place))
        _fetch_all(todo, folder, source, result, advance)
        listed.write(result.path, result.sizes)
    return result


class _Record(msgspec.Struct):
    """How the photographs in a folder were made."""

    size: str
    long_edge: int
    version: int = _VERSION


def _check_record(folder: str, source: Source) -> None:
    """Refuses a folder of photographs of other sizes, which later runs could not tell apart."""
    path = os.path.join(folder, _RECORD)
    try:
        with open_regular(path) as file:
            found = msgspec.json.decode(file.read(), type=_Record)
    except FileNotFoundError:
        return
    except msgspec.DecodeError as error:
        raise InputError(
            f"{path}: is damaged ({error}); delete it, and give the --size and --long_edge that "
            "the photographs have"
        ) from error
    if found != _record_of(source):
        raise InputError(
            f"{folder}: has photographs of --size={found.size} --long_edge={found.long_edge}; give "
            "these, or another --output_dir"
        )


def _record_of(source: Source) -> _Record:
    return _Record(str(source.size), source.long_edge)


def _write_record(folder: str, source: Source) -> None:
    record = msgspec.json.encode(_record_of(source)).decode()
    write_text(os.path.join(folder, _RECORD), record)


def _fetch_all(
    todo: list[tuple[Photograph, str]],
    folder: str,
    source: Source,
    result: Fetched,
    advance: Callable[[int], object],
) -> None:
    gate, in_a_row, got_any = Gate(), 0, False

    def get_item(item: tuple[Photograph, str]) -> Picture | Missing:
        return get(session, gate, item[0], source)

    with (
        web.open_session(source.connections) as session,
        concurrent.futures.ThreadPoolExecutor(source.connections) as threads,
    ):
        try:
            got = map_ahead(threads, get_item, todo, _AHEAD * source.connections)
            for number, ((photograph, place), outcome) in enumerate(zip(todo, got), 1):
                if isinstance(outcome, Picture):
                    if not got_any:  # a run that finds nothing must not decide for later ones
                        _write_record(folder, source)
                        got_any = True
                    with atomic_path(place) as temporary, open(temporary, "wb") as file:
                        file.write(outcome.data)
                    result.sizes[photograph.id] = (outcome.width, outcome.height)
                    in_a_row = 0
                else:
                    result.missing.append(outcome)
                    in_a_row = 0 if outcome.is_lasting else in_a_row + 1
                _check_server(number, len(todo), in_a_row, source, result)
                advance(1)
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(
                f"{len(result.sizes):,} photographs are there; the same command goes on from there"
            ) from error
        finally:
            gate.end()


def _check_server(number: int, total: int, in_a_row: int, source: Source, result: Fetched) -> None:
    """Gives up when there is nothing to be had; not after each of a million photographs."""
    if in_a_row >= _IN_A_ROW:
        raise RunError(
            f"{source.base_url}: has failed for {in_a_row} photographs in a row "
            f"({result.missing[-1].reason}); {len(result.sizes):,} photographs are there, and the "
            "same command goes on from there"
        )
    if number == min(_FIRST, total) and not result.sizes:
        raise InputError(
            f"{source.base_url}: has none of the first {number} photographs, such as "
            f"{result.missing[0].url} ({result.missing[0].reason}); check --base_url and that the "
            "ids in --images are those of photographs"
        )
