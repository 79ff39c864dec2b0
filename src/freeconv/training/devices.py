"""Where a job computes: the backend of Keras, a GPU or the CPU, with the threads it was given."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from freeconv.errors import InputError
from freeconv.training.gpu_locks import Share, list_cards, memory_of, take_card

if TYPE_CHECKING:
    from typing import Any

log = logging.getLogger(__name__)

BACKENDS = ("tensorflow", "jax")
"""What Keras may compute with."""

MEMORY_OF_SHARES = 0.9
"""Of a card's memory, what its shares divide; the rest is left to CUDA itself in every process."""


def use_device(requested: str, threads: int, backend: str, share: Any = "1/1") -> str:
    """Choose backend and device of this process; to be called before Keras is imported.

    On a GPU, memory is taken as it is needed, so that several processes can share one; and no
    more than the share's part of it, where the card says how much it has. The card is one that
    no other job has: this waits until there is one (see `gpu_locks.take_card`). On a CPU, the
    backend computes with `threads` threads and no more. Operations are made deterministic on both.

    Args:
        requested: `auto` (a GPU where there is a card, else the CPU), `gpu` or `cpu`.
        threads: threads of computation, 1 or more.
        backend: `tensorflow` or `jax`.
        share: how much of a card this process has, such as `1/4`; `1/1` is all of it.

    Returns:
        A description of the device, such as `cpu, 2 threads`.

    Raises:
        InputError: if the backend is unknown, not installed, or too late to be chosen, if there
            is no such share, if a GPU is requested and there is none, and if there is a card that
            the backend cannot use.
    """
    _choose_backend(backend)
    share = Share.parse(share)
    cards = [] if requested == "cpu" else list_cards()
    taken = take_card(cards, share) if cards else None
    card = taken.card if taken else None
    if card:
        os.environ["CUDA_VISIBLE_DEVICES"] = card.name  # the backend sees no other
    start = _use_jax if backend == "jax" else _use_tensorflow
    gpu = start(requested, threads, card, share)
    if taken and not gpu:
        taken.release()
        raise _unusable(backend, card.name)
    description = f"gpu, {gpu}" if gpu else f"cpu, {threads} thread{'s' if threads > 1 else ''}"
    log.info("device: %s, by %s", description, backend)
    return description


def plan_device(requested: str, backend: str, elsewhere: bool = "", *, probes: bool = True) -> str:
    """Where jobs will compute, before any of them starts.

    Args:
        requested: `auto`, `gpu` or `cpu`, as of `use_device`.
        backend: `tensorflow` or `jax`.
        elsewhere: where jobs run if not on this machine, in words.
        probes: whether to try, in a separate process, if the backend can use the cards here.

    Returns:
        A description, such as `gpu (NVIDIA H100, 1 card)`.

    Raises:
        InputError: where a GPU is requested and there is none, and where there is one that the
            backend cannot use.
    """
    if requested == "cpu":
        return "cpu (as the study says)"
    if elsewhere:
        return f"{'gpu' if requested == 'gpu' else 'auto'} ({elsewhere})"
    cards = list_cards()
    if not cards and requested == "gpu":
        raise InputError(
            "device: gpu was requested but no NVIDIA card is here (nvidia-smi lists none, or "
            "CUDA_VISIBLE_DEVICES hides them); check the driver, or set device to auto or cpu"
        )
    if not cards:
        return "cpu (no NVIDIA card found)"
    count = f"{len(cards)} card{'s' if len(cards) > 1 else ''}"
    if not probes:
        return f"gpu ({count})"
    name = _probe(backend)
    if name is None:
        raise _unusable(backend, count)
    return f"gpu ({name}, {count})"


def describe_jobs(device: str, jobs: int, threads: int = 0) -> str:
    """Where and how many jobs compute, in a line.

    Args:
        device: what `plan_device` returns.
        jobs: how many at a time.
        threads: of each on a CPU; 0 on a GPU.
    """
    parts = [device, f"{jobs} training{'s' if jobs > 1 else ''} at a time"]
    if threads:
        parts.append(f"{threads} thread{'s' if threads > 1 else ''} each")
    return ", ".join(parts)


_PROBES = {
    "tensorflow": "import tensorflow as tf; cards = tf.config.list_physical_devices('GPU'); "
    "details = cards and tf.config.experimental.get_device_details(cards[0]); "
    "print(details.get('device_name', 'unknown') if cards else '')",
    "jax": "import jax; "
    "print(jax.devices()[0].device_kind if jax.default_backend() == 'gpu' else '')",
}


def _probe(backend):
    """The name of a GPU that a backend can use, or None."""
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    command = [sys.executable, "-c", _PROBES[backend]]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=300, env=environment
        )
    except subprocess.SubprocessError:
        return None
    lines = run.stdout.strip().splitlines()
    return lines[-1] if lines else None


