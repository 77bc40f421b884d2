"""Work on many images that ends in the middle, and all that it says its results depend on."""

import json
import os
import signal

import pytest


def answer_that_must_come(number):
    """Gets a signal where TensorFlow expects an answer and no exception."""
    signal.raise_signal(number)
    return "an answer"


answer_that_must_come.__code__ = answer_that_must_come.__code__.replace(
    co_filename=os.path.join("site-packages", "tensorflow", "python", "eager", "context.py")
)


class Killed(BaseException):
    """Ends a process without a word, as SIGKILL does."""


def ended_at(patch, module, batch=None, end=None):
    """Ends the work of a module at a batch whose results are known; all are worked on by default.

    Returns:
        A list that receives the ids of the images, or the rows of the boxes, of each batch.
    """
    values, seen = module._values, []

    def ended(*arguments):
        if len(seen) == batch:
            raise end
        inputs = next(one for one in arguments if isinstance(one, dict))
        seen.append(inputs["image_id" if "image_id" in inputs else "row"].numpy().tolist())
        return values(*arguments)

    patch.setattr(module, "_values", ended)
    return seen


def made_with_of(module, call):
    """What the results of a call into a module depend on; nothing is done for it."""

    class AskedError(Exception):
        pass

    def asked(files, made_with, *rest):
        raise AskedError(made_with)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Parts", asked)
        with pytest.raises(AskedError) as caught:
            call()
    return json.loads(json.dumps(caught.value.args[0], default=str))


def differing(one, other):
    """The names of what differs."""
    return {name for name in one | other if one.get(name) != other.get(name)}
