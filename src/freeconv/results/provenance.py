"""Under which conditions a result was made."""

from __future__ import annotations

import dataclasses
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

import pyarrow as pa

from freeconv import __version__
from freeconv.results.schemas import RUN_FIELDS
from freeconv.study.settings import Run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from freeconv.study.settings import RunSettings

# The packages whose version can change a run's numbers: of all runs, and by backend.
PACKAGES = ("keras", "numpy", "pandas", "pyarrow", "scipy")
PACKAGES_OF = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib")}

# Everything whose version is stored beside a result.
SOFTWARE = ("freeconv", "python", *PACKAGES, *PACKAGES_OF["tensorflow"], *PACKAGES_OF["jax"])

# One row per run: the digest of its data, where it was trained, and under which versions.
PROVENANCE_SCHEMA = pa.schema(
    [
        *RUN_FIELDS[:-1],  # but the epoch
        *((name, pa.string()) for name in ("data", "device", "machine", *SOFTWARE)),
    ]
)


def describe_origin(
    settings: RunSettings, splits: Any, device: str, code: Mapping[str, str]
) -> dict[str, Any]:
    """What to keep beside a result.

    Args:
        settings: `settings.RunSettings`, everything that was asked for; the backend among it.
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


def flatten_origin(origin: Mapping[str, Any]) -> dict[str, Any]:
    """What `describe_origin` kept beside the result of a run, as one row of a table.

    Args:
        origin: the mapping that `describe_origin` returned, read back.

    Returns:
        A mapping by `provenance.PROVENANCE_SCHEMA`: the run and its seed, the digest of its data,
        device and machine, and the version of each of `SOFTWARE` (None where none was stored).
    """
    run = {item.name: origin["settings"][item.name] for item in dataclasses.fields(Run)}
    versions = {name: origin["versions"].get(name) for name in SOFTWARE}
    background = {name: origin[name] for name in ("data", "device", "machine")}
    return {**run, "seed": origin["settings"]["seed"], **background, **versions}
