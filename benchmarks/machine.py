"""On which machine, with which versions and when a run was made."""

import datetime
import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parent.parent

PACKAGES = ("tensorflow", "keras", "tf-keras", "jax", "torch", "numpy", "snakemake")


def describe(options):
    """Facts that measurements depend on, as a JSON-serialisable mapping.

    Args:
        options: `harness.Options` of the run.
    """
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": _commit(),
        "processor": _processor(),
        "cores": available_cores(),
        "threads": options.threads,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "quick": options.quick,
        "versions": {"python": platform.python_version(), **_versions()},
    }


def available_cores():
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _processor():
    """Model of the processor, and the widest vector instructions where the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    model = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    name = model[1] if model else platform.machine()
    vectors = [word for word in ("avx512f", "avx2") if re.search(rf"\b{word}\b", text)]
    return f"{name} ({vectors[0]})" if vectors else name


def _versions():
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _commit():
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return run.stdout.strip() or "unknown"
