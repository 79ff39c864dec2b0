"""Layers of a Keras 2 model beside those of a Keras 3 model, inside models and wrappers, too."""

from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import keras
import numpy as np
from keras.src.models.functional import Functional

from freeconv.layers.base_free_conv import BaseFreeConv
from freeconv.layers.locally_connected import kernels, settings


class LegacyLayer(NamedTuple):
    """A layer of a Keras 2 model.

    Attributes:
        class_name: of its class, `None` where it is not known.
        config: its configuration.
        weights: list of arrays; `None` for a layer inside another one, whose weights that one has.
        saved: whether `weights` are in the order of a file, in which all those to be trained come
            first, and not in that of `get_weights()`.
    """

    class_name: str | None
    config: dict
    weights: list | None = None
    saved: bool = False

    @classmethod
    def of(cls, config, weights=None, saved=False):
        """Takes a configuration with or without its class."""
        return cls(*settings.unwrapped(config), weights, saved)

    @property
    def is_input(self):
        """Whether it is an `InputLayer`, of which Keras 3 may have none."""
        told = self.class_name == "InputLayer"
        shape = {"batch_input_shape", "batch_shape"} & set(self.config)
        return told or (self.class_name is None and "trainable" not in self.config and bool(shape))


@dataclass
class Node:
    """A layer with weights, and those inside it.

    Attributes:
        layer: the layer of Keras 3.
        legacy: the one of Keras 2.
        path: names of the layers from the model to this one.
        trainable: whether the legacy layer's weights were to be trained.
        children: nodes of the layers inside it.
        values: number -> array, of its own variables (not its children's).
    """

    layer: Any
    legacy: LegacyLayer
    path: str
    trainable: bool
    children: list = field(default_factory=list)
    values: dict = field(default_factory=dict)

    @classmethod
    def of(cls, layer, legacy, around="", trainable=None):
        """Compares a layer with a legacy one, and all inside them.

        Args:
            layer: a built layer.
            legacy: a `LegacyLayer`.
            around: path of what it is inside of.
            trainable: what is said of that, for a layer of which nothing is said.

        Raises:
            ValueError: where they differ, with the path.
        """
        path = f"{around}{layer.name}"
        settings.check_alike(layer, legacy.class_name, legacy.config, path)
        if isinstance(layer, BaseFreeConv):
            settings.check_whole(layer, path)
        trainable = legacy.config.get("trainable", trainable)
        node = cls(layer, legacy, path, layer.trainable if trainable is None else trainable)
        node.children = [
            cls.of(child, inside, f"{path}/", trainable) for child, inside in _inside(node)
        ]
        return node

    def variables(self):
        """Returns its own variables, those to be trained first, as Keras stores them."""
        # Not `weights`, in whose order it matters whether the new layer is trainable.
        return [*self.layer._trainable_variables, *self.layer._non_trainable_variables]

    def own(self):
        """Returns the places (node, number) of its own weights, trained ones and others."""
        layer, count = self.layer, len(self.layer._trainable_variables)
        places = [(self, number) for number in range(len(self.variables()))]
        trained, others = places[:count], places[count:]
        if isinstance(layer, keras.layers.Normalization) and len(places) == 2:
            others = [*others, (self, None)]  # the count of images, which some Keras versions lack
        return trained, others

    def split(self):
        """Returns the places of the weights that Keras 2 trained, and of the others."""
        trained, others = self.own()
        pairs = [child.split() for child in self.children]
        inner = [place for pair in pairs for place in pair[0]]
        if self.trainable:
            return trained + inner, others + [place for pair in pairs for place in pair[1]]
        if isinstance(self.layer, keras.Model):
            return [], inner + [place for pair in pairs for place in pair[1]] + trained + others
        return [], trained + others + [place for child in self.children for place in child.places()]

    def places(self):
        """Returns the places of all weights, in the order of `get_weights()` of Keras 2."""
        if isinstance(self.layer, keras.Model):
            inner = [place for child in self.children for place in child.places()]
            return [*inner, *chain(*self.own())]
        return list(chain(*self.split()))

    def take(self, weights, saved):
        """Hands arrays to their layers.

        Raises:
            ValueError: where numbers or shapes differ.
        """
        places = list(chain(*self.split())) if saved else self.places()
        if len(places) != len(weights):
            raise ValueError(
                f"Layer '{self.path}' must have as many weights as the legacy layer. Received: "
                f"{len(weights)} arrays for {len(places)} weights."
            )
        for (node, number), array in zip(places, weights, strict=True):
            if number is not None:
                node.values[number] = np.asarray(array)
        for node in self.all():
            node.convert()

    def convert(self):
        """Turns the arrays of the legacy layer into those of this one."""
        arrays = [self.values[number] for number in sorted(self.values)]
        if isinstance(self.layer, BaseFreeConv):
            arrays = kernels.converted(self.layer, self.legacy.config, arrays)
        for variable, array in zip(self.variables(), arrays, strict=True):
            if tuple(variable.shape) != array.shape:
                raise ValueError(
                    f"Weight '{variable.name}' of layer '{self.path}' must have the shape of the "
                    f"legacy layer's. Received: {tuple(variable.shape)}, of the legacy layer "
                    f"{array.shape}."
                )
        self.values = dict(enumerate(arrays))

    def assign(self):
        """Gives its layer the weights."""
        for variable, array in zip(self.variables(), self.values.values(), strict=True):
            variable.assign(array)
        if self.values and isinstance(self.layer, keras.layers.Normalization):
            self.layer.finalize_state()

    def all(self):
        """Yields itself and all inside it."""
        yield self
        for child in self.children:
            yield from child.all()


