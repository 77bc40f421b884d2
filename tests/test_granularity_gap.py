"""The study of the granularity gap: its file, its table and its resumption, without a training."""

import csv
import itertools
import json
import math
import signal
import subprocess

import numpy as np
import pytest
import yaml
from scipy import stats

from benchmarks.granularity_gap import costs, figure, running, steps, table, text
from benchmarks.granularity_gap.calibrating import calibrated
from benchmarks.granularity_gap.effects import GAP, Numbers, all_effects
from benchmarks.granularity_gap.measures import Measures, Measuring
from benchmarks.granularity_gap.running import Step
from benchmarks.granularity_gap.steps import OWN, Place
from benchmarks.granularity_gap.study import FILE, Reading, nested, read_study
from inatdet.data.formats.detections import DetectionsWriter
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError, RunError
from inatdet.evaluation.average_precision import ground_truth_at
from inatdet.evaluation.resampling import Halves
from inatdet.training.estimates import Span
from tests.evaluation import scenes

IMAGES, HALVES, SEEDS = 40, 30, (1, 2, 3)
LEVELS = ("species", "super", "generic")
ABOUT = {"annotations": "a", "protocol": 1, "images": IMAGES, "halves": HALVES}


@pytest.fixture(scope="module")
def study():
    return read_study(FILE, "mini", seeds=SEEDS)


def by_image(rng, mean, seeds=len(SEEDS)):
    """Numbers around a mean that vary with the run, with the image and with both."""
    shapes = ((seeds, 1), (1, IMAGES), (seeds, IMAGES))
    return mean + sum(scale * rng.normal(size=shape) for scale, shape in zip((1, 4, 4), shapes))


def invented(study, seeds=SEEDS):
    """Numbers by model and key, and the measures of all runs with them."""
    rng = np.random.default_rng(0)
    halves = Halves(np.arange(IMAGES), HALVES)
    parts = np.hstack([np.ones((IMAGES, 1)), halves.parts])
    values = {}
    for model, (own, _) in study.models.items():
        passes = [OWN, *(study.detections if model == "species" else [])]
        readings = Reading if model == "species" else (Reading.NONE, Reading.NMS, Reading.MARGINAL)
        for name, level in itertools.product(passes, LEVELS[LEVELS.index(str(own)) :]):
            for reading in [Reading.NONE] if level == own else readings:
                mean = 20 + 10 * LEVELS.index(level) + (8 if own == level else 0)
                mean += 3 * (reading is Reading.MARGINAL)
                numbers = by_image(rng, mean) @ parts / parts.sum(axis=0)
                values[model, (name, str(reading), level, "AP")] = numbers
                values[model, (name, str(reading), level, "ECE")] = np.abs(numbers) / 10
    recalls = {
        (model, (most, size, measure)): by_image(rng, 50) @ parts / parts.sum(axis=0)
        for model in ("species", "super", "generic")
        for most, size, measure in itertools.product(
            (1, 10, 100, 300), ("all", "small"), ("AR50", "AR")
        )
    }
    runs = {
        (seed, model): Measures(
            ABOUT,
            [OWN],
            {key: one[n] for (of, key), one in values.items() if of == model},
            {key: one[n] for (of, key), one in recalls.items() if of == model},
        )
        for n, seed in enumerate(seeds)
        for model in study.models
    }
    return values, recalls, runs


def interval_by_hand(values):
    """Mean, margin and p-value of numbers `[runs, 1 + halves]`, from the formulas alone."""
    runs, whole, parts = len(values), values[:, 0], values[:, 1:]
    v = parts.mean(axis=0).var()
    w = whole.var(ddof=1) / runs
    u = np.mean([row.var() for row in parts])
    variance = max(v + w - max(u - v, 0) / (runs - 1), v, w)
    freedom = variance**2 / (w**2 / (runs - 1) + max(variance - w, 0) ** 2 / (HALVES - 1))
    error = math.sqrt(variance)
    t = stats.t(freedom)
    return whole.mean(), t.ppf(0.975) * error, 2 * t.sf(abs(whole.mean()) / error)


