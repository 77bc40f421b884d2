import pytest
import tensorflow as tf

from inatdet.errors import RunError
from inatdet.training import durations, progress


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"), (0.4, "0 s"), (59, "59 s"), (60, "1 min"), (75, "1 min 15 s"),
        (3600, "1 h"), (3661, "1 h 1 min"), (90_000, "1 d 1 h"), (86_400, "1 d"),
    ],
)  # fmt: skip
def test_duration(seconds, text):
    assert durations.duration(seconds) == text


def output_of(**values):
    return {name.replace("__", "/"): tf.constant(value) for name, value in values.items()}


def test_the_line_has_step_losses_speed_and_time_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    step, lines = tf.Variable(0, dtype=tf.int64), []
    line = progress.ProgressLine(step, total_steps=300, images_per_step=8, notify=lines.append)
    line.start()
    step.assign(100)
    now[0] += 40.0  # .4 s a step: 20 images/s, 80 s for the 200 steps left
    output = output_of(training_loss=1.5, loss__classes=1.0, loss__boxes=0.5)
    line(output)
    assert lines == [
        "step 100/300 | loss 1.500 (classes 1.000, boxes 0.500) | 20.0 images/s | 1 min 20 s left"
    ]
    assert float(output["images_per_second"]) == pytest.approx(20.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run(bad):
    stop = progress.StopOnBadLoss(tf.Variable(70), lambda: "model/ckpt-50")
    stop(output_of(training_loss=1.0, loss__classes=1.0, sampled__proposals=float("nan")))
    with pytest.raises(RunError, match=r"by step 70: loss/classes; .*model/ckpt-50"):
        stop(output_of(training_loss=1.0, loss__classes=bad))


def test_the_images_that_may_be_why_are_named():
    steps = {63: [3, 4], 62: [5], 61: []}
    stop = progress.StopOnBadLoss(tf.Variable(70), lambda: None, lambda: steps)
    words = "classes; step 63 saw the images 3, 4; step 62 saw the image 5; nothing was saved yet; "
    with pytest.raises(progress.BadLossError, match=words):
        stop(output_of(loss__classes=float("nan")))
    steps[63] = list(range(100))
    with pytest.raises(progress.BadLossError, match=r" 30, 31 and 68 more; step 62"):
        stop(output_of(loss__classes=float("nan")))


def test_a_loss_above_the_bound_from_a_step_on():
    step = tf.Variable(70)
    stop = progress.StopOnBadLoss(step, lambda: None, largest=10.0, from_step=71)
    stop(output_of(training_loss=11.0))
    step.assign(71)
    stop(output_of(training_loss=10.0, loss__classes=12.0))
    with pytest.raises(progress.BadLossError, match="by step 71, training_loss is 11, above 10; "):
        stop(output_of(training_loss=11.0))
