"""Check a study before Snakemake reads it: what is wrong with it, and where in the file."""

import logging
from pathlib import Path

from freeconv.arguments import run_script
from freeconv.config import read_study

ROOT = Path(__file__).parents[1]


def add_arguments(parser):
    parser.add_argument(
        "study", type=Path, nargs="+", help="the study: YAML files, later ones before earlier ones"
    )
    parser.add_argument(
        "--sources",
        type=Path,
        default=ROOT / "config/datasets.yaml",
        help="what is read before every study (default: config/datasets.yaml)",
    )
    parser.add_argument(
        "--schema",
        type=Path,
        default=ROOT / "workflow/schemas/config.schema.yaml",
        help="JSON schema (default: workflow/schemas/config.schema.yaml)",
    )


def main(arguments):
    study = read_study([arguments.sources, *arguments.study], arguments.schema)
    files = ", ".join(map(str, arguments.study))
    logging.info("%s: study %s, %d cells", files, study.name, len(study.cells()))


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
