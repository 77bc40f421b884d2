"""What a training run can do; known without TensorFlow, for the help of the program."""

WATCH = "continuous_eval"
"""Compute the validation losses of each checkpoint that another process saves."""

MODES = ("train", "eval", "train_and_eval", WATCH)
"""Train, compute the validation losses, both, or the latter for each new checkpoint."""