def test_the_table_is_what_the_formulas_give(study):
    values, _, runs = invented(study)
    rows = {(str(row.level), row.name): row for row in all_effects(Numbers(study, runs))}
    own = {level: values[level, (OWN, "none", level, "AP")] for level in LEVELS}
    for level in ("super", "generic"):
        fine = {r: values["species", (OWN, r, level, "AP")] for r in map(str, Reading)}
        gap = own[level] - fine["none"]
        expected = {
            GAP: (own[level], gap),
            "nms": (fine["nms"], fine["nms"] - fine["none"]),
            "calibrated": (fine["calibrated"], fine["calibrated"] - fine["nms"]),
        }
        for name in ("class_agnostic", "levels", "two_factors"):
            changed = values[name, (OWN, "marginal", level, "AP")]
            expected[name] = changed, changed - fine["marginal"]
        for name, reading in (("mean_box", "marginal"), ("more_kept", "nms")):
            changed = values["species", (name, reading, level, "AP")]
            expected[name] = changed, changed - fine[reading]
        for name, (value, effect) in expected.items():
            row = rows[level, name]
            assert row.seeds == list(SEEDS)
            pairs = [(row.value, value), (row.effect, effect)]
            if row.is_gap:
                assert row.left is None
            else:
                pairs.append((row.left, own[level] - value))
            if (level, name) == ("super", "class_agnostic"):
                both = values["super_class_agnostic", (OWN, "none", level, "AP")]
                pairs.append((row.of_both, both - value))
            else:
                assert row.of_both is None
            for found, numbers in pairs:
                mean, margin, p = interval_by_hand(numbers)
                assert (found.value, found.margin) == (pytest.approx(mean), pytest.approx(margin))
                assert found.p_value == pytest.approx(p)
            if row.is_gap:
                continue
            share = effect[:, 0].mean() / gap[:, 0].mean()
            moved = 100 * (effect - share * gap) / gap[:, 0].mean()
            _, margin, _ = interval_by_hand(moved)
            assert row.share.value == pytest.approx(100 * share)
            assert row.share.margin == pytest.approx(margin)
        variants = [row for (at, _), row in rows.items() if at == level and not row.is_gap]
        assert len(variants) == len(study.variants)
        by_p = sorted(variants, key=lambda row: row.effect.p_value)
        bounds = [min(1, (len(by_p) - n) * row.effect.p_value) for n, row in enumerate(by_p)]
        np.testing.assert_allclose([row.adjusted for row in by_p], np.maximum.accumulate(bounds))
        for row in variants:
            assert (row.verdict == "significant") == (row.adjusted < 0.05)


def test_at_the_species_level_only_what_changes_its_detections_is_shown(study):
    values, _, runs = invented(study)
    for model, key in values:
        if key[0] == "mean_box" and key[2] == "species":
            same = values[model, (OWN, *key[1:])]
            for n, seed in enumerate(SEEDS):
                runs[seed, model].numbers[key][:] = same[n]
    rows = [row for row in all_effects(Numbers(study, runs)) if row.level == "species"]
    names = {row.name for row in rows}
    assert "class_agnostic" in names
    assert "more_kept" in names
    assert names.isdisjoint({GAP, "nms", "marginal", "calibrated", "mean_box"})
    assert all(row.share is row.left is None for row in rows)


def test_runs_that_are_missing_are_left_out_pair_by_pair(study):
    _, _, runs = invented(study)
    del runs[2, "class_agnostic"], runs[1, "generic"]
    rows = {(str(row.level), row.name): row for row in all_effects(Numbers(study, runs))}
    assert rows["generic", "class_agnostic"].seeds == [1, 3]
    assert rows["generic", GAP].seeds == [2, 3]
    assert rows["super", GAP].seeds == [1, 2, 3]
    assert rows["generic", "class_agnostic"].share.runs == 1
    assert rows["generic", "class_agnostic"].left.runs == 1
    assert rows["super", "class_agnostic"].left.runs == 2


