"""The processes of a cluster wait for one another, but not for ever as TensorFlow does."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable

from inatdet.errors import RunError
from inatdet.training.cluster import CHIEF, Cluster, name_of

SECONDS = 600.0
"""How long, unless told otherwise: starting on a shared disk can take minutes."""

_HELLO = b"inatdet cluster, "
_GO = b"go\n"
_PAUSE = 0.2  # seconds between two attempts
_SAID_AFTER = 15.0  # seconds after which whom one waits for is worth a line


def meet(cluster: Cluster, seconds: float, notify: Callable[[str], None]) -> None:
    """Waits until all processes of a cluster are there; each of them calls this.

    They meet at the address of the first one, which TensorFlow uses afterwards.

    Args:
        cluster: the processes.
        seconds: to wait for them, at most.
        notify: is told whom it waits for, if that takes long.

    Raises:
        RunError: not all came.
    """
    if len(cluster.members) < 2:
        return
    deadline = time.monotonic() + seconds
    if cluster.is_first:
        _receive(cluster, deadline, seconds, notify)
    else:
        _report(cluster, deadline, seconds, notify)


def wait_for_servers(cluster: Cluster, seconds: float, notify: Callable[[str], None]) -> None:
    """Waits until all servers and workers of asynchronous training answer.

    Args:
        cluster: the processes.
        seconds: to wait for them, at most.
        notify: is told whom it waits for, if that takes long.

    Raises:
        RunError: not all do.
    """
    deadline = time.monotonic() + seconds
    awaited = _Awaited([m for m in cluster.members if m[0] != CHIEF], cluster, seconds, notify)
    while awaited.members:
        for member in awaited.members:
            if answers(cluster.address(*member)):
                awaited.has_come(member)
        awaited.check(deadline)
        if awaited.members:
            time.sleep(_PAUSE)


def answers(address: str) -> bool:
    """Whether a process listens at an address `host:port`."""
    try:
        _connected(address, 5.0).close()
    except OSError:
        return False
    return True


class _Awaited:
    """Who has not come yet, and the words for that."""

    def __init__(
        self,
        members: list[tuple[str, int]],
        cluster: Cluster,
        seconds: float,
        notify: Callable[[str], None],
    ):
        self.members = members
        self._cluster = cluster
        self._seconds = seconds
        self._notify = notify
        self._say_at = time.monotonic() + _SAID_AFTER

    def has_come(self, member: tuple[str, int]) -> None:
        """Takes one off the list."""
        self.members = [other for other in self.members if other != member]

    def has_gone(self, member: tuple[str, int]) -> None:
        """Waits again for one that had come."""
        self.members.append(member)

    def check(self, deadline: float) -> None:
        """Says whom one waits for, once; raises `RunError` after the deadline."""
        now = time.monotonic()
        if self.members and now > deadline:
            raise RunError(
                f"{self._names()} did not answer within {self._seconds:.0f} s; start all processes "
                "of the cluster at about the same time, and check that each reaches the others' "
                "addresses"
            )
        if self.members and now > self._say_at:
            self._say_at = float("inf")
            self._notify(f"waiting for {self._names()}")

    def _names(self) -> str:
        named = [f"{name_of(*one)} ({self._cluster.address(*one)})" for one in self.members[:4]]
        more = [f"{len(self.members) - 4} more"] if len(self.members) > 4 else []
        return ", ".join(named + more)


def _receive(
    cluster: Cluster, deadline: float, seconds: float, notify: Callable[[str], None]
) -> None:
    """The first process: waits until all others have reported, and lets them go on."""
    others = cluster.members[1:]
    awaited = _Awaited(others, cluster, seconds, notify)
    port = int(cluster.address(*cluster.members[0]).rpartition(":")[2])
    came: dict[tuple[str, int], socket.socket] = {}
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("", port)))
        selector = stack.enter_context(selectors.DefaultSelector())
        selector.register(listener, selectors.EVENT_READ)
        while True:
            awaited.check(deadline)
            # One that ended meanwhile would never hear that it may go on; it is started again.
            for gone in [member for member, one in came.items() if _has_hung_up(one)]:
                del came[gone]
                awaited.has_gone(gone)
            if not awaited.members:
                break
            if not selector.select(timeout=_PAUSE):
                continue
            connection = stack.enter_context(listener.accept()[0])
            # A process that was started again reports again.
            member = _reported(connection, others)
            if member:
                came[member] = connection
                awaited.has_come(member)
        for connection in came.values():
            with contextlib.suppress(OSError):
                connection.sendall(_GO)
        # They hang up first, so that the address is free at once.
        for connection in came.values():
            with contextlib.suppress(OSError):
                connection.settimeout(5.0)
                connection.recv(1)


def _has_hung_up(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.setblocking(True)


def _reported(connection: socket.socket, others: list[tuple[str, int]]) -> tuple[str, int] | None:
    """Which process it is that reports; None if it is something else."""
    try:
        connection.settimeout(5.0)
        line = connection.makefile("rb").readline(200)
    except OSError:
        return None
    said = line.removeprefix(_HELLO).decode("ascii", "replace").split()
    member = (said[0], int(said[1])) if len(said) == 2 and said[1].isdecimal() else None
    return member if line.startswith(_HELLO) and member in others else None


def _report(
    cluster: Cluster, deadline: float, seconds: float, notify: Callable[[str], None]
) -> None:
    """Every other process: tells the first one that it is there, and waits for its word."""
    first = cluster.members[0]
    awaited = _Awaited([first], cluster, seconds, notify)
    hello = _HELLO + f"{cluster.job} {cluster.index}\n".encode("ascii")
    while True:
        with contextlib.suppress(OSError), _connected(cluster.address(*first), 5.0) as connection:
            connection.sendall(hello)
            connection.settimeout(_PAUSE)
            if _word(connection, awaited, deadline) == _GO:
                return
        awaited.check(deadline)
        time.sleep(_PAUSE)


def _word(connection: socket.socket, awaited: _Awaited, deadline: float) -> bytes:
    """What the first process answers; nothing if it hangs up."""
    while True:
        try:
            return connection.recv(len(_GO))
        except TimeoutError:
            awaited.check(deadline)


def _connected(address: str, timeout: float) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout)
