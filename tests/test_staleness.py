"""What makes which runs of a finished study stale, as counted by Snakemake's dry runs."""

import os
import re
import shutil

import numpy as np
import pytest
import yaml

PROJECT = ("Snakefile", "config", "envs", "profiles", "scripts", "src", "workflow")
LAYERS = "src/freeconv/layers/base_free_conv.py"
# Snakemake's own options, by which more counts than here.
ANY_PROFILE = ("--workflow-profile", "none")


@pytest.fixture
def project(root, smoke, tmp_path):
    """A copy of the project and, within it, of a finished run of the smoke study."""
    folder = tmp_path / "project"
    for name in PROJECT:
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy
        (folder / name).parent.mkdir(exist_ok=True)
        copy(root / name, folder / name)
    for name in ("data", "results", ".snakemake"):
        shutil.copytree(smoke / name, folder / name)
    shutil.copy(root / ".test/config/config.yaml", folder / "study.yaml")
    return folder


@pytest.fixture
def planned(snakemake, project):
    """Counts of the jobs that a dry run announces: (trainings, evaluations)."""

    def count(*arguments):
        configuration = ("--configfile", project / "study.yaml")
        run = snakemake(
            project, *configuration, "--dry-run", *arguments, snakefile=project / "Snakefile"
        )
        assert run.returncode == 0, run.stdout
        jobs = dict(re.findall(r"^(\w+) +(\d+)$", run.stdout, re.MULTILINE))
        return int(jobs.get("train_run", 0)), int(jobs.get("evaluate_run", 0))

    return count


def change(project, file, before, after):
    path = project / file
    text = path.read_text()
    assert text.count(before) >= 1
    path.write_text(text.replace(before, after, 1))


def configure(project, **changes):
    path = project / "study.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def training(project, **changes):
    study = yaml.safe_load((project / "study.yaml").read_text())
    return study["datasets"] | {"digits": study["datasets"]["digits"] | changes}


def add_second_data_set(project, **changes):
    second = training(project, network="cifar10", batch_size=128, **changes)["digits"]
    configure(project, datasets=training(project) | {"cifar10": second})


def touch(project):
    """Every file gets a time of its own, in no order that means anything."""
    files = sorted(path for path in project.rglob("*") if path.is_file())
    moments = np.random.default_rng(0).permutation(len(files))
    for path, moment in zip(files, moments, strict=True):
        os.utime(path, (1.7e9 + moment, 1.7e9 + moment))


def keep_models(project):
    for history in project.glob("results/**/history.parquet"):
        if history.parent != project / "results/smoke":
            (history.parent / "model.keras").write_text("never read by a dry run")
    configure(project, keep_models=True)


def clone(project):
    """What a repository keeps: the runs, neither their data nor Snakemake's notes."""
    shutil.rmtree(project / "data")
    shutil.rmtree(project / ".snakemake")
    shutil.rmtree(project / "results/smoke/folds")
    touch(project)


def stronger_evaluation(project):
    study = yaml.safe_load((project / "study.yaml").read_text())
    configure(project, evaluation=study["evaluation"] | {"rotation": [0.25, 0.5]})


