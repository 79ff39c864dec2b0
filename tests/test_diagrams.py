"""What illustrations show, against SciPy, NumPy and counts by hand."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from scipy import ndimage

from freeconv.plots.diagrams import image_of
from freeconv.plots.figures import draw
from freeconv.results.schemas import EXAMPLES_SCHEMA, NETWORKS_SCHEMA
from freeconv.study import labels, outputs

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)
SHAPE = (14, 12, 3)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).uniform(0.3, 0.7, SHAPE).astype(np.float32)


@pytest.fixture(scope="module")
def images(image):
    from freeconv.training.example_images import perturbed_images

    return perturbed_images(image)


@pytest.fixture(scope="module")
def records(images):
    from freeconv.training.example_images import example_records

    return example_records("my_data", images)


def test_every_kind_and_level_has_an_image(images):
    expected = {("clean", 0.0), ("quadrant_swap", 0.0)}
    expected |= {(kind, level) for kind in labels.AUGMENTATION_TITLES for level in LEVELS}
    assert set(images) == expected
    assert {made.shape for made in images.values()} == {SHAPE}


@pytest.mark.parametrize("level", LEVELS)
def test_translation_is_leftwards(image, images, level):
    offset = (0, level * SHAPE[1], 0)  # SciPy's shift moves the image by minus this
    expected = ndimage.shift(image, [-o for o in offset], order=1, mode="nearest")
    np.testing.assert_allclose(images["translation", level], expected, atol=1e-5)


@pytest.mark.parametrize("level", LEVELS)
def test_rotation_is_clockwise(image, images, level):
    angle = np.deg2rad(level * 360)
    # Rows point down: a clockwise turn takes (row, column) from (cos r - sin c, sin r + cos c).
    inverse = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = (np.array(SHAPE[:2]) - 1) / 2
    for channel in range(SHAPE[2]):
        expected = ndimage.affine_transform(
            image[..., channel], inverse, centre - inverse @ centre, order=1, mode="nearest"
        )
        made = images["rotation", level][..., channel]
        np.testing.assert_allclose(made, expected, atol=1e-4)


def test_noise_is_one_draw_at_all_strengths(image, images):
    draws = [(images["noise", level] - image) / level for level in LEVELS]
    assert np.std(draws[0]) == pytest.approx(1, abs=0.15)
    for other in draws[1:]:
        np.testing.assert_allclose(other, draws[0], atol=1e-4)


def test_edge_noise_leaves_the_middle_alone(image, images):
    made = images["edge_noise", 0.5]
    untouched = np.zeros(SHAPE[:2], bool)
    untouched[5:-5, 5:-5] = True
    np.testing.assert_array_equal(made[untouched], image[untouched])
    assert (made[~untouched] != image[~untouched]).all()


def test_quadrants_are_swapped(image, images):
    swapped = images["quadrant_swap", 0.0]
    np.testing.assert_array_equal(swapped[:7, 6:], image[7:, :6])
    np.testing.assert_array_equal(swapped[7:, :6], image[:7, 6:])
    np.testing.assert_array_equal(swapped[:7, :6], image[:7, :6])
    np.testing.assert_array_equal(swapped[7:, 6:], image[7:, 6:])


def test_image_shown_is_the_first_of_the_last_class():
    from freeconv.data.formats import pack
    from freeconv.training.example_images import example_image

    pixels = np.arange(4 * 2 * 2, dtype=np.uint8).reshape(4, 2, 2, 1)
    shown = example_image(pack(pixels, np.array([0, 2, 1, 2])))
    np.testing.assert_allclose(shown[..., 0] * 255, [[4, 5], [6, 7]], rtol=1e-6)


def test_records_hold_what_a_screen_can_show(images, records):
    assert list(records.columns) == EXAMPLES_SCHEMA.names
    for row in records.itertuples():
        made = images[row.perturbation, row.strength]
        shown = image_of(row)
        assert shown.shape == SHAPE
        # Noise below 0 and above 1 is seen: the least value is black, the largest white.
        black, white = min(made.min(), 0), max(made.max(), 1)
        expected = (made - black) / (white - black)
        np.testing.assert_allclose(shown / 255, expected, atol=0.5001 / 255)
    noisy = records[(records["perturbation"] == "noise") & (records["strength"] == 0.99)]
    pixels = list(image_of(noisy.iloc[0]).flat)
    assert pixels.count(0) == pixels.count(255) == 1


@pytest.mark.parametrize("augmentation", labels.AUGMENTATION_TITLES)
def test_examples_show_level_0_first_and_all_levels(records, augmentation):
    figure = draw(f"{augmentation}_examples", records, "my_data")
    assert len(figure.axes) == 11
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles[0].startswith("(a) 0")
    assert titles[10].startswith("(k) 0.99")
    images = {(row.perturbation, row.strength): image_of(row) for row in records.itertuples()}
    keys = [("clean", 0.0), *((augmentation, level) for level in LEVELS)]
    for ax, key in zip(figure.axes, keys, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), images[key])


def test_rotation_is_labelled_in_degrees(records):
    figure = draw("rotation_examples", records, "my_data")
    assert figure.axes[1].get_title(loc="left") == "(b) 0.1, 36°"


def test_grey_images_are_grey():
    pixels = np.array([0, 100, 200, 255], np.uint8)
    rows = [("d", kind, 0.0, 2, 2, 1, pixels.tobytes()) for kind in ("clean", "quadrant_swap")]
    frame = pd.DataFrame(rows, columns=EXAMPLES_SCHEMA.names)
    (shown,) = draw("quadrant_swap_example", frame, "d").axes[0].images
    colours = shown.to_rgba(shown.get_array(), bytes=True)
    np.testing.assert_array_equal(colours[..., :3].reshape(4, 3), pixels[:, None].repeat(3, 1))


def test_quadrant_swap_shows_both_images(records):
    before, after = draw("quadrant_swap_example", records, "my_data").axes
    clean, swapped = (ax.images[0].get_array() for ax in (before, after))
    np.testing.assert_array_equal(swapped[:7, 6:], clean[7:, :6])
    assert [text.get_text() for text in before.texts] == ["I", "III"]
    assert [text.get_text() for text in after.texts] == ["III", "I"]


def networks(rows, columns):
    layers = [
        ("image", "input", 0, 0, 28, 28, 1, 0, 0),
        ("conv1", "free_convolution", 3, 2, rows, columns, 32, 1, rows * columns),
        ("conv2", "free_convolution", 3, 2, 6, 6, 64, 1, 36),
    ]
    rows = [("mnist", "fcn", 0.001, *layer) for layer in layers]
    return pd.DataFrame(rows, columns=NETWORKS_SCHEMA.names)


@pytest.mark.parametrize("size", [(13, 13), (14, 14)])
def test_rings_by_hand(size):
    figure = draw("filter_rings", networks(*size), "mnist")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["(a) Radius 1", "(b) Radius 4"]
    for ax, radius, count in zip(figure.axes, (1, 4), (8, 32), strict=True):
        looks = ax.collections[0].get_array().reshape(size)
        centre = tuple(n // 2 for n in size)
        assert looks[centre] == 2
        assert (looks == 1).sum() == count
        places = np.argwhere(looks == 1) - centre
        assert set(np.abs(places).max(axis=1)) == {radius}


def test_ring_leaves_a_small_grid():
    first, second = draw("filter_rings", networks(4, 4), "mnist").axes
    assert (first.collections[0].get_array() == 1).sum() == 8
    assert (second.collections[0].get_array() == 1).sum() == 0


def test_free_convolution_counts_by_hand():
    full, partial = draw("free_convolution", networks(13, 13), "mnist").axes
    for ax, absent in ((full, 0), (partial, 12)):
        polygons = [c for c in ax.collections if isinstance(c, PolyCollection)]
        assert len(polygons[0].get_paths()) == 81
        white = (polygons[0].get_facecolor() == 1).all(axis=1)
        assert white.sum() == absent
        assert len(polygons) == 1 + 9 + 9  # all cells, nine regions, nine outputs
        crosses = next(c for c in ax.collections if isinstance(c, LineCollection))
        assert len(crosses.get_segments()) == 2 * absent
        outputs = {tuple(p.get_facecolor()[0]) for p in polygons[2::2]}
        assert len(outputs) == 9
    assert partial.get_title(loc="left") == "(b) 12 of 81 connections masked"


def test_layers_of_the_networks_by_hand():
    from freeconv.training.layer_table import network_records

    layers = network_records("mnist", "fcn", "fcn", 1, None, "mnist", 3, 0.001, (28, 28, 1), 10)
    assert list(layers.columns) == NETWORKS_SCHEMA.names
    assert set(layers["learning_rate"]) == {0.001}
    assert layers[["kind", "rows", "columns", "units"]].to_numpy().tolist() == [
        ["input", 28, 28, 1],
        ["free_convolution", 13, 13, 32],
        ["free_convolution", 6, 6, 64],
        ["free_convolution", 4, 4, 128],
        ["dense", 1, 1, 1024],
        ["softmax", 1, 1, 10],
    ]
    assert layers["parameters"].tolist() == [
        0,
        13 * 13 * (9 * 1 + 1) * 32,
        6 * 6 * (9 * 32 + 1) * 64,
        4 * 4 * (9 * 64 + 1) * 128,
        (4 * 4 * 128 + 1) * 1024,
        (1024 + 1) * 10,
    ]
    assert layers["kernels"].tolist() == [0, 13 * 13, 6 * 6, 4 * 4, 0, 0]
    tiles = network_records("mnist", "tiles", "fcn", 4, None, "mnist", 3, 0.001, (28, 28, 1), 10)
    assert set(tiles["model"]) == {"tiles"}
    assert tiles["kernels"].tolist() == [0, 4 * 4, 2 * 2, 1, 0, 0]
    assert tiles["parameters"].tolist()[1] == 4 * 4 * (9 * 1 + 1) * 32
    shared = network_records(
        "cifar10", "cnn", "cnn", 1, None, "cifar10", 3, 0.0001, (32, 32, 3), 10
    )
    assert shared["kernels"].tolist() == [0, 1, 1, 1, 0, 0]
    assert shared["parameters"].tolist()[1:4] == [
        (25 * 3 + 1) * 64,
        (25 * 64 + 1) * 128,
        (9 * 128 + 1) * 256,
    ]
    assert shared["kernel_size"].tolist() == [0, 5, 5, 3, 0, 0]
    assert shared["stride"].tolist() == [0, 2, 2, 1, 0, 0]


def test_drawing_needs_no_tensorflow():
    loaded = "bool({'tensorflow', 'keras'} & set(sys.modules))"
    code = f"import sys, freeconv.plots.paper_figures; sys.exit({loaded})"
    path = str(Path(outputs.__file__).parents[2])
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}).returncode == 0
