"""The workflow around the training: dry run, a run with nothing to do, tables and figures, memory.

Nothing is trained for this but one epoch of the largest cells. Snakemake's bookkeeping is measured
on made-up cells, tables and figures on the records of a finished study, or on made-up ones.
"""

import csv
import io
import logging
import shlex
import shutil
import tempfile
from dataclasses import replace

import numpy as np

from benchmarks import processes, synthetic
from benchmarks.fixed_costs import (
    EVALUATION,
    TRAINING,
    memory_rows,
    read_study,
    strength_arguments,
)
from benchmarks.harness import measurement, missing
from benchmarks.stacks import FILES
from freeconv.command_line import format_arguments
from freeconv.data.formats import pack
from freeconv.io import write_parquet
from freeconv.results.best_epoch import best_epoch
from freeconv.results.components import evaluation_code, training_code
from freeconv.results.schemas import EVALUATION_SCHEMA, HISTORY_SCHEMA
from freeconv.results.staleness import training_identity
from freeconv.study.settings import format_value

log = logging.getLogger(__name__)

PAPER = processes.ROOT / "config/config.yaml"
DRY_RUN = "dry run"
NO_OP = "run with nothing to do"
RECORDS = "joined records of all cells"
DRAWING = "all tables and figures"

# A cell's folder, as in workflow/rules/common.smk.
CELL = "{dataset}/{model}/{augmentation}-{level}/vcp-{vcp}/fold-{fold}"

# What a study keeps, from which all else is made without training.
KEPT = ("cells", "networks", "examples")

IMAGES = 200
"""Images of a made-up data set."""

# Snakemake waits a tenth of a second after each job that it touches; the study has 2,000.
TOUCH = """
from snakemake.cli import main
from snakemake.executors import touch
touch.Executor.SLEEPING_TIME = 0.005
main()
"""


def measure(options):
    """Seconds of runs of the workflow, and the peak memory of each script."""
    rows = _bookkeeping(options)
    if options.quick:
        reason = "left out of a quick run"
        return [*rows, missing("grid", drawing_case(options), DRAWING, "time", "s", reason)]
    return rows + _drawing(options) + _memory_of_cells(options)


def bookkeeping_case():
    """Name of the study that Snakemake looks through."""
    return f"the paper's study, {len(read_study(PAPER).cells())} cells"


def drawing_case(options):
    """Name of the study whose tables and figures are drawn."""
    study = read_study(options.study)
    records = "cached" if is_cached(study.name) else "made up"
    return f"{study.name}, {len(study.cells())} cells, {records}"


def is_cached(name):
    """Whether the cells of a study are in its folder."""
    return (processes.ROOT / "results" / name / "cells").exists()


def _bookkeeping(options):
    """What Snakemake takes to find out what there is to do."""
    case, rounds = bookkeeping_case(), options.choose(5, 1)
    run = ("--configfile", PAPER, "--cores", options.threads)
    with tempfile.TemporaryDirectory() as folder:
        runner = processes.Runner(folder, options.log)
        log.info("grid: %s", DRY_RUN)
        dry = [runner.snakemake(*run, "--dry-run", "--quiet", "all").seconds for _ in range(rounds)]
        log.info("grid: %s", NO_OP)
        _pretend_finished(runner)
        runner.peak_memory()
        done = [_run_with_nothing_to_do(runner, run) for _ in range(rounds)]
        memory = runner.peak_memory()
    return [
        measurement("grid", case, DRY_RUN, "time", dry, "s"),
        measurement("grid", case, NO_OP, "time", done, "s"),
        *memory_rows("grid", case, memory, ["snakemake"]),
    ]


