"""FreeConv: can networks do without weight sharing?

The free convolutional layer and networks, the experiment of Ott et al. 2020
("Learning in the machine: To share or not to share?") and its analysis.

The layers are imported on first use, so that `import freeconv` alone costs nothing and reading
results never loads a deep learning framework.
"""

from importlib import import_module

# Public name -> module it is imported from.
_MODULES = dict.fromkeys(
    ("ConnectionMask", "FreeConv1D", "FreeConv2D", "FreeConv3D"), "freeconv.layers"
)

__all__ = [*_MODULES, "__version__"]
__version__ = "0.1.0"


def __getattr__(name):
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'freeconv' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
