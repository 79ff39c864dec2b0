"""Augmentations against SciPy, image by image, and against hand-made cases."""

from functools import partial

import keras
import numpy as np
import pytest
from scipy import ndimage, stats

from freeconv.training import augmentation

SHAPES = [(3, 28, 28, 1), (2, 9, 14, 3), (2, 12, 7, 2), (1, 5, 1, 1)]


def random_images(shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, shape).astype("float32")


def scipy_affine(image, matrix, offset):
    """The value at `matrix @ point + offset`, for every channel of one image."""
    channels = [
        ndimage.affine_transform(channel, matrix, offset, order=1, mode="nearest")
        for channel in np.moveaxis(image.astype("float64"), -1, 0)
    ]
    return np.stack(channels, axis=-1)


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def computed(function, *arguments):
    """What a function gives; by JAX as one program, for one of each operation takes long."""
    if keras.backend.backend() == "jax":
        from jax import jit

        function = jit(function)
    return numpy(function(*arguments))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "shift",
    [(0, 0), (3, -2), (0.3, 0.0), (-2.75, 4.4), (26.6, -27.2), (-40, 60.5)],
)
def test_translation_equals_scipy(shape, shift):
    images = random_images(shape)
    # Every image its own shift, so that a mix-up within the batch is seen.
    shifts = np.array(shift) * np.linspace(1, 0.5, shape[0])[:, None]
    expected = [scipy_affine(i, np.eye(2), -s) for i, s in zip(images, shifts, strict=True)]
    result = computed(augmentation.translate, images, shifts.astype("float32"))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_translation_moves_down_and_right():
    images = np.zeros((1, 5, 6, 1), "float32")
    images[0, 1, 2] = 1
    moved = computed(augmentation.translate, images, np.array([[2.0, 1.0]], "float32"))
    assert np.argwhere(moved).tolist() == [[0, 3, 3, 0]]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("angle", [0, 90, 180, 17.5, -133, 720.25])
@pytest.mark.parametrize("form", augmentation.ROTATION_CENTRES)
def test_rotation_equals_scipy(shape, angle, form):
    """That of the published code is about size / 2 + 0.5, where pixels are counted from 0."""
    images = random_images(shape)
    angles = angle * np.linspace(1, 0.5, shape[0])
    size = np.array(shape[1:3])
    centre = size / 2 + 0.5 if form == "code" else (size - 1) / 2
    rotate = partial(augmentation.rotate, centre=form)

    def rotated(image, degrees):
        turn = np.deg2rad(degrees)
        # Axes (down, right): where the value of a pixel comes from, turned counterclockwise.
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        return scipy_affine(image, matrix, centre - matrix @ centre)

    expected = [rotated(i, a) for i, a in zip(images, angles, strict=True)]
    result = computed(rotate, images, angles.astype("float32"))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_rotation_is_clockwise():
    image = random_images((1, 6, 6, 3))
    turned = computed(augmentation.rotate, image, np.array([90.0], "float32"))
    np.testing.assert_allclose(turned[0], np.rot90(image[0], k=-1), atol=1e-5)


def test_shifts_are_uniform_and_independent():
    shifts = numpy(augmentation.draw_shifts(0.3, 4000, 20, 50, seed=1))
    assert shifts.shape == (4000, 2)
    for values, bound in zip(shifts.T, (0.3 * 20, 0.3 * 50), strict=True):
        assert stats.kstest(values, stats.uniform(-bound, 2 * bound).cdf).pvalue > 0.01
        # Neighbouring images are not alike.
        assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.05
    assert abs(np.corrcoef(*shifts.T)[0, 1]) < 0.05


def test_angles_are_uniform_and_independent():
    angles = numpy(augmentation.draw_angles(0.125, 4000, seed=2))
    assert angles.shape == (4000,)
    assert stats.kstest(angles, stats.uniform(-45, 90).cdf).pvalue > 0.01
    assert abs(np.corrcoef(angles[1:], angles[:-1])[0, 1]) < 0.05