def test_a_single_run_is_not_judged(study):
    values, _, runs = invented(study)
    runs = {key: one for key, one in runs.items() if key[0] == 1}
    rows = all_effects(Numbers(study, runs))
    assert {row.verdict for row in rows} == {"one run"}
    assert all(math.isnan(row.adjusted) for row in rows)
    halves = Halves(np.arange(IMAGES), HALVES)
    (row,) = [row for row in rows if row.name == "nms" and row.level == "generic"]
    one, two = (values["species", (OWN, r, "generic", "AP")][0, 1:] for r in ("nms", "none"))
    assert row.effect.std_err == pytest.approx(halves.std_err(one - two))


def test_no_share_of_a_gap_that_may_not_be_there(study):
    values, _, runs = invented(study)
    for n, seed in enumerate(SEEDS):
        own = runs[seed, "super"].numbers[OWN, "none", "super", "AP"]
        own[:] = values["species", (OWN, "none", "super", "AP")][n] - 1
    rows = [row for row in all_effects(Numbers(study, runs)) if row.level == "super"]
    assert all(row.share is None for row in rows)
    assert rows[0].effect.value == pytest.approx(-1)


def test_measures_of_other_images_are_refused(study):
    _, _, runs = invented(study)
    one = runs[1, "super"]
    runs[1, "super"] = Measures(ABOUT | {"images": 7}, one.passes, one.numbers, one.proposals)
    with pytest.raises(InputError, match="several sets of images"):
        Numbers(study, runs)


def test_files_of_the_table(study, tmp_path):
    values, recalls, runs = invented(study)
    numbers = Numbers(study, runs)
    rows = all_effects(numbers)
    table.table_of(rows).to_csv(tmp_path / "gap.csv")
    with open(tmp_path / "gap.csv", newline="") as file:
        saved = list(csv.DictReader(file))
    assert len(saved) == len(rows)
    gap = next(row for row in saved if (row["level"], row["variant"]) == ("super", "gap"))
    assert float(gap["effect_lower"]) < float(gap["effect"]) < float(gap["effect_upper"])
    assert gap["share"] == gap["p_adjusted"] == ""
    shown = text.in_markdown(numbers, rows)
    assert "27 trainings from the seeds 1, 2, 3, evaluated on 40 images" in shown
    assert shown.count("| super | class_agnostic | boxes per class | 3 |") == 1
    assert "## Recall of proposals" in shown
    mean, margin, _ = interval_by_hand(values["levels", (OWN, "nms", "super", "AP")])
    error, off, _ = interval_by_hand(values["levels", (OWN, "nms", "super", "ECE")])
    row = f"| levels | super | nms | 3 | {mean:.1f} ± {margin:.1f} | {error:.1f} ± {off:.1f} |"
    assert shown.count(row) == 1
    assert len(figure.draw(rows).axes) == 2

    found = table.proposal_table(numbers)
    row = next(r for r in found.rows if r[:4] == ("AR50", "all", "100", "generic"))
    mean, margin, _ = interval_by_hand(recalls["generic", (100, "all", "AR50")])
    assert row[5:8] == pytest.approx((mean, mean - margin, mean + margin))
    difference = recalls["generic", (100, "all", "AR50")] - recalls["species", (100, "all", "AR50")]
    mean, margin, _ = interval_by_hand(difference)
    assert row[8:11] == pytest.approx((mean, mean - margin, mean + margin))
    tested = [r for r in found.rows if not math.isnan(r[-1])]
    assert len(tested) == 2 * 4 * 2  # measures, numbers of proposals, coarse models; all sizes


def test_measures_come_back_as_they_were_saved(study, tmp_path):
    _, _, runs = invented(study)
    path = tmp_path / "measures.json"
    runs[1, "species"].save(path)
    again = Measures.load(path)
    assert again.about == ABOUT
    assert again.numbers.keys() == runs[1, "species"].numbers.keys()
    for key, values in again.numbers.items():
        np.testing.assert_allclose(values, runs[1, "species"].numbers[key], atol=1e-5)
    assert (10, "small", "AR") in again.proposals
    assert Measures.load(tmp_path / "none.json") is None
    path.write_text("{")
    with pytest.raises(InputError, match="remove it to measure again"):
        Measures.load(path)


