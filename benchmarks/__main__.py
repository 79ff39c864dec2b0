"""Measure, and write tables: `python -m benchmarks --help`."""

import argparse
import logging
import os
import sys
from pathlib import Path

from benchmarks import costs, epochs, layers, machine, report
from benchmarks.harness import Options
from freeconv.errors import InputError

SUBJECTS = {"layers": layers, "epochs": epochs, "costs": costs}

log = logging.getLogger(__name__)


def main():
    """Run the subjects asked for."""
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        folder = arguments.output or _folder(arguments)
        _measure(_subjects(arguments.only), folder, arguments)
        text = report.render(folder)
        print(text)
        if arguments.docs:
            report.insert(text, arguments.docs)
        log.info("written to %s", folder)
    except (InputError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")


def _parser():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions, few minutes")
    parser.add_argument("--only", help=f"subjects, with commas: {', '.join(SUBJECTS)}")
    parser.add_argument(
        "--threads", type=int, default=machine.available_cores(), help="of everyone (default: all)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of the result (default: results/benchmarks, and results/benchmarks-trial "
        "for quick or partial runs)",
    )
    parser.add_argument("--docs", type=Path, help="document that takes the tables, between marks")
    return parser


def _subjects(only):
    names = only.split(",") if only else list(SUBJECTS)
    for name in names:
        if name not in SUBJECTS:
            raise InputError(f"--only: no subject {name!r}; expected of {', '.join(SUBJECTS)}")
    return names


def _folder(arguments):
    whole = not (arguments.quick or arguments.only)
    return machine.ROOT / "results" / ("benchmarks" if whole else "benchmarks-trial")


def _measure(subjects, folder, arguments):
    if not 1 <= arguments.threads <= machine.available_cores():
        raise InputError(
            f"--threads: {arguments.threads} is not allowed; "
            f"expected 1 to {machine.available_cores()}, the processors there are"
        )
    # A benchmark of the processor, and of messages nobody reads.
    os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3")
    logs = machine.ROOT / "logs"
    logs.mkdir(exist_ok=True)
    options = Options(arguments.threads, arguments.quick, logs / "benchmarks.log")
    options.log.write_text("")
    measurements, aims, about = [], [], machine.describe(options)
    for subject in subjects:
        log.info("%s", subject)
        measurements += SUBJECTS[subject].measure(options)
        aims += SUBJECTS[subject].aims(options)
        # After every subject: what is measured is not lost if a later one fails.
        report.write_records(folder, measurements, report.compare(aims, measurements), about)


if __name__ == "__main__":
    main()
