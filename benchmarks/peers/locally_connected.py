"""LocallyConnected2D of tf_keras, which Keras 3 dropped, in its three implementations."""

import numpy as np

from benchmarks.workers import UnavailableError

MOST_INDICES = 2_000_000
"""Largest number of weights that implementation 3 is tried with: it lists the place of each."""


def set_up(threads):
    """TensorFlow's own settings, but for the threads of an operation."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)


class LocallyConnectedStack:
    """A stack of LocallyConnected2D.

    Args:
        stack: `stacks.Stack`, with padding `valid`.
        implementation: 1, 2 or 3.
        xla: whether the step is compiled by XLA.
    """

    def __init__(self, stack, implementation, xla):
        _refuse_too_many_indices(stack, implementation)
        import tensorflow as tf
        import tf_keras

        layers = [
            tf_keras.layers.LocallyConnected2D(
                layer.filters,
                layer.kernel_size,
                strides=layer.stride,
                activation="relu",
                implementation=implementation,
            )
            for layer in stack.layers
        ]
        self._images = tf.constant(stack.images())
        inputs = tf_keras.Input(self._images.shape[1:])
        self._model = tf_keras.Sequential([inputs, *layers, tf_keras.layers.Flatten()])
        for built, sizes, (kernel, bias) in zip(layers, stack.layers, stack.weights(), strict=True):
            built.set_weights([_KERNELS[implementation](built, sizes, kernel), bias])
        gradient = tf.reshape(stack.output_gradient(), (stack.batch, -1))

        @tf.function(jit_compile=xla)
        def step(images, gradient):
            inputs = [images] if stack.input_gradient else []
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                features = self._model(images, training=True)
            sources = [*self._model.trainable_variables, *inputs]
            return tape.gradient(features, sources, output_gradients=gradient)

        self._step = lambda: step(self._images, gradient)

    def features(self):
        """Features of the images, float32 array (batch, rows * columns * filters)."""
        return self._model(self._images).numpy()

    def step(self):
        """Compute the features and all gradients; list of gradients, kernel and bias in turn."""
        return self._step()


def build_step(stack, implementation, xla):
    """The forward and backward pass of a `LocallyConnectedStack`, to be timed."""
    return LocallyConnectedStack(stack, implementation, xla).step


def _refuse_too_many_indices(stack, implementation):
    count = sum(kernel.size for kernel, _ in stack.weights())
    if implementation == 3 and count > MOST_INDICES:
        raise UnavailableError(
            f"it lists the places of {count / 1e6:.1f} million weights one by one, "
            "in minutes and gigabytes"
        )


def _listed(built, sizes, kernel):
    """The kernel of implementation 1, which is ours."""
    return kernel


def _dense(built, sizes, kernel):
    """The kernel of implementation 2: a weight for every pixel at every position."""
    grid, size = sizes.output_grid, sizes.kernel_size
    dense = np.zeros((sizes.rows, sizes.columns, sizes.channels, *grid, sizes.filters), np.float32)
    patches = kernel.reshape(*grid, size, size, sizes.channels, sizes.filters)
    for row, column in np.ndindex(grid):
        top, left = row * sizes.stride, column * sizes.stride
        dense[top : top + size, left : left + size, :, row, column] = patches[row, column]
    return dense


def _sparse(built, sizes, kernel):
    """The kernel of implementation 3: the weights in the order of the layer's list of places."""
    matrix = _dense(built, sizes, kernel)
    matrix = matrix.reshape(sizes.rows * sizes.columns * sizes.channels, -1)
    outputs, inputs = np.array(built.kernel_idxs).T
    return matrix[inputs, outputs]


_KERNELS = {1: _listed, 2: _dense, 3: _sparse}
