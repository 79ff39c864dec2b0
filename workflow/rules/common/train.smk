# What trainings and evaluations are given: settings as arguments, memory, checkpoints.
#
# Settings of runs and trials take the inputs as argument so that Snakemake does not compare them
# with what it noted itself of an earlier run: `staleness.smk` compares them with the results' own words.

from freeconv.data.formats import open_dataset
from freeconv.study.memory import USUAL_IMAGES, memory_of_run

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


def memory_of_a_job(settings, dataset, attempt):
    """Megabytes that a job on a network asks for: more at every attempt (--retries).

    Images that are not prepared yet are taken to be as many and as large as the network's own.
    """
    shape, images = size_of_images(dataset) or USUAL_IMAGES.get(
        settings.network, ((), 0)
    )
    device = "gpu" if asks_for_gpus() else "cpu"
    return attempt * memory_of_run(settings, shape, images, device)


@cache
def size_of_images(dataset):
    """Shape and number of the images of a data set; None where they are not prepared."""
    try:
        records = open_dataset(f"data/{dataset}.npy")
    except (FileNotFoundError, InputError):
        return None
    return records.dtype["image"].shape, len(records)


def memory_of_a_training(wildcards, attempt):
    """Megabytes of a run; those of a data set and model are the same."""
    settings = STUDY.settings_of(run_of(wildcards))
    return memory_of_a_job(settings, wildcards.dataset, attempt)


def memory_of_a_trial(wildcards, attempt):
    """Megabytes of a trial."""
    settings = STUDY.settings_of_trial(trial_of(wildcards))
    return memory_of_a_job(settings, wildcards.dataset, attempt)


def checkpoint_of_a_job(wildcards, output):
    """What a training resumes from after an interruption, beside its history.

    It is no output: those of a job that failed are deleted.
    """
    return os.path.join(os.path.dirname(output[0]), "checkpoint.npz")
