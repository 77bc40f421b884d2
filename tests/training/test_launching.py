"""Clusters of tiny scripts instead of TensorFlow: who is started, ended, and started again."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest

from inatdet.errors import InputError, RunError
from inatdet.interruptions import heeded
from inatdet.training.launch_plan import Plan, free_ports
from inatdet.training.launching import Launch

# A process knows what it is, notes that it started, and does what its script says.
HEAD = """
import json, os, signal, sys, time
config = json.loads(os.environ["TF_CONFIG"])
job, index = config["task"]["type"], config["task"]["index"]
folder = sys.argv[1]
with open(f"{folder}/started", "a") as file:
    file.write(f"{job} {index}\\n")
starts = open(f"{folder}/started").read().count(f"{job} {index}\\n")
def wait_for(name):
    while not os.path.exists(f"{folder}/{name}"):
        time.sleep(.01)
def note(name):
    open(f"{folder}/{name}", "w").close()
def wait_for_all():
    note(f"there-{job}-{index}")
    for other, hosts in config["cluster"].items():
        for number in range(len(hosts)):
            wait_for(f"there-{other}-{number}")
def end(number, frame):
    note(f"ended-{job}-{index}")
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
"""


def launch(tmp_path, script, strategy="parameter_server", workers=2, newest=None, **settings):
    plan_settings = {
        name: settings.pop(name) for name in ("gpus", "evaluator", "servers") if name in settings
    }
    plan = Plan(
        [sys.executable, "-c", HEAD + script, str(tmp_path)],
        strategy,
        workers,
        str(tmp_path / "logs"),
        **plan_settings,
    )
    lines = []
    launched = Launch(plan, newest or (lambda: None), lines.append, pause=0.01, **settings)
    return launched, lines


def started(tmp_path):
    return sorted((tmp_path / "started").read_text().splitlines())


def test_each_process_knows_who_it_is(tmp_path):
    script = """
note(f"{job}-{index}.json")
with open(f"{folder}/{job}-{index}.json", "w") as file:
    json.dump([config, os.environ["CUDA_VISIBLE_DEVICES"]], file)
note(f"told-{job}-{index}")
if job != "chief":
    wait_for("never")
for name in ("told-ps-0", "told-worker-0", "told-worker-1", "told-evaluator-0"):
    wait_for(name)
print("step 1", flush=True)
print("step 2", flush=True)
"""
    run, lines = launch(tmp_path, script, gpus=["4", "5", "6", "7"], evaluator=True, grace=0.1)
    run.run()
    told = {
        name: json.loads((tmp_path / f"{name}.json").read_text())
        for name in ("chief-0", "ps-0", "worker-0", "worker-1", "evaluator-0")
    }
    (cluster,) = {json.dumps(config["cluster"]) for config, _ in told.values()}
    cluster = json.loads(cluster)
    assert {job: len(hosts) for job, hosts in cluster.items()} == {"chief": 1, "ps": 1, "worker": 2}
    addresses = [address for hosts in cluster.values() for address in hosts]
    assert len(set(addresses)) == 4
    assert {name: gpus for name, (_, gpus) in told.items()} == {
        "chief-0": "",
        "ps-0": "",
        "evaluator-0": "",
        "worker-0": "4,5",
        "worker-1": "6,7",
    }
    assert [line for line in lines if line.startswith("step")] == ["step 1", "step 2"]
    assert (tmp_path / "logs" / "chief-0.log").read_text() == "step 1\nstep 2\n"
    for name in ("ps-0", "worker-0", "worker-1", "evaluator-0"):
        assert (tmp_path / f"ended-{name}").exists(), name


def test_synchronous_workers_end_by_themselves(tmp_path):
    script = """
if index == 1:
    wait_for("first-done")
    time.sleep(.3)
    note("second-done")
else:
    note("first-done")
"""
    run, _ = launch(tmp_path, script, "multi_worker_mirrored")
    run.run()
    assert (tmp_path / "second-done").exists()
    assert started(tmp_path) == ["worker 0", "worker 1"]
    assert not (tmp_path / "ended-worker-1").exists()


@pytest.mark.parametrize(
    ("job", "strategy", "again"),
    [
        ("worker", "multi_worker_mirrored", ["worker 0", "worker 0", "worker 1", "worker 1"]),
        (
            "ps",
            "parameter_server",
            [f"{one} 0" for one in ("chief", "chief", "ps", "ps", "worker", "worker")],
        ),
        ("worker", "parameter_server", ["chief 0", "ps 0", "worker 0", "worker 0"]),
    ],
)
def test_who_is_started_again_when_one_is_killed(tmp_path, job, strategy, again):
    synchronous = strategy == "multi_worker_mirrored"
    script = f"""
last = {int(synchronous)}
if (job, index, starts) == ({job!r}, last, 1):
    wait_for("others-started")
    os.kill(os.getpid(), signal.SIGKILL)
if (job, index, starts) == ({job!r}, last, 2):
    note("again")
if (job, index) == ({"worker" if synchronous else "chief"!r}, 0):
    while len(open(f"{{folder}}/started").readlines()) < {2 if synchronous else 3} * starts:
        time.sleep(.01)
    note("others-started")
    wait_for("again")
elif {not synchronous}:
    wait_for("never")
else:
    wait_for("again")
