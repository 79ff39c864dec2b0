"""Write the table of a study's keys into a document, from the schema of the configuration."""

from pathlib import Path

from freeconv.arguments import run_script
from freeconv.config import read_yaml
from freeconv.config_table import MARKS, key_table
from freeconv.files import put_between


def add_arguments(parser):
    parser.add_argument("schema", type=Path, help="JSON schema (.yaml)")
    parser.add_argument("document", type=Path, help="document with the marks of the table (.md)")


def main(arguments):
    put_between(arguments.document, *MARKS, key_table(read_yaml(arguments.schema)))


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
