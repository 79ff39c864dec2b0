# What is known of the jobs of runs: which are over, which are running, and what they took.
#
# A job is running while its process holds a lock beside the file that it makes.

from freeconv.io import running_since
from freeconv.results.progress import (
    Job,
    describe_progress,
    format_duration,
    last_epoch,
    seconds_of_job,
    seconds_of_training,
    time_left,
    word_of_run,
)
from freeconv.results.staleness import LISTED, MISSING, RUNNING

RESULTS = {"training": HISTORY, "evaluation": EVALUATION}
LOGS = {
    "training": f"logs/{{study}}/train/{RUN}.log",
    "evaluation": f"logs/{{study}}/evaluate/{RUN}.log",
}
BENCHMARKS = {
    "training": f"results/{{study}}/benchmarks/train/{RUN}.tsv",
    "evaluation": f"results/{{study}}/benchmarks/evaluate/{RUN}.tsv",
}


def running_jobs(run):
    """Kind -> start, of the running jobs of a run."""
    starts = {kind: running_since(named_after(run, f)) for kind, f in RESULTS.items()}
    return {kind: start for kind, start in starts.items() if start is not None}


def jobs_of_run(run, running):
    """The training and the evaluation of a run: what they took, or that they are still to be run."""
    evaluated = state_of_run_evaluation(run).word == VALID
    # Without what a training leaves a run cannot be evaluated, and is trained again.
    trained = state_of_run(run).word == VALID and (
        evaluated or Path(named_after(run, TRAINED)).exists()
    )
    history = named_after(run, HISTORY)
    benchmarks = {kind: named_after(run, file) for kind, file in BENCHMARKS.items()}
    seconds = {
        "training": trained and seconds_of_training(history, benchmarks["training"]),
        "evaluation": evaluated and seconds_of_job(benchmarks["evaluation"]),
    }
    elapsed = {kind: time.time() - start for kind, start in running.items()}
    return [
        Job(
            *(kind, run.dataset, run.model, is_over),
            seconds=seconds[kind] if is_over else None,
            elapsed=elapsed.get(kind, 0),
        )
        for kind, is_over in {"training": trained, "evaluation": evaluated}.items()
    ]


def state_of_running(run, kind, start):
    """The state of what a running job of a run makes: how far it is, by its log."""
    now = time.time()
    reasons = [f"since {format_duration(now - start)}"]
    log = Path(named_after(run, LOGS[kind]))
    if log.exists():
        epoch = last_epoch(log.read_text(errors="replace"))
        silent = format_duration(max(0, now - log.stat().st_mtime))
        reasons += [f"epoch {epoch}"] if epoch else []
        reasons.append(f"log {silent} old")
    return State(RUNNING, tuple(reasons))


def progress():
    """The text of the status."""
    shown, words, jobs = dict(states()), [], []
    for run in STUDY.runs():
        running = running_jobs(run)
        for kind, start in running.items():
            file = named_after(run, RESULTS[kind])
            shown[file] = state_of_running(run, kind, start)
        trained, evaluated = state_of_run(run), state_of_run_evaluation(run)
        word = word_of_run(trained, evaluated, bool(running))
        words.append((run.dataset, run.model, word))
        jobs += jobs_of_run(run, running)
    count = int(os.getenv("FREECONV_JOBS"))
    runs = describe_progress(words, time_left(jobs, count), count)
    # Of a large grid the missing files are thousands.
    asked = os.getenv("FREECONV_LIST_MISSING")
    listed = LISTED if asked else [word for word in LISTED if word != MISSING]
    return f"{runs}Results: {describe_states(shown, listed)}"
