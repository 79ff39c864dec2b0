"""What the machine can do at most: large matrix products, and copies."""

import numpy as np

from benchmarks.harness import measurement
from benchmarks.peers import ours
from benchmarks.workers import Contender, Workers, race

SIZE = 2048
PRODUCT = f"{SIZE}^3 product"
PRODUCT_FLOPS = 2 * SIZE**3
COPY_BYTES = 2**28

CASE = "this machine"


def measure(options):
    """Rate of float32 products in TensorFlow (GFLOP/s), bandwidth of a copy (GB/s)."""
    with Workers(options) as workers:
        worker = workers.start(ours.set_up)
        contenders = [
            product_contender(worker),
            Contender("copy", worker, build_copy, (options.threads,), required=True),
        ]
        samples, _ = race(contenders, options.choose(15, 5))
    rates = [PRODUCT_FLOPS / seconds / 1e9 for seconds in samples[PRODUCT]]
    # Every byte is read once and written once.
    bandwidths = [2 * COPY_BYTES / seconds / 1e9 for seconds in samples["copy"]]
    return [
        measurement("floors", CASE, PRODUCT, "rate", rates, "GFLOP/s"),
        measurement(
            "floors", CASE, "copy", "bandwidth", bandwidths, "GB/s", "bytes read and written"
        ),
    ]


def product_contender(worker):
    """The product that other subjects take their floor from, as a `workers.Contender`."""
    return Contender(PRODUCT, worker, ours.build_product, (SIZE,), required=True)


def floor_of(product, flops, name):
    """The row of the floor: the time of so many operations at the rate of a measured product.

    Args:
        product: `harness.Measurement` of the time of `PRODUCT`.
        flops: floating point operations of the task.
        name: of the implementation in the new row.
    """
    share = flops / PRODUCT_FLOPS
    return product._replace(
        implementation=name,
        median=share * product.median,
        low=share * product.low,
        high=share * product.high,
        note=f"{flops / 1e9:.3g} GFLOP at the rate of the {PRODUCT}",
    )


def build_copy(threads):
    """A copy of `COPY_BYTES` by so many threads; NumPy copies outside the interpreter's lock."""
    from concurrent.futures import ThreadPoolExecutor

    source = np.ones(COPY_BYTES, np.uint8)
    target = np.zeros_like(source)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(lambda part: np.copyto(*part), parts))
