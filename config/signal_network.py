"""The networks of config/signal.yaml: a convolution of separate patches, summed over all places."""

import keras

import freeconv
from freeconv import extensions

PATCH_SIZE, FILTERS = 3, 8


@extensions.network("patches")
def patches(kind, input_shape, classes, layers):
    """As Lahoti et al. (2024) have it: what follows the convolution does not know of places."""
    images = keras.Input(input_shape)
    arguments = {"filters": FILTERS, "kernel_size": PATCH_SIZE, "strides": PATCH_SIZE}
    if kind == "cnn":
        convolution = keras.layers.Conv2D(**arguments, activation="relu")
    else:
        # The scale of initial weights is the same, so that networks differ in sharing alone.
        convolution = freeconv.FreeConv2D(
            **arguments, activation="relu", glorot_fans="per_location"
        )
    features = keras.ops.sum(convolution(images - 0.5), axis=(1, 2))
    return keras.Model(images, keras.layers.Dense(classes, activation="softmax")(features))
