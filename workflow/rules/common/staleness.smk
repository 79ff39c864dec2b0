# Which results of runs and trials are valid, and what Snakemake is told of the others.
#
# A result's own file says what it was computed from: neither times of files nor Snakemake's notes of
# earlier runs decide. Stale ones have one more input, newer than they are: the list of what is stale.

import time
from pathlib import Path

from snakemake.settings.types import RerunTrigger

from freeconv.io import read_header
from freeconv.data.folds import FOLDS_SCHEMA
from freeconv.results.staleness import (
    State,
    VALID,
    describe_states,
    state_of_evaluation,
    state_of_training,
)


@cache
def recorded_folds(dataset):
    """What the folds of a data set say of themselves; nothing where they are not at hand."""
    folds = FOLDS.format(study=STUDY.name, dataset=dataset)
    try:
        return read_header(folds, FOLDS_SCHEMA)
    except (FileNotFoundError, InputError):
        return {}


@cache
def fold_digests(dataset):
    """Digests of the images of each fold; none where these folds are not at hand."""
    header = recorded_folds(dataset)
    made = {name: header.get(name) for name in ("count", "method", "seed", "source")}
    if made != STUDY.folds_of(dataset):
        return {}
    local = local_content(dataset)
    if local and header.get("local") != local:
        # Not prepared yet: all that is known is that no result is of these images.
        return dict.fromkeys(map(str, range(STUDY.folds.count)), local)
    return header["data"]


@cache
def state_of_run(run):
    """The state of a run's history."""
    data = fold_digests(run.dataset).get(str(run.fold))
    settings = STUDY.settings_of(run)
    extension = STUDY.extension_of_training(settings)
    return state_of_training(named_after(run, HISTORY), settings, data, extension)


@cache
def state_of_run_evaluation(run):
    """The state of the evaluation of a run's model."""
    trained = state_of_run(run)
    if trained.word != VALID:
        return State(trained.word)
    return state_of_evaluation_file(run, named_after(run, EVALUATION))


def state_of_evaluation_file(run, file):
    """The state of an evaluation of a run whose history is valid."""
    request, settings = STUDY.evaluation_settings(), STUDY.settings_of(run)
    extension = STUDY.extension_of_evaluation(settings)
    history = named_after(run, HISTORY)
    return state_of_evaluation(file, history, settings, request, extension)


@cache
def state_of_trial(trial):
    """The state of a trial's history."""
    settings = STUDY.settings_of_trial(trial)
    data = fold_digests(trial.dataset).get(str(trial.fold))
    extension = STUDY.extension_of_training(settings)
    return state_of_training(
        named_after(trial, TRIAL_HISTORY), settings, data, extension
    )


@cache
def states():
    """File -> state of everything that runs and trials of the study leave."""
    trials = STUDY.trials() if STUDY.search else []
    return {
        **{named_after(c, HISTORY): state_of_run(c) for c in STUDY.runs()},
        **{
            named_after(c, EVALUATION): state_of_run_evaluation(c) for c in STUDY.runs()
        },
        **{named_after(t, TRIAL_HISTORY): state_of_trial(t) for t in trials},
    }


@cache
def stale_list():
    """The list of all that is stale, a file that is newer than any of it."""
    stale = [Path(file) for file, state in states().items() if state.reasons]
    newest = max(file.stat().st_mtime_ns for file in stale)
    listed = Path(f".snakemake/freeconv/stale-{STUDY.name}.txt")
    listed.parent.mkdir(parents=True, exist_ok=True)
    # No two lists are the same, as Snakemake passes over a new file of the same content.
    listed.write_text(f"{describe_states(states())}{time.time_ns()}\n")
    later = max(time.time_ns(), newest + 10**9)
    os.utime(listed, ns=(later, later))
    return str(listed)


@cache
def command_line():
    """What Snakemake is asked for, without what must not decide over results.

    Neither the text of a rule nor a package of its environment changes their numbers, nor that
    Snakemake is told of a stale one by an input that it has not had before. And as files have their
    names only once they are whole, those that Snakemake, killed itself, could not note as finished
    are made again without being asked.
    """
    asked = workflow.dag_settings
    asked.rerun_triggers = asked.rerun_triggers & {
        RerunTrigger.MTIME,
        RerunTrigger.PARAMS,
    }
    asked.force_incomplete = True
    return asked


def is_forced():
    """Whether the command line asks for more than is necessary."""
    asked = command_line()
    return bool(asked.forceall or asked.forcetargets or asked.forcerun)


def inputs_by_state(state, wildcards):
    """Images and folds; and if the output is stale, what makes Snakemake run the job.

    To a valid output their age means nothing, and it goes without what is not at hand (in a clone):
    to make that for some new run would be to train the old ones, too.
    """
    inputs = {
        "data": f"data/{wildcards.dataset}.npy",
        "folds": FOLDS.format(study=wildcards.study, dataset=wildcards.dataset),
    }
    forced = is_forced()
    if state.word == VALID and not forced:
        return {name: ancient(f) for name, f in inputs.items() if Path(f).exists()}
    # The job itself, on a node of a cluster, needs no reason any more.
    if workflow.is_main_process:
        announce_device()
        if state.reasons:
            inputs["stale"] = stale_list()
    return inputs


def state_of_training_job(run):
    """The state of what a training leaves: an evaluation that waits is of today's settings."""
    state = state_of_run(run)
    waiting = named_after(run, EVALUATED)
    if state.word != VALID or STUDY.keep_models or not Path(waiting).exists():
        return state
    return state_of_evaluation_file(run, waiting)


def training_inputs(wildcards):
    """What a run is trained on; before it, networks of an extension are built once.

    Only then is it known whether they take these images.
    """
    state = state_of_training_job(run_of(wildcards))
    inputs = inputs_by_state(state, wildcards)
    if state.word != VALID and STUDY.extension_for(
        STUDY.datasets[wildcards.dataset].network
    ):
        networks = "results/{study}/networks/{dataset}.parquet"
        inputs["networks"] = networks.format(**wildcards)
    return inputs


def trial_inputs(wildcards):
    """What a trial is trained on."""
    return inputs_by_state(state_of_trial(trial_of(wildcards)), wildcards)


def evaluation_inputs(wildcards):
    """What an evaluation is made of; a valid one needs nothing that may be gone."""
    state = state_of_run_evaluation(run_of(wildcards))
    # Written with what the training leaves, which alone decides.
    inputs = {"history": ancient(HISTORY.format(**wildcards))}
    if state.word != VALID or is_forced():
        inputs["trained"] = TRAINED.format(**wildcards)
    return inputs | inputs_by_state(state, wildcards)
