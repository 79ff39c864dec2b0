"""FreeConv: can networks do without weight sharing?

The free convolutional layer and networks, the experiment of Ott et al. 2020
("Learning in the machine: To share or not to share?") and its analysis.

Names are imported on first use, so that `import freeconv` alone costs nothing and reading
results never loads a deep learning framework.
"""

from importlib import import_module

# Module -> public names that are imported from it on first use.
_PUBLIC = {
    "freeconv.layers": (
        *("ConnectionMask", "FreeConv1D", "FreeConv2D", "FreeConv3D"),
        *("SharingPhases", "SoftSharing"),
    ),
    "freeconv.layers.conversion": ("to_free", "to_shared"),
    "freeconv.layers.locally_connected": (
        "from_locally_connected",
        "legacy_hard_sigmoid",
        "load_locally_connected",
    ),
    "freeconv.study.networks": ("Convolution", "Network"),
    "freeconv.training.models": ("build_model", "load_model"),
}
_MODULES = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = [*_MODULES, "__version__", "extensions"]
__version__ = "0.1.0"


def __getattr__(name):
    if name == "extensions":  # a module, as its decorators say what they are by it
        return import_module("freeconv.study.extensions")
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'freeconv' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
