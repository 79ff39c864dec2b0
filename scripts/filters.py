"""Draw the filters of a free convolution of a trained model, and how alike they are."""

import zipfile
from pathlib import Path

from freeconv.arguments import run_script
from freeconv.errors import InputError


def add_arguments(parser):
    parser.add_argument("--model-file", type=Path, required=True, help="trained model (.keras)")
    parser.add_argument("--layer", help="name of the layer (default: the first free convolution)")
    parser.add_argument(
        "--filters", type=int, nargs="+", help="filters, from 0 (default: the first three)"
    )
    parser.add_argument(
        "--channels", type=int, nargs="+", help="input channels, from 0 (default: the first three)"
    )
    parser.add_argument("--title", default="", help="title of the figure")
    parser.add_argument(
        "--output", type=Path, nargs="+", required=True, help="files to write: .png, .svg"
    )


def main(arguments):
    if not arguments.model_file.exists():
        raise InputError(
            f"{arguments.model_file}: no such model; a study keeps models with keep_models: true "
            "alone, of the cells that are trained from then on"
        )
    if not zipfile.is_zipfile(arguments.model_file):
        raise InputError(f"{arguments.model_file}: no model that Keras saved; expected .keras")
    # Imported here so that --help and errors in the arguments do not wait for it.
    from freeconv.devices import use_device

    use_device("cpu", threads=1, backend="tensorflow")

    from keras.ops import convert_to_numpy

    from freeconv.files import whole_file
    from freeconv.filters import draw_filters, free_layer
    from freeconv.models import load_model
    from freeconv.style import save

    layer = free_layer(load_model(arguments.model_file), arguments.layer)
    mask = layer.connection_mask
    figure = draw_filters(
        convert_to_numpy(layer.kernel),
        layer.output_grid,
        layer.kernel_size,
        arguments.filters,
        arguments.channels,
        present=None if mask is None else convert_to_numpy(mask),
        title=arguments.title,
    )
    for path in arguments.output:
        with whole_file(path) as partial:
            save(figure, partial)


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
