"""Choice of backend and device, in processes of their own: a backend is chosen once."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from freeconv.errors import InputError
from freeconv.training.devices import describe_jobs, plan_device

needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed")


def python(code, root, **environment):
    """Run code; return its status, and what it wrote to both streams."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(root / "src"), **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return run.returncode, run.stdout


def error_of(code, root, **environment):
    """The message of the InputError that code ends with."""
    status, output = python(code, root, **environment)
    assert status == 1
    kind, _, message = output.strip().splitlines()[-1].partition(": ")
    assert kind == "freeconv.errors.InputError"
    return message


def use_device(*arguments):
    return f"from freeconv.training.devices import use_device; print(use_device{arguments!r})"


def test_an_unknown_backend_is_refused(root):
    message = error_of(use_device("cpu", 1, "torch"), root)
    assert message == "backend: torch is not known; expected tensorflow or jax"


def test_a_missing_backend_is_named(root):
    hidden = "import importlib.util as u; u.find_spec = lambda name: None;"
    message = error_of(hidden + use_device("cpu", 1, "jax"), root)
    assert message.startswith("backend: jax is not installed; install it (pip install jax)")


@needs_jax
def test_a_backend_comes_before_keras(root):
    code = "import keras;" + use_device("cpu", 1, "jax")
    message = error_of(code, root, KERAS_BACKEND="tensorflow")
    assert message.startswith("backend: jax was requested but Keras computes with tensorflow")
    assert "KERAS_BACKEND=jax" in message


def test_a_backend_without_a_compiled_epoch_is_refused(root):
    """NumPy's comes with Keras, so that nothing else need be installed."""
    message = error_of("import freeconv.training.engine", root, KERAS_BACKEND="numpy")
    assert message.startswith("backend: Keras computes with numpy")
    assert "KERAS_BACKEND to tensorflow or jax" in message


@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=needs_jax)])
def test_a_backend_is_chosen_whatever_the_environment_says(root, backend):
    code = use_device("cpu", 2, backend) + "; import keras; print(keras.backend.backend())"
    status, output = python(code, root, KERAS_BACKEND="numpy")
    assert status == 0
    assert output.splitlines()[-2:] == ["cpu, 2 threads", backend]


@needs_jax
@pytest.mark.parametrize("requested", ["auto", "cpu"])
def test_jax_computes_on_the_cpu_with_the_threads_it_was_given(root, requested):
    """The pools of XLA's threads grow with what was asked for, not with the machine."""
    count = "; import os, jax; jax.numpy.ones(9).block_until_ready()"
    count += "; print(len(os.listdir('/proc/self/task')), jax.numpy.ones(1, float).dtype)"
    threads = []
    for asked in (1, 4):
        status, output = python(
            use_device(requested, asked, "jax") + count, root, JAX_PLATFORMS="cpu"
        )
        assert status == 0
        number, dtype = output.splitlines()[-1].split()
        assert dtype == "float32"
        threads.append(int(number))
    assert threads[1] - threads[0] in (3, 6)  # one pool or two


@needs_jax
def test_jax_misses_a_gpu_that_is_requested(root):
    message = error_of(use_device("gpu", 1, "jax"), root, JAX_PLATFORMS="cpu")
    assert message.startswith("device: gpu was requested but JAX finds no GPU")
    assert "pip install 'jax[cuda13]'" in message


ENVIRONMENT = "\nimport os; print(*map(os.environ.get, [{names}]), sep='|')"


@pytest.mark.parametrize(
    ("backend", "names", "expected"),
    [
        ("tensorflow", ["CUDA_VISIBLE_DEVICES"], "GPU-7"),
        pytest.param(
            "jax",
            [
                "CUDA_VISIBLE_DEVICES",
                "XLA_PYTHON_CLIENT_MEM_FRACTION",
                "XLA_PYTHON_CLIENT_PREALLOCATE",
            ],
            "GPU-7|0.4500|false",
            marks=needs_jax,
        ),
    ],
)
def test_a_card_that_the_backend_cannot_use_is_an_error(root, tmp_path, backend, names, expected):
    """Of the device `auto`, too. The backend saw the card that the job had, which is given back."""
    environment = {"CUDA_VISIBLE_DEVICES": "GPU-7,GPU-9", "TMPDIR": str(tmp_path)}
    code = f"""
from freeconv.training.devices import use_device
from freeconv.errors import InputError
for share in ("1/2", "2/2"):
    try:
        use_device("auto", 1, {backend!r}, share)
    except InputError as error:
        print(error)
"""
    code += ENVIRONMENT.format(names=", ".join(map(repr, names)))
    status, output = python(code, root, JAX_PLATFORMS="cpu", **environment)
    assert status == 0, output
    *_, half, whole, found = output.splitlines()
    for message in (half, whole):
        assert message.startswith("device: there is an NVIDIA GPU (GPU-7), but ")
        assert "cannot use it; install its CUDA packages" in message
    assert found == expected