"""
    run, lines = launch(tmp_path, script, strategy, workers=2 if synchronous else 1)
    run.run()
    assert started(tmp_path) == again
    assert any("was ended by SIGKILL" in line for line in lines)
    if job == "worker" and not synchronous:
        assert any("the others go on" in line for line in lines)
    else:
        assert any(line.startswith("starting all again") for line in lines)


def test_failing_again_and_again_without_a_checkpoint_ends(tmp_path):
    script = """
print("disk on fire", flush=True)
sys.exit(1)
"""
    run, lines = launch(tmp_path, script, "multi_worker_mirrored", workers=1, max_restarts=2)
    with pytest.raises(RunError, match="3 starts in a row failed without a new checkpoint"):
        run.run()
    assert started(tmp_path) == ["worker 0"] * 3
    assert "worker 0 ended with code 1 (disk on fire)" in lines


def test_new_checkpoints_are_worth_further_starts(tmp_path):
    script = "sys.exit(1 if starts < 6 else 0)"

    def newest():  # one more with every start
        path = tmp_path / "started"
        return str(len(path.read_text())) if path.exists() else None

    run, lines = launch(
        tmp_path, script, "multi_worker_mirrored", workers=1, newest=newest, max_restarts=1
    )
    run.run()
    assert started(tmp_path) == ["worker 0"] * 6
    pauses = [line for line in lines if line.startswith("starting all again in 0.01 s from")]
    assert len(pauses) == 5


def test_bad_input_is_not_started_again(tmp_path):
    script = """
if job == "chief":
    print("error: there is no such file", file=sys.stderr, flush=True)
    sys.exit(2)
wait_for("never")
"""
    run, _ = launch(tmp_path, script)
    with pytest.raises(InputError, match=r"^chief 0: there is no such file$"):
        run.run()
    assert started(tmp_path).count("chief 0") == 1


def test_an_interruption_lets_the_first_process_save(tmp_path):
    script = """
def save(number, frame):
    assert not os.path.exists(f"{folder}/ended-ps-0")
    note("saved")
    sys.exit(143)
wait_for_all()
if job == "chief":
    signal.signal(signal.SIGTERM, save)
    print("ready", flush=True)
wait_for("never")
"""
    run, _ = launch(tmp_path, script)

    def interrupt(line):
        if line == "ready":
            raise KeyboardInterrupt

    run.notify = interrupt
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert (tmp_path / "saved").exists()
    assert (tmp_path / "ended-ps-0").exists()
    assert len(started(tmp_path)) == 4


def test_no_signal_ends_what_is_asked_of_a_process_half_way(tmp_path, monkeypatch):
    script = """
wait_for_all()
if job == "chief":
    print("ready", flush=True)
wait_for("never")
"""
    run, lines = launch(tmp_path, script)
    poll, answered = subprocess.Popen.poll, []

    def interrupted_poll(process):
        if not answered and "ready" in lines:
            # Whoever polls holds a lock, without which no end of the process is noticed.
            signal.raise_signal(signal.SIGTERM)
            answered.append(poll(process))
        return poll(process)

    monkeypatch.setattr(subprocess.Popen, "poll", interrupted_poll)
    with heeded() as came:
        with pytest.raises(KeyboardInterrupt):
            run.run()
        assert list(came) == [signal.SIGTERM]
    assert answered == [None]
    for name in ("chief-0", "ps-0", "worker-0", "worker-1"):
        assert (tmp_path / f"ended-{name}").exists(), name


def test_a_second_signal_does_not_wait_for_the_first_process_to_save(tmp_path):
    script = """
wait_for_all()
if job == "chief":
    def save(number, frame):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        print("saving", flush=True)
    signal.signal(signal.SIGTERM, save)
    print("ready", flush=True)
wait_for("never")
"""
    run, lines = launch(tmp_path, script, workers=1, grace=120.0)

    def interrupt(line):
        lines.append(line)
        if line in ("ready", "saving"):
            signal.raise_signal(signal.SIGTERM)

    run.notify = interrupt
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), heeded():
        run.run()
    assert time.monotonic() - start < 100
    assert lines.count("saving") == 1
    assert (tmp_path / "ended-worker-0").exists()


def test_clusters_can_be_started_in_another_thread(tmp_path):
    run, lines = launch(tmp_path, "print('done', flush=True)", "multi_worker_mirrored", workers=1)
    thread = threading.Thread(target=run.run)
    thread.start()
    thread.join()
    assert lines[-1] == "done"


def test_one_that_was_asked_to_end_ends_all_who_step_together(tmp_path):
    script = """
if index == 1:
    wait_for("there")
    sys.exit(143)
note("there")
wait_for("never")
"""
    run, _ = launch(tmp_path, script, "multi_worker_mirrored")
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert (tmp_path / "ended-worker-0").exists()
    assert started(tmp_path) == ["worker 0", "worker 1"]


def test_plans_that_cannot_be():
    with pytest.raises(InputError, match="3 GPUs cannot be shared out among 2 workers"):
        Plan(["true"], "parameter_server", 2, "logs", gpus=["0", "1", "2"])
    with pytest.raises(InputError, match="at least one worker"):
        Plan(["true"], "parameter_server", 0, "logs")


def test_free_ports_are_free_and_different():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(0 < port < 65_536 for port in ports)
