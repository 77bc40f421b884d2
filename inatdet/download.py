"""Downloads a file, whole or not at all, and checks its hash."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request

from tqdm import tqdm

from inatdet.errors import InputError
from inatdet.files import atomic_path

_CHUNK = 1 << 20  # bytes

_TIMEOUT = 30  # seconds without a byte


def download(url: str, path: str, md5: str, what: str, by_hand: str, folder_hint: str) -> None:
    """Downloads a file; if that fails, nothing is left behind.

    Args:
        url: its address.
        path: where it goes.
        md5: its hash.
        what: what it is, for the progress bar and for errors.
        by_hand: the end of an error message: how to do without this download.
        folder_hint: the end of an error message: what to do if `path` cannot be written.

    Raises:
        InputError: the file cannot be downloaded or written, or its hash is wrong.
    """
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with (
            atomic_path(path) as temporary,
            urllib.request.urlopen(url, timeout=_TIMEOUT) as response,
            open(temporary, "wb") as file,
        ):
            length = response.length  # None when the server does not say
            with tqdm(total=length, unit="B", unit_scale=True, desc=what, disable=None) as bar:
                while chunk := response.read(_CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    bar.update(len(chunk))
            if length is not None and file.tell() != length:
                raise InputError(
                    f"{url}: the download broke off after {file.tell():,} of {length:,} bytes; "
                    f"try again, {by_hand}"
                )
            if digest.hexdigest() != md5:
                raise InputError(
                    f"{url}: what was downloaded has the MD5 {digest.hexdigest()}, not {md5}, "
                    f"and was thrown away; try again, {by_hand}"
                )
    except urllib.error.URLError as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # an answer, which holds the connection
        raise InputError(
            f"{url}: cannot be downloaded ({error.reason}); check the network, {by_hand}"
        ) from error
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise InputError(
            f"{url}: the download broke off ({error or type(error).__name__}); try again, {by_hand}"
        ) from error
    except OSError as error:
        raise InputError(
            f"{path}: the {what} cannot be written there ({error.strerror or error}); {folder_hint}"
        ) from error