def nodes_of(model, layers):
    """Returns a node for every layer with weights of a model, none of them assigned yet.

    Args:
        model: a built model.
        layers: list of `LegacyLayer`, of the legacy model.

    Raises:
        ValueError: where anything differs.
    """
    nodes = [Node.of(layer, legacy) for layer, legacy in _paired(model, layers, model.name)]
    for node in nodes:
        node.take(node.legacy.weights, node.legacy.saved)
    return nodes


def _inside(node):
    """Returns pairs of the layers with weights inside a layer, and the legacy ones."""
    layer, config = node.layer, node.legacy.config
    parts = [(child, LegacyLayer(None, {})) for child in _layers(layer) if child.weights]
    if settings.says_nothing(config):
        return parts
    _check_parts(layer, config, node.path)
    if "layers" in config:
        return _paired(layer, [LegacyLayer.of(each) for each in config["layers"]], node.path)
    legacy = [LegacyLayer.of(each) for each in _wrapped(layer, config)]
    if not legacy:
        return parts  # of which the configuration of the layer says all
    children = _layers(layer)
    if len(legacy) != len(children):
        raise _other_number(node.path, len(legacy), len(children))
    return list(zip(children, legacy, strict=True))


def _check_parts(layer, config, path):
    """Raises ValueError where one layer is made of layers, or wraps one, and the other does not."""
    graph = isinstance(layer, (keras.Sequential, Functional))
    wrapper = isinstance(layer, (keras.layers.Wrapper, keras.layers.Bidirectional))
    if graph:
        alike = "layers" in config
    elif wrapper:
        alike = "layer" in config
    else:
        alike = "layers" not in config or isinstance(layer, keras.Model)
    if not alike:
        raise ValueError(
            f"Layer '{path}' must be made of the layers that the legacy layer has inside it. "
            f"Received: a {type(layer).__name__} for a configuration of {sorted(config)}."
        )


def _wrapped(layer, config):
    """Returns the configurations of the layers inside a legacy layer that is no model."""
    if not isinstance(layer, keras.layers.Bidirectional):
        return config.get("cells") or [config[key] for key in ("layer", "cell") if key in config]
    forward = config["layer"]
    turned = {"go_backwards": not forward["config"].get("go_backwards", False)}
    backward = {**forward, "config": {**forward["config"], **turned}}
    return [forward, config.get("backward_layer") or backward]


def _paired(model, legacy, path):
    """Pairs the layers of a model that have weights with legacy ones, and checks the others."""
    legacy = [each for each in legacy if not each.is_input]
    layers = [each for each in _layers(model) if not isinstance(each, keras.layers.InputLayer)]
    weighted = [layer for layer in layers if layer.weights]
    chosen = _chosen(weighted, legacy, path)
    if len(chosen) != len(weighted):
        raise _other_number(path, len(chosen), len(weighted))
    taken = set(map(id, chosen))
    _check_weightless(
        [layer for layer in layers if not layer.weights],
        [each for each in legacy if id(each) not in taken],
        path,
    )
    return list(zip(weighted, chosen, strict=True))


def _chosen(layers, legacy, path):
    """Returns the legacy layers that have weights, in the order of those of Keras 3."""
    names = [layer.name for layer in layers]
    named = {each.config.get("name"): each for each in legacy}
    if any(each.weights is not None for each in legacy):
        with_weights = [each for each in legacy if each.weights]
        if {each.config.get("name") for each in with_weights} == set(names):
            return [named[name] for name in names]
        return with_weights
    if set(names) <= set(named):
        return [named[name] for name in names]
    return _of_classes(layers, legacy, path)


def _of_classes(layers, legacy, path):
    """Returns for each layer, in order, the next legacy one that may be its counterpart."""
    chosen, rest = [], iter(legacy)
    for layer in layers:
        chosen += [next((each for each in rest if settings.may_be(layer, each.class_name)), None)]
        if chosen[-1] is None:
            raise ValueError(
                f"Layer '{path}/{layer.name}' must have a counterpart in the legacy model. "
                f"Received: a {type(layer).__name__}, where that has "
                f"{[each.class_name for each in legacy]}."
            )
    return chosen


def _check_weightless(layers, legacy, path):
    """Raises ValueError where layers without weights compute otherwise than the legacy ones.

    There may be other ones, and more or fewer of those that make no difference: what is compared
    are layers of one class, where there are as many of them, and all activations.
    """
    for name in dict.fromkeys(each.class_name for each in legacy):
        ours = [layer for layer in layers if name in (None, type(layer).__name__)]
        theirs = [each for each in legacy if each.class_name == name]
        for layer, each in zip(ours, theirs, strict=False) if len(ours) == len(theirs) else ():
            Node.of(layer, each, f"{path}/")
    ours = [layer.activation for layer in layers if hasattr(layer, "activation")]
    theirs = [each.config["activation"] for each in legacy if "activation" in each.config]
    ours = [each for each in ours if each is not keras.activations.linear]
    theirs = [each for each in theirs if each not in (None, "linear")]
    if len(ours) != len(theirs) or not all(map(settings.same_activation, theirs, ours)):
        raise ValueError(
            f"'{path}' must have the activations of the legacy model in its layers without "
            f"weights. Received: {list(map(settings.activation_name, ours))}, of the legacy model "
            f"{list(map(settings.activation_name, theirs))}."
            f"{settings.HARD_SIGMOID * ('hard_sigmoid' in theirs)}"
        )


def _layers(layer):
    """Returns the layers inside a layer, not those inside these."""
    if isinstance(layer, keras.Model):
        return layer.layers
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _other_number(path, legacy, layers):
    return ValueError(
        f"`layers` must be those of a model of the same structure. Received: {legacy} layers with "
        f"weights, where model '{path}' has {layers}."
    )
