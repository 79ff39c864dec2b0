import logging
import math
import shutil
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.ndimage

from freeconv.data.folds import Split, Splits
from freeconv.data.formats import digits
from freeconv.errors import InputError
from freeconv.results.best_epoch import best_epoch
from freeconv.results.schemas import EVALUATION_SCHEMA, HISTORY_SCHEMA, METRICS
from freeconv.study.settings import RunSettings
from freeconv.training.checkpoint import Checkpoint
from freeconv.training.evaluate import evaluate_model, sweep_conditions
from freeconv.training.models import build_model
from freeconv.training.train import train_run

SETTINGS = RunSettings(
    dataset="digits",
    model="fcn",
    augmentation="none",
    level=0.0,
    vcp=0.0,
    training_share=1.0,
    fold=1,
    repeat=0,
    seed=11,
    subset_seed=0,
    kind="fcn",
    network="mnist",
    layers=2,
    learning_rate=0.001,
    batch_size=32,
    epochs=2,
    patience=5,
    glorot_fans="per_location",
    vcp_kind="kernel",
    edge_noise="text",
    rotation_centre="middle",
    noise_order="shuffled",
    validation_batches="all",
    validation_translation=0.25,
    validation_rotation=0.125,
    validation_noise=0.15,
    validation_edge_noise=0.15,
    backend=keras.backend.backend(),  # this module runs on JAX too, see test_jax.py
    precision="float32",
    fold_count=5,
    fold_method="contiguous",
    fold_seed=0,
    source="digits",
)


@pytest.fixture(scope="module")
def splits():
    """Two whole batches to validate on: one that is not whole is another program of JAX."""
    images, labels = digits()
    return Splits(Split(images[:200], labels[:200]), Split(images[200:264], labels[200:264]), 10)


@pytest.fixture(scope="module")
def trained(splits):
    return train_run(SETTINGS, splits)


def untrained_network(settings):
    given = {name: getattr(settings, name) for name in ("layers", "vcp", "glorot_fans", "seed")}
    return build_model("fcn", "mnist", (28, 28, 1), 10, **given)


def accuracy(model, images, labels):
    predicted = model.predict(images / np.float32(255), verbose=0).argmax(axis=1)
    return np.mean(predicted == labels)


def test_a_history_is_a_row_an_epoch(trained):
    history = trained.history
    assert history.columns.tolist() == HISTORY_SCHEMA.names
    assert history["epoch"].tolist() == [0, 1, 2]
    for name in ("dataset", "model", "augmentation", "level", "vcp", "fold", "seed"):
        assert history[name].tolist() == [getattr(SETTINGS, name)] * 3
    assert history.loc[0, ["loss", "accuracy", "seconds"]].isna().all()
    measured = [name for name in METRICS if name not in ("loss", "accuracy")]
    assert history[measured].notna().all(axis=None)
    assert history.loc[1:, "loss"].is_monotonic_decreasing


def test_the_model_is_that_of_the_best_epoch(trained, splits):
    best = trained.history.set_index("epoch").loc[best_epoch(trained.history)]
    assert accuracy(trained.model, *splits.validation) == pytest.approx(best["val_accuracy"])


def test_epoch_0_is_the_untrained_network(trained, splits):
    model = untrained_network(SETTINGS)
    images, labels = splits.validation
    untrained = trained.history.loc[0]
    assert accuracy(model, images, labels) == untrained["val_accuracy"]
    swapped = images.copy()
    swapped[:, :14, 14:], swapped[:, 14:, :14] = images[:, 14:, :14], images[:, :14, 14:]
    assert accuracy(model, swapped, labels) == untrained["val_quadrant_swap"]

    kernel = model.get_layer("conv1").get_weights()[0].astype(np.float64).reshape(13, 13, -1)
    kernel /= np.linalg.norm(kernel)
    pairs = [
        (kernel[r, c], kernel[r + dr, c + dc])
        for r in range(1, 12)
        for c in range(1, 12)
        for dr in (-1, 0, 1)
        for dc in (-1, 0, 1)
        if (dr, dc) != (0, 0)
    ]
    distances = [np.linalg.norm(a - b) for a, b in pairs]
    cosines = [1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs]
    assert untrained["distance_1"] == pytest.approx(np.mean(distances), rel=1e-5)
    assert untrained["cosine_1"] == pytest.approx(np.mean(cosines), rel=1e-5)