def test_every_preset_names_settings_and_pipelines_that_there_are():
    with open(FILE) as file:
        content = yaml.safe_load(file)
    for preset in content["presets"]:
        study = read_study(FILE, preset)
        assert len(study.models) >= 7
        for level in (study.fine, *study.coarse):
            with open(study.preset.pipeline.format(level=level)) as file:
                assert yaml.full_load(file)["task"]["granularity"] == level
    assert len(read_study(FILE, "mini", ["nms", "levels"]).models) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing",), "--preset=nothing: .* has mini, wild, paper"),
        (("mini", ["nms", "x", "y"]), "--variants=x,y: not among"),
    ],
)
def test_what_the_study_does_not_have(arguments, words):
    with pytest.raises(InputError, match=words):
        read_study(FILE, *arguments)


def test_files_that_are_no_study(tmp_path):
    path = tmp_path / "study.yaml"
    for content in ("", "variants: [", "presets: {mini: {seed: 1}}", "presets: {mini: 3}"):
        path.write_text(content)
        with pytest.raises(InputError, match=r"study\.yaml: cannot be read as a study"):
            read_study(str(path), "mini")


@pytest.mark.parametrize(("name", "level"), [("nms", "super"), ("levels", "genus")])
def test_only_what_is_trained_is_also_trained_at_coarse_levels(tmp_path, name, level):
    with open(FILE) as file:
        content = yaml.safe_load(file)
    content["variants"][name]["also_at"] = [level]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=f"{name}: also_at needs train, and levels among super, g"):
        read_study(str(path), "mini")


def test_dotted_names_become_groups():
    settings = {"a.b.c": 1, "a.b.d": {"x": 2}, "a.e": [3], "f": None}
    assert nested(settings) == {"a": {"b": {"c": 1, "d": {"x": 2}}, "e": [3]}, "f": None}


def test_each_model_is_trained_and_detected_with_as_its_variant_says(study, tmp_path):
    place = Place(str(tmp_path), "data", num_gpus=2)
    found = {model: list(steps.of_model(study, place, 3, model)) for model in study.models}
    names = {model: [step.name for step in these] for model, these in found.items()}
    assert names["species"] == ["train", "own", *study.detections, "proposals"]
    assert names["generic"] == ["train", "own", "proposals"]
    assert names["levels"] == ["train", "own"]
    train = found["levels"][0]
    assert train.settings["task"]["seed"] == 3
    assert train.settings["task"]["granularity"] == "species"
    assert train.settings["task"]["model"]["losses"]["level_weights"] == {
        "super": 0.5,
        "generic": 0.5,
    }
    assert any("runtime.num_gpus=2" in flag for flag in train.arguments)
    kept = next(step for step in found["species"] if step.name == "more_kept")
    assert "task.model.detections.max_detections=1000" in " ".join(kept.arguments)
    assert "--granularities=super,generic" in kept.arguments
    assert "--proposals" in found["super"][-1].arguments


def step_of(tmp_path, *arguments, settings=None):
    return Step("own", str(tmp_path / "run"), arguments, settings or {})


def test_a_step_is_made_once_and_logged(tmp_path):
    step = step_of(tmp_path, "mini", "--help", settings={"a": {"b": 1}})
    assert step.seconds is None
    step.run()
    assert step.seconds >= 0
    assert "inatdet mini --help" in (tmp_path / "run" / "log.txt").read_text()
    step.check()
    other = step_of(tmp_path, "mini", "--help", settings={"a": {"b": 2}})
    with pytest.raises(InputError, match="begun with other settings"):
        other.check()


def test_a_step_that_fails_says_why(tmp_path):
    step = step_of(tmp_path, "mini", "--nothing")
    with pytest.raises(RunError, match=r"log\.txt: inatdet mini ended with code 2: .*nothing"):
        step.run()
    assert step.seconds is None


