"""A disk that is full when one file is to be there."""

import contextlib
import errno
import os

import pytest


@contextlib.contextmanager
def full_disk_at(monkeypatch, ending):
    """The block must end as it does when there is no room for a file whose name ends like this."""
    real = os.replace

    def until_full(source, target):
        if target.endswith(ending):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", until_full)
        with pytest.raises(OSError, match="No space left"):
            yield
