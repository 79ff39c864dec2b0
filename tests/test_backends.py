"""The layers on the backends that this process does not compute with, each in its own process."""

import re
from importlib.util import find_spec

import pytest
from backends import run_on

# Modules that take gradients by the backend of their process (`references.forward_backward`).
MODULES = ["test_sharing.py", "test_conversion.py", "test_legacy_cases.py"]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_layers_compute_alike(root, backend):
    """To 1e-5 of the same NumPy loops and Keras' own layers as here."""
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    modules = [f"tests/{module}" for module in MODULES]
    output = run_on(backend, root, "-m", "pytest", "-q", "-p", "no:cacheprovider", *modules)
    assert int(re.search(r"(\d+) passed", output)[1]) > 100
    assert "skipped" not in output


def test_this_process_computes_with_the_third():
    import keras

    assert keras.backend.backend() not in ("jax", "torch")
