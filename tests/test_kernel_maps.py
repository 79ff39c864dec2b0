"""Filters laid out and compared, counted by hand; and their pictures."""

import shutil

import keras
import numpy as np
import pytest
import yaml
from conftest import ROOT, run_script

from freeconv.errors import InputError
from freeconv.plots.kernel_maps import (
    bank_lengths,
    draw_filters,
    kernel_mosaic,
    likeness_to_centre,
    likeness_to_neighbours,
)
from freeconv.training.models import build_model, named_free_layer

NAN = np.nan


def test_a_mosaic_by_loops():
    grid, size, channels, filters = (2, 3), (3, 2), 2, 4
    kernel = np.random.default_rng(0).normal(size=(6, 12, filters))
    mosaic = kernel_mosaic(kernel, grid, size, channel=1, number=2)
    assert mosaic.shape == (7, 8)
    seen = np.isnan(mosaic)
    assert seen[3].all()
    assert seen[:, [2, 5]].all()
    assert seen.sum() == 8 + 2 * 7 - 2
    for row in range(2):
        for column in range(3):
            for down in range(3):
                for right in range(2):
                    weight = (down * 2 + right) * channels + 1
                    expected = kernel[row * 3 + column, weight, 2]
                    assert mosaic[row * 4 + down, column * 3 + right] == expected


def test_a_mosaic_shows_what_the_layer_computes():
    """An image that is 1 at one pixel alone gives back that weight, where it lies in the mosaic."""
    layer = build_model("fcn", "mnist", (28, 28, 1), 10).get_layer("conv1")
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    image = np.zeros((1, 28, 28, 1), "float32")
    image[0, 2 * 4 + 1, 2 * 7 + 2] = 1  # of position (4, 7), stride 2, the pixel (1, 2)
    layer.activation = keras.activations.linear
    output = keras.ops.convert_to_numpy(layer(image))[0, 4, 7, 5]
    mosaic = kernel_mosaic(kernel, layer.output_grid, layer.kernel_size, 0, 5)
    assert mosaic[4 * 4 + 1, 7 * 4 + 2] == pytest.approx(output)


# Banks of two weights at 2 x 2 positions: right, right, up, and both ways.
BANKS = np.array([[1, 0], [2, 0], [0, 3], [1, 1]], float).reshape(4, 2, 1)


def test_likeness_by_hand():
    # The neighbours of the first add up to (3, 4), of the second to (2, 4), of the third to (4, 1),
    # of the last to (3, 3).
    expected = [[3 / 5, 2 / np.sqrt(20)], [1 / np.sqrt(17), 1]]
    np.testing.assert_allclose(likeness_to_neighbours(BANKS, (2, 2)), expected)
    half = 1 / np.sqrt(2)
    np.testing.assert_allclose(likeness_to_centre(BANKS, (2, 2)), [[half, half], [half, 1]])
    lengths = np.array([[1, 2], [3, np.sqrt(2)]])
    np.testing.assert_allclose(bank_lengths(BANKS, (2, 2)), lengths / lengths.mean())


def test_only_neighbours_count():
    kernel = np.ones((9, 4, 2))
    kernel[8] = -1
    likeness = likeness_to_neighbours(kernel, (3, 3))
    expected = np.ones((3, 3))
    expected[2, 2] = -1  # and five or eight neighbours outvote it everywhere else
    np.testing.assert_allclose(likeness, expected)
    np.testing.assert_allclose(likeness_to_centre(-2 * kernel, (3, 3)), expected)


def test_what_has_no_direction_is_alike_to_nothing():
    kernel = BANKS.copy()
    kernel[0] = 0
    assert likeness_to_neighbours(kernel, (2, 2))[0, 0] == 0
    assert likeness_to_centre(kernel, (2, 2))[0, 0] == 0
    kernel[0] = NAN
    assert np.isnan(likeness_to_neighbours(kernel, (2, 2))).all()
    assert np.isnan(likeness_to_centre(kernel, (2, 2))).tolist() == [[True, False], [False, False]]
    assert np.isnan(likeness_to_neighbours(BANKS[:1], (1, 1))).all()
    assert np.isnan(bank_lengths(0 * BANKS, (2, 2))).all()


def test_a_shared_filter_is_alike_everywhere():
    kernel = np.tile(np.random.default_rng(1).normal(size=(1, 9, 8)), (20, 1, 1))
    for likeness in (likeness_to_neighbours, likeness_to_centre):
        np.testing.assert_allclose(likeness(kernel, (4, 5)), 1)


def test_the_picture_shows_what_was_computed():
    random = np.random.default_rng(2)
    kernel = random.normal(size=(12, 18, 5))
    present = random.random(kernel.shape) < 0.5
    kernel *= present
    grid, size = (3, 4), (3, 3)
    figure = draw_filters(kernel, grid, size, (4, 1), present=present, title="a title")
    shown = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert [ax.get_title(loc="left") for ax in shown] == [
        *("(a) Filter 4, channel 0", "(b) Filter 1, channel 0"),
        *("(c) Filter 4, channel 1", "(d) Filter 1, channel 1"),
        *("(e) Likeness to neighbours", "(f) Likeness to X", "(g) Length of all weights"),
    ]
    for ax, (channel, number) in zip(shown, [(0, 4), (0, 1), (1, 4), (1, 1)], strict=False):
        weights = ax.images[1].get_array()
        absent = kernel_mosaic(present, grid, size, channel, number) != 1
        np.testing.assert_array_equal(np.ma.getmaskarray(weights), absent)
        expected = kernel_mosaic(kernel, grid, size, channel, number)
        np.testing.assert_array_equal(weights.data[~absent], expected[~absent])
    neighbours, centre, lengths = (ax.images[0].get_array() for ax in shown[4:])
    np.testing.assert_array_equal(neighbours, likeness_to_neighbours(kernel, grid))
    np.testing.assert_array_equal(lengths, bank_lengths(kernel, grid))
    expected = likeness_to_centre(kernel, grid)
    assert np.ma.getmaskarray(centre).sum() == 1
    assert np.ma.getmaskarray(centre)[1, 2]
    np.testing.assert_array_equal(centre.compressed(), np.delete(expected, 6))
    assert [ax.get_text() for ax in shown[5].texts] == ["X"]


