"""What TensorFlow and Model Garden say while a program runs, and what their errors mean."""

from __future__ import annotations

import errno
import os
import re
import sys

from absl import flags, logging

from inatdet.programs import native_logs

_FILE_ERRORS = (
    *(errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.EFBIG, errno.EIO, errno.EISDIR),
    *(errno.ENOENT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS, errno.ESTALE),
)
_OF_A_FILE = re.compile(
    r"(?:^|\}\} |\s)(\S[^;\n]*); ("
    + "|".join(re.escape(os.strerror(number)) for number in _FILE_ERRORS)
    + ")"
)
"""TensorFlow's words for an error of the system: `/folder/file; No such file or directory`."""


def quiet_libraries(values: flags.FlagValues) -> None:
    """Suppresses the libraries' messages for developers, unless --verbosity asks for them.

    So does TF_CPP_MIN_LOG_LEVEL=0 in the environment, for those of TensorFlow's C++ code. This
    loads TensorFlow.
    """
    asked_for = values["verbosity"].present
    if asked_for:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    elif os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "3" and "tensorflow" not in sys.modules:
        native_logs.hide()
    import tensorflow as tf

    if not asked_for:
        logging.set_verbosity(logging.WARNING)
        tf.get_logger().setLevel("ERROR")


def words_for(error: Exception) -> tuple[str, int] | None:
    """A sentence and an exit code for an error of TensorFlow's that is none of the program's.

    Args:
        error: any.

    Returns:
        What to say, and the code; None for all others. TensorFlow need not be loaded.
    """
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
        return None
    text = str(error)
    reason = " ".join(text.split())[:200]
    if of_a_file := _OF_A_FILE.search(text):
        path = of_a_file[1].rpartition("}} ")[2]
        return f"{path}: {of_a_file[2]}; check the path, its permissions and the disk", 2
    if isinstance(error, tensorflow.errors.ResourceExhaustedError):
        return (
            f"a device or disk is full ({reason}); use smaller batches or images, or free space",
            1,
        )
    if isinstance(error, tensorflow.errors.DataLossError):
        return f"a file is damaged ({reason}); copy it or write it again", 2
    if isinstance(error, tensorflow.errors.UnavailableError):
        return f"something cannot be reached ({reason}); run the same command again later", 1
    return None
