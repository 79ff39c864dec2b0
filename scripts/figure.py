"""Draw one figure of a study as PNG and SVG."""

from pathlib import Path

from freeconv import catalogue
from freeconv.arguments import run_script
from freeconv.figures import draw, save
from freeconv.files import read_parquet, whole_file
from freeconv.history import (
    COMPARISON_SCHEMA,
    EVALUATION_SCHEMA,
    EXAMPLES_SCHEMA,
    HISTORY_SCHEMA,
    NETWORKS_SCHEMA,
    SHARING_SCHEMA,
    SUMMARY_SCHEMA,
)

SCHEMAS = {
    "history": HISTORY_SCHEMA,
    "evaluation": EVALUATION_SCHEMA,
    "summary": SUMMARY_SCHEMA,
    "comparison": COMPARISON_SCHEMA,
    "examples": EXAMPLES_SCHEMA,
    "networks": NETWORKS_SCHEMA,
    "sharing": SHARING_SCHEMA,
}


def add_arguments(parser):
    parser.add_argument("--figure", required=True, help="name of the figure, e.g. vcp_curves")
    parser.add_argument("--dataset", required=True, help="data set it is drawn for")
    parser.add_argument(
        "--frame",
        type=Path,
        required=True,
        help="the records that the figure is drawn from",
    )
    parser.add_argument(
        "--output", type=Path, nargs="+", required=True, help="files to write: .png, .svg"
    )


def main(arguments):
    schema = SCHEMAS[catalogue.figure(arguments.figure).frame]
    figure = draw(arguments.figure, read_parquet(arguments.frame, schema), arguments.dataset)
    for path in arguments.output:
        with whole_file(path) as partial:
            save(figure, partial)


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
