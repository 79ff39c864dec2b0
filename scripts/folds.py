"""Decide in which fold's validation part each image of a data set is; or why none can be trained.

The file keeps a digest of the images of each fold: by it, results of other images are told.
"""

import logging
from pathlib import Path

from freeconv.arguments import run_script
from freeconv.datasets import open_dataset
from freeconv.errors import DataFileError, InputError
from freeconv.files import write_parquet
from freeconv.folds import METHODS, assign_folds, check_batch, check_folds, fold_table
from freeconv.history import FOLDS_SCHEMA
from freeconv.networks import NETWORKS, check_sizes, first_convolutions
from freeconv.splits import make_splits

log = logging.getLogger("freeconv.folds")


def add_arguments(parser):
    parser.add_argument("--data", type=Path, required=True, help="prepared data set (.npy)")
    parser.add_argument("--count", type=int, required=True, help="number of folds")
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--seed", type=int, required=True, help="of shuffled and stratified folds")
    parser.add_argument("--source", required=True, help="digest of what the data set is made of")
    parser.add_argument("--local", default="", help="digest of its files that were here already")
    parser.add_argument("--batch-size", type=int, default=1, help="that a training part must fill")
    parser.add_argument("--network", choices=NETWORKS, help="that must take images of this size")
    parser.add_argument("--layers", type=int, help="convolutions of it that are used")
    parser.add_argument("--output", type=Path, required=True, help="folds (.parquet)")


def main(arguments):
    records = open_dataset(arguments.data)
    folds = _checked_folds(records, arguments)
    digests = {fold: make_splits(records, folds, fold).digest() for fold in range(arguments.count)}
    made = {name: vars(arguments)[name] for name in ("count", "method", "seed", "source", "local")}
    write_parquet(fold_table(folds), arguments.output, FOLDS_SCHEMA, {**made, "data": digests})
    logging.info("%s: %d images in %d folds", arguments.output, len(folds), arguments.count)


def _checked_folds(records, arguments):
    """The folds, if networks can be trained on them; errors and warnings name the data set."""
    labels = records["label"]
    try:
        folds = assign_folds(labels, arguments.count, arguments.method, arguments.seed)
        warnings = check_folds(labels, folds, arguments.method)
        check_batch(folds, arguments.batch_size)
        if arguments.network:
            network = first_convolutions(NETWORKS[arguments.network], arguments.layers)
            check_sizes(network, records.dtype["image"].shape)
    except InputError as error:
        raise DataFileError(arguments.data, error) from None
    for warning in warnings:
        log.warning("%s: %s", arguments.data, warning)
    return folds


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
