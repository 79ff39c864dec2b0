"""The library on JAX, in processes of their own: a backend is chosen once a process."""

from functools import partial
from importlib.util import find_spec

import alike
import numpy as np
import pytest
from backends import run_on

pytestmark = pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed")


on_jax = partial(run_on, "jax")


MODULES = {
    "jax_only.py": "",
    "test_engine.py": "",
    "test_augmentation.py": "",
    "test_layers.py": "share_of_absent or position_and_filter or seed_alone or save_and_load",
    "test_training.py": (
        "history_is or best_epoch or absent or diverged or strengths or resumed and free"
    ),
    "test_schemes_in_training.py": "pauses or at_the_release or phases",
}


def test_the_tests_of_modules_pass(root):
    """In one process, as its start and what JAX compiles in it cost more than most tests."""
    chosen = [f"{name} and ({words})" if words else name for name, words in MODULES.items()]
    output = on_jax(
        *(root, "-m", "pytest", "-rp", "-p", "no:cacheprovider", "-k", " or ".join(chosen)),
        *(f"tests/{name}" for name in MODULES),
    )
    for name in MODULES:
        assert f"PASSED tests/{name}::" in output


@pytest.fixture(scope="module")
def both(root, tmp_path_factory):
    """What networks became on TensorFlow and on JAX, from the same weights and images."""
    folder = tmp_path_factory.mktemp("alike")
    random = np.random.default_rng(1)
    given = {
        "images": random.integers(0, 256, (alike.IMAGES, *alike.SHAPE), dtype=np.uint8),
        "labels": random.integers(0, alike.CLASSES, alike.IMAGES),
    }
    for name in alike.NETWORKS:
        given |= {f"{name} {i}": w for i, w in enumerate(alike.build(name).get_weights())}
    np.savez(folder / "given.npz", **given)
    alike.main(folder / "given.npz", folder / "tensorflow.npz")
    on_jax(root, "tests/alike.py", folder / "given.npz", folder / "jax.npz")
    return given, np.load(folder / "tensorflow.npz"), np.load(folder / "jax.npz")


@pytest.mark.parametrize("name", alike.NETWORKS)
def test_backends_train_alike(both, name):
    given, tensorflow, jax = both
    weights = [key for key in given if key.startswith(f"{name} ")]
    assert len(weights) >= 8
    for key in [*weights, f"{name} epochs"]:
        np.testing.assert_allclose(jax[key], tensorflow[key], rtol=1e-3, atol=1e-4)
    trained = [key for key in weights if given[key].dtype == np.float32]
    assert all(np.abs(jax[key] - given[key]).max() > 0.01 for key in trained)
    losses = jax[f"{name} epochs"][:, 0]
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.parametrize("name", alike.NETWORKS)
def test_backends_measure_alike(both, name):
    _, tensorflow, jax = both
    predictions = jax[f"{name} predictions"]
    assert predictions.shape == (alike.IMAGES, len(alike.CONDITIONS))
    np.testing.assert_array_equal(predictions, tensorflow[f"{name} predictions"])
    np.testing.assert_allclose(
        jax[f"{name} losses"], tensorflow[f"{name} losses"], rtol=1e-3, atol=1e-4
    )


RUN = """
import sys
from freeconv.training.devices import use_device
device = use_device("cpu", 1, "jax")

from freeconv.data.formats import digits
from freeconv.training.evaluate import evaluate_model, sweep_conditions
from freeconv.training.models import load_model
from freeconv.results.components import training_code
from freeconv.results.provenance import describe_origin
from freeconv.data.folds import Split, Splits
from freeconv.training.train import train_run
from test_training import SETTINGS

images, labels = digits()
splits = Splits(Split(images[:64], labels[:64]), Split(images[64:99], labels[64:99]), 10)
run = train_run(SETTINGS, splits)
run.model.save("model.keras")
conditions = sweep_conditions({"rotation": [0.1]})
counts = evaluate_model(SETTINGS, load_model("model.keras"), 1, splits.validation, conditions, 0)
assert len(run.history) == 3 and counts["count"].sum() == 3 * 35
run = describe_origin(SETTINGS, splits, device, training_code(SETTINGS))
assert {"jax", "jaxlib", "keras"} <= run["versions"].keys()
assert "tensorflow" not in run["versions"]
print(sys.modules.get("tensorflow"))
"""


def test_a_run_is_trained_saved_and_evaluated_without_tensorflow(root, tmp_path):
    """Not even where it is installed."""
    output = on_jax(root, "-c", RUN, directory=tmp_path)
    assert output.splitlines()[-1] == "None"
