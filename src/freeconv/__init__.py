"""FreeConv: can networks do without weight sharing?

The free convolutional layer and networks, the experiment of Ott et al. 2020
("Learning in the machine: To share or not to share?") and its analysis.

`FreeConv2D` and `ConnectionMask` are imported on first use, so that
`import freeconv` alone costs nothing and reading results never loads a
deep learning framework.
"""

from importlib import import_module

_LAYERS = ("ConnectionMask", "FreeConv2D")

__all__ = [*_LAYERS, "__version__"]
__version__ = "0.1.0"


def __getattr__(name):
    if name in _LAYERS:
        return getattr(import_module("freeconv.layers"), name)
    raise AttributeError(f"module 'freeconv' has no attribute {name!r}")
