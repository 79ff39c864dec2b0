"""The library is used without the workflow around it, and the layer without the library."""

import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

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


@pytest.fixture(scope="module")
def published(root, tmp_path_factory):
    """The wheel and the archive of sources, as a publisher builds them."""
    folder = tmp_path_factory.mktemp("dist")
    words = ["-m", "build", "--no-isolation", "--outdir", folder, root]
    subprocess.run([sys.executable, *map(str, words)], check=True, capture_output=True)
    return sorted(folder.iterdir())


def test_a_package_index_takes_it(published):
    words = ["-m", "twine", "check", "--strict", *map(str, published)]
    check = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout
    assert check.stdout.count("PASSED") == 2


def test_the_wheel_holds_the_package_alone(root, published):
    wheel, archive = published
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    package = {name for name in names if not name.startswith("freeconv-")}
    kept = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src/freeconv"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if kept.returncode == 0:
        assert package == {name.removeprefix("src/") for name in kept.stdout.split()}
    assert {"freeconv/py.typed", "freeconv/report/templates/explorer.js"} <= package
    assert archive.name.endswith(".tar.gz")


def test_the_wheel_in_a_fresh_environment(published, tmp_path):
    """Installed, it is used with the packages that it needs; src/ is out of reach."""
    wheel, _ = published
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel]
    subprocess.run([sys.executable, *map(str, words)], check=True)
    needed = Path(find_spec("keras").origin).parents[1]
    code = (
        "import freeconv, keras; from importlib.metadata import metadata;"
        "layer = freeconv.FreeConv2D(4, 3); layer.build((None, 8, 8, 1));"
        "print(freeconv.__file__); print(layer.count_params());"
        "print(metadata('freeconv')['Description-Content-Type'])"
    )
    run = subprocess.run(
        [tmp_path / "venv/bin/python", "-c", code],
        env={"PYTHONPATH": str(needed), "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    file, parameters, kind = run.stdout.splitlines()[-3:]
    assert Path(file) == site / "freeconv/__init__.py"
    assert parameters == str(36 * (9 * 4 + 4))
    assert kind == "text/markdown"


def test_links_on_a_package_index(root):
    sys.path.insert(0, str(root))
    try:
        from hatch_build import absolute
    finally:
        sys.path.remove(str(root))
    text = "![A](docs/images/a.png) [b](docs/b.md#c), [d](https://e.org), [f](#f)"
    assert absolute(text, "https://github.com/x/freeconv", "1.2") == (
        "![A](https://github.com/x/freeconv/raw/v1.2/docs/images/a.png) "
        "[b](https://github.com/x/freeconv/blob/v1.2/docs/b.md#c), [d](https://e.org), [f](#f)"
    )
    assert absolute(text, None, "1.2") == " b, [d](https://e.org), [f](#f)"
