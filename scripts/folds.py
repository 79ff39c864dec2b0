"""Decide in which fold's validation part each image of a data set is.

The file keeps a digest of the images of each fold: by it, results of other images are told.
"""

import logging
from pathlib import Path

from freeconv.arguments import run_script
from freeconv.datasets import open_dataset
from freeconv.files import write_parquet
from freeconv.folds import METHODS, assign_folds, fold_table
from freeconv.history import FOLDS_SCHEMA
from freeconv.splits import make_splits


def add_arguments(parser):
    parser.add_argument("--data", type=Path, required=True, help="prepared data set (.npy)")
    parser.add_argument("--count", type=int, required=True, help="number of folds")
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--seed", type=int, required=True, help="of shuffled and stratified folds")
    parser.add_argument("--source", required=True, help="digest of what the data set is made of")
    parser.add_argument("--local", default="", help="digest of its files that were here already")
    parser.add_argument("--output", type=Path, required=True, help="folds (.parquet)")


def main(arguments):
    records = open_dataset(arguments.data)
    folds = assign_folds(records["label"], arguments.count, arguments.method, arguments.seed)
    digests = {fold: make_splits(records, folds, fold).digest() for fold in range(arguments.count)}
    made = {name: vars(arguments)[name] for name in ("count", "method", "seed", "source", "local")}
    write_parquet(fold_table(folds), arguments.output, FOLDS_SCHEMA, {**made, "data": digests})
    logging.info("%s: %d images in %d folds", arguments.output, len(folds), arguments.count)


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
