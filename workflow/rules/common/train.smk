# What trainings and evaluations are given: settings as arguments, checkpoints.
#
# Settings of runs and trials take the inputs as argument so that Snakemake does not compare them
# with what it noted itself of an earlier run: `staleness.smk` compares them with the results' own words.

# What a training leaves for the evaluation beside its history: the model, where the study keeps
# models; else the evaluation itself, made in the same process, as to start another one and load
# TensorFlow there takes as long as a small training. The evaluation is then but given its name.
TRAINED = MODEL if STUDY.keep_models else EVALUATED


def run_settings(wildcards, input):
    """The settings of a run as an argument of the training script."""
    return training_settings(STUDY.settings_of(run_of(wildcards)))


def trial_settings(wildcards, input):
    """The settings of a trial as arguments of the training script."""
    return training_settings(STUDY.settings_of_trial(trial_of(wildcards)))


def training_settings(settings):
    """Settings as an argument, with the extension that the training needs."""
    extension = extension_argument(STUDY.extension_of_training(settings))
    return f"--settings {shlex.quote(as_json(settings))} {extension}"


def evaluation_settings(wildcards, input, prefix="--"):
    """What models are evaluated on, as an argument, with the extension that it needs."""
    settings = STUDY.settings_of(run_of(wildcards))
    extension = extension_argument(STUDY.extension_of_evaluation(settings), prefix)
    request = as_json(STUDY.evaluation_settings())
    return f"{prefix}settings {shlex.quote(request)} {extension}"


def what_training_leaves(wildcards, input):
    """The argument of the training script that goes before `TRAINED`, and those with it."""
    if STUDY.keep_models:
        return "--model-file"
    settings = evaluation_settings(wildcards, input, prefix="--evaluation-")
    return f"{settings} --evaluation"


def by_attempt(resource):
    """A resource of a job; what no attempt changes as a value.

    Snakemake takes long to call a function for each of a thousand jobs.
    """
    first, again = (resource(None, attempt) for attempt in (1, 2))
    return first if first == again else resource


def checkpoint_of_a_job(wildcards, output):
    """What a training resumes from after an interruption, beside its history.

    It is no output: those of a job that failed are deleted.
    """
    return os.path.join(os.path.dirname(output[0]), "checkpoint.npz")
