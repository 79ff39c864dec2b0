"""Describe what a study trains: the layers of its networks, and what augmentations do."""

from pathlib import Path

import pandas as pd

from freeconv.command_line import add_extension, add_settings, read_settings, run_commands
from freeconv.data.formats import class_count, open_dataset
from freeconv.io import write_parquet
from freeconv.results.schemas import EXAMPLES_SCHEMA, NETWORKS_SCHEMA
from freeconv.study.extensions import load
from freeconv.study.settings import NetworkSettings, sharing_of
from freeconv.training.devices import BACKENDS, use_device


def add_networks(parser):
    _add_dataset(parser)
    add_settings(parser, NetworkSettings)
    add_extension(parser)
    parser.add_argument("--output", type=Path, required=True, help="layers (.parquet)")


def networks(arguments):
    """List the layers of the networks that learn a data set."""
    settings = read_settings(NetworkSettings, arguments.settings)
    _start(settings.backend, arguments.extension)
    from freeconv.training.layer_table import network_records

    records = open_dataset(arguments.data)
    frames = [
        network_records(
            arguments.dataset,
            name,
            model["kind"],
            sharing_of(model["sharing"]),
            model["banks"] or None,
            settings.network,
            settings.layers,
            settings.learning_rate,
            records["image"].shape[1:],
            class_count(records["label"]),
        )
        for name, model in settings.models.items()
    ]
    write_parquet(pd.concat(frames), arguments.output, NETWORKS_SCHEMA)


def add_examples(parser):
    _add_dataset(parser)
    parser.add_argument("--rotation-centre", choices=["middle", "code"], required=True)
    parser.add_argument("--backend", choices=BACKENDS, required=True)
    add_extension(parser)
    parser.add_argument("--output", type=Path, required=True, help="images (.parquet)")


def examples(arguments):
    """Show one image of a data set as training and validation perturb it, at every level."""
    _start(arguments.backend, arguments.extension)
    from freeconv.training.example_images import example_image, example_records, perturbed_images

    image = example_image(open_dataset(arguments.data))
    records = example_records(arguments.dataset, perturbed_images(image, arguments.rotation_centre))
    write_parquet(records, arguments.output, EXAMPLES_SCHEMA)


def _add_dataset(parser):
    parser.add_argument("--dataset", required=True, help="name of the data set")
    parser.add_argument("--data", type=Path, required=True, help="prepared data set (.npy)")


def _start(backend, extension):
    """Choose the backend, before Keras is imported; then run the extension."""
    use_device("cpu", threads=1, backend=backend)
    if extension:
        load(extension)


if __name__ == "__main__":
    run_commands(__doc__, networks=(add_networks, networks), examples=(add_examples, examples))
