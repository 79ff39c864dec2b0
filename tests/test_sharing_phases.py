"""Phases in which kernels move towards their mean, against loops over positions and patterns."""

import keras
import numpy as np
import pytest
from references import assert_equal_to_largest, random_array, tiles
from test_sharing import free_layer

from freeconv import FreeConv2D, SharingPhases, to_shared
from freeconv.layers.sharing_phases import share_weights, share_weights_by_hebbian_rule

SHAPE = (7, 6, 2)
TILES = ["all", 2, 3]


@pytest.fixture
def layer():
    return free_layer(SHAPE, kernel_size=3)


def values(layer):
    return [
        keras.ops.convert_to_numpy(weight).astype(float).reshape(layer.kernel.shape[0], -1)
        for weight in (layer.kernel, layer.bias)
    ]


def means(weight, layer, tile):
    """Of each position, the mean over the positions of its tile, one after the other."""
    numbers = tiles(layer.output_grid, tile).ravel()
    return np.array(
        [np.mean([w for w, n in zip(weight, numbers, strict=True) if n == own], axis=0)
         for own in numbers]
    )  # fmt: skip


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("strength", [0.25, 1])
def test_kernels_move_towards_the_mean_of_their_tile(layer, tile, strength):
    before = values(layer)
    share_weights(layer, strength, tile)
    for old, new in zip(before, values(layer), strict=True):
        expected = old + strength * (means(old, layer, tile) - old)
        assert_equal_to_largest(new, expected, 1e-6)


def test_a_phase_of_strength_1_makes_a_convolution(layer):
    """That which `to_shared` makes of the layer, to the last bit of its kernels' equality."""
    model = keras.Sequential([keras.Input(SHAPE), layer])
    convolution = to_shared(model)
    share_weights(layer, 1)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    assert (kernel == kernel[0]).all()
    images = random_array((2, *SHAPE))
    assert_equal_to_largest(model.predict(images), convolution.predict(images))


@pytest.mark.parametrize("tile", TILES)
def test_the_hebbian_rule_is_local(layer, tile):
    """One pattern and one synapse at a time: its input, and a response beside the mean response."""
    before = values(layer)
    share_weights_by_hebbian_rule(layer, 0.5, 3, tile)
    inputs = layer.kernel.shape[1] + 1
    weights = np.concatenate([w.reshape(len(w), -1, layer.filters) for w in before], axis=1)
    random = np.random.default_rng(3)
    for _ in range(inputs):
        pattern = random.standard_normal(inputs)
        responses = np.einsum("i,pif->pf", pattern, weights)
        beside = responses - means(responses, layer, tile)
        for position in range(len(weights)):
            change = np.outer(pattern, beside[position]) / np.sum(pattern**2)
            weights[position] -= 0.5 * change
    after = np.concatenate([w.reshape(len(w), -1, layer.filters) for w in values(layer)], axis=1)
    assert_equal_to_largest(after, weights)


def test_the_hebbian_rule_shrinks_deviations_as_it_is_said_to(layer):
    """On average by exp(-strength (2 - strength)), as squares; the mean stays."""
    before = values(layer)[0]
    square = np.sum((before - before.mean(0)) ** 2)
    left = []
    for seed in range(40):
        layer.kernel.assign(before.reshape(layer.kernel.shape))
        share_weights_by_hebbian_rule(layer, 0.5, seed)
        after = values(layer)[0]
        np.testing.assert_allclose(after.mean(0), before.mean(0), atol=1e-6)
        left.append(np.sum((after - after.mean(0)) ** 2) / square)
    # Forty phases, each of whose shares scatters by about a tenth.
    assert np.mean(left) == pytest.approx(np.exp(-0.75), abs=0.05)


def fitted(phases, epochs=4):
    """A linear layer after some epochs of `fit` of three steps each, by plain gradient descent."""
    layer = FreeConv2D(2, 3, kernel_initializer=keras.initializers.RandomNormal(seed=1))
    model = keras.Sequential([keras.Input(SHAPE), layer])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    images, targets = random_array((12, *SHAPE)), random_array((12, 5, 4, 2), seed=1)
    model.fit(
        images, targets, batch_size=4, epochs=epochs, shuffle=False, verbose=0, callbacks=phases
    )
    return keras.ops.convert_to_numpy(layer.kernel)


def test_phases_come_every_few_steps_or_epochs_of_fit():
    """Strength 1 leaves equal kernels where the last step ends with a phase."""
    plain = fitted([])
    assert not (plain == plain[0]).all()
    np.testing.assert_array_equal(fitted([SharingPhases(5, 1.0, unit="epochs")]), plain)
    for unit, period in (("epochs", 2), ("steps", 4), ("steps", 1)):
        kernel = fitted([SharingPhases(period, 1.0, unit=unit)])
        assert (kernel == kernel[0]).all()
    kernel = fitted([SharingPhases(5, 1.0, unit="steps")])  # the last one after step 10 of 12
    assert not (kernel == kernel[0]).all()


def test_a_phase_after_every_step_of_gradient_descent_is_weight_sharing():
    """Of a convolution that learns by the mean gradient over positions."""
    kernel = fitted([SharingPhases(1, 1.0, unit="steps")])[0]
    # All kernels are the mean from the first phase on; the first step is each one's own.
    first = keras.initializers.RandomNormal(seed=1)((20, 18, 2))
    positions = 20
    images, targets = random_array((12, *SHAPE)), random_array((12, 5, 4, 2), seed=1)
    patches = np.array(
        [images[:, r : r + 3, c : c + 3].reshape(12, -1) for r in range(5) for c in range(4)]
    )
    aims = targets.reshape(12, positions, 2).swapaxes(0, 1)
    weights = keras.ops.convert_to_numpy(first).astype(float)
    bias = np.zeros((positions, 2))
    for step in range(12):
        batch = slice(4 * (step % 3), 4 * (step % 3) + 4)
        errors = np.einsum("pni,pif->pnf", patches[:, batch], weights) + bias[:, None]
        errors = 2 * (errors - aims[:, batch]) / errors.size
        weights = weights - 0.05 * np.einsum("pni,pnf->pif", patches[:, batch], errors)
        bias = bias - 0.05 * errors.sum(axis=1)
        weights[:], bias[:] = weights.mean(0), bias.mean(0)
    assert_equal_to_largest(kernel, weights[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sharing": 2}, "sharing=1, all of its connections and no banks"),
        ({"banks": 2}, "no banks"),
        ({"connection_dropout": 0.5}, "all of its connections"),
    ],
)
def test_other_layers_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        share_weights(free_layer(SHAPE, kernel_size=3, **arguments), 0.5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: SharingPhases(0, 0.5), "`period`"),
        (lambda: SharingPhases(1, 0.0), "`strength` must be above 0"),
        (lambda: SharingPhases(1, 0.5, unit="days"), "`unit`"),
        (lambda: SharingPhases(1, 0.5, rule="oja"), "`rule`"),
    ],
)
def test_wrong_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
