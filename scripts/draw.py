"""Draw figures as PNG and SVG: of a study, of several, and the filters of a trained model."""

import json
import zipfile
from pathlib import Path

import pandas as pd

from freeconv.analysis.frames import SCHEMAS
from freeconv.analysis.summary import on_all_images
from freeconv.command_line import run_commands
from freeconv.errors import InputError
from freeconv.io import read_parquet, whole_file
from freeconv.plots.style import save
from freeconv.study import outputs


def add_figure(parser):
    parser.add_argument("--figure", required=True, help="name of the figure, e.g. vcp_curves")
    parser.add_argument("--dataset", required=True, help="data set it is drawn for")
    parser.add_argument(
        "--frame", type=Path, required=True, help="records that it is drawn from (.parquet)"
    )
    parser.add_argument(
        "--choices",
        type=json.loads,
        help='a study\'s choices (JSON): {"shown_levels": {"noise": 0.3}, "network_titles": {...}}',
    )
    _add_output(parser)


def figure(arguments):
    """Draw one figure of a study."""
    from freeconv.plots.figures import draw

    schema = SCHEMAS[outputs.figure(arguments.figure).frame]
    frame = read_parquet(arguments.frame, schema)
    drawn = draw(arguments.figure, frame, arguments.dataset, arguments.choices)
    _save(drawn, arguments.output)


def add_routes(parser):
    parser.add_argument(
        "--study",
        action="append",
        nargs=2,
        required=True,
        metavar=("NAME", "PATH"),
        help="a study and its degrees of sharing (.parquet); may be given several times",
    )
    parser.add_argument("--dataset", required=True, help="data set they have in common")
    _add_output(parser)


def routes(arguments):
    """Draw accuracy against how much is shared, by the ways of sharing of several studies."""
    from freeconv.plots.figures import draw_routes

    frames = [
        read_parquet(Path(path), SCHEMAS["sharing"]).assign(study=name)
        for name, path in arguments.study
    ]
    records = on_all_images(pd.concat(frames))
    records = records[records["dataset"] == arguments.dataset]
    if records.empty:
        raise InputError(f"--dataset: none of the studies has {arguments.dataset}")
    _save(draw_routes(records), arguments.output)


def add_filters(parser):
    parser.add_argument("--model-file", type=Path, required=True, help="trained model (.keras)")
    parser.add_argument("--layer", help="name of the layer (default: the first free convolution)")
    parser.add_argument(
        "--filters", type=int, nargs="+", help="filters, from 0 (default: the first three)"
    )
    parser.add_argument(
        "--channels", type=int, nargs="+", help="input channels, from 0 (default: the first three)"
    )
    parser.add_argument("--title", default="", help="title of the figure")
    _add_output(parser)


def filters(arguments):
    """Draw the filters of a free convolution of a trained model, and how similar they are."""
    if not arguments.model_file.exists():
        raise InputError(
            f"{arguments.model_file}: no such model; a study keeps models with keep_models: true "
            "alone, of the runs that are trained from then on"
        )
    if not zipfile.is_zipfile(arguments.model_file):
        raise InputError(f"{arguments.model_file}: no model that Keras saved; expected .keras")
    # Imported here so that --help and errors in the arguments do not wait for it.
    from freeconv.training.devices import use_device

    use_device("cpu", threads=1, backend="tensorflow")

    from keras.ops import convert_to_numpy

    from freeconv.plots.kernel_maps import draw_filters
    from freeconv.training.models import load_model, named_free_layer

    layer = named_free_layer(load_model(arguments.model_file), arguments.layer)
    mask = layer.connection_mask
    kernel, _ = layer.tile_weights()
    drawn = draw_filters(
        convert_to_numpy(kernel),
        layer.tile_grid,
        layer.kernel_size,
        arguments.filters,
        arguments.channels,
        present=None if mask is None else convert_to_numpy(mask),
        title=arguments.title,
    )
    _save(drawn, arguments.output)


def _add_output(parser):
    parser.add_argument(
        "--output", type=Path, nargs="+", required=True, help="files to write: .png, .svg"
    )


def _save(drawn, paths):
    for path in paths:
        with whole_file(path) as partial:
            save(drawn, partial)


if __name__ == "__main__":
    run_commands(
        __doc__,
        figure=(add_figure, figure),
        routes=(add_routes, routes),
        filters=(add_filters, filters),
    )
