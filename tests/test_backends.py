"""The layers on the backends that this process does not compute with, each in its own process."""

import re
from importlib.util import find_spec

import keras
import pytest
from backends import run_on

# Modules that differentiate by the backend of their process (`references.forward_backward`), and
# tests of them. JAX compiles every operation of every size, which takes it a minute here.
TESTS = {
    "jax": (
        [
            *("test_sharing.py", "test_any_backend.py"),
            *("test_kernel_banks.py", "test_soft_sharing.py", "test_sharing_phases.py"),
        ],
        "loop or penalty or hebbian or convolution or stay_zero or save_and_load or pattern "
        "or transformations or whole",
    ),
    "torch": (
        [
            "test_sharing.py",
            "test_random_layers.py",
            "test_any_backend.py",
            "test_conversion.py",
            "test_copies.py",
            "test_legacy_cases.py",
            *("test_kernel_banks.py", "test_soft_sharing.py", "test_sharing_phases.py"),
        ],
        "",
    ),
}


@pytest.mark.parametrize("backend", TESTS)
def test_layers_compute_alike(root, backend):
    """To 1e-5 of the same NumPy loops and of Keras' own layers as here."""
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    modules, chosen = TESTS[backend]
    output = run_on(
        *(backend, root, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        *(f"tests/{module}" for module in modules),
        *("-k", chosen),
    )
    assert int(re.search(r"(\d+) passed", output)[1]) > 30
    for reason in re.findall(r"SKIPPED .*", output):
        assert re.search("transformations of|TensorFlow|ONNX", reason)


def test_channels_first_on_any_processor(root, monkeypatch):
    """Also where TensorFlow has oneDNN off, as on older ones, and so no such convolutions."""
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_sharing.py")
    output = run_on("tensorflow", root, *command, "-k", "equals_loop and channels_first")
    assert int(re.search(r"(\d+) passed", output)[1]) > 10


def test_this_process_computes_with_the_third():
    assert keras.backend.backend() not in ("jax", "torch")


@pytest.mark.parametrize("backend", ["tensorflow", *TESTS])
def test_the_ten_lines_of_the_documentation(backend, root, tmp_path):
    """As they are written, but for the name of the backend; and they keep their promise."""
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    text = (root / "docs/layer.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import os\n.*?)```", text, re.DOTALL)
    code = code.replace(
        'os.environ["KERAS_BACKEND"] = "jax"', f'os.environ["KERAS_BACKEND"] = "{backend}"'
    )
    code = code.replace("model.fit(", "history = model.fit(")
    code += '\nprint("backend", keras.backend.backend())'
    code += '\nprint("ends at", history.history["val_accuracy"][-1])'
    output = run_on(backend, root, "-c", code, directory=tmp_path)
    assert f"backend {backend}" in output
    assert 0.85 < float(re.search(r"ends at (0\.\d+)", output)[1]) < 0.96
