"""A plan of training, for people."""

from __future__ import annotations

from collections.abc import Iterator

from inatdet.outputs import gigabytes
from inatdet.training.durations import duration
from inatdet.training.estimates import Preparation, Span, TrainingPlan

_SHAPES = 4  # of images that are listed at most


def in_words(plan: TrainingPlan) -> str:
    """Lines of a name and what is to be said of it."""
    lines = dict(_lines(plan))
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items())


def range_of(span: Span) -> str:
    """`4 min to 5 min 10 s`, or one duration where both are the same in words."""
    least, most = duration(span.least), duration(span.most)
    return least if least == most else f"{least} to {most}"


def _lines(plan: TrainingPlan) -> Iterator[tuple[str, str]]:
    if "train" in plan.mode:
        yield "epoch", _epoch(plan)
        yield "steps", _steps(plan)
        if not plan.steps:
            return
        if plan.preparation:
            yield plan.preparation.what, _preparation(plan.preparation)
    yield "first step", f"{duration(plan.start)} after the start, which is building and compiling"
    if "train" in plan.mode:
        yield "a step", _step(plan)
        if len(plan.shapes) > 1:
            yield "by image", _shapes(plan)
        yield "training", range_of(plan.training)
    if plan.validations:
        yield "validation", _validation(plan)
    if plan.checkpoints:
        yield "checkpoints", _checkpoints(plan)
    yield "memory", _memory(plan)
    yield "in all", f"{range_of(plan.total)}, if the machine stays as busy as it is now"


def _epoch(plan: TrainingPlan) -> str:
    if plan.images_per_epoch is None:
        return "an unknown number of images, as no summary beside the records says it"
    return f"{plan.images_per_epoch:,.0f} images"


def _steps(plan: TrainingPlan) -> str:
    epochs = plan.epochs(plan.last_step)
    images = plan.last_step * plan.images_per_step
    text = f"{plan.last_step:,} of {plan.images_per_step:,} images, {images:,} images"
    if epochs is not None:
        text += f", {epochs:,.1f} epochs"
    if not plan.steps:
        return f"{text}; all are done"
    if plan.first_step:
        text += f"; {plan.first_step:,} are done and {plan.steps:,} are left"
    return text


def _preparation(preparation: Preparation) -> str:
    images = f"of {preparation.images:,} images"
    if not preparation.bytes:
        return f"{images}, which are there"
    size, free = gigabytes(preparation.bytes), gigabytes(preparation.free_bytes)
    return f"{images}, once, in {range_of(preparation.time)}; {size}, where {free} are free"


def _step(plan: TrainingPlan) -> str:
    step = plan.step
    rate = plan.images_per_step / step.likely
    return (
        f"{step.least:.3g} to {step.most:.3g} s, {rate:,.1f} images/s; {plan.measured_steps} steps "
        "were measured"
    )


def _shapes(plan: TrainingPlan) -> str:
    shapes = plan.shapes
    if len(shapes) > _SHAPES:  # from the smallest to the largest
        places = [place * (len(shapes) - 1) // (_SHAPES - 1) for place in range(_SHAPES)]
        shapes = tuple(shapes[place] for place in places)
    listed = ", ".join(f"{one.height}x{one.width} {one.seconds:.3g} s" for one in shapes)
    more = f"; {len(plan.shapes)} sizes were met" if len(plan.shapes) > len(shapes) else ""
    return f"{listed}{more}"


def _validation(plan: TrainingPlan) -> str:
    images = "" if plan.validation_images is None else f" of {plan.validation_images:,} images"
    times = "once" if plan.validations == 1 else f"{plan.validations:,} times"
    return f"{times}, {range_of(plan.validation)} each{images}"


def _checkpoints(plan: TrainingPlan) -> str:
    text = (
        f"{plan.checkpoints:,} of {gigabytes(plan.checkpoint_bytes)}, {plan.saving:.2g} s each; at "
        f"most {gigabytes(plan.disk_bytes)} on the disk at a time"
    )
    if plan.free_bytes is None:
        return text
    return f"{text}, where {gigabytes(plan.free_bytes)} are free"


def _memory(plan: TrainingPlan) -> str:
    parts = [f"{gigabytes(plan.memory_bytes)} at the most so far"]
    parts += [f"{gigabytes(size)} of {name}" for name, size in plan.device_memory_bytes.items()]
    if plan.cached_bytes:
        parts.append(f"up to {gigabytes(plan.cached_bytes)} more for the records that are cached")
    return ", ".join(parts)
