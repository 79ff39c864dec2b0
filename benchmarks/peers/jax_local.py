"""`jax.lax.conv_general_dilated_local`, compiled."""

import numpy as np

from benchmarks.stacks import Stack


def set_up(threads):
    """JAX takes as many threads as its process may run on processors."""
    import jax

    jax.config.update("jax_platforms", "cpu")


class JaxStack:
    """A stack of JAX's local convolutions."""

    def __init__(self, stack: Stack):
        import jax
        from jax import numpy as jnp

        self._images = jnp.asarray(stack.images())
        self._weights = _weights(stack)
        gradient = jnp.asarray(stack.output_gradient())

        def features(weights, images):
            for layer, (kernel, bias) in zip(stack.layers, weights, strict=True):
                images = jax.lax.conv_general_dilated_local(
                    images,
                    kernel,
                    (layer.stride, layer.stride),
                    layer.padding.upper(),
                    (layer.kernel_size, layer.kernel_size),
                    dimension_numbers=("NHWC", "HWIO", "NHWC"),
                )
                images = jax.nn.relu(images + bias)
            return images

        def step(weights, images, gradient):
            if stack.input_gradient:
                return jax.vjp(features, weights, images)[1](gradient)
            return jax.vjp(lambda w: features(w, images), weights)[1](gradient)

        self._features = jax.jit(features)
        compiled = jax.jit(step)
        self._step = lambda: jax.block_until_ready(compiled(self._weights, self._images, gradient))

    def features(self):
        """Features of the images, float32 array (batch, rows * columns * filters)."""
        features = np.asarray(self._features(self._weights, self._images))
        return features.reshape(len(features), -1)

    def step(self):
        """Compute the features and all gradients."""
        return self._step()


def build_step(stack):
    """The forward and backward pass of a `JaxStack`, to be timed."""
    return JaxStack(stack).step


def _weights(stack):
    """Kernels (rows, columns, patch, filters) with patches in the order (channel, row, column)."""
    from jax import numpy as jnp

    weights = []
    for layer, (kernel, bias) in zip(stack.layers, stack.weights(), strict=True):
        size = layer.kernel_size
        kernel = kernel.reshape(*layer.output_grid, size, size, layer.channels, layer.filters)
        kernel = kernel.transpose(0, 1, 4, 2, 3, 5)
        kernel = kernel.reshape(*layer.output_grid, layer.patch, layer.filters)
        weights.append((jnp.asarray(kernel), jnp.asarray(bias)))
    return weights
