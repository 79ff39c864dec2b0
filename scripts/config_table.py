"""Write the table of a study's keys into a document, from the schema of the configuration."""

from pathlib import Path

from freeconv.arguments import run_script
from freeconv.config import read_yaml
from freeconv.config_table import insert_table
from freeconv.files import whole_file


def add_arguments(parser):
    parser.add_argument("schema", type=Path, help="JSON schema (.yaml)")
    parser.add_argument("document", type=Path, help="document with the marks of the table (.md)")


def main(arguments):
    text = arguments.document.read_text(encoding="utf-8")
    text = insert_table(text, read_yaml(arguments.schema))
    with whole_file(arguments.document) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
