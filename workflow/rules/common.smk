"""What the rules share: the study, where files lie, and arguments of the scripts."""

import os
import shlex
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

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
    from freeconv import catalogue, validity
    from freeconv.arguments import format_arguments, format_value
    from freeconv.config import complete, expand_paths, merge, override, read_yaml
    from freeconv.errors import InputError
    from freeconv.local_files import local_digest
    from freeconv.sources import files_of
    from freeconv.study import Cell, Study, Trial
except ModuleNotFoundError as error:
    raise WorkflowError(
        f"{sys.executable} lacks the package {error.name}; run .venv/bin/python -m snakemake, an "
        "environment that make demo makes, or install what FreeConv needs in yours: pip install "
        f"'{ROOT}[tensorflow,workflow]'"
    ) from None

# The folder of a cell; its wildcards are the identity of the cell.
CELL = "{dataset}/{model}/{augmentation}-{level}/vcp-{vcp}/fold-{fold}"

# The same of a trial of the hyperparameter search.
TRIAL = "{dataset}/{model}/layers-{layers}/rate-{learning_rate}/fold-{fold}"

# Where folds and records lie.
FOLDS = "results/{study}/folds/{dataset}.parquet"
HISTORY = f"results/{{study}}/cells/{CELL}/history.parquet"
EVALUATION = f"results/{{study}}/cells/{CELL}/evaluation.parquet"
MODEL = f"results/{{study}}/cells/{CELL}/model.keras"
TRIAL_HISTORY = f"results/{{study}}/search/{TRIAL}/history.parquet"

# For programs, to read, for a paper, and for the report.
TABLE_FORMATS = ["csv", "md", "tex", "html"]


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
        "fold": r"\d+",
        "layers": r"\d",
        "learning_rate": number + r"(e-\d+)?",
        "statistic": "|".join(catalogue.STATISTICS),
        "table": "[a-z0-9_]+",
        "figure": "[a-z0-9_]+",
        "file": r"[A-Za-z0-9][A-Za-z0-9._-]*",
    }


def cell_files(name):
    """A file of every cell of the study; the folders of the cells by an empty name."""
    pattern = f"results/{{study}}/cells/{CELL}/{name}"
    return [named_after(cell, pattern) for cell in STUDY.cells()]


def named_after(job, pattern):
    """The file that a cell or a trial has by a pattern of its wildcards."""
    values = {key: format_value(value) for key, value in vars(job).items()}
    return pattern.format(study=STUDY.name, **values)


def trial_histories(wildcards):
    """The history of every trial; or one clear error, in a study without any."""
    try:
        return [named_after(trial, TRIAL_HISTORY) for trial in STUDY.trials()]
    except InputError as error:
        raise WorkflowError(str(error)) from None


def aggregated_files():
    """The joined records of all cells, and what follows from them."""
    return expand(
        "results/{study}/{frame}.parquet",
        study=STUDY.name,
        frame=[
            *["history", "evaluation", "settings", "provenance", "summary"],
            *catalogue.records_of(STUDY),
        ],
    )


def table_files():
    """Every table of the study in every format; those of accuracies by every statistic."""
    return expand(
        "results/{study}/tables/{statistic}/{table}.{format}",
        study=STUDY.name,
        statistic=catalogue.STATISTICS,
        table=catalogue.tables_of(STUDY),
        format=TABLE_FORMATS,
    ) + expand(
        "results/{study}/tables/{table}.{format}",
        study=STUDY.name,
        table=[catalogue.ARCHITECTURES, *catalogue.records_of(STUDY)],
        format=TABLE_FORMATS,
    )


def figure_files():
    """Every figure of every data set of the study, as bitmap and as vectors."""
    return [
        f"results/{STUDY.name}/figures/{dataset}/{figure}.{format}"
        for dataset in STUDY.datasets
        for figure in catalogue.figures_of(STUDY, dataset)
        for format in ("png", "svg")
    ]


def filter_pictures(wildcards):
    """A picture of every free network's first layer; or one clear error, without models."""
    if not STUDY.keep_models:
        raise WorkflowError(
            f"keep_models: false, so study {STUDY.name} has no models whose filters could be drawn; "
            "with keep_models: true, cells trained from then on have (those that are there would be "
            "trained again)"
        )
    pattern = f"results/{{study}}/filters/{CELL}.png"
    free = STUDY.free_models()
    return [named_after(cell, pattern) for cell in STUDY.cells() if cell.model in free]


def frame_of_figure(wildcards):
    """The records that a figure is drawn from."""
    frame = catalogue.figure(wildcards.figure).frame
    if frame in catalogue.FRAMES_OF_A_DATASET:
        frame = f"{frame}/{wildcards.dataset}"
    return f"results/{wildcards.study}/{frame}.parquet"


