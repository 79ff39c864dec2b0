"""What a study's ways of sharing weights make of a training; at their ends it is a plain one."""

from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
from test_training import SETTINGS, splits  # noqa: F401 (a fixture)

from freeconv import to_free
from freeconv.data.folds import Split, Splits, nested_subset
from freeconv.errors import InputError
from freeconv.training.engine import Trainer, on_device
from freeconv.training.models import build_model
from freeconv.training.release import release
from freeconv.training.train import train_run

CNN = replace(SETTINGS, kind="cnn", model="cnn")


def numbers(run):
    """What two equal trainings have in common: all epochs, but for their names and times."""
    return run.history.drop(columns=["model", "training_share", "seconds"])


def assert_same(one, other):
    pd.testing.assert_frame_equal(numbers(one), numbers(other), check_exact=True)
    for ours, theirs in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def shared(splits):  # noqa: F811
    return train_run(CNN, splits)


def test_a_network_that_is_never_released_is_a_cnn(splits, shared):  # noqa: F811
    assert_same(train_run(replace(SETTINGS, release=2), splits), shared)


def test_one_bank_trains_like_a_cnn(splits):  # noqa: F811
    """From the same weights, to rounding."""
    model, banks = (
        build_model(kind, "mnist", (28, 28, 1), 10, layers=2, seed=1, **extra)
        for kind, extra in (("cnn", {}), ("fcn", {"banks": 1, "glorot_fans": "per_location"}))
    )
    banks.set_weights(
        [w.reshape(v.shape) for w, v in zip(model.get_weights(), banks.weights, strict=True)]
    )
    ends = [weights_after_an_epoch(each, splits) for each in (model, banks)]
    for one, other in zip(*ends, strict=True):
        # Adam divides a gradient by its size: where it nearly cancels, rounding becomes a step.
        close = np.isclose(one.ravel(), other.ravel(), rtol=0, atol=2e-5)
        assert close.mean() > 0.995


def weights_after_an_epoch(model, splits):  # noqa: F811
    trainer = new_trainer(model)
    trainer.epoch(*on_device(*splits.training), np.random.SeedSequence(1))
    return model.get_weights()


def new_trainer(model):
    return Trainer(model, learning_rate=0.001, batch_size=32, augmentation="none", level=0.0)