def test_halves_of_the_fold_and_single_filters(trained, splits):
    """Of the untrained network, whose filters are random; halves are every other image."""
    model, untrained = untrained_network(SETTINGS), trained.history.loc[0]
    images, labels = splits.validation
    assert accuracy(model, images[::2], labels[::2]) == pytest.approx(untrained["val_even"])
    assert accuracy(model, images[1::2], labels[1::2]) == pytest.approx(untrained["val_odd"])
    halves = trained.history[["val_even", "val_odd"]].mean(axis=1)
    np.testing.assert_allclose(halves, trained.history["val_accuracy"])

    filters = model.get_layer("conv1").get_weights()[0].reshape(13, 13, 9, -1)
    norms = np.linalg.norm(filters, axis=2)
    assert untrained["norm_variation"] == pytest.approx(norms.std() / norms.mean(), rel=1e-5)
    units = filters / norms[:, :, None]
    across = (units[:5, :5] * units[4:9, 4:9]).sum(axis=2)  # some of the pairs at radius 4
    assert untrained["similarity_4"] == pytest.approx(across.mean(), abs=0.05)
    for radius in (1, 4):
        matched = untrained[f"matched_similarity_{radius}"]
        assert matched > untrained[f"similarity_{radius}"] + 0.4
        assert untrained[f"matched_distance_{radius}"] < untrained[f"unit_distance_{radius}"] - 0.3


def test_the_same_run_gives_the_same_rows(trained, splits):
    again = train_run(SETTINGS, splits)
    pd.testing.assert_frame_equal(
        again.history.drop(columns="seconds"), trained.history.drop(columns="seconds")
    )
    other = train_run(replace(SETTINGS, seed=12, epochs=1), splits)
    assert other.history.loc[1, "loss"] != trained.history.loc[1, "loss"]


def test_distances_are_null_where_they_have_no_meaning(splits):
    names = [name for name in METRICS if name.endswith(("_1", "_4"))] + ["norm_variation"]
    assert len(names) == 13
    for change in ({"kind": "cnn"}, {"vcp": 0.5}):
        history = train_run(replace(SETTINGS, epochs=1, **change), splits).history
        assert history[names].isna().all(axis=None)
        assert history["val_loss"].notna().all()


def test_networks_share_weights_to_the_degree_of_their_run(splits):
    for sharing, kernels in {"4": 4 * 4, "all": 1}.items():
        run = train_run(replace(SETTINGS, model="tiles", sharing=sharing, epochs=1), splits)
        assert run.model.get_layer("conv1").kernel.shape[0] == kernels
        assert set(run.history["model"]) == {"tiles"}
        # Of 4 x 4 kernels 2 x 2 have neighbours all around; none has a ring of radius 4.
        assert run.history["distance_1"].notna().all() == (sharing == "4")
        assert run.history["distance_4"].isna().all()


def test_the_digest_of_a_run_tells_images_labels_and_folds_apart(splits):
    (images, labels), validation = splits.training, splits.validation
    others = [
        splits._replace(training=Split(images[::-1], labels)),
        splits._replace(training=Split(images, labels[::-1])),
        splits._replace(training=Split(images[1:], labels[1:])),
        splits._replace(training=validation, validation=splits.training),
    ]
    digests = {splits.digest(), *(other.digest() for other in others)}
    assert len(digests) == 5
    assert splits.digest() == Splits(*splits).digest()


def test_a_diverged_network_is_recorded_and_stops(splits):
    """At this rate all weights are infinite after a step, and their products no numbers."""
    settings = replace(SETTINGS, learning_rate=1e38, epochs=9, patience=9)
    history, model = train_run(settings, splits)
    assert history["epoch"].tolist() == [0, 1]
    assert history["loss"].isna().all()
    # No epoch is the best: the network stays the untrained one.
    assert best_epoch(history) == 0
    assert accuracy(model, *splits.validation) == history.loc[0, "val_accuracy"]


def test_training_stops_after_patience(splits):
    # A step this small changes no prediction: epoch 1 stays the best one.
    settings = replace(SETTINGS, learning_rate=1e-12, epochs=9, patience=2)
    history = train_run(settings, splits).history
    assert history["epoch"].tolist() == [0, 1, 2, 3]
    assert history["val_accuracy"].nunique() == 1


