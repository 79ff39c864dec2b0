"""Keras on another backend than this process's, in a separate process."""

import os
import subprocess
import sys


def run_on(backend, root, *command, directory=None):
    """Run Python with Keras on a backend; standard output and error come back together."""
    run = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=directory or root,
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "JAX_PLATFORMS": "cpu",
            # What is compiled here runs for moments: to optimise it would take most of the time.
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
            "XLA_FLAGS": "--xla_cpu_parallel_codegen_split_count=1",
            "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root / "tests")]),
        },
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout
