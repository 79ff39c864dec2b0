"""What users of PyTorch, which has no such layer, write: `unfold`, then `einsum`."""

import numpy as np

from benchmarks.stacks import Stack


def set_up(threads):
    """Bound the threads of an operation."""
    import torch

    torch.set_num_threads(threads)


class TorchStack:
    """A stack of free convolutions by unfolding, with padding `valid`."""

    def __init__(self, stack: Stack):
        import torch

        self._stack = stack
        self._images = torch.tensor(stack.images().transpose(0, 3, 1, 2).copy())
        self._images.requires_grad_(stack.input_gradient)
        self._weights = [
            (torch.tensor(kernel, requires_grad=True), torch.tensor(bias, requires_grad=True))
            for kernel, bias in _weights(stack)
        ]
        self._gradient = torch.tensor(stack.output_gradient().transpose(0, 3, 1, 2).copy())

    def _forward(self):
        import torch

        images = self._images
        for layer, (kernel, bias) in zip(self._stack.layers, self._weights, strict=True):
            patches = torch.nn.functional.unfold(images, layer.kernel_size, stride=layer.stride)
            outputs = torch.einsum("npl,lpf->nfl", patches, kernel) + bias
            images = torch.relu(outputs).reshape(len(images), layer.filters, *layer.output_grid)
        return images

    def features(self):
        """Features of the images, float32 array (batch, rows * columns * filters)."""
        features = self._forward().detach().numpy().transpose(0, 2, 3, 1)
        return features.reshape(len(features), -1)

    def step(self):
        """Compute the features and all gradients; list of gradients, kernel and bias in turn."""
        leaves = [weight for pair in self._weights for weight in pair]
        leaves += [self._images] if self._stack.input_gradient else []
        for leaf in leaves:
            leaf.grad = None
        self._forward().backward(self._gradient)
        return [leaf.grad for leaf in leaves]


def build_step(stack):
    """The forward and backward pass of a `TorchStack`, to be timed."""
    return TorchStack(stack).step


def _weights(stack):
    """Kernels (positions, patch, filters) with patches in the order (channel, row, column)."""
    weights = []
    for layer, (kernel, bias) in zip(stack.layers, stack.weights(), strict=True):
        size = layer.kernel_size
        kernel = kernel.reshape(-1, size, size, layer.channels, layer.filters)
        kernel = kernel.transpose(0, 3, 1, 2, 4).reshape(-1, layer.patch, layer.filters)
        bias = bias.reshape(-1, layer.filters).T
        weights.append((np.ascontiguousarray(kernel), np.ascontiguousarray(bias)))
    return weights
