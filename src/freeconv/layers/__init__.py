"""Free convolutions, the locally connected layers of the paper, and connection patterns."""

from freeconv.layers.activations import legacy_hard_sigmoid
from freeconv.layers.base_free_conv import GLOROT_FANS
from freeconv.layers.connection_mask import ConnectionMask
from freeconv.layers.free_conv import FreeConv1D, FreeConv2D, FreeConv3D
from freeconv.layers.sharing_phases import SharingPhases
from freeconv.layers.soft_sharing import SoftSharing

__all__ = [
    "GLOROT_FANS",
    "ConnectionMask",
    "FreeConv1D",
    "FreeConv2D",
    "FreeConv3D",
    "SharingPhases",
    "SoftSharing",
    "legacy_hard_sigmoid",  # so that Keras finds it in a saved model, whoever uses it there
]
