"""Folds: what belongs where, counted by hand."""

import numpy as np
import pytest
from conftest import run_script

from freeconv.data.folds import (
    METHODS,
    assign_folds,
    check_batch,
    check_folds,
    fold_table,
    nested_subset,
    split,
)
from freeconv.data.formats import pack
from freeconv.errors import InputError

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
    with pytest.raises(
        ValueError, match=rf"count must be 2 to the number of images, 11\..* {count}\."
    ):
        assign_folds(np.zeros(11), count)


def test_method_is_checked():
    with pytest.raises(ValueError, match=r"'random'.*contiguous, content, shuffled, stratified"):
        assign_folds(np.zeros(11), 2, "random")


@pytest.mark.parametrize("fold", [5, -1])
def test_missing_fold_is_refused(fold):
    with pytest.raises(ValueError, match=rf"fold={fold}.*\[0, 1, 2, 3, 4\]"):
        split(assign_folds(LABELS, 5), fold)


def check(labels, count, method):
    labels = np.array(labels)
    return check_folds(labels, assign_folds(labels, count, method, seed=0), method)


@pytest.mark.parametrize("method", METHODS)
def test_folds_as_they_should_be_give_no_warning(method):
    assert check(LABELS, 5, method) == []
    assert check(np.arange(12) % 2, 6, method) == []


def test_mixed_images_are_hardly_ever_taken_for_sorted_ones():
    random = np.random.default_rng(1)
    warned = 0
    for _ in range(200):
        labels = random.integers(0, random.integers(2, 11), random.integers(100, 500))
        warned += bool(check(labels, int(random.integers(2, 11)), "contiguous"))
    assert warned <= 2


@pytest.mark.parametrize(("classes", "images", "count"), [(10, 20, 5), (2, 4, 2), (4, 9, 4)])
def test_folds_of_whole_classes_are_refused(classes, images, count):
    """A class that is all in one fold is in the training part of no run that measures it."""
    labels = np.repeat(np.arange(classes), images)
    message = "100% of the validation images of fold 0 .*class 0 .*Set folds.method: stratified"
    with pytest.raises(InputError, match=message):
        check(labels, count, "contiguous")
    assert check(labels, count, "stratified") == []
    assert check(labels, count, "shuffled") == []


