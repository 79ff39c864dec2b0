"""Copies of layers, optimizers and metrics within one process.

Keras copies by configurations, which cannot hold functions of the user's, and by lists of weights,
which leave out vocabularies, fitted statistics and the states of random generators.
"""

import tempfile

import keras

# Recreated, as they may have a state.
_PARTS = (
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
)


def renewed(thing, **changes):
    """Returns a new object of the class and arguments of another one, without its state.

    Functions among the arguments are those of the other one, whatever they are: nothing need be
    registered with Keras.

    Args:
        thing: layer, optimizer, metric, or anything else with `get_config`.
        **changes: arguments of other values.

    Raises:
        ValueError: if its class does not say how it is made.
    """
    try:
        with keras.saving.CustomObjectScope(_custom_objects(thing)):
            new = _recreated(thing, changes)
        if not {id(layer) for layer in _layers(thing)}.isdisjoint(map(id, _layers(new))):
            raise TypeError("its configuration holds layers themselves instead of theirs")
        return new
    except Exception as error:
        name = getattr(thing, "name", "")
        raise ValueError(
            f"'{name}' of class {type(thing).__name__} cannot be copied: its class needs a "
            "`get_config` that says all of its arguments, and a `from_config` if they are not "
            f"plain values. What went wrong: {str(error).partition(chr(10))[0][:300]}"
        ) from error


def _recreated(thing, changes):
    config = thing.get_config()
    arguments = {name: _argument(thing, name, value) for name, value in config.items()} | changes
    if any(map(_is_function, arguments.values())):
        if isinstance(thing, keras.layers.Layer):
            arguments["dtype"] = thing.dtype_policy
        return type(thing)(**arguments)
    new = type(thing).from_config({**config, **changes})
    _share_functions(thing, new)
    return new


def _share_functions(thing, new):
    """Gives layers inside a new layer the functions of those inside the other one."""
    layers, others = _layers(thing), _layers(new)
    if len(layers) != len(others):
        return  # some of the new ones are only there once it is built
    for layer, other in zip(layers, others, strict=True):
        for name, function in _own_functions(layer).items():
            if getattr(other, name, function) is not function:
                setattr(other, name, function)


def _argument(thing, name, value):
    """An argument as the attribute it became, where that is a function or a part to recreate."""
    attribute = vars(thing).get(name)
    if isinstance(attribute, _PARTS):
        return renewed(attribute)
    return attribute if _is_function(attribute) else value


def _is_function(value):
    """Whether a value is called and cannot be recreated."""
    return callable(value) and not isinstance(value, type) and not hasattr(value, "get_config")


def _own_functions(layer):
    """Names and functions that a layer was given, as opposed to those of its class."""
    return {
        name: value
        for name, value in vars(layer).items()
        if _is_function(value) and not hasattr(type(layer), name)
    }


def _custom_objects(thing):
    """Names of classes and functions that Keras may look for when it recreates `thing`."""
    found = {}
    for layer in _layers(thing):
        for value in (layer, *vars(layer).values()):
            if hasattr(value, "get_config") and not isinstance(value, type):
                found[type(value).__name__] = type(value)
        for value in _own_functions(layer).values():
            if hasattr(value, "__name__"):
                found[value.__name__] = value
    # Those of Keras are found anyway.
    return {n: v for n, v in found.items() if str(v.__module__).partition(".")[0] != "keras"}


def _layers(thing):
    """A layer and all layers inside it; of other things, the thing alone."""
    if isinstance(thing, keras.layers.Layer):
        return list(thing._flatten_layers())
    return [thing]


def copy_state(layer, other):
    """Gives a layer the state of another one of the same class and arguments.

    Weights, vocabularies, statistics of fitted layers and states of random generators, also of the
    layers inside.

    Args:
        layer: a built layer.
        other: another one, built for the same inputs.
    """
    _share_functions(layer, other)
    for ours, theirs in zip(_layers(layer), _layers(other), strict=True):
        store = {}
        ours.save_own_variables(store)
        theirs.load_own_variables(store)
        if hasattr(ours, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                ours.save_assets(folder)
                theirs.load_assets(folder)
    # Those of random generators are in no layer's store.
    for source, target in zip(layer.variables, other.variables, strict=True):
        target.assign(source)


def compile_alike(model, other):
    """Compiles a model as another one is, with a new optimizer and new metrics.

    Args:
        model: a compiled model.
        other: the model to compile.
    """
    arguments = dict(model._compile_config.config)
    if hasattr(arguments["optimizer"], "get_config"):
        arguments["optimizer"] = renewed(arguments["optimizer"])
    for name in ("metrics", "weighted_metrics"):
        arguments[name] = keras.tree.map_structure(
            lambda metric: renewed(metric) if isinstance(metric, keras.Metric) else metric,
            arguments[name],
        )
    other.compile(**arguments)
