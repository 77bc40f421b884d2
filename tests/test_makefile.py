import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*args, folder=ROOT, path=None):
    """Runs make as from a shell of its own: not as part of a `make test` around it."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    if path:
        environment["PATH"] = path
    return subprocess.run(
        [shutil.which("make"), *args],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def calls(output):
    """The programs that `make -n` would call: their names and flags, overrides taken apart."""
    lines = output.replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        match = re.match(r"\S+ -m (inatdet \w+)\s+(.*)", line)
        if match:
            flags = re.findall(r"--(\w+)=(\"[^\"]*\"|'[^']*'|\S+)", match[2])
            found.append((match[1], [(name, value.strip("\"'")) for name, value in flags]))
    return found


def write(path, content=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


@pytest.fixture
def dataset(tmp_path):
    """A folder with a space in its name that looks like a dataset to make."""
    folder = tmp_path / "my data"
    for split in ("train", "val"):
        write(folder / f"{split}_2017_bboxes.json")
    return folder


def test_help_lists_every_target_and_variable():
    targets = re.findall(r"^\.PHONY: (\S+)", MAKEFILE, re.MULTILINE)
    variables = re.findall(r"^([A-Z_]+) \?=", MAKEFILE, re.MULTILINE)
    assert {"setup", "demo", "data", "tfrecords", "train", "eval"} <= set(targets)
    assert {"detect", "classify"} <= set(targets)
    assert {"test", "bench", "lint", "format", "clean"} <= set(targets)
    assert {"DATA_DIR", "GRANULARITY", "PIPELINE", "MODEL_DIR", "NUM_GPUS", "OVERRIDES"} <= set(
        variables
    )
    assert {"TASK", "NETWORK", "TRAIN_LABELS", "VAL_LABELS"} <= set(variables)
    for args in ([], ["help"]):
        result = make(*args)
        assert result.returncode == 0
        described = dict(re.findall(r"^  ([\w-]+) +(\S.*)$", result.stdout, re.MULTILINE))
        assert set(described) == {*targets, *variables} - {"report-of-trained", "again", "one-task"}
        assert all(len(line) <= 100 for line in result.stdout.splitlines())
    assert described["GRANULARITY"].endswith("[species]")


def test_train_on_a_dataset(dataset):
    result = make("-n", "train", "GRANULARITY=super", f"DATA_DIR={dataset}", "NUM_GPUS=8")
    assert result.returncode == 0, result.stderr
    records = "runs/my_data/records"
    assert calls(result.stdout) == [
        (
            "inatdet tfrecords",
            [
                ("annotations", f"{dataset}/train_2017_bboxes.json"),
                ("images_dir", str(dataset)),
                ("output_dir", records),
                ("split", "train"),
            ],
        ),
        (
            "inatdet tfrecords",
            [
                ("annotations", f"{dataset}/val_2017_bboxes.json"),
                ("images_dir", str(dataset)),
                ("output_dir", records),
                ("split", "val"),
                ("taxonomy", f"{records}/taxonomy.json"),
            ],
        ),
        (
            "inatdet train",
            [
                ("config_file", "pipelines/super.yaml"),
                ("mode", "train"),
                ("model_dir", "runs/my_data/models/super"),
                (
                    "params_override",
                    f"task.granularity=super,task.taxonomy={records}/taxonomy.json,"
                    f"task.train_data.input_path={records}/train-*.tfrecord,"
                    f"task.validation_data.input_path={records}/val-*.tfrecord,"
                    "runtime.num_gpus=8",
                ),
            ],
        ),
    ]


def test_a_plan_is_of_what_train_would_do(dataset):
    variables = ("GRANULARITY=genus", f"DATA_DIR={dataset}", "OVERRIDES=a.b=c")
    trained, planned = (
        calls(make("-n", target, *variables).stdout) for target in ("train", "plan")
    )
    assert [name for name, _ in planned] == [*["inatdet tfrecords"] * 2, "inatdet plan"]
    assert [flags for _, flags in planned] == [flags for _, flags in trained]


def test_train_with_several_processes(dataset):
    variables = ("GRANULARITY=super", f"DATA_DIR={dataset}", "STRATEGY=parameter_server")
    result = make("-n", "train", *variables, "NUM_GPUS=9")
    assert result.returncode == 0, result.stderr
    name, flags = calls(result.stdout)[-1]
    assert name == "inatdet launch"
    assert flags[:2] == [("strategy", "parameter_server"), ("num_gpus", "9")]
    assert "runtime." not in dict(flags)["params_override"]  # the launcher's to say
    assert " -- train --config_file=" in result.stdout
    result = make("-n", "train", *variables, "WORKERS=3", "OVERRIDES=a.b=c")
    flags = dict(calls(result.stdout)[-1][1])
    assert (flags["num_gpus"], flags["workers"]) == ("0", "3")
    assert flags["params_override"].endswith(".tfrecord,a.b=c")


def test_strategies_of_one_process():
    for strategy, said in (
        ("mirrored", ""),
        ("one_device", ",runtime.distribution_strategy=one_device"),
    ):
        name, flags = calls(make("-n", "train", f"STRATEGY={strategy}").stdout)[-1]
        assert name == "inatdet train"
        assert dict(flags)["params_override"].endswith(f".tfrecord{said},runtime.num_gpus=0")
    result = make("-n", "train", "STRATEGY=both")
    assert result.returncode == 2
    assert "STRATEGY is 'both'; it must be one of one_device mirrored multi" in result.stderr


def test_without_a_dataset_the_mini_one_is_made(tmp_path):
    result = make("-n", "train", f"WORK_DIR={tmp_path}", "OVERRIDES=trainer.train_steps=7,a.b=c")
    programs = calls(result.stdout)
    assert [name for name, _ in programs] == [
        "inatdet mini",
        "inatdet tfrecords",
        "inatdet tfrecords",
        "inatdet train",
    ]
    assert programs[0][1] == [("output_dir", f"{tmp_path}/data")]
    assert programs[1][1][0] == ("annotations", f"{tmp_path}/data/train_2017_bboxes.json")
    flags = dict(programs[3][1])
    assert flags["config_file"] == "pipelines/mini_species.yaml"
    assert flags["model_dir"] == f"{tmp_path}/models/species"
    assert flags["params_override"].endswith("runtime.num_gpus=0,trainer.train_steps=7,a.b=c")


def test_download_goes_to_data_dir(tmp_path):
    flags = "DOWNLOAD_FLAGS=--accept_terms --parts=boxes"
    result = make("-n", "download", f"DATA_DIR={tmp_path}/my data", flags)
    assert calls(result.stdout) == [
        ("inatdet download", [("output_dir", f"{tmp_path}/my data"), ("parts", "boxes")])
    ]
    assert "--accept_terms" in result.stdout
    result = make("download")
    assert result.returncode == 2
    assert "error: DATA_DIR must name the folder to download iNat2017 to" in result.stderr


def test_stats(dataset):
    found = calls(make("-n", "stats", f"DATA_DIR={dataset}").stdout)
    files = [
        (f"{split}_annotations", f"{dataset}/{split}_2017_bboxes.json")
        for split in ("train", "val")
    ]
    output = ("output_dir", "runs/my_data/statistics")
    assert found == [("inatdet statistics", [*files, output])]
    labels = {"TRAIN_LABELS": "a b.json", "VAL_LABELS": "c.json"}
    given = [f"{name}={value}" for name, value in labels.items()]
    found = calls(make("-n", "stats", f"DATA_DIR={dataset}", *given).stdout)
    both = [("train_labels", "a b.json"), ("val_labels", "c.json")]
    assert found == [("inatdet statistics", [*files, *both, output])]


@pytest.mark.parametrize("name", ["species", "super", "generic", "classification"])
@pytest.mark.parametrize("prefix", ["", "mini_"])
def test_the_default_pipelines_exist(name, prefix):
    assert (ROOT / "pipelines" / f"{prefix}{name}.yaml").is_file()


def age(path, seconds):
    """Makes a file, `seconds` after a fixed moment."""
    if not path.exists():
        write(path)
    os.utime(path, (1e9 + seconds, 1e9 + seconds))


def test_eval_detects_with_new_models_only(dataset, tmp_path):
    work = tmp_path / "work"
    for split in ("train", "val"):
        age(dataset / f"{split}_2017_bboxes.json", 0)
        age(work / "records" / f"{split}.json", 10)
    age(work / "models/species/checkpoint", 20)
    age(work / "detections/species.parquet", 30)
    age(work / "models/generic/checkpoint", 40)
    age(work / "detections/generic.parquet", 30)

    def run():
        return calls(make("-n", "eval", f"DATA_DIR={dataset}", f"WORK_DIR={work}").stdout)

    detect, evaluate = run()
    assert detect == (
        "inatdet detect",
        [
            ("model_dir", f"{work}/models/generic"),
            ("input", f"{work}/records/val-*.tfrecord"),
            ("output", f"{work}/detections/generic.parquet"),
            ("params_override", "runtime.num_gpus=0"),
        ],
    )
    assert evaluate == (
        "inatdet evaluate",
        [
            ("annotations", f"{dataset}/val_2017_bboxes.json"),
            ("train_annotations", f"{dataset}/train_2017_bboxes.json"),
            ("taxonomy", f"{work}/records/taxonomy.json"),
            ("detections", f"species={work}/detections/species.parquet"),
            ("detections", f"species/super={work}/detections/species.super.parquet"),
            ("detections", f"species/generic={work}/detections/species.generic.parquet"),
            ("detections", f"generic={work}/detections/generic.parquet"),
            ("images_dir", f"{dataset}"),
            ("resamples", "200"),
            ("output_dir", f"{work}/report"),
        ],
    )
    age(work / "detections/generic.parquet", 50)
    assert run() == [evaluate]
    # A newer annotation file makes the records old, and with them all detections.
    age(dataset / "val_2017_bboxes.json", 60)
    assert [name for name, _ in run()] == [
        "inatdet tfrecords",
        "inatdet detect",
        "inatdet detect",
        "inatdet evaluate",
    ]


def test_ranks_are_trained_with_the_settings_of_super_classes(dataset):
    for folder, name in (("", "mini_super"), (str(dataset), "super")):
        result = make("-n", "train", "GRANULARITY=genus", f"DATA_DIR={folder}")
        assert result.returncode == 0, result.stderr
        flags = dict(calls(result.stdout)[-1][1])
        assert flags["config_file"] == f"pipelines/{name}.yaml"
        assert flags["model_dir"].endswith("/models/genus")
        assert flags["params_override"].startswith("task.granularity=genus,")


def test_models_at_ranks_are_detected_with_and_evaluated(dataset, tmp_path):
    work = tmp_path / "work"
    for name in ("train.json", "val.json"):
        age(work / "records" / name, 10)
    for split in ("train", "val"):
        age(dataset / f"{split}_2017_bboxes.json", 0)
    for name in ("species", "family", "genus", "phylum", "super"):
        age(work / "models" / name / "checkpoint", 20)

    def run():
        found = calls(make("-n", "eval", f"DATA_DIR={dataset}", f"WORK_DIR={work}").stdout)
        return [[value for name, value in flags if "detections" in name] for _, flags in found], [
            dict(flags).get("granularities") for _, flags in found
        ]

    given, coarser = run()
    assert coarser == [
        "genus,family,super,phylum,generic", "family,super,phylum,generic",
        "super,phylum,generic", "phylum,generic", "generic", None,
    ]  # fmt: skip
    folder = f"{work}/detections"
    assert given[-1][:3] == [
        f"species={folder}/species.parquet",
        f"species/genus={folder}/species.genus.parquet",
        f"species/family={folder}/species.family.parquet",
    ]
    for fine in ("species", "genus", "family", "super", "phylum"):
        age(work / "detections" / f"{fine}.parquet", 30)
        for coarse in ("genus", "family", "phylum"):
            age(work / "detections" / f"{fine}.{coarse}.parquet", 30)
    assert run()[1] == [None]
    # A model at another rank: what was detected before lacks the sums at it.
    age(work / "models" / "order" / "checkpoint", 20)
    assert [levels for levels in run()[1] if levels] == [
        "genus,family,order,super,phylum,generic", "family,order,super,phylum,generic",
        "order,super,phylum,generic", "super,phylum,generic",
    ]  # fmt: skip


def test_classifiers_have_their_own_folders_and_settings(dataset):
    for folder, work, name in (
        ("", "runs/mini", "mini_classification"),
        (str(dataset), "runs/my_data", "classification"),
    ):
        for network in ("inception_v3", "resnet_101"):
            given = [] if network == "inception_v3" else [f"NETWORK={network}"]
            result = make("-n", "train", "TASK=classification", f"DATA_DIR={folder}", *given)
            assert result.returncode == 0, result.stderr
            program, found = calls(result.stdout)[-1]
            flags = dict(found)
            assert program == "inatdet train"
            assert flags["config_file"] == f"pipelines/{name}.yaml"
            assert flags["model_dir"] == f"{work}/classifiers/{network}"
            assert flags["params_override"].startswith(
                f"task.granularity=species,task.taxonomy={work}/records/taxonomy.json,"
                f"task.model.network={network},task.train_data.input_path={work}/records/train-"
            )


def labels_of(dataset):
    """Files that say what whole images show, as variables."""
    for split in ("train", "val"):
        age(dataset / f"all {split}.json", 0)
    return [f"{split.upper()}_LABELS={dataset}/all {split}.json" for split in ("train", "val")]


def test_what_whole_images_show_goes_into_the_records_of_both_tasks(dataset, tmp_path):
    work, records = tmp_path / "work", tmp_path / "work/records"
    labels = labels_of(dataset)

    def run(*args):
        result = make("-n", *args, f"DATA_DIR={dataset}", f"WORK_DIR={work}", *labels)
        assert result.returncode == 0, result.stderr
        return calls(result.stdout)

    for task in ("detection", "classification"):
        train, val, training = run("train", f"TASK={task}")
        assert dict(train[1])["image_labels"] == f"{dataset}/all train.json"
        assert "image_taxonomy" not in dict(train[1])
        assert dict(val[1])["image_labels"] == f"{dataset}/all val.json"
        assert dict(val[1])["image_taxonomy"] == f"{records}/image_taxonomy.json"
        assert dict(val[1])["taxonomy"] == f"{records}/taxonomy.json"
        name = "image_taxonomy" if task == "classification" else "taxonomy"
        assert f"task.taxonomy={records}/{name}.json" in dict(training[1])["params_override"]
    # Records that were written without them are written again; those that have them are not, ...
    for split in ("train", "val"):
        age(dataset / f"{split}_2017_bboxes.json", 0)
        age(records / f"{split}.json", 10)
    assert len(run("tfrecords")) == 2
    age(records / "image_taxonomy.json", 10)
    assert run("tfrecords") == []
    # ... but for labels that are newer. Their label spaces stay those of classifiers.
    age(dataset / "all val.json", 20)
    assert [dict(flags)["split"] for _, flags in run("tfrecords")] == ["val"]
    labels.clear()
    ((_, flags),) = run("train", "TASK=classification")
    assert f"task.taxonomy={records}/image_taxonomy.json" in dict(flags)["params_override"]


def trained(work):
    """A folder with records and a trained model of each kind, without detections of any."""
    for name in ("train.json", "val.json"):
        age(work / "records" / name, 10)
    for model in ("models/species", "classifiers/inception_v3", "classifiers/resnet_101"):
        age(work / model / "checkpoint", 20)


def test_eval_takes_the_models_of_its_task(dataset, tmp_path):
    work = tmp_path / "work"
    trained(work)
    for split in ("train", "val"):
        age(dataset / f"{split}_2017_bboxes.json", 0)

    def run(*args):
        result = make("-n", "eval", f"DATA_DIR={dataset}", f"WORK_DIR={work}", *args)
        assert result.returncode == 0, result.stderr
        return calls(result.stdout)

    *classified, (program, flags) = run("TASK=classification")
    assert classified == [
        (
            "inatdet classify",
            [
                ("model_dir", f"{work}/classifiers/{network}"),
                ("input", f"{work}/records/val-*.tfrecord"),
                ("output", f"{work}/predictions/{network}.parquet"),
                ("params_override", "runtime.num_gpus=0"),
            ],
        )
        for network in ("inception_v3", "resnet_101")
    ]
    assert program == "inatdet evaluate"
    boxes = [
        ("annotations", f"{dataset}/val_2017_bboxes.json"),
        ("train_annotations", f"{dataset}/train_2017_bboxes.json"),
    ]
    of_classifiers = [
        ("image_taxonomy", f"{work}/records/taxonomy.json"),
        ("predictions", f"inception_v3={work}/predictions/inception_v3.parquet"),
        ("predictions", f"resnet_101={work}/predictions/resnet_101.parquet"),
    ]
    of_both = [
        ("images_dir", str(dataset)),
        ("resamples", "200"),
        ("output_dir", f"{work}/report"),
    ]
    assert flags == [*boxes, *of_classifiers, *of_both]
    (detecting, _), (program, flags) = run()
    assert (detecting, program) == ("inatdet detect", "inatdet evaluate")
    of_detectors = flags[len(boxes) : -len(of_both)]
    assert flags == [*boxes, *of_detectors, *of_both]
    assert {name for name, _ in of_detectors} == {"taxonomy", "detections"}
    *others, (_, flags) = run("TASK=both")
    assert [name for name, _ in others] == ["inatdet detect", *["inatdet classify"] * 2]
    assert flags == [*boxes, *of_detectors, *of_classifiers, *of_both]
    # What whole images show says it better than their boxes, which detectors still need.
    labels = labels_of(dataset)
    for task, of_boxes in (("classification", False), ("both", True)):
        *_, (_, flags) = run(f"TASK={task}", *labels)
        assert dict(flags)["labels"] == f"{dataset}/all val.json"
        assert dict(flags)["train_labels"] == f"{dataset}/all train.json"
        assert ("annotations" in dict(flags)) == ("train_annotations" in dict(flags)) == of_boxes


def test_classify_takes_one_network(dataset, tmp_path):
    work, other = tmp_path / "work", tmp_path / "other"
    trained(work)
    age(other / "checkpoint", 20)
    for split in ("train", "val"):
        age(dataset / f"{split}_2017_bboxes.json", 0)
    given = [f"DATA_DIR={dataset}", f"WORK_DIR={work}"]
    ((_, flags),) = calls(make("-n", "classify", *given, "NETWORK=resnet_101").stdout)
    assert dict(flags)["model_dir"] == f"{work}/classifiers/resnet_101"
    given += ["NETWORK=mobilenet_v1", f"MODEL_DIR={other}"]
    ((_, flags),) = calls(make("-n", "classify", *given).stdout)
    assert dict(flags)["model_dir"] == str(other)
    assert dict(flags)["output"] == f"{work}/predictions/mobilenet_v1.parquet"


def test_the_demo_trains_and_evaluates_models_of_both_tasks(tmp_path):
    result = make("-n", "demo", f"WORK_DIR={tmp_path}", "TASK=detection", "OVERRIDES=task.extra=1")
    assert result.returncode == 0, result.stderr
    trainings = [dict(flags) for name, flags in calls(result.stdout) if name == "inatdet train"]
    classifier = f"{tmp_path}/classifiers/inception_v3"
    assert [flags["model_dir"] for flags in trainings] == [
        classifier, *(f"{tmp_path}/models/{name}" for name in ("generic", "super", "species")),
    ]  # fmt: skip
    for flags in trainings[1:]:
        settings = flags["params_override"]
        assert f"task.model.backbone.weights={classifier}," in settings
        assert "task.extra=1" in settings
    assert f"{tmp_path}/report/report.html" in result.stdout
    trained(tmp_path)
    age(tmp_path / "data/.complete", 0)
    _, flags = calls(make("-n", "demo", f"WORK_DIR={tmp_path}").stdout)[-1]
    assert {"annotations", "detections", "predictions"} <= set(dict(flags))


def test_the_demo_leaves_the_models_of_the_mini_dataset_alone():
    for flags in (dict(flags) for _, flags in calls(make("-n", "demo").stdout)):
        assert flags.get("model_dir", "runs/demo/").startswith("runs/demo/")


def test_a_model_elsewhere_is_evaluated_with_the_others(dataset, tmp_path):
    work, other = tmp_path / "work", tmp_path / "other"
    write(work / "models/generic/checkpoint")
    write(other / "checkpoint")
    result = make(
        "-n",
        "eval",
        f"DATA_DIR={dataset}",
        f"WORK_DIR={work}",
        f"MODEL_DIR={other}",
        "GRANULARITY=super",
    )
    detected = [
        dict(flags)["model_dir"] for name, flags in calls(result.stdout) if "detect" in name
    ]
    assert detected == [str(other), f"{work}/models/generic"]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["train", "GRANULARITY=a b"], "GRANULARITY is 'a b'; it must be one of species"),
        (["train", "NETWORK="], "NETWORK is ''; it must be one network, such as inception_v3"),
        (["train", "TASK=detect"], "TASK is 'detect'; it must be one of detection classification"),
        (["train", "TASK=both"], "TASK=both is for make eval; a model is trained with TASK="),
        (["data", "DATA_DIR=/no/such"], "/no/such/train_2017_bboxes.json: no such file; DATA_DIR"),
        (
            ["/no/val2017.json", "VAL_LABELS=/no/val2017.json"],
            "/no/val2017.json: no such file; TRAIN_LABELS and VAL_LABELS name JSON",
        ),
        (["eval", "WORK_DIR=/no/such"], "no trained model in /no/such/models; train one first"),
        (
            ["eval", "WORK_DIR=/no/such", "TASK=classification"],
            "no trained model in /no/such/classifiers; train one first: make train TASK=",
        ),
        (["/no/such/m/checkpoint", "MODEL_DIR=/no/such/m"], "no species model in /no/such/m"),
        (
            ["/no/such/m/checkpoint", "MODEL_DIR=/no/such/m", "TASK=classification"],
            "no inception_v3 model in /no/such/m; train it first: make train TASK=classification",
        ),
    ],
)
def test_mistakes_end_with_a_sentence(args, sentence):
    result = make(*args)
    assert result.returncode == 2
    assert sentence in result.stderr


REAL_PYTHON = f'exec "{sys.executable}" "$@"'
# A Python of the right version whose `venv` makes a folder with a Python that only notes its calls.
GOOD_PYTHON = f"""case "$*" in
  *"-m venv"*)
    for folder; do :; done
    mkdir -p "$folder/bin"
    echo '#!/bin/sh' > "$folder/bin/python"
    echo 'echo "$@" >> calls' >> "$folder/bin/python"
    chmod +x "$folder/bin/python"
    echo "$0 $*" > made-by ;;
  *sys.exit*|*ensurepip*) exit 0 ;;
  *) {REAL_PYTHON} ;;
