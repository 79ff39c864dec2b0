"""Show one image of a data set as training and validation perturb it, at every level."""

from pathlib import Path

from freeconv.arguments import add_extension, run_script
from freeconv.datasets import open_dataset
from freeconv.devices import BACKENDS, use_device
from freeconv.extensions import load
from freeconv.files import write_parquet
from freeconv.history import EXAMPLES_SCHEMA


def add_arguments(parser):
    parser.add_argument("--dataset", required=True, help="name of the data set")
    parser.add_argument("--data", type=Path, required=True, help="prepared data set (.npy)")
    parser.add_argument("--edge-noise", choices=["paper", "published"], required=True)
    parser.add_argument("--backend", choices=BACKENDS, required=True)
    add_extension(parser)
    parser.add_argument("--output", type=Path, required=True, help="images (.parquet)")


def main(arguments):
    use_device("cpu", threads=1, backend=arguments.backend)
    if arguments.extension:
        load(arguments.extension)
    # Keras is imported once its backend is chosen.
    from freeconv.examples import example_image, example_records, perturbed_images

    image = example_image(open_dataset(arguments.data))
    records = example_records(arguments.dataset, perturbed_images(image, arguments.edge_noise))
    write_parquet(records, arguments.output, EXAMPLES_SCHEMA)


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
