"""Under which conditions a result was made."""

import platform
from importlib.metadata import version

from freeconv import __version__

# The packages whose version can change a cell's numbers: of all cells, and by backend.
PACKAGES = ("keras", "numpy", "pandas", "pyarrow", "scipy")
PACKAGES_OF = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib")}


def describe_run(settings, splits, device):
    """What to keep beside a result.

    Args:
        settings: `study.CellSettings`, everything that was asked for; the backend among it.
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
            **{name: version(name) for name in (*PACKAGES, *PACKAGES_OF[settings.backend])},
        },
        "device": device,
        "machine": f"{platform.system()} {platform.machine()}",
    }