def test_a_network_released_at_once_is_an_fcn_that_begins_with_equal_kernels(splits):  # noqa: F811
    """That of `to_free`, trained by the engine alone; bit by bit."""
    run = train_run(replace(SETTINGS, release=0, epochs=1), splits)
    free = to_free(build_model("cnn", "mnist", (28, 28, 1), 10, layers=2, seed=SETTINGS.seed))
    trainer = new_trainer(free)
    loss, _ = trainer.epoch(
        *on_device(*splits.training), np.random.SeedSequence([SETTINGS.seed, 0, 1])
    )
    assert run.history["loss"][1] == loss
    for ours, theirs in zip(run.model.get_weights(), free.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    kernel = run.model.get_layer("conv1").kernel
    assert not np.all(kernel == kernel[0])


def test_at_the_release_the_function_stays_and_adam_goes_on(splits):  # noqa: F811
    model, free = (
        build_model(kind, "mnist", (28, 28, 1), 10, layers=2, seed=seed)
        for kind, seed in (("cnn", 1), ("fcn", 2))
    )
    trainer = new_trainer(model)
    trainer.epoch(*on_device(*splits.training), np.random.SeedSequence(1))
    before = trainer.state()
    state = release(free, before)
    images = splits.validation.images / np.float32(255)
    np.testing.assert_allclose(
        free.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-5
    )
    other = new_trainer(free)
    other.restore(state)
    weights, after = len(model.weights), other.state()
    assert after[weights] == before[weights] == 6  # steps
    # The kernel of conv1, 13 x 13 positions: moments of the copies add up to the shared one's.
    for moment in (weights + 1, weights + 1 + len(model.trainable_variables)):
        assert after[moment].shape == (169, 9, 32)
        np.testing.assert_allclose(after[moment].sum(0), before[moment].reshape(9, 32), rtol=1e-4)
        # Those of dense layers stay.
        np.testing.assert_array_equal(after[moment + 4], before[moment + 4])


def test_a_network_released_later_is_a_cnn_until_then(splits, shared):  # noqa: F811
    run = train_run(replace(SETTINGS, release=1), splits)
    pd.testing.assert_frame_equal(numbers(run)[:2], numbers(shared)[:2], check_exact=True)
    assert run.history["common_share"].isna().tolist() == [True, True, False]
    assert 0.99 < run.history["common_share"][2] < 1
    assert type(run.model.get_layer("conv1")).__name__ == "FreeConv2D"


def test_the_best_epoch_before_a_release_is_kept_as_a_free_network(splits):  # noqa: F811
    """Its weights are those of the CNN, at every position.

    It is the first one, as all images to validate on are such that it has them right.
    """
    reference = train_run(replace(CNN, epochs=1), splits).model
    images, labels = splits.training
    predicted = reference.predict(images / np.float32(255), verbose=0).argmax(axis=1)
    right = np.flatnonzero(predicted == labels)[:32]
    easy = Splits(splits.training, Split(images[right], labels[right]), 10)
    run = train_run(replace(SETTINGS, release=1, epochs=2), easy)
    assert run.history["val_accuracy"][1] == 1
    np.testing.assert_array_equal(
        run.model.get_layer("conv1").kernel[5],
        keras.ops.reshape(reference.get_layer("conv1").kernel, (9, 32)),
    )


def test_phases_hold_kernels_together(splits):  # noqa: F811
    """An epoch has six steps: after a phase at its end kernels are equal, two steps later not."""
    phases = {"phase_strength": 1.0, "release": 0, "epochs": 1}
    runs = {
        name: train_run(replace(SETTINGS, phase_period=period, phase_unit=name, **phases), splits)
        for name, period in (("epochs", 1), ("steps", 4))
    }
    equal = {name: run.model.get_layer("conv1").kernel for name, run in runs.items()}
    assert np.all(equal["epochs"] == equal["epochs"][0])
    assert runs["epochs"].history["common_share"][1] == pytest.approx(1, abs=1e-6)
    assert not np.all(equal["steps"] == equal["steps"][0])
    plain = train_run(replace(SETTINGS, release=0, epochs=1), splits)
    assert runs["steps"].history["common_share"][1] > plain.history["common_share"][1]


@pytest.mark.parametrize("period", [1, 4, 6, 7])
def test_pauses_come_every_so_many_steps(splits, period):  # noqa: F811
    """Counted from the first step on, whatever epochs they are of; and change nothing."""
    models = [build_model("cnn", "mnist", (28, 28, 1), 10, layers=2, seed=1) for _ in range(2)]
    done = []
    trainers = [new_trainer(model) for model in models]
    trainers[1].pause_every(period, done.append)
    data = on_device(*splits.training)
    for epoch in range(3):
        means = [each.epoch(*data, np.random.SeedSequence(epoch)) for each in trainers]
        np.testing.assert_allclose(*means, rtol=1e-6)
    assert done == [step for step in range(1, 19) if step % period == 0]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_penalty_draws_kernels_together(splits):  # noqa: F811
    weak, strong = (
        train_run(replace(SETTINGS, release=0, mean_penalty=penalty), splits).history
        for penalty in (0.0, 1.0)
    )
    assert weak["common_share"][2] < 0.9999 < strong["common_share"][2]
    # What is recorded as a loss is the cross-entropy alone.
    assert strong["loss"][2] < 3


def test_a_share_of_the_images_is_trained_on_twice_as_often(splits):  # noqa: F811
    """Half of them: the network that an engine gives which sees these images in two passes."""
    settings = replace(CNN, training_share=0.5, subset_seed=9, epochs=1)
    run = train_run(settings, splits)
    chosen = nested_subset(splits.training.labels, 0.5, 9)
    part = Split(*(array[chosen] for array in splits.training))
    model = build_model("cnn", "mnist", (28, 28, 1), 10, layers=2, seed=SETTINGS.seed)
    trainer, data = new_trainer(model), on_device(*part)
    seeds = np.random.SeedSequence([SETTINGS.seed, 0, 1]).spawn(2)
    losses = [trainer.epoch(*data, seed)[0] for seed in seeds]
    assert run.history["loss"][1] == np.mean(losses)
    for ours, theirs in zip(run.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_too_small_a_share_is_named(splits):  # noqa: F811
    with pytest.raises(InputError, match=r"32 is more than the 20 .*at training_share 0.1"):
        train_run(replace(CNN, training_share=0.1), splits)


def test_a_share_of_1_is_everything(splits, shared):  # noqa: F811
    labels = splits.training.labels
    np.testing.assert_array_equal(nested_subset(labels, 1.0, 5), np.arange(len(labels)))
    again = train_run(replace(CNN, training_share=1.0), Splits(*splits))
    assert_same(again, shared)
