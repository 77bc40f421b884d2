"""Networks that classify whole images: the nine of the paper's Table 3, or others by their names.

Each is built up to its last features, without pooling and without the layer of its classes.
Inception V3 is the detector's own network with the padding of classification; the others are those
of `tf_keras.applications`. Squeeze-and-excitation puts gates on the non-identity branch of each
residual block, before it is scaled and added, and on each concatenation of an Inception block
[Hu et al., "Squeeze-and-Excitation Networks", 2018]; the reductions of Inception-ResNet-V2 are
concatenations too, of which the authors say nothing: ours have gates.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import re
from collections.abc import Callable
from types import ModuleType

import tensorflow as tf
import tf_keras
from official.modeling import hyperparams

from inatdet.errors import InputError
from inatdet.networks import backbones, inception_v3, keras_files
from inatdet.networks.config import BackboneConfig
from inatdet.networks.inception_v3 import BatchNorm, Padding
from inatdet.networks.squeeze_and_excitation import excited

_INCEPTION_V3 = "InceptionV3"

# What gets gates: whole names of layers in each network.
_EXCITED = {
    _INCEPTION_V3: r"mixed\d+",
    "InceptionResNetV2": r"mixed_\d[ab]|block\d+_\d+_conv",
}


@dataclasses.dataclass(frozen=True)
class Network:
    """A network.

    Attributes:
        title: what tables call it.
        builder: its name in `tf_keras.applications`.
        dropout: the share of the pooled features that training drops before the last layer: .5 of
            the ResNets "drp" [paper]; of the Inception networks and MobileNet [the authors' code,
            visipedia/tf_classification].
        squeeze: whether it has squeeze-and-excitation.
        is_model_garden: whether it is a backbone of Model Garden's registry, by that name.
    """

    title: str
    builder: str
    dropout: float = 0.0
    squeeze: bool = False
    is_model_garden: bool = False


TABLE_3 = {
    "inception_resnet_v2_se": Network("IncResNetV2 SE", "InceptionResNetV2", 0.5, squeeze=True),
    "inception_resnet_v2": Network("IncResNetV2", "InceptionResNetV2", 0.5),
    "inception_v3_se": Network("IncV3 SE", _INCEPTION_V3, 0.5, squeeze=True),
    "inception_v3": Network("IncV3", _INCEPTION_V3, 0.5),
    "resnet_152_drp": Network("ResNet152 drp", "ResNet152", 0.5),
    "resnet_101_drp": Network("ResNet101 drp", "ResNet101", 0.5),
    "resnet_152": Network("ResNet152", "ResNet152"),
    "resnet_101": Network("ResNet101", "ResNet101"),
    "mobilenet_v1": Network("MobileNet V1", "MobileNet", 0.5),
}
"""The nine of Table 3 by the name that `task.model.network` has, in the table's order."""


def find(name: str) -> Network:
    """The network of a name.

    Args:
        name: one of `TABLE_3`, or as `tf_keras.applications` calls it: `EfficientNetB0`; or one of
            `backbones.MODEL_GARDEN`.

    Raises:
        InputError: there is none.
    """
    if name in TABLE_3:
        return TABLE_3[name]
    if name in _modules():
        return Network(name, name)
    if name in backbones.MODEL_GARDEN:
        return Network(name, name, is_model_garden=True)
    known = [*TABLE_3, *_modules(), *backbones.MODEL_GARDEN]
    close = difflib.get_close_matches(name, known, n=1)
    raise InputError(
        f"there is no network {name!r}; "
        + (f"is {close[0]} meant? It" if close else "it")
        + f" must be one of {', '.join(TABLE_3)}, of tf_keras.applications, such as ResNet50, or "
        f"of Model Garden: {', '.join(backbones.MODEL_GARDEN)}"
    )


@functools.cache
def _modules() -> dict[str, ModuleType]:
    """Where Keras' networks live, by their names."""
    applications = tf_keras.applications
    return {
        name: module
        for _, module in inspect.getmembers(applications, inspect.ismodule)
        for name, builder in inspect.getmembers(module, inspect.isfunction)
        if name[0].isupper() and "include_top" in inspect.signature(builder).parameters
    }


