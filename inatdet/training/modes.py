"""What a training run can do; known without TensorFlow, for the help of the program."""

MODES = ("train", "eval", "train_and_eval")
"""Train, compute the validation losses, or both."""