@pytest.mark.parametrize(("classes", "images", "count"), [(3, 8, 4), (2, 50, 5), (3, 1000, 7)])
def test_images_in_the_order_of_their_classes_are_warned_of(classes, images, count):
    """Every class is in two folds at least, and none in all."""
    labels = np.repeat(np.arange(classes), images)
    (warning,) = check(labels, count, "contiguous")
    assert warning.startswith("the images are in the order of their classes: fold ")
    assert warning.endswith("Set folds.method: stratified")
    parts = np.concatenate([labels, np.repeat(np.arange(classes), images // 4)])
    assert len(check(parts, count, "contiguous")) == 1


@pytest.mark.parametrize(
    ("method", "remedy"), [("contiguous", "folds.method: stratified"), ("shuffled", "Add images")]
)
def test_a_small_class_is_warned_of(method, remedy):
    few, lacking = check([0, 1] * 10 + [7], 3, method)
    assert few == "class 7 with 1: fewer images than the 3 folds"
    assert lacking.startswith("the training part of a fold lacks classes: class 7 (fold ")
    assert remedy in lacking


@pytest.mark.parametrize("method", METHODS)
def test_one_image_of_each_class_is_refused(method):
    with pytest.raises(InputError, match="class 0"):
        check(range(6), 3, method)


def test_stratified_folds_need_an_image_of_each_class_in_every_fold():
    message = "class 4 with 2, class 9 with 3: fewer images than the 5 folds.*count to at most 2"
    with pytest.raises(InputError, match=message):
        assign_folds([0] * 9 + [4] * 2 + [9] * 3, 5, "stratified")
    with pytest.raises(InputError, match=r"class 1 with 1: .* Add images, or leave"):
        assign_folds([0] * 9 + [1], 2, "stratified")
    assert check([0] * 9 + [1] * 2, 2, "stratified") == []


def test_one_class_alone_is_refused():
    with pytest.raises(InputError, match="all images are of class 3; expected at least two"):
        check([3] * 10, 2, "shuffled")


def test_a_batch_fits_the_smallest_training_part():
    folds = np.array([0, 0, 0, 1, 1])
    check_batch(np.zeros(len(folds), int), folds, 2)
    with pytest.raises(
        InputError, match=r"batch_size: 3 is more than the 2 .* fold 0; .*at most 2"
    ):
        check_batch(np.zeros(len(folds), int), folds, 3)


class TestScript:
    """Standard output is what is seen where Snakemake runs; standard error goes to a log."""

    def run(self, folder, labels, *words, shape=(15, 15, 1), count=2, method="contiguous"):
        images = np.zeros((len(labels), *shape), np.uint8)
        np.save(folder / "mine.npy", pack(images, np.array(labels)))
        made = ["--count", count, "--method", method, "--seed", 0, "--source", "x"]
        paths = ["--data", folder / "mine.npy", "--output", folder / "folds.parquet"]
        return run_script("data", "folds", *made, *paths, *words)

    def test_warnings_are_seen_and_logged(self, tmp_path):
        run = self.run(tmp_path, [0, 1] * 10 + [2], count=3)
        assert run.returncode == 0
        seen, logged = run.stdout.splitlines(), run.stderr.splitlines()
        assert (
            seen[0]
            == f"warning: {tmp_path}/mine.npy: class 2 with 1: fewer images than the 3 folds"
        )
        assert len(seen) == 2
        assert [line.partition(" ")[2] for line in logged[:2]] == seen
        assert (tmp_path / "folds.parquet").exists()

    def test_nothing_is_said_of_folds_as_they_should_be(self, tmp_path):
        network = ["--network", "mnist", "--layers", 3, "--batch-size", 10]
        run = self.run(tmp_path, [0, 1] * 10, *network)
        assert (run.returncode, run.stdout) == (0, "")

    @pytest.mark.parametrize(
        ("options", "words", "message"),
        [
            (
                {"shape": (14, 40, 3)},
                ["--network", "mnist", "--layers", 3],
                "Images of 14 x 40 are too",
            ),
            (
                {},
                ["--network", "cifar10", "--layers", 3, "--batch-size", 1],
                "Images of 15 x 15 are too",
            ),
            (
                {},
                ["--batch-size", 11],
                "batch_size: 11 is more than the 10 training images of fold 0",
            ),
            ({"count": 21}, [], "folds.count must be 2 to the number of images, 20. Received: 21"),
        ],
    )
    def test_what_cannot_be_trained_is_refused(self, tmp_path, options, words, message):
        run = self.run(tmp_path, [0, 1] * 10, *words, **options)
        assert (run.returncode, run.stdout) == (1, "")
        assert run.stderr.startswith(f"error: {tmp_path}/mine.npy: {message}")
        assert len(run.stderr.splitlines()) == 1
        assert not (tmp_path / "folds.parquet").exists()


@pytest.mark.parametrize("seed", [0, 7])
def test_subsets_are_nested_and_of_all_classes_alike(seed):
    labels = np.random.default_rng(seed).choice(4, size=500, p=[0.4, 0.3, 0.2, 0.1])
    sizes, before = np.bincount(labels), set()
    for share in (0.004, 0.05, 0.1, 0.37, 0.9, 1.0):
        chosen = nested_subset(labels, share, seed)
        assert before <= set(chosen.tolist())
        before = set(chosen.tolist())
        assert len(before) == len(chosen)
        assert np.all(np.diff(chosen) > 0)
        expected = [max(round(share * size), 1) for size in sizes]
        assert np.bincount(labels[chosen]).tolist() == expected
    assert not np.array_equal(
        nested_subset(labels, 0.1, seed), nested_subset(labels, 0.1, seed + 1)
    )


@pytest.mark.parametrize("share", [0, 1.5, -1])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(InputError, match="`share` must be above 0 and at most 1"):
        nested_subset(np.array([0, 1]), share, 0)


def test_a_share_smaller_than_a_batch_is_named():
    labels, folds = np.arange(40) % 2, np.arange(40) % 4
    check_batch(labels, folds, 10, 0.35)
    with pytest.raises(
        InputError, match=r"10 is more than the 6 training images of training_share 0.2"
    ):
        check_batch(labels, folds, 10, 0.2)