def compares(wildcards):
    """Whether a figure sets the study beside the paper, and belongs to its comparison."""
    return catalogue.figure(wildcards.figure).frame == "comparison"


def labels_of_figure(wildcards):
    """How a report names a figure."""
    figure = catalogue.figure(wildcards.figure)
    if compares(wildcards):
        title = catalogue.dataset_title(wildcards.dataset)
        return {"result": f"{figure.title}: {title}"}
    return {"figure": figure.title, "paper": figure.paper or "not in the paper"}


def category_of_figure(wildcards):
    return "3. Comparison with the paper" if compares(wildcards) else "5. Figures"


def subcategory_of_figure(wildcards):
    """Figures are listed by data set; what is compared, in one list."""
    return None if compares(wildcards) else catalogue.dataset_title(wildcards.dataset)


def title_of_table(wildcards):
    return catalogue.table(wildcards.table).title


def labels_of_table(wildcards):
    """How a report names a table."""
    table = catalogue.table(wildcards.table)
    datasets = [table.dataset] if table.dataset else STUDY.datasets
    return {
        "data": ", ".join(map(catalogue.dataset_title, datasets)),
        "statistic": wildcards.statistic.replace("_", " "),
    }


def cell_of(wildcards):
    """The cell that wildcards name."""
    return Cell(
        dataset=wildcards.dataset,
        model=wildcards.model,
        augmentation=wildcards.augmentation,
        level=float(wildcards.level),
        vcp=float(wildcards.vcp),
        fold=int(wildcards.fold),
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


def fold_settings(wildcards):
    """How images are assigned to folds, and what must fit them, as arguments of its script."""
    words = []
    for name, value in STUDY.folds_of(wildcards.dataset).items():
        words += [f"--{name}", str(value)]
    training = STUDY.datasets[wildcards.dataset]
    words += ["--batch-size", str(training.batch_size)]
    # The sizes of an extension's network are known once it is built.
    if not STUDY.extension_for(training.network):
        words += ["--network", training.network, "--layers", str(training.layers)]
    return shlex.join(words)


def local_files_of_folds(wildcards, input):
    """The digest of the files on this machine that folds are made of.

    Of files that are away (a disk that is not mounted), the one that was noted last. A new one has
    new folds made by way of the images: it takes the input so that Snakemake does not compare it.
    """
    noted = recorded_folds(wildcards.dataset).get("local", "")
    return local_content(wildcards.dataset) or noted


# Settings of cells and trials take the inputs as argument so that Snakemake does not compare them
# with what it noted itself of an earlier run: `states.smk` compares them with the results' own words.


def cell_settings(wildcards, input):
    """The settings of a cell as arguments of the training script."""
    return training_settings(STUDY.settings_of(cell_of(wildcards)))


def trial_settings(wildcards, input):
    """The settings of a trial as arguments of the training script."""
    return training_settings(STUDY.settings_of_trial(trial_of(wildcards)))


def training_settings(settings):
    """Settings as arguments, with the extension that the training needs."""
    extension = extension_argument(STUDY.extension_of_training(settings))
    return f"{format_arguments(settings)} {extension}"


def evaluation_settings(wildcards, input):
    """The sweep of the evaluation, its seed, and the extension that it needs, as arguments."""
    words = ["--seed", str(STUDY.seed)]
    for kind, strengths in STUDY.evaluation.items():
        words += ["--strengths", kind, *map(format_value, strengths)]
    settings = STUDY.settings_of(cell_of(wildcards))
    extension = extension_argument(STUDY.extension_of_evaluation(settings))
    return f"{shlex.join(words)} {extension}"


def extension_argument(path):
    """The study's extension as an argument of a script; nothing where it is not needed."""
    return shlex.quote(f"--extension={path}") if path else ""


def extension_of_networks(wildcards):
    """The extension that the networks of a data set are made by, as the input of a rule."""
    path = STUDY.extension_for(STUDY.datasets[wildcards.dataset].network)
    return [path] if path else []


def extension_of_examples(wildcards):
    """The extension that images are augmented by, as the input of a rule."""
    path = STUDY.extension_for(*STUDY.augmentations)
    return [path] if path else []


def extension_input(wildcards, input):
    """The extension of a rule's input as an argument of its script."""
    return extension_argument("".join(input.extension))


def network_settings(wildcards):
    """The networks that learn a data set, as arguments of the script that lists their layers."""
    training = STUDY.datasets[wildcards.dataset]
    words = ["--network", training.network]
    for name, variant in STUDY.models.items():
        words += ["--model", name, variant.kind, variant.sharing]
    words += ["--layers", str(training.layers)]
    words += ["--learning-rate", format_value(training.learning_rate)]
    words += ["--backend", STUDY.backend]
    return shlex.join(words)


def model_no_longer_needed(wildcards, input):
    """The model that goes once it is evaluated, unless the study keeps models, as words.

    Snakemake would delete a `temp` file as soon as a run has no job that takes it: of a run that
    only trains, all of them.
    """
    model = input.get("model")
    return shlex.quote(model) if model and not STUDY.keep_models else ""


def by_attempt(resource):
    """A resource of a job; what no attempt changes as a value.

    Snakemake takes long to call a function for each of a thousand jobs.
    """
    first, again = (resource(None, attempt) for attempt in (1, 2))
    return first if first == again else resource


def memory_of_a_job(wildcards, attempt):
    """Megabytes that a job on a network asks for: more at every attempt (--retries)."""
    return 5000 * attempt


def checkpoint_of_a_job(wildcards, output):
    """What a training goes on from after an interruption, beside its history.

    It is no output: those of a job that failed are deleted.
    """
    return os.path.join(os.path.dirname(output[0]), "checkpoint.npz")


def source_files(dataset):
    """Role -> path of the files that a data set is made of, where they are or will be."""
    return {
        role: file.path or f"data/raw/{dataset}/{file.name}"
        for role, file in files_of(config["sources"][dataset]).items()
    }


def raw_files(wildcards):
    """The files of a data set; of those on this machine, `local_content` decides, and no time."""
    files = files_of(config["sources"][wildcards.dataset]).items()
    paths = source_files(wildcards.dataset)
    return [ancient(paths[role]) if file.path else paths[role] for role, file in files]


@cache
def local_content(dataset):
    """A digest of the files of a data set that are here already; empty if there are none."""
    try:
        return local_digest(config["sources"][dataset])
    except InputError as error:
        raise WorkflowError(str(error)) from None


def content_of_files(wildcards):
    """By which Snakemake sees that images changed: the time of a folder says nothing of them."""
    return local_content(wildcards.dataset)


def format_of_images(wildcards):
    """The format of a data set, and the names of its arrays."""
    source = config["sources"][wildcards.dataset]
    words = ["--format", source["format"]]
    for pair in source.get("arrays", []):
        words += ["--arrays", *pair]
    return shlex.join(words)


def files_of_images(wildcards, input):
    """The files of a data set with their roles; not compared, as `download_addresses`."""
    words = []
    for role, path in source_files(wildcards.dataset).items():
        words += ["--file", role, path]
    return shlex.join(words)


def download_content(wildcards):
    """The digest of a file's content, which says whether it is the right one."""
    source = config["sources"][wildcards.source]
    (file,) = [f for f in files_of(source).values() if f.name == wildcards.file]
    # Mirrors differ in the gzip headers of IDX files, not in what they unpack to.
    content = "gunzipped" if source["format"] == "idx" else "raw"
    return shlex.join(["--sha256", file.sha256, "--content", content])


def download_addresses(wildcards, output):
    """Where to look for a file.

    It takes the output as argument so that Snakemake does not compare addresses with those of an
    earlier run: another one is no other file.
    """
    words = ["--name", f"{wildcards.source}/{wildcards.file}"]
    for url in config["sources"][wildcards.source].get("urls", []):
        words += ["--url", f"{url}/{wildcards.file}"]
    if config["mirror"]:
        words += ["--mirror", config["mirror"]]
    return shlex.join(words)


def overview_settings():
    """What the overview says of the study and no record of a cell does, as arguments."""
    folds = STUDY.folds
    words = ["--study", STUDY.name, "--seed", STUDY.seed]
    words += ["--seed-policy", STUDY.seed_policy]
    words += ["--fold-count", folds.count, "--fold-method", folds.method]
    return shlex.join(map(str, words))


def where_to_look():
    """What a user may want to open after a run, of what is there."""
    results, logs = Path(f"results/{STUDY.name}"), Path(f"logs/{STUDY.name}")
    places = {
        results
        / "overview.html": "the paper's conclusions, and where the numbers come from",
        results / "figures": "curves, filter distances, perturbations (PNG, SVG)",
        results
        / "tables": "the paper's tables; comparison and conclusions (CSV, Markdown, LaTeX, HTML)",
        results
        / "history.parquet": "one row per epoch of all cells; evaluation and summary beside it",
        logs: "one log per job",
    }
    lines = [f"  {path}  {text}" for path, text in places.items() if path.exists()]
    return "\n".join([f"\nStudy {STUDY.name}. Where to look:", *lines])
