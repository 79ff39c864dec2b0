"""Studies as they are configured: check one, or list all keys."""

import logging
from pathlib import Path

from freeconv.command_line import run_commands
from freeconv.io import put_between
from freeconv.study.config import read_study, read_yaml
from freeconv.study.config_table import MARKS, key_table
from freeconv.study.extensions import check_registered
from freeconv.training.devices import use_device

ROOT = Path(__file__).parents[1]
SCHEMA = "workflow/schemas/config.schema.yaml"


def add_check(parser):
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
        "--schema", type=Path, default=ROOT / SCHEMA, help=f"JSON schema (default: {SCHEMA})"
    )


def check(arguments):
    """Check a study before Snakemake reads it: what is wrong with it, and where in the file."""
    study = read_study([arguments.sources, *arguments.study], arguments.schema)
    if study.extension:
        # Run by the backend that its jobs have; they are told of its path alone.
        use_device("cpu", threads=1, backend=study.backend)
        check_registered(study.extension)
    files = ", ".join(map(str, arguments.study))
    logging.info("%s: study %s, %d runs", files, study.name, len(study.runs()))


def add_table(parser):
    parser.add_argument("schema", type=Path, help="JSON schema (.yaml)")
    parser.add_argument("document", type=Path, help="document with the marks of the table (.md)")


def table(arguments):
    """Write the table of all keys into a document, from the schema of the configuration."""
    put_between(arguments.document, *MARKS, key_table(read_yaml(arguments.schema)))


if __name__ == "__main__":
    run_commands(__doc__, check=(add_check, check), table=(add_table, table))
