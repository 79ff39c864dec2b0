"""The penalty that holds kernels together, against loops, and where it leads at both ends."""

import itertools

import keras
import numpy as np
import pytest
from references import random_array

from freeconv import (
    FreeConv1D,
    FreeConv2D,
    FreeConv3D,
    SoftSharing,
    build_model,
    to_free,
    to_shared,
)
from freeconv.errors import InputError


def loops(weights, grid, neighbours, mean):
    """The penalty, one pair of neighbours at a time."""
    weights = weights.astype(float).reshape(*grid, -1)
    total = 0.0
    for here in np.ndindex(*grid):
        for axis in range(len(grid)):
            there = tuple(p + (a == axis) for a, p in enumerate(here))
            if there[axis] < grid[axis]:
                total += neighbours * np.sum((weights[here] - weights[there]) ** 2)
        total += mean * np.sum(
            (weights[here] - weights.reshape(-1, weights.shape[-1]).mean(0)) ** 2
        )
    return total


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (FreeConv1D(4, 3), (9, 2)),
        (FreeConv2D(4, 3), (7, 6, 2)),
        (FreeConv2D(4, 3, sharing=2), (7, 6, 2)),
        (FreeConv2D(4, 3), (3, 8, 2)),
        (FreeConv3D(4, 2), (3, 4, 5, 2)),
    ],
)
@pytest.mark.parametrize(("neighbours", "mean"), [(0.3, 0.0), (0.0, 0.7), (0.3, 0.7)])
def test_equals_loops(layer, shape, neighbours, mean):
    penalty = SoftSharing(neighbours, mean)
    arguments = {**layer.get_config(), "name": None}
    layer = type(layer).from_config(
        {**arguments, "kernel_regularizer": penalty, "bias_regularizer": penalty}
    )
    layer.build((None, *shape))
    for weight in (layer.kernel, layer.bias):
        weight.assign(random_array(weight.shape, seed=2))
    expected = [
        loops(keras.ops.convert_to_numpy(weight), layer.tile_grid, neighbours, mean)
        for weight in (layer.kernel, layer.bias)
    ]
    layer(random_array((1, *shape)))
    np.testing.assert_allclose(sorted(map(float, layer.losses)), sorted(expected), rtol=1e-5)


def test_equal_kernels_and_weights_of_zero_cost_nothing():
    layer = FreeConv2D(4, 3, kernel_regularizer=SoftSharing(1.0, 1.0))
    layer.build((None, 7, 6, 2))
    layer.kernel.assign(np.ones(layer.kernel.shape))
    assert float(layer.losses[0]) == 0
    free = FreeConv2D(4, 3, kernel_regularizer=SoftSharing())
    free.build((None, 7, 6, 2))
    assert float(free.losses[0]) == 0


def least_squares(patches, targets):
    return np.linalg.lstsq(patches, targets, rcond=None)[0]


@pytest.mark.parametrize(
    "penalty", [SoftSharing(), SoftSharing(neighbours=1e4), SoftSharing(mean=1e4)]
)
def test_the_limits_are_a_free_layer_and_a_convolution(penalty):
    """A linear regression has closed forms: one a position without it, one for all in the limit.

    Between them the optimum follows from values of the layer's own loss, which is quadratic.
    """
    images, grid = random_array((40, 5, 4, 1), seed=1).astype(float), (3, 3)
    layer = FreeConv2D(1, (3, 2), use_bias=False, kernel_regularizer=penalty, dtype="float64")
    layer.build(images.shape)
    patches = np.array(
        [
            images[:, r : r + 3, c : c + 2, 0].reshape(40, -1)
            for r, c in itertools.product(range(grid[0]), range(grid[1]))
        ]
    )
    targets = random_array((len(patches), 40), seed=2).astype(float)

    # Quadratic in the kernel: values of the loss give its gradient by differences exactly.
    def penalty_of(kernel):
        return float(layer.kernel.regularizer(keras.ops.convert_to_tensor(kernel, "float64")))

    def loss(flat):
        kernel = flat.reshape(layer.kernel.shape)
        residuals = np.einsum("pni,pi->pn", patches, kernel[..., 0]) - targets
        return np.sum(residuals**2) + penalty_of(kernel)

    size = int(np.prod(layer.kernel.shape))
    origin = loss(np.zeros(size))
    units = np.eye(size)
    single = np.array([loss(unit) for unit in units])
    curvature = np.array(
        [[loss(a + b) - single[j] - single[i] + origin for j, b in enumerate(units)]
         for i, a in enumerate(units)]
    )  # fmt: skip
    slope = single - origin - np.diagonal(curvature) / 2
    best = np.linalg.solve(curvature, -slope).reshape(len(patches), -1)
    if penalty.neighbours or penalty.mean:
        shared = least_squares(patches.reshape(-1, patches.shape[-1]), targets.ravel())
        np.testing.assert_allclose(best, np.tile(shared, (len(best), 1)), atol=0.02)
    else:
        own = [least_squares(p, t) for p, t in zip(patches, targets, strict=True)]
        np.testing.assert_allclose(best, own, atol=1e-6)


def test_a_saved_layer_has_its_penalty(tmp_path):
    penalty = SoftSharing(0.5, 0.25)
    model = keras.Sequential([keras.Input((7, 6, 2)), FreeConv2D(4, 3, kernel_regularizer=penalty)])
    model.save(tmp_path / "soft.keras")
    loaded = keras.saving.load_model(tmp_path / "soft.keras")
    assert float(loaded.losses[0]) == pytest.approx(float(model.losses[0]), rel=1e-6)
    assert float(model.losses[0]) > 0


def test_conversions_know_the_penalty():
    """Between tiles it is of any number of them, and a convolution has none."""
    penalty = SoftSharing(mean=0.5)
    model = keras.Sequential([keras.Input((7, 6, 2)), FreeConv2D(4, 3, kernel_regularizer=penalty)])
    assert to_shared(model).layers[0].kernel_regularizer is None
    tiled = to_free(model, sharing=2).layers[0]
    kernel = keras.ops.convert_to_numpy(tiled.kernel)
    assert float(tiled.losses[0]) == pytest.approx(loops(kernel, tiled.tile_grid, 0, 0.5), rel=1e-4)


def test_networks_of_a_study_have_it_in_every_free_layer():
    model = build_model("fcn", "mnist", (28, 28, 1), 10, neighbour_penalty=0.1, mean_penalty=0.2)
    model(np.zeros((1, 28, 28, 1), "float32"))
    assert len(model.losses) == 6  # kernel and bias of three
    assert not build_model("fcn", "mnist", (28, 28, 1), 10).losses


def test_a_penalty_without_a_grid_says_where_it_belongs():
    with pytest.raises(ValueError, match="give it to FreeConv1D, FreeConv2D or FreeConv3D"):
        SoftSharing(1.0)(np.ones((3, 3, 1, 1)))
    with pytest.raises(ValueError, match="`mean` must be a finite number of at least 0"):
        SoftSharing(mean=-1)
    with pytest.raises(InputError, match="kind='fcn'"):
        build_model("cnn", "mnist", (28, 28, 1), 10, mean_penalty=0.1)