def scale_pixels(network: Network, image: tf.Tensor) -> tf.Tensor:
    """Scales pixels in the way in which the weights of a network were trained.

    Args:
        network: decides how: to [-1, 1], or to blue, green, red without ImageNet's means, …
        image: `[batch, height, width, 3]`, red, green, blue in 0..255.

    Returns:
        float32 of the same shape.
    """
    if network.is_model_garden:
        return backbones.standardized(tf.cast(image, tf.float32))
    preprocess: Callable[[tf.Tensor], tf.Tensor] = _modules()[network.builder].preprocess_input
    return preprocess(tf.cast(image, tf.float32))


def build(
    network: Network,
    weights: str = "",
    batch_norm: BatchNorm = BatchNorm.TRAINED,
    momentum: float = 0.99,
    width: float = 1.0,
    settings: hyperparams.Config | None = None,
    frozen_until: str = "",
) -> tf_keras.Model:
    """Builds a network up to its last features.

    Args:
        network: which one.
        weights: `imagenet`, which downloads Keras' file; the path of such a file, without the layer
            of ImageNet's classes, of a backbone of Model Garden's a checkpoint of its image
            classification; or '' for random weights. Gates are always random.
        batch_norm: which statistics batch norm uses in training.
        momentum: of its moving statistics.
        width: factor on every number of filters of Inception V3; 1 is Inception V3.
        settings: of a backbone of Model Garden's, under its name in Model Garden's choice of them.
        frozen_until: the last block of Inception V3 that is not trained, with all before it; '' for
            none.

    Returns:
        A model from images scaled by `scale_pixels`, of any height and width, to features
        `[batch, height, width, channels]`.

    Raises:
        InputError: the weights are missing, damaged, or of another network, or there is no such
            width of the network.
    """
    if network.builder == _INCEPTION_V3:
        pyramid = inception_v3.pyramid(Padding.VALID, width, batch_norm, momentum, frozen_until)
        if weights:
            inception_v3.load_pretrained([pyramid], _weights_file(network, weights))
        model = tf_keras.Model(pyramid.input, pyramid.output["5"], name="inception_v3")
    elif width != 1.0:
        raise InputError(
            f"the width is {width}, which only Inception V3 can have; set it to 1 for "
            f"{network.title}"
        )
    elif network.is_model_garden:
        model = _model_garden(network.builder, weights, batch_norm, momentum, settings)
    else:
        model = _application(network.builder, batch_norm, momentum)
        if weights:
            _load(model, network, _weights_file(network, weights))
    if network.squeeze:
        named = re.compile(_EXCITED[network.builder])
        model = excited(model, lambda layer: named.fullmatch(layer.name) is not None)
    return model


def _model_garden(
    name: str,
    weights: str,
    batch_norm: BatchNorm,
    momentum: float,
    settings: hyperparams.Config | None,
) -> tf_keras.Model:
    """A backbone of Model Garden's up to the features of its coarsest level."""
    config = BackboneConfig(
        type=name, weights=weights, batch_norm=batch_norm.value, batch_norm_momentum=momentum
    )
    if settings is not None:
        config.override({name: settings.as_dict()})
    backbones.check(config)
    whole = backbones.whole(config)
    if weights:
        backbones.load_pretrained(config, whole)
    return tf_keras.Model(whole.input, whole.output[max(whole.output, key=int)], name=name)


def _application(builder: str, batch_norm: BatchNorm, momentum: float) -> tf_keras.Model:
    """A network of Keras' with random weights and batch norm as asked for."""
    build_it = getattr(_modules()[builder], builder)
    model = build_it(include_top=False, weights=None, input_shape=(None, None, 3))

    def with_settings(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        config = layer.get_config()
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            config |= {
                "momentum": momentum,
                "synchronized": batch_norm is BatchNorm.SYNCHRONIZED,
            }
        return layer.__class__.from_config(config)

    return tf_keras.models.clone_model(model, clone_function=with_settings)


def _weights_file(network: Network, weights: str) -> str:
    """The path of a network's weights; see `build`."""
    file = keras_files.FILES.get(network.builder)
    if file is None:
        if weights == keras_files.IMAGENET:
            raise InputError(
                f"the weights are {weights}, whose address is known for "
                f"{', '.join(keras_files.FILES)} only; for {network.title}, give the path of "
                "Keras' file without its top"
            )
        described = f"Keras' weights of {network.builder} without its top"
        file = keras_files.KerasFile("", described, None)
    return keras_files.find(weights, file)


def _load(model: tf_keras.Model, network: Network, path: str) -> None:
    """Reads Keras' weights into a network of Keras'."""
    try:
        model.load_weights(path)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: not the weights of {network.title} without its top, or damaged ({reason}); "
            "give Keras' own file"
        ) from error
