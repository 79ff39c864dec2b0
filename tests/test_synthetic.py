"""The signal in noise: its distribution, by counts and averages of many images."""

import json

import numpy as np
import pytest
from conftest import run_script

from freeconv.data.formats import open_dataset
from freeconv.data.synthetic import NOISE, signal_in_noise
from freeconv.errors import InputError

SIZES = {"patches": 3, "patch_size": 4, "images": 20_000, "strength": 6.0}


@pytest.fixture(scope="module")
def drawn():
    return signal_in_noise(**SIZES, seed=1)


def by_patch(images):
    """(images, patches, pixels of a patch), in standard deviations of the noise."""
    values = (images[..., 0].astype(float) - 128) / NOISE
    rows = [values[:, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4] for r in range(3) for c in range(3)]
    return np.stack([patch.reshape(len(values), -1) for patch in rows], axis=1)


def test_both_classes_are_as_frequent(drawn):
    images, labels = drawn
    assert images.shape == (20_000, 12, 12, 1)
    assert images.dtype == labels.dtype == np.uint8
    assert np.bincount(labels).tolist() == [10_000, 10_000]


def test_one_patch_holds_the_signal_and_its_sign_is_the_class(drawn):
    """Difference of the classes' means: the signal twice, in a ninth of the images, everywhere."""
    images, labels = drawn
    patches = by_patch(images)
    signal = (patches[labels == 1].mean(0) - patches[labels == 0].mean(0)) / 2 * 9
    # A mean of 20,000 values of variance about 1 + 6**2 / 16 / 9, times 9: 0.07.
    assert np.abs(signal - signal.mean(0)).max() < 5 * 0.07
    signal = signal.mean(0)
    assert np.linalg.norm(signal) == pytest.approx(6, rel=0.03)
    # The patch with the largest response to the signal tells the class, as often as theory says.
    responses = patches @ signal / np.linalg.norm(signal)
    strongest = np.take_along_axis(responses, np.abs(responses).argmax(1)[:, None], 1)[:, 0]
    assert np.mean((strongest > 0) == labels) > 0.99
    places = np.bincount(np.abs(responses).argmax(1), minlength=9) / len(images)
    np.testing.assert_allclose(places, 1 / 9, atol=5 * np.sqrt(8 / 81 / len(images)))


def test_what_is_no_signal_is_normal_noise(drawn):
    images, _ = drawn
    rest = np.sort(np.abs(by_patch(images)).max(-1), axis=1)[:, 0]  # the quietest patch
    assert rest.max() < 4.1
    values = by_patch(images)
    # Variance of noise, of rounding (1 / 12), and of a signal of norm 6 in one of nine patches.
    expected = 1 + 1 / 12 / NOISE**2 + 36 / 144
    assert values.var() == pytest.approx(expected, rel=0.02)


def test_a_seed_is_a_data_set():
    few = SIZES | {"images": 50}
    one, again, other = (signal_in_noise(**few, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one[0], again[0])
    assert not np.array_equal(one[0], other[0])


@pytest.mark.parametrize("wrong", [{"patches": 0}, {"images": 1}, {"strength": 0}])
def test_what_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        signal_in_noise(**SIZES | wrong, seed=0)


def test_it_is_prepared_like_any_data_set(tmp_path):
    settings = {"patches": 2, "patch_size": 3, "images": 40, "strength": 5, "seed": 0}
    path = tmp_path / "signal.npy"
    words = ("--signal", json.dumps(settings), "--output", path)
    finished = run_script("data", "prepare", "--format", "signal", *words)
    assert finished.returncode == 0, finished.stderr
    records = open_dataset(path)
    images, labels = signal_in_noise(**settings)
    np.testing.assert_array_equal(records["image"], images)
    np.testing.assert_array_equal(records["label"], labels)
