"""What TensorFlow and Model Garden report while a program runs."""

from __future__ import annotations

import tensorflow as tf
from absl import flags, logging


def quiet_libraries(values: flags.FlagValues) -> None:
    """Suppresses the libraries' messages for developers, unless --verbosity asks for them."""
    if not values["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
        tf.get_logger().setLevel("ERROR")
