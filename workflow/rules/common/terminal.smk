# What a run of the workflow says in the terminal: a line a finished training, and what went wrong.
#
# Snakemake itself writes some thirty lines a job. They stay in its log file (.snakemake/log), and its options
# --verbose and --printshellcmds bring them back. Dry runs are as ever, and so are other loggers.

import logging

from freeconv.results.narration import Narration, of_interest
from snakemake.logging import ColorizingTextHandler, logger
from snakemake_interface_logger_plugins.common import LogEvent

# rule -> what its wildcards name, and how that is called
TRAININGS = {
    "train_run": (run_of, labels.run_title),
    "train_trial": (trial_of, labels.trial_title),
}


class Terminal(logging.Filter):
    """Lets pass what a user needs, and adds a line of our own for a training that ends."""

    HIDDEN = {
        LogEvent.JOB_INFO,
        LogEvent.GROUP_INFO,
        LogEvent.JOB_STARTED,
        LogEvent.JOB_FINISHED,
        LogEvent.PROGRESS,
        LogEvent.RESOURCES_INFO,
        LogEvent.RUN_INFO,
        LogEvent.SHELLCMD,
    }

    def __init__(self):
        super().__init__()
        self.narration, self.trainings = None, {}

    def filter(self, record):
        # Known only once the Snakefile has been read.
        if workflow.dryrun:
            return True
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self.plan()
        elif event == LogEvent.JOB_INFO and record.jobid in self.trainings:
            run, _ = self.trainings[record.jobid]
            self.narration.start(run, record.created)
        elif event == LogEvent.JOB_FINISHED and record.job_id in self.trainings:
            self.finish(*self.trainings.pop(record.job_id), record.created)
        if record.levelno >= logging.WARNING:
            return True
        return event not in self.HIDDEN and of_interest(record.getMessage())

    def plan(self):
        """Finds the trainings among the jobs, and says how many there are."""
        jobs = [
            job for job in workflow.dag.needrun_jobs() if job.rule.name not in TARGETS
        ]
        titles = {}
        for job in jobs:
            if job.rule.name in TRAININGS:
                identify, title = TRAININGS[job.rule.name]
                run = identify(job.wildcards)
                titles[run] = title(**vars(run))
                self.trainings[workflow.dag.jobid(job)] = run, job
        others = len(jobs) - len(titles)
        self.narration = Narration(titles, others, jobs_at_a_time())
        logger.info(self.narration.plan())

    def finish(self, run, job, now):
        """Says what a training has come to."""
        logger.info(
            self.narration.finish(run, Path(job.output[0]), Path(job.benchmark), now)
        )


# Rules that only name what is to be made.
TARGETS = {"all", "train", "tables", "figures", "filters", "search", "status"}

if workflow.is_main_process and not (
    workflow.output_settings.verbose or workflow.output_settings.printshellcmds
):
    for handler in logger.handlers:
        if isinstance(handler, ColorizingTextHandler):
            handler.addFilter(Terminal())