class Interrupted:
    """A program during which a person presses Ctrl-C."""

    signals = ()

    def __init__(self, command, **options):
        assert options["start_new_session"], "a terminal's Ctrl-C must not reach it twice"

    def wait(self, timeout=None):
        if not self.signals:
            raise KeyboardInterrupt
        return 143

    def send_signal(self, number):
        self.signals = (*self.signals, number)
        Interrupted.ended = self


def test_an_interruption_ends_the_program_and_its_time_counts(tmp_path, monkeypatch):
    step = step_of(tmp_path, "mini", "--help")
    with monkeypatch.context() as patched:
        patched.setattr(running.subprocess, "Popen", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            step.run()
    assert Interrupted.ended.signals == (signal.SIGTERM,)
    assert step.seconds is None
    begun = tmp_path / "run" / "done" / "own.json.begun"
    begun.write_text('{"seconds": 1000}')
    step.run()
    assert step.seconds > 1000


def test_the_time_left_comes_from_what_was_made_and_from_a_plan(tmp_path, monkeypatch):
    made = {"seed1/species": {"train": 100.0, "own": 10.0}, "seed1/super": {"train": 60.0}}
    for folder, done in made.items():
        (tmp_path / folder / "done").mkdir(parents=True)
        for name, seconds in done.items():
            path = tmp_path / folder / "done" / f"{name}.json"
            path.write_text(json.dumps({"seconds": seconds}))
    every = [
        Step(name, str(tmp_path / f"seed{seed}" / model), ["train"])
        for seed in (1, 2)
        for model, names in (("species", ("train", "own")), ("super", ("train", "proposals")))
        for name in names
    ]
    found, unknown = costs.time_left(every, str(tmp_path))
    # Two trainings like their own, one detection; nothing is known of proposals.
    assert found == Span(170.0, 170.0, 170.0)
    assert unknown == 2

    monkeypatch.setattr(costs, "_plan", lambda step, folder: Span(5.0, 4.0, 7.0))
    new = [Step("train", str(tmp_path / "seed3" / model), ["train"]) for model in ("a", "b")]
    assert costs.time_left(new, str(tmp_path)) == (Span(10.0, 8.0, 14.0), 0)


def test_a_plan_is_made_with_the_settings_of_the_training_and_kept(tmp_path, monkeypatch):
    planned = []

    def program(command, **options):
        del options
        planned.append(command)
        (file,) = [flag for flag in command if flag.startswith("--config_file=")]
        with open(file.partition("=")[2]) as settings:
            assert yaml.safe_load(settings) == {"a": 1}
        total = {"likely": 2.0, "least": 1.0, "most": 4.0}
        return subprocess.CompletedProcess(command, 0, json.dumps({"total": total}), "")

    monkeypatch.setattr(costs.subprocess, "run", program)
    folder = str(tmp_path / "seed1" / "species")
    step = Step("train", folder, ["train", f"--config_file={folder}/train.yaml"], {"a": 1})
    for _ in range(2):
        assert costs.time_left([step], str(tmp_path / "plans")) == (Span(2.0, 1.0, 4.0), 0)
    assert len(planned) == 1
    assert planned[0][2:5] == ["inatdet", "plan", "--json"]


def test_calibrated_scores_by_hand():
    """Each half of the images learns from the other, per label, together with the usual share."""
    rng = np.random.default_rng(0)
    annotations = scenes.random_annotations(rng, images=30, boxes=60)
    taxonomy, level = annotations.taxonomy, Granularity.GENERIC
    found = scenes.random_detections(rng, annotations, taxonomy, count=400, ties=False)
    truth = ground_truth_at(annotations, taxonomy, level)
    halves = Halves(truth.image_ids, 3)
    changed = calibrated(found, truth, level, halves)
    right = right_by_hand(truth, found)
    ids = np.sort(truth.image_ids)
    first = np.isin(found.image_ids, ids[halves.parts[:, 0]])
    labels = found.labels[Granularity.SPECIES]
    for row in rng.choice(len(found), 40, replace=False):
        learn = first != first[row]
        curve = [(0.0, 0.0)]
        for low in range(10):
            inside = learn & (np.minimum((found.scores * 10).astype(int), 9) == low)
            if inside.any():
                usual = right[inside].mean()
                own = inside & (labels == labels[row])
                share = (right[own].sum() + 20 * usual) / (own.sum() + 20)
                curve.append((found.scores[inside].mean(), share))
        curve.append((1.0, 1.0))
        expected = np.interp(found.scores[row], *zip(*curve))
        assert changed.scores[row] == pytest.approx(expected)


def right_by_hand(truth, found):
    """COCO's matching at IoU .5 of one class, in plain loops."""
    from tests.evaluation.reference import iou

    right, taken = np.zeros(len(found), bool), set()
    for row in np.argsort(-found.scores, kind="stable"):
        near = [
            (iou(found.boxes[row], truth.boxes[box]), box)
            for box in np.flatnonzero(truth.box_images == found.image_ids[row])
            if box not in taken
        ]
        best = max(near, default=(0.0, -1))
        if best[0] >= 0.5:
            taken.add(best[1])
            right[row] = True
    return right


def test_one_seed_is_compared_as_inatdet_compare_does(tmp_path, study):
    """The numbers that are saved are those of the ordinary programs, halves included."""
    import inatdet

    rng = np.random.default_rng(1)
    annotations = scenes.random_annotations(rng, images=30, boxes=30)
    place = Place(str(tmp_path), str(tmp_path))
    content = {
        "images": [vars_of(image) for image in annotations.images],
        "categories": [
            {"id": c.id, "name": c.name, "supercategory": c.supercategory}
            for c in annotations.categories
        ],
        "annotations": [
            {"id": int(n), "image_id": int(i), "category_id": int(c), "bbox": b.tolist(),
             "area": float(a), "iscrowd": 0}
            for n, i, c, b, a in zip(annotations.box_ids, annotations.image_ids,
                                     annotations.category_ids, annotations.boxes, annotations.areas)
        ],
    }  # fmt: skip
    (tmp_path / "val_2017_bboxes.json").write_text(json.dumps(content))
    truth = inatdet.read_annotations(place.annotations)
    (tmp_path / "records").mkdir()
    truth.taxonomy.save(place.taxonomy_file)
    truth = inatdet.read_annotations(place.annotations, taxonomy=place.taxonomy_file)
    models = {"super": Granularity.SUPER, "generic": Granularity.GENERIC}
    for model, level in models.items():
        found = scenes.random_detections(rng, truth, truth.taxonomy, count=200)
        names = {
            "": level,
            **{str(g): g for g in truth.taxonomy.coarser_or_equal(level)[1:]},
            "proposals": Granularity.GENERIC,
        }
        for name, target in names.items():
            path = (
                place.detections_file(1, model, "proposals")
                if name == "proposals"
                else place.detections_file(1, model, OWN, name)
            )
            some = found.select(found.labels[target] > 0)
            with DetectionsWriter(path, target, truth.taxonomy) as writer:
                writer.append(some.image_ids, some.labels[target], some.scores, some.boxes)
    measuring = Measuring(study, place, HALVES)
    for model in models:
        assert not measuring.is_done(1, model)
        measuring.measure(1, model)
        assert measuring.is_done(1, model)
    assert not Measuring(study, place, HALVES + 1).is_done(1, "super")
    saved = {
        model: Measures.load(place.measures_file(1, model)).numbers[OWN, "none", "generic", "AP"]
        for model in models
    }
    first, second = (
        inatdet.read_detections(place.detections_file(1, model, OWN), truth, granularity=level)
        for model, level in models.items()
    )
    compared = inatdet.compare(truth, first, second, resamples=HALVES)
    (row,) = [row for row in compared.results.rows if row.measure == "AP"]
    halves = Halves(np.arange(compared.results.images), HALVES)
    difference = saved["generic"] - saved["super"]
    assert difference[0] == pytest.approx(row.change, abs=1e-4)
    assert halves.std_err(difference[1:]) == pytest.approx(row.change.std_err, abs=1e-4)


def vars_of(image):
    return {
        "id": image.id,
        "file_name": image.file_name,
        "width": image.width,
        "height": image.height,
    }
