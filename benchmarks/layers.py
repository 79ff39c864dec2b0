"""Free layers, forward and backward, against ordinary ones, other libraries and the floor."""

import logging
from dataclasses import replace

from benchmarks import stacks
from benchmarks.harness import Aim
from benchmarks.peers import jax_local, locally_connected, ours, torch_unfold
from benchmarks.workers import Contender, Workers, race_measurements

log = logging.getLogger(__name__)

OURS = "FreeConv2D"
UNSHARED = "FreeConv2D, a kernel a position"
CONV = "Conv2D"
FLOOR = "floor"
JAX = "JAX conv_general_dilated_local"
TORCH = "PyTorch unfold + einsum"
LOCALLY_CONNECTED = {
    (implementation, xla): f"LocallyConnected2D {implementation}" + (" with XLA" if xla else "")
    for implementation, xla in ((1, False), (1, True), (2, False), (3, False))
}
DEFAULT_PEER = LOCALLY_CONNECTED[1, False]

QUICK_VARIANTS = ((1, False), (1, True))
"""Of `LOCALLY_CONNECTED`; the others take longest to get ready."""

PRODUCT_SIZE = 2048
"""Of the square matrices whose product tells what the machine does at its best."""


def measure(options):
    """Milliseconds of a forward and backward pass."""
    rounds = options.choose(10, 3)
    with Workers(options) as workers:
        rows = _networks(options, workers, rounds)
    with Workers(options) as workers:
        worker = workers.start(ours.set_up)
        for case, stack in _own_cases(options).items():
            contenders = _own(worker, stack)
            if case in stacks.TILES:
                free = replace(stack, layers=(stack.layers[0]._replace(sharing=1),))
                contenders.append(Contender(UNSHARED, worker, ours.build_step, (free, "fcn")))
            rows += _race(case, stack, contenders, rounds)
            workers.forget()
    return rows


def aims(options):
    """What is aimed at, a list of `harness.Aim`."""
    made = []
    for network, floor in {"mnist": 2.6, "cifar10": 2.1}.items():
        case, peers = network_case(network), tuple(LOCALLY_CONNECTED.values())
        made += [
            Aim(case, "ours / floor", (OURS,), (FLOOR,), "at most", floor),
            Aim(case, "ours / Conv2D", (OURS,), (CONV,), "at most", 1.0),
            Aim(case, f"{DEFAULT_PEER} / ours", (DEFAULT_PEER,), (OURS,), "at least", 3.5),
            Aim(case, "best LocallyConnected2D / ours", peers, (OURS,), "at least", 2.0),
            Aim(case, "PyTorch / ours", (TORCH,), (OURS,), "at least", 3.0),
            Aim(case, "JAX / ours", (JAX,), (OURS,), "at least", 4.0),
        ]
    made += [
        Aim(case, "tiles / a kernel a position", (OURS,), (UNSHARED,), "at most", 1.0)
        for case in stacks.TILES
    ]
    return made + [
        Aim(case, "ours / Conv2D", (OURS,), (CONV,), "at most" if stack.aim else "", stack.aim)
        for case, stack in _own_cases(options).items()
    ]


def network_case(network):
    """Name of the case of all free layers of a network."""
    return f"{network}, three layers, batch {stacks.BATCHES[network]}"


def _own_cases(options):
    """Case -> `stacks.Stack` of what is measured against Conv2D alone."""
    cases = {}
    for network in options.choose(tuple(stacks.NETWORKS), ("mnist",)):
        for number in (1, 2, 3):
            for padding in options.choose(("valid", "same"), ("valid",)):
                stack = stacks.single_layer(network, number, padding, stacks.BATCHES[network])
                cases[f"{network}, layer {number} alone, {padding}, batch {stack.batch}"] = stack
    return cases | stacks.LARGE | stacks.TILES


def _networks(options, workers, rounds):
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
        rows += _race(network_case(network), stack, contenders, rounds)
        workers.forget()
    return rows


def _own(worker, stack):
    return [
        Contender(OURS, worker, ours.build_step, (stack, "fcn"), required=True),
        Contender(CONV, worker, ours.build_step, (stack, "cnn"), required=True),
        Contender(FLOOR, worker, ours.build_product, (PRODUCT_SIZE,), required=True),
    ]


def _race(case, stack, contenders, rounds):
    """Rows in milliseconds; the turns of the product become the floor of the stack."""
    log.info("layers: %s", case)
    rows = race_measurements("layers", case, contenders, rounds, scale=1e3, unit="ms")
    return [
        floor_of(row, stack.product_flops()) if row.implementation == FLOOR else row for row in rows
    ]


def floor_of(product, flops):
    """The row of the floor: the time of so many operations at the rate of the measured product."""
    share = flops / (2 * PRODUCT_SIZE**3)
    rate = flops / 1e6 / (share * product.median)
    return product._replace(
        median=share * product.median,
        low=share * product.low,
        high=share * product.high,
        note=f"{flops / 1e9:.3g} GFLOP at the {rate:.0f} GFLOP/s of a {PRODUCT_SIZE}^3 product",
    )
