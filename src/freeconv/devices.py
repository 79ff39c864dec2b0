"""Where a job computes: a GPU or the CPU, with the threads it was given."""

import logging

import tensorflow as tf

from freeconv.errors import InputError

log = logging.getLogger(__name__)


def use_device(requested, threads):
    """Choose the device of this process; to be called before anything is computed.

    On a GPU, memory is taken as it is needed. On a CPU, TensorFlow computes with
    `threads` threads and no more. Operations are made deterministic on both.

    Args:
        requested: `auto` (a GPU where there is one), `gpu` or `cpu`.
        threads: threads of computation, 1 or more.

    Returns:
        A description of the device, such as `cpu, 2 threads`.

    Raises:
        InputError: if a GPU is requested and there is none.
    """
    gpus = [] if requested == "cpu" else tf.config.list_physical_devices("GPU")
    if requested == "gpu" and not gpus:
        raise InputError(
            "device: gpu was requested but TensorFlow finds no GPU; check the driver and that "
            "tensorflow was installed with CUDA (pip install 'tensorflow[and-cuda]'), "
            "or set device to auto or cpu"
        )
    tf.config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    # One operation at a time, by `threads` threads: more operations at once would take more
    # threads than the job was given.
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    description = _describe(gpus, threads)
    log.info("device: %s", description)
    return description


def _describe(gpus, threads):
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "unknown")
        return f"gpu, {name}"
    return f"cpu, {threads} thread{'s' if threads > 1 else ''}"
