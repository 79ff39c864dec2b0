"""What a GPU can do with the paper's study: an estimate, and what it measures on the card here.

Run it as `python -m benchmarks.gpu`, with `KERAS_BACKEND=jax` for JAX. It takes some minutes.

The estimate needs three numbers of a card, which are measured first: the rate of large float32
products, the bandwidth of its memory, and the time to start an operation. A training step takes
as long as its operations or its bytes, whichever is longer, and at least as long as its starts.
"""

import argparse
import math
import os
import sys
import time
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks import stacks
from benchmarks.costs import read_study
from freeconv.errors import InputError
from freeconv.study.memory import sizes_of_network

STARTS = 130
"""Operations of a training step that are started one by one: 100 to 150, by the network."""

COPIES_OF_WEIGHTS = 11
"""Reads and writes of the weights in a step: 3 by the products, 1 of gradients, 7 by Adam."""

COPIES_OF_ACTIVATIONS = 6
"""Reads and writes of the activations in a step: forward and backward, with their gradients."""

VALIDATIONS = 6
"""Conditions under which a quarter of the training images is measured after an epoch."""


class Card(NamedTuple):
    """What a card does: operations and bytes a second, and seconds of starting an operation."""

    operations: float
    bandwidth: float
    start: float


class Work(NamedTuple):
    """What a training step is: operations of its products, bytes moved, operations started."""

    operations: float
    bytes: float
    starts: int


def work_of_step(settings, image_shape):
    """The `Work` of a training step.

    Args:
        settings: `settings.RunSettings` of a network of the paper.
        image_shape: (rows, columns, channels).
    """
    batch = settings.batch_size
    weights, activations = sizes_of_network(settings, image_shape)
    convolutions = stacks.network(settings.network, batch)
    last = convolutions.layers[-1]
    features = math.prod(last.output_grid) * last.filters
    dense = 3 * 2 * batch * 1024 * (features + 10)
    moved = 4 * (COPIES_OF_WEIGHTS * weights + COPIES_OF_ACTIVATIONS * activations * batch)
    return Work(convolutions.product_flops() + dense, moved, STARTS)


def seconds_of_step(work, card):
    """Estimated seconds of a step, and what limits it: `operations`, `bytes` or `starts`."""
    parts = {
        "operations": work.operations / card.operations,
        "bytes": work.bytes / card.bandwidth,
        "starts": work.starts * card.start,
    }
    limit = max(parts, key=parts.get)
    return parts[limit], limit


def runs_at_once(work, card):
    """How many runs a card has room for until operations or bytes limit all of them together."""
    busy = max(work.operations / card.operations, work.bytes / card.bandwidth)
    return max(1, round(work.starts * card.start / busy))


def main():
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="training steps that are timed")
    parser.add_argument("--cpu", action="store_true", help="on the CPU, to try the script")
    arguments = parser.parse_args()
    try:
        print(report(arguments.steps, "cpu" if arguments.cpu else "gpu"))
    except InputError as error:
        sys.exit(f"error: {error}")


def report(steps, device):
    """The text of the tables; see the module.

    Args:
        steps: training steps that are timed.
        device: `gpu` or `cpu`.
    """
    from freeconv.training.devices import use_device

    backend = os.getenv("KERAS_BACKEND", "tensorflow")
    name = use_device(device, 1, backend)
    card = measure_card()
    study, rows, hours = read_study("config/config.yaml"), [], {}
    for dataset, kind in (
        ("mnist", "fcn"),
        ("mnist", "cnn"),
        ("cifar10", "fcn"),
        ("cifar10", "cnn"),
    ):
        runs = [r for r in study.runs() if (r.dataset, r.model) == (dataset, kind)]
        settings = study.settings_of(next(r for r in runs if r.augmentation == "translation"))
        work = work_of_step(settings, stacks.NETWORKS[dataset][0])
        estimated, limit = seconds_of_step(work, card)
        step, image = measure_step(settings, steps)
        rows.append(
            {
                "network": f"{dataset} {kind}",
                "GFLOP": f"{work.operations / 1e9:.2f}",
                "MB": f"{work.bytes / 1e6:.0f}",
                "limited by": limit,
                "estimate, ms": f"{1e3 * estimated:.2f}",
                "measured, ms": f"{1e3 * step:.2f}",
                "runs at once": runs_at_once(work, card),
            }
        )
        images = stacks.FILES[dataset] * 4 // 5
        epoch = images // settings.batch_size * step + images / 4 * VALIDATIONS * image
        hours[f"{dataset} {kind}"] = len(runs) * settings.epochs * epoch / 3600
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    grid = ", ".join(f"{network} {value:.1f}" for network, value in hours.items())
    return (
        f"{name}, {backend}: {card.operations / 1e12:.2f} TFLOP/s of float32 products, "
        f"{card.bandwidth / 1e9:.0f} GB/s, {1e6 * card.start:.1f} us to start an operation\n\n"
        f"{table}\n\nHours of the paper's grid, one run at a time, if none stopped early: {grid}; "
        f"in all {sum(hours.values()):.1f}"
    )


def measure_card(size=4096, elements=2**26):
    """The `Card` here, by a product, a sum of large arrays, and a row of small sums."""
    from keras import ops

    matrix = ops.ones((size, size))
    product = _seconds(lambda: ops.matmul(matrix, matrix))
    array = ops.ones((elements,))
    added = _seconds(lambda: ops.add(array, array))
    small, count = ops.ones((8,)), 1000

    def row_of_sums():
        result = small
        for _ in range(count):
            result = ops.add(result, small)
        return result

    # A read counts once, as both operands are the same array.
    return Card(2 * size**3 / product, 2 * 4 * elements / added, _seconds(row_of_sums) / count)


def measure_step(settings, steps):
    """Seconds of a training step, and of measuring one image under one condition."""
    from freeconv.training.engine import Condition, Evaluator, Trainer, on_device
    from freeconv.training.models import build_model

    batch = settings.batch_size
    shape = stacks.NETWORKS[settings.network][0]
    model = build_model(settings.kind, settings.network, shape, stacks.CLASSES)
    common = {"batch_size": batch, "edge_noise": settings.edge_noise}
    trainer = Trainer(
        model,
        learning_rate=settings.learning_rate,
        augmentation=settings.augmentation,
        level=settings.level,
        **common,
    )
    evaluator = Evaluator(model, conditions=[Condition("translation", 0.25)], **common)
    data = on_device(*stacks.images(settings.network, steps * batch))
    seed = np.random.SeedSequence(0)
    trained = _seconds(lambda: trainer.epoch(*data, seed), 2)
    measured = _seconds(lambda: evaluator.measure(*data, seed), 2)
    return trained / steps, measured / (steps * batch)


def _seconds(function, repetitions=5):
    """The shortest time of a call, after one that is not timed, until its result is at hand."""
    from keras import ops

    times = []
    for _ in range(repetitions + 1):
        start = time.perf_counter()
        result = function()
        if ops.is_tensor(result):
            # One number of it is there once all of it is computed.
            ops.convert_to_numpy(ops.reshape(result, (-1,))[0])
        times.append(time.perf_counter() - start)
    return min(times[1:])


if __name__ == "__main__":
    main()
