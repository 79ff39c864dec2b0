"""Phases in which the kernels of a free convolution move towards their mean.

Between them, kernels learn separately. Such phases stand in for weight sharing where no mechanism
can copy weights, as in a brain; they have been likened to sleep.

Source: Pogodin, Mehta, Lillicrap, Latham, "Towards biologically plausible convolutional networks"
(2021): the objective, and the Hebbian rule of lateral connections that descends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from freeconv.layers import argument_validation
from freeconv.layers.patches import tile_of_positions

if TYPE_CHECKING:
    from freeconv.layers.base_free_conv import BaseFreeConv

RULES = ("mean", "hebbian")


def share_weights(layer: BaseFreeConv, strength: float, tile: int | str = "all") -> None:
    """Moves kernels and biases of a free convolution towards their means, in place.

    Args:
        layer: a built free convolution with `sharing=1`, without masked connections or banks.
        strength: float in (0, 1]: `w + strength * (mean - w)`.
        tile: positions that have a mean of their own, as `sharing` of `FreeConv2D`.

    Raises:
        ValueError: for another layer, a strength out of range, or a tile that is none.
    """
    _check(layer, strength)
    groups = _groups(layer, tile)
    for weight in _weights(layer):
        values, means = _means(weight, groups)
        _assign(weight, (1 - strength) * values + strength * means)


def share_weights_by_hebbian_rule(
    layer: BaseFreeConv,
    strength: float,
    seed: np.random.SeedSequence | int,
    tile: int | str = "all",
) -> None:
    """Moves kernels of a free convolution towards their means by what lateral connections convey.

    As many random patterns as a patch has inputs, and one for the bias, are shown to all positions,
    one after the other. Every neuron learns the difference of its response `z` from the mean
    response of its filter over the positions that lateral connections reach, `w - strength * (z -
    mean z) * x / |x|^2`: a product of what is there before and behind the synapse. Only the part of
    a kernel along a pattern moves. Deviations so shrink on average, as squares, by `exp(-strength *
    (2 - strength))` a phase; their mean stays.

    Args:
        layer: as of `share_weights`; a bias counts as the weight of an input that is always 1.
        strength: float in (0, 1], the learning rate of a pattern.
        seed: of the patterns, which are standard normal.
        tile: as of `share_weights`.

    Raises:
        ValueError: as `share_weights`.
    """
    _check(layer, strength)
    groups, weights = _groups(layer, tile), _weights(layer)
    values, means = zip(*(_means(weight, groups) for weight in weights), strict=True)
    pairs = zip(values, means, strict=True)
    parts = [(v - m).reshape(len(groups), -1, layer.filters) for v, m in pairs]
    operator = _hebbian_operator(
        sum(part.shape[1] for part in parts), strength, np.random.default_rng(seed)
    )
    left = operator @ np.concatenate(parts, axis=1)
    ends = np.cumsum([part.shape[1] for part in parts])[:-1]
    for weight, mean, part in zip(weights, means, np.split(left, ends, axis=1), strict=True):
        _assign(weight, mean + part.reshape(mean.shape))


class SharingPhases(keras.callbacks.Callback):
    """Lets all free convolutions of a model have a phase every few epochs or steps of `fit`.

    The moments of an optimizer stay as they are.

    Args:
        period: int of at least 1, epochs or steps from one phase to the next.
        strength: float in (0, 1], see `share_weights`.
        unit: `"epochs"` or `"steps"`.
        rule: `"mean"`, `share_weights`, or `"hebbian"`, `share_weights_by_hebbian_rule`.
        tile: see `share_weights`.
        seed: int of at least 0, of the patterns of the Hebbian rule.

    Raises:
        ValueError: for an argument outside its range; in `fit`, as `share_weights`.

    Example:
    >>> from freeconv import FreeConv2D
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), FreeConv2D(4, 3)])
    >>> model.compile("sgd", "mse")
    >>> images, targets = np.ones((2, 8, 8, 1)), np.ones((2, 6, 6, 4))
    >>> phases = SharingPhases(period=1, strength=1.0)
    >>> _ = model.fit(images, targets, verbose=0, callbacks=[phases])
    >>> kernel = keras.ops.convert_to_numpy(model.layers[0].kernel)
    >>> bool((kernel == kernel[0]).all())
    True
    """

    def __init__(self, period, strength, unit="epochs", rule="mean", tile="all", seed=0):
        super().__init__()
        self.period = argument_validation.positive_int(period, "period")
        self.unit = argument_validation.choice(unit, "unit", ("epochs", "steps"))
        self.phase = Phase(strength, rule, tile)
        self.seed = argument_validation.seed_or_new(seed)
        self.passed = 0

    def on_epoch_end(self, epoch, logs=None):
        """Counts an epoch."""
        self._count("epochs")

    def on_train_batch_end(self, batch, logs=None):
        """Counts a step."""
        self._count("steps")

    def _count(self, unit):
        if unit != self.unit:
            return
        self.passed += 1
        if self.passed % self.period == 0:
            self.phase.of(self.model, np.random.SeedSequence([self.seed, self.passed]))


class Phase:
    """What happens to the free convolutions of a model in a phase.

    Args:
        strength: float in (0, 1].
        rule: `"mean"` or `"hebbian"`.
        tile: see `share_weights`.

    Raises:
        ValueError: for an argument outside its range.
    """

    def __init__(self, strength: float, rule: str = "mean", tile: int | str = "all"):
        self._strength = strength
        self._rule = argument_validation.choice(rule, "rule", RULES)
        self._tile = tile
        _check_strength(strength)

    def of(self, model: keras.Model, seed: np.random.SeedSequence) -> None:
        """Has the phase; `seed` is that of the patterns of the Hebbian rule."""
        layers = [layer for layer in model._flatten_layers() if hasattr(layer, "tile_weights")]
        for layer, own_seed in zip(layers, seed.spawn(len(layers)), strict=True):
            if self._rule == "mean":
                share_weights(layer, self._strength, self._tile)
            else:
                share_weights_by_hebbian_rule(layer, self._strength, own_seed, self._tile)


def _hebbian_operator(inputs, strength, generator):
    """What showing `inputs` patterns makes of deviations: a matrix (inputs, inputs)."""
    operator = np.eye(inputs)
    for _ in range(inputs):
        pattern = generator.standard_normal(inputs)
        pattern /= np.sqrt(np.square(pattern).sum())
        operator -= strength * np.outer(pattern, pattern @ operator)
    return operator


def _check(layer, strength):
    _check_strength(strength)
    plain = (1,) * len(layer.axes)
    if layer.banks is not None or layer.connection_mask is not None or layer.sharing != plain:
        raise ValueError(
            "Phases of sharing need a free convolution with sharing=1, all of its connections and "
            f"no banks. Received: layer '{layer.name}' with sharing={layer.sharing}, banks="
            f"{layer.banks} and connection_dropout={layer.connection_dropout}."
        )


def _check_strength(strength):
    if not 0 < strength <= 1:
        raise ValueError(f"`strength` must be above 0 and at most 1. Received: {strength!r}.")


def _groups(layer, tile):
    """The number of the group that each position is of."""
    degree = argument_validation.degree_of_sharing(tile, "tile", layer.axes)
    grid = layer.output_grid
    sizes = grid if degree == argument_validation.SHARED_BY_ALL else tuple(map(min, degree, grid))
    return tile_of_positions(grid, sizes).ravel()


def _weights(layer):
    return [weight for weight in (layer.kernel, layer.bias) if weight is not None]


def _means(weight, groups):
    """The values of a weight, positions along the first axis, and the mean that each has."""
    values = keras.ops.convert_to_numpy(weight).reshape(len(groups), -1)
    member = (groups == np.arange(groups.max() + 1)[:, np.newaxis]).astype(values.dtype)
    means = (member @ values) / member.sum(axis=1, keepdims=True)
    return values, means[groups]


def _assign(weight, values):
    weight.assign(values.reshape(weight.shape))