UNTOUCHED = {
    "nothing": lambda p: None,
    "a lost .snakemake": lambda p: shutil.rmtree(p / ".snakemake"),
    "touched files": touch,
    "a clone without data": clone,
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_times_and_places_of_files_make_nothing_stale(name, project, planned):
    UNTOUCHED[name](project)
    assert planned() == (0, 0)


def test_what_changes_no_number_makes_nothing_stale(project, planned):
    """A comment, a docstring, a colour, the other backend, the text of a rule, a mirror."""
    change(project, LAYERS, "\nimport math", "\n# A word.\nimport math")
    change(project, LAYERS, '"""Makes the', '"""It makes the')
    change(project, "src/freeconv/plots/style.py", "#D55E00", "#D55E01")
    change(project, "src/freeconv/training/engine/jax.py", "\nimport ", "\nimport os\nimport ")
    change(project, "workflow/rules/train.smk", "--threads {threads}", "--threads  {threads}")
    configure(project, mirror="http://localhost:1")
    assert planned() == (0, 0)
    assert planned(*ANY_PROFILE) == (0, 0)


ADDED = {
    "a level": (lambda p: configure(p, augmentations={"translation": [0, 0.2, 0.3]}), 2),
    "another fold": (lambda p: configure(p, folds=_folds(p, run=[1, 2])), 5),
    "a data set": (add_second_data_set, 5),
    "a level in a clone": (
        lambda p: [clone(p), configure(p, augmentations={"translation": [0, 0.2, 0.3]})],
        2,
    ),
}


def _folds(project, **changes):
    return yaml.safe_load((project / "study.yaml").read_text())["folds"] | changes


@pytest.mark.parametrize("name", ADDED)
def test_what_is_added_is_trained_alone(name, project, planned):
    add, count = ADDED[name]
    add(project)
    assert planned() == (count, count)


STALE = {
    "the learning rate": (
        lambda p: configure(p, datasets=training(p, learning_rate=0.002)),
        5,
    ),
    "the learning rate, in a clone": (
        lambda p: [clone(p), configure(p, datasets=training(p, learning_rate=0.002))],
        5,
    ),
    "how connections are left out": (lambda p: configure(p, protocol={"vcp": "input"}), 1),
    "how free kernels are initialised": (
        lambda p: configure(p, protocol={"glorot_fans": "per_location"}),
        3,
    ),
    "the number of folds": (lambda p: configure(p, folds=_folds(p, count=5)), 5),
    "the data set's files": (
        lambda p: change(
            p, "config/datasets.yaml", "format: digits", "format: digits\n    files: {}"
        ),
        5,
    ),
    "how a free layer computes": (
        lambda p: change(p, LAYERS, "outputs = outputs +", "outputs = 2 * outputs +"),
        3,
    ),
    "how the filter distance is computed": (
        lambda p: change(p, "src/freeconv/layers/filter_distances.py", "return ", "return 2 * "),
        2,
    ),
    "how an epoch is trained": (
        lambda p: change(p, "src/freeconv/training/engine/tensorflow.py", "0.999", "0.99"),
        5,
    ),
    "a truncated history": (
        lambda p: os.truncate(next(p.glob("results/smoke/runs/**/history.parquet")), 100),
        1,
    ),
    "a history of another run": (
        lambda p: shutil.copy(*sorted(p.glob("results/smoke/runs/**/history.parquet"))[:2]),
        1,
    ),
}


@pytest.mark.parametrize("name", STALE)
def test_what_changes_numbers_makes_its_runs_stale(name, project, planned):
    spoil, count = STALE[name]
    spoil(project)
    assert planned() == (count, count)


def test_another_data_set_s_batch_size_is_none_of_ours(project, planned):
    add_second_data_set(project)
    assert planned() == (5, 5)
    add_second_data_set(project, epochs=3)
    assert planned("results/smoke/history.parquet") == (5, 5)


def test_another_evaluation_strength_trains_nothing(project, planned):
    keep_models(project)
    assert planned() == (0, 0)
    stronger_evaluation(project)
    assert planned() == (0, 5)
    clone(project)
    assert planned() == (0, 5)


def test_other_images_make_their_runs_stale(project, planned, snakemake):
    data = project / "data/digits.npy"
    records = np.load(data)
    records["image"][0, 3, 3] ^= 1
    np.save(data, records)
    run = snakemake(
        project,
        "results/smoke/folds/digits.parquet",
        *("--configfile", project / "study.yaml"),
        snakefile=project / "Snakefile",
    )
    assert run.returncode == 0, run.stdout
    assert planned() == (5, 5)


def test_the_status_names_reasons(project, snakemake):
    configure(project, datasets=training(project, learning_rate=0.002))
    history = "results/smoke/runs/digits/cnn/none-0/vcp-0/data-1/fold-1/repeat-0/history.parquet"
    (project / history).unlink()
    run = snakemake(
        project,
        "status",
        *("--configfile", project / "study.yaml"),
        snakefile=project / "Snakefile",
    )
    assert run.returncode == 0, run.stdout
    stale = history.replace("none-0", "translation-0.3")
    assert f"stale {stale}: learning_rate: 0.001 before, 0.002 now\n" in run.stdout


def test_a_stale_run_is_trained_once(project, snakemake, planned):
    """And the next run finds it valid, whatever Snakemake noted."""
    configure(project, datasets=training(project, epochs=1))
    target = "results/smoke/runs/digits/cnn/none-0/vcp-0/data-1/fold-1/repeat-0/evaluation.parquet"
    run = snakemake(
        project,
        target,
        *("--configfile", project / "study.yaml"),
        snakefile=project / "Snakefile",
    )
    assert run.returncode == 0, run.stdout
    assert run.stdout.count("\n1 of 1  Digits, CNN, fold 1: accuracy ") == 1
    for profile in ((), ANY_PROFILE):
        assert planned(target, *profile) == (0, 0)
        assert planned(*profile) == (4, 4)


def test_training_alone_loses_no_work(project, snakemake, planned):
    """The evaluations that they made wait for their names, if they are what is asked for."""
    configure(project, augmentations={"translation": [0, 0.2]}, vcp=None, models=["cnn"])
    asked = yaml.safe_load((project / "study.yaml").read_text())["evaluation"]
    words = ("--configfile", project / "study.yaml", *ANY_PROFILE)
    trained = snakemake(project, "train", *words, snakefile=project / "Snakefile")
    assert trained.returncode == 0, trained.stdout
    assert trained.stdout.count("\n1 of 1  Digits, CNN, translation 0.2, fold 1: accuracy ") == 1
    (waiting,) = project.glob("results/**/evaluated.parquet")
    assert planned() == (0, 1)
    stronger_evaluation(project)
    assert planned() == (2, 2)  # the one that has its name, too
    configure(project, evaluation=asked)
    assert planned() == (0, 1)
    target = waiting.with_name("evaluation.parquet").relative_to(project)
    evaluated = snakemake(project, target, *words, snakefile=project / "Snakefile")
    assert evaluated.returncode == 0, evaluated.stdout
    assert "nothing to train; 1 other job" in evaluated.stdout
    assert not waiting.exists()
    assert planned() == (0, 0)
    assert planned("train") == (0, 0)
