"""Turn the files of a data set into the one array that everything else reads."""

import logging
from pathlib import Path

import numpy as np

from freeconv import datasets, pictures
from freeconv.arguments import run_script
from freeconv.errors import InputError
from freeconv.files import whole_file
from freeconv.sources import ROLES

READERS = {
    "digits": datasets.digits,
    "idx": datasets.read_mnist_like,
    "cifar10": datasets.read_cifar10,
    "npz": datasets.read_npz,
    "folder": pictures.read_folder,
}


def add_arguments(parser):
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
    parser.add_argument("--output", type=Path, required=True, help="prepared data set (.npy)")


def main(arguments):
    files = {role: Path(path) for role, path in arguments.file}
    roles = ROLES[arguments.format]
    if files.keys() != set(roles):
        raise InputError(f"--file: the format {arguments.format} is made of {', '.join(roles)}")
    options = {"arrays": arguments.arrays} if arguments.format == "npz" else {}
    images, labels = READERS[arguments.format](**files, **options)
    datasets.check_content(arguments.output, images, labels)
    # Open for reading, too, since NumPy then writes by Python, whose errors tell what is wrong.
    with whole_file(arguments.output) as partial, partial.open("w+b") as file:
        np.save(file, datasets.pack(images, labels), allow_pickle=False)
    logging.info("%s: images %s, labels 0..%d", arguments.output, images.shape, labels.max())


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