def test_the_cpu_takes_no_card(root, tmp_path):
    environment = {"CUDA_VISIBLE_DEVICES": "GPU-7", "TMPDIR": str(tmp_path)}
    status, output = python(use_device("cpu", 1, "tensorflow"), root, **environment)
    assert status == 0, output
    assert not list(tmp_path.glob("freeconv-gpus-*"))


@needs_jax
def test_a_bound_of_the_user_stays(root, tmp_path):
    bound = {"XLA_CLIENT_MEM_FRACTION": "0.2", "TMPDIR": str(tmp_path)}
    code = """
from freeconv.training.devices import use_device
from freeconv.errors import InputError
try:
    use_device("auto", 1, "jax", "1/2")
except InputError:
    pass
"""
    code += ENVIRONMENT.format(names="'XLA_PYTHON_CLIENT_MEM_FRACTION'")
    environment = {"CUDA_VISIBLE_DEVICES": "GPU-7", "JAX_PLATFORMS": "cpu", **bound}
    environment.pop("XLA_PYTHON_CLIENT_MEM_FRACTION", None)
    status, output = python(code, root, **environment)
    assert status == 0, output
    assert output.splitlines()[-1] == "None"


def test_an_unknown_share_is_refused(root):
    message = error_of(use_device("cpu", 1, "tensorflow", "4/1"), root)
    assert message.startswith("gpu share: 4/1 is not allowed; expected TAKEN/SHARES")


# --- before any job starts -------------------------------------------------------------------

CARDS = "GPU 0: NVIDIA Fake (UUID: GPU-aaaa)\nGPU 1: NVIDIA Fake (UUID: GPU-bbbb)"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Make this machine seem to have cards, and a backend that finds one of a name, or none."""

    def pretend(cards="", name=None):
        smi = tmp_path / "nvidia-smi"
        answer = f"cat <<'END'\n{cards}\nEND" if cards else "exit 9"
        smi.write_text(f"#!/bin/sh\n{answer}\n")
        smi.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        module = tmp_path / "tensorflow.py"
        module.write_text(
            "class experimental:\n"
            f"    get_device_details = staticmethod(lambda card: {{'device_name': {name!r}}})\n"
            "class config:\n"
            "    experimental = experimental\n"
            f"    list_physical_devices = staticmethod(lambda kind: [0] if {name!r} else [])\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return pretend


def test_the_planned_device(machine, monkeypatch):
    machine()
    assert plan_device("auto", "tensorflow") == "cpu (no NVIDIA card found)"
    assert plan_device("cpu", "tensorflow") == "cpu (as the study says)"
    assert plan_device("auto", "tensorflow", "on nodes") == "auto (on nodes)"
    assert plan_device("gpu", "tensorflow", "on nodes") == "gpu (on nodes)"
    with pytest.raises(InputError, match="no NVIDIA card is here"):
        plan_device("gpu", "tensorflow")
    machine(CARDS, "NVIDIA Fake")
    for requested in ("auto", "gpu"):
        assert plan_device(requested, "tensorflow") == "gpu (NVIDIA Fake, 2 cards)"
    assert plan_device("cpu", "tensorflow") == "cpu (as the study says)"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert plan_device("auto", "tensorflow") == "gpu (NVIDIA Fake, 1 card)"
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert plan_device("auto", "tensorflow") == "cpu (no NVIDIA card found)"


def test_a_card_that_cannot_be_used_ends_the_plan(machine):
    machine(CARDS)
    assert plan_device("auto", "tensorflow", probes=False) == "gpu (2 cards)"
    for requested in ("auto", "gpu"):
        with pytest.raises(InputError, match=r"NVIDIA GPU \(2 cards\), but TensorFlow cannot"):
            plan_device(requested, "tensorflow")
    (Path(os.environ["PYTHONPATH"]) / "tensorflow.py").write_text("raise ImportError")
    with pytest.raises(InputError, match=r"tensorflow\[and-cuda\].*device=cpu"):
        plan_device("auto", "tensorflow")


def test_jobs_in_a_line():
    assert describe_jobs("gpu (A, 1 card)", 1) == "gpu (A, 1 card), 1 training at a time"
    assert describe_jobs("cpu (none)", 4, 2) == "cpu (none), 4 trainings at a time, 2 threads each"
