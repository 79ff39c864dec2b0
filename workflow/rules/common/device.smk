# Where jobs compute: what they ask for, and what is said of it before the first of them.

from freeconv.training.devices import describe_jobs, plan_device
from freeconv.training.gpu_locks import list_cards
from snakemake.logging import logger


def submits_jobs():
    """Whether jobs run on other machines, those of a cluster, by Snakemake's option --jobs."""
    return workflow.resource_settings.nodes is not None


@cache
def asks_for_gpus():
    """Whether jobs on networks ask for GPUs: for the one that is here, or that others may have.

    Where there is none, jobs that asked for it would only wait for one another.
    """
    decided = None if workflow.is_main_process else os.getenv("FREECONV_GPUS")
    if decided:  # where the run began
        return decided == "1"
    if STUDY.device == "auto" and not submits_jobs():
        return bool(list_cards())
    return STUDY.device != "cpu"


def gpus_of_a_job(wildcards, attempt):
    """How much of the resource `gpu` a job asks for, so that --resources gpu=N bounds them."""
    return shares_of_a_job(attempt) if asks_for_gpus() else 0


def gpu_share_of_a_job(wildcards, attempt):
    """How many shares of a card a job takes, and how many there are."""
    return f"{shares_of_a_job(attempt)}/{STUDY.gpu_shares}"


def shares_of_a_job(attempt):
    """One share; the whole card for a job that failed, maybe for lack of the card's memory."""
    return 1 if attempt == 1 else STUDY.gpu_shares


def training_environment():
    """The conda environment that networks are trained in."""
    return f"../../envs/train{'-gpu' if asks_for_gpus() else ''}.yaml"


def threads_of_a_job():
    """Threads of a training: one, unless the command line says otherwise."""
    return int(workflow.resource_settings.overwrite_threads.get("train_run", 1))


def jobs_at_a_time():
    """How many jobs the command line and this machine let run at once: --cores, --jobs, --resources."""
    asked = {
        "_cores": threads_of_a_job(),
        "_nodes": 1,
        "gpu": gpus_of_a_job(None, attempt=1),
        "mem_mb": memory_of_the_largest(),
    }
    limits = {name: workflow.global_resources.get(name) for name in asked}
    return min(
        (
            max(1, limits[name].value // each)
            for name, each in asked.items()
            if each and limits[name] is not None and limits[name].value
        ),
        default=1,
    )


@cache
def announce_device():
    """Says once where jobs will compute; or stops before the first, where they could not.

    What conda environments hold, and other machines have, only their jobs can tell.
    """
    elsewhere = "on the machines that jobs are submitted to" if submits_jobs() else ""
    isolated = "conda" in map(str, workflow.deployment_settings.deployment_method)
    try:
        device = plan_device(
            STUDY.device, STUDY.backend, elsewhere, probes=not isolated
        )
    except InputError as error:
        raise WorkflowError(str(error)) from None
    threads = 0 if asks_for_gpus() else threads_of_a_job()
    logger.info(f"device: {describe_jobs(device, jobs_at_a_time(), threads)}")


# More jobs than shares of the cards here would be started only to wait for one.
if workflow.is_main_process and asks_for_gpus() and not submits_jobs():
    workflow.global_resources.setdefault("gpu", len(list_cards()) * STUDY.gpu_shares)

# Large images: fewer jobs at a time, where memory has no room for one a core.
if workflow.is_main_process and not submits_jobs():
    workflow.global_resources.setdefault("mem_mb", memory_of_machine())

# The job of a `run` block, and one on a node of a cluster, is a Snakemake of its own, which is not
# told all of the command line.
if workflow.is_main_process:
    os.environ.update(
        FREECONV_JOBS=str(jobs_at_a_time()), FREECONV_GPUS=str(int(asks_for_gpus()))
    )
