"""Download one file of a data set, from the first source that has its right content."""

import logging
from pathlib import Path

from freeconv.arguments import run_script
from freeconv.download import CONTENTS, fetch


def add_arguments(parser):
    parser.add_argument("--name", required=True, help="within a mirror: <data set>/<file>")
    parser.add_argument("--url", action="append", default=[], help="may be given several times")
    parser.add_argument("--sha256", required=True, help="digest of the content")
    parser.add_argument("--content", choices=CONTENTS, default="raw", help="what the digest is of")
    parser.add_argument("--mirror", help="folder or URL that is tried first")
    parser.add_argument("--output", type=Path, required=True, help="file to write")


def main(arguments):
    fetch(
        arguments.name,
        arguments.url,
        arguments.sha256,
        arguments.output,
        mirror=arguments.mirror,
        content=arguments.content,
    )
    logging.info("%s: content as expected", arguments.output)


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
