"""Who belongs to a cluster, as TF_CONFIG, Slurm or settings say."""

import json

import pytest

from inatdet.errors import InputError
from inatdet.training import cluster
from inatdet.training.cluster import Cluster

HOSTS = {"chief": ["a:1"], "worker": ["b:1", "c:1"], "ps": ["d:1"]}


class Runtime:
    """The settings that matter here."""

    worker_hosts = None
    task_index = -1

    def __init__(self, distribution_strategy, **settings):
        self.distribution_strategy = distribution_strategy
        vars(self).update(settings)


def described(hosts, job, index):
    task = {"type": job, "index": index}
    return {"TF_CONFIG": json.dumps({"cluster": hosts, "task": task})}


def test_a_cluster_of_asynchronous_training():
    runtime = Runtime("parameter_server")
    found = {
        (job, index): cluster.of(runtime, described(HOSTS, job, index))
        for job, index in [("chief", 0), ("worker", 0), ("worker", 1), ("ps", 0)]
    }
    chief = found["chief", 0]
    assert chief.members == list(found)
    assert chief.address("worker", 1) == "c:1"
    assert {one.num_workers for one in found.values()} == {2}
    assert [one for one in found if found[one].is_first] == [("chief", 0)]
    assert [one for one in found if found[one].serves] == [("worker", 0), ("worker", 1), ("ps", 0)]
    assert not any(one.evaluates for one in found.values())


def test_a_cluster_of_synchronous_training():
    runtime = Runtime("multi_worker_mirrored")
    first = cluster.of(runtime, described({"worker": ["b:1", "c:1"]}, "worker", 0))
    second = cluster.of(runtime, described({"worker": ["b:1", "c:1"]}, "worker", 1))
    assert first.is_first and not second.is_first
    assert first.num_workers == 2
    assert not first.serves and not second.serves
    # A chief is a worker that also saves.
    hosts = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    worker = cluster.of(runtime, described(hosts, "worker", 0))
    assert worker.num_workers == 3
    assert not worker.is_first


@pytest.mark.parametrize("strategy", ["mirrored", "parameter_server", "multi_worker_mirrored"])
def test_evaluators_are_no_part_of_the_cluster(strategy):
    hosts = HOSTS | {"evaluator": ["e:1"]}
    evaluator = cluster.of(Runtime(strategy), described(hosts, "evaluator", 0))
    assert evaluator.evaluates
    chief = cluster.of(Runtime("parameter_server"), described(hosts, "chief", 0))
    for one in (evaluator, chief):
        assert set(one.addresses) == {"chief", "worker", "ps"}
        assert ("evaluator", 0) not in one.members


def test_an_evaluator_need_not_be_listed():
    assert cluster.of(Runtime("mirrored"), described(HOSTS, "evaluator", 3)).evaluates


def test_one_process():
    assert cluster.of(Runtime("mirrored"), {}) is None
    assert cluster.of(Runtime("mirrored"), described({"worker": ["a:1"]}, "worker", 0)) is None


def test_hosts_in_the_settings():
    runtime = Runtime("multi_worker_mirrored", worker_hosts="a:1, b:1", task_index=1)
    assert cluster.of(runtime, {}) == Cluster({"worker": ("a:1", "b:1")}, "worker", 1)
    runtime.task_index = 2
    with pytest.raises(InputError, match="must be from 0 to 1, another one for each process"):
        cluster.of(runtime, {})


def test_an_index_may_be_text():
    found = cluster.of(Runtime("parameter_server"), described(HOSTS, "worker", "1"))
    assert found.index == 1


@pytest.mark.parametrize(
    ("strategy", "hosts", "words"),
    [
        ("mirrored", HOSTS, "a cluster of 4 processes, but runtime.distribution_strategy is mirr"),
        ("multi_worker_mirrored", HOSTS, "has parameter servers"),
        ("parameter_server", {"chief": ["a:1"]}, "the cluster has no worker and no ps"),
        ("parameter_server", HOSTS | {"chief": ["a:1", "e:1"]}, "has 2 chiefs"),
    ],
)
def test_clusters_that_do_not_fit(strategy, hosts, words):
    with pytest.raises(InputError, match=words):
        cluster.of(Runtime(strategy), described(hosts, "chief", 0))


def test_no_cluster_where_one_is_needed():
    with pytest.raises(InputError, match=r"there is no TF_CONFIG .* start one with inatdet launch"):
        cluster.of(Runtime("parameter_server"), {})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "is not an object"),
        ({"cluster": [], "task": {}}, "not an object"),
        ({"cluster": HOSTS}, "type ''"),
        ({"cluster": HOSTS, "task": {"type": "master", "index": 0}}, "type 'master'"),
        ({"cluster": {"boss": ["a:1"]}, "task": {"type": "chief", "index": 0}}, "type 'boss'"),
        ({"cluster": HOSTS, "task": {"type": "worker", "index": 2}}, "the task worker 2, which"),
        ({"cluster": HOSTS, "task": {"type": "worker", "index": -1}}, "task index -1"),
        ({"cluster": HOSTS, "task": {"type": "worker", "index": True}}, "task index True"),
        ({"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}, "no list"),
        ({"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}, "host:port"),
        ({"cluster": {"worker": ["a:0"]}, "task": {"type": "worker", "index": 0}}, "host:port"),
        ({"cluster": {"worker": [1]}, "task": {"type": "worker", "index": 0}}, "host:port"),
        (
            {"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}},
            "a:1 twice",
        ),
    ],
)
def test_what_tf_config_may_not_be(content, words):
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(InputError, match=words):
        cluster.parsed(text)


def slurm(monkeypatch, rank):
    for name, value in {
        "SLURM_PROCID": str(rank),
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_STEP_NODELIST": "node[1-2]",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TF_CONFIG", raising=False)


def test_slurm(monkeypatch):
    slurm(monkeypatch, 3)
    found = cluster.of(Runtime("multi_worker_mirrored"))
    hosts = ("node1:8888", "node1:8889", "node2:8888", "node2:8889")
    assert found == Cluster({"worker": hosts}, "worker", 3)
    jobs = {"chief": hosts[:1], "ps": hosts[1:2], "worker": hosts[2:]}
    assert cluster.of(Runtime("parameter_server")) == Cluster(jobs, "worker", 1)
    slurm(monkeypatch, 0)
    assert cluster.of(Runtime("parameter_server")) == Cluster(jobs, "chief", 0)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    with pytest.raises(InputError, match="has 2 tasks; parameter_server takes at least 3"):
        cluster.of(Runtime("parameter_server"))
