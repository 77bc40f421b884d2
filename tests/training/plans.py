"""A plan of training, made up."""

from inatdet.training.estimates import ShapeTime, Span, TrainingPlan


def plan(**changed):
    """A run of 1,000 steps, 400 of which are done, with some values changed."""
    values = {
        "mode": "train_and_eval",
        "images_per_epoch": 800.0,
        "images_per_step": 8,
        "first_step": 400,
        "last_step": 1000,
        "start": 20.0,
        "step": Span(0.5, 0.4, 0.7),
        "measured_steps": 40,
        "shapes": (ShapeTime(96, 128, 20, 0.4), ShapeTime(128, 224, 20, 0.6)),
        "validations": 3,
        "validation_images": 50,
        "validation": Span(10.0, 9.0, 12.0),
        "checkpoints": 4,
        "checkpoint_bytes": 15_000_000,
        "saving": 0.5,
        "disk_bytes": 45_000_000,
        "free_bytes": 80_000_000_000,
        "memory_bytes": 1_200_000_000,
        "device_memory_bytes": {},
        "cached_bytes": 3_000_000,
    }
    return TrainingPlan(**values | changed)
