"""What the networks of a study are made of, layer by layer, as they were built.

Source: Ott et al. (2020), Table A.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import pandas as pd

from freeconv.layers import FreeConv2D
from freeconv.results.schemas import NETWORKS_SCHEMA
from freeconv.training.models import build_model

if TYPE_CHECKING:
    from collections.abc import Sequence


def network_records(
    dataset: str,
    model: str,
    kind: str,
    sharing: int | str,
    banks: int | None,
    network: str,
    layers: int,
    learning_rate: float,
    image_shape: Sequence[int],
    classes: int,
) -> pd.DataFrame:
    """Lists the layers of a network.

    Args:
        dataset: Name of the data set it learns.
        model: Name of the network in its study.
        kind: `cnn` or `fcn`.
        sharing: Degree of weight sharing of free convolutions, see `FreeConv2D`.
        banks: Number of their kernels that positions mix, or None, likewise.
        network: Name of the architecture, see `models.NETWORKS`.
        layers: How many of its convolutions are used.
        learning_rate: That it is trained with.
        image_shape: `(rows, columns, channels)` of an image.
        classes: Number of classes.

    Returns:
        `pandas.DataFrame` by `schemas.NETWORKS_SCHEMA`, from the image (kind `input`) to the
        softmax output.
    """
    built = build_model(
        kind, network, image_shape, classes, layers=layers, sharing=sharing, banks=banks
    )
    records = [("image", "input", 0, 0, *image_shape, 0, 0)]
    records += [_layer_record(layer) for layer in built.layers if layer.weights]
    rows = [(dataset, model, learning_rate, *record) for record in records]
    return pd.DataFrame(rows, columns=NETWORKS_SCHEMA.names)


def _layer_record(layer):
    if isinstance(layer, FreeConv2D | keras.layers.Conv2D):
        free = isinstance(layer, FreeConv2D)
        kind = "free_convolution" if free else "convolution"
        kernels = layer.kernel.shape[0] if free else 1
        size, stride = layer.kernel_size[0], layer.strides[0]
        shape = layer.output.shape[1:]
    elif not isinstance(layer, keras.layers.Dense):
        kind, size, stride, kernels = "other", 0, 0, 0
        shape = (1, 1, *layer.output.shape[1:])[-3:]
    else:
        kind = "softmax" if layer.activation is keras.activations.softmax else "dense"
        size = stride = kernels = 0
        shape = (1, 1, layer.units)
    return layer.name, kind, size, stride, *shape, layer.count_params(), kernels
