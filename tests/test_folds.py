"""Folds: what belongs where, counted by hand."""

import numpy as np
import pytest

from freeconv.folds import METHODS, assign_folds, fold_table, split

LABELS = np.random.default_rng(0).integers(0, 4, 103)


def test_contiguous_folds_follow_the_file():
    folds = assign_folds(np.zeros(11), 4, "contiguous", seed=0)
    assert folds.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3]


def test_contiguous_folds_of_the_paper():
    folds = assign_folds(np.zeros(70_000), 5)
    np.testing.assert_array_equal(folds, np.arange(70_000) // 14_000)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [2, 5, 10])
def test_parts_are_disjoint_complete_and_even(method, count):
    folds = assign_folds(LABELS, count, method, seed=3)
    assert np.issubdtype(folds.dtype, np.integer)
    seen = []
    for fold in range(count):
        train, validation = split(folds, fold)
        assert sorted([*train, *validation]) == list(range(103))
        assert len(validation) in (103 // count, 103 // count + 1)
        assert (np.diff(train) > 0).all()
        assert (np.diff(validation) > 0).all()
        seen.extend(validation)
    assert sorted(seen) == list(range(103))


@pytest.mark.parametrize("method", ["shuffled", "stratified"])
def test_seed_decides(method):
    first = assign_folds(LABELS, 5, method, seed=1)
    np.testing.assert_array_equal(first, assign_folds(LABELS, 5, method, seed=1))
    assert (first != assign_folds(LABELS, 5, method, seed=2)).any()
    assert (np.diff(first) < 0).any()


def test_stratified_folds_share_every_class():
    labels = np.repeat([0, 1, 2], [50, 20, 5])
    folds = assign_folds(labels, 5, "stratified", seed=0)
    for fold in range(5):
        assert np.bincount(labels[folds == fold]).tolist() == [10, 4, 1]


def test_table():
    table = fold_table(np.array([1, 0, 1]))
    assert table.to_dict("list") == {"index": [0, 1, 2], "fold": [1, 0, 1]}


def test_split():
    train, validation = split(np.array([0, 1, 2, 1]), 1)
    assert train.tolist() == [0, 2]
    assert validation.tolist() == [1, 3]


@pytest.mark.parametrize("count", [1, 0, 12])
def test_count_is_checked(count):
    with pytest.raises(ValueError, match=rf"2 to the number of images, 11.*count={count}"):
        assign_folds(np.zeros(11), count)


def test_method_is_checked():
    with pytest.raises(ValueError, match=r"'random'.*contiguous, shuffled, stratified"):
        assign_folds(np.zeros(11), 2, "random")


@pytest.mark.parametrize("fold", [5, -1])
def test_missing_fold_is_refused(fold):
    with pytest.raises(ValueError, match=rf"fold={fold}.*\[0, 1, 2, 3, 4\]"):
        split(assign_folds(LABELS, 5), fold)
