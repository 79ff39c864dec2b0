"""Filter distances against a plain double loop and hand-computed cases."""

import math
import warnings

import numpy as np
import pytest

from freeconv.layers.filter_distances import filter_distances


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def double_loop(kernel, grid, radius):
    """Compares all pairs of positions in turn and keeps those at the radius."""
    height, width = grid
    norm = math.sqrt(sum(float(weight) ** 2 for weight in kernel.ravel()))
    euclidean, cosine = [], []
    for here in range(height * width):
        row, column = divmod(here, width)
        if min(row, column, height - 1 - row, width - 1 - column) < radius:
            continue
        for there in range(height * width):
            other_row, other_column = divmod(there, width)
            if max(abs(row - other_row), abs(column - other_column)) != radius:
                continue
            a = kernel[here].ravel().astype(float) / norm
            b = kernel[there].ravel().astype(float) / norm
            euclidean.append(math.sqrt(((a - b) ** 2).sum()))
            cosine.append(1 - a @ b / math.sqrt((a @ a) * (b @ b)))
    return np.mean(euclidean), np.mean(cosine), len(euclidean)


@pytest.mark.parametrize("grid", [(13, 13), (9, 12), (14, 10)])
@pytest.mark.parametrize("radius", [1, 4])
def test_equals_double_loop(grid, radius):
    rng = np.random.default_rng(radius)
    kernel = rng.normal(0.3, 1, (grid[0] * grid[1], 6, 5)).astype("float32")
    euclidean, cosine, pairs = double_loop(kernel, grid, radius)
    assert pairs == (grid[0] - 2 * radius) * (grid[1] - 2 * radius) * 8 * radius
    result = filter_distances(kernel, grid, radius)
    assert result.euclidean == pytest.approx(euclidean, rel=1e-12)
    assert result.cosine == pytest.approx(cosine, rel=1e-12)


def test_hand_computed():
    # The centre is (1, 0); of its eight neighbours four equal it, two are (0, 1), two (-1, 0).
    same, right_angle, opposite = (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)
    positions = [same, right_angle, opposite, same, same, right_angle, same, opposite, same]
    kernel = np.array(positions)[..., None]
    result = filter_distances(kernel, (3, 3), 1)
    # Nine vectors of length 1: the Frobenius norm is 3.
    assert result.euclidean == pytest.approx((2 * math.sqrt(2) + 2 * 2) / 8 / 3)
    assert result.cosine == pytest.approx((2 * 1 + 2 * 2) / 8)


def test_no_scale():
    kernel = np.random.default_rng(0).normal(size=(25, 4, 3))
    np.testing.assert_allclose(
        filter_distances(kernel, (5, 5), 1), filter_distances(1e3 * kernel, (5, 5), 1), rtol=1e-12
    )


def test_identical_filters_have_no_distance():
    kernel = np.tile(np.random.default_rng(0).normal(size=(1, 9, 4)), (121, 1, 1))
    for radius in (1, 4):
        assert filter_distances(kernel, (11, 11), radius) == (0, 0)


@pytest.mark.parametrize(("grid", "radius"), [((2, 9), 1), ((9, 8), 4), ((1, 1), 1)])
def test_nan_where_the_grid_is_too_small(grid, radius):
    kernel = np.ones((grid[0] * grid[1], 2, 2))
    assert np.isnan(filter_distances(kernel, grid, radius)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_for_a_diverged_kernel(value):
    kernel = np.ones((25, 2, 2))
    kernel[3, 1, 0] = value
    assert np.isnan(filter_distances(kernel, (5, 5), 1)).all()


def test_zero_kernel():
    assert filter_distances(np.zeros((9, 2, 2)), (3, 3), 1) == (0, 1)


def test_zero_filters_at_one_position():
    kernel = np.ones((9, 2, 2))
    kernel[0] = 0
    result = filter_distances(kernel, (3, 3), 1)
    assert result.euclidean == pytest.approx(2 / math.sqrt(32) / 8)
    assert result.cosine == pytest.approx(1 / 8)


@pytest.mark.parametrize("shape", [(8, 2, 2), (9, 4), (3, 3, 2, 2)])
def test_kernel_must_fill_the_grid(shape):
    with pytest.raises(ValueError, match=r"3 \* 3.*shape=\(.*grid=\(3, 3\)"):
        filter_distances(np.ones(shape), (3, 3), 1)


@pytest.mark.parametrize("radius", [0, -1, 1.5])
def test_radius_must_be_a_positive_integer(radius):
    with pytest.raises(ValueError, match=f"radius={radius}"):
        filter_distances(np.ones((9, 2, 2)), (3, 3), radius)
