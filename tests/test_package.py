"""The library is used without the workflow around it, and the layer without the library."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

MODULES = """
import sys
from importlib import import_module
from pkgutil import walk_packages


class NoWorkflow:
    # What a machine lacks that has the dependencies of the library alone.
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("snakemake", "pygments", "tf_keras", "pytest"):
            raise ModuleNotFoundError(f"{name} is no dependency of the library")


sys.meta_path.insert(0, NoWorkflow())
import freeconv

assert not {"keras", "numpy", "tensorflow"} & set(sys.modules)
count = 0
for module in walk_packages(freeconv.__path__, "freeconv."):
    if module.name != "freeconv.training.engine.jax":  # is for another backend
        import_module(module.name)
        count += 1
for name in freeconv.__all__:
    assert getattr(freeconv, name), name
print(count)
"""


def test_no_module_needs_the_workflow(root):
    output = subprocess.run(
        [sys.executable, "-c", MODULES],
        cwd=root / "src",
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    ).stdout
    assert int(output) == len(list((root / "src/freeconv").rglob("*.py"))) - 2


ALONE = """
import sys
from importlib.metadata import packages_distributions, requires
from packaging.requirements import Requirement

needed, open_ = set(), {"keras", "numpy", "h5py", "jax"}
while open_:
    name = open_.pop()
    needed.add(name)
    listed = map(Requirement, requires(name) or ())
    plain = {r.name.lower() for r in listed if not r.marker or r.marker.evaluate({"extra": ""})}
    open_ |= {n.replace("_", "-") for n in plain} - needed
others = {
    module
    for module, names in packages_distributions().items()
    if not needed & {name.lower().replace("_", "-") for name in names}
}
assert {"tensorflow", "pandas", "matplotlib", "pyarrow", "snakemake"} <= others
assert not {"keras", "jax", "scipy"} & others


class LayerAlone:
    # What an environment lacks that was made by: pip install 'freeconv[jax]'
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in others:
            raise ModuleNotFoundError(f"{name} is no dependency of the layer", name=name)


for name in others & set(sys.modules):
    del sys.modules[name]
sys.meta_path.insert(0, LayerAlone())

import keras
import numpy as np
from freeconv import FreeConv2D, from_locally_connected, load_locally_connected, to_free, to_shared

rng = np.random.default_rng(0)
images = rng.random((64, 8, 8, 1), dtype="float32")
labels = (images[:, :4].mean((1, 2, 3)) > images[:, 4:].mean((1, 2, 3))).astype(int)
model = keras.Sequential([keras.Input((8, 8, 1)), FreeConv2D(4, 3, activation="relu")])
model.add(keras.layers.Flatten())
model.add(keras.layers.Dense(2, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy")
losses = model.fit(images, labels, epochs=20, verbose=0).history["loss"]
assert keras.backend.backend() == "jax" and losses[-1] < losses[0] < 5, losses
np.testing.assert_allclose(to_free(to_shared(model))(images), to_shared(model)(images), atol=1e-5)
model.save("model.keras")
np.testing.assert_allclose(keras.models.load_model("model.keras")(images), model(images), atol=1e-6)
"""


def test_the_layer_needs_keras_and_numpy_alone(root, tmp_path):
    """Trained, converted, saved and loaded on JAX, as in an environment that has nothing else."""
    if find_spec("jax") is None:
        pytest.skip("jax is not installed")
    environment = {"PYTHONPATH": str(root / "src"), "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", ALONE]
    subprocess.run(command, cwd=tmp_path, env=os.environ | environment, check=True)
