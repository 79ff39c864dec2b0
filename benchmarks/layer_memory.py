"""Writes the peak memory of a layer's training steps as JSON; run in a process of its own.

    python -m benchmarks.layer_memory "224 x 224 x 3 -> 64, 3 x 3, batch 8" fcn peak.json

A step computes features and all gradients, and then changes the weights by plain descent. Of the
process' peak, what it held before the layer was built is no part. Linux alone counts it so.
"""

import json
import math
import sys
from pathlib import Path

from benchmarks import stacks
from benchmarks.peers import ours

STEPS = 4


def main(case, kind, output):
    """Write MiB of the peak, and of activations, weights and their gradients."""
    ours.set_up(2)
    import tensorflow as tf

    stack = stacks.LARGE[case]
    images = tf.constant(stack.images())
    before = _status("VmRSS")
    layer = ours.single(stack.layers[0], kind)
    layer.build(images.shape)
    weights = [variable.value for variable in layer.trainable_variables]
    sources = [*weights, images] if stack.input_gradient else weights

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.nn.l2_loss(layer(images))
        gradients = tape.gradient(loss, sources)
        with tf.control_dependencies(gradients):
            for weight, gradient in zip(weights, gradients, strict=False):
                tf.raw_ops.ResourceApplyGradientDescent(
                    var=weight.handle, alpha=1e-9, delta=gradient
                )
        return loss

    for _ in range(STEPS):
        step()
    held = [
        *weights,
        *sources,
        images,
        *[tf.TensorSpec(layer.compute_output_shape(images.shape))] * 2,
    ]
    values = sum(math.prod(tensor.shape) for tensor in held)
    Path(output).write_text(json.dumps([_status("VmHWM") - before, 4 * values / 2**20]))


def _status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith(f"{key}:"))


if __name__ == "__main__":
    main(*sys.argv[1:])