esac"""
BROKEN_SHIM = 'echo "pyenv: version not installed" >&2; exit 127'
TOO_OLD = "exit 1"
WITHOUT_ENSUREPIP = f"""case "$*" in
  *ensurepip*) exit 1 ;;
  *sys.exit*) exit 0 ;;
  *) {REAL_PYTHON} ;;
esac"""


@pytest.fixture
def checkout(tmp_path):
    """The Makefile alone, and a path on which there is no Python but those that a test adds."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("pyproject.toml", "constraints.txt"):
        write(folder / name)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "basename", "touch", "mkdir", "chmod"):
        (tools / tool).symlink_to(shutil.which(tool))

    def setup(pythons, *args):
        for name, body in pythons.items():
            write(tools / name, f"#!/bin/sh\n{body}\n")
            (tools / name).chmod(0o755)
        return make("setup", *args, folder=folder, path=str(tools))

    return folder, tools, setup


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ({"python3": GOOD_PYTHON}, "python3"),
        ({"python3.12": BROKEN_SHIM, "python3.11": GOOD_PYTHON, "python3": GOOD_PYTHON}, "3.11"),
        ({"python3.10": GOOD_PYTHON, "python3": TOO_OLD}, "3.10"),
        ({"python3.12": WITHOUT_ENSUREPIP, "python3.11": GOOD_PYTHON}, "3.11"),
    ],
)
def test_setup_takes_the_newest_python_that_works(checkout, pythons, chosen):
    folder, _, setup = checkout
    result = setup(pythons)
    assert result.returncode == 0, result.stderr
    made_by = (folder / "made-by").read_text().split()
    assert made_by[0].endswith(chosen)
    assert made_by[1:] == ["-m", "venv", "--clear", ".venv"]
    installed = (folder / "calls").read_text().splitlines()
    assert installed == [
        "-m pip install -qq -c constraints.txt pip setuptools wheel",
        "-m pip install -qq -c constraints.txt -e .[train,dev]",
    ]
    # Once is enough; newer requirements are installed into the same environment.
    assert "Nothing to be done" in setup({}).stdout
    os.utime(folder / "constraints.txt", (2e9, 2e9))
    (folder / "made-by").unlink()
    assert setup({}).returncode == 0
    assert len((folder / "calls").read_text().splitlines()) > 2
    assert not (folder / "made-by").exists()


