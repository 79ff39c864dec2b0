"""Trains and measures small networks with the backend of this process: python alike.py IN OUT.

Not a test: `test_jax.py` runs it with either backend and compares what it wrote.
"""

import sys

import numpy as np

from freeconv.training.engine import Condition, Evaluator, Trainer, on_device
from freeconv.training.models import Convolution, Network, build_model

NETWORK = Network((Convolution(3, 4, 2), Convolution(3, 6, 1)), 16)
SHAPE = (14, 14, 2)
IMAGES, CLASSES = 24, 4
NETWORKS = {
    "cnn": {"kind": "cnn"},
    "fcn": {"kind": "fcn"},
    "absent_weights": {"kind": "fcn", "vcp": 0.5},
    "absent_inputs": {"kind": "fcn", "vcp": 0.5, "vcp_kind": "input"},
}
CONDITIONS = [Condition("clean", 0.0), Condition("quadrant_swap", 0.0), Condition("rotation", 0.0)]


def build(name):
    return build_model(
        network=NETWORK, input_shape=SHAPE, classes=CLASSES, seed=3, **NETWORKS[name]
    )


def main(source, destination):
    """Train each network from the weights of a file; write its weights, losses and predictions.

    A batch holds all images, so that their order, which backends draw differently, is of no
    account.
    """
    given = np.load(source)
    data = on_device(given["images"], given["labels"])
    results = {}
    for name in NETWORKS:
        model = build(name)
        model.set_weights([given[f"{name} {i}"] for i in range(len(model.weights))])
        trainer = Trainer(
            model,
            learning_rate=0.01,
            batch_size=IMAGES,
            augmentation="none",
            level=0.0,
        )
        epochs = [trainer.epoch(*data, np.random.SeedSequence(epoch)) for epoch in range(8)]
        results |= {f"{name} {i}": weight for i, weight in enumerate(model.get_weights())}
        results[f"{name} epochs"] = epochs
        evaluator = Evaluator(model, conditions=CONDITIONS, batch_size=10)
        measured = evaluator.measure(*data, np.random.SeedSequence(0))
        results[f"{name} predictions"], results[f"{name} losses"] = measured
    np.savez(destination, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
