# What the rules of data sets and folds are given: addresses, files, arguments.

from freeconv.data.local_files import local_digest
from freeconv.data.sources import files_of


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
    """The format of a data set, its order, and the names of its arrays or what it is drawn from."""
    source = config["sources"][wildcards.dataset]
    words = ["--format", source["format"]]
    words += ["--by-content"] if STUDY.folds.method == "content" else []
    for pair in source.get("arrays", []):
        words += ["--arrays", *pair]
    if "signal" in source:
        words += ["--signal", json.dumps(source["signal"])]
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


def fold_settings(wildcards):
    """How images are assigned to folds, and what must fit them, as arguments of its script."""
    words = []
    for name, value in STUDY.folds_of(wildcards.dataset).items():
        words += [f"--{name}", str(value)]
    training = STUDY.datasets[wildcards.dataset]
    words += ["--batch-size", str(training.batch_size)]
    if (least := min(STUDY.training_shares)) < 1:
        words += ["--training-share", format_value(least)]
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
