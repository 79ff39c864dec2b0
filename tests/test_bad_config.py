"""Wrong studies, by the real command: each fails before anything runs, and says why."""

import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

SMOKE = (ROOT / ".test/config/config.yaml").read_text()


def changed(before, after):
    """The smoke study with one piece of its text replaced."""
    assert SMOKE.count(before) == 1
    return SMOKE.replace(before, after)


def line_of(piece):
    """The line of the smoke study that a piece of its text is in."""
    return SMOKE[: SMOKE.index(piece)].count("\n") + 1


# Name -> text of the study, and what the message must say: key, value, expectation, remedy.
WRONG = {
    "unknown key": (
        changed("device: cpu", "devise: cpu"),
        ['devise: unknown key (value "cpu"); allowed here: ', "did you mean device?"],
    ),
    "missing key": (
        changed("search:\n", "search: {}\nother:\n"),
        [
            "invalid configuration (config/README.md explains every key):",
            "search.datasets: missing; this key is required",
        ],
    ),
    "wrong type": (
        changed("epochs: 2\n    patience: 2", "epochs: two\n    patience: 2"),
        ['datasets.digits.epochs: "two" is not allowed; expected a whole number'],
    ),
    "number as text": (
        changed("batch_size: 64", "learning_rate: 1e-3"),
        [
            'datasets.digits.learning_rate: "1e-3" is not allowed; expected a number; '
            "YAML takes this for text, write 0.001"
        ],
    ),
    "out of range": (
        changed("edge_noise: [0]", "edge_noise: [1.5]"),
        ["augmentations.edge_noise[0]: 1.5 is not allowed; expected at most 1"],
    ),
    "not a number": (
        changed("edge_noise: [0]", "edge_noise: [.nan]"),
        ["augmentations.edge_noise[0]: NaN is not allowed; expected a finite number"],
    ),
    "levels twice": (
        changed("edge_noise: [0]", "edge_noise: [0.1, 0.10]"),
        ["augmentations.edge_noise: [0.1, 0.1] is not allowed; expected no value twice"],
    ),
    "key twice": (
        changed("edge_noise: [0]", "translation: [0]"),
        [
            f"line {line_of('edge_noise: [0]')}, column 3: not valid YAML: the key translation is "
            "there twice; remove one"
        ],
    ),
    "unknown data set": (
        changed("datasets:\n  digits:\n    batch", "datasets:\n  emnist:\n    batch"),
        [
            "datasets.emnist: no source of this name; known sources: cifar10, digits, mnist. "
            "Describe where it comes from under sources.emnist"
        ],
    ),
    "unknown network": (
        changed("batch_size: 64", "network: resnet"),
        ['datasets.digits.network: "resnet" is not allowed; expected one of "mnist", "cifar10"'],
    ),
    "fold out of range": (
        changed("run: [1]", "run: [4]"),
        ["folds.run[0]: 4 is not allowed; expected 0 to 3, since folds.count is 4"],
    ),
    "masked connections without FCN": (
        changed("device: cpu", "models: [cnn]"),
        ["vcp: variable connection patterns need the model fcn; add it to models, or set vcp to"],
    ),
    "missing file of a source": (
        SMOKE + "sources:\n  digits: {format: npz}\n",
        ["sources.digits.files.archive: missing; the format npz is made of archive"],
    ),
    "missing extension": (
        changed("device: cpu", "extension: {file: none.py}"),
        ["extension.file: none.py: no such file; expected a Python file, looked for from"],
    ),
    "name with a line break": (
        changed("study: smoke", 'study: "smoke\\n"'),
        ['study: "smoke\\n" is not allowed; expected a name of lower-case letters'],
    ),
}

# What Snakemake says by itself, before it reads the workflow; then what scripts/config.py says.
UNREADABLE = {
    "bad syntax": (
        changed("run: [1]", "run: [1"),
        ["Config file is not valid JSON or YAML"],
        ["not valid YAML: expected ',' or ']'", f"flow sequence of line {line_of('run: [1]')})"],
    ),
    "tabs": (
        changed("    epochs: 2\n    patience: 2", "\tepochs: 2\n    patience: 2"),
        ["Config file is not valid JSON or YAML"],
        [f"study.yaml, line {line_of('epochs: 2')}, column 1: not valid YAML: ", "'\\t'"],
    ),
    "no mapping": (
        "- cnn\n- fcn\n",
        ["Config file must be given as JSON or YAML with keys at top level"],
        ['study.yaml: holds ["cnn", "fcn"]; expected a mapping of keys to values'],
    ),
    "empty": (
        "",
        ["Config file must be given as JSON or YAML with keys at top level"],
        ["study.yaml: holds null; expected a mapping of keys to values"],
    ),
}


@pytest.fixture
def check(tmp_path):
    """Run scripts/config.py on a study."""

    def run(study, folder=tmp_path):
        return subprocess.run(
            [sys.executable, ROOT / "scripts/config.py", "check", study],
            cwd=folder,
            env={"PYTHONPATH": str(ROOT / "src")},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    return run


def assert_refused(run, words, folder):
    assert run.returncode == 1, run.stdout
    for word in words:
        assert run.stdout.count(word) == 1, run.stdout
    assert "Traceback" not in run.stdout
    # Snakemake's own notes alone.
    assert {path.name for path in folder.iterdir()} <= {".snakemake", "study.yaml"}


@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG)
def test_wrong_studies_are_refused(snakemake, check, tmp_path, text, words):
    (tmp_path / "study.yaml").write_text(text)
    run = snakemake(tmp_path, "--configfile", tmp_path / "study.yaml", "--dry-run")
    assert_refused(run, words, tmp_path)
    assert_refused(check("study.yaml"), words, tmp_path)


@pytest.mark.parametrize(("text", "by_snakemake", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_study_is_refused(snakemake, check, tmp_path, text, by_snakemake, words):
    (tmp_path / "study.yaml").write_text(text)
    run = snakemake(tmp_path, "--configfile", tmp_path / "study.yaml", "--dry-run")
    assert_refused(run, by_snakemake, tmp_path)
    assert_refused(check("study.yaml"), words, tmp_path)


def test_a_missing_study_is_named(snakemake, check, tmp_path):
    run = snakemake(tmp_path, "--configfile", tmp_path / "none.yaml", "--dry-run")
    assert run.returncode == 1
    assert "none.yaml" in run.stdout
    words = ["none.yaml: No such file or directory; expected a study, a YAML file"]
    assert_refused(check("none.yaml"), words, tmp_path)


def test_a_study_that_is_no_text_is_named(check, tmp_path):
    (tmp_path / "study.yaml").write_bytes(b"study: \xff")
    words = ["study.yaml: not a text file in UTF-8; expected a study, a YAML file"]
    assert_refused(check("study.yaml"), words, tmp_path)


@pytest.mark.parametrize(
    "path", sorted(path for path in ROOT.glob("config/*.yaml") if path.name != "datasets.yaml")
)
def test_our_studies_pass(check, path):
    run = check(path, ROOT)
    assert run.returncode == 0, run.stdout
    assert f"study {yaml.safe_load(path.read_text())['study']}, " in run.stdout


def test_every_missing_key_is_listed_once(check, tmp_path, schema):
    (tmp_path / "study.yaml").write_text("study: nothing\n")
    lines = check("study.yaml").stdout.splitlines()
    # The first line says what this is about.
    missing = set(schema["required"]) - {"study"}
    assert len(lines) == len(set(lines)) == 1 + len(missing)
    assert "  - datasets: missing; this key is required" in lines
