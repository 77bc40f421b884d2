"""Processes that wait for one another; here they are threads."""

import concurrent.futures
import socket

import pytest

from inatdet.errors import RunError
from inatdet.training import meeting
from inatdet.training.cluster import Cluster
from inatdet.training.launch_plan import free_ports


def cluster_of(count):
    hosts = tuple(f"127.0.0.1:{port}" for port in free_ports(count))
    return [Cluster({"worker": hosts}, "worker", index) for index in range(count)]


def meet(clusters, seconds=60.0, longer=0.0):
    """Lets processes meet, the others for so much longer; what each of them gets."""
    with concurrent.futures.ThreadPoolExecutor(len(clusters)) as pool:
        futures = [
            pool.submit(meeting.meet, one, seconds + bool(i) * longer, lambda line: None)
            for i, one in enumerate(clusters)
        ]
        return [future.exception() for future in futures]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_all_come(count):
    clusters = cluster_of(count)
    assert meet(clusters) == [None] * count
    # The address is free again, and they may meet once more.
    assert not meeting.answers(clusters[0].address("worker", 0))
    assert meet(clusters[::-1]) == [None] * count


def test_one_does_not_come():
    *came, _ = cluster_of(3)
    first, second = meet(came, seconds=0.5, longer=2.0)
    assert isinstance(first, RunError) and isinstance(second, RunError)
    assert "worker 2 (127.0.0.1:" in str(first) and "worker 1" not in str(first)
    assert "worker 0 (127.0.0.1:" in str(second)


def test_strangers_and_those_who_come_twice_do_not_count():
    clusters = cluster_of(3)
    host, port = clusters[0].address("worker", 0).split(":")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        first = pool.submit(meeting.meet, clusters[0], 60.0, lambda line: None)
        for line in (b"GET / HTTP/1.1\n", b"inatdet cluster, worker 7\n", b"inatdet cluster, x\n"):
            connection = None
            while connection is None:
                try:
                    connection = socket.create_connection((host, int(port)))
                except ConnectionRefusedError:
                    continue
            connection.sendall(line)
            connection.close()
        twice = socket.create_connection((host, int(port)))
        twice.sendall(b"inatdet cluster, worker 1\n")
        twice.close()
        assert not first.done()
        others = [pool.submit(meeting.meet, one, 60.0, lambda line: None) for one in clusters[1:]]
        assert [future.exception() for future in (first, *others)] == [None] * 3


def test_servers_are_waited_for():
    ports = free_ports(3)
    hosts = {job: (f"127.0.0.1:{port}",) for job, port in zip(("chief", "worker", "ps"), ports)}
    cluster = Cluster(hosts, "chief", 0)
    with socket.create_server(("127.0.0.1", ports[1])):
        with pytest.raises(RunError, match=r"^server 0 \(127.0.0.1:\d+\) did not answer within"):
            meeting.wait_for_servers(cluster, 0.3, lambda line: None)
        with socket.create_server(("127.0.0.1", ports[2])):
            meeting.wait_for_servers(cluster, 60.0, lambda line: None)