class Copying(Checkpoint):
    """A checkpoint an epoch, all of which are kept: what an interruption would have left."""

    def __init__(self, path, settings):
        super().__init__(path, vars(settings), 0)
        self._path = path

    def write(self, snapshot):
        super().write(snapshot)
        shutil.copyfile(self._path, self.after(len(snapshot.records) - 1))

    def after(self, epoch):
        return self._path.with_name(f"after-{epoch}.npz")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "cnn"},
        {"vcp": 0.5, "augmentation": "noise"},
        {"release": 1, "phase_period": 3, "phase_unit": "steps", "phase_strength": 0.5},
    ],
    ids=["shared", "free", "released"],
)
def test_a_resumed_training_is_an_uninterrupted_one(splits, tmp_path, caplog, change):
    """To the last bit, early stopping included: its patience spans the interruption."""
    caplog.set_level(logging.INFO)
    level = 0.3 if "augmentation" in change else 0.0
    settings = replace(SETTINGS, level=level, learning_rate=0.05, epochs=40, patience=2, **change)
    training, validation = (Split(part.images[:64], part.labels[:64]) for part in splits[:2])
    splits = Splits(training, validation, 10)

    whole = Copying(tmp_path / "whole.npz", settings)
    history, model = train_run(settings, splits, whole)
    best = best_epoch(history)
    assert history["epoch"].max() == best + 2 < 40

    interrupted = whole.after(best + 1)
    resumed = Checkpoint(interrupted, vars(settings), 0)
    before = resumed.load().records
    caplog.clear()
    after = train_run(settings, splits, resumed)
    assert f"resuming after epoch {best + 1}, from {interrupted}" in caplog.text
    assert caplog.text.count(" epoch ") == 3  # that line, one epoch, and why it was the last

    pd.testing.assert_frame_equal(
        after.history.drop(columns="seconds"), history.drop(columns="seconds"), check_exact=True
    )
    seconds = [math.nan, *(record["seconds"] for record in before[1:])]
    np.testing.assert_array_equal(after.history["seconds"][:-1], seconds)
    snapshots = whole.load(), resumed.load()
    assert snapshots[0].best_epoch == snapshots[1].best_epoch == best
    for ours, theirs in [
        (after.model.get_weights(), model.get_weights()),
        (snapshots[1].best_weights, model.get_weights()),
        (snapshots[1].state, snapshots[0].state),
    ]:
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_training_resumed_at_its_end_adds_no_epoch(trained, splits, tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz", vars(SETTINGS), 0)
    first, again = (train_run(SETTINGS, splits, checkpoint) for _ in range(2))
    pd.testing.assert_frame_equal(again.history, first.history, check_exact=True)
    # Nor do checkpoints change anything.
    for run in (first, again):
        pd.testing.assert_frame_equal(
            run.history.drop(columns="seconds"),
            trained.history.drop(columns="seconds"),
            check_exact=True,
        )
        for one, other in zip(run.model.get_weights(), trained.model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_checkpoint_of_other_settings_is_ignored(trained, splits, tmp_path, caplog):
    path = tmp_path / "checkpoint.npz"
    other = replace(SETTINGS, seed=12, epochs=1)
    train_run(other, splits, Checkpoint(path, vars(other), 0))
    settings = replace(SETTINGS, epochs=1)
    run = train_run(settings, splits, Checkpoint(path, vars(settings), 0))
    assert "is of another training (seed): training starts over" in caplog.text
    pd.testing.assert_frame_equal(
        run.history.drop(columns="seconds"), trained.history[:2].drop(columns="seconds")
    )


@pytest.mark.parametrize("glorot_fans", ["kernel_shape", "per_location"])
def test_absent_connections_stay_absent(splits, glorot_fans):
    settings = replace(SETTINGS, vcp=0.8, glorot_fans=glorot_fans)
    model = train_run(settings, splits).model
    untrained = untrained_network(settings)
    for name in ("conv1", "conv2"):
        kernel, _, mask = model.get_layer(name).get_weights()
        start, *_ = untrained.get_layer(name).get_weights()
        assert (kernel[~mask] == 0).all()
        assert (kernel[mask] != start[mask]).mean() > 0.1
        assert np.mean(~mask) == pytest.approx(0.8, abs=0.01)


def test_whole_batches_leave_the_rest_of_the_perturbed_images_out(splits):
    images, labels = (part[200:270] for part in digits())
    splits = splits._replace(validation=Split(images, labels))
    whole = train_run(replace(SETTINGS, epochs=1, validation_batches="whole"), splits).history
    row = whole.loc[0]
    swapped = images.copy()
    swapped[:, :14, 14:], swapped[:, 14:, :14] = images[:, 14:, :14], images[:, :14, 14:]
    model = untrained_network(SETTINGS)
    assert row["val_quadrant_swap"] == accuracy(model, swapped[:64], labels[:64])
    assert row["val_accuracy"] == accuracy(model, images, labels)


def test_a_batch_larger_than_the_data_is_refused(splits):
    with pytest.raises(InputError, match="batch_size: 256 is more than the 200 training images"):
        train_run(replace(SETTINGS, batch_size=256), splits)


def test_another_backend_than_the_runs_is_refused(splits):
    settings = replace(SETTINGS, backend="torch")
    message = "backend: torch was requested but Keras computes with .* KERAS_BACKEND=torch"
    with pytest.raises(InputError, match=message):
        train_run(settings, splits)
    with pytest.raises(InputError, match=message):
        evaluate_model(settings, None, 1, splits.validation, [], 0)


def test_half_precision_learns_as_well(trained, splits):
    """Accuracies within a few images of 64; the model says in which precision it computes."""
    run = train_run(replace(SETTINGS, precision="mixed_bfloat16"), splits)
    assert run.model.get_layer("conv1").compute_dtype == "bfloat16"
    assert run.model.get_layer("output").compute_dtype == "float32"
    full, half = trained.history.loc[2], run.history.loc[2]
    assert half["loss"] != full["loss"]
    # Four layers round their weights, what they are given and what they give to 8 bits: 4.7 %.
    assert half["loss"] == pytest.approx(full["loss"], rel=4 * 3 * 2**-8)
    assert half["val_accuracy"] == pytest.approx(full["val_accuracy"], abs=4 / 64)


def test_an_evaluation_counts_classes_by_hand(splits):
    """A network that sees only the top left pixel, on labels and images made for it."""
    images = np.zeros((6, 28, 28, 1), np.uint8)
    images[3:, 0, 0] = 255
    labels = np.array([0, 0, 1, 1, 1, 0])
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")]
    )
    kernel = np.zeros((784, 2), np.float32)
    kernel[0] = [0, 10]
    model.set_weights([kernel, np.array([1, 0], np.float32)])
    conditions = sweep_conditions({"translation": [0.0], "noise": [0.0]})
    frame = evaluate_model(SETTINGS, model, 7, Split(images, labels), conditions, 0)

    assert frame.columns.tolist() == EVALUATION_SCHEMA.names
    assert set(frame["epoch"]) == {7}
    for kind, strength in [("clean", 0.0), ("translation", 0.0), ("noise", 0.0)]:
        rows = frame[(frame["perturbation"] == kind) & (frame["strength"] == strength)]
        # Predicted 0, 0, 0, 1, 1, 1.
        assert rows[["label", "count", "correct"]].to_numpy().tolist() == [[0, 3, 2], [1, 3, 2]]
    swap = frame[frame["perturbation"] == "quadrant_swap"]
    assert swap["correct"].sum() == 4  # the top left quadrant stays where it is


def test_an_evaluation_measures_the_strengths_asked_for(trained, splits):
    conditions = sweep_conditions({"rotation": [0.0, 0.5], "translation": [0.5]})
    frame = evaluate_model(SETTINGS, trained.model, 1, splits.validation, conditions, 3)
    correct = frame.groupby(["perturbation", "strength"])["correct"].sum()
    assert correct["rotation", 0.0] == correct["clean", 0.0]
    assert correct["rotation", 0.5] < correct["clean", 0.0]
    assert correct["translation", 0.5] < correct["clean", 0.0]
    counts = frame.groupby(["perturbation", "strength"])["count"].sum()
    assert (counts == len(splits.validation.labels)).all()
    again = evaluate_model(SETTINGS, trained.model, 1, splits.validation, conditions, 3)
    pd.testing.assert_frame_equal(frame, again)
    # Not by chance: a half-turned digit is what scipy turns it into.
    images, labels = splits.validation
    turned = scipy.ndimage.rotate(images, 180, axes=(1, 2), reshape=False, order=1)
    assert accuracy(trained.model, turned, labels) < accuracy(trained.model, images, labels)