def require_backend(backend: str) -> None:
    """Raise InputError if Keras computes with another backend than this one."""
    import keras

    if keras.backend.backend() != backend:
        raise InputError(
            f"backend: {backend} was requested but Keras computes with "
            f"{keras.backend.backend()} already; set the environment variable "
            f"KERAS_BACKEND={backend} before Python starts"
        )


def _choose_backend(backend):
    if backend not in BACKENDS:
        raise InputError(f"backend: {backend} is not known; expected {' or '.join(BACKENDS)}")
    if find_spec(backend) is None:
        raise InputError(
            f"backend: {backend} is not installed; install it (pip install {backend}) "
            "or choose another backend"
        )
    os.environ["KERAS_BACKEND"] = backend
    if "keras" in sys.modules:
        require_backend(backend)


def _import_keras(backend):
    """Import Keras without what it and TensorFlow import only because it is installed.

    Wrappers for scikit-learn, plots, and converters of JAX's programs are not used here, and would
    take a good second of every job.
    """
    unused = {"sklearn", "matplotlib", *BACKENDS} - {backend} - set(sys.modules)
    sys.modules.update(dict.fromkeys(unused))  # None: as if not installed
    try:
        import keras  # noqa: F401
    finally:
        for module in unused:
            del sys.modules[module]


def _use_tensorflow(requested, threads, card, share):
    """Set TensorFlow up; return the name of the GPU, or None."""
    _import_keras("tensorflow")
    import tensorflow as tf

    gpus = [] if requested == "cpu" else tf.config.list_physical_devices("GPU")
    if requested == "gpu" and not gpus and not card:
        raise _no_gpu(backend="tensorflow")
    tf.config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if gpus and card:
        _bound_memory(tf.config, gpus[0], share, memory_of(card))
    # One operation at a time, by `threads` threads: more operations at once would take more
    # threads than the job was given.
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    if gpus:
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "unknown")
    return None


def _bound_memory(config, gpu, share, memory):
    """Keep TensorFlow within a share of a card's memory in MiB; None is not known.

    Args:
        config: `tf.config`.
        gpu: the physical device.
        share: a `Share`.
        memory: of the whole card.
    """
    if share.fraction == 1:
        return
    if memory is None:
        log.info("gpu: nvidia-smi does not say how much memory it has; jobs take what they need")
        return
    limit = int(memory * MEMORY_OF_SHARES * share.fraction)
    device = config.LogicalDeviceConfiguration(memory_limit=limit)
    config.set_logical_device_configuration(gpu, [device])
    # With a limit, TensorFlow forgets what it was told of growth, except by the environment.
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"


def _use_jax(requested, threads, card, share):
    """Set JAX up; return the name of the GPU, or None."""
    # XLA reads these as it starts: whether it takes most of a GPU's memory at once, the threads
    # of its pool on a CPU, and how it compiles.
    flags = [os.getenv("XLA_FLAGS", ""), "--xla_gpu_deterministic_ops=true"]
    os.environ.update(
        XLA_PYTHON_CLIENT_PREALLOCATE="false",
        NPROC=str(threads),
        PJRT_NPROC=str(threads),
        XLA_FLAGS=" ".join(flags).strip(),
    )
    bounds = {"XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"}
    if card and share.fraction < 1 and not bounds & os.environ.keys():
        fraction = MEMORY_OF_SHARES * share.fraction
        os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{fraction:.4f}"
    # Where TensorFlow is installed, Keras would import it to save a model, for nothing but to look
    # for objects of its types; without an entry here, that takes seconds of every run.
    sys.modules.setdefault("tensorflow", None)
    _import_keras("jax")
    import jax

    jax.config.update("jax_enable_x64", False)
    if requested == "cpu":
        jax.config.update("jax_platforms", "cpu")
    gpus = jax.devices() if jax.default_backend() == "gpu" else []
    if requested == "gpu" and not gpus and not card:
        raise _no_gpu(backend="jax")
    return gpus[0].device_kind if gpus else None


_LIBRARIES = {"tensorflow": ("TensorFlow", "tensorflow[and-cuda]"), "jax": ("JAX", "jax[cuda13]")}


def _no_gpu(backend):
    library, package = _LIBRARIES[backend]
    return InputError(
        f"device: gpu was requested but {library} finds no GPU; check the driver and that "
        f"{library.lower()} was installed with CUDA (pip install '{package}'), "
        "or set device to auto or cpu"
    )


def _unusable(backend, cards):
    library, package = _LIBRARIES[backend]
    remedy = f"pip install '{package}'"
    if backend == "tensorflow":
        remedy = f"GPU=1 make demo, or {remedy}"
    return InputError(
        f"device: there is an NVIDIA GPU ({cards}), but {library} cannot use it; install its CUDA "
        f"packages ({remedy}), bring the driver up to date, or compute on the CPU: device: cpu, "
        "or --config device=cpu"
    )