@pytest.mark.parametrize("numbers", [(), (5,), (-1,)])
def test_only_filters_that_there_are_can_be_drawn(numbers):
    with pytest.raises(InputError, match="`filters` must be from 0 to 4"):
        draw_filters(np.ones((4, 9, 5)), (2, 2), (3, 3), numbers)


def test_channels_are_chosen_or_the_first_three():
    kernel = np.random.default_rng(3).normal(size=(4, 9 * 5, 2))
    first = draw_filters(kernel, (2, 2), (3, 3), (1,))
    chosen = draw_filters(kernel, (2, 2), (3, 3), (1,), channels=[4])
    for figure, channels in ((first, [0, 1, 2]), (chosen, [4])):
        drawn = [ax for ax in figure.axes if "Filter" in ax.get_title(loc="left")]
        assert len(drawn) == len(channels)
        for ax, channel in zip(drawn, channels, strict=True):
            assert ax.get_title(loc="left").endswith(f" Filter 1, channel {channel}")
            expected = kernel_mosaic(kernel, (2, 2), (3, 3), channel, 1)
            there = ~np.isnan(expected)
            np.testing.assert_array_equal(ax.images[1].get_array()[there], expected[there])
    with pytest.raises(InputError, match="`channels` must be from 0 to 4"):
        draw_filters(kernel, (2, 2), (3, 3), channels=[5])


@pytest.mark.parametrize("weight", [0.0, NAN])
def test_filters_without_numbers_are_drawn(weight):
    figure = draw_filters(np.full((4, 9, 5), weight), (2, 2), (3, 3))
    figure.draw_without_rendering()
    assert len([ax for ax in figure.axes if ax.images]) == 6


def test_the_layer_is_found_by_name():
    model = build_model("fcn", "mnist", (28, 28, 1), 10, layers=2)
    assert named_free_layer(model).name == "conv1"
    assert named_free_layer(model, "conv2").name == "conv2"
    with pytest.raises(InputError, match=r"layer hidden: expected .* conv1, conv2"):
        named_free_layer(model, "hidden")
    with pytest.raises(InputError, match="the model, cnn, has no free convolution"):
        named_free_layer(build_model("cnn", "mnist", (28, 28, 1), 10))


def test_the_script_says_what_is_wrong(tmp_path):
    run = run_script(
        "draw", "filters", "--model-file", tmp_path / "model.keras", "--output", tmp_path / "a.png"
    )
    assert run.returncode == 1
    assert "model.keras: no such model; a study keeps models with keep_models: true" in run.stderr
    (tmp_path / "model.keras").write_text("no model")
    run = run_script(
        "draw", "filters", "--model-file", tmp_path / "model.keras", "--output", tmp_path / "a.png"
    )
    assert run.returncode == 1
    assert run.stderr.endswith("model.keras: no model that Keras saved; expected .keras\n")


@pytest.fixture
def configuration(tmp_path):
    """The smoke study; its file, and a function that changes it."""
    path = tmp_path / "study.yaml"
    study = yaml.safe_load((ROOT / ".test/config/config.yaml").read_text())

    def configure(**changes):
        path.write_text(yaml.safe_dump(study | changes))
        return "--configfile", path

    return configure


def test_a_study_without_models_has_no_filters_to_draw(snakemake, tmp_path, configuration):
    run = snakemake(tmp_path, "filters", *configuration(keep_models=False))
    assert run.returncode != 0
    assert "keep_models: false, so study smoke has no models" in run.stdout
    assert "Traceback (most recent call last)" not in run.stdout


def test_a_study_with_models_draws_those_of_its_free_networks(
    snakemake, smoke, tmp_path, configuration
):
    """And trains nothing for it."""
    for name in ("data", "results"):
        shutil.copytree(smoke / name, tmp_path / name)
    cells = tmp_path / "results/smoke/runs/digits/fcn"
    folders = [file.parent for file in cells.glob("**/history.parquet")]
    assert len(folders) == 3
    for folder in folders:
        vcp = float(folder.parents[2].name.removeprefix("vcp-"))
        model = build_model("fcn", "mnist", (28, 28, 1), 10, layers=1, vcp=vcp)
        model.save(folder / "model.keras")
    run = snakemake(tmp_path, "filters", *configuration(keep_models=True))
    assert run.returncode == 0, run.stdout
    assert "rule train_run" not in run.stdout
    for folder in folders:
        png = tmp_path / "results/smoke/filters/digits/fcn" / f"{folder.relative_to(cells)}.png"
        assert png.read_bytes().startswith(b"\x89PNG")
        grey = "dark grey: no connection" in png.with_suffix(".svg").read_text()
        assert grey == ("vcp-0.5" in str(folder))