def _pretend_finished(runner):
    """Give Snakemake made-up cells of the paper's study, and a file for every other output."""
    _make_up_cells(runner.folder, read_study(PAPER))
    summary = runner.snakemake("--configfile", PAPER, "--summary").output
    for row in csv.DictReader(io.StringIO(summary), delimiter="\t"):
        path = runner.folder / row["output_file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    arguments = ("--snakefile", processes.ROOT / "Snakefile", "--directory", runner.folder)
    arguments += ("--configfile", PAPER, "--quiet", "all")
    # As many cores as cells, or Snakemake would solve a scheduling problem for every few jobs.
    runner.python("-c", TOUCH, *arguments, "--touch", "--forceall", "--cores", 10_000)


def _run_with_nothing_to_do(runner, run):
    finished = runner.snakemake(*run)
    if "Nothing to be done" not in finished.errors:
        raise RuntimeError("grid: Snakemake finds something to do in a finished study")
    return finished.seconds


def _drawing(options):
    """All tables and figures of a study on all cores, and the memory of every script of it."""
    case, name = drawing_case(options), read_study(options.study).name
    log.info("grid: tables and figures of %s", case)
    run = ("--configfile", options.study, "--cores", options.threads, "--quiet", "all")
    rows, seconds = [], []
    with tempfile.TemporaryDirectory() as folder:
        runner = processes.Runner(folder, options.log)
        results = runner.folder / "results" / name
        if is_cached(name):
            for kept in KEPT:
                shutil.copytree(processes.ROOT / "results" / name / kept, results / kept)
        else:
            _make_up_data(runner.folder, read_study(options.study))
            _make_up_cells(runner.folder, read_study(options.study))
        records = [f"results/{name}/summary.parquet"]
        for dataset in read_study(options.study).datasets:
            records += [f"results/{name}/{kind}/{dataset}.parquet" for kind in KEPT[1:]]
        made = runner.snakemake(*records, *run)
        rows.append(measurement("grid", case, RECORDS, "time", [made.seconds], "s"))
        for _ in range(2):
            for kind in ("tables", "figures"):
                shutil.rmtree(results / kind, ignore_errors=True)
            seconds.append(runner.snakemake("tables", "figures", *run).seconds)
        files = [path for kind in ("tables", "figures") for path in (results / kind).rglob("*.*")]
        memory = runner.peak_memory()
    note = f"{len(files)} files, {options.threads} cores"
    rows.append(measurement("grid", case, DRAWING, "time", seconds, "s", note))
    return rows + memory_rows("grid", case, memory, sorted(memory))


def _make_up_data(folder, study):
    """Write the data sets of a study."""
    for dataset, training in study.datasets.items():
        (folder / "data").mkdir(exist_ok=True)
        np.save(folder / f"data/{dataset}.npy", pack(*synthetic.images(training.network, IMAGES)))


def _make_up_cells(folder, study):
    """Write history and evaluation of each cell of a study, valid ones."""
    request = vars(study.evaluation_settings())
    for cell in study.cells():
        identity = {key: format_value(value) for key, value in vars(cell).items()}
        place = folder / "results" / study.name / "cells" / CELL.format(**identity)
        settings = study.settings_of(cell)
        run = {"settings": vars(settings), "versions": {}, "data": "", "device": "", "machine": ""}
        trained = {**run, "code": training_code(settings)}
        history = synthetic.history(settings)
        write_parquet(history, place / "history.parquet", HISTORY_SCHEMA, trained)
        evaluated = {
            **run,
            "code": evaluation_code(settings),
            "training": training_identity(trained),
            "evaluation": request,
        }
        rows = synthetic.evaluation(settings, best_epoch(history), study.evaluation)
        write_parquet(rows, place / "evaluation.parquet", EVALUATION_SCHEMA, evaluated)


def _memory_of_cells(options):
    """Peak memory of training (one epoch) and evaluating the largest cell of each data set."""
    study = read_study(PAPER)
    rows = []
    for dataset in study.datasets:
        cell = next(c for c in study.cells() if (c.dataset, c.model) == (dataset, "fcn"))
        settings = replace(study.settings_of(cell), augmentation="translation", level=0.3, epochs=1)
        log.info("grid: memory of a cell of %s", dataset)
        with tempfile.TemporaryDirectory() as folder:
            runner = processes.Runner(folder, options.log)
            count = FILES[settings.network]
            np.save(runner.folder / "data.npy", pack(*synthetic.images(settings.network, count)))
            _train_and_evaluate(runner, settings, study, options.threads)
            memory = runner.peak_memory()
        case = f"{dataset} fcn, {count:,} images"
        rows += memory_rows("grid", case, memory, [TRAINING, EVALUATION])
    return rows


def _train_and_evaluate(runner, settings, study, threads):
    common = ["--data", "data.npy", "--folds", "folds.parquet", "--device", "cpu"]
    common += ["--history", "history.parquet", "--model-file", "model.keras", "--threads", threads]
    folds = ["--count", settings.fold_count, "--method", settings.fold_method]
    folds += ["--seed", settings.fold_seed, "--source", settings.source]
    runner.script("folds.py", *folds, "--data", "data.npy", "--output", "folds.parquet")
    runner.script(TRAINING, *shlex.split(format_arguments(settings)), *common)
    sweep = [*strength_arguments(study), "--seed", study.seed, "--output", "evaluation.parquet"]
    runner.script(EVALUATION, *common, *sweep)
