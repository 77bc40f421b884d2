import pytest

from inatdet.classification.experiments import read_experiment, register
from inatdet.classification.task import ClassifierTask
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from inatdet.training.config import scale_to_replicas
from tests import records


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("task.model.network=inception_v4", "there is no network 'inception_v4'; is inception_v3"),
        ("task.model.batch_norm=none", "task.model.batch_norm is 'none'; it must be one of frozen"),
        ("task.model.batch_norm=synchronised,task.accumulate_steps=2", "which is impossible with"),
        ("task.model.frozen_until=mixed_5", "must be one of mixed0, mixed1"),
        (
            "task.model.frozen_until=mixed5,task.model.network=inception_v3_se",
            "names a block of inception_v3; with inception_v3_se, leave it out",
        ),
        ("task.model.dropout=1", "task.model.dropout is 1; it must be below 1"),
        ("task.model.label_smoothing=1.1", "must lie between 0 and 1"),
        ("task.augmentation.color_share=-0.1", "must lie between 0 and 1"),
        ("task.central_fraction=0", "task.central_fraction is 0; it must be above 0 and at most 1"),
        ("task.central_fraction=1.5", "it must be above 0 and at most 1"),
        ("task.augmentation.min_area=.9,task.augmentation.max_area=.8", "area of 0.9 to 0.8"),
        ("task.augmentation.min_aspect=2", "aspect of 2 to 1.33; the least must be above 0"),
        ("task.augmentation.min_aspect=0", "the least must be above 0"),
        ("task.view=frame", "task.view is 'frame'; it must be one of image, box"),
        ("task.box.context=-0.1", "task.box.context is -0.1; it must be from 0 to 9"),
        ("task.box.context=.nan", "task.box.context is nan; it must be"),
        ("task.box.central_fraction=0", "task.box.central_fraction is 0; it must be above 0"),
        ("task.image_size=0", "task.image_size is 0; it must be above 0"),
        ("task.short_edge=600", "unknown setting task.short_edge"),
        ("trainer.optimizer_config.ema.average_decay=1.2", "it must be from 0 to 1"),
    ],
)
def test_settings_that_are_wrong(override, words):
    with pytest.raises(InputError) as refused:
        read_experiment([], override)
    assert words in str(refused.value)


def test_averages_may_be_turned_off(tmp_path):
    (tmp_path / "a.yaml").write_text("trainer: {optimizer_config: {ema: null}}")
    params = read_experiment([str(tmp_path / "a.yaml")])
    optimizer = ClassifierTask.create_optimizer(params.trainer.optimizer_config)
    assert type(optimizer).__name__ == "RMSPropFromOne"


@pytest.mark.parametrize("replicas", [1, 8])
def test_the_schedule_is_stated_for_32_images(replicas):
    params = read_experiment()
    scale_to_replicas(params, replicas)
    schedule = params.trainer.optimizer_config.learning_rate.exponential
    assert schedule.initial_learning_rate == pytest.approx(0.0045 * replicas)
    assert schedule.decay_steps == round(4 * 18_099 / replicas)
    assert params.trainer.train_steps == round(80 * 18_099 / replicas)
    assert params.trainer.optimizer_config.ema.average_decay == 0.9999


def test_registration_may_be_repeated():
    for _ in range(2):
        register()


def test_as_many_labels_as_the_level_has(tmp_path, tiny_network):
    records.taxonomy().save(tmp_path / "taxonomy.json")
    for level in ("species", "super"):
        params = read_experiment(
            [], f"task.taxonomy={tmp_path}/taxonomy.json,task.granularity={level}"
        )
        classes = records.taxonomy().num_labels(Granularity(level))
        assert ClassifierTask(params.task).build_model().num_classes == classes
