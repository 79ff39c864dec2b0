"""Under which conditions a result was made."""

import dataclasses
import platform
from importlib.metadata import version

import pyarrow as pa

from freeconv import __version__
from freeconv.results.schemas import CELL_FIELDS
from freeconv.study.settings import Cell

# The packages whose version can change a cell's numbers: of all cells, and by backend.
PACKAGES = ("keras", "numpy", "pandas", "pyarrow", "scipy")
PACKAGES_OF = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib")}

# Everything whose version is kept beside a result.
SOFTWARE = ("freeconv", "python", *PACKAGES, *PACKAGES_OF["tensorflow"], *PACKAGES_OF["jax"])

# One row per cell: the digest of its data, where it was trained, and under which versions.
PROVENANCE_SCHEMA = pa.schema(
    [
        *CELL_FIELDS[:7],
        *((name, pa.string()) for name in ("data", "device", "machine", *SOFTWARE)),
    ]
)


def describe_run(settings, splits, device, code):
    """What to keep beside a result.

    Args:
        settings: `settings.CellSettings`, everything that was asked for; the backend among it.
        splits: `folds.Splits` that were worked on.
        device: description of the device that computed it.
        code: digests of the modules that computed it (`fingerprints`).

    Returns:
        A JSON-serialisable mapping of settings, digest of the data, code, versions and machine.
    """
    return {
        "settings": vars(settings),
        "data": splits.digest(),
        "code": code,
        "versions": {
            "freeconv": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in (*PACKAGES, *PACKAGES_OF[settings.backend])},
        },
        "device": device,
        "machine": f"{platform.system()} {platform.machine()}",
    }


def flatten_run(run):
    """What `describe_run` kept beside the result of a cell, as one row of a table.

    Args:
        run: the mapping that `describe_run` returned, read back.

    Returns:
        A mapping by `provenance.PROVENANCE_SCHEMA`: the cell and its seed, the digest of its data,
        device and machine, and the version of each of `SOFTWARE` (None where none was kept).
    """
    cell = {item.name: run["settings"][item.name] for item in dataclasses.fields(Cell)}
    versions = {name: run["versions"].get(name) for name in SOFTWARE}
    background = {name: run[name] for name in ("data", "device", "machine")}
    return {**cell, "seed": run["settings"]["seed"], **background, **versions}
