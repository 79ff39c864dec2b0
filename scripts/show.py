"""Show one cell in the terminal: settings, best epoch, accuracies, curves; and as a picture."""

import shutil
import sys
from pathlib import Path

from freeconv.arguments import run_script
from freeconv.files import whole_file
from freeconv.inspection import curves_as_text, describe_cell, draw_cell, read_cell
from freeconv.style import save


def add_arguments(parser):
    parser.add_argument("history", type=Path, help="history of a cell or a trial (.parquet)")
    parser.add_argument("--picture", type=Path, help="file to draw the curves to: .png or .svg")


def main(arguments):
    history, run = read_cell(arguments.history)
    if arguments.picture:
        with whole_file(arguments.picture) as partial:
            save(draw_cell(history), partial)
    sys.stdout.reconfigure(errors="replace")  # a terminal that knows no dots gets question marks
    # The labels of the axis stand beside the curves.
    width = max(20, min(100, shutil.get_terminal_size().columns - 16))
    print(describe_cell(history, run))
    print(curves_as_text(history, width))


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
