"""Free layers, forward and backward, against ordinary ones, other libraries and the floor."""

import logging

from benchmarks import floors, stacks
from benchmarks.peers import jax_local, locally_connected, ours, torch_unfold
from benchmarks.workers import Contender, Workers, race_measurements

log = logging.getLogger(__name__)

OURS = "FreeConv2D"
CONV = "Conv2D"
FLOOR = "floor"
JAX = "JAX conv_general_dilated_local"
TORCH = "PyTorch unfold + einsum"
LOCALLY_CONNECTED = {
    (implementation, xla): f"LocallyConnected2D {implementation}" + (" with XLA" if xla else "")
    for implementation in (1, 2, 3)
    for xla in (False, True)
}
DEFAULT_PEER = LOCALLY_CONNECTED[1, False]

QUICK_VARIANTS = ((1, False), (1, True))
"""Of `LOCALLY_CONNECTED`; the others take longest to get ready."""

BATCHES = (1, 32, 256, 1024)


def network_case(network, batch):
    """Name of the case of all free layers of a network."""
    return f"{network}, three layers, batch {batch}"


def layer_case(network, number, padding, batch):
    """Name of the case of a single layer of a network, from 1."""
    return f"{network}, layer {number} alone, {padding}, batch {batch}"


def single_layers(options):
    """(network, number, padding) of the layers that are measured alone."""
    return [
        (network, number, padding)
        for network in options.choose(tuple(stacks.NETWORKS), ("mnist",))
        for number in (1, 2, 3)
        for padding in options.choose(("valid", "same"), ("valid",))
    ]


def batch_sizes(options):
    """(network, batch) of the networks that are measured at other batch sizes than their own."""
    return [
        (network, batch)
        for network in options.choose(tuple(stacks.NETWORKS), ("mnist",))
        for batch in options.choose(BATCHES, (1,))
        if batch != stacks.BATCHES[network]
    ]


def measure(options):
    """Milliseconds of a forward and backward pass."""
    with Workers(options) as workers:
        rows = _networks(options, workers)
    with Workers(options) as workers:
        worker = workers.start(ours.set_up)
        cases = [
            (network_case(network, batch), stacks.network(network, batch))
            for network, batch in batch_sizes(options)
        ]
        cases += [
            (layer_case(*layer, batch), stacks.single_layer(*layer, batch))
            for layer in single_layers(options)
            for batch in [stacks.BATCHES[layer[0]]]
        ]
        for case, stack in cases:
            rows += _race(case, stack, _own(worker, stack), options.choose(15, 3))
            workers.forget()
    return rows


def _networks(options, workers):
    """The layers of both networks as they are trained, by everyone."""
    own, peer = workers.start(ours.set_up), workers.start(locally_connected.set_up)
    jax, torch = workers.start(jax_local.set_up), workers.start(torch_unfold.set_up)
    rows = []
    for network, batch in stacks.BATCHES.items():
        stack = stacks.network(network, batch)
        contenders = _own(own, stack)
        contenders += [
            Contender(name, peer, locally_connected.build_step, (stack, *variant))
            for variant, name in LOCALLY_CONNECTED.items()
            if not options.quick or variant in QUICK_VARIANTS
        ]
        contenders.append(Contender(JAX, jax, jax_local.build_step, (stack,)))
        contenders.append(Contender(TORCH, torch, torch_unfold.build_step, (stack,)))
        rows += _race(network_case(network, batch), stack, contenders, options.choose(15, 3))
        workers.forget()
    return rows


def _own(worker, stack):
    return [
        Contender(OURS, worker, ours.build_step, (stack, "fcn"), required=True),
        Contender(CONV, worker, ours.build_step, (stack, "cnn"), required=True),
        floors.product_contender(worker),
    ]


def _race(case, stack, contenders, rounds):
    """Rows in milliseconds; the product's turns become the floor of the stack."""
    log.info("layers: %s", case)
    rows = race_measurements("layers", case, contenders, rounds, scale=1e3, unit="ms")
    return [
        floors.floor_of(row, stack.product_flops(), FLOOR)
        if row.implementation == floors.PRODUCT
        else row
        for row in rows
    ]
