"""List the layers of the networks that learn a data set."""

from pathlib import Path

import pandas as pd

from freeconv.arguments import add_extension, run_script
from freeconv.datasets import class_count, open_dataset
from freeconv.devices import BACKENDS, use_device
from freeconv.extensions import load
from freeconv.files import write_parquet
from freeconv.history import NETWORKS_SCHEMA
from freeconv.study import degree_of_sharing


def add_arguments(parser):
    parser.add_argument("--dataset", required=True, help="name of the data set")
    parser.add_argument("--data", type=Path, required=True, help="prepared data set (.npy)")
    parser.add_argument(
        "--model",
        nargs=3,
        action="append",
        required=True,
        metavar=("NAME", "KIND", "SHARING"),
        help="a network: its name, cnn or fcn, and the degree of sharing (1, side of a tile, all)",
    )
    parser.add_argument("--network", required=True, help="architecture")
    parser.add_argument(
        "--layers", type=int, required=True, help="convolutions of it that are used"
    )
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--backend", choices=BACKENDS, required=True)
    add_extension(parser)
    parser.add_argument("--output", type=Path, required=True, help="layers (.parquet)")


def main(arguments):
    use_device("cpu", threads=1, backend=arguments.backend)
    if arguments.extension:
        load(arguments.extension)
    # Keras is imported once its backend is chosen.
    from freeconv.architecture import network_records

    records = open_dataset(arguments.data)
    of_dataset = (
        arguments.network,
        arguments.layers,
        arguments.learning_rate,
        records["image"].shape[1:],
        class_count(records["label"]),
    )
    networks = [
        network_records(arguments.dataset, name, kind, degree_of_sharing(sharing), *of_dataset)
        for name, kind, sharing in arguments.model
    ]
    write_parquet(pd.concat(networks), arguments.output, NETWORKS_SCHEMA)


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