@pytest.mark.parametrize("level", [0.15, 0.9])
def test_noise_is_normal_and_not_clipped(level):
    images = np.full((20, 28, 28, 1), 0.5, "float32")
    noise = numpy(augmentation.add_noise(images, level, seed=3)) - 0.5
    assert stats.kstest(noise.ravel(), stats.norm(0, level).cdf).pvalue > 0.01
    assert abs(noise.mean()) < 0.05 * level
    assert abs(noise.std() / level - 1) < 0.03
    assert noise.min() < -3 * level
    assert noise.max() > 3 * level


@pytest.mark.parametrize("shape", [(30, 28, 28, 1), (20, 20, 13, 3)])
def test_edge_noise_spares_the_interior(shape):
    images = random_images(shape)
    noisy = numpy(augmentation.add_edge_noise(images, 0.15, seed=4))
    edge = np.pad(np.zeros((shape[1] - 10, shape[2] - 10), bool), 5, constant_values=True)
    np.testing.assert_array_equal(noisy[:, ~edge], images[:, ~edge])
    noise = noisy[:, edge] - images[:, edge]
    assert (noise != 0).mean() > 0.999
    assert stats.kstest(noise.ravel(), stats.norm(0, 0.15).cdf).pvalue > 0.01


def test_published_edge_noise_spares_rows_of_all_but_the_outer_images():
    images = random_images((13, 14, 12, 3))
    noise = numpy(augmentation.add_edge_noise(images, 0.15, seed=5, form="code")) - images
    assert (noise[5:8, 5:9] == 0).all()
    noised = np.concatenate(
        [part.ravel() for part in (noise[:5], noise[8:], noise[5:8, :5], noise[5:8, 9:])]
    )
    assert noised.size + noise[5:8, 5:9].size == noise.size
    assert (noised != 0).mean() > 0.999
    assert abs(noised.std() / 0.15 - 1) < 0.05


@pytest.mark.parametrize("batch", [1, 4, 10])
def test_published_edge_noise_falls_everywhere_in_small_batches(batch):
    images = random_images((batch, 28, 28, 1))
    noisy = numpy(augmentation.add_edge_noise(images, 0.15, seed=6, form="code"))
    assert (noisy != images).mean() > 0.999


def test_quadrant_swap_even():
    image = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], "float32")[None, ..., None]
    swapped = numpy(augmentation.swap_quadrants(image))[0, ..., 0]
    np.testing.assert_array_equal(swapped, [[1, 2, 5, 6], [3, 4, 7, 8]])


def test_quadrant_swap_odd():
    image = np.arange(15, dtype="float32").reshape(1, 3, 5, 1)
    swapped = numpy(augmentation.swap_quadrants(image))[0, ..., 0]
    expected = [[0, 1, 2, 10, 11], [5, 6, 7, 8, 9], [3, 4, 12, 13, 14]]
    np.testing.assert_array_equal(swapped, expected)


def test_quadrant_swap_twice_is_nothing():
    images = random_images((3, 8, 11, 3))
    twice = augmentation.swap_quadrants(augmentation.swap_quadrants(images))
    np.testing.assert_array_equal(numpy(twice), images)


@pytest.mark.parametrize("kind", ["none", "clean"])
def test_nothing_is_done(kind):
    images = random_images((2, 8, 8, 1))
    np.testing.assert_array_equal(numpy(augmentation.augment(images, kind, 0.5, seed=0)), images)


@pytest.mark.parametrize("kind", ["translation", "rotation", "noise", "edge_noise"])
def test_level_zero_changes_nothing(kind):
    images = random_images((3, 12, 14, 3))
    result = numpy(augmentation.augment(images, kind, 0.0, seed=0))
    np.testing.assert_allclose(result, images, atol=1e-5)


