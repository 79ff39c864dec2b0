"""FreeConv2D and Conv2D in Keras on TensorFlow, set up as a training job is."""

import numpy as np


def set_up(threads):
    """Choose the device as a training job does."""
    from freeconv.training.devices import use_device

    use_device("cpu", threads, "tensorflow")


class KerasStack:
    """A stack of free (`fcn`) or ordinary (`cnn`) convolutions.

    Ordinary convolutions have the kernel and the bias of the first position.
    """

    def __init__(self, stack, kind):
        import tensorflow as tf

        self._images = tf.constant(stack.images())
        self._model = _model(stack, kind)
        gradient = tf.reshape(stack.output_gradient(), (-1, *self._model.output_shape[1:]))
        sources = list(self._model.trainable_variables)

        @tf.function
        def step(images, gradient):
            inputs = [images] if stack.input_gradient else []
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                features = self._model(images, training=True)
            return tape.gradient(features, [*sources, *inputs], output_gradients=gradient)

        self._step = lambda: step(self._images, gradient)

    def features(self):
        """Features of the images, float32 array (batch, rows * columns * filters)."""
        features = self._model(self._images).numpy()
        return features.reshape(len(features), -1)

    def step(self):
        """Compute the features and all gradients; list of gradients, kernel and bias in turn."""
        return self._step()


def build_step(stack, kind):
    """The forward and backward pass of a `KerasStack`, to be timed."""
    return KerasStack(stack, kind).step


def build_product(size):
    """A product of two square float32 matrices."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    a, b = (tf.constant(random.random((size, size), np.float32)) for _ in "ab")
    product = tf.function(tf.linalg.matmul)
    return lambda: product(a, b)


def single(sizes, kind):
    """A layer of these sizes, not built yet."""
    import keras

    from freeconv.layers import FreeConv2D

    settings = {"strides": sizes.stride, "padding": sizes.padding, "activation": "relu"}
    if kind == "cnn":
        return keras.layers.Conv2D(sizes.filters, sizes.kernel_size, **settings)
    return FreeConv2D(sizes.filters, sizes.kernel_size, sharing=sizes.sharing, **settings)


def _model(stack, kind):
    import keras

    from freeconv.training.models import build_model

    if stack.is_network:
        whole = build_model(kind, stack.network, stack.image_shape, 10)
        layers = [whole.get_layer(f"conv{number}") for number, _ in enumerate(stack.layers, 1)]
        # What the dense layer is given, however the convolutions lay it out.
        model = keras.Model(whole.inputs, whole.get_layer("hidden").input)
    else:
        (layer,) = stack.layers
        layers = [single(layer, kind)]
        model = keras.Sequential([keras.Input(stack.image_shape), *layers])
    for built, sizes, (kernel, bias) in zip(layers, stack.layers, stack.weights(), strict=True):
        if kind == "cnn":
            size = sizes.kernel_size
            kernel = kernel[0].reshape(size, size, sizes.channels, sizes.filters)
            bias = bias[0, 0]
        built.kernel.assign(kernel)
        built.bias.assign(bias.reshape(built.bias.shape))
    return model
