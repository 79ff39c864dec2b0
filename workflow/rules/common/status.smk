# What is known of the jobs of cells: which are over, which are running, and what they took.
#
# A job of a cell is running while its process is: it holds a lock beside the file that it makes.

from freeconv.io import running_since
from freeconv.results.progress import (
    Job,
    describe_progress,
    format_duration,
    last_epoch,
    seconds_of_job,
    seconds_of_training,
    time_left,
    word_of_cell,
)
from freeconv.results.staleness import RUNNING

RESULTS = {"training": HISTORY, "evaluation": EVALUATION}
LOGS = {
    "training": f"logs/{{study}}/train/{CELL}.log",
    "evaluation": f"logs/{{study}}/evaluate/{CELL}.log",
}
BENCHMARKS = {
    "training": f"results/{{study}}/benchmarks/train/{CELL}.tsv",
    "evaluation": f"results/{{study}}/benchmarks/evaluate/{CELL}.tsv",
}


def running_jobs(cell):
    """Kind -> start of the jobs of a cell that are running."""
    starts = {kind: running_since(named_after(cell, f)) for kind, f in RESULTS.items()}
    return {kind: start for kind, start in starts.items() if start is not None}


def jobs_of_cell(cell, running):
    """The training and the evaluation of a cell: what they took, or that they are still to be run."""
    evaluated = state_of_cell_evaluation(cell).word == VALID
    # Without its model a cell cannot be evaluated, and is trained again.
    trained = state_of_cell(cell).word == VALID and (
        evaluated or Path(named_after(cell, MODEL)).exists()
    )
    history = named_after(cell, HISTORY)
    benchmarks = {kind: named_after(cell, file) for kind, file in BENCHMARKS.items()}
    seconds = {
        "training": trained and seconds_of_training(history, benchmarks["training"]),
        "evaluation": evaluated and seconds_of_job(benchmarks["evaluation"]),
    }
    elapsed = {kind: time.time() - start for kind, start in running.items()}
    return [
        Job(
            *(kind, cell.dataset, cell.model, is_over),
            seconds=seconds[kind] if is_over else None,
            elapsed=elapsed.get(kind, 0),
        )
        for kind, is_over in {"training": trained, "evaluation": evaluated}.items()
    ]


def state_of_running(cell, kind, start):
    """The state of what a running job of a cell makes: how far it is, by its log."""
    now = time.time()
    reasons = [f"since {format_duration(now - start)}"]
    log = Path(named_after(cell, LOGS[kind]))
    if log.exists():
        epoch = last_epoch(log.read_text(errors="replace"))
        silent = format_duration(max(0, now - log.stat().st_mtime))
        reasons += [f"epoch {epoch}"] if epoch else []
        reasons.append(f"log {silent} old")
    return State(RUNNING, tuple(reasons))


def progress():
    """The text of the status."""
    shown, words, jobs = dict(states()), [], []
    for cell in STUDY.cells():
        running = running_jobs(cell)
        for kind, start in running.items():
            file = named_after(cell, RESULTS[kind])
            shown[file] = state_of_running(cell, kind, start)
        trained, evaluated = state_of_cell(cell), state_of_cell_evaluation(cell)
        words.append(word_of_cell(trained, evaluated, bool(running)))
        jobs += jobs_of_cell(cell, running)
    count = int(os.getenv("FREECONV_JOBS"))
    cells = describe_progress(words, time_left(jobs, count), count)
    return f"{cells}Results: {describe_states(shown)}"