def test_gpus_bring_their_libraries(checkout):
    folder, _, setup = checkout
    setup({"python3": GOOD_PYTHON}, "NUM_GPUS=2")
    assert (folder / "calls").read_text().splitlines()[-1].endswith(" .[train,gpu,dev]")


def test_benchmarks_bring_their_peers(checkout):
    folder, _, setup = checkout
    setup({"python3": GOOD_PYTHON})
    result = make("-n", "bench", folder=folder)
    assert "-c constraints.txt -e '.[train,dev,bench]'" in result.stdout
    programs = re.findall(r"-m (benchmarks\.\w+)$", result.stdout, re.MULTILINE)
    assert len(programs) > 3
    for name in programs:
        assert (ROOT / f"{name.replace('.', '/')}.py").is_file(), name


def test_setup_takes_the_python_it_is_given(checkout):
    folder, tools, setup = checkout
    setup({"python3.12": GOOD_PYTHON, "mine": GOOD_PYTHON}, f"PYTHON={tools}/mine")
    assert (folder / "made-by").read_text().startswith(f"{tools}/mine ")


@pytest.mark.parametrize(
    ("pythons", "args", "sentence"),
    [
        ({}, [], "no Python 3.10, 3.11 or 3.12 found; install one, or name it: make PYTHON="),
        ({"python3": TOO_OLD, "python3.11": BROKEN_SHIM}, [], "no Python 3.10, 3.11 or 3.12 found"),
        ({"python3.11": GOOD_PYTHON}, ["PYTHON=/no/such"], "3.12 found as /no/such; install one"),
        ({"python3": WITHOUT_ENSUREPIP}, [], "on Debian and Ubuntu, install the package python3."),
    ],
)
def test_setup_without_a_python_says_so(checkout, pythons, args, sentence):
    folder, _, setup = checkout
    result = setup(pythons, *args)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert result.stderr.count("error:") == 1
    assert not (folder / ".venv").exists()