def test_dispatcher_reaches_each_operation():
    images = random_images((12, 14, 16, 3))
    shifts = augmentation.draw_shifts(0.25, 12, 14, 16, seed=7)
    angles = augmentation.draw_angles(0.25, 12, seed=7)
    expected = {
        ("translation", "text"): augmentation.translate(images, shifts),
        ("rotation", "text"): augmentation.rotate(images, angles),
        ("noise", "text"): augmentation.add_noise(images, 0.25, seed=7),
        ("edge_noise", "text"): augmentation.add_edge_noise(images, 0.25, seed=7),
        ("edge_noise", "code"): augmentation.add_edge_noise(images, 0.25, seed=7, form="code"),
        ("quadrant_swap", "text"): augmentation.swap_quadrants(images),
    }
    results = []
    for (kind, form), reference in expected.items():
        result = augmentation.augment(
            images, kind, 0.25, seed=7, forms=augmentation.Forms(edge_noise=form)
        )
        np.testing.assert_allclose(numpy(result), numpy(reference), atol=1e-6)
        results.append(numpy(result))
    for index, result in enumerate(results):
        for other in [images, *results[:index]]:
            assert abs(result - other).max() > 0.01


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX traces fixed shapes")
@pytest.mark.parametrize("kind", augmentation.PERTURBATIONS)
def test_one_graph_serves_any_batch_size_and_level(kind):
    import tensorflow as tf

    generator = keras.random.SeedGenerator(0)
    traces = []

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, 12, 14, 3), tf.float32),
            tf.TensorSpec((), tf.float32),
        ]
    )
    def mean_of_three(images, level):
        traces.append(images)
        total = tf.zeros_like(images)
        for _ in tf.range(3):
            total += augmentation.augment(
                images, kind, level, generator, augmentation.Forms("code")
            )
        return total / 3

    for batch, level in [(11, 0.1), (3, 0.1), (3, 0.4)]:
        images = random_images((batch, 12, 14, 3))
        result = mean_of_three(images, level)
        assert result.shape == images.shape
        assert result.dtype == tf.float32
        assert np.isfinite(result).all()
        if kind == "noise":
            # The mean of three equal draws would have the whole deviation.
            deviation = np.std(result - images)
            assert deviation == pytest.approx(level / np.sqrt(3), rel=0.15)
    assert len(traces) == 1


@pytest.mark.parametrize("kind", ["translation", "rotation"])
def test_images_of_a_batch_get_different_parameters(kind):
    images = np.repeat(random_images((1, 16, 16, 1)), 6, axis=0)
    results = numpy(augmentation.augment(images, kind, 0.3, seed=8)).reshape(6, -1)
    for index in range(6):
        for other in range(index):
            assert abs(results[index] - results[other]).max() > 0.05


@pytest.mark.parametrize("kind", ["translation", "rotation", "noise", "edge_noise"])
def test_seed_decides(kind):
    images = random_images((4, 16, 16, 1))

    def draw(seed):
        return numpy(augmentation.augment(images, kind, 0.3, seed))

    np.testing.assert_array_equal(draw(9), draw(9))
    assert abs(draw(9) - draw(10)).max() > 0.01
    first, second = keras.random.SeedGenerator(9), keras.random.SeedGenerator(9)
    once = [draw(first), draw(first)]
    np.testing.assert_array_equal(once, [draw(second), draw(second)])
    assert abs(once[0] - once[1]).max() > 0.01


def test_unknown_kind_names_what_is_allowed():
    with pytest.raises(ValueError, match=r"'shear'.*none, translation.*quadrant_swap"):
        augmentation.augment(random_images((1, 8, 8, 1)), "shear", 0.1, seed=0)


def test_unknown_edge_noise_names_what_is_allowed():
    with pytest.raises(ValueError, match=r"'wide'.*text, code"):
        augmentation.augment(
            random_images((1, 8, 8, 1)), "edge_noise", 0.1, seed=0, forms=augmentation.Forms("wide")
        )


@pytest.mark.parametrize("shape", [(8, 8, 1), (2, 8, 8)])
def test_wrong_rank_is_refused(shape):
    with pytest.raises(ValueError, match=r"batch, height, width, channels.*shape=\("):
        augmentation.augment(random_images(shape), "translation", 0.1, seed=0)
