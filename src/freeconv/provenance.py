"""Under which conditions a result was made."""

import platform
from importlib.metadata import version

from freeconv import __version__

# The packages whose version can change a cell's numbers.
PACKAGES = ("keras", "numpy", "pandas", "pyarrow", "scipy", "tensorflow")


def describe_run(settings, splits, device):
    """What to keep beside a result.

    Args:
        settings: data class instance, everything that was asked for.
        splits: `splits.Splits` that were worked on.
        device: description of the device that computed it.

    Returns:
        A JSON-serialisable mapping of settings, digest of the data, versions and machine.
    """
    return {
        "settings": vars(settings),
        "data": splits.digest(),
        "versions": {
            "freeconv": __version__,
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
        "device": device,
        "machine": f"{platform.system()} {platform.machine()}",
    }
