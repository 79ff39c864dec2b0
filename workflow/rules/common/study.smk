"""What the rules share: the study, and where files lie."""

import json
import os
import shlex
import sys
import time
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

STARTED = time.time()

# Jobs find scripts and library in any environment and on any node of a cluster.
# TensorFlow's notes about the processor are kept out of their logs.
LIBRARY = f"{ROOT}/src"
PROGRAMS = os.path.dirname(sys.executable)
for folder in (LIBRARY, PROGRAMS):
    if not os.path.isdir(folder):
        raise WorkflowError(
            f"{folder}: no such folder; FreeConv runs from a copy on this machine: git clone it, "
            "or use snakedeploy with its GitHub address"
        )
    if os.pathsep in folder:
        raise WorkflowError(
            f"{folder}: no program is found in a folder whose name holds '{os.pathsep}'; "
            "rename or move it"
        )
sys.path.insert(0, LIBRARY)
os.environ.update(
    FREECONV=ROOT,
    # Without conda environments, `python` is the one that Snakemake runs in.
    PATH=os.pathsep.join([PROGRAMS, os.getenv("PATH", "")]),
    PYTHONPATH=os.pathsep.join([LIBRARY, os.getenv("PYTHONPATH", "")]).rstrip(
        os.pathsep
    ),
    TF_CPP_MIN_LOG_LEVEL=os.getenv("TF_CPP_MIN_LOG_LEVEL", "2"),
)

try:
    import freeconv.io  # needs each package that the rules need
    from freeconv.errors import InputError
    from freeconv.study import labels, outputs
    from freeconv.study.config import complete, expand_paths, merge, override, read_yaml
    from freeconv.study.grid import Study
    from freeconv.study.settings import Run, Trial, format_value
except ModuleNotFoundError as error:
    raise WorkflowError(
        f"{sys.executable} lacks the package {error.name}; run .venv/bin/python -m snakemake, an "
        "environment that make demo makes, or install what FreeConv needs in yours: pip install "
        f"'{ROOT}[tensorflow,workflow]'"
    ) from None

# The folder of a run; its wildcards are the identity of the run.
RUN = "{dataset}/{model}/{augmentation}-{level}/vcp-{vcp}/data-{training_share}/fold-{fold}/repeat-{repeat}"

# The same of a trial of the hyperparameter search.
TRIAL = "{dataset}/{model}/layers-{layers}/rate-{learning_rate}/fold-{fold}"

# Where folds and records lie.
FOLDS = "results/{study}/folds/{dataset}.parquet"
HISTORY = f"results/{{study}}/runs/{RUN}/history.parquet"
EVALUATION = f"results/{{study}}/runs/{RUN}/evaluation.parquet"
MODEL = f"results/{{study}}/runs/{RUN}/model.keras"
EVALUATED = f"results/{{study}}/runs/{RUN}/evaluated.parquet"
TRIAL_HISTORY = f"results/{{study}}/search/{TRIAL}/history.parquet"

# For the report, for programs, to read, and for a paper.
TABLE_FORMATS = ["html", "csv", "md", "tex"]


def read_study(config, schema):
    """The study of a configuration, which gets the defaults of all keys; or one clear error.

    Known data sets are read before it, and values of the command line are typed as YAML.
    """
    try:
        files = workflow.overwrite_configfiles
        # Snakemake has read them already, but takes the last of two equal keys.
        for path in files:
            read_yaml(path)
        if "study" not in config:
            raise InputError(
                f"{', '.join(map(str, files))}: study: missing; this key is required: the name "
                "of the study, and of the folder of its results"
            )
        known = merge(read_yaml(f"{ROOT}/config/datasets.yaml"), config)
        words = workflow.config_settings.config_args or []
        config.update(complete(expand_paths(override(known, words)), read_yaml(schema)))
        return Study.from_config(config)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def wildcard_patterns():
    """What each wildcard may be, so that no file name is ambiguous."""
    number = r"\d+(\.\d+)?"
    return {
        "study": STUDY.name,
        "dataset": "|".join(STUDY.datasets),
        "source": "|".join(config["sources"]),
        "model": "|".join(STUDY.models),
        "augmentation": r"[a-z][a-z0-9_]*",
        "level": number + r"(e-\d+)?",
        "vcp": number + r"(e-\d+)?",
        "training_share": number + r"(e-\d+)?",
        "fold": r"\d+",
        "repeat": r"\d+",
        "layers": r"\d",
        "learning_rate": number + r"(e-\d+)?",
        "table": rf"(({'|'.join(labels.STATISTICS)})/)?[a-z0-9_]+",
        "figure": "[a-z0-9_]+",
        "file": r"[A-Za-z0-9][A-Za-z0-9._-]*",
    }


def run_files(name):
    """A file of every run of the study; the folders of the runs by an empty name."""
    pattern = f"results/{{study}}/runs/{RUN}/{name}"
    return [named_after(run, pattern) for run in STUDY.runs()]


def named_after(job, pattern):
    """The file that a run or a trial has by a pattern of its wildcards."""
    values = {key: format_value(value) for key, value in vars(job).items()}
    return pattern.format(study=STUDY.name, **values)


def run_of(wildcards):
    """The run that wildcards name."""
    return Run(
        dataset=wildcards.dataset,
        model=wildcards.model,
        augmentation=wildcards.augmentation,
        level=float(wildcards.level),
        vcp=float(wildcards.vcp),
        training_share=float(wildcards.training_share),
        fold=int(wildcards.fold),
        repeat=int(wildcards.repeat),
    )


def trial_of(wildcards):
    """The trial that wildcards name."""
    return Trial(
        dataset=wildcards.dataset,
        model=wildcards.model,
        layers=int(wildcards.layers),
        learning_rate=float(wildcards.learning_rate),
        fold=int(wildcards.fold),
    )


def as_json(settings):
    """A data class as the argument of a script."""
    return json.dumps(vars(settings))


def extension_argument(path, prefix="--"):
    """The study's extension as an argument of a script; nothing where it is not needed."""
    return shlex.quote(f"{prefix}extension={path}") if path else ""
