"""Data sets: download their files, turn these into one array, and assign images to folds."""

import json
import logging
from pathlib import Path

import numpy as np

from freeconv.command_line import run_commands
from freeconv.data import formats, image_folder
from freeconv.data.download import CONTENTS, fetch
from freeconv.data.folds import (
    FOLDS_SCHEMA,
    METHODS,
    assign_folds,
    check_batch,
    check_folds,
    fold_table,
    make_splits,
)
from freeconv.data.sources import ROLES
from freeconv.data.synthetic import signal_in_noise
from freeconv.errors import DataFileError, InputError
from freeconv.io import whole_file, write_parquet
from freeconv.study.networks import NETWORKS, check_sizes, first_convolutions

log = logging.getLogger("freeconv.data")

READERS = {
    "digits": formats.digits,
    "signal": signal_in_noise,
    "idx": formats.read_mnist_like,
    "cifar10": formats.read_cifar10,
    "npz": formats.read_npz,
    "folder": image_folder.read_folder,
}


def add_download(parser):
    parser.add_argument("--name", required=True, help="within a mirror: <data set>/<file>")
    parser.add_argument("--url", action="append", default=[], help="may be given several times")
    parser.add_argument("--sha256", required=True, help="digest of the content")
    parser.add_argument("--content", choices=CONTENTS, default="raw", help="what the digest is of")
    parser.add_argument("--mirror", help="folder or URL that is tried first")
    parser.add_argument("--output", type=Path, required=True, help="file to write")


def download(arguments):
    """Download one file of a data set, from the first source that has its right content."""
    fetch(
        arguments.name,
        arguments.url,
        arguments.sha256,
        arguments.output,
        mirror=arguments.mirror,
        content=arguments.content,
    )
    logging.info("%s: content as expected", arguments.output)


def add_prepare(parser):
    parser.add_argument("--format", choices=READERS, required=True)
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        nargs=2,
        metavar=("ROLE", "PATH"),
        help="idx: train_images, train_labels, test_images, test_labels; all others: archive",
    )
    parser.add_argument(
        "--arrays",
        action="append",
        nargs=2,
        metavar=("IMAGES", "LABELS"),
        help="npz: names of two arrays that belong together; may be given several times",
    )
    parser.add_argument(
        "--signal", type=json.loads, help="signal: arguments of signal_in_noise (JSON)"
    )
    parser.add_argument(
        "--by-content", action="store_true", help="sort the images, for folds by content"
    )
    parser.add_argument("--output", type=Path, required=True, help="prepared data set (.npy)")


def prepare(arguments):
    """Turn the files of a data set into the one array that everything else reads."""
    files = {role: Path(path) for role, path in arguments.file}
    roles = ROLES[arguments.format]
    if files.keys() != set(roles):
        raise InputError(f"--file: the format {arguments.format} is made of {', '.join(roles)}")
    options = {"npz": {"arrays": arguments.arrays}, "signal": arguments.signal or {}}
    images, labels = READERS[arguments.format](**files, **options.get(arguments.format, {}))
    formats.check_content(arguments.output, images, labels)
    if arguments.by_content:
        images, labels = formats.by_content(images, labels)
    # Open for reading, too, since NumPy then writes by Python, whose errors tell what is wrong.
    with whole_file(arguments.output) as partial, partial.open("w+b") as file:
        np.save(file, formats.pack(images, labels), allow_pickle=False)
    logging.info("%s: images %s, labels 0..%d", arguments.output, images.shape, labels.max())


def add_folds(parser):
    parser.add_argument("--data", type=Path, required=True, help="prepared data set (.npy)")
    parser.add_argument("--count", type=int, required=True, help="number of folds")
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--seed", type=int, required=True, help="of shuffled and stratified folds")
    parser.add_argument("--source", required=True, help="digest of what the data set is made of")
    parser.add_argument("--local", default="", help="digest of its files that were here already")
    parser.add_argument("--batch-size", type=int, default=1, help="that a training part must fill")
    parser.add_argument(
        "--training-share", type=float, default=1.0, help="the smallest one that must fill it"
    )
    parser.add_argument("--network", choices=NETWORKS, help="that must take images of this size")
    parser.add_argument("--layers", type=int, help="convolutions of it that are used")
    parser.add_argument("--output", type=Path, required=True, help="folds (.parquet)")


def folds(arguments):
    """Assign each image to the fold that validates on it; or say why none can be trained.

    The file keeps a digest of the images of each fold, by which results of other images are told.
    """
    records = formats.open_dataset(arguments.data)
    assigned = _checked_folds(records, arguments)
    digests = {n: make_splits(records, assigned, n).digest() for n in range(arguments.count)}
    made = {name: vars(arguments)[name] for name in ("count", "method", "seed", "source", "local")}
    write_parquet(fold_table(assigned), arguments.output, FOLDS_SCHEMA, {**made, "data": digests})
    logging.info("%s: %d images in %d folds", arguments.output, len(assigned), arguments.count)


def _checked_folds(records, arguments):
    """The folds, if networks can be trained on them; errors and warnings name the data set."""
    labels = records["label"]
    if arguments.method == "content" and not formats.is_by_content(records["image"], labels):
        raise DataFileError(
            arguments.data,
            "folds by content are of images sorted by their content; prepare them --by-content.",
        )
    try:
        assigned = assign_folds(labels, arguments.count, arguments.method, arguments.seed)
        warnings = check_folds(labels, assigned, arguments.method)
        check_batch(labels, assigned, arguments.batch_size, arguments.training_share)
        if arguments.network:
            network = first_convolutions(NETWORKS[arguments.network], arguments.layers)
            check_sizes(network, records.dtype["image"].shape)
    except InputError as error:
        raise DataFileError(arguments.data, error) from None
    for warning in warnings:
        log.warning("%s: %s", arguments.data, warning)
    return assigned


if __name__ == "__main__":
    run_commands(
        __doc__,
        download=(add_download, download),
        prepare=(add_prepare, prepare),
        folds=(add_folds, folds),
    )
