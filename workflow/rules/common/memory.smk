# How much memory jobs on networks ask for, and what this machine has.

from freeconv.data.formats import open_dataset
from freeconv.study.memory import USUAL_IMAGES, memory_of_machine, memory_of_run


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


@cache
def memory_of_the_largest():
    """Megabytes of the run that asks for most."""
    runs = {(run.dataset, run.model): run for run in STUDY.runs()}
    return max(
        (
            memory_of_a_job(STUDY.settings_of(run), run.dataset, 1)
            for run in runs.values()
        ),
        default=0,
    )
