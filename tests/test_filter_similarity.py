"""Similarity of single filters, against loops over all pairs and against all orders of filters."""

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from freeconv.layers.filter_similarity import filter_similarity, norm_variation

GRID = (4, 5)


@pytest.fixture
def kernel():
    return np.random.default_rng(3).normal(size=(20, 6, 3)).astype("float32")


def pairs(radius):
    """Every position at least `radius` from the border, with each at that Chebyshev distance."""
    rows, columns = GRID
    places = [(i, j) for i in range(rows) for j in range(columns)]
    for i, j in places:
        if radius <= i < rows - radius and radius <= j < columns - radius:
            for k, m in places:
                if max(abs(i - k), abs(j - m)) == radius:
                    yield i * columns + j, k * columns + m


def cosine(one, other):
    return np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other))


def unit_distance(one, other):
    return np.linalg.norm(one / np.linalg.norm(one) - other / np.linalg.norm(other))


def test_equals_loops(kernel):
    """Of three filters the best order is found among all six."""
    found = filter_similarity(kernel, GRID, 1, linear_sum_assignment)
    kernel = kernel.astype("float64")
    cosines, distances, matched, matched_distances = [], [], [], []
    for here, there in pairs(1):
        a, b = kernel[here].T, kernel[there].T
        cosines += [cosine(a[f], b[f]) for f in range(3)]
        distances += [unit_distance(a[f], b[f]) for f in range(3)]
        best = max(
            permutations(range(3)), key=lambda p: sum(cosine(a[f], b[p[f]]) for f in range(3))
        )
        matched += [cosine(a[f], b[best[f]]) for f in range(3)]
        matched_distances += [unit_distance(a[f], b[best[f]]) for f in range(3)]
    assert len(cosines) == 2 * 3 * 8 * 3
    expected = [np.mean(values) for values in (cosines, distances, matched, matched_distances)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_norms_do_not_count(kernel):
    scale = np.random.default_rng(4).uniform(0.01, 9, (20, 1, 3))
    before = filter_similarity(kernel, GRID, 1, linear_sum_assignment)
    after = filter_similarity(kernel * scale, GRID, 1, linear_sum_assignment)
    np.testing.assert_allclose(after, before, rtol=1e-6)
    assert norm_variation(kernel * scale, GRID) > 1.5 * norm_variation(kernel, GRID)


def test_order_counts_without_matching_alone(kernel):
    """One kernel everywhere, its filters in another order at each position."""
    generator = np.random.default_rng(5)
    shuffled = np.stack([kernel[0][:, generator.permutation(3)] for _ in range(20)])
    found = filter_similarity(shuffled, GRID, 1, linear_sum_assignment)
    assert found.matched_cosine == pytest.approx(1)
    assert found.matched_distance == pytest.approx(0, abs=1e-6)
    assert found.cosine < 0.9


def test_random_filters_match_by_chance():
    """Of many random ones, the matched cosine is far above 0: what similarity is to exceed."""
    kernel = np.random.default_rng(6).normal(size=(25, 9, 32))
    found = filter_similarity(kernel, (5, 5), 1, linear_sum_assignment)
    assert found.cosine == pytest.approx(0, abs=0.02)
    assert found.distance == pytest.approx(np.sqrt(2), abs=0.05)
    assert 0.5 < found.matched_cosine < 0.7


def test_norm_variation_by_hand():
    kernel = np.zeros((2, 2, 2))
    kernel[0, :, 0], kernel[0, :, 1] = (3, 4), (0, 5)
    kernel[1, :, 0], kernel[1, :, 1] = (6, 8), (0, 0)  # norms 5, 5, 10, 0
    assert norm_variation(kernel, (1, 2)) == pytest.approx(np.sqrt(50 / 4) / 5)
    assert norm_variation(np.ones((2, 2, 2)), (1, 2)) == 0
    assert np.isnan(norm_variation(np.zeros((2, 2, 2)), (1, 2)))
    assert np.isnan(norm_variation(np.full((2, 2, 2), np.inf), (1, 2)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_kernels_that_are_not_finite_have_none(kernel, value):
    kernel[3, 2, 1] = value
    assert np.isnan(filter_similarity(kernel, GRID, 1, linear_sum_assignment)).all()


def test_zero_filters_are_alike_to_none(kernel):
    found = filter_similarity(np.zeros_like(kernel), GRID, 1, linear_sum_assignment)
    assert found == pytest.approx((0, np.sqrt(2), 0, np.sqrt(2)))


def test_no_position_that_far_from_the_border(kernel):
    assert np.isnan(filter_similarity(kernel, GRID, 2, linear_sum_assignment)).all()


@pytest.mark.parametrize("radius", [0, -1, 1.5])
def test_wrong_radii_are_refused(kernel, radius):
    with pytest.raises(ValueError, match="`radius` must be a positive integer"):
        filter_similarity(kernel, GRID, radius, linear_sum_assignment)


def test_wrong_shapes_are_refused(kernel):
    with pytest.raises(ValueError, match=r"`kernel` must have shape .* Received: shape=\(20, 6"):
        norm_variation(kernel, (4, 4))
